//! The proxy's face of a tool: path, query and body of a request become the arguments of the one call.
//!
//! A name is that of an argument or the upstream's own. What fits no argument stays as it is, so that
//! the check of arguments tells of it, with the nearest name.

use serde_json::{Map, Value};

use crate::argument::{ArgumentFaults, MOST};
use crate::request::{Argument, Place};
use crate::tool::Tool;

/// The argument that names the one thing which a method is about.
const ID: &str = "id";

/// What a request to the proxy says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The id in the path.
    pub(crate) id: Option<String>,
    /// The parameters of the query that are not the proxy's own.
    pub(crate) query: Vec<(String, String)>,
    /// The body, where there is one.
    pub(crate) body: Option<Value>,
}

/// The arguments that a request gives a tool.
pub(crate) fn arguments(tool: &Tool, said: Said) -> Result<Map<String, Value>, ArgumentFaults> {
    let mut reading = Reading {
        tool,
        given: Map::new(),
        faults: Vec::new(),
    };
    if said.query.len() > MOST {
        return Err(ArgumentFaults::too_many());
    }
    let has_id = said.id.is_some();
    reading.add_query(&said.query, has_id);
    if let Some(id) = said.id {
        let value = reading.typed(ID, &[&id]);
        reading.given.insert(ID.to_owned(), value);
    }
    if let Some(body) = said.body {
        reading.add_body(body);
    }
    if reading.faults.is_empty() {
        Ok(reading.given)
    } else {
        Err(ArgumentFaults(reading.faults))
    }
}

struct Reading<'a> {
    tool: &'a Tool,
    given: Map<String, Value>,
    faults: Vec<String>,
}

impl<'a> Reading<'a> {
    fn add_query(&mut self, query: &[(String, String)], has_id: bool) {
        let mut texts: Vec<(&str, Vec<&str>)> = Vec::new();
        for (written, text) in query {
            let name = self.name_in_query(written);
            // Clients send an id that is in the path a second time; the path's counts.
            if has_id && name == ID {
                continue;
            }
            match texts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, texts)) => texts.push(text.as_str()),
                None => texts.push((name, vec![text.as_str()])),
            }
        }
        for (name, texts) in texts {
            if self.find(is_of_body, name).is_some() && self.find(is_of_query, name).is_none() {
                self.faults
                    .push(format!("argument `{name}` goes into the body"));
            } else {
                let value = self.typed(name, &texts);
                self.given.insert(name.to_owned(), value);
            }
        }
    }

    /// The argument that a parameter names: lists are written as `a`, `a[]` or `a[0]`.
    fn name_in_query<'b>(&self, written: &'b str) -> &'b str
    where
        'a: 'b,
    {
        let base = written.split_once('[').and_then(|(base, rest)| {
            let index = rest.strip_suffix(']')?;
            index
                .bytes()
                .all(|digit| digit.is_ascii_digit())
                .then_some(base)
        });
        [Some(written), base]
            .into_iter()
            .flatten()
            .find_map(|name| self.find(is_of_query, name))
            .map_or(written, |argument| argument.name.as_str())
    }

    fn add_body(&mut self, body: Value) {
        let mut arguments = self.tool.plan.arguments.iter();
        let whole = arguments.find(|argument| argument.place == Place::WholeBody);
        let whole = whole.map(|argument| argument.name.clone());
        match (body, whole) {
            (Value::Null, _) => {}
            (Value::Object(members), Some(whole))
                if members.len() == 1 && members.contains_key(&whole) =>
            {
                self.given.extend(members);
            }
            (body, Some(whole)) => {
                self.given.insert(whole, body);
            }
            (Value::Object(members), None) => self.add_members(members),
            _ => self.faults.push("the body must be an object".to_owned()),
        }
    }

    fn add_members(&mut self, members: Map<String, Value>) {
        for (written, value) in members {
            // A secret does not belong into a URL: what goes to path or query may be in the body, too.
            let argument = self
                .find(is_of_body, &written)
                .or_else(|| self.find(is_of_query, &written));
            let name = argument.map_or(written, |argument| argument.name.clone());
            if self.given.contains_key(&name) {
                self.faults
                    .push(format!("argument `{name}` is given twice"));
            } else {
                self.given.insert(name, value);
            }
        }
    }

    /// The argument of that name, else the one that the upstream calls so.
    fn find(&self, fits: fn(&Argument) -> bool, name: &str) -> Option<&'a Argument> {
        let arguments = || self.tool.plan.arguments.iter().filter(move |it| fits(it));
        arguments()
            .find(|argument| argument.name == name)
            .or_else(|| arguments().find(|argument| argument.upstream == name))
    }

    /// Texts as what the tool's schema wants there; those that are none of that stay texts, and are told
    /// of by the check.
    fn typed(&self, name: &str, texts: &[&str]) -> Value {
        let schema = &self.tool.schemas.input["properties"][name];
        if is_of_kind(schema, "array") {
            let items = texts.iter().map(|text| typed(&schema["items"], text));
            return items.collect();
        }
        texts.last().map_or(Value::Null, |text| typed(schema, text))
    }
}

