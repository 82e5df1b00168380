//! A tool: one method of one resource, with everything that listing it and calling it needs.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::argument::{ArgumentCheck, ArgumentFaults};
use crate::connector::file::PaginationEntry;
use crate::connector::value_path::ValuePath;
use crate::profile::{SchemaProfile, without_placeholders};
use crate::request::{Plan, UpstreamRequest};

/// One tool of a catalogue.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its full name, unique in the catalogue.
    pub name: String,
    /// Its name for clients that put a prefix of their own before it.
    pub short_name: String,
    /// The resource it is of.
    pub resource: String,
    /// The method it is.
    pub method: String,
    /// What it is for.
    pub description: String,
    /// Its tags, by which servers choose.
    pub tags: Vec<String>,
    /// Whether it is without effect.
    pub read_only: bool,
    /// Whether it is on its way out.
    pub deprecated: bool,
    /// Hints for clients.
    pub annotations: Annotations,
    /// Its schemas.
    pub schemas: Schemas,
    /// The arguments that every call needs.
    pub required: Vec<String>,
    /// Members of the answer that hold a secret.
    pub secret_fields: Vec<String>,
    /// Members of the answer that hold a secret which is always sealed, or masked where it cannot be.
    pub sealed_fields: Vec<String>,
    /// Members of the answer that hold a secret which is always masked.
    pub masked_fields: Vec<String>,
    /// Arguments in which a sealed handle may be opened.
    pub accepts_sealed: Vec<String>,
    /// Where in the answer the result is; the whole answer by default.
    pub response_path: Option<ValuePath>,
    /// The members that the result keeps, each with where it is in what was answered; all by default.
    pub map: Vec<(String, ValuePath)>,
    /// How its list is paged.
    pub pagination: PaginationEntry,
    pub(crate) check: ArgumentCheck,
    pub(crate) plan: Plan,
}

/// The schemas of a tool.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// All arguments, flat.
    pub input: Value,
    /// The arguments that go to path and query.
    pub query: Value,
    /// The arguments that go to the body.
    pub body: Option<Value>,
    /// What the upstream answers.
    pub response: Option<Value>,
}

/// Hints about a tool, each one given.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the protocol has these four hints"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ToolAnnotations)]
pub struct Annotations {
    /// A title for people.
    pub title: String,
    /// Whether it changes nothing.
    pub read_only_hint: bool,
    /// Whether it may end or change what is there.
    pub destructive_hint: bool,
    /// Whether doing it twice is as doing it once.
    pub idempotent_hint: bool,
    /// Whether it reaches beyond the product itself.
    pub open_world_hint: bool,
}

impl Tool {
    /// Whether what it is given may leave the product, for whoever is named in it.
    pub(crate) fn reaches_out(&self) -> bool {
        self.annotations.open_world_hint
    }

    /// Whether a model sees a secret in its answer, unless its server seals them.
    pub(crate) fn answers_secrets(&self) -> bool {
        let hidden =
            |field| self.sealed_fields.contains(field) || self.masked_fields.contains(field);
        self.secret_fields.iter().any(|field| !hidden(field))
    }

    /// Whether its connector names members of its answer as secrets.
    pub(crate) fn names_secrets(&self) -> bool {
        let fields = [
            &self.secret_fields,
            &self.sealed_fields,
            &self.masked_fields,
        ];
        fields.into_iter().any(|fields| !fields.is_empty())
    }

    /// Whether it answers a list.
    pub fn is_list(&self) -> bool {
        self.method == "list"
    }

    /// The arguments as the tool reads them under a profile, checked.
    pub fn checked(
        &self,
        arguments: Map<String, Value>,
        profile: SchemaProfile,
    ) -> Result<Map<String, Value>, ArgumentFaults> {
        let arguments = match profile {
            SchemaProfile::Default => self.plan.without_nulls(arguments),
            SchemaProfile::OpenaiStrict => without_placeholders(&self.schemas.input, arguments)?,
        };
        self.check.check(&arguments)?;
        Ok(arguments)
    }

    /// The upstream request for checked arguments, without the page's parameters.
    pub fn request(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<UpstreamRequest, ArgumentFaults> {
        self.plan.request(arguments)
    }
}
