//! Connectors that accounts brought: read from what was sent, within bounds, and compiled when their
//! tools are asked for.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::plain_text;
use claviger_domain::time::{Clock, Timestamp};
use claviger_edge::{ApiError, Core, ErrorCode};
use claviger_store::connectors::{self, StoredConnector, Texts};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use crate::catalogue::{Catalogue, Catalogues};
use crate::connector::{Connector, Faults};
use crate::doors::Doors;
use crate::openapi::{Bounds, Document, DocumentError, LARGEST, read_value};
use crate::sent_values::{HIDDEN, SentValues, left_hidden};

/// How long reading a document and making its tools may take, in seconds.
const LONGEST: i64 = 10;
/// The members in which a connector file names its document and its API.
const DOCUMENT: &str = "openapi";
const BASE_URL: &str = "base_url";
/// What stands in a stored file in the place of its document.
const SENT: &str = "sent";
/// How many faults one answer tells.
const TOLD: usize = 20;

/// The compiled connectors of accounts, and the doors to compiling more.
#[derive(Debug, Default)]
pub(crate) struct StoredConnectors {
    catalogues: Catalogues,
    pub(crate) doors: Doors,
}

/// A connector that was sent, read and compiled.
pub(crate) struct Taken {
    pub(crate) slug: String,
    pub(crate) label: String,
    pub(crate) category: Option<String>,
    /// Its file without what it sends with every call, and its document.
    texts: (String, String),
    values: SentValues,
    pub(crate) digest: Vec<u8>,
    pub(crate) catalogue: Arc<Catalogue>,
}

/// A stored connector that is changed.
pub(crate) struct Before {
    texts: Texts,
    values: SentValues,
}

impl Before {
    /// What is stored of a connector.
    pub(crate) fn of(
        core: &Core,
        connector: &Id<id::Connector>,
        texts: Texts,
    ) -> Result<Self, ApiError> {
        let values = SentValues::open(core, connector, &texts)?;
        Ok(Self { texts, values })
    }
}

impl Taken {
    /// What is stored of it.
    pub(crate) fn texts(&mut self, core: &Core, connector: &Id<id::Connector>) -> Texts {
        let (file, document) = std::mem::take(&mut self.texts);
        Texts {
            file,
            document,
            sealed_values: self.values.seal(core, connector),
        }
    }
}

impl StoredConnectors {
    /// Reads a body as a connector: a new one, or a change to `before`.
    pub(crate) async fn take(
        &self,
        core: &Core,
        body: Vec<u8>,
        before: Option<Before>,
    ) -> Result<Taken, ApiError> {
        let _door = self.doors.sent().await?;
        let clock = Arc::clone(&core.clock);
        let ends_at = core.now().plus_seconds(LONGEST);
        let mut taken = spawn_blocking(move || take(&body, before, &*clock, ends_at))
            .await
            .map_err(|_| ApiError::new(ErrorCode::Internal, "Internal server error"))??;
        let content = *taken.catalogue.content();
        taken.catalogue = self.catalogues.keep(content, taken.catalogue);
        Ok(taken)
    }

    /// The tools of a connector that an account brought.
    pub(crate) async fn catalogue_of(
        &self,
        core: &Core,
        stored: &StoredConnector,
    ) -> Result<Arc<Catalogue>, ApiError> {
        let digest = digest_of(stored)?;
        if let Some(catalogue) = self.catalogues.get(&digest) {
            return Ok(catalogue);
        }
        let _door = self.doors.stored().await?;
        // Whoever was first through the door may have compiled it.
        if let Some(catalogue) = self.catalogues.get(&digest) {
            return Ok(catalogue);
        }
        let current = connectors::with_texts(&core.db, &stored.id).await?;
        let (current, texts) = current.ok_or_else(not_there)?;
        // It may have been changed since it was found. All accounts share what is kept by a digest, so that
        // nothing else may be kept by it.
        let digest = digest_of(&current)?;
        let values = SentValues::open(core, &stored.id, &texts)?;
        let clock = Arc::clone(&core.clock);
        let ends_at = core.now().plus_seconds(LONGEST);
        let compiled = spawn_blocking(move || {
            let has_time = || clock.now() < ends_at;
            let bounds = bounds(&has_time);
            let mut file = serde_json::from_str(&texts.file).ok()?;
            values.put_back(&mut file);
            let connector = Connector::parse(&Value::Object(file).to_string()).ok()?;
            let document = Document::read(texts.document.as_bytes(), &bounds).ok()?;
            Catalogue::compile_within(&connector, &document, &bounds).ok()
        })
        .await;
        let Ok(Some(catalogue)) = compiled else {
            tracing::error!(connector = %stored.id, "a stored connector cannot be compiled");
            return Err(not_there());
        };
        if *catalogue.content() != digest {
            tracing::error!(connector = %stored.id, "a stored connector is not what its digest is of");
            return Err(not_there());
        }
        Ok(self.catalogues.keep(digest, Arc::new(catalogue)))
    }
}

