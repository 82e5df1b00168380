//! Connectors that accounts brought: a file's text and the OpenAPI document that it is an overlay of.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use serde_json::json;

use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::{Base, Change, Db, Page, StoreError, Tx};

/// A connector of an account, without its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConnector {
    /// Its id.
    pub id: Id<id::Connector>,
    /// The account that it is in.
    pub account: AccountRef,
    /// Its name in URLs, which no other connector of the account has.
    pub slug: String,
    /// The product's name for people.
    pub label: String,
    /// What kind of product it is.
    pub category: Option<String>,
    /// SHA-256 of its texts.
    pub digest: Vec<u8>,
    /// Who made it, and when.
    pub base: Base,
}

/// What a connector is made of.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Texts {
    /// The connector file, as JSON, without the document.
    pub file: String,
    /// The OpenAPI document.
    pub document: String,
    /// The values that the file sends with every call, which are not in it.
    pub sealed_values: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    slug: String,
    label: String,
    category: Option<String>,
    digest: Vec<u8>,
    #[sqlx(flatten)]
    base: Base,
}

impl From<Row> for StoredConnector {
    fn from(row: Row) -> Self {
        Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            slug: row.slug,
            label: row.label,
            category: row.category,
            digest: row.digest,
            base: row.base,
        }
    }
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, slug, label, category, digest, created_by, \
         created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, updated_at"
    };
}

/// Rows of the caller's accounts; a connector is of no project.
macro_rules! live_within_reach {
    () => {
        concat!("deleted_at IS NULL AND ", within_reach!())
    };
}

/// Finds a connector within the reach: of that account, or the oldest of that name.
pub async fn find(
    db: &Db,
    reach: &Reach,
    slug: &str,
    account: Option<&Id<id::Account>>,
) -> Result<Option<StoredConnector>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM connectors WHERE slug = $4 AND ($5 IS NULL OR account_id = $5) AND ",
        live_within_reach!(),
        " ORDER BY created_at, id LIMIT 1"
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(slug)
        .bind(account.map(Id::as_str))
        .fetch_optional(c)
        .await)?;
    Ok(row.map(StoredConnector::from))
}

/// The connector that an account means by a name: its own, else its parent's.
pub async fn meant_by(
    db: &Db,
    account: &AccountRef,
    slug: &str,
) -> Result<Option<StoredConnector>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM connectors WHERE slug = $1 AND account_id IN ($2, $3) AND deleted_at IS NULL \
         ORDER BY CASE WHEN account_id = $2 THEN 0 ELSE 1 END LIMIT 1"
    );
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(slug)
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(StoredConnector::from))
}

/// Rows within the reach, and those that an account ($4, below $5) means by their names.
macro_rules! live_and_usable {
    () => {
        concat!(
            "deleted_at IS NULL AND (",
            within_reach!(),
            " OR account_id = $4 OR (account_id = $5 AND NOT EXISTS \
             (SELECT 1 FROM connectors AS own WHERE own.account_id = $4 \
             AND own.slug = connectors.slug AND own.deleted_at IS NULL)))"
        )
    };
}

/// Lists connectors within the reach, and those that an account may use beside them, by age; and tells how
/// many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    account: Option<&AccountRef>,
    page: &Page,
) -> Result<(Vec<StoredConnector>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM connectors WHERE ",
        live_and_usable!(),
        " AND (created_at, id) > ($6, $7) ORDER BY created_at, id LIMIT $8 OFFSET $9"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM connectors WHERE ", live_and_usable!());
    let binds = ReachBinds::of(reach);
    let (own, above) = (
        account.map(|account| account.id.as_str()),
        account.map(|account| account.root.as_str()),
    );
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(own)
        .bind(above)
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
        .bind(own)
        .bind(above)
        .fetch_one(c)
        .await)?;
    Ok((rows.into_iter().map(StoredConnector::from).collect(), total))
}

/// A connector with what it is made of, read when its tools are not in memory. Its digest is that of these
/// texts, whatever it was when it was found.
pub async fn with_texts(
    db: &Db,
    id: &Id<id::Connector>,
) -> Result<Option<(StoredConnector, Texts)>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Whole {
        #[sqlx(flatten)]
        row: Row,
        #[sqlx(flatten)]
        texts: Texts,
    }
    const SQL: &str = concat!(
        "SELECT file, document, sealed_values, ",
        columns!(),
        " FROM connectors WHERE id = $1 AND deleted_at IS NULL"
    );
    let whole: Option<Whole> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    Ok(whole.map(|whole| (whole.row.into(), whole.texts)))
}

