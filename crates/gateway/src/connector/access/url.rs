//! Where requests go, as a template over `context`.

use crate::connector::template::{Reference, Template, TemplateFault, Unresolved};

/// A URL whose host and path have holes. A hole holds one label of a host, so that what is in it never
/// makes another host of it; or it is the whole host, where the product is run by its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    written: String,
    scheme: &'static str,
    host: Template,
    path: Template,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It does not begin as one.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It has what no base of requests has.
    #[error("must be a host and a path, without user, query, `#`, backslash or dot segments")]
    Shape,
    /// A default in it is none that a value could be.
    #[error("has a default that is not 1 to 63 small letters, digits or `-`")]
    Default,
    /// A hole cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateFault),
}

/// Why there is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// A hole has no value.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// The value of a hole would change more than its place.
    #[error("`{0}` must be 1 to 63 small letters, digits or `-`")]
    Label(String),
    /// The value of a hole is no host.
    #[error("`{0}` must be the name of a host")]
    Host(String),
}

impl UrlTemplate {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let schemes = ["https://", "http://"];
        let found = schemes
            .into_iter()
            .find_map(|it| Some((it, text.strip_prefix(it)?)));
        let (scheme, rest) = found.ok_or(UrlFault::Scheme)?;
        let (host, path) = Template::parse(rest)?.split_before('/');
        let is_unsound = |text: &str| {
            text.contains(['?', '#', '@', '\\', '%']) || text.contains(char::is_whitespace)
        };
        let dotted = path
            .fixed()
            .any(|text| text.split('/').any(|it| matches!(it, "." | "..")));
        let is_empty = host.fixed().next().is_none() && host.references().next().is_none();
        if is_empty || dotted || host.fixed().chain(path.fixed()).any(is_unsound) {
            return Err(UrlFault::Shape);
        }
        if host
            .defaults()
            .chain(path.defaults())
            .any(|it| !is_label(it))
        {
            return Err(UrlFault::Default);
        }
        Ok(Self {
            written: text.to_owned(),
            scheme,
            host,
            path,
        })
    }

    /// The template as it is written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Its scheme and its host for people, with what `named` says in the place of each hole.
    pub fn origin_with(&self, named: impl Fn(&Reference) -> String) -> String {
        let filled = self.host.fill(|reference| Some(named(reference)));
        format!("{}{}", self.scheme, filled.unwrap_or_default())
    }

    /// All values that it may need.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.host.references().chain(self.path.references())
    }

    /// Whether its host is one hole.
    pub fn is_whole_host_asked_for(&self) -> bool {
        self.host.is_one_hole()
    }

    /// Whether who fills its holes says whose host it is. They do not where it ends in a domain of the file's:
    /// a dot and at least two labels behind the last hole, as in `{{context.shop}}.example.com`.
    pub fn has_open_host(&self) -> bool {
        let Some(tail) = self.host.tail() else {
            return false;
        };
        let labels = tail.split('.').filter(|label| !label.is_empty());
        !tail.starts_with('.') || labels.count() < 2
    }

    /// The values that its host needs.
    pub fn host_references(&self) -> impl Iterator<Item = &Reference> {
        self.host.references()
    }

    /// The URL, without a slash at its end.
    pub fn fill(
        &self,
        value_of: impl Fn(&Reference) -> Option<String>,
        is_host: impl Fn(&Reference) -> bool,
    ) -> Result<String, NoUrl> {
        for reference in self.references() {
            let Some(value) = value_of(reference) else {
                continue;
            };
            let is_whole = is_host(reference);
            if is_whole && !is_host_name(&value) {
                return Err(NoUrl::Host(reference.to_string()));
            }
            if !is_whole && !is_label(&value) {
                return Err(NoUrl::Label(reference.to_string()));
            }
        }
        let host = self.host.fill(&value_of)?;
        let path = self.path.fill(&value_of)?;
        Ok(format!(
            "{}{host}{}",
            self.scheme,
            path.trim_end_matches('/')
        ))
    }
}

fn is_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    (1..=63).contains(&text.len())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Labels with dots between them, and a port; what it leads to is for the guarded client to judge.
fn is_host_name(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    name.len() <= 253 && is_port && name.split('.').all(is_label)
}
