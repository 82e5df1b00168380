//! Swagger 2.0 in the shape of version 3: bodies and form fields leave the parameters, types move into
//! schemas, answers and hosts get their new places. What references lead to stays where it stands, so
//! that they need no change.

use serde_json::{Map, Value, json};

use super::pointed;

const VERBS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
const FORM: &str = "application/x-www-form-urlencoded";
/// The members of a parameter that are no part of its schema.
const OF_PARAMETER: [&str; 7] = [
    "name",
    "in",
    "description",
    "required",
    "allowEmptyValue",
    "collectionFormat",
    "schema",
];

/// Gives a document of version 2.0 the shape of 3.0.
pub(super) fn convert(root: &mut Value) {
    let before = root.clone();
    let old = Old {
        root: &before,
        consumes: kinds(&before, "consumes"),
    };
    let Some(members) = root.as_object_mut() else {
        return;
    };
    members.remove("swagger");
    members.insert("openapi".to_owned(), "3.0.3".into());
    members.insert("servers".to_owned(), servers(&before));
    if let Some(schemes) = before.get("securityDefinitions").and_then(Value::as_object) {
        let schemes: Map<String, Value> = schemes
            .iter()
            .map(|(name, scheme)| (name.clone(), security_scheme(scheme)))
            .collect();
        let components = json!({ "securitySchemes": schemes });
        members.insert("components".to_owned(), components);
    }
    let shared = members.get_mut("parameters").and_then(Value::as_object_mut);
    for parameter in shared.into_iter().flat_map(Map::values_mut) {
        convert_parameter(parameter);
    }
    let shared = members.get_mut("responses").and_then(Value::as_object_mut);
    for response in shared.into_iter().flat_map(Map::values_mut) {
        convert_response(response);
    }
    let paths = members.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        old.convert_item(item);
    }
}

/// The document as it was, to which references lead while it is changed.
struct Old<'a> {
    root: &'a Value,
    consumes: Vec<String>,
}

impl Old<'_> {
    fn convert_item(&self, item: &mut Value) {
        let Some(members) = item.as_object_mut() else {
            return;
        };
        let shared = take_list(members, "parameters");
        let (mut shared, bodies): (Vec<Value>, Vec<Value>) = shared
            .into_iter()
            .partition(|parameter| !self.is_of_body(parameter));
        for verb in VERBS {
            let Some(operation) = members.get_mut(verb).and_then(Value::as_object_mut) else {
                continue;
            };
            self.convert_operation(operation, &bodies);
        }
        shared.iter_mut().for_each(convert_parameter);
        if !shared.is_empty() {
            members.insert("parameters".to_owned(), Value::Array(shared));
        }
    }

    fn convert_operation(&self, operation: &mut Map<String, Value>, shared_bodies: &[Value]) {
        let own = take_list(operation, "parameters");
        let (mut parameters, mut bodies): (Vec<Value>, Vec<Value>) = own
            .into_iter()
            .partition(|parameter| !self.is_of_body(parameter));
        if bodies.is_empty() {
            bodies.extend_from_slice(shared_bodies);
        }
        parameters.iter_mut().for_each(convert_parameter);
        operation.insert("parameters".to_owned(), Value::Array(parameters));
        let consumes = match operation.get("consumes") {
            Some(_) => kinds(&Value::Object(operation.clone()), "consumes"),
            None => self.consumes.clone(),
        };
        if let Some(body) = self.request_body(&bodies, &consumes) {
            operation.insert("requestBody".to_owned(), body);
        }
        let responses = operation.get_mut("responses");
        let responses = responses.and_then(Value::as_object_mut);
        for response in responses.into_iter().flat_map(Map::values_mut) {
            convert_response(response);
        }
    }

    /// The parameter itself, where a reference stands for it.
    fn followed<'a>(&'a self, parameter: &'a Value) -> &'a Value {
        let reference = parameter.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| pointed(self.root, reference));
        target.unwrap_or(parameter)
    }

    fn place<'a>(&'a self, parameter: &'a Value) -> &'a str {
        let place = self.followed(parameter).get("in");
        place.and_then(Value::as_str).unwrap_or_default()
    }

    fn is_of_body(&self, parameter: &Value) -> bool {
        matches!(self.place(parameter), "body" | "formData")
    }

    fn request_body(&self, parameters: &[Value], consumes: &[String]) -> Option<Value> {
        let whole = parameters
            .iter()
            .find(|parameter| self.place(parameter) == "body");
        if let Some(parameter) = whole {
            let real = self.followed(parameter);
            // By reference, lest a schema that many operations send is there many times.
            let schema = match parameter.get("$ref").and_then(Value::as_str) {
                Some(reference) => json!({ "$ref": format!("{reference}/schema") }),
                None => real.get("schema").cloned().unwrap_or_default(),
            };
            let is_json = |kind: &&String| kind.contains("json") || kind.contains('*');
            let kind = match consumes {
                [] => "application/json",
                some => some
                    .iter()
                    .find(is_json)
                    .map_or(some[0].as_str(), |_| "application/json"),
            };
            return Some(json!({
                "description": real.get("description"),
                "required": real.get("required").and_then(Value::as_bool).unwrap_or(false),
                "content": { kind: { "schema": schema } },
            }));
        }
        self.form(parameters, consumes)
    }

    fn form(&self, parameters: &[Value], consumes: &[String]) -> Option<Value> {
        let mut properties = Map::new();
        let mut encoding = Map::new();
        let mut required = Vec::new();
        let mut has_file = false;
        for parameter in parameters {
            let real = self.followed(parameter);
            let name = real.get("name").and_then(Value::as_str)?;
            has_file |= real.get("type") == Some(&"file".into());
            let mut schema = schema_of(real);
            if schema.get("type") == Some(&"array".into()) {
                let (style, explode) = list_style(real.get("collectionFormat"));
                let said = json!({ "style": style, "explode": explode });
                encoding.insert(name.to_owned(), said);
            }
            if let Some(words) = real.get("description") {
                schema.insert("description".to_owned(), words.clone());
            }
            properties.insert(name.to_owned(), Value::Object(schema));
            if real.get("required") == Some(&Value::Bool(true)) {
                required.push(name);
            }
        }
        if properties.is_empty() {
            return None;
        }
        let takes = |kind: &str| consumes.iter().any(|known| known.starts_with(kind));
        let parts_alone = takes("multipart/") && !takes(FORM);
        let kind = if has_file || parts_alone {
            "multipart/form-data"
        } else {
            FORM
        };
        let needed = !required.is_empty();
        let mut schema = json!({ "type": "object", "properties": properties });
        if needed {
            schema["required"] = json!(required);
        }
        Some(
            json!({ "required": needed, "content": { kind: { "schema": schema, "encoding": encoding } } }),
        )
    }
}

