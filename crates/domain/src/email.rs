//! Addresses of mail: what names a person before they have an id.

use std::fmt;

/// An address that mail can be sent to: `local@host`, of printable ASCII.
///
/// The host's case says nothing, and nobody tells addresses apart by the case of the rest, so that
/// both are folded where people are looked for. It is kept as it was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    given: String,
    folded: String,
}

/// Characters that an address may have.
const LONGEST: usize = 254;

impl Email {
    /// Reads an address; `None` when mail cannot be sent to it.
    pub fn parse(text: &str) -> Option<Self> {
        let given = text.trim();
        let (local, host) = given.rsplit_once('@')?;
        let is_local =
            |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let is_dotted =
            |text: &str| !text.starts_with('.') && !text.ends_with('.') && !text.contains("..");
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_fine = given.len() <= LONGEST
            && (1..=64).contains(&local.len())
            && local.bytes().all(is_local)
            && is_dotted(local)
            && host.split('.').all(is_label);
        is_fine.then(|| Self {
            given: given.to_owned(),
            folded: given.to_ascii_lowercase(),
        })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// As people are looked for.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// What is shown of it to those who may not see it: `a***@example.com`.
    pub fn masked(&self) -> String {
        let (local, host) = self.given.rsplit_once('@').unwrap_or_default();
        let first = local.chars().next().unwrap_or('*');
        format!("{first}***@{host}")
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_folded_and_masked() {
        let email = Email::parse(" Ada.Lovelace+keys@Example.COM ").unwrap();
        assert_eq!(email.as_str(), "Ada.Lovelace+keys@Example.COM");
        assert_eq!(email.folded(), "ada.lovelace+keys@example.com");
        assert_eq!(email.masked(), "A***@Example.COM");
        assert_eq!(format!("{email:?}"), "A***@Example.COM");
        assert!(Email::parse("root@localhost").is_some());
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_none() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@@example.com",
            "ada lovelace@example.com",
            "ada@exam ple.com",
            "ada@example..com",
            ".ada@example.com",
            "ada@-example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada,eve@example.com",
            "<ada@example.com>",
            "ad\u{e4}@example.com",
            "\"ada\"@example.com",
        ] {
            assert_eq!(Email::parse(text), None, "{text}");
        }
        assert_eq!(
            Email::parse(&format!("{}@example.com", "a".repeat(65))),
            None
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_could_end_a_line_of_a_header(text in "\\PC{0,20}@\\PC{0,20}") {
            if let Some(email) = Email::parse(&text) {
                prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!email.as_str().contains([',', ';', '<', '>', '"', '\\']));
                prop_assert_eq!(Email::parse(email.folded()).map(|it| it.folded), Some(email.folded));
            }
        }
    }
}
