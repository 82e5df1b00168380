//! What only a webhook's receiver may see, and what that is bound to.

use claviger_domain::time::Timestamp;
use url::Url;

use super::Webhook;
use crate::db::on;
use crate::{Db, StoreError};

/// The secrets of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Under which deliveries are signed.
    pub secret: Vec<u8>,
    /// Under which they are signed as well, each until an instant: at most two, the newer first.
    pub previous: Vec<(Vec<u8>, Timestamp)>,
    /// Under which the older header is signed.
    pub legacy: Option<Vec<u8>>,
    /// The headers that are sent along, JSON.
    pub headers: Option<Vec<u8>>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[sealed]")
    }
}

impl Webhook {
    /// What its secrets are bound to: they open for it, and for this receiver, alone.
    pub fn subject(&self) -> String {
        subject(self.id.as_str(), &self.url)
    }

    /// Scheme, host and port of its URL.
    pub fn origin(&self) -> String {
        origin(&self.url)
    }
}

/// From the URL that is dialled, and not from anything beside it: who changes that changes this.
fn subject(id: &str, url: &str) -> String {
    format!("{id} {}", origin(url))
}

/// Scheme, host and port of a URL; nothing of what is none.
pub fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

/// What is sealed of all webhooks, each with what it is bound to.
pub(crate) async fn all_sealed(db: &Db) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    type Columns = (
        String,
        String,
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
    );
    const SQL: &str = "SELECT id, url, secret, previous_secret, earlier_secret, legacy_secret, \
                       headers FROM webhooks";
    let rows: Vec<Columns> = on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    let sealed =
        rows.into_iter()
            .flat_map(|(id, url, secret, previous, earlier, legacy, headers)| {
                let subject = subject(&id, &url);
                // That of one that was deleted is erased.
                let secret = Some(secret).filter(|secret| !secret.is_empty());
                let all = [secret, previous, earlier, legacy, headers];
                all.into_iter()
                    .flatten()
                    .map(move |one| (subject.clone(), one))
            });
    Ok(sealed.collect())
}
