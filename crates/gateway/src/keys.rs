//! The gateway's own keys, derived from the one that the sealing key gives for this purpose.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::canonical::canonical;
use crate::cursor::CursorKey;
use crate::sealed::HandleKey;
use crate::ticket::TicketKey;

/// What seals cursors and secrets, digests logged arguments, and makes the tickets of pages.
pub(crate) struct Keys {
    pub(crate) cursors: CursorKey,
    pub(crate) arguments: ArgumentsKey,
    pub(crate) handles: HandleKey,
    pub(crate) tickets: TicketKey,
}

impl Keys {
    pub(crate) fn derive(key: &SecretBox<[u8; 32]>) -> Self {
        Self {
            cursors: CursorKey::new(part(key, b"cursors")),
            arguments: ArgumentsKey(part(key, b"arguments")),
            handles: HandleKey::new(part(key, b"handles")),
            tickets: TicketKey::new(part(key, b"tickets")),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[keys]")
    }
}

/// The key under which the log digests arguments: equal ones can be told, and none guessed.
pub(crate) struct ArgumentsKey([u8; 32]);

impl ArgumentsKey {
    pub(crate) fn digest(&self, arguments: &Map<String, Value>) -> [u8; 32] {
        mac(&self.0, &canonical(arguments))
    }
}

fn part(key: &SecretBox<[u8; 32]>, name: &[u8]) -> [u8; 32] {
    mac(key.expose_secret(), name)
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
