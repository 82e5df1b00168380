//! From a request of a tool to one that an upstream takes: where it goes, and who it is made as.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::context::Context;
use crate::connector::access::{ACCESS_TOKEN, Access, Authorization, Fields, FormatAccess};
use crate::connector::file::FieldKind;
use crate::connector::template::{Reference, Root, Template, Unresolved, text_of};
use crate::connector::value_path::ValuePath;
use crate::credentials::Credentials;
use crate::grant::Grant;
use crate::request::{IN_SEGMENT, UpstreamRequest};
use crate::scrub::{KeptScrub, Scrub, TELLING};

/// What stands for a credential in what is only told.
pub(crate) const MASKED: &str = "***";

/// What fills the holes of a call's templates.
pub(crate) struct Filling<'a> {
    pub(crate) context: &'a Context<'a>,
    /// `None`: they are masked.
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) token: Option<&'a str>,
    pub(crate) request: Option<&'a UpstreamRequest>,
    pub(crate) id: Option<&'a Value>,
}

impl Filling<'_> {
    pub(crate) fn value_of(&self, reference: &Reference) -> Option<String> {
        let name = reference
            .path
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        match reference.root {
            Root::Context => self.context.get(name).and_then(text_of),
            Root::Credentials => match self.credentials {
                None => Some(MASKED.to_owned()),
                Some(_) if name == ACCESS_TOKEN => self.token.map(str::to_owned),
                Some(credentials) => credentials.value(name).map(str::to_owned),
            },
            Root::Query => {
                let mut query = self.request?.query.iter();
                query
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            }
            Root::Body => {
                let path = ValuePath::parse(&reference.path.join(".")).ok()?;
                text_of(path.of(self.request?.body.as_ref()?)?)
            }
            Root::Id => text_of(self.id?),
        }
    }

    fn fill(&self, template: &Template) -> Result<String, Unresolved> {
        template.fill(|reference| self.value_of(reference))
    }

    /// A value of a connector's file, which may be a key where it has text of its own.
    fn fill_sent(&self, template: &Template) -> Result<String, Unresolved> {
        let filled = self.fill(template)?;
        let is_masked = self.credentials.is_none() && template.has_own_text();
        Ok(if is_masked { MASKED.to_owned() } else { filled })
    }
}

/// A request with all that an upstream asks for.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Path and query, percent-encoded.
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
}

/// Why a request cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsigned {
    /// A template has a hole that nothing fills.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// A value is none that a header can have.
    #[error("`{0}` has a value that a header cannot have")]
    Header(String),
}

/// Adds to a request what its connector sends with every call, and the credential.
pub(crate) fn sign(
    access: &Access,
    format: Option<&FormatAccess>,
    filling: &Filling<'_>,
    mut path_and_query: String,
) -> Result<Signed, Unsigned> {
    let mut headers = HeaderMap::new();
    for (name, template) in &access.headers {
        let value = filling.fill_sent(template)?;
        headers.insert(name.clone(), header_value(name.as_str(), &value)?);
    }
    for (name, template) in &access.query {
        add(&mut path_and_query, name, &filling.fill_sent(template)?);
    }
    let Some(format) = format else {
        return Ok(Signed {
            path_and_query,
            headers,
        });
    };
    let authorization = header::AUTHORIZATION.as_str();
    match &format.authorization {
        Authorization::Header(name, template) => {
            let value = filling.fill_sent(template)?;
            headers.insert(name.clone(), header_value(name.as_str(), &value)?);
        }
        Authorization::Query(name, template) => {
            add(&mut path_and_query, name, &filling.fill_sent(template)?);
        }
        Authorization::Basic(username, password) => {
            let pair = format!("{}:{}", filling.fill(username)?, filling.fill(password)?);
            let is_masked = filling.credentials.is_none();
            let shown = if is_masked {
                MASKED.to_owned()
            } else {
                STANDARD.encode(pair)
            };
            let value = header_value(authorization, &format!("Basic {shown}"))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Authorization::Bearer(template) => {
            let value = format!("Bearer {}", filling.fill_sent(template)?);
            headers.insert(header::AUTHORIZATION, header_value(authorization, &value)?);
        }
    }
    Ok(Signed {
        path_and_query,
        headers,
    })
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Unsigned> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Unsigned::Header(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn add(path_and_query: &mut String, name: &str, value: &str) {
    path_and_query.push(if path_and_query.contains('?') {
        '&'
    } else {
        '?'
    });
    path_and_query.extend(utf8_percent_encode(name, IN_SEGMENT));
    path_and_query.push('=');
    path_and_query.extend(utf8_percent_encode(value, IN_SEGMENT));
}

/// What of a call must not come back: all secret fields, alone and as they are sent, and what the connector
/// sends with every call.
pub(crate) fn secrets(
    kept: &KeptScrub,
    access: &Access,
    format: Option<&FormatAccess>,
    filling: &Filling<'_>,
    signed: &Signed,
) -> Scrub {
    let is_shown = |name: &str| {
        let fields = format.map(|format| &format.fields);
        let entries = fields.map(Fields::entries).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.name.value == name);
        entry.is_some_and(|entry| entry.kind == Some(FieldKind::Text))
    };
    let entered = filling.credentials.iter().flat_map(|it| it.values());
    let entered = entered.filter(|(name, _)| !is_shown(name));
    let sent = signed.headers.get(header::AUTHORIZATION);
    let sent = sent.and_then(|value| value.to_str().ok()).map(|sent| {
        sent.split_once(' ')
            .map_or(sent, |(_, credential)| credential)
    });
    let granted = filling.credentials.and_then(|it| it.grant.as_ref());
    let granted = granted.into_iter().flat_map(Grant::secrets);
    // Of several lines each one is a secret: an answer may have one of them alone.
    let entered = entered.flat_map(|(_, value)| {
        let lines = value.contains('\n').then(|| value.lines());
        let lines = lines.into_iter().flatten().map(str::trim);
        std::iter::once(value).chain(lines.filter(|line| line.len() >= TELLING))
    });
    let secrets = entered.chain(filling.token);
    let secrets = secrets.chain(granted);
    let every = sent_with_every(access, format, filling);
    let secrets = secrets.chain(sent);
    let secrets: Vec<_> = secrets.chain(every.iter().map(String::as_str)).collect();
    kept.of(&secrets)
}

/// Values with text of their own, as far as they can be told from other text; what an answer may be says the
/// same to everybody.
fn sent_with_every(
    access: &Access,
    format: Option<&FormatAccess>,
    filling: &Filling<'_>,
) -> Vec<String> {
    let headers = access.headers.iter();
    let headers =
        headers.filter(|(name, _)| ![header::ACCEPT, header::ACCEPT_LANGUAGE].contains(name));
    let headers = headers.map(|(_, template)| template);
    let query = access.query.iter().map(|(_, template)| template);
    let authorization = format.map(|format| match &format.authorization {
        Authorization::Header(_, template) | Authorization::Query(_, template) => {
            [Some(template), None]
        }
        // What is sent is both in other letters: each may come back alone, as it is.
        Authorization::Basic(username, password) => [Some(username), Some(password)],
        // What is sent is a secret already.
        Authorization::Bearer(_) => [None, None],
    });
    let authorization = authorization.into_iter().flatten().flatten();
    let own = headers
        .chain(query)
        .chain(authorization)
        .filter(|template| template.has_own_text());
    let filled = own.filter_map(|template| filling.fill(template).ok());
    filled.filter(|value| value.len() >= TELLING).collect()
}
