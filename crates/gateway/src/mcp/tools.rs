//! `tools/list` and `tools/call`, as far as both eras share them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::era::{self, CLIENT_META};
use super::json_rpc::{INVALID_PARAMS, RpcError};
use crate::discovery::{self, Finder, Meant};
use crate::exposure::Exposure;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::looking::{self, Question};
use crate::own_answer::{Answering, OwnAnswer};
use crate::tool::Tool;
use claviger_domain::plain_text;

/// A call that a client made; its arguments are not yet checked.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// What is called.
    pub wanted: Wanted,
    /// What it was called with.
    pub arguments: Map<String, Value>,
    /// Who calls, where the request says.
    pub client: Option<Client>,
}

/// What a call is of.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A tool of the catalogue.
    Tool(Arc<Tool>),
    /// What is answered without one.
    Own(OwnAnswer),
}

impl Wanted {
    /// The tool of the catalogue that it is about.
    pub(crate) fn tool(&self) -> Option<&Tool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Own(own) => own.about.as_deref(),
        }
    }
}

impl OwnAnswer {
    /// What a call of it comes to.
    pub(crate) fn outcome(self) -> ToolResult {
        let envelope = self.answer.told()?;
        Ok(ToolOutcome {
            status: StatusCode::OK,
            envelope,
            limits: Limits::default(),
            passed: None,
        })
    }
}

/// The program that calls, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
}

/// What a call came to: the envelope and what the upstream told of its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutcome {
    /// The status of the upstream's success.
    pub status: StatusCode,
    /// The envelope.
    pub envelope: Map<String, Value>,
    /// What the upstream told of its rate limit.
    pub limits: Limits,
    /// A body that is neither JSON nor text, as the proxy passes it on.
    pub passed: Option<Passed>,
}

/// A body that is passed on as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// Its type, as the upstream names it.
    pub content_type: String,
    /// Its bytes.
    pub body: Bytes,
}

impl Passed {
    /// The body as a text, where that is what it is: it stands in the envelope, through every face.
    pub(crate) fn text(&self) -> Option<&str> {
        let essence = self.content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        let is_text = essence.starts_with("text/") || essence.ends_with("xml");
        std::str::from_utf8(&self.body).ok().filter(|_| is_text)
    }
}

/// What a call came to, or why it came to nothing.
pub type ToolResult = Result<ToolOutcome, Box<Failure>>;

/// The result of a `tools/call`, and the headers that go with it.
pub(super) struct Called {
    /// Its members as JSON, without the braces around them.
    pub(super) members: Vec<u8>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The parameters of a `tools/call`.
pub(super) fn asked(exposure: &Arc<Exposure>, params: Option<Value>) -> Result<ToolCall, RpcError> {
    let invalid = |message: &str| RpcError::new(INVALID_PARAMS, message);
    let Some(Value::Object(mut params)) = params else {
        return Err(invalid("`params` must be an object"));
    };
    let Some(Value::String(name)) = params.get_mut("name").map(Value::take) else {
        return Err(invalid("`name` must be a text"));
    };
    let arguments = match params.get_mut("arguments").map(Value::take) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(invalid("`arguments` must be an object")),
    };
    let (wanted, arguments) = wanted(exposure, &name, arguments);
    Ok(ToolCall {
        wanted,
        arguments,
        client: client(&params),
    })
}

/// What a name means on this server, with the arguments of what is called.
fn wanted(
    exposure: &Arc<Exposure>,
    name: &str,
    arguments: Map<String, Value>,
) -> (Wanted, Map<String, Value>) {
    let tool = |name: &str| match exposure.tool(name) {
        Some(tool) => Wanted::Tool(Arc::clone(tool)),
        None => Wanted::Own(unknown_tool(exposure, name)),
    };
    if !exposure.is_discovery() {
        return (tool(name), arguments);
    }
    match Finder::of(name).map(|finder| finder.read(exposure, &arguments)) {
        Some(Meant::Call(name, of_tool)) => (tool(&name), of_tool),
        Some(Meant::Answer(answer)) => (Wanted::Own(answer), arguments),
        None => (Wanted::Own(unknown_tool(exposure, name)), arguments),
    }
}

