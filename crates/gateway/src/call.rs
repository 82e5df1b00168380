//! The one call: arguments to a request, the request with its rights to the upstream, the answer to
//! the envelope, and a line in the log. Every face of a tool goes through here.

pub(crate) mod custom;
mod record;
mod result;
mod size;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::{self, Id};
use claviger_domain::time::{Timestamp, earlier};
use claviger_edge::{ApiError, Delegated};
use claviger_store::Asker;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_verify::{CallerLimit, Presenter};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::budget::{Budget, Turn};
use crate::catalogue::Catalogue;
use crate::cursor::{Asked, Binding};
use crate::envelope;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::in_name_of::InNameOf;
use crate::known::KnownAccount;
use crate::let_in::LetIn;
use crate::limits::Limits;
use crate::mcp::{ToolCall, ToolOutcome, ToolResult, Wanted};
use crate::page;
use crate::profile::SchemaProfile;
use crate::request::UpstreamRequest;
use crate::scrub::Scrub;
use crate::sealed::{Bound, Hiding, Opened};
use crate::upstream::{self, Account, Answered, Sending};

use record::Record;
use result::Reading;

/// The argument that names the one thing which a call is about.
const ID: &str = "id";

/// A call of a tool and everything that it is made with.
pub(crate) struct Call<'a> {
    /// The MCP server, where the call comes through one.
    pub(crate) server: Option<&'a Id<id::McpServer>>,
    pub(crate) connected: &'a ConnectedAccount,
    /// By what it was let in.
    pub(crate) let_in: LetIn<'a>,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) asked: ToolCall,
    pub(crate) profile: SchemaProfile,
    pub(crate) request_id: String,
    /// Whether it is only told what would be sent.
    pub(crate) dry_run: bool,
    /// What the MCP server may use.
    pub(crate) budget: Option<Budget>,
    /// Whether the MCP server seals secrets.
    pub(crate) seals_secrets: bool,
    /// What the upstream is to know a repeat by.
    pub(crate) idempotency_key: Option<HeaderValue>,
}

impl Gateway {
    /// Carries out a call in the name of those whom `admission` finds, and logs it, whatever it
    /// comes to. A call of a tool that is not exposed is admitted and counted like any other.
    pub(crate) async fn call(
        &self,
        call: Call<'_>,
        admission: impl Future<Output = Result<InNameOf, ApiError>>,
    ) -> ToolResult {
        let mut record = Record::begin(self, &call);
        let family = Asker::Family(call.connected.account.root.clone());
        let mut opened = Opened::default();
        let outcome = family
            .scope(self.carry_out(call, admission, &mut record, &mut opened))
            .await;
        let outcome = opened.scrubbed(outcome.map_err(Box::new));
        let status = match &outcome {
            Ok(outcome) => outcome.status,
            Err(failure) => failure.status,
        };
        record.end(status).await;
        outcome
    }

