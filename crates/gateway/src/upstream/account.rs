//! A connected account as calls are made with it: where they go, and what fills their templates.

#![expect(
    clippy::result_large_err,
    reason = "what fails here is passed on as it is, and boxed where the call ends"
)]

use std::sync::Arc;

use claviger_outbound::Target;
use claviger_store::connected_accounts::ConnectedAccount;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::sending::Sending;
use super::sign::{Filling, Unsigned, sign};
use crate::catalogue::Catalogue;
use crate::connector::access::{Access, FormatAccess, OAuth, UrlTemplate};
use crate::connector::file::Format;
use crate::connector::template::Reference;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::request::UpstreamRequest;
use crate::way::Way;

/// A connected account as calls are made with it.
pub(crate) struct Account<'a> {
    pub(crate) connected: &'a ConnectedAccount,
    pub(crate) access: &'a Access,
    /// What the catalogue was compiled from that the access is of.
    content: &'a [u8; 32],
    /// The version of that catalogue.
    version: &'a str,
    context: Context<'a>,
}

impl<'a> Account<'a> {
    pub(crate) fn new(connected: &'a ConnectedAccount, catalogue: &'a Catalogue) -> Self {
        Self {
            connected,
            access: catalogue.access(),
            content: catalogue.content(),
            version: catalogue.version(),
            context: Context::of(&connected.context),
        }
    }

    /// Whether that is its catalogue, as far as it says where calls go and what they carry. Not by address:
    /// one that was let go of is compiled again.
    pub(crate) fn is_by(&self, catalogue: &Catalogue) -> bool {
        catalogue.content() == self.content
    }

    pub(super) fn format(&self) -> Option<&'a FormatAccess> {
        let name = &self.connected.authentication_method;
        let mut formats = self.access.formats.iter();
        formats
            .find(|(format, _)| format.as_str() == name)
            .map(|(_, format)| format)
    }

    /// Where its users consent and its tokens are fetched, where somebody consented.
    pub(crate) fn consent(&self) -> Option<&'a OAuth> {
        let is_consent = self.connected.authentication_method == Format::OAuth2.as_str();
        self.format().filter(|_| is_consent)?.oauth.as_ref()
    }

    /// A URL of its connector's file.
    pub(crate) fn url(&self, template: &UrlTemplate) -> Result<String, Failure> {
        let filling = self.filling(None, None, None, None);
        let is_host = |reference: &Reference| {
            let name = reference.path.first();
            name.is_some_and(|name| self.access.context.is_host(name))
        };
        let filled = template.fill(|reference| filling.value_of(reference), is_host);
        filled.map_err(|fault| unsigned(&fault.to_string()))
    }

    /// The same as a place to which requests go.
    pub(crate) fn place(&self, gateway: &Gateway, url: &UrlTemplate) -> Result<Target, Failure> {
        let client = gateway.upstreams.client();
        let target = client.target(&self.url(url)?).map_err(|fault| {
            unsigned(&format!("where calls of this connected account go {fault}"))
        })?;
        if self.format().is_some() && !client.may_have_credentials(&target) {
            let message = "where calls of this connected account go must begin with https://: everybody on the \
                           way reads what goes over http://, its credential too";
            return Err(unsigned(message));
        }
        Ok(target)
    }

    /// Where calls go. It is kept with the account while both are what they were.
    pub(crate) fn way(&self, gateway: &Gateway) -> Result<Arc<Way>, Failure> {
        let known = gateway.known.accounts.get(&self.connected.id);
        let known = known.filter(|known| std::ptr::eq(&raw const *known.connected, self.connected));
        let kept = known.as_ref().and_then(|known| known.way.get());
        if let Some(way) = kept.filter(|way| way.version == self.version) {
            return Ok(Arc::clone(way));
        }
        let way = Arc::new(self.found_way(gateway)?);
        if let Some(known) = known {
            // Another call may have been quicker.
            drop(known.way.set(Arc::clone(&way)));
        }
        Ok(way)
    }

    fn found_way(&self, gateway: &Gateway) -> Result<Way, Failure> {
        let base = self
            .access
            .base
            .as_ref()
            .ok_or_else(|| unsigned("`base_url` is `local`"))?;
        let base = self.place(gateway, base)?;
        let mut origins = vec![base.origin().to_owned()];
        if let Some(oauth) = self.format().and_then(|format| format.oauth.as_ref()) {
            origins.push(self.place(gateway, &oauth.token_url)?.origin().to_owned());
        }
        Ok(Way {
            base,
            origins,
            version: self.version.to_owned(),
        })
    }

    pub(super) fn filling<'f>(
        &'f self,
        credentials: Option<&'f Credentials>,
        token: Option<&'f SecretString>,
        request: Option<&'f UpstreamRequest>,
        id: Option<&'f Value>,
    ) -> Filling<'f> {
        let token = token.map(ExposeSecret::expose_secret);
        Filling {
            context: &self.context,
            credentials,
            token,
            request,
            id,
        }
    }

    /// The method by which its connector tries credentials.
    pub(crate) fn validate(&self) -> Option<(&'a str, &'a str)> {
        let validate = self.format()?.validate.as_ref()?;
        Some((&validate.0, &validate.1))
    }

    /// The request that would be sent, with its credentials masked.
    pub(crate) fn masked(&self, gateway: &Gateway, sending: Sending<'_>) -> Result<Value, Failure> {
        let filling = self.filling(None, None, sending.request, sending.id);
        let signed = sign(self.access, self.format(), &filling, sending.path_and_query)?;
        let target = self.below(gateway, &signed.path_and_query)?;
        let mut headers = sending.headers;
        headers.extend(signed.headers);
        let headers: Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
            .collect();
        let body = match sending.request {
            Some(request) => match &request.form {
                Some(form) => Some(Value::from(form.as_str())),
                None => request.body.clone(),
            },
            None => Some(String::from_utf8_lossy(&sending.body).into()),
        };
        Ok(json!({
            "method": sending.method.as_str(), "url": target.url(), "headers": headers, "body": body,
        }))
    }

    pub(super) fn below(&self, gateway: &Gateway, path_and_query: &str) -> Result<Target, Failure> {
        let target = self.way(gateway)?.base.below(path_and_query);
        target.ok_or_else(|| {
            let message = "the arguments are too long for a request, or lead elsewhere";
            Failure::refused(StatusCode::BAD_REQUEST, "invalid_arguments", message)
        })
    }
}

fn unsigned(message: &str) -> Failure {
    Failure::refused(StatusCode::BAD_REQUEST, "unresolved", message)
}

impl From<Unsigned> for Failure {
    fn from(fault: Unsigned) -> Self {
        unsigned(&fault.to_string())
    }
}
