//! The members that every object has.

use claviger_domain::time::Timestamp;
use claviger_store::Base;
use serde::Serialize;
use utoipa::ToSchema;

/// Who made and last changed an object.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Base)]
pub(crate) struct BaseBody {
    /// Whether it is in use.
    is_active: bool,
    /// Id of who made it.
    created_by: Option<String>,
    /// Whether that is a user or an access key.
    created_by_type: Option<String>,
    /// By which door it was made.
    #[schema(example = "api")]
    created_in: String,
    /// Id of who changed it last.
    last_changed_by: Option<String>,
    /// Whether that is a user or an access key.
    last_changed_by_type: Option<String>,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl BaseBody {
    pub(crate) fn of(base: &Base, is_active: bool) -> Self {
        let base = base.clone();
        Self {
            is_active,
            created_by: base.created_by,
            created_by_type: base.created_by_type,
            created_in: base.created_in,
            last_changed_by: base.last_changed_by,
            last_changed_by_type: base.last_changed_by_type,
            updated_at: base.updated_at,
            created_at: base.created_at,
        }
    }
}
