//! Accepting an invitation.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;

use super::create::hold_what_is_left;
use super::maker::may_still_invite;
use super::{Invitation, InvitationId, Status, lock, of_row, save};
use crate::db::on;
use crate::{Change, StoreError, Tx, roles};

/// Gives a person what an invitation asks them for, once; `false` where it cannot be accepted any
/// more, or who made it could not make it any more. Who holds at least that keeps what they hold.
pub async fn accept(
    tx: &mut Tx,
    change: &Change,
    id: &InvitationId,
    user: &Id<id::User>,
) -> Result<bool, StoreError> {
    let Some(mut seen) = peek(tx, id).await? else {
        return Ok(false);
    };
    // The place before the maker, and that before the invitation, as whoever invites, deletes or
    // exchanges a key does.
    if !hold_what_is_left(tx, &mut seen).await? || !may_still_invite(tx, &seen, change.now).await? {
        return Ok(false);
    }
    let Some(mut invitation) = lock(tx, &Reach::whole(), id).await? else {
        return Ok(false);
    };
    let is_as_seen = invitation.role == seen.role
        && invitation.base.last_changed_by == seen.base.last_changed_by;
    if invitation.status_at(change.now) != Status::Pending || !is_as_seen {
        return Ok(false);
    }
    invitation.projects = seen.projects;
    for place in invitation.places() {
        let holds = roles::held(tx, user, &place).await?.is_some_and(|held| {
            let permissions = held.role.permissions();
            permissions.covers(invitation.role.permissions())
        });
        if !holds {
            roles::give(tx, change, user, &place, invitation.role).await?;
        }
    }
    invitation.status = Status::Accepted;
    save(
        tx,
        change,
        &mut invitation,
        Some(user),
        EventKind::InvitationAccepted,
    )
    .await?;
    Ok(true)
}

/// Reads an invitation without holding it.
pub(crate) async fn peek(tx: &mut Tx, id: &InvitationId) -> Result<Option<Invitation>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        super::columns!(),
        " FROM invitations WHERE id = $1"
    );
    of_row(on!(tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}
