//! An invitation as answers show it.

use claviger_domain::time::Timestamp;
use claviger_store::invitations::Invitation;
use serde::Serialize;
use utoipa::ToSchema;

use super::maker::Made;

/// That somebody is asked into an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invitation)]
pub(crate) struct InvitationBody {
    /// The invitation's id, which opens nothing.
    #[schema(example = "inv_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The account that they are asked into.
    account_id: String,
    /// The first of `projectIds`.
    project_id: Option<String>,
    /// The projects that they are asked for; none where it is all of the account.
    project_ids: Vec<String>,
    /// `pending`, `accepted`, `cancelled` or `expired`.
    #[schema(example = "pending")]
    status: &'static str,
    /// Who is asked.
    #[schema(example = "ada@example.com")]
    email: String,
    /// As what.
    #[schema(example = "developer")]
    role: &'static str,
    /// Id of who made it.
    invited_by: Option<String>,
    /// Until when it can be accepted.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Where it is accepted: in the answer of creation only, and for the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl InvitationBody {
    pub(super) fn of(invitation: &Invitation, now: Timestamp) -> Self {
        let projects = invitation.projects.iter().flatten();
        let project_ids: Vec<_> = projects.map(ToString::to_string).collect();
        Self {
            id: invitation.id.to_string(),
            account_id: invitation.account.id.to_string(),
            project_id: project_ids.first().cloned(),
            project_ids,
            status: invitation.status_at(now).as_str(),
            email: invitation.email.as_str().to_owned(),
            role: invitation.role.as_str(),
            invited_by: invitation.base.created_by.clone(),
            expires_at: invitation.expires_at,
            created_at: invitation.base.created_at,
            updated_at: invitation.base.updated_at,
            link: None,
        }
    }

    pub(super) fn made(made: Made, now: Timestamp) -> Self {
        Self {
            link: made.link,
            ..Self::of(&made.invitation, now)
        }
    }
}
