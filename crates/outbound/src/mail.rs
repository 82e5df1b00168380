//! Mail: what is said to people, and how it gets to them.
//!
//! A mail is composed, sealed and queued with the change that it tells of; whoever holds the lease sends
//! it: to a server, or, where none is configured, into a folder.

mod compose;
mod outbox;
mod post;
mod transport;

pub use self::compose::{Inviter, Letter, Link};
pub use self::outbox::forget_files;
pub use self::post::{MailFigures, Post, PostSettings};
pub use self::transport::{
    Authorities, AuthoritiesFault, MailFault, MailUrlFault, Transport, check_url, masked_url,
};

/// Reads who mails are from: an address, or `Name <address>`; `None` where they cannot be.
pub fn sender(text: &str) -> Option<lettre::message::Mailbox> {
    text.parse().ok()
}
