//! What mails say, in plain text and in HTML.

use std::fmt;

use askama::Template;
use claviger_domain::plain_text;
use serde::{Deserialize, Serialize};

/// A link in a mail: built from the configured URL, with a token that is good once. It prints as
/// `[link]`.
#[derive(Clone)]
pub struct Link(pub String);

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[link]")
    }
}

/// Who asks somebody into an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inviter {
    /// A person.
    Person {
        /// What they call themselves.
        name: String,
        /// Where mail reaches them, which was seen.
        email: String,
    },
    /// A program with a key.
    Program,
    /// Whoever runs the instance.
    Operator,
}

/// What is said to somebody. It prints as its kind.
#[derive(Clone)]
pub enum Letter {
    /// They are asked into an account.
    Invitation {
        /// Into which.
        account: String,
        /// As what.
        role: &'static str,
        /// For which projects; none: for all of it.
        projects: Vec<String>,
        /// By whom.
        by: Inviter,
        /// Where they accept.
        link: Link,
    },
    /// They asked for a code to sign in.
    SignIn {
        /// The digits.
        code: String,
        /// The same, without typing.
        link: Link,
    },
    /// They asked for another password.
    Password {
        /// Where they choose it.
        link: Link,
    },
    /// Whoever has their address at a provider signs in as them from now on.
    WayInAdded {
        /// The provider.
        provider: &'static str,
        /// The URL of this instance.
        instance: String,
    },
}

/// A mail as it is kept sealed until it is sent.
#[derive(Deserialize, Serialize)]
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

#[derive(Template)]
#[template(path = "invitation.txt", escape = "none")]
struct InvitationText<'a> {
    account: &'a str,
    role: &'a str,
    projects: &'a [String],
    by: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage<'a> {
    account: &'a str,
    role: &'a str,
    projects: &'a [String],
    by: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in.txt", escape = "none")]
struct SignInText<'a> {
    code: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    code: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "password.txt", escape = "none")]
struct PasswordText<'a> {
    link: &'a str,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    link: &'a str,
}

#[derive(Template)]
#[template(path = "way_in_added.txt", escape = "none")]
struct WayInAddedText<'a> {
    provider: &'a str,
    instance: &'a str,
}

#[derive(Template)]
#[template(path = "way_in_added.html")]
struct WayInAddedPage<'a> {
    provider: &'a str,
    instance: &'a str,
}

impl fmt::Debug for Letter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind())
    }
}

/// Characters of a name that others chose that a mail repeats: enough for a name, and few for a message.
const LONGEST_NAME: usize = 60;

impl Letter {
    /// What kind of mail it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "invitation",
            Self::SignIn { .. } => "sign-in",
            Self::Password { .. } => "password",
            Self::WayInAdded { .. } => "way-in-added",
        }
    }

    /// Writes it. What others chose, such as the name of an account, has nothing in it that could act or
    /// end a line.
    pub(super) fn write(&self) -> Written {
        let (subject, text, html) = match self {
            Self::Invitation {
                account,
                role,
                projects,
                by,
                link: Link(link),
            } => {
                let account = &clean(account);
                let projects = &projects.iter().map(|name| clean(name)).collect::<Vec<_>>()[..];
                let by = &by.to_string();
                let text = InvitationText {
                    account,
                    role,
                    projects,
                    by,
                    link,
                };
                let page = InvitationPage {
                    account,
                    role,
                    projects,
                    by,
                    link,
                };
                let subject = format!("You are invited to {account}");
                (subject, text.render(), page.render())
            }
            Self::SignIn {
                code,
                link: Link(link),
            } => {
                let subject = "Your code to sign in".to_owned();
                let page = SignInPage { code, link };
                (subject, SignInText { code, link }.render(), page.render())
            }
            Self::Password { link: Link(link) } => {
                let subject = "Choose another password".to_owned();
                let page = PasswordPage { link };
                (subject, PasswordText { link }.render(), page.render())
            }
            Self::WayInAdded { provider, instance } => {
                let subject = format!("You can sign in with {provider} now");
                let page = WayInAddedPage { provider, instance };
                let text = WayInAddedText { provider, instance };
                (subject, text.render(), page.render())
            }
        };
        Written {
            subject,
            text: text.expect("a template of text always renders"),
            html: html.expect("a template of text always renders"),
        }
    }
}

