//! The check of a file's members about access. Each fault has the line of the text that it is about.

use std::collections::HashSet;

use http::HeaderName;
use indexmap::IndexMap;
use serde_saphyr::Location;

use super::fields::Fields;
use super::url::UrlTemplate;
use super::{ACCESS_TOKEN, Access, Authorization, AuthorizationEntry, FormatAccess, OAuth};
use crate::connector::ConnectorFile;
use crate::connector::fault::Fault;
use crate::connector::file::{FieldEntry, FieldKind, Format, FormatEntry, Placed};
use crate::connector::template::{Root, Template};

/// What this program itself sends to where users consent.
const OURS: [&str; 11] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
];

/// What a template may be filled from.
struct Allowed<'a> {
    roots: &'a [Root],
    credentials: &'a [&'a Fields],
    has_token: bool,
}

pub(super) struct Checking<'a> {
    file: &'a ConnectorFile,
    faults: &'a mut Vec<Fault>,
    context: Fields,
}

impl<'a> Checking<'a> {
    pub(super) fn new(file: &'a ConnectorFile, faults: &'a mut Vec<Fault>) -> Self {
        let mut checking = Self {
            file,
            faults,
            context: Fields::default(),
        };
        checking.context = checking.fields("context", &file.context);
        checking
    }

    pub(super) fn access(mut self) -> Access {
        let file = self.file;
        if file.base_url.value == "local" {
            self.check_local();
            return Access::local();
        }
        let base = self.url("base_url", &file.base_url);
        let formats: IndexMap<_, _> = file
            .credentials
            .iter()
            .filter_map(|(format, entry)| Some((*format, self.format(*format, entry)?)))
            .collect();
        if let (Some(authorization), true) = (&file.authorization, formats.is_empty()) {
            let message = "`authorization` needs `credentials`, which say what is asked for";
            self.fault(place_of(authorization), message.to_owned());
        }
        let fields: Vec<&Fields> = formats.values().map(|format| &format.fields).collect();
        let everything = Allowed {
            roots: &[
                Root::Context,
                Root::Credentials,
                Root::Query,
                Root::Body,
                Root::Id,
            ],
            credentials: &fields,
            has_token: formats.keys().any(|format| format.is_oauth()),
        };
        let mut headers = Vec::new();
        for (name, value) in &file.headers {
            let template = self.template(&format!("headers.{name}"), value, &everything);
            let name = self.header("headers", name, value);
            headers.extend(name.zip(template));
        }
        let mut query = Vec::new();
        for (name, value) in &file.query {
            let template = self.template(&format!("query.{name}"), value, &everything);
            query.extend(template.map(|template| (name.clone(), template)));
        }
        for sign in &file.errors.failed_when {
            if sign.path.is_none() && (sign.status.is_none() || sign.is.is_some()) {
                self.faults.push(Fault::without_place(
                    "an entry of `errors.failed_when` needs a `status`, or a `path` with or without `is`".to_owned(),
                ));
            }
        }
        Access {
            base,
            context: self.context.clone(),
            formats,
            headers,
            query,
            errors: file.errors.clone(),
        }
    }

    /// Calls of The Auth API of this instance are made in the name of somebody, and with nothing else.
    fn check_local(&mut self) {
        let file = self.file;
        let members = [
            ("context", !file.context.is_empty()),
            ("credentials", !file.credentials.is_empty()),
            ("authorization", file.authorization.is_some()),
            ("headers", !file.headers.is_empty()),
            ("query", !file.query.is_empty()),
        ];
        for (member, is_there) in members {
            if is_there {
                self.fault(
                    &file.base_url,
                    format!("`{member}` does not go with `base_url: local`"),
                );
            }
        }
    }

    fn format(&mut self, format: Format, entry: &FormatEntry) -> Option<FormatAccess> {
        let name = format.as_str();
        let asked = if entry.fields.is_empty() {
            usual_fields(format)
        } else {
            entry.fields.clone()
        };
        let fields = self.fields(&format!("credentials.{name}"), &asked);
        let oauth = self.oauth(format, entry);
        let authorization = entry
            .authorization
            .as_ref()
            .or(self.file.authorization.as_ref());
        let authorization = if let Some(authorization) = authorization {
            let allowed = Allowed {
                roots: &[Root::Context, Root::Credentials],
                credentials: &[&fields],
                has_token: format.is_oauth(),
            };
            self.authorization(authorization, &allowed)
        } else {
            let usual = super::usual_authorization(format);
            if usual.is_none() {
                self.fault(
                    &self.file.base_url,
                    format!("`authorization` must say where the credentials of `{name}` go"),
                );
            }
            usual
        };
        let validate = entry
            .validate
            .as_ref()
            .and_then(|method| self.method(method));
        Some(FormatAccess {
            fields,
            authorization: authorization?,
            oauth: oauth.ok()?,
            validate,
        })
    }

