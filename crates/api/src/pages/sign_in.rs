//! `/sign-in`: the page of a mailed link that signs in.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use claviger_edge::{Anyone, Core};
use http::StatusCode;

use super::{Form, Page, members, refused, take, token_of};
use crate::auth::{Arrival, sign_in_by_code};

const TITLE: &str = "Sign in";

fn form(token: &str) -> Form<'_> {
    Form {
        action: "/sign-in",
        token,
        asked: &[],
        button: "Sign in",
    }
}

pub(super) async fn show(_: Anyone, RawQuery(query): RawQuery) -> Response {
    let token = token_of(query.as_deref());
    let page = Page {
        title: TITLE,
        said: &["If you did not ask for this, close the page: nothing has happened.".to_owned()],
        form: Some(form(&token)),
        ..Page::default()
    };
    page.answer(StatusCode::OK)
}

pub(super) async fn sign_in(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    body: Bytes,
) -> Response {
    let token = take(&mut members(&body), "token");
    match sign_in_by_code(&core, arrival, None, &token).await {
        Ok((tokens, user)) => {
            let page = Page {
                title: "You are signed in",
                said: &[
                    format!("As {}. What you sign in to takes these tokens:", user.email),
                    "The first one is good for 15 minutes, and the second one gets the next pair. Give \
                     them to nobody, and close the page when you have copied them."
                        .to_owned(),
                ],
                secrets: &[
                    ("Access token", tokens.access.expose()),
                    ("Refresh token", tokens.refresh.expose()),
                ],
                ..Page::default()
            };
            page.answer(StatusCode::OK)
        }
        Err(error) => refused(TITLE, error, form(&token)),
    }
}
