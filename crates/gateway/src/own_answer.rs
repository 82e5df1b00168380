//! What is answered without a tool of the catalogue.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::tool::Tool;

/// The answer of a tool that finds tools, or the refusal of one that is not exposed or not there.
#[derive(Debug, Clone)]
pub struct OwnAnswer {
    /// The tool's name, without what could hide or act, and cut.
    pub(crate) name: String,
    /// What the model is told.
    pub(crate) answer: Result<Map<String, Value>, Box<Failure>>,
    /// The names of arguments that a log may have.
    pub(crate) arguments: &'static [&'static str],
    /// The tool of the catalogue whose call is refused.
    pub(crate) about: Option<Arc<Tool>>,
}
