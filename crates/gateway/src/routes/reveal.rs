//! `/reveal`: the page on which a person opens a sealed secret, once. It needs an owner of the account who
//! signed in a short while ago; the link alone opens nothing.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use claviger_domain::event::Actor;
use claviger_domain::key_string::PlainKey;
use claviger_domain::rights::Reach;
use claviger_edge::page::{Asked, Form, Page, form_members};
use claviger_edge::{ApiError, Credential, ErrorCode, Identity, network_of, unread_body};
use claviger_store::opened_handles::{self, Opening};
use claviger_store::{StoreError, connected_accounts, mcp_servers};
use http::StatusCode;

use crate::gateway::Gateway;
use crate::sealed::{Bound, PATH, Secret, server_of};

const TITLE: &str = "Show a secret";
const LARGEST_BODY: usize = 16 * 1024;
const ACCESS: &str = "access_token";
const ASKED: [Asked; 1] = [Asked {
    name: ACCESS,
    label: "Your access token, from signing in within the last 15 minutes",
    kind: "password",
    autocomplete: "off",
    shortest: 1,
}];

pub(super) async fn show(RawQuery(query): RawQuery) -> Response {
    let mut members = form_members(query.unwrap_or_default().as_bytes());
    let token = members.remove("token").unwrap_or_default();
    let said = "An agent's tool answered a secret, which was kept from the agent. It is shown once, to an owner \
                of the account; opening this page has not shown it yet.";
    let page = Page {
        title: TITLE,
        said: &[said.to_owned()],
        form: Some(form(&token)),
        ..Page::default()
    };
    page.answer(StatusCode::OK)
}

pub(super) async fn reveal(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let mut token = String::new();
    match opened(&gateway, request, &mut token).await {
        Ok(secret) => {
            let page = Page {
                title: "The secret",
                said: &[format!(
                    "It was in `{}`. Copy it now: this link shows nothing any more.",
                    secret.field
                )],
                secrets: &[("Secret", secret.plain.expose())],
                ..Page::default()
            };
            page.answer(StatusCode::OK)
        }
        Err(error) => {
            let status = error.code.status();
            let is_over = status == StatusCode::NOT_FOUND;
            let page = Page {
                title: TITLE,
                why: Some(&error.message),
                form: (!is_over).then(|| form(&token)),
                ..Page::default()
            };
            let mut answer = page.answer(status);
            answer.headers_mut().extend(error.headers);
            answer
        }
    }
}

fn form(token: &str) -> Form<'_> {
    Form {
        action: PATH,
        token,
        asked: &ASKED,
        button: "Show it",
    }
}

/// One answer for links that were made up, have ended, were opened, or are none of the person's.
fn not_good() -> ApiError {
    let message = "This link is not good: it was opened before, its 15 minutes are over, or it is of an account \
                   that is not yours";
    ApiError::new(ErrorCode::NotFound, message)
}

async fn opened(
    gateway: &Gateway,
    request: Request,
    token: &mut String,
) -> Result<Secret, ApiError> {
    let (parts, body) = request.into_parts();
    let core = &gateway.core;
    let from = network_of(core, &parts.extensions, &parts.headers);
    let body = to_bytes(body, LARGEST_BODY).await;
    let body = body.map_err(|error| unread_body(error, "16 KiB"))?;
    let mut members = form_members(&body);
    *token = members.remove("token").unwrap_or_default();
    let access = members.remove(ACCESS).unwrap_or_default();
    let presented = Credential(PlainKey::new(access.trim()));
    let identity = Identity::presenting(core, &presented, from).await?;
    let identity = identity.filter(|identity| matches!(identity.actor, Actor::User(_)));
    let identity = identity.ok_or_else(|| {
        let message = "This access token is not good: sign in again";
        ApiError::new(ErrorCode::Unauthorized, message)
    })?;
    let opening = open_as(gateway, &identity, token);
    identity.asker().scope(opening).await
}

/// Opens a handle for a person who owns the account that it is of.
async fn open_as(gateway: &Gateway, identity: &Identity, handle: &str) -> Result<Secret, ApiError> {
    let core = &gateway.core;
    let id = server_of(handle).ok_or_else(not_good)?;
    let server = mcp_servers::find_anywhere(&core.db, &id).await?;
    let server = server.filter(|server| server.is_live_at(core.now()));
    let server = server.ok_or_else(not_good)?;
    let over = &server.connected_account_id;
    let connected = connected_accounts::find(&core.db, &Reach::whole(), over).await?;
    let connected = connected.ok_or_else(not_good)?;
    let bound = Bound::to(&connected, &server.id);
    let secret = gateway.keys.handles.open(bound, handle, core.now());
    let secret = secret.ok_or_else(not_good)?;
    if let Err(error) = identity.must_open_keys_of(&connected.account, core.now()) {
        // Only who owns it is told more.
        let is_late = error.code == ErrorCode::SignInAgain;
        return Err(if is_late { error } else { not_good() });
    }
    let change = core.change(&identity.actor);
    let digest = core.verifier.digest(handle);
    let (server, expires_at, field) = (server.id.clone(), secret.expires_at, secret.field.clone());
    let is_first = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let opening = Opening {
                    digest: &digest,
                    expires_at,
                    connected: &connected,
                    server: &server,
                    field: &field,
                };
                opened_handles::open(tx, &change, opening).await
            })
        })
        .await?;
    if is_first {
        Ok(secret)
    } else {
        Err(not_good())
    }
}
