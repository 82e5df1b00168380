//! Sealing: authenticated encryption of secrets at rest, one key a purpose, under the master key.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use claviger_domain::random::Random;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use sha2::Sha256;

use crate::StoreError;

/// The 32 bytes under which everything sealed lies. It is kept outside the database.
pub struct MasterKey(SecretBox<[u8; 32]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[master key]")
    }
}

/// What a sealed secret is: it opens for that purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The pepper of key digests.
    Pepper,
    /// Credentials of connected accounts.
    Credentials,
    /// Cursors and digests that the gateway hands out or logs.
    Gateway,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Credentials => "credentials",
            Self::Gateway => "gateway",
        }
    }
}

/// Written before each sealed text, so that a later form can be told apart.
const FORM: u8 = 1;
const NONCE_LENGTH: usize = 24;

impl MasterKey {
    /// Takes 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The key of one purpose: 32 bytes.
    pub fn derive(&self, purpose: Purpose) -> SecretBox<[u8; 32]> {
        let mut key = Box::new([0u8; 32]);
        Hkdf::<Sha256>::new(Some(b"claviger"), self.0.expose_secret())
            .expand(purpose.as_str().as_bytes(), &mut *key)
            .expect("32 bytes are within what HKDF gives");
        SecretBox::new(key)
    }

    /// Seals `plain`. `subject`, such as a row's id, is bound to it: elsewhere it does not open.
    pub fn seal(
        &self,
        purpose: Purpose,
        subject: &str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        let mut nonce = [0u8; NONCE_LENGTH];
        random.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: subject.as_bytes(),
        };
        let sealed = self
            .cipher(purpose)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("secrets are far shorter than the cipher's limit");
        [&[FORM], &nonce[..], &sealed].concat()
    }

    /// Opens what [`MasterKey::seal`] made for the same purpose and subject.
    pub fn open(
        &self,
        purpose: Purpose,
        subject: &str,
        sealed: &[u8],
    ) -> Result<SecretSlice<u8>, StoreError> {
        let refused = StoreError::Unsealing(purpose.as_str());
        let Some((&FORM, rest)) = sealed.split_first() else {
            return Err(refused);
        };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_LENGTH>() else {
            return Err(refused);
        };
        let payload = Payload {
            msg: sealed,
            aad: subject.as_bytes(),
        };
        match self.cipher(purpose).decrypt(&XNonce::from(*nonce), payload) {
            Ok(plain) => Ok(plain.into()),
            Err(_) => Err(refused),
        }
    }

    fn cipher(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.derive(purpose).expose_secret().into())
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

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_subject_only() {
        let master = MasterKey::new([7; 32]);
        let sealed = master.seal(Purpose::Credentials, "cac_1", b"secret", &Zeros);
        let opened = master.open(Purpose::Credentials, "cac_1", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), b"secret");
        assert!(master.open(Purpose::Credentials, "cac_2", &sealed).is_err());
        assert!(master.open(Purpose::Pepper, "cac_1", &sealed).is_err());
        assert!(
            MasterKey::new([8; 32])
                .open(Purpose::Credentials, "cac_1", &sealed)
                .is_err()
        );
        for length in 0..sealed.len() {
            assert!(
                master
                    .open(Purpose::Credentials, "cac_1", &sealed[..length])
                    .is_err()
            );
        }
    }
}
