//! How people come in, and what they are signed in by.

mod email_otc;
mod firebase;
mod login;
mod logout;
mod password;
mod password_reset;
mod refresh;
mod sessions;
mod sign_up;
mod tokens;
mod validate_code;

pub(crate) use self::password_reset::set as set_password;
pub(crate) use self::sign_up::{Joining, PresentedInvitation, join as join_by_invitation};
pub(crate) use self::tokens::{Arrival, Password};
pub(crate) use self::validate_code::{sign_in_by_code, verify};
use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(login::log_in))
        .routes(routes!(refresh::refresh_access_token))
        .routes(routes!(logout::log_out))
        .routes(routes!(sessions::list_sessions, sessions::end_sessions))
        .routes(routes!(password::change_password))
        .routes(routes!(password_reset::reset_password))
        .routes(routes!(email_otc::email_one_time_code))
        .routes(routes!(validate_code::validate_login_code))
        .routes(routes!(firebase::add_user_from_firebase))
}
