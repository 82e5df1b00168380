//! Errors as answers have them. Only this layer knows HTTP; what caused a 5xx is logged here, once.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use claviger_store::StoreError;
use claviger_verify::LookError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident;)*) => {
        /// Why a request was refused: a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[$doc])* $name),* }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code in answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }
        }
    };
}

codes! {
    /// Something in the request is malformed; the details name it.
    InvalidInput = "invalid_input", BAD_REQUEST;
    /// The role can be held on an account only.
    RoleNeedsAccount = "role_needs_account", BAD_REQUEST;
    /// More than one project is meant, and none is named.
    ProjectNeeded = "project_needed", BAD_REQUEST;
    /// The caller has no account of its own, and none is named.
    AccountNeeded = "account_needed", BAD_REQUEST;
    /// The key string that the caller brought cannot be one.
    InvalidKey = "invalid_key", BAD_REQUEST;
    /// A member of a gateway body is not known, or not supported.
    UnknownMember = "unknown_member", BAD_REQUEST;
    /// A cursor was not issued for this account, tool and arguments.
    InvalidCursor = "invalid_cursor", BAD_REQUEST;
    /// A filter leaves no tool, or has a value that is not known.
    InvalidFilter = "invalid_filter", BAD_REQUEST;
    /// A connector file or its document has a fault.
    InvalidConnector = "invalid_connector", BAD_REQUEST;
    /// What is sent over HTTP cannot name files, URLs or this instance's own API.
    NotAllowedHere = "not_allowed_here", BAD_REQUEST;
    /// No credential, or one that is not live.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// Address and password, a code or a token do not go together with anybody.
    InvalidSignIn = "invalid_sign_in", UNAUTHORIZED;
    /// The credential lacks the permission.
    Forbidden = "forbidden", FORBIDDEN;
    /// The credential is not accepted from a web page.
    OriginNotAccepted = "origin_not_accepted", FORBIDDEN;
    /// The operator key is accepted on this machine only.
    OperatorNotLocal = "operator_not_local", FORBIDDEN;
    /// No access key may do that, whatever its role: an owner does it in person.
    OwnerNeeded = "owner_needed", FORBIDDEN;
    /// The person signed in too long ago for that.
    SignInAgain = "sign_in_again", FORBIDDEN;
    /// No key may do that: a person does it who is signed in.
    UserNeeded = "user_needed", FORBIDDEN;
    /// Nobody signs up on this instance.
    SignUpClosed = "sign_up_closed", FORBIDDEN;
    /// Whoever signs up has to be invited.
    InvitationNeeded = "invitation_needed", FORBIDDEN;
    /// It was not seen yet that mail to the address reaches the person.
    EmailNotVerified = "email_not_verified", FORBIDDEN;
    /// What would be made exceeds its maker.
    ExceedsMaker = "exceeds_maker", FORBIDDEN;
    /// A key cannot change that of itself.
    OwnKey = "own_key", FORBIDDEN;
    /// The end user's origin is not one that the key is locked to.
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN;
    /// The end user's address is not one that the key is locked to.
    IpNotAllowed = "ip_not_allowed", FORBIDDEN;
    /// The key lacks a scope.
    ScopeMissing = "scope_missing", FORBIDDEN;
    /// No such path.
    NotFound = "not_found", NOT_FOUND;
    /// No such key, or one that the caller may not see.
    KeyNotFound = "key_not_found", NOT_FOUND;
    /// No such access key, or one that the caller may not see.
    AccessKeyNotFound = "access_key_not_found", NOT_FOUND;
    /// No such project, or one that the caller may not see.
    ProjectNotFound = "project_not_found", NOT_FOUND;
    /// No such grant, or one of another project.
    RevealGrantNotFound = "reveal_grant_not_found", NOT_FOUND;
    /// No such account, or one that the caller may not see.
    AccountNotFound = "account_not_found", NOT_FOUND;
    /// No such connector, or one that the caller may not see.
    ConnectorNotFound = "connector_not_found", NOT_FOUND;
    /// No such connected account, or one that the caller may not see.
    ConnectedAccountNotFound = "connected_account_not_found", NOT_FOUND;
    /// No such MCP server, or one that the caller may not see.
    McpServerNotFound = "mcp_server_not_found", NOT_FOUND;
    /// No such webhook, or one that the caller may not see.
    WebhookNotFound = "webhook_not_found", NOT_FOUND;
    /// The webhook has no such delivery.
    DeliveryNotFound = "delivery_not_found", NOT_FOUND;
    /// No such person, or nobody whom the caller may see.
    UserNotFound = "user_not_found", NOT_FOUND;
    /// No such session of the caller's.
    SessionNotFound = "session_not_found", NOT_FOUND;
    /// No such invitation, or one that the caller may not see.
    InvitationNotFound = "invitation_not_found", NOT_FOUND;
    /// No such notification, or one that the caller may not see.
    NotificationNotFound = "notification_not_found", NOT_FOUND;
    /// The path has other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The family of accounts has a key with that key string.
    DuplicateKey = "duplicate_key", CONFLICT;
    /// The key was compromised, and stays revoked.
    KeyCompromised = "key_compromised", CONFLICT;
    /// The key was rotated, and its successor is in use.
    KeyRotated = "key_rotated", CONFLICT;
    /// The key was rotated, and is in its grace.
    KeyInGrace = "key_in_grace", CONFLICT;
    /// The keys of the project cannot be read back.
    KeysHashed = "keys_hashed", CONFLICT;
    /// The account has a connector of that name, or the instance has one.
    SlugTaken = "slug_taken", CONFLICT;
    /// Connected accounts use the connector.
    ConnectorInUse = "connector_in_use", CONFLICT;
    /// The connector was changed since it was read.
    ConnectorChanged = "connector_changed", CONFLICT;
    /// The account has as many connectors as it may have.
    TooManyConnectors = "too_many_connectors", CONFLICT;
    /// The account has as many links as it may have that are not over.
    TooManyLinks = "too_many_links", CONFLICT;
    /// The account has children.
    AccountHasChildren = "account_has_children", CONFLICT;
    /// It is the caller's own account.
    OwnAccount = "own_account", CONFLICT;
    /// A child account has no children.
    ChildOfChild = "child_of_child", CONFLICT;
    /// Somebody signed up with that address.
    EmailTaken = "email_taken", CONFLICT;
    /// The account would have no owner left.
    LastOwner = "last_owner", CONFLICT;
    /// The invitation was accepted, taken back, or is over.
    InvitationOver = "invitation_over", CONFLICT;
    /// The account has as many webhooks as it may have.
    TooManyWebhooks = "too_many_webhooks", CONFLICT;
    /// As many secrets of the webhook sign as may.
    TooManySecrets = "too_many_secrets", CONFLICT;
    /// The first request with that idempotency key is not finished.
    IdempotencyInFlight = "idempotency_in_flight", CONFLICT;
    /// The body is larger than is taken.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY;
    /// The key is over its limit.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS;
    /// The key is over its quota.
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS;
    /// The access key is over its own limit.
    CallerRateLimited = "caller_rate_limited", TOO_MANY_REQUESTS;
    /// Too many keys or credentials were presented that are none.
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS;
    /// The account has had its invitations for this day.
    TooManyInvitations = "too_many_invitations", TOO_MANY_REQUESTS;
    /// The account has had its pings for this minute.
    TooManyPings = "too_many_pings", TOO_MANY_REQUESTS;
    /// The account has had its replays for this minute.
    TooManyReplays = "too_many_replays", TOO_MANY_REQUESTS;
    /// Something of ours failed; the log has the request id.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// Not configured on this instance.
    NotConfigured = "not_configured", NOT_IMPLEMENTED;
    /// The identity provider does not answer.
    ProviderAway = "provider_away", SERVICE_UNAVAILABLE;
    /// The database is away for now.
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE;
    /// Too many requests of the same kind, or of the same family of accounts, wait already.
    TooBusy = "too_busy", SERVICE_UNAVAILABLE;
}

