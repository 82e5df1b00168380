//! What is alike in all that a webhook is sent: its secrets are opened once for many deliveries.

use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{Format, Method};
use claviger_store::StoreError;
use claviger_store::webhooks::Webhook;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::SecretSlice;

use crate::signature;
use crate::webhooks::{Webhooks, custom_headers};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const LEGACY_SIGNATURE: HeaderName = HeaderName::from_static("theauthapi-signature");

/// A webhook whose secrets are open.
pub(crate) struct Letterhead<'a> {
    webhook: &'a Webhook,
    secrets: Vec<SecretSlice<u8>>,
    legacy: Option<SecretSlice<u8>>,
    own: HeaderMap,
}

impl Webhooks {
    /// Opens what deliveries of a webhook are signed and sent with.
    pub(crate) fn letterhead<'a>(
        &self,
        webhook: &'a Webhook,
        now: Timestamp,
    ) -> Result<Letterhead<'a>, StoreError> {
        let subject = webhook.subject();
        let sealed = &webhook.sealed;
        let previous = sealed.previous.iter().filter(|(_, until)| now < *until);
        let secrets = std::iter::once(&sealed.secret).chain(previous.map(|(secret, _)| secret));
        let secrets = secrets.map(|secret| self.open(&subject, secret));
        // Over what is not encrypted anybody could collect them.
        let legacy = sealed.legacy.as_ref();
        let legacy = legacy.filter(|_| webhook.url.starts_with("https://"));
        let broken = |_| StoreError::Row {
            table: "webhooks",
            what: "headers",
        };
        Ok(Letterhead {
            webhook,
            secrets: secrets.collect::<Result<_, _>>()?,
            legacy: legacy.map(|it| self.open(&subject, it)).transpose()?,
            own: custom_headers(&self.open_headers(webhook)?).map_err(broken)?,
        })
    }
}

impl Letterhead<'_> {
    /// The verb of deliveries.
    pub(crate) fn method(&self) -> Method {
        self.webhook.method
    }

    /// How their bodies look.
    pub(crate) fn format(&self) -> Format {
        self.webhook.format
    }

    /// All headers of a delivery: ours, signed, and the webhook's own.
    pub(crate) fn headers(&self, id: &str, now: Timestamp, body: &[u8]) -> HeaderMap {
        let text = |text: &str| HeaderValue::from_str(text).expect("letters and digits");
        // What is sensitive is also kept out of what is told of the answer.
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).expect("letters and digits");
            value.set_sensitive(true);
            value
        };
        let mut headers = self.own.clone();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(ID, text(id));
        headers.insert(TIMESTAMP, HeaderValue::from(now.as_seconds()));
        let signature = signature::standard(&self.secrets, id, now, body);
        headers.insert(SIGNATURE, sensitive(&signature));
        if let Some(legacy) = &self.legacy {
            let signature = signature::legacy(legacy, body);
            headers.insert(LEGACY_SIGNATURE, sensitive(&signature));
        }
        headers
    }
}
