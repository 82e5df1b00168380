//! `/connect-account`: the page on which somebody connects an account of theirs. With a link's token a GET
//! gives the browser a ticket, and changes nothing; the page shows a form, and posting that connects. A form
//! is taken from our own page alone.

mod callback;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use claviger_edge::page::form_members;
use claviger_edge::{ApiError, NoStore, network_of, unread_body};
use claviger_store::Asker;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::link_tokens::LinkToken;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::utf8_percent_encode;

use crate::connect::choice::{Asked, Chosen, Picked, choose};
use crate::connect::consent::{Asking, begin};
use crate::connect::ending::{ErrorType, Outcome, end};
use crate::connect::entering::{Entered, Entering, MOST_TRIES, credentials_of, enter};
use crate::connect::form::{Showing, ask, offer, offer_formats, said_of};
use crate::connect::link::Live;
use crate::connect::page::{failed, not_good, says};
use crate::connector::access::OAuth;
use crate::connector::file::Format;
use crate::gateway::Gateway;
use crate::request::IN_SEGMENT;
use crate::ticket::{Cookie, Ticket};

pub(super) use self::callback::callback;
pub(super) use crate::connect::{CALLBACK, PATH};

/// The largest form: each of its fields may hold a key of some kilobytes.
const LARGEST_FORM: usize = 256 * 1_024;
/// What of a link's query goes on to the page.
const KEPT: [&str; 3] = ["integration", "auth_format", "integrations"];

pub(super) async fn show(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let asked = form_members(parts.uri.query().unwrap_or_default().as_bytes());
    let shown = match asked.get("link_token") {
        Some(token) => exchange(&gateway, &parts, token, &asked).await,
        None => page(&gateway, &parts.headers, &asked).await,
    };
    shown.unwrap_or_else(failed)
}

/// Gives the browser a ticket for a link's token, and leads to the page without it.
async fn exchange(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    token: &str,
    asked: &HashMap<String, String>,
) -> Result<Response, ApiError> {
    let core = &gateway.core;
    let from = network_of(core, &parts.extensions, &parts.headers);
    let Some(link) = gateway.link_of_token(token, from).await? else {
        return Ok(not_good());
    };
    let cookie = Cookie::of(&gateway.public_url);
    // Who opens it again goes on where they were.
    let had = cookie
        .sent(&parts.headers)
        .and_then(|text| gateway.keys.tickets.read(text))
        .filter(|ticket| gateway.is_of_browser(&link, ticket));
    if link.page.is_some() && had.is_none() {
        return Ok(not_good());
    }
    let (id, until) = (link.id.clone(), link.expires_at);
    let family = Asker::Family(link.account.root.clone());
    if family.scope(gateway.live_link(link)).await?.is_none() {
        return Ok(not_good());
    }
    let ticket = had.unwrap_or_else(|| gateway.keys.tickets.issue(&id, &*core.random));
    let kept = KEPT.iter().filter_map(|name| {
        let value = utf8_percent_encode(asked.get(*name)?, IN_SEGMENT);
        Some(format!("{name}={value}"))
    });
    let query = kept.collect::<Vec<_>>().join("&");
    let sign = if query.is_empty() { "" } else { "?" };
    let location = HeaderValue::try_from(format!("{PATH}{sign}{query}"));
    let headers = [
        (
            header::LOCATION,
            location.expect("percent-encoded text fits a header"),
        ),
        (header::SET_COOKIE, cookie.keep(&ticket, until, core.now())),
    ];
    Ok(NoStore((StatusCode::SEE_OTHER, headers)).into_response())
}