impl fmt::Display for Inviter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { name, email } => write!(out, "{} ({email})", clean(name)),
            Self::Program => out.write_str("a program that has a key for it"),
            Self::Operator => out.write_str("whoever runs this instance of Claviger"),
        }
    }
}

/// A name that others chose, as a mail repeats it.
fn clean(text: &str) -> String {
    let clean = plain_text::clean(text).replace(['\n', '\t'], " ");
    let clean = clean.trim();
    let mut short: String = clean.chars().take(LONGEST_NAME).collect();
    if short.len() < clean.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_chose_is_inert() {
        let letter = Letter::Invitation {
            account: "<b>Acme</b>\r\nBcc: eve@example.com \u{202e}\u{1b}[31m".to_owned(),
            role: "viewer",
            projects: vec!["<script>".to_owned()],
            by: Inviter::Person {
                name: "<i>Eve</i>\r\n\u{202e}".to_owned(),
                email: "eve@example.com".to_owned(),
            },
            link: Link("https://keys.example.com/accept-invitation?token=invite_1&x=2".to_owned()),
        };
        let Written {
            subject,
            text,
            html,
        } = letter.write();
        assert!(
            !subject.contains(['\r', '\n', '\u{1b}', '\u{202e}']),
            "{subject:?}"
        );
        assert!(
            !html.contains("<b>Acme") && !html.contains("<script>") && !html.contains("<i>"),
            "{html}"
        );
        assert!(html.contains("token=invite_1&#38;x=2"), "{html}");
        assert!(text.contains("by <i>Eve</i> (eve@example.com)."), "{text}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        assert!(
            text.contains("<script>") && text.contains("token=invite_1&x=2"),
            "{text}"
        );
        assert_eq!(format!("{letter:?}"), "invitation");
    }

    #[test]
    fn a_name_that_others_chose_is_no_message() {
        let name = "Your invoice is overdue, pay within the hour or lose it all at evil.example";
        let letter = Letter::Invitation {
            account: name.to_owned(),
            role: "viewer",
            projects: vec![name.to_owned()],
            by: Inviter::Person {
                name: name.to_owned(),
                email: "eve@example.com".to_owned(),
            },
            link: Link(String::new()),
        };
        let written = letter.write();
        for part in [written.subject, written.text, written.html] {
            assert!(
                part.contains("Your invoice") && !part.contains("evil"),
                "{part}"
            );
        }
    }

    #[test]
    fn a_code_and_a_link_are_in_both_forms() {
        let link = || Link("https://keys.example.com/sign-in?token=signin_1".to_owned());
        let code = "12345678".to_owned();
        let sign_in = Letter::SignIn { code, link: link() }.write();
        for body in [&sign_in.text, &sign_in.html] {
            assert!(
                body.contains("12345678") && body.contains("signin_1"),
                "{body}"
            );
        }
        let password = Letter::Password { link: link() }.write();
        assert!(password.text.contains("signin_1") && password.html.contains("signin_1"));
        let added = Letter::WayInAdded {
            provider: "Firebase",
            instance: "https://keys.example.com".to_owned(),
        };
        let added = added.write();
        for body in [&added.subject, &added.text, &added.html] {
            assert!(body.contains("Firebase"), "{body}");
        }
        assert!(added.text.contains("https://keys.example.com"));
        // The digits are not for whoever looks at a locked screen.
        assert!(!sign_in.subject.contains("1234"));
    }
}
