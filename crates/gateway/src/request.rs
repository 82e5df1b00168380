//! From checked arguments to the upstream request: each argument goes to the one place its tool has for
//! it, and nothing else is sent.

mod alike;
mod path;
mod query;

use std::collections::HashMap;

use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Map, Value};

use crate::argument::ArgumentFaults;
use crate::openapi::QueryStyle;
use crate::openapi::schema::{Renames, beginning};

pub(crate) use alike::Sent;
use alike::first_taken;
pub use path::PathTemplate;
pub(crate) use query::parameters_of;
use query::{Written, encoded};

/// Bytes of what arguments are in a query, at most, with what keeping it takes: all that fits a request's first
/// line has less.
const LARGEST_QUERY: usize = 256 * 1_024;
/// Bytes of a form, at most, so counted: what is sent to be one has half as many.
const LARGEST_FORM: usize = 8 * 1_024 * 1_024;
/// Bytes of a member's name that are told.
const LONGEST_TOLD: usize = 100;

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
    /// for, credentials, other arguments. Members of an argument can stand in the query under their own names; none
    /// are here where no argument has members.
    pub reserved: Vec<String>,
    /// Whether a body is sent although no argument is given for it.
    pub needs_body: bool,
    /// Of a form, how members are written whose style the document names; `None` for JSON.
    pub form: Option<HashMap<String, QueryStyle>>,
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
        let mut query = Written::within(LARGEST_QUERY);
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
                    self.write(&mut query, argument, &value)?;
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
        let body = match whole {
            Some((name, Value::Object(given))) => Some(self.without_fixed(name, given)?),
            Some((name, _)) if self.form.is_some() || !self.fixed_body.is_empty() => {
                return Err(refuse(name, "must be an object"));
            }
            Some((_, whole)) => Some(whole),
            None => {
                let is_sent = self.needs_body || !members.is_empty() || !self.fixed_body.is_empty();
                is_sent.then_some(Value::Object(members))
            }
        };
        let form = match (&body, &self.form) {
            (Some(Value::Object(members)), Some(styles)) => Some(self.form(styles, members)?),
            _ => None,
        };
        let body = body.map(|mut body| {
            if let Value::Object(members) = &mut body {
                members.extend(self.fixed_body.clone());
            }
            body
        });
        let path = self.path.fill(|parameter| {
            let argument = self
                .arguments
                .iter()
                .find(|argument| argument.place == Place::Path && argument.upstream == parameter)?;
            Some((argument.name.as_str(), arguments.get(&argument.name)?))
        })?;
        let mut query = query.into_pairs();
        query.extend(self.fixed_query.iter().cloned());
        Ok(UpstreamRequest {
            form,
            verb: self.verb.clone(),
            path,
            query,
            headers: HeaderMap::new(),
            body,
        })
    }

    /// Writes an argument into the query. What its members are called there is nobody else's.
    fn write(
        &self,
        query: &mut Written,
        argument: &Argument,
        value: &Value,
    ) -> Result<(), ArgumentFaults> {
        let added = query.add(argument.style, &argument.upstream, value);
        let added = added.map_err(|_| too_long(&argument.name))?;
        match first_taken(&argument.upstream, added, self.reserved.iter()) {
            None => Ok(()),
            Some(member) => Err(refuse_member(&argument.name, member)),
        }
    }

    /// A whole body without what is always sent, which is sent after it. A member that some read as one of that
    /// is refused.
    fn without_fixed(
        &self,
        name: &str,
        mut given: Map<String, Value>,
    ) -> Result<Value, ArgumentFaults> {
        if self.fixed_body.is_empty() {
            return Ok(Value::Object(given));
        }
        given.retain(|member, _| !self.fixed_body.contains_key(member));
        let fixed = Sent::of(self.fixed_body.keys());
        match given.keys().find(|member| fixed.has(member)) {
            None => Ok(Value::Object(given)),
            Some(member) => Err(refuse_member(name, member)),
        }
    }

    /// A body as a form, and what is always sent behind it.
    fn form(
        &self,
        styles: &HashMap<String, QueryStyle>,
        members: &Map<String, Value>,
    ) -> Result<String, ArgumentFaults> {
        let mut form = Written::within(LARGEST_FORM);
        let style = |name: &str| styles.get(name).copied().unwrap_or(QueryStyle::Form);
        for (name, value) in members {
            let argument = || {
                let is_it = |it: &&Argument| match it.place {
                    Place::Body => it.upstream == *name,
                    place => place == Place::WholeBody,
                };
                let argument = self.arguments.iter().find(is_it);
                argument.map_or(name.as_str(), |argument| &argument.name)
            };
            let added = form.add(style(name), name, value);
            let added = added.map_err(|_| too_long(argument()))?;
            if let Some(member) = first_taken(name, added, self.fixed_body.keys()) {
                return Err(refuse_member(argument(), member));
            }
        }
        for (name, value) in &self.fixed_body {
            // What is always sent is there also where it says nothing.
            let written = match value {
                Value::Null => form.add(QueryStyle::Form, name, &"null".into()),
                value => form.add(style(name), name, value),
            };
            written.map_err(|_| too_long(name))?;
        }
        Ok(encoded(&form.into_pairs()))
    }
}

fn too_long(argument: &str) -> ArgumentFaults {
    let why = "is too long as it is sent, where each value has its whole name before it: \
        give fewer values, or shorter names";
    refuse(argument, why)
}

