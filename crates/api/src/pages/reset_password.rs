//! `/reset-password`: the page of a mailed link that gives oneself another password.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use claviger_edge::{Anyone, Core};
use http::StatusCode;

use super::{Form, NEW_PASSWORD, Page, members, refused, says, take, token_of};
use crate::auth::{Arrival, Password, set_password};

const TITLE: &str = "Choose another password";

fn form(token: &str) -> Form<'_> {
    Form {
        action: "/reset-password",
        token,
        asked: &[NEW_PASSWORD],
        button: "Set it",
    }
}

pub(super) async fn show(_: Anyone, RawQuery(query): RawQuery) -> Response {
    let token = token_of(query.as_deref());
    let page = Page {
        title: TITLE,
        said: &[
            "All your sessions end with it. If you did not ask for this, close the page: your \
                 password stays as it is."
                .to_owned(),
        ],
        form: Some(form(&token)),
        ..Page::default()
    };
    page.answer(StatusCode::OK)
}

pub(super) async fn reset(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    body: Bytes,
) -> Response {
    let mut members = members(&body);
    let token = take(&mut members, "token");
    let password = Password::from(take(&mut members, "password"));
    match set_password(&core, &arrival, &token, &password).await {
        Ok(()) => says(
            StatusCode::OK,
            "It is another one now",
            "Sign in with your new password. Whoever was signed in as you is not any more."
                .to_owned(),
        ),
        Err(error) => refused(TITLE, error, form(&token)),
    }
}
