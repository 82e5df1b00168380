//! A browser as far as the pages of links need one: it keeps cookies, follows what leads to the same
//! program, and sends forms as they stand on a page.

use std::collections::BTreeMap;

use claviger_testkit::{PUBLIC_HOST, TestApp, TestResponse};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

/// Somebody's browser, with what it keeps.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A page that it shows.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) answer: TestResponse,
}

/// A form that is filled in.
#[derive(Clone, Debug)]
pub(crate) struct Filled(pub(crate) BTreeMap<String, String>);

/// Where the program says that it is.
pub(crate) fn own_origin() -> String {
    format!("https://{PUBLIC_HOST}")
}

impl Browser {
    fn cookie(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &TestResponse) {
        for kept in answer.headers.get_all("set-cookie") {
            let text = kept.to_str().unwrap();
            let (pair, _) = text.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Opens a path without going where it leads.
    pub(crate) async fn fetch(&mut self, app: &TestApp, path: &str) -> TestResponse {
        let request = app.request("GET", path);
        let request = if self.cookies.is_empty() {
            request
        } else {
            request.header("cookie", &self.cookie())
        };
        let answer = request.send().await;
        self.keep(&answer);
        answer
    }

    /// Opens a path, and goes where it leads.
    pub(crate) async fn open(&mut self, app: &TestApp, path: &str) -> Shown {
        let mut answer = self.fetch(app, path).await;
        if answer.status == StatusCode::SEE_OTHER {
            let onward = answer.header("location").to_owned();
            answer = self.fetch(app, &onward).await;
        }
        Shown::of(answer)
    }

    /// Opens a link.
    pub(crate) async fn follow(&mut self, app: &TestApp, token: &str, query: &str) -> Shown {
        let path = format!("/connect-account?link_token={token}{query}");
        self.open(app, &path).await
    }

    /// Sends a form, as a page of the program does.
    pub(crate) async fn send(&mut self, app: &TestApp, form: &Filled) -> Shown {
        self.send_from(app, form, &[("origin", &own_origin())])
            .await
    }

    /// Sends a form from wherever the headers say.
    pub(crate) async fn send_from(
        &mut self,
        app: &TestApp,
        form: &Filled,
        headers: &[(&str, &str)],
    ) -> Shown {
        let mut request = app.request("POST", "/connect-account");
        if !self.cookies.is_empty() {
            request = request.header("cookie", &self.cookie());
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.body(form.encoded()).send().await;
        self.keep(&answer);
        Shown::of(answer)
    }
}

impl Shown {
    fn of(answer: TestResponse) -> Self {
        let text = answer.body.as_str().unwrap_or_default().to_owned();
        Self {
            status: answer.status,
            text,
            answer,
        }
    }

    /// The page, which has that status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// What stands in an attribute, as a browser reads it.
    pub(crate) fn attribute(&self, before: &str) -> Option<String> {
        let (_, rest) = self.text.split_once(before)?;
        let (value, _) = rest.split_once('"')?;
        Some(unescaped(value))
    }

    /// The form as it stands, with its hidden fields.
    #[track_caller]
    pub(crate) fn form(&self) -> Filled {
        let mut filled = BTreeMap::new();
        for input in self.text.split("<input ").skip(1) {
            let part = |name: &str| {
                let (_, rest) = input.split_once(&format!("{name}=\""))?;
                Some(unescaped(rest.split_once('"')?.0))
            };
            filled.insert(part("name").unwrap(), part("value").unwrap_or_default());
        }
        for lines in self.text.split("<textarea name=\"").skip(1) {
            let (name, rest) = lines.split_once('"').unwrap();
            let (_, rest) = rest.split_once(">\n").unwrap();
            let (value, _) = rest.split_once("</textarea>").unwrap();
            filled.insert(unescaped(name), unescaped(value));
        }
        assert!(!filled.is_empty(), "there is a form: {}", self.text);
        Filled(filled)
    }

    /// What the page that opened this one is told, and of which origins that may be.
    #[track_caller]
    pub(crate) fn told(&self) -> (Value, Value) {
        let read = |before: &str| {
            let text = self.attribute(before);
            let text = text.unwrap_or_else(|| panic!("{}", self.text));
            serde_json::from_str(&text).unwrap()
        };
        (read("data-message=\""), read("data-origins=\""))
    }

    /// Where the browser goes on by itself.
    pub(crate) fn onward(&self) -> Option<String> {
        self.attribute("content=\"0;url=")
    }
}

impl Filled {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    fn encoded(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = self.0.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        pairs.join("&")
    }
}

/// The members of a URL's query.
pub(crate) fn query_of(url: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&quot;", "\"")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}
