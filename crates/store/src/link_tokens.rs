//! Links by which somebody connects an account of theirs. One is good in the browser in which it is used
//! first, for some attempts, until it has connected something or is over.

use claviger_domain::event::{Actor, EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{AccountRef, Reach, Rights};
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::db::on;
use crate::mcp_servers::Maker;
use crate::reach::{ReachBinds, within_reach};
use crate::{Change, Db, Page, StoreError, Tx};

type LinkId = Id<id::LinkToken>;
type ConnectedAccountId = Id<id::ConnectedAccount>;

/// Seconds for which a link that is over is remembered, so that a page that is still open can say so.
const REMEMBERED: i64 = 86_400;

/// How many links of an account may be live at a time; a few more, where they are made at once.
pub const MOST_LIVE: i64 = 1_000;

/// A link, without what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkToken {
    /// Its id.
    pub id: LinkId,
    /// The account that asks.
    pub account: AccountRef,
    /// The project that what is connected is for, where it is for one.
    pub project: Option<Id<id::Project>>,
    /// Whose credentials are asked for, in the words of the account.
    pub tenant_id: String,
    /// What is connected anew, or what came of it so far.
    pub connected: Option<ConnectedAccountId>,
    /// Whether it connects anew what was there before.
    pub reconnects: bool,
    /// The connector, where it is for one.
    pub integration: Option<String>,
    /// Where whoever connected goes back to.
    pub redirect_uri: Option<String>,
    /// The OAuth scopes that are asked for in the place of the connector's.
    pub scopes: Option<Vec<String>>,
    /// Of the browser in which it was used first.
    pub page: Option<KeyDigest>,
    /// How often something was sent by it.
    pub tries: i64,
    /// Who made it, and answers for it.
    pub maker: Maker,
    /// What whoever made it held.
    pub maker_rights: Rights,
    /// When it is over.
    pub expires_at: Timestamp,
    /// When it connected something.
    pub used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl LinkToken {
    /// Whether it connects something at `now`.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }

    /// Whom the trail of changes names for what somebody does by it: that is not its maker's own doing.
    pub fn actor(&self) -> Actor {
        Actor::Link {
            link: self.id.clone(),
            maker: Box::new(self.maker.actor()),
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    project_id: Option<String>,
    tenant_id: String,
    connected_account_id: Option<String>,
    reconnects: bool,
    integration: Option<String>,
    redirect_uri: Option<String>,
    scopes: Option<String>,
    page_digest: Option<Vec<u8>>,
    tries: i64,
    maker_kind: String,
    maker_id: String,
    maker_rights: String,
    expires_at: i64,
    used_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<Row> for LinkToken {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "link_tokens",
            what,
        };
        let maker = Maker::of_columns(&row.maker_kind, row.maker_id);
        let scopes = row.scopes.map(|text| serde_json::from_str(&text));
        let page = row.page_digest.map(|bytes| KeyDigest::from_bytes(&bytes));
        Ok(Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            project: row.project_id.map(Id::from_trusted),
            tenant_id: row.tenant_id,
            connected: row.connected_account_id.map(Id::from_trusted),
            reconnects: row.reconnects,
            integration: row.integration,
            redirect_uri: row.redirect_uri,
            scopes: scopes.transpose().map_err(|_| broken("scopes"))?,
            page: page
                .map(|page| page.ok_or_else(|| broken("page_digest")))
                .transpose()?,
            tries: row.tries,
            maker: maker.ok_or_else(|| broken("maker_kind"))?,
            maker_rights: Rights::from_json(&row.maker_rights)
                .ok_or_else(|| broken("maker_rights"))?,
            expires_at: Timestamp::from_micros(row.expires_at),
            used_at: row.used_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, project_id, tenant_id, connected_account_id, reconnects, \
         integration, redirect_uri, scopes, page_digest, tries, maker_kind, maker_id, maker_rights, \
         expires_at, used_at, created_at"
    };
}

/// Finds the link whose token was presented, whether it is over or not.
pub async fn find_by_token(db: &Db, token: &KeyDigest) -> Result<Option<LinkToken>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM link_tokens WHERE token_digest = $1"
    );
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(&token.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    row.map(LinkToken::try_from).transpose()
}

/// Finds a link by its id, whosever it is: a page that was given one knows it.
pub async fn find(db: &Db, id: &LinkId) -> Result<Option<LinkToken>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM link_tokens WHERE id = $1");
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(LinkToken::try_from).transpose()
}

/// Lists the links within the reach that are live, and tells how many there are.
pub async fn list_live(
    db: &Db,
    reach: &Reach,
    now: Timestamp,
    page: &Page,
) -> Result<(Vec<LinkToken>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM link_tokens WHERE used_at IS NULL AND expires_at > $4 AND ",
        within_reach!(),
        " AND (created_at, id) > ($5, $6) ORDER BY created_at, id LIMIT $7 OFFSET $8"
    );
    const TOTAL: &str = concat!(
        "SELECT COUNT(*) FROM link_tokens WHERE used_at IS NULL AND expires_at > $4 AND ",
        within_reach!()
    );
    let binds = ReachBinds::of(reach);
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(now.as_micros())
        .bind(page.after.0.as_micros())
        .bind(&page.after.1)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    let rows = rows.into_iter().map(LinkToken::try_from);
    Ok((rows.collect::<Result<_, _>>()?, total))
}

