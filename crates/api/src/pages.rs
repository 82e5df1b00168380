//! Pages that the links in mails lead to. A GET shows a form and consumes nothing, since programs open
//! links, too; posting that form consumes. They have no script, no cookie and nothing of elsewhere.

mod accept_invitation;
mod reset_password;
mod sign_in;

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use claviger_edge::{ApiError, Core, NoStore};
use http::{HeaderValue, StatusCode, header};
use url::form_urlencoded;

/// Nothing is loaded, nothing runs, nobody frames it, and its form goes here.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// The pages, without the layers of The Auth API.
pub(crate) fn router(core: &Core) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route(
            "/reset-password",
            get(reset_password::show).post(reset_password::reset),
        )
        .route(
            "/accept-invitation",
            get(accept_invitation::show).post(accept_invitation::accept),
        )
        .with_state(core.clone())
}

/// What a page says and asks.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: &'a str,
    /// What is said, a paragraph each.
    said: &'a [String],
    /// What is to be copied, with what it is.
    secrets: &'a [(&'static str, &'a str)],
    form: Option<Form<'a>>,
}

/// What is sent back.
struct Form<'a> {
    /// Without the token, which would be in the logs of whoever is in between.
    action: &'static str,
    token: &'a str,
    asked: &'a [Asked],
    button: &'static str,
}

/// A field to fill in.
struct Asked {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
}

const NEW_PASSWORD: Asked = Asked {
    name: "password",
    label: "New password, 8 characters or more",
    kind: "password",
    autocomplete: "new-password",
};

impl Page<'_> {
    fn answer(&self, status: StatusCode) -> Response {
        let html = self.render().expect("a template of text always renders");
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        NoStore((status, headers, html)).into_response()
    }
}

/// A page that says one thing.
fn says(status: StatusCode, title: &str, said: String) -> Response {
    let page = Page {
        title,
        said: &[said],
        secrets: &[],
        form: None,
    };
    page.answer(status)
}

/// Why not; with the form again, where another answer to it may do.
fn refused(title: &str, error: ApiError, form: Form<'_>) -> Response {
    let status = error.code.status();
    let is_over = matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
    );
    let said = if is_over {
        "This link is not good any more: it was used, or its time is over. Ask for another one."
            .into()
    } else {
        error.message
    };
    let page = Page {
        title,
        said: &[said],
        secrets: &[],
        form: (!is_over).then_some(form),
    };
    let mut answer = page.answer(status);
    answer.headers_mut().extend(error.headers);
    answer
}

/// The members of a form, or of a query.
fn members(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The token of a link.
fn token_of(query: Option<&str>) -> String {
    let mut members = members(query.unwrap_or_default().as_bytes());
    members.remove("token").unwrap_or_default()
}

/// What a form has in a field; nothing where it has none.
fn take(members: &mut HashMap<String, String>, name: &str) -> String {
    members.remove(name).unwrap_or_default()
}
