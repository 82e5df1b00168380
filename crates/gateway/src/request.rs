//! From checked arguments to the upstream request: each argument goes to the one place its tool has for
//! it, and nothing else is sent.

use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::argument::ArgumentFaults;
use crate::openapi::QueryStyle;
use crate::openapi::schema::Renames;

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
    /// Whether a body is sent although no argument is given for it.
    pub needs_body: bool,
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
}

impl UpstreamRequest {
    /// The path with the query, percent-encoded.
    pub fn path_and_query(&self) -> String {
        let mut target = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.extend(utf8_percent_encode(name, IN_SEGMENT));
            target.push('=');
            target.extend(utf8_percent_encode(value, IN_SEGMENT));
        }
        target
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
                    write_query(argument.style, &mut query, &argument.upstream, &value);
                }
                Place::Body => {
                    let value = argument.renames.restore(value.clone());
                    members.insert(argument.upstream.clone(), value);
                }
                Place::WholeBody => whole = Some(argument.renames.restore(value.clone())),
            }
        }
        query.extend(self.fixed_query.iter().cloned());
        members.extend(self.fixed_body.clone());
        let path = self.path.fill(|parameter| {
            let argument = self
                .arguments
                .iter()
                .find(|argument| argument.place == Place::Path && argument.upstream == parameter)?;
            Some((argument.name.as_str(), arguments.get(&argument.name)?))
        })?;
        let body = whole
            .or_else(|| (self.needs_body || !members.is_empty()).then_some(Value::Object(members)));
        Ok(UpstreamRequest {
            verb: self.verb.clone(),
            path,
            query,
            headers: HeaderMap::new(),
            body,
        })
    }
}

fn write_query(style: QueryStyle, query: &mut Vec<(String, String)>, name: &str, value: &Value) {
    let mut add = |name: &str, value: &Value| query.push((name.to_owned(), plain(value)));
    match (value, style) {
        // An absent parameter is the only way to say null in a query.
        (Value::Null, _) => {}
        (Value::Array(items), QueryStyle::Joined(between)) => {
            add(name, &joined(items.iter().map(plain), between));
        }
        (Value::Array(items), QueryStyle::Exploded | QueryStyle::Deep) => {
            for item in items.iter().filter(|item| !item.is_null()) {
                add(name, item);
            }
        }
        (Value::Object(members), QueryStyle::Joined(between)) => {
            let pairs = members
                .iter()
                .flat_map(|(name, value)| [name.clone(), plain(value)]);
            add(name, &joined(pairs, between));
        }
        (Value::Object(members), QueryStyle::Exploded) => {
            for (member, value) in members {
                add(member, value);
            }
        }
        (Value::Object(members), QueryStyle::Deep) => {
            for (member, value) in members {
                add(&format!("{name}[{member}]"), value);
            }
        }
        (other, _) => add(name, other),
    }
}

fn joined(texts: impl Iterator<Item = String>, between: char) -> Value {
    let texts: Vec<String> = texts.collect();
    texts.join(between.encode_utf8(&mut [0; 4])).into()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A path with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Vec<Vec<Piece>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Parameter(String),
}

impl PathTemplate {
    /// Reads a template as OpenAPI writes them: `/pots/{id}/lid`.
    pub fn parse(path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/');
        segments
            .map(parse_segment)
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Fixed(_) => None,
        })
    }

    /// The path with `value_of` each parameter: the argument's name and its value. A value fills its
    /// segment and never changes the path: one that is empty, or that makes a dot segment, is refused,
    /// since no encoding keeps all upstreams from resolving it.
    fn fill<'a>(
        &self,
        value_of: impl Fn(&str) -> Option<(&'a str, &'a Value)>,
    ) -> Result<String, ArgumentFaults> {
        let mut path = String::new();
        for segment in &self.0 {
            let mut raw = String::new();
            let mut argument = "";
            path.push('/');
            for piece in segment {
                match piece {
                    Piece::Fixed(text) => {
                        raw.push_str(text);
                        path.push_str(text);
                    }
                    Piece::Parameter(parameter) => {
                        let (name, value) =
                            value_of(parameter).ok_or_else(|| refuse(parameter, "is missing"))?;
                        let text = plain(value);
                        if text.is_empty() {
                            return Err(refuse(name, "must not be empty"));
                        }
                        if value.is_null() || value.is_array() || value.is_object() {
                            return Err(refuse(name, "must be a text or a number"));
                        }
                        argument = name;
                        raw.push_str(&text);
                        path.extend(utf8_percent_encode(&text, IN_SEGMENT));
                    }
                }
            }
            if raw == "." || raw == ".." {
                return Err(refuse(argument, "must not be `.` or `..`"));
            }
        }
        Ok(path)
    }
}

