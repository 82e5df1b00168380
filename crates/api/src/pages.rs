//! Pages that the links in mails lead to. A GET shows a form and consumes nothing, since programs open
//! links, too; posting that form consumes. They have no script, no cookie and nothing of elsewhere.

mod accept_invitation;
mod reset_password;
mod sign_in;

use std::collections::HashMap;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use claviger_edge::page::{Asked, Form, Page, form_members as members};
use claviger_edge::{ApiError, Core};
use http::StatusCode;

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

const NEW_PASSWORD: Asked = Asked {
    name: "password",
    label: "New password, 8 characters or more",
    kind: "password",
    autocomplete: "new-password",
    shortest: 8,
};

/// A page that says one thing.
fn says(status: StatusCode, title: &str, said: String) -> Response {
    let page = Page {
        title,
        said: &[said],
        ..Page::default()
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
    let why = if is_over {
        "This link is not good any more: it was used, or its time is over. Ask for another one."
            .into()
    } else if let Some(wrong) = error.details.first() {
        // For programs, a password has another name at each operation.
        let is_password = wrong.field.to_lowercase().ends_with("password");
        let what = if is_password {
            "password"
        } else {
            &wrong.field
        };
        format!("Your {what} {}", wrong.message)
    } else {
        error.message
    };
    let page = Page {
        title,
        why: Some(&why),
        form: (!is_over).then_some(form),
        ..Page::default()
    };
    let mut answer = page.answer(status);
    answer.headers_mut().extend(error.headers);
    answer
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