fn client(params: &Map<String, Value>) -> Option<Client> {
    let info = params.get("_meta")?.get(CLIENT_META)?;
    let text = |member: &str| {
        let text = plain_text::clean(info.get(member)?.as_str()?.trim());
        let text: String = text.chars().take(100).collect();
        (!text.is_empty()).then_some(text)
    };
    Some(Client {
        name: text("name")?,
        version: text("version"),
    })
}

fn unknown_tool(exposure: &Arc<Exposure>, name: &str) -> OwnAnswer {
    OwnAnswer {
        name: looking::shown(name),
        answer: Answering::Looked(Arc::clone(exposure), Question::Nearest(name.to_owned())),
        arguments: &[],
        about: None,
    }
}

/// What a call came to, as the protocol says it. The envelope stands in it twice, as a text and as it
/// is, and is written once.
pub(super) fn answered(outcome: ToolResult) -> Called {
    match outcome {
        Ok(outcome) => {
            let text = text_of(&outcome.envelope);
            let mut members = content(&text);
            members.extend_from_slice(br#","structuredContent":"#);
            members.extend_from_slice(text.as_bytes());
            members.extend_from_slice(br#","isError":false"#);
            Called {
                members,
                headers: outcome.limits.headers(),
            }
        }
        Err(failure) => {
            let mut members = content(&text_of(&failure.for_model()));
            members.extend_from_slice(br#","isError":true"#);
            Called {
                members,
                headers: failure.limits.headers(),
            }
        }
    }
}

fn text_of(members: &Map<String, Value>) -> String {
    serde_json::to_string(members).expect("values are JSON")
}

/// The text as the one content of a result, with room for it as it is behind that.
fn content(text: &str) -> Vec<u8> {
    let mut content = Vec::with_capacity(2 * text.len() + text.len() / 4 + 128);
    content.extend_from_slice(br#""content":[{"type":"text","text":"#);
    serde_json::to_writer(&mut content, text).expect("a text is JSON");
    content.extend_from_slice(b"}]");
    content
}

/// Refuses a cursor: all tools are on one page, so that none was ever given.
pub(super) fn check_cursor(params: Option<&Value>) -> Result<(), RpcError> {
    match params.and_then(|params| params.get("cursor")) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(RpcError::new(
            INVALID_PARAMS,
            "`cursor` is not one that this server gave",
        )),
    }
}

/// The bytes of a list for the earlier era, made once.
pub(super) fn earlier_list(exposure: &Exposure) -> &Bytes {
    exposure.earlier_list.get_or_init(|| {
        json!({ "tools": discovery::listed(exposure) })
            .to_string()
            .into()
    })
}

/// The bytes of a list for the current era, made once.
pub(super) fn current_list(exposure: &Exposure) -> &Bytes {
    exposure.current_list.get_or_init(|| {
        let mut list = Map::new();
        list.insert(
            "tools".to_owned(),
            Value::Array(discovery::listed(exposure)),
        );
        Value::Object(super::whole::cacheable(list))
            .to_string()
            .into()
    })
}

/// The client of an earlier request, which has no other place to name it than its user agent.
pub(crate) fn user_agent(headers: &http::HeaderMap) -> Option<Client> {
    let agent = era::header(headers, "user-agent").ok().flatten()?;
    let product = agent.split_whitespace().next()?;
    let (name, version) = product
        .split_once('/')
        .map_or((product, None), |(name, version)| (name, Some(version)));
    let cut = |text: &str| text.chars().take(100).collect::<String>();
    Some(Client {
        name: cut(name),
        version: version.map(cut),
    })
}
