//! Who a call is made as, read from a connector file and checked: where calls go, what is asked for when
//! connecting, and where in a request it goes. What a caller says never reaches host or authorization,
//! and no credential reaches host or path: a file that would have it so is refused.

mod check;
mod fields;
mod url;

use http::HeaderName;
use indexmap::IndexMap;

use super::ConnectorFile;
use super::fault::Fault;
use super::file::{AuthorizationEntry, ClientAuthentication, ErrorsEntry, Format};
use super::template::{Root, Template};

pub use fields::Fields;
pub use url::UrlTemplate;

/// The field under which templates find the token of an OAuth format.
pub const ACCESS_TOKEN: &str = "access_token";

/// Who a call is made as.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where calls go; `None`: to The Auth API of this instance.
    pub base: Option<UrlTemplate>,
    /// What is asked for that is no secret.
    pub context: Fields,
    /// The forms of credentials; none: the upstream asks for no credential.
    pub formats: IndexMap<Format, FormatAccess>,
    /// Headers of every call.
    pub headers: Vec<(HeaderName, Template)>,
    /// Parameters of every call.
    pub query: Vec<(String, Template)>,
    /// How the upstream tells what is wrong.
    pub errors: ErrorsEntry,
}

/// What one form of credentials asks for, and what becomes of it.
#[derive(Debug, Clone)]
pub struct FormatAccess {
    /// What is asked for.
    pub fields: Fields,
    /// Where it goes.
    pub authorization: Authorization,
    /// Where tokens are from, for OAuth.
    pub oauth: Option<OAuth>,
    /// Resource and method by which new credentials are tried.
    pub validate: Option<(String, String)>,
}

/// Where a credential goes.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// A header.
    Header(HeaderName, Template),
    /// A parameter of the query.
    Query(String, Template),
    /// A user name and a password.
    Basic(Template, Template),
    /// A token.
    Bearer(Template),
}

/// Where tokens are from.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Where users consent.
    pub authorization_url: Option<UrlTemplate>,
    /// Where tokens are fetched.
    pub token_url: UrlTemplate,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What else goes to where users consent.
    pub authorization_query: Vec<(String, String)>,
    /// What the server calls itself, where its answers have to say it.
    pub issuer: Option<UrlTemplate>,
    /// Where the client's secret goes.
    pub client_authentication: ClientAuthentication,
}

impl OAuth {
    /// Whether whoever connects says on which host tokens are fetched, and so who would get a client's
    /// secret.
    pub fn has_open_host(&self) -> bool {
        self.token_url.has_open_host()
    }
}

impl Access {
    /// Reads what a file says of it; what is wrong is added to `faults`.
    pub(super) fn read(file: &ConnectorFile, faults: &mut Vec<Fault>) -> Self {
        check::Checking::new(file, faults).access()
    }

    /// The same of The Auth API of this instance: an access key, of which calls have no more than it holds.
    fn local() -> Self {
        let format = Format::ApiKey;
        let access_key = FormatAccess {
            fields: Fields::new(check::usual_fields(format)).unwrap_or_default(),
            authorization: Authorization::Bearer(Template::of(Root::Credentials, "api_key")),
            oauth: None,
            validate: None,
        };
        Self {
            base: None,
            context: Fields::default(),
            formats: IndexMap::from([(format, access_key)]),
            headers: Vec::new(),
            query: Vec::new(),
            errors: ErrorsEntry::default(),
        }
    }
}

/// Where a form of credentials goes by itself; `None`: the file must say it.
fn usual_authorization(format: Format) -> Option<Authorization> {
    let of = |name: &str| Template::of(Root::Credentials, name);
    match format {
        Format::ApiKey => None,
        Format::Basic => Some(Authorization::Basic(of("username"), of("password"))),
        Format::Bearer => Some(Authorization::Bearer(of("token"))),
        Format::OAuth2 | Format::OAuth2ClientCredentials => {
            Some(Authorization::Bearer(of(ACCESS_TOKEN)))
        }
    }
}

#[cfg(test)]
mod tests;
