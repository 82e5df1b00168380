//! Who said last what an invitation gives, and whether they still could: nothing made exceeds its maker.

use claviger_domain::id::Id;
use claviger_domain::permission::Permission;
use claviger_domain::rights::{Reach, Rights};
use claviger_domain::time::Timestamp;

use super::Invitation;
use crate::access_keys::{self, Selector};
use crate::{StoreError, Tx, operator_keys, roles};

/// Whether who made an invitation, or gave it another role since, is live, invites into its account, and
/// holds what it gives.
pub(super) async fn may_still_invite(
    tx: &mut Tx,
    invitation: &Invitation,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(by) = invitation.base.last_changed_by.clone() else {
        return Ok(true);
    };
    let rights = match invitation.base.last_changed_by_type.as_deref() {
        Some("USER") => roles::rights_of(&roles::of_user_in(tx, &Id::from_trusted(by)).await?),
        Some("ACCESS_KEY") => {
            let which = Selector::Id(Id::from_trusted(by));
            let locked = access_keys::lock(tx, &Reach::whole(), &which).await?;
            let live = locked.filter(|(key, _)| key.is_live_at(now));
            live.map_or_else(Rights::default, |(key, _)| key.rights())
        }
        _ => return operator_keys::is_live_in(tx, &Id::from_trusted(by), now).await,
    };
    let invites = rights
        .reach(Permission::InvitationsWrite)
        .is_some_and(|reach| reach.reaches_account(&invitation.account));
    Ok(invites && rights.cover(&invitation.grant()))
}
