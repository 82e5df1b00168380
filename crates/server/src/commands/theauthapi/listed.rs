//! Keys as another server lists them, and as they are sent here.

use serde_json::{Map, Value, json};

/// What a key takes with it; other members are the other server's own.
const MOVED: [&str; 10] = [
    "name",
    "key",
    "customMetaData",
    "customAccountId",
    "customUserId",
    "rateLimitConfigs",
    "allowedDomains",
    "allowedIps",
    "scopes",
    "isActive",
];

/// Whether a key string is there in full: no key has a `*` in it, and every mask has.
pub(super) fn is_shown(key: &Value) -> bool {
    key["key"]
        .as_str()
        .is_some_and(|text| !text.contains(['*', '…', '•']))
}

/// Whether a key has a successor: it passes there until its grace is over, and would pass here for ever.
pub(super) fn is_rotated(key: &Value) -> bool {
    key["rotatedTo"].is_string()
}

/// What is sent here of a key that was listed there.
pub(super) fn moved(key: &Value) -> Value {
    let mut members: Map<String, Value> = MOVED
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), key.get(name)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    let mut set = |name: &str, value: &Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value.clone());
        }
    };
    let expiry = if key["expiresAt"].is_null() {
        &key["expiry"]
    } else {
        &key["expiresAt"]
    };
    set("expiry", expiry);
    set("clientIP", &key["creationContext"]["clientIP"]);
    set(
        "clientUserAgent",
        &key["creationContext"]["clientUserAgent"],
    );
    if let (Some(limit), Some(period)) = (key["quota"].get("limit"), key["quota"].get("period")) {
        set("quota", &json!({"limit": limit, "period": period}));
    }
    Value::Object(members)
}
