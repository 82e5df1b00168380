//! The tools of a connector, compiled once from its file and its OpenAPI document.

pub mod filter;

mod compile;
mod derive;
mod flat;
mod hints;
mod kept;
mod name;
pub(crate) mod overrides;
mod size;

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::connector::file::RateLimitEntry;
use crate::connector::{Access, Connector, Faults};
use crate::openapi::{Bounds, Document};
use crate::tool::Tool;

pub use kept::Catalogues;

/// Why a method is no tool that no model would be told of.
const UNDESCRIBED: &str = "it has no description";

/// All tools of one connector.
#[derive(Debug, Clone)]
pub struct Catalogue {
    slug: String,
    label: String,
    category: Option<String>,
    about: Option<String>,
    is_local: bool,
    /// The same for what is said otherwise of it.
    access: Arc<Access>,
    rate_limit: RateLimitEntry,
    content: [u8; 32],
    version: String,
    tools: Vec<Arc<Tool>>,
    /// Tools that a connected account does not show.
    hidden: Vec<Arc<Tool>>,
    left_out: Vec<LeftOut>,
    bytes: usize,
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
        Self::compile_within(connector, document, &Bounds::OWN)
    }

    /// Compiles them within bounds.
    pub fn compile_within(
        connector: &Connector,
        document: &Document,
        bounds: &Bounds<'_>,
    ) -> Result<Self, Faults> {
        let compiled = compile::compile(connector, document, bounds)?;
        let content = content(connector, document);
        let file = connector.file();
        Ok(Self {
            slug: file.slug.value.clone(),
            label: file.label.clone(),
            category: file.category.clone(),
            about: document.about().map(claviger_domain::plain_text::clean),
            is_local: connector.is_local(),
            access: Arc::new(connector.access().clone()),
            rate_limit: file.rate_limit.clone(),
            content,
            version: shown(&content),
            tools: compiled.tools.into_iter().map(Arc::new).collect(),
            hidden: Vec::new(),
            left_out: compiled.left_out,
            bytes: compiled.bytes,
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

    /// What kind of product it is.
    pub fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// What the API is, in the document's words.
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// Whether calls go to The Auth API of this instance.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Who calls are made as.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Where the upstream tells of its rate limit.
    pub fn rate_limit(&self) -> &RateLimitEntry {
        &self.rate_limit
    }

    /// SHA-256 of what it was compiled from: the same however often that is, and whatever a connected account
    /// says otherwise.
    pub(crate) fn content(&self) -> &[u8; 32] {
        &self.content
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

    /// The same, also where a connected account hides it: by that its credentials are tried all the same.
    pub(crate) fn shown_or_hidden(&self, resource: &str, method: &str) -> Option<&Arc<Tool>> {
        let mut hidden = self.hidden.iter();
        self.tool(resource, method)
            .or_else(|| hidden.find(|tool| tool.resource == resource && tool.method == method))
    }

    /// The tools with what a connected account says of them.
    pub(crate) fn with(&self, said: &str) -> Self {
        let parsed: Map<String, Value> = serde_json::from_str(said).unwrap_or_default();
        let overrides = overrides::Overrides::of_row(&parsed, self);
        let (tools, hidden) = overrides.apply(&self.tools);
        Self {
            version: self.version_with(said),
            tools,
            hidden,
            ..self.clone()
        }
    }

    /// The version that it has with what a connected account says.
    pub(crate) fn version_with(&self, said: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(self.version.as_bytes());
        digest.update(said.as_bytes());
        shown(&digest.finalize().into())
    }

    /// How many methods have no description, and are no tools for that.
    pub(crate) fn undescribed(&self) -> usize {
        let reasons = self.left_out.iter().map(|left| left.reason);
        reasons.filter(|reason| *reason == UNDESCRIBED).count()
    }

    /// In which forms a connected account may have its credentials.
    pub(crate) fn authentication_formats(&self) -> Vec<&'static str> {
        self.access
            .formats
            .keys()
            .map(|format| format.as_str())
            .collect()
    }

    /// What its tools take in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The operations that are no tools.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

/// SHA-256 of all that tools are made of.
pub fn content(connector: &Connector, document: &Document) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(connector.digest());
    digest.update(document.digest());
    digest.finalize().into()
}

fn shown(content: &[u8; 32]) -> String {
    let mut version = String::new();
    // Long enough that nobody makes another connector of the same version.
    for byte in &content[..16] {
        write!(version, "{byte:02x}").expect("writing to a string cannot fail");
    }
    version
}
