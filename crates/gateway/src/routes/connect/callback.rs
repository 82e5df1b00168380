//! `GET /connect-account/callback/{account}/{integration}`: where the answers come of those who were asked for consent.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use claviger_edge::ApiError;
use claviger_edge::page::form_members;
use claviger_store::{Asker, link_tokens};
use http::request::Parts;

use super::{live, over, pick};
use crate::connect::choice::{Asked, Picked};
use crate::connect::consent::{Asking, NoConsent, Question, asked, grant};
use crate::connect::ending::{ErrorType, Outcome, end};
use crate::connect::entering::{Entering, enter};
use crate::connect::page::{failed, not_good};
use crate::connect::trying::origins;
use crate::connector::file::Format;
use crate::credentials::Credentials;
use crate::gateway::Gateway;
use crate::grant::Grant;

pub(in crate::routes) async fn callback(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = form_members(parts.uri.query().unwrap_or_default().as_bytes());
    let called_back = called_back(&gateway, &parts, &answer).await;
    called_back.unwrap_or_else(failed)
}

/// The answer of somebody who was asked for consent. One that nobody waits for, in this browser, for this link
/// and at this path, is as a link that is not good.
async fn called_back(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    answer: &HashMap<String, String>,
) -> Result<Response, ApiError> {
    let Some((ticket, link)) = gateway.link_of_ticket(&parts.headers).await? else {
        return Ok(not_good());
    };
    let family = Asker::Family(link.account.root.clone());
    let answering = async {
        let live = match live(gateway, link).await? {
            Ok(live) => live,
            Err(over) => return Ok(over),
        };
        let state = answer.get("state").map(String::as_str).unwrap_or_default();
        let Some(question) = asked(gateway, &live.link, &ticket, state).await? else {
            return Ok(not_good());
        };
        // Whoever it is from was asked by somebody else: its code is shown to nobody.
        if !question.is_answered_at(gateway, parts.uri.path()) {
            return Ok(not_good());
        }
        let named = Asked {
            integration: Some(question.integration.clone()),
            format: Some(Format::OAuth2.as_str().to_owned()),
            among: None,
        };
        let mut picked = match pick(gateway, &live, &named).await? {
            Ok(picked) => picked,
            Err(otherwise) => return Ok(otherwise),
        };
        picked.draft.context.clone_from(&question.context);
        let granted = granted(gateway, &picked, &question, answer).await?;
        let grant = match granted {
            Ok(grant) => grant,
            Err(why) => {
                let outcome = why.outcome(&question.integration);
                return end(gateway, &live.link, &outcome).await;
            }
        };
        // Asking took its time, in which whoever made the link may have lost what that takes.
        let current = link_tokens::find(&gateway.core.db, &live.link.id).await?;
        let Some(current) = current else {
            return Ok(not_good());
        };
        let live = match super::live(gateway, current).await? {
            Ok(live) => live,
            Err(over) => return Ok(over),
        };
        let origins = origins(gateway, &picked.draft, &picked.catalogue)?;
        let credentials = Credentials::entered(&question.credentials, origins).with(grant);
        // Counted when it was asked.
        let entering = enter(gateway, &live.link, &ticket, picked, credentials, i64::MAX);
        let outcome = match entering.await? {
            Entering::Connected(connected) => Outcome::Connected {
                integration: question.integration,
                connected,
            },
            Entering::NotTaken(connected, _) => Outcome::Failed {
                error: "The access that was given is not enough.",
                error_type: ErrorType::Validation,
                integration: Some(question.integration),
                connected: Some(connected),
            },
            Entering::Over => return over(gateway, &live.link).await,
        };
        end(gateway, &live.link, &outcome).await
    };
    family.scope(answering).await
}

async fn granted(
    gateway: &Gateway,
    picked: &Picked,
    question: &Question,
    answer: &HashMap<String, String>,
) -> Result<Result<Grant, NoConsent>, ApiError> {
    let gone = || NoConsent::Failed("What is connected was changed meanwhile.");
    let Some((Format::OAuth2, access)) = picked.access() else {
        return Ok(Err(gone()));
    };
    let Some(oauth) = &access.oauth else {
        return Ok(Err(gone()));
    };
    match Asking::of(gateway, picked, oauth).await? {
        Some(asking) => Ok(grant(gateway, picked, &asking, question, answer).await),
        None => Ok(Err(gone())),
    }
}
