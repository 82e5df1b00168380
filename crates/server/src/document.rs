//! The OpenAPI document of the whole program: that of The Auth API, and with it that of the gateway.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use bytes::Bytes;
use claviger_edge::document::tell_needs;
use claviger_edge::{Anyone, Core, cross_origin, identify};
use http::header;
use serde_json::Value;

const TITLE: &str = "The Auth API and its gateway, served by Claviger";

/// What is served, made when it is asked for first: no start waits for it, and its parts are not kept.
static SERVED: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The document of all operations that this version serves.
pub(crate) fn document() -> Value {
    let mut whole = claviger_api::document().clone();
    let mut gateway = claviger_gateway::document();
    whole["info"]["title"] = TITLE.into();
    let about = |part: &Value| part["info"]["description"].as_str().map(str::to_owned);
    let about: Vec<String> = [about(&whole), about(&gateway)]
        .into_iter()
        .flatten()
        .collect();
    whole["info"]["description"] = about.join("\n\n").into();
    for pointer in ["/paths", "/components/schemas", "/components/responses"] {
        add(whole.pointer_mut(pointer), gateway.pointer_mut(pointer));
    }
    if let (Value::Array(tags), Value::Array(more)) = (&mut whole["tags"], gateway["tags"].take()) {
        tags.extend(more);
    }
    tell_needs(&mut whole);
    whole
}

/// Adds what is not there; what both have, such as the form of errors, is the same in both.
fn add(whole: Option<&mut Value>, part: Option<&mut Value>) {
    let (Some(Value::Object(whole)), Some(Value::Object(part))) = (whole, part) else {
        return;
    };
    for (name, value) in std::mem::take(part) {
        whole.entry(name).or_insert(value);
    }
}

/// `/openapi.json`, for all but keys that check keys alone.
pub(crate) fn router(core: &Core) -> Router {
    Router::new()
        .route("/openapi.json", get(serve))
        .layer(middleware::from_fn_with_state(core.clone(), identify))
        .layer(cross_origin())
}

async fn serve(_: Anyone) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, SERVED.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The members of a part of the document that a pointer leads to.
    fn members<'a>(
        document: &'a Value,
        pointer: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let members = document.pointer(pointer).and_then(Value::as_object);
        let members = members.unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        members.iter().map(|(name, value)| (name.as_str(), value))
    }

    // What both have under one name is there once, so that it has to be the same in both.
    #[test]
    fn each_half_is_in_it_as_it_is_by_itself() {
        let whole = document();
        for mut half in [
            claviger_api::document().clone(),
            claviger_gateway::document(),
        ] {
            tell_needs(&mut half);
            let half = &half;
            let kinds = members(half, "/components").map(|(kind, _)| format!("/components/{kind}"));
            for pointer in kinds.chain(["/paths".to_owned()]) {
                for (name, value) in members(half, &pointer) {
                    let served = whole.pointer(&pointer).map(|served| &served[name]);
                    assert_eq!(served, Some(value), "{pointer}/{name}");
                }
            }
            assert_eq!(whole["security"], half["security"]);
        }
    }

    #[test]
    fn each_operation_ends_with_what_it_needs() {
        let whole = document();
        let items = members(&whole, "/paths").filter_map(|(_, item)| item.as_object());
        for operation in items.flat_map(|item| item.values()) {
            let about = operation["description"].as_str().unwrap();
            // The URL of an MCP server carries the access.
            let by_url = operation["tags"][0] == "mcp";
            let last = about.rsplit("\n\n").next().unwrap();
            assert_ne!(last.starts_with("Needs "), by_url, "{about}");
            assert_eq!(operation.get("x-needs"), None, "{about}");
        }
    }
}
