//! How people come in, as this instance is configured.

use std::sync::Arc;

use claviger_outbound::Firebase;
use claviger_outbound::mail::Post;

use crate::Passwords;

/// Who may sign up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// Nobody.
    Closed,
    /// Whoever has an invitation's token.
    #[default]
    Invited,
    /// Everybody, into an account of their own.
    Open,
}

impl SignUp {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Invited, Self::Open];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Invited => "invited",
            Self::Open => "open",
        }
    }
}

/// How people come in.
#[derive(Clone, Debug)]
pub struct People {
    /// Who may sign up.
    pub sign_up: SignUp,
    /// What links in mails begin with, without a slash at the end; never what a request says.
    pub public_url: Arc<str>,
    /// Writes and sends mails.
    pub post: Arc<Post>,
    /// The Firebase project whose users may sign in; none: nobody does so.
    pub firebase: Option<Arc<Firebase>>,
    /// Digests passwords.
    pub passwords: Arc<Passwords>,
}
