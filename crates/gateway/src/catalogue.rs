//! The tools of a connector, compiled once from its file and its OpenAPI document.

pub mod filter;

mod compile;
mod flat;
mod hints;
mod name;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::connector::file::RateLimitEntry;
use crate::connector::{Connector, Faults};
use crate::openapi::Document;
use crate::tool::Tool;

/// Why a method is no tool that no model would be told of.
const UNDESCRIBED: &str = "it has no description";

/// All tools of one connector.
#[derive(Debug)]
pub struct Catalogue {
    slug: String,
    label: String,
    about: Option<String>,
    is_local: bool,
    rate_limit: RateLimitEntry,
    version: String,
    tools: Vec<Arc<Tool>>,
    left_out: Vec<LeftOut>,
}

/// A method that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The verb and path of the operation.
    pub operation: String,
    /// Why it is no tool.
    pub reason: &'static str,
}

impl Catalogue {
    /// Compiles the tools of a connector; the faults are those of the file against the document.
    pub fn compile(connector: &Connector, document: &Document) -> Result<Self, Faults> {
        let (tools, left_out) = compile::compile(connector, document)?;
        let file = connector.file();
        Ok(Self {
            slug: file.slug.value.clone(),
            label: file.label.clone(),
            about: document.about().map(claviger_domain::plain_text::clean),
            is_local: connector.is_local(),
            rate_limit: file.rate_limit.clone(),
            version: version(connector, document),
            tools: tools.into_iter().map(Arc::new).collect(),
            left_out,
        })
    }

    /// The connector's name in URLs.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The product's name for people.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the API is, in the document's words.
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// Whether calls go to The Auth API of this instance.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Where the upstream tells of its rate limit.
    pub fn rate_limit(&self) -> &RateLimitEntry {
        &self.rate_limit
    }

    /// A text that changes whenever a tool may have.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The tools, in the file's order.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The tool that is that method of that resource.
    pub fn tool(&self, resource: &str, method: &str) -> Option<&Arc<Tool>> {
        let mut tools = self.tools.iter();
        tools.find(|tool| tool.resource == resource && tool.method == method)
    }

    /// How many methods have no description, and are no tools for that.
    pub(crate) fn undescribed(&self) -> usize {
        let reasons = self.left_out.iter().map(|left| left.reason);
        reasons.filter(|reason| *reason == UNDESCRIBED).count()
    }

    /// In which forms a connected account may have its credentials.
    pub(crate) fn authentication_formats(&self) -> &[&'static str] {
        // An access key, of which calls have no more than it holds.
        if self.is_local { &["api_key"] } else { &[] }
    }

    /// The operations that are no tools.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

fn content(connector: &Connector, document: &Document) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(connector.digest());
    digest.update(document.digest());
    digest.finalize().into()
}

fn version(connector: &Connector, document: &Document) -> String {
    let mut version = String::new();
    for byte in &content(connector, document)[..8] {
        write!(version, "{byte:02x}").expect("writing to a string cannot fail");
    }
    version
}

/// How many catalogues are kept; past it all are forgotten, since compiling one again is cheap.
const KEPT: usize = 256;

/// Catalogues by content, each compiled once.
#[derive(Debug, Default)]
pub struct Catalogues {
    by_content: Mutex<HashMap<[u8; 32], Arc<Catalogue>>>,
}

impl Catalogues {
    /// The catalogue of a connector and a document, compiled now if these contents are new.
    pub fn of(&self, connector: &Connector, document: &Document) -> Result<Arc<Catalogue>, Faults> {
        let content = content(connector, document);
        let mut known = self
            .by_content
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(catalogue) = known.get(&content) {
            return Ok(Arc::clone(catalogue));
        }
        let catalogue = Arc::new(Catalogue::compile(connector, document)?);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(content, Arc::clone(&catalogue));
        Ok(catalogue)
    }
}
