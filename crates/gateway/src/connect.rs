//! Connecting: what a connected account's credentials are, and how they are kept.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_domain::rights::AccountRef;
use claviger_store::connected_accounts::{ConnectedAccount, SealedCredentials};
use claviger_store::sealing::{MasterKey, Purpose};
use claviger_store::{Base, Change, StoreError};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The slug of the built-in connector.
pub const BUILT_IN_SLUG: &str = "theauthapi";
const API_KEY: &str = "api_key";

/// The connected account through which an account's tools call this instance, with an access key that
/// was made for that. The caller stores it in the transaction of `change`.
pub fn to_this_instance(
    master: &MasterKey,
    change: &Change,
    account: &AccountRef,
    access_key: &PlainKey,
) -> ConnectedAccount {
    let id = Id::<id::ConnectedAccount>::draw(&*change.random);
    let plain = json!({ API_KEY: access_key.expose() }).to_string();
    let sealed = master.seal(
        Purpose::Credentials,
        id.as_str(),
        plain.as_bytes(),
        &*change.random,
    );
    ConnectedAccount {
        account_id: account.id.clone(),
        root_account_id: account.root.clone(),
        project_id: None,
        integration: BUILT_IN_SLUG.to_owned(),
        tenant_id: account.id.to_string(),
        authentication_method: API_KEY.to_owned(),
        credentials: SealedCredentials(sealed),
        status: "active".to_owned(),
        base: Base::made_by(change),
        id,
    }
}

/// Opens the stored access key of a connected account.
pub(crate) fn stored_access_key(
    master: &MasterKey,
    connected: &ConnectedAccount,
) -> Result<PlainKey, StoreError> {
    let sealed = &connected.credentials.0;
    let opened = master.open(Purpose::Credentials, connected.id.as_str(), sealed)?;
    let read: Option<Value> = serde_json::from_slice(opened.expose_secret()).ok();
    let key = read
        .as_ref()
        .and_then(|read| read.get(API_KEY))
        .and_then(Value::as_str);
    key.map(PlainKey::new).ok_or(StoreError::Row {
        table: "connected_accounts",
        what: "credentials",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use claviger_domain::event::Actor;
    use claviger_domain::random::Random;
    use claviger_domain::time::Timestamp;

    use super::*;

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn a_stored_key_opens_for_its_own_connected_account_only() {
        let change = Change {
            actor: Actor::System,
            now: Timestamp::from_micros(0),
            random: Arc::new(Zeros),
        };
        let master = MasterKey::new([1; 32]);
        let account = AccountRef::root(Id::from_trusted("acc_1"));
        let key = PlainKey::new("live_access_x");
        let connected = to_this_instance(&master, &change, &account, &key);
        assert_eq!(
            stored_access_key(&master, &connected).unwrap().expose(),
            "live_access_x"
        );
        assert!(!format!("{connected:?}").contains("live_access_x"));
        let moved = ConnectedAccount {
            id: Id::from_trusted("cac_other"),
            ..connected
        };
        assert!(stored_access_key(&master, &moved).is_err());
    }
}
