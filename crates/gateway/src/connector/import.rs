//! A connector file for a document: what the document says of its API, and comments for the rest.

use std::fmt::Write as _;

use claviger_domain::plain_text;
use serde_json::{Map, Value, json};

use super::Connector;
use crate::openapi::Document;

/// The longest name of a connector.
const LONGEST: usize = 40;
/// What titles have for people that says nothing of the product.
const NOISE: [&str; 9] = [
    "api",
    "apis",
    "rest",
    "openapi",
    "swagger",
    "spec",
    "specification",
    "the",
    "public",
];

/// The text of a connector file whose tools follow from the document, which lies at `place` as seen from
/// the file. What the document says of hosts and credentials is left out where no file could have it.
pub fn connector_file(document: &Document, place: &str) -> String {
    let server = document.server();
    let server = server.as_deref();
    let attempts = [
        (server, document.security_schemes()),
        (server, None),
        (None, None),
    ];
    let mut texts = attempts
        .into_iter()
        .map(|(server, schemes)| text(document, place, server, schemes));
    let sound = texts.find(|text| Connector::parse(text).is_ok());
    sound.unwrap_or_else(|| text(document, place, None, None))
}

fn text(
    document: &Document,
    place: &str,
    server: Option<&str>,
    schemes: Option<&Map<String, Value>>,
) -> String {
    let title = document.title().map(plain_text::clean).unwrap_or_default();
    let words = name_words(&title);
    let slug = name(&words, "-");
    let label = match title.split_whitespace().collect::<Vec<_>>().join(" ") {
        empty if empty.is_empty() => "API".to_owned(),
        label => label.chars().take(LONGEST * 2).collect(),
    };
    let mut text = String::from(
        "# A connector: an OpenAPI document and what to add to it.\n\
         # `claviger connector tools THIS-FILE` prints the tools that come of it.\n\n",
    );
    let mut line = |member: &str, value: &str| {
        writeln!(text, "{member}: {}", quoted(value)).expect("writing to a string cannot fail");
    };
    line("slug", &slug);
    line("label", &label);
    line("tool_prefix", &name(&words, "_"));
    line("openapi", place);
    if let Some(server) = server {
        line("base_url", server);
    } else {
        text.push_str("# The document does not say where the API is: put its URL here.\n");
        let path = document.server_path().unwrap_or_default();
        let placeholder = quoted(&format!("https://api.example.com{path}"));
        writeln!(text, "base_url: {placeholder}").expect("writing to a string cannot fail");
    }
    let formats = formats(schemes);
    if formats.is_empty() {
        text.push_str(ABOUT_CREDENTIALS);
    } else {
        text.push_str(
            "\n# What a tenant is asked for when connecting, and where it goes.\ncredentials:\n",
        );
        for (format, entry) in formats {
            writeln!(text, "  {format}: {entry}").expect("writing to a string cannot fail");
        }
    }
    text.push_str(ABOUT_RESOURCES);
    text
}

