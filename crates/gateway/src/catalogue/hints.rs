//! The hints about a tool that clients show or decide by, derived where the connector does not say.

use http::Method;

use crate::connector::file::AnnotationsEntry;
use crate::openapi::Operation;
use crate::openapi::schema::describe_name;
use crate::tool::Annotations;
use claviger_domain::plain_text;

/// What titles are cut to.
const TITLE: usize = 80;

pub(super) struct Subject<'a> {
    pub(super) resource: &'a str,
    pub(super) singular: &'a str,
    pub(super) method: &'a str,
    pub(super) operation: &'a Operation,
    pub(super) read_only: bool,
    pub(super) is_local: bool,
}

/// All four hints and the title.
///
/// An update is destructive in the protocol's sense: it replaces what was there.
pub(super) fn annotations(subject: &Subject<'_>, entry: &AnnotationsEntry) -> Annotations {
    let destructive = match subject.method {
        "create" => false,
        "update" | "delete" => true,
        _ => subject.operation.verb != Method::POST,
    };
    let idempotent = match subject.method {
        "create" => false,
        "update" | "delete" => true,
        _ => subject.operation.verb != Method::POST,
    };
    Annotations {
        title: entry.title.clone().unwrap_or_else(|| title(subject)),
        read_only_hint: subject.read_only,
        destructive_hint: !subject.read_only && entry.destructive.unwrap_or(destructive),
        idempotent_hint: subject.read_only || entry.idempotent.unwrap_or(idempotent),
        open_world_hint: entry.open_world.unwrap_or(!subject.is_local),
    }
}

fn title(subject: &Subject<'_>) -> String {
    if let Some(summary) = &subject.operation.summary {
        let summary: String = plain_text::clean(summary)
            .trim_end_matches('.')
            .chars()
            .take(TITLE)
            .collect();
        if !summary.is_empty() {
            return summary;
        }
    }
    let one = describe_name(subject.singular).to_lowercase();
    match subject.method {
        "list" => format!("List {}", describe_name(subject.resource).to_lowercase()),
        "get" | "create" | "update" | "delete" => {
            format!("{} {one}", describe_name(subject.method))
        }
        custom => format!(
            "{}: {}",
            describe_name(subject.resource),
            describe_name(custom).to_lowercase()
        ),
    }
}
