//! Plain pages for people: what is said, and at most one form. They have no script, no cookie and nothing of
//! elsewhere. A GET shows a form and consumes nothing, since programs open links, too; posting consumes.

use std::collections::HashMap;
use std::sync::LazyLock;

use askama::Template;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::NoStore;

/// How pages look, light and dark as somebody's browser is set.
pub const STYLE: &str = include_str!("../templates/page.css");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(None));

/// What a page may do: nothing is loaded, nobody frames it, its form goes here, and what runs is that
/// script alone, and nothing without one.
pub fn policy(script: Option<&str>) -> HeaderValue {
    let named = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let script = script.map(|script| format!("; script-src {}", named(script)));
    let policy = format!(
        "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; style-src {}{}",
        named(STYLE),
        script.unwrap_or_default()
    );
    HeaderValue::try_from(policy).expect("base64 fits a header")
}

/// What a page says and asks.
#[derive(Default, Template)]
#[template(path = "page.html")]
pub struct Page<'a> {
    /// Its title and heading.
    pub title: &'a str,
    /// Why what was asked before was not done.
    pub why: Option<&'a str>,
    /// What is said, a paragraph each.
    pub said: &'a [String],
    /// What is to be copied, with what it is.
    pub secrets: &'a [(&'static str, &'a str)],
    /// What it asks.
    pub form: Option<Form<'a>>,
}

/// What is sent back.
pub struct Form<'a> {
    /// Without the token, which would be in the logs of whoever is in between.
    pub action: &'static str,
    /// The token of the link, which the form carries.
    pub token: &'a str,
    /// What is to be filled in.
    pub asked: &'a [Asked],
    /// What its button says.
    pub button: &'static str,
}

/// A field to fill in.
pub struct Asked {
    /// Its name in the body.
    pub name: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// The type of the input.
    pub kind: &'static str,
    /// What a browser may fill in.
    pub autocomplete: &'static str,
    /// How many characters it has at least.
    pub shortest: usize,
}

impl Page<'_> {
    /// The page as an answer that nobody keeps.
    pub fn answer(&self, status: StatusCode) -> Response {
        let html = self.render().expect("a template of text always renders");
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        NoStore((status, headers, html)).into_response()
    }
}

/// The members of a form, or of a query.
pub fn form_members(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}
