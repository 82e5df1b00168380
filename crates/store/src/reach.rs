//! A caller's reach as query parameters.

use claviger_domain::rights::Reach;
use serde_json::json;

/// The first three binds of every query that is within a reach.
pub(crate) struct ReachBinds {
    /// `$1`: every object of the instance.
    pub(crate) everything: bool,
    /// `$2`: account ids as `[["acc_…"], …]`.
    pub(crate) accounts: String,
    /// `$3`: project ids as `[["prj_…"], …]`.
    pub(crate) projects: String,
}

impl ReachBinds {
    pub(crate) fn of(reach: &Reach) -> Self {
        let accounts: Vec<_> = reach
            .accounts
            .iter()
            .map(|account| json!([account.id]))
            .collect();
        Self {
            everything: reach.everything,
            accounts: json!(accounts).to_string(),
            projects: list(reach.projects.iter().map(claviger_domain::id::Id::as_str)),
        }
    }
}

/// Text values as the one bind that `json_each` unpacks on both engines.
pub(crate) fn list<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: Vec<_> = values.map(|value| json!([value])).collect();
    json!(values).to_string()
}

/// The condition that a row with `account_id`, `root_account_id` and `project_id` is within the
/// reach that is bound as `$1`, `$2` and `$3`.
macro_rules! within_reach {
    () => {
        "($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR root_account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR project_id IN (SELECT value ->> 0 FROM json_each($3)))"
    };
}
pub(crate) use within_reach;
