//! Patterns of connector files as browsers read them in forms: of the whole value, and by stricter rules
//! (`v` of ECMAScript), by which many a pattern is none. A form without a pattern is checked here alone.

/// What has a meaning in a pattern, and may be escaped everywhere.
const SYNTAX: &str = r"^$\.*+?()[]{}|/";
/// What has a meaning in a class, for browsers alone.
const SYNTAX_OF_CLASSES: &str = "(){}/|";

/// A pattern of the whole value, where the connector's may be anywhere in it; none where a browser would
/// read another one.
pub(super) fn of_whole_value(pattern: &str) -> Option<String> {
    let mut written = String::from(".*(?:");
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    let mut is_first = false;
    while let Some(character) = rest.next() {
        let next = rest.peek().copied();
        match character {
            '\\' => {
                let escaped = rest.next()?;
                let is_kept = escaped.is_ascii_alphanumeric()
                    || SYNTAX.contains(escaped)
                    || in_class && escaped == '-';
                written.extend(is_kept.then_some('\\'));
                written.push(escaped);
            }
            // Classes in classes, sets of them, and flags are told in other words there.
            '[' | '&' | '~' if in_class && (character == '[' || next == Some(character)) => {
                return None;
            }
            '(' if !in_class && next == Some('?') => {
                let group: String = rest.clone().take(2).collect();
                if !matches!(group.as_str(), "?:" | "?=" | "?!") {
                    return None;
                }
                written.push('(');
            }
            '[' => {
                in_class = true;
                written.push('[');
                if next == Some('^') {
                    rest.next();
                    written.push('^');
                }
                is_first = true;
                continue;
            }
            ']' => {
                in_class = false;
                written.push(']');
            }
            _ => {
                let is_edge = character == '-' && (is_first || next == Some(']'));
                if in_class && (is_edge || SYNTAX_OF_CLASSES.contains(character)) {
                    written.push('\\');
                }
                written.push(character);
            }
        }
        is_first = false;
    }
    written.push_str(").*");
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::of_whole_value;

    #[test]
    fn a_class_is_written_as_browsers_take_it() {
        for (pattern, expected) in [
            ("^[a-z0-9-]{1,63}$", r"^[a-z0-9\-]{1,63}$"),
            ("^[-a-z]+$", r"^[\-a-z]+$"),
            ("[^-(){}/|.]", r"[^\-\(\)\{\}\/\|.]"),
            (r"^[\w\-]+$", r"^[\w\-]+$"),
            (r"^ada\-[\@\.]\_x$", r"^ada-[@\.]_x$"),
            (r"^(?:a|b)(c/d-e)$", r"^(?:a|b)(c/d-e)$"),
            ("^[!-~]+$", "^[!-~]+$"),
        ] {
            let written = of_whole_value(pattern).unwrap();
            assert_eq!(written, format!(".*(?:{expected}).*"));
        }
    }

    #[test]
    fn what_a_browser_would_read_otherwise_is_left_to_the_check_here() {
        for pattern in ["(?i)ada", "[a[bc]]", "[[:alpha:]]", "[a-z&&[^b]]", r"a\"] {
            assert_eq!(of_whole_value(pattern), None, "{pattern}");
        }
    }
}
