//! An event as the audit trail shows it.

use claviger_domain::time::Timestamp;
use claviger_store::events::trail::Placed;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEvent)]
pub(crate) struct AuditEventBody {
    /// Its id, the same that webhooks are told.
    #[schema(example = "evt_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// In which account.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// In which project; null where it was in none.
    project_id: Option<String>,
    /// Who did it: an id, or `system` for the program itself.
    #[schema(example = "ack_8dK2vQ0mZpR4xTbW")]
    actor: String,
    /// What that is: `ACCESS_KEY`, `USER`, `OPERATOR` or `SYSTEM`.
    #[schema(example = "ACCESS_KEY")]
    actor_type: &'static str,
    /// The MCP server through which an agent did it, or the link by which a customer did, for both of which
    /// the actor answers; null where the actor did it.
    via: Option<String>,
    /// What happened.
    #[schema(example = "api-key.created")]
    action: String,
    /// The id of what it happened to.
    #[schema(example = "key_8dK2vQ0mZpR4xTbW")]
    target: String,
    /// More about it; never a secret.
    data: Value,
    /// Its place in the trail: `cursor` to go on behind it.
    #[schema(example = "0-1290")]
    cursor: String,
}

impl From<Placed> for AuditEventBody {
    fn from(placed: Placed) -> Self {
        let cursor = placed.place().to_string();
        let event = placed.event;
        let (actor, via) = match event.actor.split_once(" via ") {
            Some((actor, via)) => (actor.to_owned(), Some(via.to_owned())),
            None => (event.actor, None),
        };
        Self {
            id: event.id,
            created_at: event.at,
            account_id: event.account_id,
            project_id: event.project_id,
            actor_type: match actor.split_once('_') {
                Some(("ack", _)) => "ACCESS_KEY",
                Some(("usr", _)) => "USER",
                Some(("opr", _)) => "OPERATOR",
                _ => "SYSTEM",
            },
            actor,
            via,
            action: event.kind,
            target: event.target,
            data: serde_json::from_str(&event.data).unwrap_or_default(),
            cursor,
        }
    }
}
