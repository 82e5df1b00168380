//! The OpenAPI document of this half: served beside the gateway's, and read by the gateway.

use std::sync::LazyLock;

use claviger_edge::document::{About, complete};
use serde_json::Value;

use crate::router::{CREATING, IMPORTING, routes};

const ABOUT: About<'_> = About {
    title: "The Auth API, served by Claviger",
    description: "Issue API keys to your customers, check one on every request, limit, count, rotate \
                  and revoke them. Ids come from the operations that list or create: a key belongs to \
                  a project, a project to an account.",
    tags: &[
        (
            "api_keys",
            "Keys that your customers present to your API: make, check, change, end.",
        ),
        (
            "projects",
            "Named sets of API keys, for production or for tests.",
        ),
        (
            "accounts",
            "Customers of this instance, and their children.",
        ),
        (
            "access_keys",
            "Credentials of your own programs, with a role.",
        ),
        (
            "webhooks",
            "URLs that are told what happens in an account: make, try out, see what was sent.",
        ),
        (
            "analytics",
            "How often keys were checked, by time, project and key.",
        ),
        (
            "audit",
            "What was changed, by whom: for auditors and their machines.",
        ),
        (
            "notifications",
            "What the people of an account are told: list it, mark it read.",
        ),
        (
            "auth",
            "How people sign up and in; and authentication as older clients ask for it.",
        ),
        (
            "invitations",
            "Asking people into an account: invite, look, take back, accept.",
        ),
        ("users", "People, and which roles they hold."),
        ("misc", "The service itself."),
    ],
};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let repeatable = [CREATING, IMPORTING].concat();
    complete(routes().into_openapi(), ABOUT, &repeatable)
});

/// The document of all operations of The Auth API.
pub fn document() -> &'static Value {
    &DOCUMENT
}
