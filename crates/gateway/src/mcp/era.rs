//! Which era a request is of. `initialize` is of the earlier one. Otherwise `_meta` decides: one that
//! names a version is of the current era, or of the earlier version that it names when the header says
//! the same.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::json_rpc::{HEADER_MISMATCH, INVALID_PARAMS, RpcError, UNSUPPORTED_VERSION};

/// The current version.
pub(super) const CURRENT: &str = "2026-07-28";
/// The earlier versions, newest first.
pub(super) const EARLIER: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The version of a request that does not say.
const UNSAID: &str = "2025-03-26";

pub(super) const VERSION_HEADER: &str = "mcp-protocol-version";
pub(super) const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";
pub(super) const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";
pub(super) const CLIENT_META: &str = "io.modelcontextprotocol/clientInfo";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// With the version the request is under.
    Earlier(&'static str),
    Current,
}

/// The `_meta` of a request's parameters.
pub(super) fn meta(params: Option<&Value>) -> Option<&Map<String, Value>> {
    params?.get("_meta")?.as_object()
}

/// The era of a request, or why it is of none.
pub(super) fn of(
    method: &str,
    params: Option<&Value>,
    headers: &HeaderMap,
) -> Result<Era, RpcError> {
    if method == "initialize" {
        return Ok(of_initialize(params));
    }
    let header = header(headers, VERSION_HEADER)?;
    let meta = meta(params);
    let named = meta.and_then(|meta| meta.get(VERSION_META));
    // Members that only the current era has, without the one that names the version: the request means
    // the current era and is incomplete.
    let means_current = header == Some(CURRENT)
        || meta.is_some_and(|meta| {
            meta.contains_key(CAPABILITIES_META) || meta.contains_key(CLIENT_META)
        });
    match named {
        Some(Value::String(version)) => of_meta(version, header, meta),
        Some(_) => Err(incomplete("protocolVersion")),
        None if means_current => Err(incomplete("protocolVersion")),
        None => match header {
            None => Ok(Era::Earlier(UNSAID)),
            Some(version) => earlier(version)
                .map(Era::Earlier)
                .ok_or_else(|| unsupported(version)),
        },
    }
}

/// An `initialize` that carries the current version's `_meta` asks for something that version does not
/// have; any other is of the earlier era, whatever its header says, since it is there to negotiate.
fn of_initialize(params: Option<&Value>) -> Era {
    let named = meta(params)
        .and_then(|meta| meta.get(VERSION_META))
        .and_then(Value::as_str);
    if named == Some(CURRENT) {
        Era::Current
    } else {
        Era::Earlier(EARLIER[0])
    }
}

fn of_meta(
    version: &str,
    header: Option<&str>,
    meta: Option<&Map<String, Value>>,
) -> Result<Era, RpcError> {
    if header != Some(version) {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            format!("the header MCP-Protocol-Version must be there and equal `{VERSION_META}`"),
        ));
    }
    if let Some(version) = earlier(version) {
        return Ok(Era::Earlier(version));
    }
    if version != CURRENT {
        return Err(unsupported(version));
    }
    let capable = meta
        .and_then(|meta| meta.get(CAPABILITIES_META))
        .is_some_and(Value::is_object);
    if capable {
        Ok(Era::Current)
    } else {
        Err(incomplete("clientCapabilities"))
    }
}

/// The earlier version of that name.
pub(super) fn earlier(version: &str) -> Option<&'static str> {
    EARLIER.into_iter().find(|known| *known == version)
}

/// A header that may stand there once; twice, one reader could take the one and another the other.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            format!("the header {name} is there twice"),
        ));
    }
    first
        .map(|value| {
            value.to_str().map(str::trim).map_err(|_| {
                RpcError::new(
                    HEADER_MISMATCH,
                    format!("the header {name} has characters it cannot have"),
                )
            })
        })
        .transpose()
}

