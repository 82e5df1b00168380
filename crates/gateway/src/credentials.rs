//! The credentials of connected accounts: opened when a call needs them, and kept by nobody.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_store::StoreError;
use claviger_store::sealing::{Purpose, SealingKey};
use secrecy::ExposeSecret;
use serde_json::Value;

/// The stored access key of a connected account with the format `api_key`.
pub(crate) fn stored_access_key(
    sealing: &SealingKey,
    connected: &Id<id::ConnectedAccount>,
    sealed: &[u8],
) -> Result<PlainKey, StoreError> {
    let opened = sealing.open(Purpose::Credentials, connected.as_str(), sealed)?;
    let read: Option<Value> = serde_json::from_slice(opened.expose_secret()).ok();
    let key = read
        .as_ref()
        .and_then(|read| read.get("api_key"))
        .and_then(Value::as_str);
    key.map(PlainKey::new).ok_or(StoreError::Row {
        table: "connected_accounts",
        what: "credentials",
    })
}

#[cfg(test)]
mod tests {
    use claviger_domain::random::Random;

    use super::*;

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn a_stored_key_opens_for_its_own_connected_account_only() {
        let sealing = SealingKey::new([1; 32]);
        let own = Id::from_trusted("cac_own");
        let plain = br#"{"api_key": "live_access_x"}"#;
        let sealed = sealing.seal(Purpose::Credentials, own.as_str(), plain, &Zeros);
        assert_eq!(
            stored_access_key(&sealing, &own, &sealed).unwrap().expose(),
            "live_access_x"
        );
        assert!(stored_access_key(&sealing, &Id::from_trusted("cac_other"), &sealed).is_err());
        let other = sealing.seal(Purpose::Credentials, own.as_str(), b"{}", &Zeros);
        assert!(stored_access_key(&sealing, &own, &other).is_err());
    }
}