fn digest_of(stored: &StoredConnector) -> Result<[u8; 32], ApiError> {
    stored.digest.as_slice().try_into().map_err(|_| not_there())
}

fn not_there() -> ApiError {
    let message = "The connector cannot be used as it is stored: send it again";
    ApiError::new(ErrorCode::NotConfigured, message)
}

fn bounds(has_time: &(dyn Fn() -> bool + Sync)) -> Bounds<'_> {
    Bounds {
        aliases: false,
        has_time,
    }
}

fn take(
    body: &[u8],
    before: Option<Before>,
    clock: &dyn Clock,
    ends_at: Timestamp,
) -> Result<Taken, ApiError> {
    let has_time = || clock.now() < ends_at;
    let bounds = bounds(&has_time);
    let whole = read_value(body, &bounds).map_err(|fault| unread(&fault))?;
    let Value::Object(mut members) = whole else {
        return Err(ApiError::new(
            ErrorCode::InvalidInput,
            "The body must be an object: the members of a connector file",
        ));
    };
    let sent = members.shift_remove(DOCUMENT);
    let (mut file, stored) = match before {
        Some(before) => (changed(&before, members)?, Some(before.texts.document)),
        None => (members, None),
    };
    check_base_url(&file)?;
    if let Some(place) = left_hidden(&mut file) {
        let must = format!(
            "`{place}` must be sent again: `{HIDDEN}` stands for a value that is stored, for the same `{BASE_URL}`"
        );
        return Err(ApiError::new(ErrorCode::InvalidInput, must));
    }
    // Positions are of the body, unless the document was a text of its own within it.
    let (text, is_part) = match (sent, stored) {
        (Some(Value::Object(document)), _) => (Value::Object(document).to_string(), true),
        (Some(Value::String(text)), _) if is_document(&text) => (text, false),
        (Some(Value::String(_)), _) => {
            return Err(not_allowed(
                DOCUMENT,
                "names a file, a URL or a document of this instance; send the document itself",
            ));
        }
        (None | Some(Value::Null), Some(stored)) => (stored, false),
        (None, None) => return Err(ApiError::field(DOCUMENT, "must be the OpenAPI document")),
        (Some(_), _) => {
            let must = "must be the OpenAPI document, as an object or as a text";
            return Err(ApiError::field(DOCUMENT, must));
        }
    };
    let whole = if is_part { body } else { text.as_bytes() };
    let document = Document::read_part(text.as_bytes(), whole, &bounds);
    let document = document.map_err(|fault| unread(&fault))?;
    file.insert(DOCUMENT.to_owned(), SENT.into());
    let whole_file = Value::Object(file.clone()).to_string();
    let connector = Connector::parse(&whole_file).map_err(|faults| faulty(&faults))?;
    let catalogue = Catalogue::compile_within(&connector, &document, &bounds);
    let catalogue = Arc::new(catalogue.map_err(|faults| faulty(&faults))?);
    let read = connector.file();
    let values = SentValues::take_out(&mut file);
    Ok(Taken {
        slug: read.slug.value.clone(),
        label: read.label.clone(),
        category: read.category.clone(),
        digest: catalogue.content().to_vec(),
        texts: (Value::Object(file).to_string(), text),
        values,
        catalogue,
    })
}

/// Whether a text is a document, and not the name of one.
fn is_document(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') || text.contains('\n')
}

/// The file with a body's members in the place of its own; null takes one out. What is sent with every call
/// and not shown stays as it is, unless calls go elsewhere from now on.
fn changed(before: &Before, members: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let file = serde_json::from_str(&before.texts.file);
    let mut file: Map<String, Value> = file.map_err(|_| not_there())?;
    let base_url = file.get(BASE_URL).cloned();
    if members
        .get("slug")
        .is_some_and(|slug| Some(slug) != file.get("slug"))
    {
        let must = "stays as it is: connected accounts know the connector by it";
        return Err(ApiError::field("slug", must));
    }
    for (name, value) in members {
        if value.is_null() {
            file.shift_remove(&name);
        } else {
            file.insert(name, value);
        }
    }
    if file.get(BASE_URL) == base_url.as_ref() {
        before.values.put_back(&mut file);
    }
    Ok(file)
}

