//! The columns that every object has: who made and changed it, and when.

use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;

use crate::Change;

/// Who made and last changed an object.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Base {
    /// Id of who made it.
    pub created_by: Option<String>,
    /// `ACCESS_KEY`, `USER` or nothing.
    pub created_by_type: Option<String>,
    /// `api`, `mcp` or `link`.
    pub created_in: String,
    /// Id of who changed it last.
    pub last_changed_by: Option<String>,
    /// `ACCESS_KEY`, `USER` or nothing.
    pub last_changed_by_type: Option<String>,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

impl Base {
    /// The columns of an object that is made now.
    pub fn made_by(change: &Change) -> Self {
        let (by, kind) = names(&change.actor);
        Self {
            created_by: by.clone(),
            created_by_type: kind.clone(),
            created_in: change.actor.door().to_owned(),
            last_changed_by: by,
            last_changed_by_type: kind,
            created_at: change.now,
            updated_at: change.now,
        }
    }

    /// Notes that the object is changed now.
    pub fn touch(&mut self, change: &Change) {
        (self.last_changed_by, self.last_changed_by_type) = names(&change.actor);
        self.updated_at = change.now;
    }
}

fn names(actor: &Actor) -> (Option<String>, Option<String>) {
    (
        actor.id().map(str::to_owned),
        actor.kind().map(str::to_owned),
    )
}