/// The forms of credentials that the document's security schemes come to, the first of each kind.
fn formats(schemes: Option<&Map<String, Value>>) -> Vec<(&'static str, Value)> {
    let mut formats: Vec<(&'static str, Value)> = Vec::new();
    let found = schemes.into_iter().flat_map(Map::values).flat_map(format);
    for (format, entry) in found {
        if formats.iter().all(|(known, _)| *known != format) {
            formats.push((format, entry));
        }
    }
    formats
}

fn format(scheme: &Value) -> Vec<(&'static str, Value)> {
    let text = |holder: &Value, member: &str| {
        let text = holder.get(member).and_then(Value::as_str);
        text.map(str::to_owned).unwrap_or_default()
    };
    let kind = text(scheme, "type");
    let is = |member: &str, value: &str| text(scheme, member).eq_ignore_ascii_case(value);
    match kind.as_str() {
        "http" if is("scheme", "basic") => vec![("basic", json!({}))],
        "http" if is("scheme", "bearer") => vec![("bearer", json!({}))],
        "apiKey" if is("in", "header") || is("in", "query") => {
            let goes = json!({ "name": text(scheme, "name"), "value": "{{credentials.api_key}}" });
            let place = text(scheme, "in").to_ascii_lowercase();
            vec![("api_key", json!({ "authorization": { place: goes } }))]
        }
        "oauth2" => {
            let flow = |name: &str| scheme.get("flows")?.get(name);
            let client = flow("clientCredentials").map(|flow| {
                let entry = json!({ "token_url": text(flow, "tokenUrl") });
                ("oauth2_client_credentials", entry)
            });
            let code = flow("authorizationCode").map(|flow| {
                let consent = text(flow, "authorizationUrl");
                let entry =
                    json!({ "authorization_url": consent, "token_url": text(flow, "tokenUrl") });
                ("oauth2", entry)
            });
            client.into_iter().chain(code).collect()
        }
        _ => Vec::new(),
    }
}

const ABOUT_CREDENTIALS: &str = "
# The document names no credentials. An API that asks for a key in a header has them so:
#
# credentials:
#   api_key: { authorization: { header: { name: x-api-key, value: \"{{credentials.api_key}}\" } } }
";

const ABOUT_RESOURCES: &str = "
# Without `resources` they follow from paths and verbs: GET /pots is `list` of `pots`, PATCH /pots/{id} its
# `update`. With them only the methods named here are tools, with the names and words given here:
#
# resources:
#   pots:
#     singular: pot
#     methods:
#       list: { http: \"GET /pots\" }
#       rotate: { operation: rotatePot, description: \"Gives a pot a new key.\", secret_fields: [key] }
";

/// The words of a title that tell one product from another.
fn name_words(title: &str) -> Vec<String> {
    let words: Vec<String> = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let is_version = |word: &str| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let telling: Vec<String> = words
        .iter()
        .filter(|word| !NOISE.contains(&word.as_str()) && !is_version(word))
        .cloned()
        .collect();
    match (telling.is_empty(), words.is_empty()) {
        (false, _) => telling,
        (true, false) => words,
        (true, true) => vec!["api".to_owned()],
    }
}

/// As many of the words as fit.
fn name(words: &[String], between: &str) -> String {
    let mut name = String::new();
    for word in words {
        if !name.is_empty() && name.len() + between.len() + word.len() > LONGEST {
            break;
        }
        if !name.is_empty() {
            name.push_str(between);
        }
        name.push_str(word);
    }
    name.truncate(LONGEST);
    name
}

/// A text as YAML takes it, in quotes where it could mean something else.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' '))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(title: &str, server: &str) -> String {
        let document = json!({
            "openapi": "3.0.0", "info": { "title": title }, "servers": [{ "url": server }],
            "paths": {},
        });
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        connector_file(&document, "tea documents/tea: #1.json")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = "word ".repeat(30);
        for title in [
            "GitHub v3 REST API",
            "Tea: \"the\" #1 API\u{1b}[31m",
            "",
            "API",
            "v2",
            "ティー",
            "null",
            &long,
        ] {
            let text = imported(title, "https://tea.example/v1");
            let connector = Connector::parse(&text).unwrap();
            assert_eq!(
                connector.file().openapi,
                "tea documents/tea: #1.json",
                "{text}"
            );
            assert_eq!(connector.file().base_url.value, "https://tea.example/v1");
            assert!(!text.contains('\u{1b}'));
        }
    }

    #[test]
    fn names_are_those_of_the_product() {
        let names = |title: &str| {
            let connector = Connector::parse(&imported(title, "https://x.example")).unwrap();
            let file = connector.file();
            format!("{} {}", file.slug.value, file.tool_prefix.value)
        };
        assert_eq!(names("GitHub v3 REST API"), "github github");
        assert_eq!(names("The Tea Pot API"), "tea-pot tea_pot");
        assert_eq!(names("API v2"), "api-v2 api_v2");
        assert_eq!(names(""), "api api");
    }

    #[test]
    fn security_schemes_become_credentials() {
        let with = |schemes: &Value| {
            let document = json!({
                "openapi": "3.0.0", "info": { "title": "Tea" }, "paths": {},
                "servers": [{ "url": "https://tea.example" }],
                "components": { "securitySchemes": schemes },
            });
            let document = Document::parse(document.to_string().as_bytes()).unwrap();
            connector_file(&document, "tea.json")
        };
        let text = with(&json!({
            "key": { "type": "apiKey", "in": "header", "name": "X-Key" },
            "other": { "type": "apiKey", "in": "query", "name": "key" },
            "token": { "type": "http", "scheme": "Bearer" },
            "login": { "type": "http", "scheme": "basic" },
            "machine": { "type": "oauth2", "flows": { "clientCredentials": {
                "tokenUrl": "https://tea.example/token", "scopes": {}
            } } },
            "cookie": { "type": "apiKey", "in": "cookie", "name": "sid" }
        }));
        let connector = Connector::parse(&text).unwrap();
        let formats: Vec<_> = connector.file().credentials.keys().copied().collect();
        let names: Vec<_> = formats.iter().map(|format| format.as_str()).collect();
        assert_eq!(
            names,
            ["api_key", "bearer", "basic", "oauth2_client_credentials"],
            "{text}"
        );
        // What no file could have is left out, and the rest is written all the same.
        let odd = with(&json!({ "key": { "type": "apiKey", "in": "header", "name": "Host" } }));
        assert!(
            Connector::parse(&odd).is_ok() && odd.contains("names no credentials"),
            "{odd}"
        );
    }

    #[test]
    fn a_server_s_variables_are_at_their_defaults_and_a_path_is_kept() {
        let with = |servers: &Value| {
            let document = json!({ "openapi": "3.0.0", "servers": servers, "paths": {} });
            let document = Document::parse(document.to_string().as_bytes()).unwrap();
            let text = connector_file(&document, "tea.json");
            let connector = Connector::parse(&text).unwrap();
            (
                connector.file().base_url.value.clone(),
                text.contains("put its URL here"),
            )
        };
        let variables = json!({ "region": { "default": "eu" }, "version": { "default": "v1" } });
        let url = "https://{region}.tea.example/{version}/";
        let known = with(&json!([{ "url": "/x" }, { "url": url, "variables": variables }]));
        assert_eq!(known, ("https://eu.tea.example/v1".to_owned(), false));
        let path = with(&json!([{ "url": "/api/v3" }]));
        assert_eq!(path, ("https://api.example.com/api/v3".to_owned(), true));
        let (many, long) = ("{a}".repeat(600), "x".repeat(2_000));
        let much =
            json!([{ "url": format!("/{many}"), "variables": { "a": { "default": long } } }]);
        assert_eq!(with(&much).0, "https://api.example.com");
        for odd in ["//evil.example/x", "/a?b", "/{a}", "/", "/a b", "/a/.."] {
            let odd = with(&json!([{ "url": odd }]));
            assert_eq!(odd, ("https://api.example.com".to_owned(), true));
        }
    }

    #[test]
    fn a_server_that_is_no_url_is_left_to_whoever_imports() {
        for server in ["/v1", "https://{region}.tea.example", "file:///etc", ""] {
            let text = imported("Tea", server);
            assert!(text.contains("put its URL here"), "{server}: {text}");
            assert!(Connector::parse(&text).is_ok());
        }
    }
}