fn typed(schema: &Value, text: &str) -> Value {
    let kinds = ["integer", "number", "boolean", "object"];
    let is_text = is_of_kind(schema, "string") || !kinds.iter().any(|it| is_of_kind(schema, it));
    let read = if is_text {
        None
    } else {
        serde_json::from_str(text).ok()
    };
    read.unwrap_or_else(|| Value::from(text))
}

fn is_of_kind(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
        None => false,
    }
}

fn is_of_body(argument: &Argument) -> bool {
    matches!(argument.place, Place::Body | Place::WholeBody)
}

fn is_of_query(argument: &Argument) -> bool {
    !is_of_body(argument)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::Document;
    use crate::{Catalogue, Connector};

    fn tool(operation: &str, document: &Value) -> std::sync::Arc<Tool> {
        let method = if operation.starts_with("POST") {
            "brew"
        } else {
            "get"
        };
        let text = format!(
            "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\nbase_url: local\n\
             resources: {{ pots: {{ methods: {{ {method}: {{ http: \"{operation}\" }} }} }} }}\n"
        );
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        let catalogue = Catalogue::compile(&Connector::parse(&text).unwrap(), &document).unwrap();
        catalogue.tools()[0].clone()
    }

    fn of_query() -> std::sync::Arc<Tool> {
        let parameter =
            |name: &str, schema: Value| json!({"name": name, "in": "query", "schema": schema});
        let document = json!({"openapi": "3.1.0", "paths": {"/pots/{id}": {"get": {
            "description": "Reads.",
            "parameters": [
                parameter("full", json!({"type": "boolean"})),
                parameter("count", json!({"type": "integer"})),
                parameter("of", json!({"type": "array", "items": {"type": "string"}})),
                parameter("at[gt]", json!({"type": "string"})),
                parameter("note", json!({"type": ["string", "null"]})),
            ],
        }}}});
        tool("GET /pots/{id}", &document)
    }

    fn of_body() -> std::sync::Arc<Tool> {
        let text = json!({"type": "string"});
        let document = json!({"openapi": "3.1.0", "paths": {"/pots/{pot}": {"post": {
            "description": "Brews.",
            "parameters": [{"name": "name", "in": "query", "schema": text}],
            "requestBody": {"content": {"application/json": {"schema": {
                "type": "object", "properties": {"name": text, "leaf": text}}}}},
        }}}});
        tool("POST /pots/{pot}", &document)
    }

    fn read(tool: &Tool, id: Option<&str>, query: &[(&str, &str)], body: Value) -> Value {
        let pair = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let said = Said {
            id: id.map(str::to_owned),
            query: query.iter().map(pair).collect(),
            body: (!body.is_null()).then_some(body),
        };
        match arguments(tool, said) {
            Ok(arguments) => Value::Object(arguments),
            Err(faults) => Value::from(faults.to_string()),
        }
    }

    #[test]
    fn a_query_is_read_as_the_schema_wants_it() {
        let query = [
            ("full", "true"),
            ("count", "3"),
            ("note", "17"),
            ("of[0]", "a,b"),
            ("of[1]", "c"),
            ("at[gt]", "2030-01-01"),
        ];
        assert_eq!(
            read(&of_query(), Some("1"), &query, Value::Null),
            json!({
                "full": true, "count": 3, "note": "17", "of": ["a,b", "c"], "at_gt_": "2030-01-01",
                "id": "1",
            })
        );
        let plain = [
            ("of", "a"),
            ("of[]", "b"),
            ("count", "many"),
            ("odd[0]", "x"),
        ];
        assert_eq!(
            read(&of_query(), None, &plain, Value::Null),
            json!({"of": ["a", "b"], "count": "many", "odd[0]": "x"})
        );
    }

    #[test]
    fn an_id_in_the_query_is_dropped_when_the_path_has_one() {
        let query = [("id", "2")];
        let read = |id| read(&of_query(), id, &query, Value::Null);
        assert_eq!(read(Some("1")), json!({"id": "1"}));
        assert_eq!(read(None), json!({"id": "2"}));
    }

    #[test]
    fn a_name_in_the_body_is_the_body_s_own_first() {
        let body = json!({"name": "in the body", "leaf": "green", "pot": "p1"});
        assert_eq!(
            read(&of_body(), None, &[("name", "in the query")], body),
            json!({
                "name": "in the query", "name_body": "in the body", "leaf": "green", "pot": "p1",
            })
        );
        assert_eq!(
            read(&of_body(), None, &[("leaf", "x")], Value::Null),
            json!("argument `leaf` goes into the body")
        );
        assert_eq!(
            read(&of_body(), None, &[("pot", "1")], json!({"pot": "2"})),
            json!("argument `pot` is given twice")
        );
        assert_eq!(
            read(&of_body(), None, &[], json!([1])),
            json!("the body must be an object")
        );
    }

    #[test]
    fn a_body_that_is_a_list_is_one_argument() {
        let schema = json!({"type": "array", "items": {"type": "string"}});
        let document = json!({"openapi": "3.1.0", "paths": {"/pots": {"post": {
            "description": "Brews.",
            "requestBody": {"content": {"application/json": {"schema": schema}}},
        }}}});
        let tool = tool("POST /pots", &document);
        for body in [json!(["a"]), json!({"body": ["a"]})] {
            assert_eq!(read(&tool, None, &[], body), json!({"body": ["a"]}));
        }
    }
}
