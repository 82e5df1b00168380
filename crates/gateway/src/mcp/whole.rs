//! Results of the current era: whole, with who answers, and whether they may be kept.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::server_info;

const SERVER_META: &str = "io.modelcontextprotocol/serverInfo";

/// How long a client may keep a list without asking again, in milliseconds. A server's filter can be
/// changed; a minute of the old list does no harm, since calls are checked against the new one.
const FRESH_MS: u64 = 60_000;

/// A result that is whole, with who answers it.
pub(super) fn complete(mut result: Map<String, Value>) -> Map<String, Value> {
    result.insert("resultType".to_owned(), "complete".into());
    result.insert("_meta".to_owned(), json!({ SERVER_META: server_info() }));
    result
}

/// The same of a result whose members are written already: these members more, with a comma before them.
pub(super) fn completing() -> &'static [u8] {
    static MORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let more = Value::Object(complete(Map::new())).to_string();
        let inner = more
            .strip_prefix('{')
            .and_then(|more| more.strip_suffix('}'));
        format!(",{}", inner.unwrap_or_default()).into()
    });
    &MORE
}

/// A whole result that the client, and only it, may keep for a while.
pub(super) fn cacheable(mut result: Map<String, Value>) -> Map<String, Value> {
    result.insert("ttlMs".to_owned(), FRESH_MS.into());
    result.insert("cacheScope".to_owned(), "private".into());
    complete(result)
}
