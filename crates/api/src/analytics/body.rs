//! Totals as answers show them.

use claviger_domain::bucket::begins_at;
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use serde::Serialize;
use utoipa::ToSchema;

use super::walk::Line;

/// Checks of a project's keys in a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProjectTotal)]
pub(crate) struct ProjectTotalBody {
    /// When that time begins, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub(super) date: Timestamp,
    /// All checks.
    #[schema(example = 1290)]
    total: u64,
    /// Checks that passed.
    #[schema(example = 1234)]
    successful: u64,
    /// Checks that did not pass: revoked, expired, the wrong origin, address or scope.
    #[schema(example = 6)]
    failed: u64,
    /// Checks over a limit or quota.
    #[schema(example = 50)]
    rate_limited: u64,
}

impl ProjectTotalBody {
    pub(super) fn of(first_hour: i64, counts: UsageCounts) -> Self {
        Self {
            date: begins_at(first_hour),
            total: counts.total(),
            successful: counts.successful,
            failed: counts.failed,
            rate_limited: counts.rate_limited,
        }
    }
}

/// Checks of a key in a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKeyTotal)]
pub(crate) struct ApiKeyTotalBody<'a> {
    /// The key's reference, which hides its secret.
    #[schema(example = "live_8dK2vQ0mZpR4xTbW*********")]
    key: String,
    /// The key's id.
    #[schema(value_type = String, example = "key_8dK2vQ0mZpR4xTbW")]
    id: &'a str,
    /// What it is called.
    #[schema(value_type = String, example = "Acme production")]
    name: &'a str,
    /// The customer of yours whose key it is.
    #[schema(value_type = Option<String>, example = "acme")]
    custom_account_id: Option<&'a str>,
    /// The user of yours whose key it is.
    #[schema(value_type = Option<String>)]
    custom_user_id: Option<&'a str>,
    /// When, and how many.
    #[serde(flatten)]
    total: ProjectTotalBody,
}

impl<'a> From<&'a Line> for ApiKeyTotalBody<'a> {
    fn from(line: &'a Line) -> Self {
        let key = &line.key;
        Self {
            key: key.reference(),
            id: &key.id,
            name: &key.name,
            custom_account_id: key.custom_account_id.as_deref(),
            custom_user_id: key.custom_user_id.as_deref(),
            total: ProjectTotalBody::of(line.first_hour, line.counts),
        }
    }
}
