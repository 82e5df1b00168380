//! The credentials of connected accounts: opened when a call needs them, and kept by nobody. With them
//! are sealed the origins that they were entered for: they go nowhere else.

use std::collections::BTreeMap;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_domain::random::Random;
use claviger_store::StoreError;
use claviger_store::sealing::{Purpose, SealingKey};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::grant::Grant;

/// The field that holds an access key, for the connector to this program itself.
const ACCESS_KEY: &str = "api_key";

/// Credentials, opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    /// Scheme, host and port of each place that may have them.
    pub(crate) origins: Vec<String>,
    values: BTreeMap<String, SecretString>,
    /// What a user's consent gave.
    pub(crate) grant: Option<Grant>,
}

impl Credentials {
    /// What was entered, for those origins.
    pub(crate) fn entered(given: &Map<String, Value>, origins: Vec<String>) -> Self {
        let texts = given
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?)));
        let values = texts
            .map(|(name, text)| (name.clone(), text.to_owned().into()))
            .collect();
        Self {
            origins,
            values,
            grant: None,
        }
    }

    /// The same with what a consent gave.
    #[must_use]
    pub(crate) fn with(self, grant: Grant) -> Self {
        Self {
            grant: Some(grant),
            ..self
        }
    }

    /// A value by its field's name.
    pub(crate) fn value(&self, field: &str) -> Option<&str> {
        self.values.get(field).map(ExposeSecret::expose_secret)
    }

    /// All values, by field.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// The stored access key of the connector to this program itself.
    pub(crate) fn access_key(&self) -> Option<PlainKey> {
        self.value(ACCESS_KEY).map(PlainKey::new)
    }

    /// Seals them for a connected account.
    pub(crate) fn seal(
        &self,
        sealing: &SealingKey,
        connected: &Id<id::ConnectedAccount>,
        random: &dyn Random,
    ) -> Vec<u8> {
        let values: Map<String, Value> = self
            .values()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let mut plain = json!({ "origins": self.origins, "values": values });
        if let Some(grant) = &self.grant {
            plain["grant"] = grant.to_json();
        }
        let plain = plain.to_string();
        sealing.seal(
            Purpose::Credentials,
            connected.as_str(),
            plain.as_bytes(),
            random,
        )
    }

    /// Opens what was sealed for a connected account.
    pub(crate) fn open(
        sealing: &SealingKey,
        connected: &Id<id::ConnectedAccount>,
        sealed: &[u8],
    ) -> Result<Self, StoreError> {
        let broken = StoreError::Row {
            table: "connected_accounts",
            what: "credentials",
        };
        let opened = sealing.open(Purpose::Credentials, connected.as_str(), sealed)?;
        let read = serde_json::from_slice(opened.expose_secret());
        let Ok(Value::Object(mut members)) = read else {
            return Err(broken);
        };
        // The first form has no origins and is the values themselves.
        let Some(Value::Object(values)) = members.remove("values") else {
            return Ok(Self::entered(&members, Vec::new()));
        };
        let origins = members.remove("origins").unwrap_or_default();
        let Ok(origins) = serde_json::from_value(origins) else {
            return Err(broken);
        };
        let grant = members.get("grant").map(Grant::from_json);
        let grant = grant.map(|grant| grant.ok_or(broken)).transpose()?;
        Ok(Self {
            grant,
            ..Self::entered(&values, origins)
        })
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
    fn credentials_open_for_their_own_connected_account_only() {
        let sealing = SealingKey::new([1; 32]);
        let own = Id::from_trusted("cac_own");
        let given = json!({ "user": "a", "password": "b" });
        let entered =
            Credentials::entered(given.as_object().unwrap(), vec!["https://x.test".into()]);
        let sealed = entered.seal(&sealing, &own, &Zeros);
        let opened = Credentials::open(&sealing, &own, &sealed).unwrap();
        assert_eq!(
            opened.values().collect::<Vec<_>>(),
            [("password", "b"), ("user", "a")]
        );
        assert_eq!(opened.origins, ["https://x.test"]);
        assert!(Credentials::open(&sealing, &Id::from_trusted("cac_other"), &sealed).is_err());
    }

    #[test]
    fn the_first_form_is_still_read() {
        let sealing = SealingKey::new([1; 32]);
        let own = Id::from_trusted("cac_own");
        let plain = br#"{"api_key": "live_access_x"}"#;
        let sealed = sealing.seal(Purpose::Credentials, own.as_str(), plain, &Zeros);
        let opened = Credentials::open(&sealing, &own, &sealed).unwrap();
        assert_eq!(opened.access_key().unwrap().expose(), "live_access_x");
        let broken = sealing.seal(Purpose::Credentials, own.as_str(), b"[]", &Zeros);
        assert!(Credentials::open(&sealing, &own, &broken).is_err());
    }

    #[test]
    fn nothing_of_them_is_printed() {
        let given = json!({ "password": "canary" });
        let entered = Credentials::entered(given.as_object().unwrap(), Vec::new());
        assert!(!format!("{entered:?}").contains("canary"));
    }
}
