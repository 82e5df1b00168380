//! Members that old clients spell in two ways.

use claviger_edge::{ApiError, Patch};

/// Chooses between two spellings of one member.
///
/// An object that was read has both, and a client changes one of them: of two that differ, the
/// one that differs from what is stored wins. Two new values contradict each other.
pub(crate) fn choose<T: PartialEq>(
    names: [&str; 2],
    values: [Patch<T>; 2],
    stored: Option<&T>,
) -> Result<Patch<T>, ApiError> {
    match values {
        [one, Patch::Keep] => Ok(one),
        [Patch::Keep, other] => Ok(other),
        [one, other] if one == other => Ok(one),
        [one, other] if is_stored(&one, stored) => Ok(other),
        [one, other] if is_stored(&other, stored) => Ok(one),
        _ => {
            let message = format!("differs from {}, give one of them", names[1]);
            Err(ApiError::field(names[0], message))
        }
    }
}

fn is_stored<T: PartialEq>(value: &Patch<T>, stored: Option<&T>) -> bool {
    match value {
        Patch::Keep => true,
        Patch::Clear => stored.is_none(),
        Patch::Set(value) => stored == Some(value),
    }
}

#[cfg(test)]
mod tests {
    use claviger_edge::Patch::{Clear, Keep, Set};

    use super::*;

    #[test]
    fn the_new_one_of_two_spellings_wins() {
        let chosen = |one, other| choose(["a", "b"], [one, other], Some(&1)).ok();
        assert_eq!(chosen(Keep, Set(2)), Some(Set(2)));
        assert_eq!(chosen(Set(1), Set(2)), Some(Set(2)));
        assert_eq!(chosen(Set(2), Set(1)), Some(Set(2)));
        assert_eq!(chosen(Clear, Set(1)), Some(Clear));
        assert_eq!(chosen(Set(3), Set(3)), Some(Set(3)));
        assert_eq!(chosen(Set(2), Set(3)), None);
        assert_eq!(chosen(Clear, Set(3)), None);
    }
}
