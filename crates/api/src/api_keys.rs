//! API keys: the keys that end users present.

mod authenticate;
mod create;
mod explain;
mod import;
mod import_room;
mod list;
mod reactivate;
mod reveal;
mod revoke;
pub(crate) mod rotate;
mod selector;
mod shortcut;
mod show;
mod update;
mod verify;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::authenticate::{Presentation, authenticate_key, refusal_of};
pub(crate) use self::create::{duplicate, named, new_key};
pub(crate) use self::import::{ImportInput, read_row};
pub(crate) use self::import_room::{ImportRooms, LARGEST_IMPORT_MIB, wait_for_room};
pub(crate) use self::selector::selector_of;
pub use self::shortcut::SHORTCUT;
pub(crate) use self::update::apply;
pub(crate) use self::verify::{VerifyBatchInput, VerifyInput};

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_api_keys, create::create_api_key))
        .routes(routes!(import::import_api_keys))
        .routes(routes!(verify::verify_api_key))
        .routes(routes!(verify::verify_api_keys))
        .routes(routes!(authenticate::authenticate_by_query))
        .route(
            "/api-keys/auth",
            axum::routing::post(authenticate::authenticate_nothing),
        )
        .routes(routes!(
            authenticate::authenticate_api_key,
            authenticate::authenticate_by_path
        ))
        .routes(routes!(
            show::show_api_key,
            update::update_api_key,
            revoke::revoke_api_key
        ))
        .routes(routes!(reactivate::reactivate_api_key))
        .routes(routes!(rotate::rotate_api_key))
        .routes(routes!(
            explain::explain_api_key,
            explain::explain_api_key_by_query
        ))
}
