//! The current era, 2026-07-28: every request says by itself what it is, in `_meta` and again in headers
//! that whatever stands between can route by; both must agree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_domain::time::Timestamp;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::era::{self, CURRENT, EARLIER};
use super::json_rpc::{HEADER_MISMATCH, METHOD_NOT_FOUND, RpcError};
use super::tools;
use super::whole::cacheable;
use crate::exposure::Exposure;

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// Whether the headers say what the body says.
pub(super) fn check_headers(
    headers: &HeaderMap,
    method: &str,
    params: Option<&Value>,
) -> Result<(), RpcError> {
    let mismatch = |header: &str, why: &str| {
        RpcError::new(HEADER_MISMATCH, format!("the header {header} {why}"))
    };
    match era::header(headers, METHOD_HEADER)? {
        Some(value) if value == method => {}
        Some(_) => return Err(mismatch("Mcp-Method", "differs from the body's `method`")),
        None => return Err(mismatch("Mcp-Method", "is missing")),
    }
    if method != "tools/call" {
        return Ok(());
    }
    let Some(name) = params
        .and_then(|params| params.get("name"))
        .and_then(Value::as_str)
    else {
        // There is nothing to agree with; the parameters' own check tells what is missing.
        return Ok(());
    };
    match era::header(headers, NAME_HEADER)? {
        Some(value) if decoded(value).as_deref() == Some(name) => Ok(()),
        Some(_) => Err(mismatch("Mcp-Name", "differs from the body's `name`")),
        None => Err(mismatch("Mcp-Name", "is missing")),
    }
}

/// A header's value; `=?base64?…?=` holds what a header cannot carry as it is.
fn decoded(value: &str) -> Option<String> {
    match value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// The result of every method but `tools/call`.
pub(super) fn result(
    exposure: &Exposure,
    now: Timestamp,
    method: &str,
    params: Option<&Value>,
) -> Result<Bytes, RpcError> {
    match method {
        "server/discover" => Ok(discover(exposure, now)),
        "tools/list" => {
            tools::check_cursor(params)?;
            Ok(tools::current_list(exposure).clone())
        }
        _ => Err(RpcError::new(
            METHOD_NOT_FOUND,
            "this server has no such method",
        )),
    }
}

fn discover(exposure: &Exposure, now: Timestamp) -> Bytes {
    let versions: Vec<&str> = [CURRENT].into_iter().chain(EARLIER).collect();
    let mut result = Map::new();
    result.insert("supportedVersions".to_owned(), json!(versions));
    result.insert(
        "capabilities".to_owned(),
        json!({ "tools": { "listChanged": false } }),
    );
    result.insert("instructions".to_owned(), exposure.instructions(now).into());
    Value::Object(cacheable(result)).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method_header: Option<&str>, name_header: Option<&str>, name: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (header, value) in [(METHOD_HEADER, method_header), (NAME_HEADER, name_header)] {
            if let Some(value) = value {
                headers.insert(header, value.parse().unwrap());
            }
        }
        check_headers(&headers, "tools/call", Some(&json!({ "name": name }))).is_ok()
    }

    #[test]
    fn headers_must_be_there_and_agree() {
        assert!(check(Some("tools/call"), Some("pots"), "pots"));
        assert!(!check(None, Some("pots"), "pots"));
        assert!(!check(Some("tools/list"), Some("pots"), "pots"));
        assert!(!check(Some("tools/call"), None, "pots"));
        assert!(!check(Some("tools/call"), Some("lids"), "pots"));
    }

    #[test]
    fn an_encoded_name_is_decoded() {
        assert!(check(
            Some("tools/call"),
            Some("=?base64?VMOpZQ==?="),
            "Tée"
        ));
        assert!(!check(Some("tools/call"), Some("=?base64?%%%?="), "Tée"));
        assert!(check(Some("tools/call"), Some("=?base64?"), "=?base64?"));
    }
}