    async fn carry_out(
        &self,
        call: Call<'_>,
        admission: impl Future<Output = Result<InNameOf, ApiError>>,
        record: &mut Record,
        opened: &mut Opened,
    ) -> Result<ToolOutcome, Failure> {
        let Call {
            connected,
            catalogue,
            asked,
            profile,
            dry_run,
            idempotency_key,
            budget,
            seals_secrets,
            server,
            let_in,
            ..
        } = call;
        let now = self.core.now();
        // Held until the call is over.
        let admitted = self.admitted(server.zip(budget), admission, now);
        let (in_name_of, _turn) = Box::pin(admitted).await?;
        let tool = match asked.wanted {
            Wanted::Tool(tool) => tool,
            Wanted::Own(own) => return Ok(own.outcome()?),
        };
        let bound = server.map(|server| Bound::to(connected, server));
        let place = bound.filter(|_| !dry_run);
        let place = place.map(|bound| (&self.keys.handles, bound, now));
        let arguments = opened.open(&tool, asked.arguments, place)?;
        let arguments = tool.checked(arguments, profile)?;
        let remote = (!catalogue.is_local()).then(|| Account::new(connected, catalogue));
        let origins = self.origins_of(remote.as_ref().filter(|_| tool.is_list()))?;
        let binding = Binding {
            connected_account: connected.id.as_str(),
            origins: &origins,
            tool: (&tool.resource, &tool.method),
            arguments: &arguments,
        };
        let window = if tool.is_list() {
            let open = |cursor: &str| self.keys.cursors.open_asked(binding, cursor);
            Some(page::asked(&arguments, open)?)
        } else {
            None
        };
        let mut request = tool.request(&arguments)?;
        if let Some(asked) = &window {
            page::ask(&tool.pagination, asked, &mut request);
        }
        if dry_run {
            let id = arguments.get(ID);
            return Ok(self.only_told(remote.as_ref(), &request, id, idempotency_key)?);
        }
        let mut answered = match &remote {
            None => {
                let delegated = self.delegate(connected, in_name_of).await?;
                let key = idempotency_key.map(|key| of_connected(&key, connected));
                record.upstream_begins()?;
                Box::pin(self.answered_locally(request, key, delegated)).await?
            }
            Some(account) => {
                let sending = Sending::of(&request, arguments.get(ID), idempotency_key);
                record.upstream_begins()?;
                Box::pin(self.call_remote(account, sending, let_in)).await?
            }
        };
        let (answer, size) = (&answered.answer, answered.answer.body.len());
        record.upstream_ends(answer.status);
        let limits = Limits::read(catalogue.rate_limit(), &answer.headers, self.core.now());
        let seal = |asked: &Asked| self.keys.cursors.seal_asked(binding, asked);
        let reading = Reading {
            tool: &tool,
            errors: &catalogue.access().errors,
            asked: window.as_ref(),
            limits,
        };
        let hiding = Hiding {
            tool: &tool,
            key: &self.keys.handles,
            bound,
            seals_all: seals_secrets,
            public_url: &self.public_url,
            now,
            random: &*self.core.random,
        };
        let place = answered.place.take();
        let read = || {
            let mut outcome = hiding.hide(reading.read(answered, seal).map_err(Box::new))?;
            let Some(budget) = budget else {
                return Ok::<_, Box<Failure>>(outcome);
            };
            let behind = |kept: usize| {
                let next = page::behind(&tool.pagination, window.as_ref()?, kept);
                next.as_ref().map(seal)
            };
            // A handle is longer than the secret that it is in the place of.
            let answered = if hiding.hides() { usize::MAX } else { size };
            let (most, envelope) = (budget.result_bytes(), outcome.envelope);
            outcome.envelope = size::within(envelope, &tool.secret_fields, most, answered, behind)?;
            Ok(outcome)
        };
        let outcome = self.in_flight.read(size, read).await;
        drop(place);
        Ok(outcome?)
    }

    /// Where pages of a list are asked for; nothing for what is asked of this instance.
    fn origins_of(&self, remote: Option<&Account<'_>>) -> Result<String, Box<Failure>> {
        let Some(account) = remote else {
            return Ok(String::new());
        };
        let way = account.way(self).map_err(Box::new)?;
        Ok(way.origins.join(" "))
    }

    /// Whom a call is in the name of, and its turn within the budget of its server. One that is over that
    /// uses up nothing of what its callers may do elsewhere.
    async fn admitted(
        &self,
        through: Option<(&Id<id::McpServer>, Budget)>,
        admission: impl Future<Output = Result<InNameOf, ApiError>>,
        now: Timestamp,
    ) -> Result<(InNameOf, Option<Turn>), Failure> {
        let turn = through.map(|(server, budget)| self.budgets.take(server, budget, now));
        let turn = turn.transpose()?;
        match admission.await {
            Ok(in_name_of) => Ok((in_name_of, turn)),
            Err(error) => {
                turn.into_iter().for_each(Turn::give_back);
                Err(error.into())
            }
        }
    }

    /// Calls The Auth API of this instance.
    async fn answered_locally(
        &self,
        request: UpstreamRequest,
        idempotency_key: Option<HeaderValue>,
        delegated: Delegated,
    ) -> Result<Answered, Failure> {
        let answer = upstream::call_local(&self.auth_api, request, idempotency_key, delegated);
        Ok(Answered {
            answer: answer.await?,
            scrub: Scrub::default(),
            place: None,
        })
    }

