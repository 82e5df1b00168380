//! Lists of API keys: filters, and pages that an index serves.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use sqlx::QueryBuilder;

use super::row::{Row, columns};
use super::{ApiKey, Selector};
use crate::db::on;
use crate::usage::last_used_at;
use crate::{Db, Page, StoreError};

/// Which keys to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of that project.
    pub project: Option<Id<id::Project>>,
    /// Of that account.
    pub account: Option<Id<id::Account>>,
    /// With that name, in any case.
    pub name: Option<String>,
    /// With that customer; `Some(None)`: with none.
    pub custom_account_id: Option<Option<String>>,
    /// With that user; `Some(None)`: with none.
    pub custom_user_id: Option<Option<String>>,
    /// Active, or not.
    pub is_active: Option<bool>,
    /// That key.
    pub which: Option<Selector>,
}

/// Lists keys within the reach, one page.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
    now: Timestamp,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> = on!(read db, |c| {
        let mut query = QueryBuilder::new(concat!(
            "SELECT ",
            columns!(),
            ", ",
            last_used_at!(),
            " FROM api_keys WHERE deleted_at IS NULL"
        ));
        restrict!(query, reach, filter, now);
        query.push(" AND (created_at, id) > (").push_bind(page.after.0.as_micros());
        query.push(", ").push_bind(&page.after.1);
        query.push(") ORDER BY created_at, id LIMIT ").push_bind(page.limit);
        query.push(" OFFSET ").push_bind(page.offset);
        query.build_query_as().fetch_all(c).await
    })?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Counts the keys that [`list`] would give in all.
pub async fn count(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(on!(read db, |c| {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM api_keys WHERE deleted_at IS NULL");
        restrict!(query, reach, filter, now);
        query.build_query_scalar().fetch_one(c).await
    })?)
}

/// Appends the conditions. A macro, because the two engines' query builders are two types; only
/// conditions that are asked for are there, so that an index can serve them.
macro_rules! restrict {
    ($query:ident, $reach:expr, $filter:expr, $now:expr) => {{
        let (reach, filter): (&Reach, &Filter) = ($reach, $filter);
        if !reach.everything {
            let mut glue = " AND (";
            for account in &reach.accounts {
                // A root's whole family is one range of one index; a child is one of another.
                let column = if account.is_root() {
                    "root_account_id"
                } else {
                    "account_id"
                };
                $query
                    .push(glue)
                    .push(column)
                    .push(" = ")
                    .push_bind(account.id.as_str());
                glue = " OR ";
            }
            for project in &reach.projects {
                $query
                    .push(glue)
                    .push("project_id = ")
                    .push_bind(project.as_str());
                glue = " OR ";
            }
            $query.push(if glue == " OR " { ")" } else { " AND false" });
        }
        if let Some(project) = &filter.project {
            $query
                .push(" AND project_id = ")
                .push_bind(project.as_str());
        }
        if let Some(account) = &filter.account {
            $query
                .push(" AND account_id = ")
                .push_bind(account.as_str());
        }
        if let Some(name) = &filter.name {
            $query
                .push(" AND name_folded = ")
                .push_bind(name.to_lowercase());
        }
        let owners = [
            ("custom_account_id", &filter.custom_account_id),
            ("custom_user_id", &filter.custom_user_id),
        ];
        for (column, owner) in owners {
            match owner {
                None => {}
                Some(None) => {
                    $query.push(" AND ").push(column).push(" IS NULL");
                }
                Some(Some(owner)) => {
                    $query
                        .push(" AND ")
                        .push(column)
                        .push(" = ")
                        .push_bind(owner.as_str());
                }
            }
        }
        if let Some(is_active) = filter.is_active {
            $query.push(if is_active { " AND (" } else { " AND NOT (" });
            $query.push("status = 'active' AND (stops_at IS NULL OR stops_at > ");
            $query.push_bind($now.as_micros()).push("))");
        }
        match &filter.which {
            None => {}
            Some(Selector::Id(id)) => {
                $query.push(" AND id = ").push_bind(id.as_str());
            }
            Some(Selector::Digest(digest)) => {
                $query
                    .push(" AND digest = ")
                    .push_bind(digest.as_bytes().to_vec());
            }
            Some(Selector::Full { digest, of_hash }) => {
                $query
                    .push(" AND digest IN (")
                    .push_bind(digest.as_bytes().to_vec())
                    .push(", ")
                    .push_bind(of_hash.as_bytes().to_vec())
                    .push(")");
            }
        }
    }};
}
use restrict;
