//! Sealing: authenticated encryption of secrets at rest.
//!
//! Two layers, so that the outer one can be exchanged without touching what lies under the inner
//! one: the master key, kept outside the database, wraps a few secrets of the instance; one of these,
//! the sealing key, seals everything else, with one key a purpose. A sealed text names its key.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use claviger_domain::random::Random;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use sha2::Sha256;

use crate::StoreError;

/// The 32 bytes that wrap the instance's own secrets. They are kept outside the database.
#[derive(Clone)]
pub struct MasterKey(Key);

/// The 32 bytes under which everything sealed lies. They are in the database, wrapped.
pub struct SealingKey(Key);

/// What tells keys apart, and nothing about them: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; ID_LENGTH]);

/// What a sealed secret is: it opens for that purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Credentials of connected accounts.
    Credentials,
    /// Cursors and digests that the gateway hands out or logs.
    Gateway,
    /// Full keys of projects whose keys can be read back.
    ApiKeys,
    /// Answers that are given again with their secret.
    Answers,
    /// Secrets of webhooks, and the headers that they send.
    Webhooks,
    /// Mails that wait.
    Mails,
    /// Secrets of the OAuth clients of accounts.
    OAuthClients,
    /// What a link waits for an answer with.
    Links,
    /// What connectors send with every call.
    Connectors,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Gateway => "gateway",
            Self::ApiKeys => "api-keys",
            Self::Answers => "answers",
            Self::Webhooks => "webhooks",
            Self::Mails => "mails",
            Self::OAuthClients => "oauth-clients",
            Self::Links => "links",
            Self::Connectors => "connectors",
        }
    }
}

/// Written before each sealed text. The first form named no key.
const UNNAMED: u8 = 1;
const NAMED: u8 = 2;
const ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;
/// What the master key is used for, beside what it was used for in the first form.
const WRAPPING: &str = "wrapping";

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[master key]")
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[sealing key]")
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{self}")
    }
}

impl MasterKey {
    /// Takes 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Key::new(bytes))
    }

    /// What tells it from other keys.
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// Wraps a secret of the instance, which opens under that name only.
    pub(crate) fn wrap(&self, name: &str, plain: &[u8], random: &dyn Random) -> Vec<u8> {
        self.0.seal(WRAPPING, name, plain, random)
    }

    /// Opens what was wrapped. The first form has each secret under a key of its own name.
    pub(crate) fn unwrap(&self, name: &str, sealed: &[u8]) -> Result<SecretSlice<u8>, StoreError> {
        let purpose = if is_unnamed(sealed) { name } else { WRAPPING };
        let opened = self.0.open(purpose, name, sealed);
        opened.ok_or(StoreError::Unsealing("secrets of the instance"))
    }

    /// Opens credentials in the first form, which lay under the master key itself.
    pub(crate) fn open_early(
        &self,
        subject: &str,
        sealed: &[u8],
    ) -> Result<SecretSlice<u8>, StoreError> {
        let name = Purpose::Credentials.as_str();
        let opened = self.0.open(name, subject, sealed);
        opened.ok_or(StoreError::Unsealing(name))
    }
}

impl SealingKey {
    /// Takes 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Key::new(bytes))
    }

    /// The key of one purpose: 32 bytes.
    pub fn derive(&self, purpose: Purpose) -> SecretBox<[u8; 32]> {
        self.0.derive(purpose.as_str())
    }

    /// Seals `plain`. `subject`, such as a row's id, is bound to it: elsewhere it does not open.
    pub fn seal(
        &self,
        purpose: Purpose,
        subject: &str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        self.0.seal(purpose.as_str(), subject, plain, random)
    }

    /// Opens what [`SealingKey::seal`] made for the same purpose and subject.
    pub fn open(
        &self,
        purpose: Purpose,
        subject: &str,
        sealed: &[u8],
    ) -> Result<SecretSlice<u8>, StoreError> {
        let opened = self.0.open(purpose.as_str(), subject, sealed);
        opened.ok_or(StoreError::Unsealing(purpose.as_str()))
    }
}

/// The key that a sealed text names; none in the first form.
pub(crate) fn named_key(sealed: &[u8]) -> Option<KeyId> {
    let rest = sealed.strip_prefix(&[NAMED])?;
    rest.first_chunk().copied().map(KeyId)
}