fn take_list(members: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match members.remove(name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn kinds(holder: &Value, member: &str) -> Vec<String> {
    let list = holder.get(member).and_then(Value::as_array);
    let kinds = list.into_iter().flatten().filter_map(Value::as_str);
    kinds.map(str::to_ascii_lowercase).collect()
}

/// What version 2.0 says of a value beside its parameter, as a schema.
fn schema_of(parameter: &Value) -> Map<String, Value> {
    let members = parameter.as_object().into_iter().flatten();
    let mut schema: Map<String, Value> = members
        .filter(|(name, _)| !OF_PARAMETER.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if schema.get("type") == Some(&"file".into()) {
        schema.insert("type".to_owned(), "string".into());
        schema.insert("format".to_owned(), "binary".into());
    }
    schema
}

fn convert_parameter(parameter: &mut Value) {
    let is_typed = parameter.get("type").is_some() && parameter.get("schema").is_none();
    if !is_typed {
        return;
    }
    let schema = schema_of(parameter);
    let Some(members) = parameter.as_object_mut() else {
        return;
    };
    let is_list = schema.get("type") == Some(&"array".into());
    let format = members.remove("collectionFormat");
    members.retain(|name, _| OF_PARAMETER.contains(&name.as_str()));
    members.insert("schema".to_owned(), Value::Object(schema));
    let in_query = members.get("in") == Some(&"query".into());
    if is_list && in_query {
        let style = list_style(format.as_ref());
        members.insert("style".to_owned(), style.0.into());
        members.insert("explode".to_owned(), style.1.into());
    }
}

/// How a list is written, as style and explode.
fn list_style(format: Option<&Value>) -> (&'static str, bool) {
    match format.and_then(Value::as_str) {
        Some("multi") => ("form", true),
        Some("ssv") => ("spaceDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        _ => ("form", false),
    }
}

fn convert_response(response: &mut Value) {
    let Some(members) = response.as_object_mut() else {
        return;
    };
    if let Some(schema) = members.remove("schema") {
        let content = json!({ "application/json": { "schema": schema } });
        members.insert("content".to_owned(), content);
    }
}

fn servers(root: &Value) -> Value {
    let text = |member: &str| root.get(member).and_then(Value::as_str);
    let path = text("basePath").unwrap_or_default().trim_end_matches('/');
    let Some(host) = text("host") else {
        return json!([{ "url": path }]);
    };
    let schemes = kinds(root, "schemes");
    let scheme = match schemes.first() {
        Some(first) if !schemes.iter().any(|scheme| scheme == "https") => first,
        _ => "https",
    };
    json!([{ "url": format!("{scheme}://{host}{path}") }])
}

fn security_scheme(scheme: &Value) -> Value {
    let flow = scheme.get("flow").and_then(Value::as_str);
    match (scheme.get("type").and_then(Value::as_str), flow) {
        (Some("basic"), _) => json!({ "type": "http", "scheme": "basic" }),
        (Some("oauth2"), Some(flow)) => {
            let name = match flow {
                "application" => "clientCredentials",
                "accessCode" => "authorizationCode",
                other => other,
            };
            let members = ["authorizationUrl", "tokenUrl", "scopes"];
            let kept: Map<String, Value> = members
                .iter()
                .filter_map(|member| Some(((*member).to_owned(), scheme.get(*member)?.clone())))
                .collect();
            json!({ "type": "oauth2", "flows": { name: kept } })
        }
        _ => scheme.clone(),
    }
}

#[cfg(test)]
mod tests;
