//! `POST /auth/email-otc`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::Actor;
use claviger_edge::{Anyone, ApiError, Body, Core};
use claviger_store::one_time_codes::CodePurpose;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::tokens::{self, Arrival};
use crate::mailed::mail_code;

/// Whom to mail a code.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CodeRequest {
    /// The address.
    #[serde(default)]
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
}

/// Mail a code to sign in
///
/// Mails a one-time code of eight digits, and a link that does the same, to an address. The answer is
/// the same where nobody signed up with it. Both are good once, for ten minutes.
#[utoipa::path(post, path = "/auth/email-otc", operation_id = "emailOneTimeCode", tag = "auth",
    request_body = CodeRequest,
    responses(
        (status = 201, description = "It is mailed, if somebody signed up with the address.",
            body = Object),
        (status = 400, description = "`email` is missing, or none."),
        (status = 429, description = "Too many were asked for, from there or for this address.")),
    security(()))]
pub(crate) async fn email_one_time_code(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<CodeRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let email = tokens::email(input.email.as_deref())?;
    let _counted = core
        .verifier
        .attempt_mail(CodePurpose::SignIn, &email, arrival.network)?;
    let change = core.change(&Actor::System);
    mail_code(&core, change, email, CodePurpose::SignIn).await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}
