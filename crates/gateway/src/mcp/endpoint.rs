//! What happens to a posted body: JSON, era, headers, method, parameters, in this order, the first
//! fault being the answer.

use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::era::{self, Era};
use super::json_rpc::{
    self, INVALID_REQUEST, Id, METHOD_NOT_FOUND, Malformed, Message, Posted, RpcError,
};
use super::text::Text;
use super::tools::{self, ToolCall, ToolResult};
use super::{current, earlier, whole};
use crate::exposure::Exposure;

/// How many messages one batch may hold.
const BATCH: usize = 50;
/// The earliest and the only version whose batches are answered.
const BATCHES: [&str; 2] = ["2024-11-05", "2025-03-26"];

/// A posted request that has passed host, origin, token and size.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
}

/// The HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The JSON body, where there is one.
    pub body: Option<Text>,
    /// What the upstream told of its rate limit.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Answers a posted body for one server. `call` carries every tool call out, also one of a
/// tool that is not exposed, since those are logged too.
pub async fn answer<F, Fut>(
    exposure: &Arc<Exposure>,
    now: Timestamp,
    post: Post<'_>,
    call: F,
) -> Answer
where
    F: Fn(ToolCall) -> Fut,
    Fut: Future<Output = ToolResult>,
{
    let serving = Serving {
        exposure,
        now,
        headers: post.headers,
        call,
    };
    match json_rpc::parse(post.body) {
        Err(error) => refused(StatusCode::BAD_REQUEST, None, &error),
        Ok(Posted::One(Err(malformed))) => refused(
            StatusCode::BAD_REQUEST,
            malformed.id.as_ref(),
            &malformed.error,
        ),
        Ok(Posted::One(Ok(message))) => serving.one(message).await,
        // Boxed: few clients send any.
        Ok(Posted::Batch(messages)) => Box::pin(serving.batch(messages)).await,
    }
}

fn refused(status: StatusCode, id: Option<&Id>, error: &RpcError) -> Answer {
    Answer {
        status,
        body: Some(json_rpc::error(id, error).into()),
        headers: Vec::new(),
    }
}

fn accepted() -> Answer {
    Answer {
        status: StatusCode::ACCEPTED,
        body: None,
        headers: Vec::new(),
    }
}

struct Serving<'a, F> {
    exposure: &'a Arc<Exposure>,
    now: Timestamp,
    headers: &'a HeaderMap,
    call: F,
}

impl<F, Fut> Serving<'_, F>
where
    F: Fn(ToolCall) -> Fut,
    Fut: Future<Output = ToolResult>,
{
    async fn one(&self, message: Message) -> Answer {
        let Message::Call { id, method, params } = message else {
            return accepted();
        };
        // A published client opens without an id and waits for the answer all the same.
        let id = match id {
            Some(id) => id,
            None if method == "initialize" => Id::Null,
            None => return accepted(),
        };
        let era = match era::of(&method, params.as_ref(), self.headers) {
            Ok(era) => era,
            Err(error) => return refused(StatusCode::BAD_REQUEST, Some(&id), &error),
        };
        match era {
            Era::Earlier(_) => self.earlier(&id, &method, params).await,
            Era::Current => self.current(&id, &method, params).await,
        }
    }

    async fn earlier(&self, id: &Id, method: &str, params: Option<Value>) -> Answer {
        let (result, headers) = if method == "tools/call" {
            match self.called(params).await {
                Ok(called) => (
                    Ok(json_rpc::result_of(id, [&called.members, b""])),
                    called.headers,
                ),
                Err(error) => (Err(error), Vec::new()),
            }
        } else {
            let result = earlier::result(self.exposure, self.now, method, params.as_ref());
            (
                result.map(|result| json_rpc::result(id, result)),
                Vec::new(),
            )
        };
        let body = result.unwrap_or_else(|error| json_rpc::error(Some(id), &error).into());
        Answer {
            status: StatusCode::OK,
            body: Some(body),
            headers,
        }
    }

    async fn current(&self, id: &Id, method: &str, params: Option<Value>) -> Answer {
        // A client that opens in the earlier manner does not know of this era's headers; what it asks
        // for is not found, whatever they say.
        if method != "initialize"
            && let Err(error) = current::check_headers(self.headers, method, params.as_ref())
        {
            return refused(StatusCode::BAD_REQUEST, Some(id), &error);
        }
        if method == "tools/call" {
            return match self.called(params).await {
                Ok(called) => Answer {
                    status: StatusCode::OK,
                    body: Some(json_rpc::result_of(
                        id,
                        [&called.members, whole::completing()],
                    )),
                    headers: called.headers,
                },
                Err(error) => refused(StatusCode::OK, Some(id), &error),
            };
        }
        match current::result(self.exposure, self.now, method, params.as_ref()) {
            Ok(result) => Answer {
                status: StatusCode::OK,
                body: Some(json_rpc::result(id, result)),
                headers: Vec::new(),
            },
            Err(error) if error.code == METHOD_NOT_FOUND => {
                refused(StatusCode::NOT_FOUND, Some(id), &error)
            }
            Err(error) => refused(StatusCode::OK, Some(id), &error),
        }
    }

    async fn called(&self, params: Option<Value>) -> Result<tools::Called, RpcError> {
        let mut call = tools::asked(self.exposure, params)?;
        call.client = call.client.or_else(|| tools::user_agent(self.headers));
        Ok(tools::answered((self.call)(call).await))
    }

    /// A batch is of 2025-03-26 or before, so also of a request whose header says nothing. Its messages
    /// are carried out one after the other.
    async fn batch(&self, messages: Vec<Result<Message, Malformed>>) -> Answer {
        let invalid = |message: String| {
            refused(
                StatusCode::BAD_REQUEST,
                None,
                &RpcError::new(INVALID_REQUEST, message),
            )
        };
        match era::header(self.headers, era::VERSION_HEADER) {
            Ok(None) => {}
            Ok(Some(version)) if BATCHES.contains(&version) => {}
            _ => return invalid("this protocol version has no batches".to_owned()),
        }
        if messages.is_empty() || messages.len() > BATCH {
            return invalid(format!("a batch must have 1 to {BATCH} messages"));
        }
        let mut answers = Vec::new();
        for message in messages {
            match message {
                Err(Malformed { id, error }) => {
                    answers.push(json_rpc::error(id.as_ref(), &error));
                }
                Ok(message) => answers.extend(self.one_of_batch(message).await),
            }
        }
        if answers.is_empty() {
            return accepted();
        }
        Answer {
            status: StatusCode::OK,
            body: Some(json_rpc::batch(&answers).into()),
            headers: Vec::new(),
        }
    }

    async fn one_of_batch(&self, message: Message) -> Option<Bytes> {
        if let Message::Call { id, method, params } = &message {
            let is_current = era::meta(params.as_ref())
                .and_then(|meta| meta.get(era::VERSION_META))
                .is_some_and(|version| *version == era::CURRENT);
            if method == "initialize" || is_current {
                let error =
                    RpcError::new(INVALID_REQUEST, "this message cannot be part of a batch");
                return Some(json_rpc::error(id.as_ref(), &error));
            }
        }
        self.one(message).await.body.map(Text::whole)
    }
}

#[cfg(test)]
mod tests;