    fn method(&mut self, named: &Placed) -> Option<(String, String)> {
        let found = named.value.split_once('.').filter(|(resource, method)| {
            let known = self.file.resources.get(*resource);
            known.is_none_or(|known| known.methods.contains_key(*method))
        });
        if found.is_none() {
            self.fault(
                named,
                format!(
                    "`validate` must name a method, written `resource.method`; there is no `{}`",
                    named.value
                ),
            );
        }
        found.map(|(resource, method)| (resource.to_owned(), method.to_owned()))
    }

    fn oauth(&mut self, format: Format, entry: &FormatEntry) -> Result<Option<OAuth>, ()> {
        let name = format.as_str();
        let urls = [
            ("authorization_url", &entry.authorization_url),
            ("token_url", &entry.token_url),
        ];
        if !format.is_oauth() {
            for (member, url) in urls {
                if let Some(url) = url {
                    self.fault(url, format!("`{member}` does not go with `{name}`"));
                }
            }
        }
        if format != Format::OAuth2 {
            self.check_no_consent(name, entry);
        }
        if !format.is_oauth() {
            return Ok(None);
        }
        if format == Format::OAuth2 && entry.authorization_url.is_none() {
            self.fault(
                &self.file.base_url,
                "`oauth2` needs an `authorization_url`".to_owned(),
            );
        }
        let authorization_url = entry
            .authorization_url
            .as_ref()
            .and_then(|url| self.url("authorization_url", url));
        let Some(token_url) = &entry.token_url else {
            self.fault(&self.file.base_url, format!("`{name}` needs a `token_url`"));
            return Err(());
        };
        let token_url = self.url("token_url", token_url).ok_or(())?;
        for name in entry.authorization_query.keys() {
            if OURS.contains(&name.as_str()) {
                let message =
                    format!("`authorization_query`: `{name}` is what this program says itself");
                self.fault(&self.file.base_url, message);
            }
        }
        let issuer = entry.issuer.as_ref();
        let issuer = issuer.and_then(|issuer| self.url("issuer", issuer));
        let query = entry.authorization_query.iter();
        Ok(Some(OAuth {
            authorization_url,
            token_url,
            scopes: entry.scopes.clone(),
            authorization_query: query
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            issuer,
            client_authentication: entry.client_authentication.unwrap_or_default(),
        }))
    }

    /// Members that are about somebody's consent.
    fn check_no_consent(&mut self, name: &str, entry: &FormatEntry) {
        if let Some(issuer) = &entry.issuer {
            self.fault(issuer, format!("`issuer` does not go with `{name}`"));
        }
        let others = [
            ("authorization_query", !entry.authorization_query.is_empty()),
            (
                "client_authentication",
                entry.client_authentication.is_some(),
            ),
        ];
        for (member, is_there) in others {
            if is_there {
                self.fault(
                    &self.file.base_url,
                    format!("`{member}` does not go with `{name}`"),
                );
            }
        }
    }

    fn authorization(
        &mut self,
        entry: &AuthorizationEntry,
        allowed: &Allowed<'_>,
    ) -> Option<Authorization> {
        let mut read = |text| self.template("authorization", text, allowed);
        match entry {
            AuthorizationEntry::Bearer(token) => read(token).map(Authorization::Bearer),
            AuthorizationEntry::Basic(basic) => {
                let username = read(&basic.username);
                username
                    .zip(read(&basic.password))
                    .map(|(name, word)| Authorization::Basic(name, word))
            }
            AuthorizationEntry::Query(query) => {
                let value = read(&query.value)?;
                Some(Authorization::Query(query.name.value.clone(), value))
            }
            AuthorizationEntry::Header(header) => {
                let value = read(&header.value);
                let name = self.header("authorization", &header.name.value, &header.name);
                name.zip(value)
                    .map(|(name, value)| Authorization::Header(name, value))
            }
        }
    }

