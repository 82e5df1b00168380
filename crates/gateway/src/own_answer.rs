//! What is answered without a tool of the catalogue.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::exposure::Exposure;
use crate::failure::Failure;
use crate::looking::Question;
use crate::tool::Tool;

/// The answer of a tool that finds tools, or the refusal of one that is not exposed or not there.
#[derive(Debug, Clone)]
pub struct OwnAnswer {
    /// The tool's name, without what could hide or act, and cut.
    pub(crate) name: String,
    pub(crate) answer: Answering,
    /// The names of arguments that a log may have.
    pub(crate) arguments: &'static [&'static str],
    /// The tool of the catalogue whose call is refused.
    pub(crate) about: Option<Arc<Tool>>,
}

/// What the model is told.
#[derive(Debug, Clone)]
pub(crate) enum Answering {
    /// Why its call comes to nothing.
    Refusal(Box<Failure>),
    /// What there is among the tools of a server. Looking for that costs something: it is done for calls that
    /// are let in, and within the budget of the server.
    Looked(Arc<Exposure>, Question),
}

impl Answering {
    /// What the model is told, looked for now.
    pub(crate) fn told(self) -> Result<Map<String, Value>, Box<Failure>> {
        match self {
            Self::Refusal(failure) => Err(failure),
            Self::Looked(exposure, question) => question.answer(&exposure),
        }
    }
}
