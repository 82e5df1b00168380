//! The one HTTP client of the commands.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use claviger_domain::plain_text;
use http::{Method, StatusCode};
use reqwest::Url;
use serde_json::Value;

use super::Refusal;
use crate::config::Secret;

const CONNECTING: Duration = Duration::from_secs(10);
/// How long an answer may take: an import waits for its turn at the database.
const ANSWERING: Duration = Duration::from_mins(2);

/// Asks one server as one caller.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Secret,
}

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body; null where it is empty.
    pub(crate) body: Value,
    /// How many there are of what is listed.
    pub(crate) total: Option<u64>,
    /// The cursor of the next page, where there is one.
    pub(crate) next: Option<String>,
}

/// What came of a request that was understood.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A success.
    Answer(Answer),
    /// A refusal, and when to come again, where the server cannot answer now and says so.
    Refusal(Refusal, Option<ComeAgain>),
}

/// When a server wants to be asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComeAgain {
    /// After how long.
    pub(crate) after: Duration,
    /// Whether it is certain that nothing was done: it was asked too often, and did not begin.
    pub(crate) nothing_done: bool,
}

/// One request: its method, the segments of its path, its query, its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Asked {
    /// A request without a query and a body.
    pub(crate) fn new<P: Into<String>>(method: Method, path: impl IntoIterator<Item = P>) -> Self {
        Self {
            method,
            path: path.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    /// Adds a parameter that is given.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Adds a body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Client {
    /// A client for the server at `url`.
    pub(crate) fn new(url: &str, key: Secret) -> Result<Self> {
        let base = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .with_context(|| format!("{url} is no URL such as https://keys.example.com"))?;
        let http = http_for(&base)?;
        Ok(Self { http, base, key })
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends a request; a refusal is an error, with the server's sentence.
    pub(crate) async fn send(&self, asked: Asked) -> Result<Answer> {
        match self.hear(asked).await? {
            Heard::Answer(answer) => Ok(answer),
            Heard::Refusal(refusal, _) => Err(refusal.into()),
        }
    }

    /// The same for whoever comes again.
    pub(crate) async fn hear(&self, asked: Asked) -> Result<Heard> {
        let response = self.request(asked)?.send().await;
        let response = response.map_err(|error| self.explain(&error))?;
        let status = response.status();
        let total = response.headers().get("x-total-count");
        let total = total.and_then(|total| total.to_str().ok()?.parse().ok());
        let link = response.headers().get(http::header::LINK);
        let next = link.and_then(|link| cursor_of(link.to_str().ok()?));
        let come_again = come_again(&response);
        let bytes = response.bytes().await;
        let bytes = bytes.map_err(|error| self.explain(&error))?;
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|_| self.is_no_claviger(status))?
        };
        if status.is_success() {
            return Ok(Heard::Answer(Answer { body, total, next }));
        }
        Ok(Heard::Refusal(Self::refusal(status, &body), come_again))
    }

    fn request(&self, asked: Asked) -> Result<reqwest::RequestBuilder> {
        let mut url = self.base.clone();
        for segment in &asked.path {
            // A URL would take them for steps, and ask for something else.
            if matches!(segment.as_str(), "" | "." | "..") {
                bail!("{segment:?} is no id");
            }
        }
        url.path_segments_mut()
            .map_err(|()| anyhow!("{} is no URL", self.url()))?
            .pop_if_empty()
            .extend(&asked.path);
        if !asked.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&asked.query);
        }
        let request = self.http.request(asked.method, url);
        let request = request.header("x-api-key", self.key.expose());
        Ok(match asked.body {
            Some(body) => request.json(&body),
            None => request,
        })
    }

    fn explain(&self, error: &reqwest::Error) -> anyhow::Error {
        let url = self.url();
        if error.is_builder() {
            anyhow!("the access key has characters that no key has")
        } else if error.is_timeout() {
            anyhow!("{url} did not answer in time")
        } else if error.is_connect() {
            let mut cause: &dyn std::error::Error = error;
            while let Some(next) = cause.source() {
                cause = next;
            }
            anyhow!(
                "cannot reach {url} ({cause}): is it running? Start it with `claviger serve`, or say \
                 where it is with CLAVIGER_URL or --url"
            )
        } else {
            anyhow!("the connection to {url} broke off before the answer was there")
        }
    }

    fn is_no_claviger(&self, status: StatusCode) -> anyhow::Error {
        anyhow!(
            "{} answered {status} without JSON: is it a Claviger?",
            self.url()
        )
    }

    fn refusal(status: StatusCode, body: &Value) -> Refusal {
        let said = body["message"].as_str().unwrap_or("no reason given");
        let said = plain_text::clean(said);
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                ": the access key is unknown, revoked or expired; give another in CLAVIGER_ACCESS_KEY"
            }
            StatusCode::FORBIDDEN => ": the access key's role may not do that",
            StatusCode::TOO_MANY_REQUESTS => ": try again later",
            _ => "",
        };
        Refusal(format!("{said}{hint}"))
    }
}

/// What sends requests to a server that whoever runs a command has named.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs a command names the server, on their own machine and with their own \
              rights: it may well be a private one, or behind their proxy"
)]
pub(super) fn http_for(server: &Url) -> Result<reqwest::Client> {
    // A process has one provider; that it has been chosen already is no failure.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut http = reqwest::Client::builder();
    if server.scheme() == "http" {
        // A proxy would read the credential.
        http = http.no_proxy();
    }
    http.connect_timeout(CONNECTING)
        .timeout(ANSWERING)
        // A redirect would take the credential elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("claviger/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot set up TLS")
}

/// When a server wants to be asked again that cannot answer now, or was asked too often.
fn come_again(response: &reqwest::Response) -> Option<ComeAgain> {
    let after = response.headers().get(http::header::RETRY_AFTER)?;
    let nothing_done = match response.status() {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => false,
        _ => return None,
    };
    let after = Duration::from_secs(after.to_str().ok()?.parse().ok()?);
    Some(ComeAgain {
        after,
        nothing_done,
    })
}

/// The cursor in a link to the next page: the rest of the query is what was asked for.
fn cursor_of(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    let target = Url::parse("http://server").ok()?.join(target).ok()?;
    let cursor = target.query_pairs().find(|(name, _)| name == "cursor");
    cursor
        .filter(|_| rest.contains("rel=\"next\""))
        .map(|(_, cursor)| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_the_next_page_has_its_cursor() {
        let link = "</audit-events?actor=a&cursor=7-8>; rel=\"next\"";
        assert_eq!(cursor_of(link).as_deref(), Some("7-8"));
        for none in [
            "",
            "</audit-events>; rel=\"next\"",
            "</a?cursor=7-8>; rel=\"prev\"",
        ] {
            assert_eq!(cursor_of(none), None, "{none}");
        }
    }
}
