//! The known name that a mistaken one was most likely meant to be.

/// Below this likeness a proposal would be noise.
const LIKENESS: f64 = 0.72;

/// The known name most like `wanted`, when one is like it at all; case and separators do not count.
pub(crate) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(wanted);
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&folded, &fold(name)), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// `known` as a list in words, each quoted.
pub(crate) fn listed<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "none".to_owned()
    } else {
        quoted.join(", ")
    }
}

// Text from a model may be of any length; likeness is quadratic in it.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(128)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = ["projectId", "name", "customAccountId"];
        assert_eq!(nearest("project_id", known), Some("projectId"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(
            nearest("accountId", ["accountId", "projectId"]),
            Some("accountId")
        );
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
