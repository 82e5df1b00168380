//! What calls are answered with, by the proxy and by the protocol.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The answer of a tool.
#[derive(ToSchema)]
pub(crate) struct CallAnswer {
    /// What the upstream answered, as the connector says: of a list its items; null where it answered nothing.
    #[schema(required)]
    result: Value,
    /// Of a list: `next_cursor` of the next page; null on the last.
    next_cursor: Option<String>,
    /// Of a list: `next_cursor` of the page before; null on the first, and where the upstream has no way back.
    prev_cursor: Option<String>,
    /// Of a list: how many items there are.
    #[schema(required = false)]
    result_count: u64,
}

/// Why a call has no result.
#[derive(ToSchema)]
pub(crate) struct CallFailure {
    /// The HTTP status.
    #[schema(rename = "statusCode", example = 404)]
    status_code: u16,
    /// The status in words.
    error: String,
    /// What is wrong, in the upstream's own words where it has some.
    message: String,
    /// Why, for programs: one of ours, or the upstream's own.
    #[schema(example = "remote_error")]
    code: String,
    /// Whether the upstream failed, and not the call itself.
    is_remote_error: bool,
    /// What the upstream answered, without credentials, 64 KiB at most; null: nothing.
    #[schema(required)]
    raw_response: Value,
}

/// What is said to an MCP server.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum JsonRpcMessages {
    /// One message.
    One(JsonRpcMessage),
    /// A batch of at most 50, of protocol versions until 2025-03-26.
    Batch(Vec<JsonRpcMessage>),
}

/// A message of JSON-RPC 2.0.
#[derive(Deserialize, ToSchema)]
pub(crate) struct JsonRpcMessage {
    /// Always `2.0`.
    #[schema(example = "2.0")]
    jsonrpc: String,
    /// Which request is answered: a text or a whole number; not there where none is.
    #[schema(required = false, example = 1)]
    id: Value,
    /// What is asked for.
    #[schema(example = "tools/list")]
    method: String,
    /// With what.
    #[schema(required = false, value_type = Object)]
    params: Value,
}

/// What an MCP server answers.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum JsonRpcAnswers {
    /// One answer.
    One(JsonRpcAnswer),
    /// Those of a batch.
    Batch(Vec<JsonRpcAnswer>),
}

/// An answer of JSON-RPC 2.0.
#[derive(Deserialize, ToSchema)]
pub(crate) struct JsonRpcAnswer {
    /// Always `2.0`.
    #[schema(example = "2.0")]
    jsonrpc: String,
    /// Of which request; null where that could not be read.
    #[schema(required, example = 1)]
    id: Value,
    /// What was asked for.
    #[schema(required = false, value_type = Object)]
    result: Value,
    /// What is wrong, in the place of a result.
    #[schema(required = false)]
    error: Box<JsonRpcError>,
}

/// An error of JSON-RPC 2.0.
#[derive(Deserialize, ToSchema)]
struct JsonRpcError {
    /// Which.
    #[schema(example = -32602)]
    code: i64,
    /// What is wrong, for people.
    message: String,
    /// More about it.
    #[schema(required = false)]
    data: Value,
}
