//! Names that are one and the same to some who read them. Readers of JSON, queries and forms differ in whether
//! case, spaces and punctuation count; what nobody may say is not said in another spelling either.

/// Names of what is sent whatever a caller says.
pub(crate) struct Sent(Vec<String>);

impl Sent {
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        Self(names.map(|name| folded(name)).collect())
    }

    /// Whether a name is one of them to some reader, or stands in one.
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = folded(name);
        self.0.iter().any(|sent| is_within(&name, sent))
    }
}

/// A name without what some readers do not tell apart: case, spaces around it, and dots and spaces, which are
/// underscores to some. Some end a name where it has a NUL. What is in brackets stays in brackets.
fn folded(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or_default();
    let (base, inside) = name.split_at(name.find('[').unwrap_or(name.len()));
    // Some letters are small forms of a letter that has another small form, and are equal to it for some.
    let folded = format!("{}{inside}", base.trim())
        .to_uppercase()
        .to_lowercase();
    folded.replace(['.', ' '], "_")
}

/// Whether a folded name is the other, or what stands in it: `a[b]` in `a`.
fn is_within(name: &str, other: &str) -> bool {
    let rest = name.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

/// The first of what is written for a name of its own that is one of the names of others, stands in one or has one
/// in it. That a name itself is like another is the document's affair.
pub(super) fn first_taken<'a>(
    own: &str,
    written: &'a [(String, String)],
    others: impl Iterator<Item = &'a String>,
) -> Option<&'a str> {
    let mut names = written.iter().map(|(name, _)| name.as_str());
    let first = names.find(|name| *name != own)?;
    let others = others.filter(|other| *other != own);
    let others: Vec<String> = others.map(|other| folded(other)).collect();
    let own_folded = folded(own);
    let is_taken = |name: &&str| {
        let is_inside = is_within(name, own);
        let name = folded(name);
        let mut others = others.iter();
        others.any(|other| {
            let counts = !is_inside || (is_within(other, &own_folded) && *other != own_folded);
            counts && (is_within(&name, other) || is_within(other, &name))
        })
    };
    std::iter::once(first)
        .chain(names.filter(|name| *name != own))
        .find(is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_another_spelling_is_the_same_name() {
        for other in [
            "account_id",
            "Account_ID",
            " account_id ",
            "account.id",
            "account id",
            "account_id\0x",
            "ACCOUNT_\u{131}D",
        ] {
            assert_eq!(folded(other), "account_id", "{other:?}");
        }
        assert!(is_within(&folded("Account.id []"), "account_id"));
        assert!(is_within("a[b][c]", "a[b]") && is_within("a[b]", "a"));
        assert!(!is_within("ab", "a") && !is_within("a", "a[b]") && !is_within("a[bc]", "a[b]"));
    }

    #[test]
    fn what_is_in_a_name_of_its_own_is_not_anothers() {
        let others =
            ["page[size]", "filter[tenant]", "token", "filter", "Filter"].map(str::to_owned);
        let taken = |name: &str| {
            let written = [("filter", "1"), (name, "2")];
            let written = written.map(|(name, value)| (name.to_owned(), value.to_owned()));
            first_taken("filter", &written, others.iter()).is_some()
        };
        for name in [
            "page[size]",
            "page[Size][]",
            "page",
            "token",
            "TOKEN[]",
            "filter[tenant]",
            "filter[Tenant][x]",
            "Filter",
            "Filter[x]",
        ] {
            assert!(taken(name), "{name}");
        }
        for name in [
            "filter",
            "filter[x]",
            "filter[token]",
            "page[number]",
            "tokens",
        ] {
            assert!(!taken(name), "{name}");
        }
    }
}