/// What is wrong with one member of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The member, as a path such as `rateLimitConfigs.rateLimit`.
    pub field: String,
    /// What is wrong with it, and what is accepted.
    pub message: String,
}

/// A refusal: status, code, message, and headers that belong to it.
#[derive(Debug)]
pub struct ApiError {
    /// Why.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Which members are wrong.
    pub details: Vec<FieldError>,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// A refusal with that message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// A refusal of one member of the request.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut error = Self::new(ErrorCode::InvalidInput, format!("{field}: {message}"));
        error.details.push(FieldError { field, message });
        error
    }

    /// No credential, or one that is not live.
    pub fn unauthorized() -> Self {
        let mut error = Self::new(ErrorCode::Unauthorized, "Unauthorized");
        error
            .headers
            .push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        error
    }

    /// Address and password, a code or a token do not go together with anybody.
    pub fn invalid_sign_in() -> Self {
        Self {
            headers: Self::unauthorized().headers,
            ..Self::new(ErrorCode::InvalidSignIn, "Unauthorized")
        }
    }

    /// It was not seen yet that mail to the person's address reaches them.
    pub fn not_verified() -> Self {
        let message = "Sign in by a mailed code first, which shows that the address is yours";
        Self::new(ErrorCode::EmailNotVerified, message)
    }

    /// The credential lacks the permission.
    pub fn forbidden() -> Self {
        Self::new(ErrorCode::Forbidden, "Invalid roles for this account")
    }

    /// A key that was offered for authentication and is not live, or not one at all.
    pub fn invalid_client_key() -> Self {
        Self::new(ErrorCode::KeyNotFound, "Invalid client key")
    }

    /// No such path.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "Not Found")
    }

    /// Says in how many seconds to come again.
    #[must_use]
    pub fn with_retry_after(self, seconds: u64) -> Self {
        self.with_headers(retry_after(seconds))
    }

    /// Adds headers.
    #[must_use]
    pub fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        self.headers.extend(headers);
        self
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Crowded) {
            let message = "Too many requests of yours are waiting, try again";
            return Self::new(ErrorCode::TooBusy, message).with_headers(retry_after(1));
        }
        let mut causes = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            causes = format!("{causes}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = causes, "a request failed in the database");
        if error.is_unavailable() {
            let message = "The database is not available, try again";
            Self::new(ErrorCode::DatabaseUnavailable, message).with_headers(retry_after(1))
        } else {
            Self::new(ErrorCode::Internal, "Internal server error")
        }
    }
}

