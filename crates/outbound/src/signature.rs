//! Signatures of deliveries: Standard Webhooks, and the older header.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::time::Timestamp;
use claviger_domain::token::WEBHOOK_SECRET_PREFIX;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// A secret as its receiver gets it: `whsec_` and base64.
pub(crate) fn shown(secret: &[u8]) -> SecretString {
    format!("{WEBHOOK_SECRET_PREFIX}{}", STANDARD.encode(secret)).into()
}

/// The header `webhook-signature`: one signature for each secret, the newest first.
pub(crate) fn standard(
    secrets: &[SecretSlice<u8>],
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> String {
    let signatures = secrets.iter().map(|secret| {
        let mut mac = keyed(secret);
        mac.update(format!("{id}.{}.", at.as_seconds()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// The header `theauthapi-signature`: hexadecimal, over the body alone.
pub(crate) fn legacy(secret: &SecretSlice<u8>, body: &[u8]) -> String {
    let mut mac = keyed(secret);
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes whatever is written");
        text
    })
}

fn keyed(secret: &SecretSlice<u8>) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose_secret()).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that libraries of Standard Webhooks are tested with.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            shown(&secret).expose_secret(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
        let secret = SecretSlice::from(secret);
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let body = br#"{"test": 2432232314}"#;
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            standard(std::slice::from_ref(&secret), id, at, body),
            expected
        );
        let both = standard(&[SecretSlice::from(vec![7; 32]), secret], id, at, body);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(expected));
    }
}
