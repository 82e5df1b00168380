//! The OpenAPI document of the gateway: what its routes say of themselves, and what holds for many of them.

mod bodies;
mod calls;
mod connector_files;

use claviger_edge::document::{About, complete};
use serde_json::{Value, json};

use crate::routes::{CREATING, described};

const ABOUT: About<'_> = About {
    title: "The gateway of Claviger",
    description: "Make tools of REST APIs: connect accounts of your tenants, give agents a choice of their tools \
                  behind a URL, or call them over HTTP, and see what was called. People connect accounts of theirs on \
                  `/connect-account`, and open sealed secrets on `/reveal`, which are pages.",
    tags: &[
        (
            "connectors",
            "How to talk to one product: those of this instance, and those that accounts bring.",
        ),
        (
            "connected_accounts",
            "One tenant's credentials for a connector: enter, try, see what can be called.",
        ),
        (
            "links",
            "Having customers connect accounts of theirs: links, and the pages that those lead to.",
        ),
        (
            "mcp_servers",
            "A choice of a connected account's tools, behind a URL for agents.",
        ),
        ("proxy", "Calling tools over HTTP."),
        ("mcp", "Calling tools by the Model Context Protocol."),
        ("calls", "Which tools were called, and what came of it."),
    ],
};

/// The document of all operations of the gateway.
///
/// It is put together anew each time: whoever serves it keeps what it serves.
pub fn document() -> Value {
    let mut document = complete(described(), ABOUT, CREATING);
    connector_files::add(&mut document["components"]["schemas"]);
    let components = &mut document["components"];
    calls::add_refusals(&mut components["responses"]);
    let schemas = components["schemas"].as_object_mut().into_iter().flatten();
    for (name, schema) in schemas {
        // Written out in each, otherwise.
        if let Some(item) = name.strip_prefix("Page_") {
            schema["properties"]["result"]["items"] = named(item);
        }
    }
    let items = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in items {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let is_custom = path.starts_with("/custom/");
            if path.starts_with("/proxy/") || is_custom {
                calls::describe(operation, is_custom);
            }
            if is_custom {
                calls::tell_apart(operation, method);
            }
            if path.starts_with("/mcp") {
                calls::describe_protocol(operation);
            }
        }
    }
    bodies::close(&mut document);
    document
}

const SCHEMAS: &str = "#/components/schemas/";

fn reference_to(name: &str) -> String {
    format!("{SCHEMAS}{name}")
}

fn named(name: &str) -> Value {
    json!({ "$ref": reference_to(name) })
}
