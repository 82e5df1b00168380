//! `POST /invitations`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::email::Email;
use claviger_edge::permission::InvitationsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, NoStore};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::InvitationBody;
use super::maker::{invite, shows_link};
use crate::access_keys::RoleName;
use crate::role_place::{RolePlace, read_role};

/// People whom one request invites, at most.
const MOST: usize = 20;

/// People to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewInvitation {
    /// Whom to invite. Give this, or `emails`.
    #[serde(default)]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// Whom to invite: at most 20; the answer is then a list.
    #[serde(default)]
    emails: Option<Vec<String>>,
    /// As what: `owner`, `admin`, `developer`, `viewer`, `analyst` or `verifier`. Nobody gives more
    /// than they hold.
    #[serde(default)]
    #[schema(required, value_type = RoleName)]
    role: Option<String>,
    /// The account: an id from listing accounts. The caller's own when it is not given.
    #[serde(default)]
    account_id: Option<String>,
    /// The only project: an id from listing projects.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// The projects: ids from listing projects. Without any it is for all of the account.
    #[serde(default)]
    project_ids: Option<Vec<String>>,
}

/// Invite people
///
/// Asks one person (`email`) or several (`emails`) into an account, or into projects of it. Each is
/// told by mail how to accept, within 72 hours. Another invitation of the same person to the same place
/// takes an earlier one's place.
#[utoipa::path(post, path = "/invitations", operation_id = "createInvitation", tag = "invitations",
    request_body = NewInvitation,
    responses(
        (status = 201, description = "The invitation; a list of them where `emails` was given.",
            body = InvitationBody),
        (status = 400, description = "A member is malformed, or the role needs the account."),
        (status = 403, description = "It would exceed who invites."),
        (status = 404, description = "No such account or project."),
        (status = 429, description = "The account has had its invitations for this day.")))]
pub(crate) async fn create_invitation(
    State(core): State<Core>,
    caller: Caller<InvitationsWrite>,
    Body(input): Body<NewInvitation>,
) -> Result<Response, ApiError> {
    let role = read_role(input.role.as_deref())?;
    let is_list = input.emails.is_some();
    let emails = emails_of(input.email.as_deref(), input.emails.as_deref())?;
    if input.project_ids.as_ref().is_some_and(Vec::is_empty) {
        // An empty list must not come to mean everything.
        let message = "must name a project, or be left out for the whole account";
        return Err(ApiError::field("projectIds", message));
    }
    let named = input.project_ids.iter().flatten().chain(&input.project_id);
    let named: BTreeSet<&str> = named.map(String::as_str).collect();
    let place = RolePlace::find(&core, &caller, input.account_id.as_deref(), &named).await?;
    let made = invite(&core, &caller, place, role, emails).await?;
    let (now, shows_link) = (core.now(), shows_link(&caller.identity));
    let mut bodies = made
        .into_iter()
        .map(|made| InvitationBody::made(made, shows_link, now));
    let created = StatusCode::CREATED;
    Ok(if is_list {
        let bodies: Vec<_> = bodies.collect();
        NoStore((created, Json(bodies))).into_response()
    } else {
        NoStore((created, Json(bodies.next()))).into_response()
    })
}

fn emails_of(one: Option<&str>, list: Option<&[String]>) -> Result<Vec<Email>, ApiError> {
    let (field, texts): (_, Vec<&str>) = match (list, one) {
        (Some(list), _) => ("emails", list.iter().map(String::as_str).collect()),
        (None, Some(one)) => ("email", vec![one]),
        (None, None) => return Err(ApiError::field("email", "is required")),
    };
    if texts.is_empty() || texts.len() > MOST {
        return Err(ApiError::field(
            field,
            format!("must have 1 to {MOST} addresses"),
        ));
    }
    let parsed = texts.iter().map(|text| Email::parse(text));
    parsed.collect::<Option<_>>().ok_or_else(|| {
        let message = "must be an address such as ada@example.com";
        ApiError::field(field, message)
    })
}
