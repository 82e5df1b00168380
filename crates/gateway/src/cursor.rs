//! Cursors of lists: opaque to whoever holds one, and good only for the connected account, the tool and
//! the arguments they were made for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::canonical::canonical;

const NONCE: usize = 24;
const PLAIN: usize = 16;

/// The key that seals cursors.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// Takes the key made for this purpose.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

/// What a cursor is good for.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The id of the connected account.
    pub connected_account: &'a str,
    /// The origins that its calls go to: what one gave is asked of no other.
    pub origins: &'a str,
    /// The resource and the method of the tool.
    pub tool: (&'a str, &'a str),
    /// The arguments of the call; `limit` and `next_cursor` do not count.
    pub arguments: &'a Map<String, Value>,
}

/// The argument for how many items to answer.
pub const LIMIT: &str = "limit";
/// The argument for the page to answer.
pub const CURSOR: &str = "next_cursor";

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many items lie before it.
    pub offset: u64,
    /// How many items it has at most.
    pub limit: u64,
}

/// A part of an upstream's list, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Items, or pages where the upstream numbers those, that lie before it; and how many it has.
    pub window: Window,
    /// What the upstream gave to come back with.
    pub mark: Option<String>,
}

impl Asked {
    /// The same without those parameters of its mark that nobody may be told; nothing where no other is left,
    /// which would be the first page again.
    pub(crate) fn without(self, is_secret: impl Fn(&str) -> bool) -> Option<Self> {
        let Some(mark) = &self.mark else {
            return Some(self);
        };
        let pairs = mark.split('&').filter(|pair| !is_secret(pair));
        let kept = pairs.collect::<Vec<_>>().join("&");
        // One that is written without escapes may reach over several of them.
        let is_good = !kept.is_empty() && !is_secret(&kept);
        is_good.then_some(Self {
            mark: Some(kept),
            ..self
        })
    }
}

impl From<Window> for Asked {
    fn from(window: Window) -> Self {
        Self { window, mark: None }
    }
}

impl AsMut<Window> for Asked {
    fn as_mut(&mut self) -> &mut Window {
        &mut self.window
    }
}

impl AsMut<Window> for Window {
    fn as_mut(&mut self) -> &mut Window {
        self
    }
}

/// A cursor that was not made here, or for another call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`next_cursor` is not one that this tool gave for these arguments; pass it back exactly as received, \
     with the same arguments, or leave it out for the first page"
)]
pub struct ForeignCursor;

impl CursorKey {
    /// The cursor of a page.
    pub fn seal(&self, binding: Binding<'_>, window: Window) -> String {
        self.seal_place(binding, &plain(window))
    }

    /// The cursor of a page of an upstream, with what that gave to come back with.
    pub fn seal_asked(&self, binding: Binding<'_>, asked: &Asked) -> String {
        let mut plain = plain(asked.window).to_vec();
        plain.extend(asked.mark.iter().flat_map(|mark| mark.bytes()));
        self.seal_place(binding, &plain)
    }

    /// The page of an upstream of a cursor that was made for this call.
    pub fn open_asked(&self, binding: Binding<'_>, cursor: &str) -> Result<Asked, ForeignCursor> {
        let plain = self.open_place(binding, cursor)?;
        let (window, mark) = plain.split_first_chunk::<PLAIN>().ok_or(ForeignCursor)?;
        let mark = String::from_utf8(mark.to_vec()).map_err(|_| ForeignCursor)?;
        Ok(Asked {
            window: window_of(*window),
            mark: Some(mark).filter(|mark| !mark.is_empty()),
        })
    }

