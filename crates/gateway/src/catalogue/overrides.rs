//! What a connected account says otherwise of its connector's tools: their descriptions, what their results keep,
//! and methods that are no tools here. The connector stays as it is, and what it says of secrets does too.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_domain::plain_text;
use claviger_edge::ApiError;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Catalogue, Catalogues};
use crate::connector::value_path::ValuePath;
use crate::members::Members;
use crate::tool::Tool;

/// The member of a connected account that has them.
pub(crate) const MEMBER: &str = "override";
/// What a connected account has that says nothing.
const NOTHING: &str = "{}";
/// How many bytes those that are kept may take together, about; most of it they share with their connector.
const KEPT: usize = 64 * 1_024 * 1_024;
/// Bytes of its JSON, at most.
const LARGEST: usize = 64 * 1_024;
/// Characters of a description, at most.
const LONGEST_DESCRIPTION: usize = 8_000;

/// What is said, by resource and method.
#[derive(Debug, Default)]
pub(crate) struct Overrides(HashMap<(String, String), Override>);

/// What is said of one method.
#[derive(Debug)]
struct Override {
    description: Option<String>,
    map: Option<Vec<(String, ValuePath)>>,
    hidden: bool,
}

impl Overrides {
    /// Reads what a body says of the tools of a connector. What names none of them is a fault.
    pub(crate) fn read(said: &Map<String, Value>, catalogue: &Catalogue) -> Result<Self, ApiError> {
        if Value::Object(said.clone()).to_string().len() > LARGEST {
            let must = format!("must have at most {LARGEST} bytes");
            return Err(ApiError::field(MEMBER, must));
        }
        let mut overrides = HashMap::new();
        let members = Members::read(MEMBER, said, &["resources"])?;
        for (resource, entry) in members.object("resources")?.into_iter().flatten() {
            let path = format!("{MEMBER}.resources.{resource}");
            let entry = Members::read(&path, object(&path, entry)?, &["methods"])?;
            for (method, said) in entry.object("methods")?.into_iter().flatten() {
                let path = format!("{path}.methods.{method}");
                let tool = catalogue.tool(resource, method);
                let tool = tool.ok_or_else(|| ApiError::field(&*path, "is no tool"))?;
                let said = Override::read(&path, object(&path, said)?, tool)?;
                overrides.insert((resource.clone(), method.clone()), said);
            }
        }
        Ok(Self(overrides))
    }

    /// Reads what a row says. What the connector has no more since it was changed is left out.
    pub(crate) fn of_row(said: &Map<String, Value>, catalogue: &Catalogue) -> Self {
        let of_tool = |tool: &Arc<Tool>| {
            let resource = said.get("resources")?.get(&tool.resource)?;
            let said = resource.get("methods")?.get(&tool.method)?.as_object()?;
            let said = Override::read("", said, tool).ok()?;
            Some(((tool.resource.clone(), tool.method.clone()), said))
        };
        Self(catalogue.tools().iter().filter_map(of_tool).collect())
    }

    /// The tools as they are with it: those that stay, and those that are hidden.
    pub(super) fn apply(&self, tools: &[Arc<Tool>]) -> (Vec<Arc<Tool>>, Vec<Arc<Tool>>) {
        let (mut shown, mut hidden) = (Vec::with_capacity(tools.len()), Vec::new());
        for tool in tools {
            let named = (tool.resource.clone(), tool.method.clone());
            match self.0.get(&named) {
                None => shown.push(Arc::clone(tool)),
                Some(said) if said.hidden => hidden.push(Arc::clone(tool)),
                Some(said) => shown.push(Arc::new(said.of(tool))),
            }
        }
        (shown, hidden)
    }
}

impl Override {
    fn read(path: &str, said: &Map<String, Value>, tool: &Tool) -> Result<Self, ApiError> {
        let members = Members::read(path, said, &["description", "map", "hidden"])?;
        let description = members.text("description")?.map(plain_text::flowing);
        let is_long =
            |text: &String| text.trim().is_empty() || text.chars().count() > LONGEST_DESCRIPTION;
        if description.as_ref().is_some_and(is_long) {
            let must = format!("must have 1 to {LONGEST_DESCRIPTION} characters");
            return Err(ApiError::field(members.field("description"), must));
        }
        let map = members.object("map")?;
        if map.is_some() && tool.names_secrets() {
            // Under another name it would not be known for one.
            let must_not = "does not go with a tool whose answers have secrets";
            return Err(ApiError::field(members.field("map"), must_not));
        }
        let map = map.map(|map| {
            let read = |(name, source): (&String, &Value)| {
                if let Some(Ok(source)) = source.as_str().map(ValuePath::parse) {
                    return Ok((name.clone(), source));
                }
                let must = "must be where its value is in an answer, as names joined by dots";
                let field = format!("{}.{name}", members.field("map"));
                Err(ApiError::field(field, must))
            };
            map.iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            description,
            map: map.transpose()?,
            hidden: members.flag("hidden")?.unwrap_or(false),
        })
    }

    fn of(&self, tool: &Tool) -> Tool {
        let mut changed = tool.clone();
        if let Some(description) = &self.description {
            changed.description.clone_from(description);
        }
        if let Some(map) = &self.map {
            changed.map.clone_from(map);
            // The document tells of other answers.
            changed.schemas.response = None;
        }
        changed
    }
}

/// Catalogues with what connected accounts say of them, each made once while it is kept.
#[derive(Debug)]
pub(crate) struct Overridden(Catalogues);

impl Default for Overridden {
    fn default() -> Self {
        Self(Catalogues::within(KEPT))
    }
}

impl Overridden {
    /// The tools as a connected account has them.
    pub(crate) fn of(&self, catalogue: Arc<Catalogue>, said: &str) -> Arc<Catalogue> {
        if said == NOTHING {
            return catalogue;
        }
        let content = Sha256::digest(catalogue.version_with(said)).into();
        if let Some(kept) = self.0.get(&content) {
            return kept;
        }
        self.0.keep(content, Arc::new(catalogue.with(said)))
    }
}

fn object<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, ApiError> {
    let object = value.as_object();
    object.ok_or_else(|| ApiError::field(path, "must be an object"))
}
