//! How people come in, and what they are signed in by.

mod login;
mod logout;
mod password;
mod refresh;
mod sessions;
mod sign_up;
mod tokens;

use claviger_edge::Core;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(login::log_in))
        .routes(routes!(refresh::refresh_access_token))
        .routes(routes!(logout::log_out))
        .routes(routes!(sessions::list_sessions, sessions::end_sessions))
        .routes(routes!(password::change_password))
}