/// Whether a sealed text is of the first form.
pub(crate) fn is_unnamed(sealed: &[u8]) -> bool {
    sealed.first() == Some(&UNNAMED)
}

/// They are in memory once, whoever holds them.
#[derive(Clone)]
struct Key(Arc<SecretBox<[u8; 32]>>);

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    fn expand(&self, name: &str, into: &mut [u8]) {
        Hkdf::<Sha256>::new(Some(b"claviger"), self.0.expose_secret())
            .expand(name.as_bytes(), into)
            .expect("32 bytes are within what HKDF gives");
    }

    fn derive(&self, name: &str) -> SecretBox<[u8; 32]> {
        let mut key = Box::new([0u8; 32]);
        self.expand(name, &mut *key);
        SecretBox::new(key)
    }

    fn id(&self) -> KeyId {
        let mut id = [0u8; ID_LENGTH];
        self.expand("id", &mut id);
        KeyId(id)
    }

    fn seal(&self, name: &str, subject: &str, plain: &[u8], random: &dyn Random) -> Vec<u8> {
        let mut nonce = [0u8; NONCE_LENGTH];
        random.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: subject.as_bytes(),
        };
        let sealed = self
            .cipher(name)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("secrets are far shorter than the cipher's limit");
        [&[NAMED], &self.id().0[..], &nonce[..], &sealed].concat()
    }

    /// `None` when it does not open, for whatever reason.
    fn open(&self, name: &str, subject: &str, sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let rest = match sealed.split_first()? {
            (&UNNAMED, rest) => rest,
            (&NAMED, rest) => rest.strip_prefix(&self.id().0)?,
            _ => return None,
        };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        let payload = Payload {
            msg: sealed,
            aad: subject.as_bytes(),
        };
        let opened = self.cipher(name).decrypt(&XNonce::from(*nonce), payload);
        opened.ok().map(Into::into)
    }

    fn cipher(&self, name: &str) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.derive(name).expose_secret().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    /// Sealed as the first form had it.
    fn sealed_early(key: [u8; 32], name: &str, subject: &str) -> Vec<u8> {
        let named = Key::new(key).seal(name, subject, b"secret", &Zeros);
        [&[UNNAMED], &named[1 + ID_LENGTH..]].concat()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_subject_only() {
        let key = SealingKey::new([7; 32]);
        let sealed = key.seal(Purpose::Credentials, "cac_1", b"secret", &Zeros);
        let opened = key.open(Purpose::Credentials, "cac_1", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), b"secret");
        assert!(key.open(Purpose::Credentials, "cac_2", &sealed).is_err());
        assert!(key.open(Purpose::Gateway, "cac_1", &sealed).is_err());
        let other = SealingKey::new([8; 32]);
        assert!(other.open(Purpose::Credentials, "cac_1", &sealed).is_err());
        for length in 0..sealed.len() {
            let cut = &sealed[..length];
            assert!(key.open(Purpose::Credentials, "cac_1", cut).is_err());
        }
    }

    #[test]
    fn what_was_wrapped_in_the_first_form_is_still_opened() {
        let master = MasterKey::new([7; 32]);
        let early = sealed_early([7; 32], "pepper", "pepper");
        assert!(is_unnamed(&early) && named_key(&early).is_none());
        let opened = master.unwrap("pepper", &early).unwrap();
        assert_eq!(opened.expose_secret(), b"secret");
        let early = sealed_early([7; 32], "credentials", "cac_1");
        assert!(master.open_early("cac_1", &early).is_ok());
        assert!(master.open_early("cac_2", &early).is_err());
        assert!(MasterKey::new([8; 32]).open_early("cac_1", &early).is_err());
    }

    #[test]
    fn a_wrapped_secret_names_its_key_and_opens_under_its_name_only() {
        let master = MasterKey::new([7; 32]);
        let wrapped = master.wrap("pepper", b"secret", &Zeros);
        assert_eq!(named_key(&wrapped), Some(master.id()));
        assert!(master.unwrap("pepper", &wrapped).is_ok());
        assert!(master.unwrap("sealing", &wrapped).is_err());
        assert_ne!(MasterKey::new([8; 32]).id(), master.id());
    }
}