/// Name and label of the connectors that an account may use: its own, and those of the account above it,
/// each name once.
pub async fn usable_by(
    db: &Db,
    account: &AccountRef,
    most: i64,
) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: &str = "SELECT slug, label FROM connectors AS c \
        WHERE account_id IN ($1, $2) AND deleted_at IS NULL AND (account_id = $1 OR NOT EXISTS \
        (SELECT 1 FROM connectors AS o WHERE o.account_id = $1 AND o.slug = c.slug \
        AND o.deleted_at IS NULL)) ORDER BY label, slug LIMIT $3";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// Stores a connector; `false` when the account has one of that name.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    connector: &StoredConnector,
    texts: &Texts,
) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO connectors (id, account_id, root_account_id, slug, label, \
        category, file, document, sealed_values, digest, created_by, created_by_type, created_in, \
        last_changed_by, last_changed_by_type, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
        ON CONFLICT (account_id, slug) WHERE deleted_at IS NULL DO NOTHING";
    let base = &connector.base;
    let done = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(connector.id.as_str())
        .bind(connector.account.id.as_str())
        .bind(connector.account.root.as_str())
        .bind(&connector.slug)
        .bind(&connector.label)
        .bind(&connector.category)
        .bind(&texts.file)
        .bind(&texts.document)
        .bind(&texts.sealed_values)
        .bind(&connector.digest)
        .bind(&base.created_by)
        .bind(&base.created_by_type)
        .bind(&base.created_in)
        .bind(&base.last_changed_by)
        .bind(&base.last_changed_by_type)
        .bind(base.created_at.as_micros())
        .bind(base.updated_at.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if done == 0 {
        return Ok(false);
    }
    told(tx, change, connector, EventKind::ConnectorCreated).await?;
    Ok(true)
}

/// Puts other texts in the place of a connector's, whose name stays; `false` when it was changed or
/// deleted since it was read.
pub async fn update(
    tx: &mut Tx,
    change: &Change,
    before: &[u8],
    connector: &StoredConnector,
    texts: &Texts,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE connectors SET label = $3, category = $4, file = $5, document = $6, \
        sealed_values = $7, digest = $8, last_changed_by = $9, last_changed_by_type = $10, \
        updated_at = $11 \
        WHERE id = $1 AND digest = $2 AND deleted_at IS NULL";
    let base = &connector.base;
    let done = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(connector.id.as_str())
        .bind(before)
        .bind(&connector.label)
        .bind(&connector.category)
        .bind(&texts.file)
        .bind(&texts.document)
        .bind(&texts.sealed_values)
        .bind(&connector.digest)
        .bind(&base.last_changed_by)
        .bind(&base.last_changed_by_type)
        .bind(base.updated_at.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if done == 0 {
        return Ok(false);
    }
    told(tx, change, connector, EventKind::ConnectorUpdated).await?;
    Ok(true)
}

/// Deletes a connector, and forgets its texts; `false` when it is gone already.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    connector: &StoredConnector,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE connectors SET deleted_at = $2, updated_at = $2, file = '', \
        document = '', sealed_values = NULL WHERE id = $1 AND deleted_at IS NULL";
    let done = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(connector.id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if done == 0 {
        return Ok(false);
    }
    told(tx, change, connector, EventKind::ConnectorDeleted).await?;
    Ok(true)
}

/// Holds the connector that an account means by a name, and its parent's of that name: until the transaction
/// is over nobody deletes them. `false` where there is none.
pub async fn hold(tx: &mut Tx, account: &AccountRef, slug: &str) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE connectors SET slug = slug \
        WHERE slug = $1 AND account_id IN ($2, $3) AND deleted_at IS NULL";
    let done = on!(tx, |c| sqlx::query(SQL)
        .bind(slug)
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(done > 0)
}

/// How many connected accounts use a connector: those of its account and of the accounts below it.
pub async fn uses(tx: &mut Tx, connector: &StoredConnector) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM connected_accounts WHERE integration = $1 \
        AND (account_id = $2 OR root_account_id = $2) AND deleted_at IS NULL";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(&connector.slug)
        .bind(connector.account.id.as_str())
        .fetch_one(c)
        .await)?)
}

/// How many connectors an account has.
pub async fn count(tx: &mut Tx, account: &Id<id::Account>) -> Result<i64, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*) FROM connectors WHERE account_id = $1 AND deleted_at IS NULL";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(account.as_str())
        .fetch_one(c)
        .await)?)
}

async fn told(
    tx: &mut Tx,
    change: &Change,
    connector: &StoredConnector,
    kind: EventKind,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: connector.account.id.clone(),
        project: None,
        target: connector.id.to_string(),
        data: json!({"slug": connector.slug, "label": connector.label}),
    };
    crate::events::append(tx, change, event).await
}

/// All values that are sealed, with the ids of the connectors that they are sealed for.
pub(crate) async fn all_sealed(db: &Db) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    const SQL: &str = "SELECT id, sealed_values FROM connectors WHERE sealed_values IS NOT NULL \
                       ORDER BY id";
    Ok(on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}
