//! What came of a link, told to whoever waits for it: by a message to the page that opened this one, where it
//! is of an origin that the account registered, or by going back to the page that the link names.

use axum::response::Response;
use claviger_domain::id::{self, Id};
use claviger_edge::ApiError;
use claviger_store::link_settings;
use claviger_store::link_tokens::LinkToken;
use http::StatusCode;
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value, json};

use super::page::{ConnectPage, Next, Told};
use crate::gateway::Gateway;
use crate::request::IN_SEGMENT;

/// Why nothing was connected, as the published clients of such pages know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    InvalidToken,
    InvalidIntegration,
    Connection,
    Validation,
}

impl ErrorType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InvalidIntegration => "invalid_integration",
            Self::Connection => "connection_error",
            Self::Validation => "validation_error",
        }
    }
}

/// What came of a link.
pub(crate) enum Outcome {
    Connected {
        integration: String,
        connected: Id<id::ConnectedAccount>,
    },
    /// Whoever was asked did not want to.
    Closed,
    Failed {
        error: &'static str,
        error_type: ErrorType,
        integration: Option<String>,
        connected: Option<Id<id::ConnectedAccount>>,
    },
}

impl Outcome {
    /// A failure of which there is nothing else to tell.
    pub(crate) fn failed(
        error_type: ErrorType,
        error: &'static str,
        integration: Option<&str>,
    ) -> Self {
        Self::Failed {
            error,
            error_type,
            integration: integration.map(str::to_owned),
            connected: None,
        }
    }

    /// Its status, its title and what is said of it.
    fn shown(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Connected { .. } => (
                StatusCode::OK,
                "You are connected",
                "You can close this window.",
            ),
            Self::Closed => (
                StatusCode::OK,
                "Nothing was connected",
                "You can close this window.",
            ),
            Self::Failed {
                error, error_type, ..
            } => {
                let status = match error_type {
                    ErrorType::InvalidToken => StatusCode::UNAUTHORIZED,
                    ErrorType::InvalidIntegration => StatusCode::NOT_FOUND,
                    ErrorType::Connection | ErrorType::Validation => StatusCode::BAD_REQUEST,
                };
                (status, "Nothing was connected", error)
            }
        }
    }

    /// What a page is told that waits for it.
    fn message(&self) -> Value {
        match self {
            Self::Connected {
                integration,
                connected,
            } => json!({
                "is_truto": true, "result": "success",
                "integration": integration, "integrated_account_id": connected,
            }),
            Self::Closed => json!("closed"),
            Self::Failed {
                error,
                error_type,
                integration,
                connected,
            } => {
                let mut message = json!({
                    "is_truto": true, "error": error, "error_type": error_type.as_str(),
                    "integration": integration,
                });
                if let Some(connected) = connected {
                    message["integrated_account_id"] = json!(connected);
                }
                message
            }
        }
    }

    /// The same in the query of a page.
    fn query(&self) -> String {
        let mut members = match self.message() {
            Value::Object(members) => members,
            _ => Map::from_iter([("result".to_owned(), json!("closed"))]),
        };
        members.remove("is_truto");
        if members.contains_key("error") {
            members.insert("result".to_owned(), json!("error"));
        }
        let pairs = members.iter().filter_map(|(name, value)| {
            let value = utf8_percent_encode(value.as_str()?, IN_SEGMENT);
            Some(format!("{name}={value}"))
        });
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// The last page of a link. What was registered is read now: what an account has taken back since it made
/// the link is told nothing.
pub(crate) async fn end(
    gateway: &Gateway,
    link: &LinkToken,
    outcome: &Outcome,
) -> Result<Response, ApiError> {
    let settings = link_settings::meant_by(&gateway.core.db, &link.account).await?;
    let (status, title, said) = outcome.shown();
    let back = link.redirect_uri.as_ref();
    if let Some(back) = back.filter(|back| settings.redirect_uris.contains(back)) {
        let sign = if back.contains('?') { '&' } else { '?' };
        let url = format!("{back}{sign}{}", outcome.query());
        let page = ConnectPage {
            title,
            next: Some(Next {
                url: &url,
                label: "Go back",
            }),
            ..ConnectPage::default()
        };
        return Ok(page.answer(status));
    }
    let page = ConnectPage {
        title,
        said: &[said],
        outcome: Some(Told {
            message: outcome.message().to_string(),
            origins: json!(settings.origins).to_string(),
        }),
        ..ConnectPage::default()
    };
    Ok(page.answer(status))
}