async fn page(
    gateway: &Arc<Gateway>,
    headers: &HeaderMap,
    members: &HashMap<String, String>,
) -> Result<Response, ApiError> {
    let Some((ticket, link)) = gateway.link_of_ticket(headers).await? else {
        return Ok(not_good());
    };
    // The page of one link does not lead to that of another, which the browser was given meanwhile.
    if members.get("link").is_some_and(|of| of != link.id.as_str()) {
        return Ok(not_ours());
    }
    let asked = &Asked::read(members);
    let family = Asker::Family(link.account.root.clone());
    let shown = async {
        let live = match live(gateway, link).await? {
            Ok(live) => live,
            Err(over) => return Ok(over),
        };
        let picked = match pick(gateway, &live, asked).await? {
            Ok(picked) => picked,
            Err(otherwise) => return Ok(otherwise),
        };
        let showing = Showing {
            gateway,
            live: &live,
            ticket: &ticket,
            picked: &picked,
        };
        Ok(ask(&showing, &Entered::default(), None, StatusCode::OK))
    };
    family.scope(shown).await
}

/// The link of a ticket where it is good, or the page that says that it is over.
async fn live(gateway: &Gateway, link: LinkToken) -> Result<Result<Live, Response>, ApiError> {
    let kept = link.clone();
    match gateway.live_link(link).await? {
        Some(live) => Ok(Ok(live)),
        None => Ok(Err(over(gateway, &kept).await?)),
    }
}

async fn over(gateway: &Gateway, link: &LinkToken) -> Result<Response, ApiError> {
    let error =
        "This link was used, or its time is over. Go back to where you came from, and begin anew.";
    let outcome = Outcome::failed(ErrorType::InvalidToken, error, link.integration.as_deref());
    end(gateway, link, &outcome).await
}

/// What is to be connected, or the page on which that is chosen.
async fn pick(
    gateway: &Gateway,
    live: &Live,
    asked: &Asked,
) -> Result<Result<Picked, Response>, ApiError> {
    Ok(match choose(gateway, live, asked).await? {
        Chosen::Picked(picked) => Ok(*picked),
        Chosen::OneOf(offered) => Err(offer(live, &offered)),
        Chosen::FormatOf(catalogue) => Err(offer_formats(live, &catalogue)),
        Chosen::None => {
            let error = "There is nothing of that name to connect here.";
            let named = asked.integration.as_deref();
            let outcome = Outcome::failed(ErrorType::InvalidIntegration, error, named);
            Err(end(gateway, &live.link, &outcome).await?)
        }
    })
}

pub(super) async fn submit(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let submitted = submitted(&gateway, request).await;
    submitted.unwrap_or_else(failed)
}

async fn submitted(gateway: &Arc<Gateway>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_of_own_page(&gateway.public_url, &parts.headers) {
        return Ok(not_ours());
    }
    let body = to_bytes(body, LARGEST_FORM).await;
    let body = body.map_err(|error| unread_body(error, "256 KiB"))?;
    let members = form_members(&body);
    let Some((ticket, link)) = gateway.link_of_ticket(&parts.headers).await? else {
        return Ok(not_good());
    };
    let form_token = members.get("form_token").map(String::as_str);
    let tickets = &gateway.keys.tickets;
    if !tickets.is_form_of(&ticket, form_token.unwrap_or_default()) {
        return Ok(not_ours());
    }
    let family = Asker::Family(link.account.root.clone());
    let connecting = connect(gateway, link, &ticket, &members);
    family.scope(connecting).await
}

fn not_ours() -> Response {
    let said =
        "It was sent by another page than the one that you have open here. Open your link again.";
    says(StatusCode::FORBIDDEN, "This was not taken", said)
}

/// Whether a browser says that a form is sent by a page of ours, and nothing else: by the origin, or by the
/// site where it names no origin. Safari before 16.4 says nothing of the site.
fn is_of_own_page(public_url: &str, headers: &HeaderMap) -> bool {
    let said = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(()),
            (value, None) => Ok(value.map(HeaderValue::as_bytes)),
        }
    };
    let (Ok(origin), Ok(site)) = (said("origin"), said("sec-fetch-site")) else {
        return false;
    };
    let is_named = |origin: &[u8]| origin == public_url.as_bytes();
    match (origin.filter(|origin| origin != b"null"), site) {
        (Some(origin), None) => is_named(origin),
        (Some(origin), Some(site)) => is_named(origin) && site == b"same-origin",
        (None, site) => site == Some(b"same-origin".as_slice()),
    }
}