    /// The cursor of a place that is no offset, such as a row.
    pub(crate) fn seal_place(&self, binding: Binding<'_>, plain: &[u8]) -> String {
        let bound = binding.digest();
        let nonce = self.nonce(&bound, plain);
        let sealed = self
            .cipher()
            .encrypt(
                &nonce,
                Payload {
                    msg: plain,
                    aad: &bound,
                },
            )
            .expect("a place is within the cipher's limit");
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// The page of a cursor that was made for this call.
    pub fn open(&self, binding: Binding<'_>, cursor: &str) -> Result<Window, ForeignCursor> {
        let plain = self.open_place(binding, cursor)?;
        let plain = <[u8; PLAIN]>::try_from(plain).map_err(|_| ForeignCursor)?;
        Ok(window_of(plain))
    }

    /// The place of a cursor that was made for this list.
    pub(crate) fn open_place(
        &self,
        binding: Binding<'_>,
        cursor: &str,
    ) -> Result<Vec<u8>, ForeignCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ForeignCursor)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(ForeignCursor)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| ForeignCursor)?;
        let bound = binding.digest();
        self.cipher()
            .decrypt(
                &nonce,
                Payload {
                    msg: sealed,
                    aad: &bound,
                },
            )
            .map_err(|_| ForeignCursor)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }

    /// A nonce made of what is sealed: the same page has the same cursor, and two pages never share a
    /// nonce but by a collision of 192 bits.
    fn nonce(&self, bound: &[u8; 32], plain: &[u8]) -> XNonce {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"cursor nonce");
        mac.update(bound);
        mac.update(plain);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let nonce: [u8; NONCE] = digest[..NONCE].try_into().expect("24 of 32 bytes");
        nonce.into()
    }
}

fn plain(window: Window) -> [u8; PLAIN] {
    let both = (u128::from(window.offset) << 64) | u128::from(window.limit);
    both.to_be_bytes()
}

fn window_of(plain: [u8; PLAIN]) -> Window {
    let (offset, limit) = plain.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    Window {
        offset: number(offset),
        limit: number(limit),
    }
}

impl Binding<'_> {
    fn digest(&self) -> [u8; 32] {
        let mut arguments = self.arguments.clone();
        arguments.retain(|name, value| name != LIMIT && name != CURSOR && !value.is_null());
        let mut digest = Sha256::new();
        for part in [
            self.connected_account.as_bytes(),
            self.origins.as_bytes(),
            self.tool.0.as_bytes(),
            self.tool.1.as_bytes(),
            &canonical(&arguments),
        ] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PAGE: Window = Window {
        offset: 50,
        limit: 50,
    };

    fn key() -> CursorKey {
        CursorKey::new([7; 32])
    }

    fn binding(arguments: &Value) -> Binding<'_> {
        Binding {
            connected_account: "ia_1",
            origins: "",
            tool: ("api_keys", "list"),
            arguments: arguments.as_object().unwrap(),
        }
    }

    #[test]
    fn a_cursor_opens_for_the_call_it_was_made_for() {
        let asked = json!({ "projectId": "prj_1", "limit": 50 });
        let cursor = key().seal(binding(&asked), PAGE);
        let next = json!({ "next_cursor": cursor, "projectId": "prj_1" });
        assert_eq!(key().open(binding(&next), &cursor), Ok(PAGE));
        assert_eq!(cursor, key().seal(binding(&asked), PAGE));
    }

    #[test]
    fn a_borrowed_cursor_is_refused() {
        let asked = json!({ "projectId": "prj_1" });
        let cursor = key().seal(binding(&asked), PAGE);
        let own = binding(&asked);
        let other = json!({ "projectId": "prj_2" });
        for borrowed in [
            Binding {
                connected_account: "ia_2",
                ..own
            },
            Binding {
                origins: "https://b.test",
                ..own
            },
            Binding {
                tool: ("api_keys", "other"),
                ..own
            },
            Binding {
                tool: ("api_keysl", "ist"),
                ..own
            },
            binding(&other),
        ] {
            assert_eq!(key().open(borrowed, &cursor), Err(ForeignCursor));
        }
        assert_eq!(
            CursorKey::new([8; 32]).open(own, &cursor),
            Err(ForeignCursor)
        );
    }

    proptest! {
        #[test]
        fn every_page_comes_back(offset: u64, limit: u64, project in ".{0,20}") {
            let asked = json!({ "projectId": project });
            let window = Window { offset, limit };
            let cursor = key().seal(binding(&asked), window);
            prop_assert_eq!(key().open(binding(&asked), &cursor), Ok(window));
        }

        #[test]
        fn a_forged_cursor_is_refused(text in ".{0,120}") {
            prop_assert_eq!(key().open(binding(&json!({})), &text), Err(ForeignCursor));
        }

        #[test]
        fn a_changed_cursor_is_refused(at in 0_usize..75, to in "[A-Za-z0-9_-]") {
            let asked = json!({});
            let cursor = key().seal(binding(&asked), PAGE);
            let mut changed = cursor.clone();
            let at = at % changed.len();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != cursor);
            prop_assert_eq!(key().open(binding(&asked), &changed), Err(ForeignCursor));
        }
    }
}
