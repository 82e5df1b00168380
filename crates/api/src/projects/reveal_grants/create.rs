//! `POST /projects/{id}/reveal-grants`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_domain::key_string::{KeyName, name_of_access_key};
use claviger_domain::permission::Permission;
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use claviger_edge::permission::ProjectsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter};
use claviger_store::access_keys::{self, AccessKey, Selector};
use claviger_store::projects::{self, Project};
use claviger_store::reveal_grants;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::absent;
use super::body::RevealGrantBody;
use crate::wire::DateText;

/// The longest that a grant lasts: 30 days.
const LONGEST_SECONDS: i64 = 30 * 86_400;

/// A grant to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewRevealGrant {
    /// The access key: an id from listing access keys. It must be one that may list the project's keys.
    #[serde(default)]
    #[schema(required, example = "ack_8dK2vQ0mZpR4xTbW")]
    access_key_id: Option<String>,
    /// When the grant ends, such as `2034-11-04T17:16:00.000Z`: within 30 days.
    #[serde(default, alias = "expiry")]
    #[schema(required, value_type = DateText)]
    expires_at: Option<DateText>,
}

/// Let an access key read keys back
///
/// Shows the keys of a project in full to one access key, until an instant at most 30 days from now,
/// where that key lists or shows them. The project's `keyStorage` must be `recoverable`, and keys that
/// were made before that cannot be read back. Its id comes from listing projects, the access key's from
/// listing access keys. Each reading is in the trail of changes. An earlier grant of the same access key
/// ends with the new one. No access key may call this, whatever its role, and no admin: an owner does who
/// signed in within 15 minutes, or the operator.
#[utoipa::path(post, path = "/projects/{id}/reveal-grants", operation_id = "createRevealGrant",
    tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = NewRevealGrant,
    responses(
        (status = 201, description = "The grant.", body = RevealGrantBody),
        (status = 400, description = "A member is malformed, or the access key may not list the \
            project's keys."),
        (status = 403, description = "The caller is an access key."),
        (status = 404, description = "No such project or access key."),
        (status = 409, description = "The keys of the project cannot be read back.")))]
pub(crate) async fn create_reveal_grant(
    State(core): State<Core>,
    caller: Caller<ProjectsWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<NewRevealGrant>,
) -> Result<(StatusCode, Json<RevealGrantBody>), ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let found = projects::find(&core.db, &caller.reach, &id).await?;
    let account = found.ok_or_else(absent)?.account();
    caller.identity.must_open_keys_of(&account, core.now())?;
    let which = input
        .access_key_id
        .ok_or_else(|| ApiError::field("accessKeyId", "is required"))?;
    // Not by the full key: that is nobody's to hand over for this.
    let KeyName::Id(which) = name_of_access_key(&which) else {
        return Err(no_access_key());
    };
    let change = core.change(&caller.actor);
    let until = end_of(input.expires_at, change.now)?;
    let reach = caller.reach;
    let made = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            let project = projects::hold(tx, &reach, &id).await?.ok_or_else(absent)?;
            if !project.key_storage.is_recoverable() {
                let message =
                    "The keys of this project cannot be read back, set its keyStorage first";
                return Err(ApiError::new(ErrorCode::KeysHashed, message));
            }
            let locked = access_keys::lock(tx, &family(&project), &Selector::Id(which)).await?;
            let (key, _) = locked.ok_or_else(no_access_key)?;
            judge(&key, &project, change.now)?;
            Ok(reveal_grants::create(
                tx,
                &change,
                (&project.account_id, &project.id),
                &key.id,
                until,
            )
            .await?)
        })
    });
    Ok((StatusCode::CREATED, Json((&made.await?).into())))
}

fn end_of(wanted: Option<DateText>, now: Timestamp) -> Result<Timestamp, ApiError> {
    let DateText(until) = wanted.ok_or_else(|| ApiError::field("expiresAt", "is required"))?;
    if until <= now || until > now.plus_seconds(LONGEST_SECONDS) {
        let message = "must be an instant within the next 30 days";
        return Err(ApiError::field("expiresAt", message));
    }
    Ok(until)
}

/// Where an access key may be that is granted a project's keys: in its account, or the parent of that.
fn family(project: &Project) -> Reach {
    let account = project.account();
    let parent = claviger_domain::rights::AccountRef::root(account.root.clone());
    Reach {
        accounts: vec![account, parent],
        ..Reach::default()
    }
}

/// Whether an access key could be shown anything of the project: it lists its keys.
fn judge(key: &AccessKey, project: &Project, now: Timestamp) -> Result<(), ApiError> {
    let account = project.account();
    let is_family = key.account.id == account.id || key.account.id == account.root;
    if !is_family {
        return Err(no_access_key());
    }
    let reach = key.rights().reach(Permission::KeysRead);
    let lists = reach.is_some_and(|reach| reach.reaches_project(&account, &project.id));
    if !lists || !key.is_live_at(now) {
        let message = "must be of a live access key that may list the keys of the project";
        return Err(ApiError::field("accessKeyId", message));
    }
    Ok(())
}

fn no_access_key() -> ApiError {
    ApiError::new(ErrorCode::AccessKeyNotFound, "Access key not found")
}
