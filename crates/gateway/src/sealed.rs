//! Secrets that do not pass through a model: they leave a result as a handle, which is the secret itself,
//! sealed for one account, connected account, server and field, and good for 15 minutes. It is opened in
//! arguments that the connector names, and once by a person. No row has a secret or a handle.

mod arguments;
mod results;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use claviger_store::connected_accounts::ConnectedAccount;
use serde::{Deserialize, Serialize};

pub(crate) use self::arguments::Opened;
pub(crate) use self::results::Hiding;

/// What every handle begins with: behind it are the rest of the server's id and, after a dot, what is sealed.
const PREFIX: &str = "sealed_mcp_";
/// What stands before the server's id.
const MARK: &str = "sealed_";
const NONCE: usize = 24;
/// How long a handle is good.
const SECONDS: i64 = 900;
/// Where a person opens one.
pub(crate) const PATH: &str = "/reveal";

/// The key that handles are sealed under.
pub(crate) struct HandleKey([u8; 32]);

impl HandleKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl fmt::Debug for HandleKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[handle key]")
    }
}

/// What a handle is bound to, beside its field.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    account: &'a Id<id::Account>,
    connected: &'a Id<id::ConnectedAccount>,
    server: &'a Id<id::McpServer>,
}

impl<'a> Bound<'a> {
    pub(crate) fn to(connected: &'a ConnectedAccount, server: &'a Id<id::McpServer>) -> Self {
        Self {
            account: &connected.account.id,
            connected: &connected.id,
            server,
        }
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.account, self.connected, self.server)
    }
}

/// What is in a handle.
#[derive(Serialize, Deserialize)]
struct Content {
    resource: String,
    method: String,
    field: String,
    expires_at: i64,
    secret: String,
}

/// A handle that was opened.
pub(crate) struct Secret {
    /// The resource, the method and the member of its answer that the secret was in.
    pub(crate) field: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) plain: PlainKey,
}

impl HandleKey {
    fn seal(&self, bound: Bound<'_>, content: &Content, random: &dyn Random) -> String {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let text = serde_json::to_vec(content).expect("texts and numbers are JSON");
        let bound_to = bound.text();
        let payload = Payload {
            msg: &text,
            aad: bound_to.as_bytes(),
        };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a secret is within the cipher's limit");
        let sealed = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        format!("{MARK}{}.{sealed}", bound.server)
    }

    /// The secret of a handle that was made for this place and has not ended.
    pub(crate) fn open(&self, bound: Bound<'_>, handle: &str, now: Timestamp) -> Option<Secret> {
        let (_, sealed) = handle.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let bound_to = bound.text();
        let payload = Payload {
            msg: sealed,
            aad: bound_to.as_bytes(),
        };
        let nonce = XNonce::try_from(nonce).ok()?;
        let text = self.cipher().decrypt(&nonce, payload).ok()?;
        let content: Content = serde_json::from_slice(&text).ok()?;
        let expires_at = Timestamp::from_micros(content.expires_at);
        (now < expires_at).then(|| Secret {
            field: format!("{}.{}.{}", content.resource, content.method, content.field),
            expires_at,
            plain: PlainKey::new(content.secret),
        })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

/// The server that a handle says it is of.
pub(crate) fn server_of(handle: &str) -> Option<Id<id::McpServer>> {
    let (server, _) = handle.strip_prefix(MARK)?.split_once('.')?;
    Id::parse(server)
}

#[cfg(test)]
mod tests;
