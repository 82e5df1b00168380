//! OpenAPI documents: what those of all surfaces say alike.

mod needs;
mod refusals;

use serde_json::Value;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContactBuilder, InfoBuilder, OpenApi, SecurityRequirement, Tag};

pub use self::needs::{Arguments, Needs, Routes, tell_needs, together, with_needs};

/// What a document says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What it is of.
    pub title: &'a str,
    /// More about that.
    pub description: &'a str,
    /// Its tags, each with what is under it.
    pub tags: &'a [(&'a str, &'a str)],
}

/// Completes the document of a surface: the credentials that it takes, and with each operation the refusals
/// that it has in common with others. `repeatable` are the routes whose POST honours an `Idempotency-Key`.
pub fn complete(mut document: OpenApi, about: About<'_>, repeatable: &[&str]) -> Value {
    document.info = InfoBuilder::new()
        .title(about.title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about.description))
        .contact(Some(ContactBuilder::new().name(Some("Claviger")).build()))
        .build();
    document.tags = Some(about.tags.iter().copied().map(tag).collect());
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
    refusals::describe(&mut document, repeatable);
    document
}

fn tag((name, description): (&str, &str)) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(description.to_owned());
    tag
}
