//! What a user's consent gives (RFC 6749, 4.1): a token, and what another one is fetched with when it ends.
//! Both are sealed with the origins that they are for, as everything is that somebody entered.

use std::sync::Arc;

use claviger_domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// What a consent gave.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access: Arc<SecretString>,
    /// What another token is fetched with; none: there is no other without another consent.
    pub(crate) refresh: Option<SecretString>,
    /// Until when the token is used; none: as long as it is taken.
    pub(crate) until: Option<Timestamp>,
}

impl Grant {
    /// Whether its token is used at `now`.
    pub(crate) fn is_good_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Its secrets, which come back in no answer.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let refresh = self.refresh.as_ref().map(ExposeSecret::expose_secret);
        std::iter::once(self.access.expose_secret()).chain(refresh)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "access_token": self.access.expose_secret(),
            "refresh_token": self.refresh.as_ref().map(ExposeSecret::expose_secret),
            "until": self.until.map(Timestamp::as_micros),
        })
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Some(Self {
            access: Arc::new(text("access_token")?.to_owned().into()),
            refresh: text("refresh_token").map(|token| token.to_owned().into()),
            until: value
                .get("until")
                .and_then(Value::as_i64)
                .map(Timestamp::from_micros),
        })
    }
}
