//! Linking: how somebody who has no account here connects one of theirs to the account that asked them to.
//! A link's token is exchanged for a ticket, which the browser keeps; its page asks for what a connector
//! needs; and the page that opened it is told what came of it.

pub(crate) mod choice;
pub(crate) mod client;
pub(crate) mod consent;
pub(crate) mod ending;
pub(crate) mod entering;
pub(crate) mod form;
pub(crate) mod link;
pub(crate) mod page;
mod pattern;
pub(crate) mod registered;
pub(crate) mod trying;

/// Where somebody connects.
pub(crate) const PATH: &str = "/connect-account";
/// Where answers to what was asked elsewhere come: of each account's client at each connector to a path of its
/// own, so that whom an answer is from shows where it comes (RFC 9700, 4.4.2).
pub(crate) const CALLBACK: &str = "/connect-account/callback/{account}/{integration}";