fn refuse(argument: &str, why: &str) -> ArgumentFaults {
    ArgumentFaults(vec![format!("argument `{argument}` {why}")])
}

fn parse_segment(segment: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return None;
        }
        if !before.is_empty() {
            pieces.push(Piece::Fixed(before.to_owned()));
        }
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Fixed(rest.to_owned()));
    }
    Some(pieces)
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
            needs_body: false,
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
    fn lists_and_objects_are_written_as_the_document_says() {
        let written = |style: QueryStyle, value: Value| {
            let mut query = Vec::new();
            write_query(style, &mut query, "in", &value);
            let pairs = query.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("&")
        };
        let (list, object) = (|| json!(["a", 1]), || json!({ "x": "a", "y": true }));
        for (style, of_list, of_object) in [
            (QueryStyle::Exploded, "in=a&in=1", "x=a&y=true"),
            (QueryStyle::Joined(','), "in=a,1", "in=x,a,y,true"),
            (QueryStyle::Joined('|'), "in=a|1", "in=x|a|y|true"),
            (QueryStyle::Deep, "in=a&in=1", "in[x]=a&in[y]=true"),
            (
                QueryStyle::Json,
                r#"in=["a",1]"#,
                r#"in={"x":"a","y":true}"#,
            ),
        ] {
            assert_eq!(written(style, list()), of_list);
            assert_eq!(written(style, object()), of_object);
            assert_eq!(written(style, json!("a b")), "in=a b");
            assert_eq!(written(style, Value::Null), "");
        }
    }

    #[test]
    fn an_empty_or_dotted_id_is_refused() {
        for id in [
            json!(""),
            json!("."),
            json!(".."),
            json!(null),
            json!([]),
            json!({}),
        ] {
            assert!(request(&json!({ "id": id })).is_err(), "{id}");
        }
        assert!(request(&json!({})).is_err());
    }

    #[test]
    fn templates_are_read_or_refused() {
        assert_eq!(PathTemplate::parse("/"), Some(PathTemplate(vec![vec![]])));
        assert_eq!(
            PathTemplate::parse("/a/{b}.{c}")
                .unwrap()
                .parameters()
                .collect::<Vec<_>>(),
            ["b", "c"]
        );
        for bad in ["a", "/{", "/}", "/{}", "/{a{b}}", "/a}b{c}"] {
            assert_eq!(PathTemplate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_dots_made_of_two_parameters_are_refused() {
        let template = PathTemplate::parse("/{a}{b}").unwrap();
        let dot = json!(".");
        assert!(
            template
                .fill(|name| Some((if name == "a" { "a" } else { "b" }, &dot)))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn a_value_never_changes_the_path(id in ".{1,40}") {
            prop_assume!(id != "." && id != "..");
            let sent = request(&json!({ "id": id })).unwrap();
            let segments: Vec<&str> = sent.path.split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!((segments[1], segments[3]), ("pots", "lid"));
            prop_assert_eq!(percent_decode_str(segments[2]).decode_utf8().unwrap(), id.as_str());
            prop_assert!(sent.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%-._~".contains(&b)));
        }

        #[test]
        fn any_template_is_read_or_refused_without_panic(text in ".{0,40}") {
            PathTemplate::parse(&text);
        }
    }
}