impl From<LookError> for ApiError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Store(error) => error.into(),
            LookError::OverBudget {
                retry_after_seconds,
            } => {
                let message = "Too many keys, passwords or tokens were presented that are none, try again later";
                Self::new(ErrorCode::TooManyAttempts, message)
                    .with_headers(retry_after(retry_after_seconds))
            }
            LookError::TooManyAttempts {
                retry_after_seconds,
            } => {
                let message = "Too many attempts from there or for this address, try again later";
                Self::new(ErrorCode::TooManyAttempts, message)
                    .with_headers(retry_after(retry_after_seconds))
            }
        }
    }
}

pub(crate) fn retry_after(seconds: u64) -> Vec<(HeaderName, HeaderValue)> {
    vec![(header::RETRY_AFTER, HeaderValue::from(seconds))]
}

/// Leaves the body to [`Surface`](crate::Surface), which knows the request's id and what it accepts.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        let (report, headers) = self.into_report();
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(report);
        response
    }
}

impl ApiError {
    /// The refusal that a response is whose body is not written yet, for a surface that tells it in
    /// another form.
    pub fn of_response(response: &Response) -> Option<Self> {
        let report = response.extensions().get::<Report>()?;
        let headers = response.headers().iter();
        Some(Self {
            code: report.code,
            message: report.message.to_string(),
            details: report.details.to_vec(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    /// What the body tells, and the headers that go with it.
    pub(crate) fn into_report(self) -> (Report, Vec<(HeaderName, HeaderValue)>) {
        let report = Report {
            code: self.code,
            message: self.message.into(),
            details: self.details.into(),
        };
        (report, self.headers)
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    code: ErrorCode,
    message: std::sync::Arc<str>,
    details: std::sync::Arc<[FieldError]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status_code: u16,
    error: &'a str,
    message: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [FieldError],
}

/// RFC 9457, for those who ask for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [FieldError],
}

impl Report {
    /// The body and its content type.
    pub(crate) fn render(&self, request_id: &str, wants_problem: bool) -> (String, &'static str) {
        let status = self.code.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let (message, code, details) = (&*self.message, self.code.as_str(), &*self.details);
        let status = status.as_u16();
        if wants_problem {
            let problem = Problem {
                r#type: "about:blank",
                title,
                status,
                detail: message,
                code,
                request_id,
                details,
            };
            (to_text(&problem), "application/problem+json")
        } else {
            let body = Body {
                status_code: status,
                error: title,
                message,
                code,
                request_id,
                details,
            };
            (to_text(&body), "application/json")
        }
    }
}

fn to_text(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("text and numbers always serialize")
}
