//! A raw call on a connector's base URL, with the credential of a connected account: no tool, and no
//! envelope around the answer.

use bytes::Bytes;
use claviger_store::connected_accounts::ConnectedAccount;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::record::{Line, Record};
use crate::catalogue::Catalogue;
use crate::envelope;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::let_in::LetIn;
use crate::limits::Limits;
use crate::mcp::Client;
use crate::upstream::{Account, Sending};

/// Headers of an answer that say something of its body and nothing else: no cookies, nothing by which a
/// browser would let another site in.
const TOLD: [HeaderName; 4] = [
    header::CONTENT_LANGUAGE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CONTENT_RANGE,
];

/// A raw call.
pub(crate) struct Custom<'a> {
    pub(crate) connected: &'a ConnectedAccount,
    /// By what it was let in.
    pub(crate) let_in: LetIn<'a>,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) method: Method,
    /// Below the connector's base, percent-encoded.
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) client: Option<Client>,
    pub(crate) request_id: String,
    /// Whether it is only told what would be sent.
    pub(crate) dry_run: bool,
}

/// An answer that is passed on as it is.
#[derive(Debug)]
pub(crate) struct PassedOn {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) limits: Limits,
}

impl Gateway {
    /// Carries out a raw call, and logs it, whatever it comes to.
    pub(crate) async fn call_custom(&self, call: Custom<'_>) -> Result<PassedOn, Failure> {
        let mut record = Record::of(
            self,
            Line {
                connected: call.connected,
                server: None,
                request_id: call.request_id.clone(),
                client: call.client.clone(),
                tool_name: format!("custom {}", call.method),
                resource: String::new(),
                method: String::new(),
                argument_names: Vec::new(),
                digest: self.keys.arguments.digest(&serde_json::Map::new()).to_vec(),
                dry_run: call.dry_run,
                has_effects: !call.method.is_safe(),
            },
        );
        let outcome = self.carry_out_custom(call, &mut record).await;
        let status = match &outcome {
            Ok(passed) => passed.status,
            Err(failure) => failure.status,
        };
        record.end(status).await;
        outcome
    }

    async fn carry_out_custom(
        &self,
        call: Custom<'_>,
        record: &mut Record,
    ) -> Result<PassedOn, Failure> {
        let account = Account::new(call.connected, call.catalogue);
        let sending = Sending {
            method: call.method,
            path_and_query: call.path_and_query,
            headers: call.headers,
            body: call.body,
            request: None,
            id: None,
        };
        if call.dry_run {
            let envelope = envelope::single(Some(account.masked(self, sending)?));
            return Ok(PassedOn {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                content_type: Some("application/json".to_owned()),
                body: serde_json::Value::Object(envelope).to_string().into(),
                limits: Limits::default(),
            });
        }
        record.upstream_begins()?;
        let answered = self.call_remote(&account, sending, call.let_in).await?;
        let (answer, scrub) = (answered.answer, answered.scrub);
        record.upstream_ends(answer.status);
        let limits = Limits::read(
            call.catalogue.rate_limit(),
            &answer.headers,
            self.core.now(),
        );
        let told = TOLD.into_iter().filter_map(|name| {
            let value = answer.headers.get(&name)?;
            // A credential may come back in any of them.
            (!scrub.is_in(value.as_bytes())).then(|| (name, value.clone()))
        });
        let kind = answer
            .headers
            .get(header::CONTENT_TYPE)
            .filter(|kind| !scrub.is_in(kind.as_bytes()))
            .and_then(|kind| kind.to_str().ok());
        let size = answer.body.len();
        let read = || scrub.bytes(answer.body);
        let body = self.in_flight.read(size, read).await;
        drop(answered.place);
        Ok(PassedOn {
            status: answer.status,
            headers: told.collect(),
            content_type: kind.map(str::to_owned),
            body,
            limits,
        })
    }
}
