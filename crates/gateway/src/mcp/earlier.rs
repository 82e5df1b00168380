//! The earlier era, 2024-11-05 to 2025-11-25: a client opens with `initialize`, and errors to a request
//! that is well formed are HTTP 200.

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use super::era::{self, EARLIER};
use super::json_rpc::{METHOD_NOT_FOUND, RpcError};
use super::server_info;
use super::tools;
use crate::exposure::Exposure;

/// The result of every method but `tools/call`.
pub(super) fn result(
    exposure: &Exposure,
    now: Timestamp,
    method: &str,
    params: Option<&Value>,
) -> Result<Bytes, RpcError> {
    match method {
        "initialize" => Ok(initialize(exposure, now, params)),
        "ping" => Ok(Bytes::from_static(b"{}")),
        "tools/list" => {
            tools::check_cursor(params)?;
            Ok(tools::earlier_list(exposure).clone())
        }
        _ => Err(RpcError::new(
            METHOD_NOT_FOUND,
            "this server has no such method",
        )),
    }
}

/// Agrees on the version asked for, or offers the newest of this era.
fn initialize(exposure: &Exposure, now: Timestamp, params: Option<&Value>) -> Bytes {
    let asked = params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Value::as_str);
    let version = asked.and_then(era::earlier).unwrap_or(EARLIER[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": server_info(),
        "instructions": exposure.instructions(now),
    })
    .to_string()
    .into()
}