fn refuse_member(argument: &str, member: &str) -> ArgumentFaults {
    let member = claviger_domain::plain_text::clean(beginning(member, LONGEST_TOLD));
    let why = format!("cannot have the member `{member}`, which is sent otherwise");
    refuse(argument, &why)
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
            form: None,
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
        let sent = ask(json!({ "tenant": "9", "leaf": "green", "tenants": 1 })).unwrap();
        let expected = r#"{"leaf":"green","tenants":1,"tenant":"7"}"#;
        assert_eq!(sent.body.unwrap().to_string(), expected);
        for other in ["Tenant", " tenant", "TENANT ", "tenant[]", "tenant[a]"] {
            let refused = ask(json!({ "tenant": "x", other: "9" })).unwrap_err();
            let told = refused.to_string();
            assert!(told.contains("`body` cannot have the member"), "{told}");
            assert!(told.contains(other.trim()), "{told}");
        }
        let refused = ask(json!(["9"])).unwrap_err().to_string();
        assert_eq!(refused, "argument `body` must be an object");
        plan.fixed_body.clear();
        plan.form = Some(HashMap::new());
        assert!(
            plan.request(json!({ "id": 1, "body": ["9"] }).as_object().unwrap())
                .is_err()
        );
    }

    #[test]
    fn no_member_takes_the_place_of_what_is_sent_otherwise() {
        let mut plan = plan();
        plan.arguments.push(argument("filter", Place::Query));
        plan.reserved.extend(["page[size]".into(), "filter".into()]);
        let ask = |filter: Value| {
            let arguments = json!({ "id": 1, "filter": filter });
            plan.request(arguments.as_object().unwrap())
        };
        let sent = ask(json!({ "leaf": "green", "filter": 1 })).unwrap();
        assert!(
            sent.path_and_query()
                .ends_with("?leaf=green&filter=1&explain=true")
        );
        for taken in [
            "explain",
            "full",
            "token",
            "Token",
            "token[]",
            "token[a]",
            "page[size]",
        ] {
            let refused = ask(json!({ taken: "x" })).unwrap_err().to_string();
            assert!(
                refused.starts_with("argument `filter` cannot have the member"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_in_brackets_takes_no_place_either() {
        let mut plan = plan();
        plan.arguments.push(Argument {
            style: QueryStyle::Deep,
            ..argument("filter", Place::Query)
        });
        plan.reserved
            .extend(["filter[tenant]".into(), "filter".into()]);
        let ask = |filter: Value| {
            let arguments = json!({ "id": 1, "filter": filter });
            plan.request(arguments.as_object().unwrap())
        };
        for taken in [
            json!({ "tenant": 1 }),
            json!({ "Tenant": [1] }),
            json!({ "leaf": 1, "tenant": { "x": 1 } }),
        ] {
            let refused = ask(taken.clone()).unwrap_err().to_string();
            assert!(refused.contains("member `filter["), "{taken}: {refused}");
        }
        let sent = ask(json!({ "leaf": "green", "token": 1 })).unwrap();
        assert!(sent.path_and_query().contains("filter%5Bleaf%5D=green"));
    }

    #[test]
    fn a_form_has_what_is_always_sent_in_the_style_of_the_document() {
        let mut plan = plan();
        plan.arguments.push(argument("body", Place::WholeBody));
        let deep = ["meta", "of"].map(|name| (name.to_owned(), QueryStyle::Deep));
        plan.form = Some(deep.into());
        let fixed = json!({ "of": { "a": 1 }, "none": null, "meta[tenant]": "7" });
        plan.fixed_body = fixed.as_object().unwrap().clone();
        let ask = |body: Value| {
            let arguments = json!({ "id": 1, "body": body });
            let sent = plan.request(arguments.as_object().unwrap());
            sent.map(|sent| sent.form.unwrap())
        };
        let sent = ask(json!({ "of": 2, "meta": { "b": [true] }, "left": null })).unwrap();
        let expected = "meta%5Bb%5D%5B%5D=true&of%5Ba%5D=1&none=null&meta%5Btenant%5D=7";
        assert_eq!(sent, expected);
        for taken in [
            json!({ "meta": { "tenant": "9" } }),
            json!({ "meta": { "Tenant": ["9"] } }),
            json!({ "None": 1 }),
            json!({ "OF[a]": 1 }),
        ] {
            assert!(ask(taken.clone()).is_err(), "{taken}");
        }
    }

    #[test]
    fn a_name_that_would_be_before_each_of_many_values_is_refused() {
        let mut plan = plan();
        plan.arguments.push(Argument {
            style: QueryStyle::Deep,
            ..argument("filter", Place::Query)
        });
        let value = json!({ "n".repeat(1_000_000): vec![1; 100_000] });
        let refused = plan
            .request(json!({ "id": 1, "filter": value }).as_object().unwrap())
            .unwrap_err();
        let told = refused.to_string();
        assert!(told.starts_with("argument `filter` is too long") && told.len() < 200);
        plan.form = Some([("meta".to_owned(), QueryStyle::Deep)].into());
        plan.arguments.push(argument("meta", Place::Body));
        let refused = plan
            .request(json!({ "id": 1, "meta": value }).as_object().unwrap())
            .unwrap_err();
        assert!(refused.to_string().starts_with("argument `meta` is too"));
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
