//! An invitation as answers show it.

use std::collections::HashMap;

use axum::Json;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Core};
use claviger_store::invitations::Invitation;
use claviger_store::mails::{self, MailStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::maker::Drawn;

/// That somebody is asked into an account.
#[derive(Serialize, ToSchema)]
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
    /// What became of its mail: `queued`, `sent` or `failed`.
    #[schema(example = "sent")]
    mail: Option<&'static str>,
    /// When the mail was sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Timestamp>,
    /// Where it is accepted: in the answer of creation only, and for the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl InvitationBody {
    /// Invitations as answers show them, with what became of their mails.
    pub(super) async fn all(
        core: &Core,
        invitations: &[Invitation],
        now: Timestamp,
    ) -> Result<Vec<Self>, ApiError> {
        let ids: Vec<_> = invitations.iter().map(|one| one.id.as_str()).collect();
        let mut mails = HashMap::new();
        for (about, status, ended_at) in mails::last_about(&core.db, &ids).await? {
            mails.insert(about, (status, ended_at));
        }
        let bodies = invitations.iter().map(|one| {
            let mail = mails.get(one.id.as_str());
            let sent = mail.filter(|(status, _)| *status == MailStatus::Sent);
            Self {
                mail: mail.map(|(status, _)| status.as_str()),
                sent_at: sent.and_then(|(_, ended_at)| *ended_at),
                ..Self::of(one, now)
            }
        });
        Ok(bodies.collect())
    }

    /// One of them.
    pub(super) async fn one(
        core: &Core,
        invitation: &Invitation,
        now: Timestamp,
    ) -> Result<Json<Self>, ApiError> {
        let all = Self::all(core, std::slice::from_ref(invitation), now).await?;
        let one = all.into_iter().next();
        Ok(Json(one.unwrap_or_else(|| Self::of(invitation, now))))
    }

    fn of(invitation: &Invitation, now: Timestamp) -> Self {
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
            mail: None,
            sent_at: None,
            link: None,
        }
    }

    /// One that was made just now; with the link where the caller may see it.
    pub(crate) fn made(made: Drawn, shows_link: bool, now: Timestamp) -> Self {
        Self {
            link: shows_link.then_some(made.link.0),
            mail: Some(MailStatus::Queued.as_str()),
            ..Self::of(&made.invitation, now)
        }
    }
}
