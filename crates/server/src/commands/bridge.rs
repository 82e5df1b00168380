//! `claviger mcp bridge`: the URL of an MCP server for clients that start a program and speak with it over
//! its standard input and output, one JSON-RPC message a line.
//!
//! Each line is sent as it comes, whatever else is in flight, and what is answered is written as it comes;
//! clients match by id. Whatever goes wrong is an answer too, with the id of what was asked.

mod message;
mod stdio;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use claviger_domain::plain_text;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, header};
use reqwest::Url;
use serde_json::value::RawValue;
use tokio::task::{AbortHandle, JoinSet};

use self::message::{Message, Trouble, agreed_version};
use self::stdio::{Line, Output};
use super::Ending;
use super::client::http_for;
use super::server::ServerFlags;
use crate::config::Secret;
use crate::output::tell;

/// Headers that are a credential beside the URL.
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("x-api-key")];
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The flags of `claviger mcp bridge`.
#[derive(Args, Debug)]
pub(super) struct BridgeFlags {
    /// The URL of the MCP server; better in the variable, since other users can read command lines
    #[arg(env = "CLAVIGER_MCP_URL", hide_env_values = true, value_name = "URL")]
    endpoint: Secret,
    /// A header that every request has, such as `x-api-key: …`; can be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Secret>,
}

impl BridgeFlags {
    /// Carries messages until there are no more, or nobody reads the answers.
    pub(super) async fn run(self, flags: &ServerFlags) -> Result<Ending> {
        let bridge = Arc::new(Bridge::new(&self, flags.own_key()?)?);
        let mut lines = stdio::lines();
        let (output, writing) = Output::start();
        let mut sent = JoinSet::new();
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(Ok(line)) => bridge.take(line, &output, &mut sent),
                    Some(Err(error)) => return Err(error).context("cannot read standard input"),
                    None => break,
                },
                Some(_) = sent.join_next() => {}
                () = output.closed() => return Ok(Ending::Done),
            }
        }
        // What was asked before the end is still answered.
        tokio::select! {
            () = async { while sent.join_next().await.is_some() {} } => {}
            () = output.closed() => return Ok(Ending::Done),
        }
        drop(output);
        writing.await.context("cannot write the answers")?;
        Ok(Ending::Done)
    }
}

/// One server, and what has been agreed with it.
struct Bridge {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    /// The version that `initialize` came to; later requests name it, as a client over HTTP would.
    version: OnceLock<HeaderValue>,
    /// Requests in flight, by the text of their ids.
    in_flight: Mutex<HashMap<String, AbortHandle>>,
}

