//! The OpenAPI document: served, compared with its copy in `docs/`, and read by the gateway.

mod refusals;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContactBuilder, InfoBuilder, OpenApi, SecurityRequirement, Tag};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: OpenApi = crate::router::routes().into_openapi();
    document.info = InfoBuilder::new()
        .title("The Auth API, served by Claviger")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Issue API keys to your customers, check one on every request, limit, count, rotate \
             and revoke them. Ids come from the operations that list or create: a key belongs to \
             a project, a project to an account.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("Claviger")).build()))
        .build();
    document.tags = Some(tags());
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    let header = ApiKey::Header(ApiKeyValue::new("x-api-key"));
    schemes.insert(
        "accessKey".to_owned(),
        SecurityScheme::ApiKey(header).into(),
    );
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    document.security = Some(vec![
        SecurityRequirement::new::<_, [String; 0], String>("accessKey", []),
        SecurityRequirement::new::<_, [String; 0], String>("bearer", []),
    ]);
    let mut document = serde_json::to_value(document).expect("an OpenAPI document is JSON");
    refusals::describe(&mut document);
    document
});

/// The document of all operations that this version serves.
pub fn document() -> &'static Value {
    &DOCUMENT
}

fn tags() -> Vec<Tag> {
    let tag = |name: &str, description: &str| {
        let mut tag = Tag::new(name);
        tag.description = Some(description.to_owned());
        tag
    };
    vec![
        tag(
            "api_keys",
            "Keys that your customers present to your API: make, check, change, end.",
        ),
        tag(
            "projects",
            "Named sets of API keys, for production or for tests.",
        ),
        tag(
            "accounts",
            "Customers of this instance, and their children.",
        ),
        tag(
            "access_keys",
            "Credentials of your own programs, with a role.",
        ),
        tag(
            "webhooks",
            "URLs that are told what happens in an account: make, try out, see what was sent.",
        ),
        tag(
            "analytics",
            "How often keys were checked, by time, project and key.",
        ),
        tag(
            "audit",
            "What was changed, by whom: for auditors and their machines.",
        ),
        tag(
            "notifications",
            "What the people of an account are told: list it, mark it read.",
        ),
        tag(
            "auth",
            "How people sign up and in; and authentication as older clients ask for it.",
        ),
        tag(
            "invitations",
            "Asking people into an account: invite, look, take back, accept.",
        ),
        tag("users", "People, and which roles they hold."),
        tag("misc", "The service itself."),
    ]
}
