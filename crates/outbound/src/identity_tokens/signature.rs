//! The one signature that tokens of identity providers have: RS256, checked by ring, the provider of all
//! other cryptography here. `jsonwebtoken` knows no other one, so that no token can ask for any.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::RS256 => Ok(Box::new(Rs256::of(key)?)),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Says what signatures are checked by. It is for the whole process, and the same each time.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// Checks with one public key, of 2048 to 8192 bits.
struct Rs256 {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Rs256 {
    fn of(key: &DecodingKey) -> Result<Self, jsonwebtoken::errors::Error> {
        match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Self {
                modulus: n.clone(),
                exponent: e.clone(),
            }),
            DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat.into()),
        }
    }
}

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
