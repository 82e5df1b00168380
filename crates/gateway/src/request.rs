//! From checked arguments to the upstream request: each argument goes to the one place its tool has for
//! it, and nothing else is sent.

mod path;
mod query;

use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Map, Value};

use crate::argument::ArgumentFaults;
use crate::openapi::QueryStyle;
use crate::openapi::schema::Renames;

pub use path::PathTemplate;
pub(crate) use query::parameters_of;
use query::{encoded, write_query};

/// All but the unreserved characters of RFC 3986, so that a value stays within its segment.
pub(crate) const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Into the path.
    Path,
    /// Into the query.
    Query,
    /// A member of the body.
    Body,
    /// The whole body.
    WholeBody,
    /// Nowhere by itself: it says which page is asked for.
    Page,
}

/// One argument of a tool and what becomes of it.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its name in the tool.
    pub name: String,
    /// Where it goes.
    pub place: Place,
    /// Its name there.
    pub upstream: String,
    /// The renamed properties inside it.
    pub renames: Renames,
    /// How it is written in a query.
    pub style: QueryStyle,
}

/// How a tool's arguments become a request.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The HTTP verb.
    pub verb: Method,
    /// The path.
    pub path: PathTemplate,
    /// The tool's arguments.
    pub arguments: Vec<Argument>,
    /// What is always sent in the query.
    pub fixed_query: Vec<(String, String)>,
    /// What is always sent in the body.
    pub fixed_body: Map<String, Value>,
    /// Names in the query that are not the caller's to use: what is always sent, what says which page is asked
    /// for, credentials, other arguments. Members of an argument can stand in the query under their own names.
    pub reserved: Vec<String>,
    /// Whether a body is sent although no argument is given for it.
    pub needs_body: bool,
    /// Whether the body is a form, not JSON.
    pub is_form: bool,
}

/// A request to the upstream, without host and credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamRequest {
    /// The HTTP verb.
    pub verb: Method,
    /// The path, percent-encoded.
    pub path: String,
    /// The query's parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// The headers that say which part of a list is asked for.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Value>,
    /// The same as a form, where it is sent as one.
    pub form: Option<String>,
}

impl UpstreamRequest {
    /// The path with the query, percent-encoded.
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, encoded(&self.query))
    }
}

impl Plan {
    /// The arguments without those that are null where null cannot be sent: many models fill in what
    /// they leave open.
    pub(crate) fn without_nulls(&self, mut arguments: Map<String, Value>) -> Map<String, Value> {
        for argument in &self.arguments {
            let is_null = arguments.get(&argument.name).is_some_and(Value::is_null);
            if is_null && matches!(argument.place, Place::Query | Place::Page) {
                arguments.remove(&argument.name);
            }
        }
        arguments
    }

    /// The request for arguments that have passed the tool's check.
    pub fn request(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<UpstreamRequest, ArgumentFaults> {
        let mut query = Vec::new();
        let mut members = Map::new();
        let mut whole = None;
        for argument in &self.arguments {
            let Some(value) = arguments.get(&argument.name) else {
                continue;
            };
            match argument.place {
                Place::Path | Place::Page => {}
                Place::Query => {
                    let value = argument.renames.restore(value.clone());
                    self.check_members(argument, &value)?;
                    write_query(argument.style, &mut query, &argument.upstream, &value);
                }
                Place::Body => {
                    let value = argument.renames.restore(value.clone());
                    members.insert(argument.upstream.clone(), value);
                }
                Place::WholeBody => {
                    let value = argument.renames.restore(value.clone());
                    whole = Some((argument.name.as_str(), value));
                }
            }
        }
        query.extend(self.fixed_query.iter().cloned());
        match &mut whole {
            Some((_, Value::Object(given))) => given.extend(self.fixed_body.clone()),
            Some((name, _)) if self.is_form || !self.fixed_body.is_empty() => {
                return Err(refuse(name, "must be an object"));
            }
            _ => members.extend(self.fixed_body.clone()),
        }
        let path = self.path.fill(|parameter| {
            let argument = self
                .arguments
                .iter()
                .find(|argument| argument.place == Place::Path && argument.upstream == parameter)?;
            Some((argument.name.as_str(), arguments.get(&argument.name)?))
        })?;
        let body = whole
            .map(|(_, whole)| whole)
            .or_else(|| (self.needs_body || !members.is_empty()).then_some(Value::Object(members)));
        let form = body.as_ref().filter(|_| self.is_form);
        Ok(UpstreamRequest {
            form: form.map(|body| self.form(body)),
            verb: self.verb.clone(),
            path,
            query,
            headers: HeaderMap::new(),
            body,
        })
    }
}

impl Plan {
    /// A body as a form.
    fn form(&self, body: &Value) -> String {
        let mut pairs = Vec::new();
        for (name, value) in body.as_object().into_iter().flatten() {
            let is_it = |it: &&Argument| it.place == Place::Body && it.upstream == *name;
            let argument = self.arguments.iter().find(is_it);
            let style = argument.map_or(QueryStyle::Form, |argument| argument.style);
            write_query(style, &mut pairs, name, value);
        }
        encoded(&pairs)
    }