/// Stores a link under the digest of its token, and forgets those that have been over for long; `false` where
/// the account has as many as it may have.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    link: &LinkToken,
    token: &KeyDigest,
) -> Result<bool, StoreError> {
    const LIVE: &str = "SELECT COUNT(*) FROM link_tokens \
                        WHERE account_id = $1 AND used_at IS NULL AND expires_at > $2";
    const FORGET: &str = "DELETE FROM link_tokens WHERE expires_at <= $1";
    const SQL: &str = "INSERT INTO link_tokens (id, account_id, root_account_id, project_id, \
        tenant_id, connected_account_id, reconnects, integration, redirect_uri, scopes, \
        token_digest, tries, maker_kind, maker_id, maker_rights, expires_at, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    on!(&mut *tx, |c| sqlx::query(FORGET)
        .bind(change.now.plus_seconds(-REMEMBERED).as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let live: i64 = on!(&mut *tx, |c| sqlx::query_scalar(LIVE)
        .bind(link.account.id.as_str())
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    if live >= MOST_LIVE {
        return Ok(false);
    }
    let (maker_kind, maker_id) = link.maker.columns();
    let scopes = link.scopes.as_ref().map(|scopes| json!(scopes).to_string());
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(link.id.as_str())
        .bind(link.account.id.as_str())
        .bind(link.account.root.as_str())
        .bind(link.project.as_ref().map(Id::as_str))
        .bind(&link.tenant_id)
        .bind(link.connected.as_ref().map(Id::as_str))
        .bind(link.reconnects)
        .bind(&link.integration)
        .bind(&link.redirect_uri)
        .bind(scopes)
        .bind(&token.as_bytes()[..])
        .bind(link.tries)
        .bind(maker_kind)
        .bind(maker_id)
        .bind(link.maker_rights.to_json())
        .bind(link.expires_at.as_micros())
        .bind(link.created_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let data = json!({
        "tenantId": link.tenant_id,
        "integration": link.integration,
        "connectedAccountId": link.connected,
        "expiresAt": link.expires_at,
    });
    append(tx, change, EventKind::LinkTokenCreated, link, data).await?;
    Ok(true)
}

/// Takes a link for the browser that sends something by it, counts the attempt and holds the link; none
/// where it is over, another browser's, or was tried as often as it may be.
pub async fn take(
    tx: &mut Tx,
    id: &LinkId,
    page: &KeyDigest,
    most_tries: i64,
    now: Timestamp,
) -> Result<Option<LinkToken>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE link_tokens SET page_digest = $2, tries = tries + 1 WHERE id = $1 \
         AND (page_digest IS NULL OR page_digest = $2) AND used_at IS NULL AND expires_at > $3 \
         AND tries < $4 RETURNING ",
        columns!()
    );
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(&page.as_bytes()[..])
        .bind(now.as_micros())
        .bind(most_tries)
        .fetch_optional(c)
        .await)?;
    row.map(LinkToken::try_from).transpose()
}

/// Notes what came of a link so far.
pub async fn note_connected(
    tx: &mut Tx,
    id: &LinkId,
    connected: &ConnectedAccountId,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE link_tokens SET connected_account_id = $2 WHERE id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(connected.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Has a link that is held wait for the answer to a question elsewhere, in the place of one that it may
/// have asked before. `asked` is what is needed then, sealed.
pub async fn ask(
    tx: &mut Tx,
    id: &LinkId,
    state: &KeyDigest,
    asked: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE link_tokens SET state_digest = $2, flow = $3 WHERE id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(&state.as_bytes()[..])
        .bind(asked)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes the answer to what a link asked, once and in the browser that it asked in, and gives what was
/// sealed then.
pub async fn answered(
    tx: &mut Tx,
    id: &LinkId,
    page: &KeyDigest,
    state: &KeyDigest,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, StoreError> {
    // The row is held from here on: of two answers the second finds no question.
    const TAKE: &str = "UPDATE link_tokens SET state_digest = NULL WHERE id = $1 \
                        AND page_digest = $2 AND state_digest = $3 AND used_at IS NULL \
                        AND expires_at > $4 RETURNING flow";
    const ERASE: &str = "UPDATE link_tokens SET flow = NULL WHERE id = $1";
    let asked: Option<Option<Vec<u8>>> = on!(&mut *tx, |c| sqlx::query_scalar(TAKE)
        .bind(id.as_str())
        .bind(&page.as_bytes()[..])
        .bind(&state.as_bytes()[..])
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(asked) = asked else {
        return Ok(None);
    };
    on!(tx, |c| sqlx::query(ERASE)
        .bind(id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(asked)
}

/// Ends a link within the reach that has connected nothing yet; `false` where there is none that is live.
pub async fn end(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &LinkId,
) -> Result<bool, StoreError> {
    const SQL: &str = concat!(
        "UPDATE link_tokens SET expires_at = $5, state_digest = NULL, flow = NULL \
         WHERE id = $4 AND used_at IS NULL AND expires_at > $5 AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(link) = row.map(LinkToken::try_from).transpose()? else {
        return Ok(false);
    };
    let data = json!({ "tenantId": link.tenant_id });
    append(tx, change, EventKind::LinkTokenEnded, &link, data).await?;
    Ok(true)
}

/// Ends a link that has connected something; `false` where it was ended before.
pub async fn finish(tx: &mut Tx, change: &Change, link: &LinkToken) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE link_tokens SET used_at = $2, state_digest = NULL, flow = NULL \
                       WHERE id = $1 AND used_at IS NULL RETURNING connected_account_id";
    let ended: Option<Option<String>> = on!(&mut *tx, |c| sqlx::query_scalar(SQL)
        .bind(link.id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(connected) = ended else {
        return Ok(false);
    };
    let data = json!({ "tenantId": link.tenant_id, "connectedAccountId": connected });
    append(tx, change, EventKind::LinkTokenUsed, link, data).await?;
    Ok(true)
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    link: &LinkToken,
    data: Value,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: link.account.id.clone(),
        project: link.project.clone(),
        target: link.id.to_string(),
        data,
    };
    crate::events::append(tx, change, event).await
}
