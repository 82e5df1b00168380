//! Passwords: what is taken as one.

mod common;

use self::common::COMMON;

/// The fewest characters; more counts for more than kinds of characters do.
const SHORTEST: usize = 8;
/// The most bytes, so that none is long to digest.
const LONGEST: usize = 1_024;

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It is too short.
    #[error("must have at least {SHORTEST} characters")]
    TooShort,
    /// It is too long.
    #[error("must have at most {LONGEST} bytes")]
    TooLong,
    /// Whoever knows the address would guess it.
    #[error("must not be the address, or one character over and over")]
    Obvious,
    /// Whoever knows nothing would guess it.
    #[error("must not be one of the passwords that everybody tries first")]
    Common,
}

/// Tells whether a text can be the new password of an address.
pub fn check_password(text: &str, email: &str) -> Result<(), PasswordFault> {
    let mut characters = text.chars();
    let first = characters.next();
    if text.chars().count() < SHORTEST {
        Err(PasswordFault::TooShort)
    } else if text.len() > LONGEST {
        Err(PasswordFault::TooLong)
    } else if text.eq_ignore_ascii_case(email) || characters.all(|one| Some(one) == first) {
        Err(PasswordFault::Obvious)
    } else if COMMON.binary_search(&&*text.to_ascii_lowercase()).is_ok() {
        Err(PasswordFault::Common)
    } else {
        Ok(())
    }
}

/// Whether a text may be a password that somebody has, so that it is worth digesting.
pub const fn is_worth_trying(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_and_obvious_passwords_are_refused() {
        let check = |text: &str| check_password(text, "ada@example.com");
        assert_eq!(check("correct horse"), Ok(()));
        assert_eq!(check("1234567"), Err(PasswordFault::TooShort));
        assert_eq!(
            check("\u{e4}\u{e4}\u{e4}\u{e4}\u{f6}"),
            Err(PasswordFault::TooShort)
        );
        assert_eq!(check(&"ab".repeat(513)), Err(PasswordFault::TooLong));
        assert_eq!(check("aaaaaaaa"), Err(PasswordFault::Obvious));
        assert_eq!(check("Ada@example.com"), Err(PasswordFault::Obvious));
        for common in [
            "12345678",
            "password",
            "Password1",
            "QWERTYUIOP",
            "zxcvbnm123",
        ] {
            assert_eq!(check(common), Err(PasswordFault::Common), "{common}");
        }
        assert_eq!(check("password of mine"), Ok(()));
    }

    #[test]
    fn what_everybody_tries_is_looked_for_in_order() {
        assert!(COMMON.is_sorted());
        for common in COMMON {
            assert!(common.len() >= SHORTEST, "{common}");
            assert_eq!(common, common.to_ascii_lowercase());
        }
    }
}