async fn connect(
    gateway: &Arc<Gateway>,
    link: LinkToken,
    ticket: &Ticket,
    members: &HashMap<String, String>,
) -> Result<Response, ApiError> {
    let live = match live(gateway, link).await? {
        Ok(live) => live,
        Err(over) => return Ok(over),
    };
    if members
        .get("action")
        .is_some_and(|action| action == "cancel")
    {
        return cancelled(gateway, &live).await;
    }
    let asked = Asked::read(members);
    let mut picked = match pick(gateway, &live, &asked).await? {
        Ok(picked) => picked,
        Err(otherwise) => return Ok(otherwise),
    };
    let entered = Entered::read(members);
    let checked = entered.check(&mut picked, &live.link);
    let credentials = match checked.and_then(|()| credentials_of(gateway, &picked, &entered)) {
        Ok(credentials) => credentials,
        Err(error) => {
            let showing = Showing {
                gateway,
                live: &live,
                ticket,
                picked: &picked,
            };
            let status = error.code.status();
            let said = said_of(error, &picked);
            return Ok(ask(&showing, &entered, Some(&said), status));
        }
    };
    if let Some((Format::OAuth2, access)) = picked.access()
        && let Some(oauth) = &access.oauth
    {
        return consent(gateway, &live, ticket, &picked, oauth, &entered).await;
    }
    let shown = picked.clone();
    let entering = enter(gateway, &live.link, ticket, picked, credentials, MOST_TRIES);
    match entering.await? {
        Entering::Connected(connected) => {
            let outcome = Outcome::Connected {
                integration: shown.draft.integration,
                connected,
            };
            end(gateway, &live.link, &outcome).await
        }
        Entering::NotTaken(_, why) => {
            let label = shown.catalogue.label();
            let why = format!("{label} does not take this: {why}");
            let why = claviger_domain::plain_text::clean(&why);
            let showing = Showing {
                gateway,
                live: &live,
                ticket,
                picked: &shown,
            };
            Ok(ask(&showing, &entered, Some(&why), StatusCode::BAD_REQUEST))
        }
        Entering::Over => over(gateway, &live.link).await,
    }
}

/// Sends the browser on to where its user consents.
async fn consent(
    gateway: &Arc<Gateway>,
    live: &Live,
    ticket: &Ticket,
    picked: &Picked,
    oauth: &OAuth,
    entered: &Entered,
) -> Result<Response, ApiError> {
    let Some(asking) = Asking::of(gateway, picked, oauth).await? else {
        let error = "Whoever asks has not been let in there yet. Tell them.";
        let named = Some(picked.draft.integration.as_str());
        let outcome = Outcome::failed(ErrorType::InvalidIntegration, error, named);
        return end(gateway, &live.link, &outcome).await;
    };
    let credentials = entered.credentials.clone();
    let begun = begin(gateway, live, ticket, picked, (oauth, &asking), credentials);
    match begun.await? {
        Some(onward) => Ok(onward),
        None => over(gateway, &live.link).await,
    }
}

/// What is told of somebody who gives up: that they did, or why what they entered was not taken.
async fn cancelled(gateway: &Gateway, live: &Live) -> Result<Response, ApiError> {
    // What is connected anew keeps what it had.
    let is_own = |_: &&ConnectedAccount| live.link.tries > 0 && !live.link.reconnects;
    let in_vain = live.connected.as_ref().filter(is_own);
    let outcome = match in_vain {
        Some(connected) => Outcome::Failed {
            error: "What was entered was not taken.",
            error_type: ErrorType::Validation,
            integration: Some(connected.integration.clone()),
            connected: Some(connected.id.clone()),
        },
        None => Outcome::Closed,
    };
    end(gateway, &live.link, &outcome).await
}
