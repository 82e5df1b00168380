//! The pages on which somebody connects. They load nothing, are in no frame, and run one script of ours,
//! known by its digest, which only the last page has. What others chose is text on them.
//!
//! Answers tell nobody where a request comes from; a page with a form takes that back towards its own program,
//! since browsers name no origin for its form otherwise.

use std::sync::LazyLock;

use askama::Template;
use axum::response::{IntoResponse, Response};
use claviger_edge::page::{STYLE, policy};
use claviger_edge::{ApiError, NoStore};
use http::{HeaderValue, StatusCode, header};

const SCRIPT: &str = include_str!("../../templates/connect.js");

/// What such a page may do; the script is named where there is none, too.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(Some(SCRIPT)));

/// What a page says and asks.
#[derive(Default, Template)]
#[template(path = "connect.html")]
pub(crate) struct ConnectPage<'a> {
    pub(crate) title: &'a str,
    /// Why what was asked before was not done.
    pub(crate) why: Option<&'a str>,
    pub(crate) said: &'a [&'a str],
    /// What somebody should know before they enter anything.
    pub(crate) facts: &'a [(&'static str, String)],
    pub(crate) choices: &'a [Choice],
    pub(crate) form: Option<ConnectForm<'a>>,
    /// Where the browser goes on by itself.
    pub(crate) next: Option<Next<'a>>,
    /// What the page that opened this one is told.
    pub(crate) outcome: Option<Told>,
}

/// One of several ways on.
pub(crate) struct Choice {
    pub(crate) href: String,
    pub(crate) label: String,
}

/// What is filled in and sent back.
pub(crate) struct ConnectForm<'a> {
    pub(crate) action: &'static str,
    pub(crate) token: String,
    pub(crate) integration: &'a str,
    pub(crate) format: &'a str,
    pub(crate) fields: &'a [Field],
    pub(crate) button: String,
}

/// A field of a form.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) input: Input,
    pub(crate) required: bool,
    /// As browsers have it: of the whole value, and not for one of several lines.
    pub(crate) pattern: Option<String>,
    pub(crate) help: Option<String>,
    /// What was entered before, of what may be seen.
    pub(crate) value: String,
}

/// How a field is filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Text,
    /// It is not shown while it is typed.
    Password,
    Lines,
}

/// Another page.
pub(crate) struct Next<'a> {
    pub(crate) url: &'a str,
    pub(crate) label: &'a str,
}

/// A message, and whom it is for; both as JSON.
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) origins: String,
}

impl ConnectPage<'_> {
    /// The page as an answer that nobody keeps.
    pub(crate) fn answer(&self, status: StatusCode) -> Response {
        let html = self.render().expect("a template of text always renders");
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        NoStore((status, headers, html)).into_response()
    }
}

/// A page that says one thing.
pub(crate) fn says(status: StatusCode, title: &str, said: &str) -> Response {
    let page = ConnectPage {
        title,
        said: &[said],
        ..ConnectPage::default()
    };
    page.answer(status)
}

/// One answer for links that were made up, are over or were used, whose maker may no more have anybody
/// connect, and that were used in another browser before.
pub(crate) fn not_good() -> Response {
    let said = "It was used, its time is over, whoever made it may not ask for this any more, or your browser keeps \
                no cookies. Go back to where you came from, and begin anew.";
    says(StatusCode::UNAUTHORIZED, "This link is not good", said)
}

/// What failed here, or was asked too often.
pub(crate) fn failed(error: ApiError) -> Response {
    let mut answer = says(error.code.status(), "This did not work", &error.message);
    answer.headers_mut().extend(error.headers);
    answer
}
