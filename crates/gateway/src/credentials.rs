//! The credentials of connected accounts: opened when a call needs them, and kept by nobody.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_store::StoreError;
use claviger_store::sealing::{MasterKey, Purpose};
use secrecy::ExposeSecret;
use serde_json::Value;

/// The stored access key of a connected account with the format `api_key`.
pub(crate) fn stored_access_key(
    master: &MasterKey,
    connected: &Id<id::ConnectedAccount>,
    sealed: &[u8],
) -> Result<PlainKey, StoreError> {
    let opened = master.open(Purpose::Credentials, connected.as_str(), sealed)?;
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
        let master = MasterKey::new([1; 32]);
        let own = Id::from_trusted("cac_own");
        let plain = br#"{"api_key": "live_access_x"}"#;
        let sealed = master.seal(Purpose::Credentials, own.as_str(), plain, &Zeros);
        assert_eq!(
            stored_access_key(&master, &own, &sealed).unwrap().expose(),
            "live_access_x"
        );
        assert!(stored_access_key(&master, &Id::from_trusted("cac_other"), &sealed).is_err());
        let other = master.seal(Purpose::Credentials, own.as_str(), b"{}", &Zeros);
        assert!(stored_access_key(&master, &own, &other).is_err());
    }
}