    fn header(&mut self, member: &str, name: &str, place: &Placed) -> Option<HeaderName> {
        let read = name.parse::<HeaderName>().ok();
        let read = read.filter(|name| claviger_domain::webhook::may_be_sent(name.as_str()));
        if read.is_none() {
            self.fault(
                place,
                format!("`{member}`: `{name}` is not a header that can be set"),
            );
        }
        read
    }

    fn template(&mut self, member: &str, text: &Placed, allowed: &Allowed<'_>) -> Option<Template> {
        let template = match Template::parse(&text.value) {
            Ok(template) => template,
            Err(fault) => {
                self.fault(text, format!("`{member}`: {fault}"));
                return None;
            }
        };
        for reference in template.references() {
            let root = reference.root.as_str();
            let name = reference
                .path
                .first()
                .map(String::as_str)
                .unwrap_or_default();
            let is_known = match reference.root {
                Root::Context => reference.path.len() == 1 && self.context.has(name),
                Root::Credentials => {
                    let is_field = allowed.credentials.iter().any(|fields| fields.has(name));
                    reference.path.len() == 1
                        && (is_field || (allowed.has_token && name == ACCESS_TOKEN))
                }
                Root::Query | Root::Body | Root::Id => true,
            };
            if !allowed.roots.contains(&reference.root) {
                self.fault(
                    text,
                    format!("`{member}` must not hold `{root}`, but has `{reference}`"),
                );
            } else if !is_known {
                self.fault(text, format!("`{member}`: no field is named `{reference}`"));
            }
        }
        Some(template)
    }

    /// A URL is over `context` alone: what a caller says, or a secret, is never in a host or its path.
    fn url(&mut self, member: &str, text: &Placed) -> Option<UrlTemplate> {
        let url = match UrlTemplate::parse(&text.value) {
            Ok(url) => url,
            Err(fault) => {
                self.fault(text, format!("`{member}` {fault}"));
                return None;
            }
        };
        let allowed = Allowed {
            roots: &[Root::Context],
            credentials: &[],
            has_token: false,
        };
        self.template(member, text, &allowed)?;
        for reference in url.references() {
            let is_host = reference
                .path
                .first()
                .is_some_and(|name| self.context.is_host(name));
            let is_whole =
                url.is_whole_host_asked_for() && url.host_references().any(|it| it == reference);
            if is_host && !is_whole {
                self.fault(
                    text,
                    format!("`{member}`: `{reference}` is a host, and must be the whole host"),
                );
            }
        }
        Some(url)
    }

    fn fields(&mut self, member: &str, entries: &[FieldEntry]) -> Fields {
        let mut seen = HashSet::new();
        for entry in entries {
            let name = &entry.name;
            if !is_field_name(&name.value) {
                self.fault(name, format!(
                    "`{member}`: a field's name is 1 to 40 small letters, digits or `_`; `{}` is not", name.value
                ));
            }
            if !seen.insert(name.value.as_str()) || name.value == ACCESS_TOKEN {
                self.fault(name, format!("`{member}`: `{}` is taken", name.value));
            }
            if entry.kind == Some(FieldKind::Host) && member != "context" {
                self.fault(
                    name,
                    format!("`{member}`: a `host` is asked for in `context`"),
                );
            }
            if let (Some(pattern), Err(problem)) =
                (&entry.pattern, Fields::new(vec![entry.clone()]))
            {
                self.fault(
                    pattern,
                    format!("`{member}`: `pattern` of `{}`: {problem}", name.value),
                );
            }
        }
        Fields::new(entries.to_vec()).unwrap_or_default()
    }

    fn fault(&mut self, place: &Placed, message: String) {
        self.faults.push(Fault::at(&place.referenced, message));
    }
}

fn place_of(entry: &AuthorizationEntry) -> &Placed {
    match entry {
        AuthorizationEntry::Header(it) | AuthorizationEntry::Query(it) => &it.name,
        AuthorizationEntry::Basic(it) => &it.username,
        AuthorizationEntry::Bearer(it) => it,
    }
}

fn is_field_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    (1..=40).contains(&name.len())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn usual_fields(format: Format) -> Vec<FieldEntry> {
    let usual = format.usual_fields().iter();
    usual
        .map(|(name, label)| FieldEntry {
            name: Placed {
                value: (*name).to_owned(),
                referenced: Location::UNKNOWN,
                defined: Location::UNKNOWN,
            },
            label: Some((*label).to_owned()),
            kind: matches!(*name, "username" | "client_id").then_some(FieldKind::Text),
            required: true,
            pattern: None,
            help: None,
        })
        .collect()
}