impl Bridge {
    fn new(flags: &BridgeFlags, access_key: Option<Secret>) -> Result<Self> {
        let url = Url::parse(flags.endpoint.expose().trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // What is wrong with it is not shown: it may be the secret itself.
        let url = url.context("that is no URL such as https://keys.example.com/mcp/…")?;
        let mut headers = HeaderMap::new();
        for line in &flags.headers {
            let (name, value) = read_header(line)?;
            headers.append(name, value);
        }
        let has_credential = CREDENTIALS.iter().any(|name| headers.contains_key(name));
        if let Some(key) = access_key.filter(|_| !has_credential) {
            let value = HeaderValue::from_str(key.expose());
            let mut value = value.context("the access key has characters that no key has")?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-api-key"), value);
        }
        Ok(Self {
            http: http_for(&url)?,
            url,
            headers,
            version: OnceLock::new(),
            in_flight: Mutex::default(),
        })
    }

    /// Begins to send a line, or answers it where it is no message.
    fn take(self: &Arc<Self>, line: Line, output: &Output, sent: &mut JoinSet<()>) {
        let message = match line {
            Line::Text(text) => Message::read(text),
            Line::TooLong => Err(Trouble::too_long()),
            Line::NoText => Err(Trouble::no_text()),
        };
        let message = match message {
            Ok(message) => message,
            Err(trouble) => {
                tell(&format!("claviger: {trouble}"));
                return output.write(trouble.answer("null"));
            }
        };
        if let Some(id) = message.cancels() {
            // The server lets go of a call whose connection ends, and whoever cancels wants no answer.
            if let Some(request) = self.lock().remove(id) {
                request.abort();
            }
            return;
        }
        let id = message.id().map(str::to_owned);
        let (bridge, output) = (Arc::clone(self), output.clone());
        // Held until the request is known, so that it cannot be over before.
        let mut in_flight = self.lock();
        let carried = sent.spawn(async move {
            bridge.carry(&message, &output).await;
            if let Some(id) = message.id() {
                bridge.lock().remove(id);
            }
        });
        if let Some(id) = id {
            in_flight.insert(id, carried);
        }
    }

    async fn carry(&self, message: &Message, output: &Output) {
        match self.post(message).await {
            Ok(Some(answer)) => output.write(answer),
            Ok(None) => {}
            Err(trouble) => {
                tell(&format!("claviger: {trouble}"));
                for id in message.answered_ids() {
                    output.write(trouble.answer(id));
                }
            }
        }
    }

    async fn post(&self, message: &Message) -> Result<Option<Bytes>, Trouble> {
        let request = self.http.post(self.url.clone());
        let request = request.headers(self.headers_of(message));
        let request = request.body(message.text().to_owned());
        let response = request.send().await.map_err(|error| Trouble::of(&error))?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
        let body = response.bytes().await;
        let body = body.map_err(|error| Trouble::of(&error))?;
        if body.is_empty() && status.is_success() {
            return Ok(None);
        }
        // Errors of the protocol have statuses of their own over HTTP, and are answers all the same.
        match serde_json::from_slice::<&RawValue>(&body) {
            Ok(read) if message::is_answer(read) => {
                if message.is_initialize() {
                    self.agree(read);
                }
                Ok(Some(stdio::on_one_line(&body)))
            }
            _ => Err(Trouble::refused(status, retry_after.as_ref(), &body)),
        }
    }

    fn headers_of(&self, message: &Message) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accepted);
        let current = message
            .version()
            .and_then(|it| HeaderValue::from_str(it).ok());
        if let Some(version) = current {
            headers.insert(VERSION, version);
            // Of that era, what stands between may route by these.
            headers.extend(
                message
                    .method()
                    .map(|it| (METHOD, message::header_value(it))),
            );
            headers.extend(message.name().map(|it| (NAME, message::header_value(it))));
        } else if let (Some(version), false) = (self.version.get(), message.is_initialize()) {
            headers.insert(VERSION, version.clone());
        }
        headers
    }

    fn agree(&self, answer: &RawValue) {
        let version = agreed_version(answer).and_then(|it| HeaderValue::try_from(it).ok());
        if let Some(version) = version {
            // A client opens once.
            drop(self.version.set(version));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_header(line: &Secret) -> Result<(HeaderName, HeaderValue)> {
    let (name, value) = line
        .expose()
        .split_once(':')
        .context("--header must be such as `x-api-key: …`")?;
    let shown = plain_text::clean(name.trim());
    let Ok(name) = HeaderName::try_from(name.trim()) else {
        bail!("--header: {shown:?} is no name of a header");
    };
    let Ok(mut value) = HeaderValue::from_str(value.trim()) else {
        bail!("--header: the value of {shown:?} has characters that no header has");
    };
    value.set_sensitive(true);
    Ok((name, value))
}

/// What a status means to whoever configured the bridge.
fn advice(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::UNAUTHORIZED => {
            "the URL is unknown or has ended, or the server asks for an access key in CLAVIGER_ACCESS_KEY"
        }
        StatusCode::FORBIDDEN => "the server does not answer under this host name",
        StatusCode::TOO_MANY_REQUESTS => "try again later",
        StatusCode::PAYLOAD_TOO_LARGE => "the message is too large",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(url: &str, headers: &[&str], key: Option<&str>) -> Result<Bridge> {
        let secret = |text: &&str| Secret::from((*text).to_owned());
        let flags = BridgeFlags {
            endpoint: secret(&url),
            headers: headers.iter().map(secret).collect(),
        };
        Bridge::new(&flags, key.as_ref().map(secret))
    }

    fn refusal(url: &str, headers: &[&str]) -> String {
        bridge(url, headers, None).err().unwrap().to_string()
    }

    #[test]
    fn a_wrong_url_or_header_is_refused_without_being_shown() {
        for url in ["clvmcp_secret", "ftp://host/clvmcp_secret", "http://"] {
            assert!(!refusal(url, &[]).contains("secret"), "{url}");
        }
        let url = "http://127.0.0.1/mcp/clvmcp_x";
        for header in ["secret", "x-api-key: sec\u{1}ret", "a b: secret"] {
            assert!(!refusal(url, &[header]).contains("secret"), "{header}");
        }
    }

    #[test]
    fn a_header_goes_before_the_access_key_of_the_environment() {
        let url = "http://127.0.0.1/mcp/clvmcp_x";
        let with = |headers: &[&str]| bridge(url, headers, Some("one")).unwrap().headers;
        assert_eq!(with(&["X-Note: hi"])["x-api-key"], "one");
        let headers = with(&["Authorization:Bearer two"]);
        assert_eq!(headers["authorization"], "Bearer two");
        assert!(!headers.contains_key("x-api-key"));
    }

    #[test]
    fn each_era_has_its_headers() {
        let bridge = bridge("http://127.0.0.1/mcp/clvmcp_x", &[], None).unwrap();
        let headers = |text: &str| bridge.headers_of(&Message::read(text.to_owned()).unwrap());
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
        assert!(!headers(initialize).contains_key(&VERSION));
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}"#;
        bridge.agree(&RawValue::from_string(answer.to_owned()).unwrap());
        let listed = headers(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
        assert_eq!(listed[&VERSION], "2025-06-18");
        assert!(!listed.contains_key(&METHOD));
        assert!(!headers(initialize).contains_key(&VERSION));
        let called = headers(
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"Tée","_meta":
                {"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        );
        assert_eq!(called[&VERSION], "2026-07-28");
        assert_eq!(called[&METHOD], "tools/call");
        assert_eq!(called[&NAME], "=?base64?VMOpZQ==?=");
    }
}