/// Refuses an API that is no host on the network.
fn check_base_url(file: &Map<String, Value>) -> Result<(), ApiError> {
    let base = file.get(BASE_URL).and_then(Value::as_str);
    let base = base.ok_or_else(|| ApiError::field(BASE_URL, "must be the URL of the API"))?;
    if base.starts_with("https://") || base.starts_with("http://") {
        return Ok(());
    }
    Err(not_allowed(
        BASE_URL,
        "must begin with https:// (or http://); this instance's own API has a connector already",
    ))
}

fn not_allowed(member: &str, why: &str) -> ApiError {
    let mut error = ApiError::field(member, why);
    error.code = ErrorCode::NotAllowedHere;
    error
}

fn unread(fault: &DocumentError) -> ApiError {
    let mut error = ApiError::field(DOCUMENT, fault.to_string());
    error.code = ErrorCode::InvalidConnector;
    error
}

/// The faults of a file, without places: those of a text that was made here mean nothing to a caller.
fn faulty(faults: &Faults) -> ApiError {
    let messages = faults.0.iter().take(TOLD).map(|fault| &fault.message);
    let messages: Vec<String> = messages.map(|text| plain_text::clean(text)).collect();
    let shown = messages.join("; ");
    ApiError::new(ErrorCode::InvalidConnector, shown)
}

/// How large a body may be: a document of the largest kind, and a file around it.
pub(crate) const LARGEST_BODY: usize = LARGEST;

#[cfg(test)]
mod tests {
    use claviger_domain::event::Actor;
    use claviger_store::connected_accounts;
    use claviger_store::{Base, StoreError};
    use claviger_testkit::TestApp;
    use serde_json::json;

    use super::*;
    use crate::upstream::Account;

    fn labelled(label: &str) -> Vec<u8> {
        let operation = json!({ "operationId": "list", "responses": {}, "summary": "Lists." });
        let document = json!({
            "openapi": "3.0.3", "info": { "title": "Tea", "version": "1" },
            "paths": { "/pots": { "get": operation } },
        });
        let body = json!({
            "slug": "tea", "label": label, "tool_prefix": "tea", "base_url": "https://tea.example.com",
            "openapi": document,
        });
        body.to_string().into_bytes()
    }

    #[tokio::test]
    async fn what_is_compiled_is_kept_by_what_it_was_made_of() {
        let app = TestApp::start().await;
        let (tenant, core) = (app.tenant("Acme").await, &app.core);
        let here = StoredConnectors::default();
        let mut before = here.take(core, labelled("Before"), None).await.unwrap();
        let mut after = here.take(core, labelled("After"), None).await.unwrap();
        let found = StoredConnector {
            id: Id::draw(&*core.random),
            account: tenant.account.reference(),
            slug: before.slug.clone(),
            label: before.label.clone(),
            category: None,
            digest: before.digest.clone(),
            base: Base::made_by(&core.change(&Actor::System)),
        };
        let changed = StoredConnector {
            digest: after.digest.clone(),
            ..found.clone()
        };
        let texts = [&mut before, &mut after].map(|taken| taken.texts(core, &found.id));
        let (row, change) = (found.clone(), core.change(&Actor::System));
        // It is changed after it was found, and before it is compiled.
        let written = core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let [before, after] = &texts;
                connectors::create(tx, &change, &row, before).await?;
                connectors::update(tx, &change, &row.digest, &changed, after).await
            })
        });
        assert!(written.await.unwrap());

        let elsewhere = StoredConnectors::default();
        let catalogue = elsewhere.catalogue_of(core, &found).await.unwrap();
        assert_eq!(catalogue.label(), "After");
        let kept = [&before.digest, &after.digest].map(|digest| {
            let digest = digest.as_slice().try_into().unwrap();
            elsewhere.catalogues.get(&digest).is_some()
        });
        assert_eq!(kept, [false, true]);

        // Who finds at once that it is not kept compiles it, and all get the one that is kept.
        let new = StoredConnectors::default();
        let both = tokio::join!(
            new.catalogue_of(core, &found),
            new.catalogue_of(core, &found)
        );
        let (one, other) = (both.0.unwrap(), both.1.unwrap());
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &catalogue));
        assert_eq!(one.content().as_slice(), after.digest);
        // Calls that were made with one are those that the other makes.
        let id = &tenant.connected_account;
        let connected = connected_accounts::find_with_credentials(&core.db, id).await;
        let (connected, _) = connected.unwrap().unwrap();
        let account = Account::new(&connected, &catalogue);
        assert!(account.is_by(&one) && !account.is_by(&before.catalogue));
    }
}