    /// What a call that is only tried comes to.
    fn only_told(
        &self,
        remote: Option<&Account<'_>>,
        request: &UpstreamRequest,
        id: Option<&Value>,
        idempotency_key: Option<HeaderValue>,
    ) -> ToolResult {
        let shown = match remote {
            None => self.would_send(request),
            Some(account) => {
                let sending = Sending::of(request, id, idempotency_key);
                account.masked(self, sending).map_err(Box::new)?
            }
        };
        Ok(ToolOutcome {
            status: StatusCode::OK,
            envelope: envelope::single(Some(shown)),
            limits: Limits::default(),
            passed: None,
        })
    }

    /// What a call would send.
    fn would_send(&self, request: &UpstreamRequest) -> Value {
        let url = format!("{}{}", self.public_url, request.path_and_query());
        let mut headers = Map::new();
        if request.body.is_some() {
            headers.insert(header::CONTENT_TYPE.to_string(), "application/json".into());
        }
        json!({
            "method": request.verb.as_str(), "url": url, "headers": headers, "body": request.body,
        })
    }

    /// The rights of a call: what the stored credential, the maker and the caller all hold. The gateway
    /// lends nothing.
    async fn delegate(
        &self,
        connected: &ConnectedAccount,
        in_name_of: InNameOf,
    ) -> Result<Delegated, Failure> {
        let presenter = self.stored_presenter(connected).await?;
        // An operator key is never a stored credential.
        let Some(presenter @ Presenter::AccessKey(_)) = presenter else {
            let message = "the credential of this connected account is not accepted any more";
            return Err(Failure::refused(
                StatusCode::UNAUTHORIZED,
                "needs_reauth",
                message,
            ));
        };
        let mut keys = in_name_of.keys;
        let stored = presenter.access_key().cloned();
        // A caller that is the stored credential too was counted when it was let in.
        if let Some(stored) = stored.filter(|stored| !keys.contains(stored)) {
            if let CallerLimit::Over(level) = self.core.verifier.take_call(&presenter) {
                let message = "the credential of this connected account is over its own limit";
                return Err(self.over_limit(level, message).into());
            }
            keys.push(stored);
        }
        Ok(Delegated {
            maker: in_name_of.maker,
            server: in_name_of.server,
            rights: in_name_of.rights.intersection(&presenter.rights()),
            account: connected.account.clone(),
            ends_at: earlier(in_name_of.ends_at, presenter.ends_at()),
            keys,
            network: in_name_of.network,
        })
    }

    /// Who the stored credential of a connected account is; `None` when that is not accepted.
    pub(crate) async fn stored_presenter(
        &self,
        connected: &ConnectedAccount,
    ) -> Result<Option<Presenter>, ApiError> {
        match self.account(&connected.id).await? {
            Some(known) => self.presenter_of(&known).await,
            None => Ok(None),
        }
    }

    /// Whoever presents the access key of a connected account.
    pub(crate) async fn presenter_of(
        &self,
        known: &KnownAccount,
    ) -> Result<Option<Presenter>, ApiError> {
        let Some(key) = known.credentials(&self.sealing)?.access_key() else {
            return Ok(None);
        };
        Ok(self.core.verifier.presenter(key.expose(), None).await?)
    }
}

/// An idempotency key of this connected account's own: under another one the same request asks for
/// something else. The Auth API takes it for the caller's.
fn of_connected(key: &HeaderValue, connected: &ConnectedAccount) -> HeaderValue {
    let mut digest = Sha256::new();
    digest.update(connected.id.as_str());
    digest.update([0]);
    digest.update(key.as_bytes());
    let text = URL_SAFE_NO_PAD.encode(digest.finalize());
    HeaderValue::try_from(text).expect("base64 fits a header")
}

/// A refusal by this program's own parts, as a failure of the call.
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let limits = Limits::of_refusal(&error.headers);
        Self {
            limits,
            ..Self::refused(error.code.status(), error.code.as_str(), error.message)
        }
    }
}

/// Shared by all tasks that serve requests.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Arc<Gateway>>();
};