fn incomplete(member: &str) -> RpcError {
    RpcError::new(
        INVALID_PARAMS,
        format!(
            "`_meta` lacks `io.modelcontextprotocol/{member}`, which every request of {CURRENT} has"
        ),
    )
}

fn unsupported(version: &str) -> RpcError {
    let supported: Vec<&str> = [CURRENT].into_iter().chain(EARLIER).collect();
    let requested: String = claviger_domain::plain_text::clean(version)
        .chars()
        .take(64)
        .collect();
    RpcError {
        data: Some(json!({ "supported": supported, "requested": requested })),
        ..RpcError::new(UNSUPPORTED_VERSION, "unsupported protocol version")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(method: &str, meta: &Value, version: Option<&str>) -> Result<Era, i32> {
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            headers.insert(VERSION_HEADER, version.parse().unwrap());
        }
        of(method, Some(&json!({ "_meta": meta })), &headers).map_err(|error| error.code)
    }

    fn complete(version: &str) -> Value {
        json!({ VERSION_META: version, CAPABILITIES_META: {} })
    }

    #[test]
    fn without_meta_the_header_tells_the_earlier_version() {
        let plain = json!({ "progressToken": 1 });
        assert_eq!(era("ping", &plain, None), Ok(Era::Earlier("2025-03-26")));
        assert_eq!(
            era("ping", &plain, Some("2025-11-25")),
            Ok(Era::Earlier("2025-11-25"))
        );
        assert_eq!(
            era("ping", &plain, Some("2023-01-01")),
            Err(UNSUPPORTED_VERSION)
        );
    }

    #[test]
    fn meta_and_header_must_agree() {
        assert_eq!(
            era("tools/list", &complete(CURRENT), Some(CURRENT)),
            Ok(Era::Current)
        );
        assert_eq!(
            era("tools/list", &complete(CURRENT), None),
            Err(HEADER_MISMATCH)
        );
        assert_eq!(
            era("tools/list", &complete(CURRENT), Some("2025-11-25")),
            Err(HEADER_MISMATCH)
        );
        assert_eq!(
            era("tools/list", &complete("2099-01-01"), Some("2099-01-01")),
            Err(UNSUPPORTED_VERSION)
        );
    }

    #[test]
    fn meta_may_name_an_earlier_version() {
        let meta = json!({ VERSION_META: "2025-06-18" });
        assert_eq!(
            era("tools/list", &meta, Some("2025-06-18")),
            Ok(Era::Earlier("2025-06-18"))
        );
        assert_eq!(era("tools/list", &meta, None), Err(HEADER_MISMATCH));
    }

    #[test]
    fn an_incomplete_meta_of_the_current_era_is_told_so() {
        assert_eq!(
            era("tools/list", &json!({}), Some(CURRENT)),
            Err(INVALID_PARAMS)
        );
        assert_eq!(
            era(
                "tools/list",
                &json!({ VERSION_META: CURRENT }),
                Some(CURRENT)
            ),
            Err(INVALID_PARAMS)
        );
        assert_eq!(
            era("tools/list", &json!({ CAPABILITIES_META: {} }), None),
            Err(INVALID_PARAMS)
        );
        assert_eq!(
            era("tools/list", &json!({ VERSION_META: 7 }), Some(CURRENT)),
            Err(INVALID_PARAMS)
        );
    }

    #[test]
    fn initialize_is_of_the_earlier_era_whatever_its_header() {
        assert_eq!(
            era("initialize", &json!({}), Some("2099-01-01")),
            Ok(Era::Earlier("2025-11-25"))
        );
        assert_eq!(
            era("initialize", &complete(CURRENT), Some(CURRENT)),
            Ok(Era::Current)
        );
    }

    #[test]
    fn a_header_that_is_there_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(VERSION_HEADER, "2025-11-25".parse().unwrap());
        headers.append(VERSION_HEADER, "2025-06-18".parse().unwrap());
        assert_eq!(
            of("ping", None, &headers).unwrap_err().code,
            HEADER_MISMATCH
        );
    }
}
