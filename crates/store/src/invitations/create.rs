//! Making an invitation, as many as are good for those who are asked.

use claviger_domain::event::{Actor, EventKind};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{Reach, Rights};
use claviger_domain::role::Role;

use super::{
    Invitation, MOST_A_DAY, MOST_TO_ONE_A_DAY, MOST_TO_ONE_OF_FAMILY_A_DAY, Row, Status, append,
    cancel, columns,
};
use crate::db::on;
use crate::{Change, StoreError, Tx, accounts, projects};

/// What came of inviting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// It is stored.
    Done,
    /// The account, or one of its projects, is gone.
    NoPlace,
    /// The account with its children, or who invites, has had its invitations of a day.
    TooMany,
    /// The address has had its invitations of a day.
    TooManyToOne,
    /// They are asked to that place already as that, which who invites may not take back.
    Exceeds(Role),
}

/// Stores an invitation with the digest of its token. An earlier one that asks the same person to the
/// same place is taken back: one mail counts, the last.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    rights: &Rights,
    invitation: &Invitation,
    token: &KeyDigest,
) -> Result<Invited, StoreError> {
    const EARLIER: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE account_id = $1 AND email_folded = $2 AND status = 'pending' \
         AND projects IS NOT DISTINCT FROM $3"
    );
    const SQL: &str = "INSERT INTO invitations (id, account_id, root_account_id, projects, email, \
                       email_folded, role, status, token_digest, expires_at, created_by, \
                       created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, \
                       updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $10, $11, \
                       $12, $10, $11, $13, $13)";
    if !hold_place(tx, invitation).await? {
        return Ok(Invited::NoPlace);
    }
    if let Some(refused) = over_budget(tx, change, invitation).await? {
        return Ok(refused);
    }
    let earlier: Vec<Row> = on!(&mut *tx, |c| sqlx::query_as(EARLIER)
        .bind(invitation.account.id.as_str())
        .bind(invitation.email.folded())
        .bind(invitation.projects_text())
        .fetch_all(c)
        .await)?;
    for row in earlier {
        let mut earlier = Invitation::try_from(row)?;
        // What is greater than who invites is not theirs to take back.
        if earlier.status_at(change.now) == Status::Pending && !rights.cover(&earlier.grant()) {
            return Ok(Invited::Exceeds(earlier.role));
        }
        cancel(tx, change, &mut earlier).await?;
    }
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(invitation.id.as_str())
        .bind(invitation.account.id.as_str())
        .bind(invitation.account.root.as_str())
        .bind(invitation.projects_text())
        .bind(invitation.email.as_str())
        .bind(invitation.email.folded())
        .bind(invitation.role.as_str())
        .bind(&token.as_bytes()[..])
        .bind(invitation.expires_at.as_micros())
        .bind(&invitation.base.created_by)
        .bind(&invitation.base.created_by_type)
        .bind(&invitation.base.created_in)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::InvitationCreated, invitation).await?;
    Ok(Invited::Done)
}

/// Whether the account with its children, who invites, or the address has had its invitations of a day.
/// Accounts cost nothing to make, so that children have no budget of their own. Whoever runs the instance
/// has none, unless a tool of theirs is called, whoever calls it.
async fn over_budget(
    tx: &mut Tx,
    change: &Change,
    invitation: &Invitation,
) -> Result<Option<Invited>, StoreError> {
    const OF_FAMILY: &str = "SELECT COUNT(*) FROM invitations \
                             WHERE created_at > $1 AND root_account_id = $2 AND $3 IS NOT NULL";
    const BY_MAKER: &str = "SELECT COUNT(*) FROM invitations \
                            WHERE created_at > $1 AND created_by = $2 AND $3 IS NOT NULL";
    const TO_ONE: &str = "SELECT COUNT(*) FROM invitations \
                          WHERE created_at > $1 AND email_folded = $3 AND $2 IS NOT NULL";
    const TO_ONE_OF_FAMILY: &str = "SELECT COUNT(*) FROM invitations \
                                    WHERE created_at > $1 AND root_account_id = $2 \
                                    AND email_folded = $3";
    let is_operator = matches!(change.actor, Actor::Operator(_) | Actor::System);
    let (root, to) = (invitation.account.root.as_str(), invitation.email.folded());
    let budgets = [
        (OF_FAMILY, root, MOST_A_DAY, Invited::TooMany),
        (
            BY_MAKER,
            invitation.base.created_by.as_deref().unwrap_or_default(),
            MOST_A_DAY,
            Invited::TooMany,
        ),
        (TO_ONE, root, MOST_TO_ONE_A_DAY, Invited::TooManyToOne),
        (
            TO_ONE_OF_FAMILY,
            root,
            MOST_TO_ONE_OF_FAMILY_A_DAY,
            Invited::TooManyToOne,
        ),
    ];
    let since = change.now.plus_seconds(-86_400).as_micros();
    for (sql, of, most, refused) in budgets.into_iter().filter(|_| !is_operator) {
        let today: i64 = on!(&mut *tx, |c| sqlx::query_scalar(sql)
            .bind(since)
            .bind(of)
            .bind(to)
            .fetch_one(c)
            .await)?;
        if today >= most {
            return Ok(Some(refused));
        }
    }
    Ok(None)
}

/// Keeps the account and the projects of an invitation from being deleted; tells whether all are there.
async fn hold_place(tx: &mut Tx, invitation: &Invitation) -> Result<bool, StoreError> {
    let mut left = invitation.clone();
    Ok(hold_what_is_left(tx, &mut left).await? && left.projects == invitation.projects)
}

/// The same of what is left: leaves projects out that are gone, and tells whether there is anything.
pub(super) async fn hold_what_is_left(
    tx: &mut Tx,
    invitation: &mut Invitation,
) -> Result<bool, StoreError> {
    let whole = Reach::whole();
    if !accounts::hold(tx, &whole, &invitation.account.id).await? {
        return Ok(false);
    }
    let Some(projects) = &mut invitation.projects else {
        return Ok(true);
    };
    for project in std::mem::take(projects) {
        if projects::hold(tx, &whole, &project).await?.is_some() {
            projects.insert(project);
        }
    }
    Ok(!projects.is_empty())
}