    /// Refuses an argument whose members would take the place of what is sent otherwise.
    fn check_members(&self, argument: &Argument, value: &Value) -> Result<(), ArgumentFaults> {
        let (QueryStyle::Exploded, Value::Object(members)) = (argument.style, value) else {
            return Ok(());
        };
        let is_taken =
            |member: &&String| **member != argument.upstream && self.reserved.contains(member);
        match members.keys().find(is_taken) {
            None => Ok(()),
            Some(member) => {
                let why = format!(
                    "cannot have the member `{member}`, which stands in the query otherwise"
                );
                Err(refuse(&argument.name, &why))
            }
        }
    }
}

fn refuse(argument: &str, why: &str) -> ArgumentFaults {
    ArgumentFaults(vec![format!("argument `{argument}` {why}")])
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn argument(name: &str, place: Place) -> Argument {
        Argument {
            name: name.into(),
            place,
            upstream: name.into(),
            renames: Renames::default(),
            style: QueryStyle::default(),
        }
    }

    fn plan() -> Plan {
        Plan {
            verb: Method::PATCH,
            path: PathTemplate::parse("/pots/{id}/lid").unwrap(),
            arguments: vec![
                argument("id", Place::Path),
                argument("full", Place::Query),
                Argument {
                    upstream: "name".into(),
                    ..argument("name_body", Place::Body)
                },
                argument("next_cursor", Place::Page),
            ],
            fixed_query: vec![("explain".into(), "true".into())],
            fixed_body: Map::new(),
            reserved: vec!["explain".into(), "full".into(), "token".into()],
            needs_body: false,
            is_form: false,
        }
    }

    fn request(arguments: &Value) -> Result<UpstreamRequest, ArgumentFaults> {
        plan().request(arguments.as_object().unwrap())
    }

    #[test]
    fn each_argument_goes_to_its_place_and_nothing_else_is_sent() {
        let sent = request(&json!({
            "id": "a b", "full": ["x", true], "name_body": "Lid", "next_cursor": "c", "stray": 1
        }))
        .unwrap();
        assert_eq!(
            sent.path_and_query(),
            "/pots/a%20b/lid?full=x&full=true&explain=true"
        );
        assert_eq!(sent.body, Some(json!({ "name": "Lid" })));
        assert_eq!(
            request(&json!({ "id": 7, "full": null })).unwrap().body,
            None
        );
    }

    #[test]
    fn what_is_always_sent_is_sent_beside_a_whole_body_too() {
        let mut plan = plan();
        plan.arguments.push(argument("body", Place::WholeBody));
        plan.fixed_body.insert("tenant".into(), json!("7"));
        let ask = |body: Value| {
            let arguments = json!({ "id": 1, "body": body });
            plan.request(arguments.as_object().unwrap())
        };
        let sent = ask(json!({ "tenant": "9", "leaf": "green" })).unwrap();
        assert_eq!(sent.body, Some(json!({ "tenant": "7", "leaf": "green" })));
        let refused = ask(json!(["9"])).unwrap_err().to_string();
        assert_eq!(refused, "argument `body` must be an object");
        plan.fixed_body.clear();
        plan.is_form = true;
        assert!(
            plan.request(json!({ "id": 1, "body": ["9"] }).as_object().unwrap())
                .is_err()
        );
    }

    #[test]
    fn no_member_takes_the_place_of_what_is_sent_otherwise() {
        let mut plan = plan();
        plan.arguments.push(argument("filter", Place::Query));
        let ask = |filter: Value| {
            let arguments = json!({ "id": 1, "filter": filter });
            plan.request(arguments.as_object().unwrap())
        };
        let sent = ask(json!({ "leaf": "green", "filter": 1 })).unwrap();
        assert!(
            sent.path_and_query()
                .ends_with("?leaf=green&filter=1&explain=true")
        );
        for taken in ["explain", "full", "token"] {
            let refused = ask(json!({ taken: "x" })).unwrap_err().to_string();
            assert!(
                refused.starts_with("argument `filter` cannot have the member"),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_empty_or_dotted_id_is_refused() {
        for id in [
            json!(""),
            json!("."),
            json!(".."),
            json!("..;a=1"),
            json!(null),
            json!([]),
            json!({}),
        ] {
            assert!(request(&json!({ "id": id })).is_err(), "{id}");
        }
        assert!(request(&json!({})).is_err());
    }

    proptest! {
        #[test]
        fn a_value_never_changes_the_path(id in ".{1,40}") {
            prop_assume!(!matches!(id.split(';').next(), Some("." | "..")));
            let sent = request(&json!({ "id": id })).unwrap();
            let segments: Vec<&str> = sent.path.split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!((segments[1], segments[3]), ("pots", "lid"));
            prop_assert_eq!(percent_decode_str(segments[2]).decode_utf8().unwrap(), id.as_str());
            prop_assert!(sent.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%-._~".contains(&b)));
        }
    }
}
