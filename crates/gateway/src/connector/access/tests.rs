use proptest::prelude::*;
use serde_json::json;

use super::url::NoUrl;
use super::*;
use crate::connector::template::Reference;
use crate::connector::{Connector, Faults};

const RESOURCES: &str = "resources: { pots: { methods: { list: { http: GET /pots } } } }\n";

fn file(members: &str) -> String {
    format!("slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\n{members}{RESOURCES}")
}

fn access(members: &str) -> Access {
    Connector::parse(&file(members)).unwrap().access().clone()
}

/// The faults, each with its line.
fn faults(members: &str) -> Vec<(Option<u64>, String)> {
    let Faults(faults) = Connector::parse(&file(members)).unwrap_err();
    faults
        .into_iter()
        .map(|fault| (fault.line, fault.message))
        .collect()
}

fn only_fault(members: &str) -> (Option<u64>, String) {
    let mut all = faults(members);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

const WHOLE: &str = r#"base_url: "https://{{context.site}}.example.com/v{{context.version ?: 2}}"
context:
  - { name: site, label: Site, pattern: "^[a-z]+$", help: what stands before .example.com }
  - { name: version, required: false }
credentials:
  api_key:
    fields: [{ name: key, label: Key, type: secret }, { name: team, required: false }]
    authorization: { header: { name: X-Key, value: "{{credentials.team ?: none}}:{{credentials.key}}" } }
    validate: pots.list
  basic: {}
  bearer: {}
  oauth2_client_credentials:
    token_url: "https://{{context.site}}.example.com/token"
    scopes: [read, write]
headers: { X-Site: "{{context.site}}", X-Token: "{{credentials.access_token | credentials.key ?: -}}" }
query: { tenant: "{{query.tenant | id ?: all}}" }
errors:
  message: error.text
  failed_when: [{ path: ok, is: false }, { status: 202 }]
pagination: { style: link_header, limit: per_page }
"#;

#[test]
fn a_whole_file_is_read() {
    let access = access(WHOLE);
    assert_eq!(access.formats.len(), 4);
    let key = &access.formats[&Format::ApiKey];
    assert!(matches!(&key.authorization, Authorization::Header(name, _) if name == "x-key"));
    assert_eq!(key.validate, Some(("pots".into(), "list".into())));
    assert!(matches!(
        access.formats[&Format::Basic].authorization,
        Authorization::Basic(..)
    ));
    let client = &access.formats[&Format::OAuth2ClientCredentials];
    assert!(client.fields.has("client_id") && client.fields.has("client_secret"));
    assert_eq!(client.oauth.as_ref().unwrap().scopes, ["read", "write"]);
    assert_eq!((access.headers.len(), access.query.len()), (2, 1));
    assert!(
        access
            .context
            .check(json!({ "site": "ab" }).as_object().unwrap())
            .is_ok()
    );
    for wrong in [
        json!({}),
        json!({ "site": "AB" }),
        json!({ "site": "ab", "sight": "x" }),
    ] {
        assert!(
            access.context.check(wrong.as_object().unwrap()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn what_a_caller_says_is_never_in_host_or_authorization() {
    for root in ["query.x", "body.x", "id"] {
        let (line, message) =
            only_fault(&format!("base_url: 'https://{{{{{root}}}}}.example.com'\n"));
        assert_eq!(line, Some(5), "{message}");
        assert!(message.contains("must not hold"), "{message}");
        let (line, message) = only_fault(&format!(
            "base_url: https://example.com\ncredentials:\n  bearer:\n    authorization: {{ bearer: '{{{{{root}}}}}' }}\n"
        ));
        assert_eq!(line, Some(8), "{message}");
        assert!(message.contains("must not hold"), "{message}");
    }
}

#[test]
fn credentials_are_never_in_host_or_path() {
    for place in [
        "{{credentials.token}}.example.com",
        "example.com/{{credentials.token}}",
    ] {
        let (line, message) = only_fault(&format!(
            "base_url: 'https://{place}'\ncredentials: {{ bearer: {{}} }}\n"
        ));
        assert_eq!(line, Some(5), "{message}");
        assert!(message.contains("must not hold `credentials`"), "{message}");
    }
    let (line, message) = only_fault(
        "base_url: https://example.com\ncredentials:\n  oauth2_client_credentials:\n    token_url: 'https://{{credentials.client_id}}.example.com'\n",
    );
    assert_eq!(line, Some(8), "{message}");
}

#[test]
fn every_fault_of_access_is_told_with_its_line() {
    let all = faults(
        "base_url: https://example.com\nheaders:\n  Host: a\n  X-A: '{{'\n  X-B: '{{context.none}}'\n\
         credentials:\n  api_key: {}\nquery:\n  a: '{{what.is}}'\n",
    );
    let lines: Vec<_> = all.iter().map(|(line, _)| line.unwrap()).collect();
    assert_eq!(lines, [5, 7, 8, 9, 13], "{all:?}");
}

#[test]
fn a_base_url_is_a_host_and_a_path() {
    for bad in [
        "ftp://example.com",
        "https://",
        "https:///x",
        "https://user@example.com",
        "https://example.com/?a=b",
        "https://example.com/#a",
        "https://example.com/a/../b",
        "https://example.com/%2e%2e",
        "https://example.com\\@other.com",
        "https://{{context.a ?: b.evil.com}}",
    ] {
        let all = faults(&format!("base_url: '{bad}'\ncontext: [{{ name: a }}]\n"));
        assert_eq!(all[0].0, Some(5), "{bad}: {all:?}");
    }
}

#[test]
fn local_goes_with_no_access() {
    let (line, message) = only_fault("base_url: local\ncredentials: { bearer: {} }\n");
    assert_eq!(line, Some(5));
    assert!(message.contains("does not go with"), "{message}");
}

#[test]
fn an_unknown_format_has_its_line() {
    let (line, message) = only_fault("base_url: https://example.com\ncredentials:\n  beer: {}\n");
    assert_eq!(line, Some(7), "{message}");
}

fn filled(url: &str, value: &str, is_host: bool) -> Result<String, NoUrl> {
    UrlTemplate::parse(url)
        .unwrap()
        .fill(|_: &Reference| Some(value.to_owned()), |_| is_host)
}

#[test]
fn a_whole_host_is_a_host_and_nothing_else() {
    let url = "https://{{context.host}}/api/";
    assert_eq!(
        filled(url, "tea.example.com:8443", true),
        Ok("https://tea.example.com:8443/api".into())
    );
    for bad in [
        "a/b", "a@b", "a:b", "a..b", "", ".", "a b", "a?b", "a#b", "a\\b", "[::1]", "A.com",
    ] {
        assert!(filled(url, bad, true).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_another_host(value in ".{0,70}") {
        if let Ok(url) = filled("https://{{context.site}}.example.com/v1/{{context.site}}", &value, false) {
            let rest = url.strip_prefix("https://").unwrap();
            let host = rest.split(['/', '?', '#', '\\', '@', ':']).next().unwrap();
            prop_assert_eq!(host, format!("{value}.example.com"));
            prop_assert!(!value.is_empty() && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
}

// Abuse case: a host that whoever connects completes to one of theirs, which would get a client's secret.
#[test]
fn a_host_is_closed_where_it_ends_in_a_domain_of_the_file() {
    let closed = [
        "https://login.example.com/token",
        "https://localhost/token",
        "https://{{context.a}}.example.com/{{context.b}}",
        "https://{{context.a}}.{{context.b}}.example.com:8443/token",
        "https://a.{{context.a}}.example.com",
    ];
    let open = [
        "https://{{context.a}}/token",
        "https://{{context.a}}.{{context.b}}/token",
        "https://{{context.a}}.com/token",
        "https://{{context.a}}.com./token",
        "https://{{context.a}}..com/token",
        "https://{{context.a}}example.com/token",
        "https://{{context.a}}-x.example.com/token",
        "https://login.example.{{context.a}}/token",
        "https://example.com.{{context.a ?: b}}/token",
    ];
    for (urls, is_open) in [(&closed[..], false), (&open[..], true)] {
        for url in urls {
            let read = UrlTemplate::parse(url).unwrap();
            assert_eq!(read.has_open_host(), is_open, "{url}");
        }
    }
}

#[test]
fn what_is_about_consent_goes_with_consent_alone() {
    let consent = "base_url: https://example.com\ncredentials:\n  oauth2:\n    authorization_url: https://example.com/a\n    token_url: https://example.com/t\n    issuer: https://example.com/\n    authorization_query: { access_type: offline }\n    client_authentication: body\n";
    let oauth = access(consent).formats[&Format::OAuth2]
        .oauth
        .clone()
        .unwrap();
    assert_eq!(oauth.issuer.unwrap().written(), "https://example.com/");
    assert_eq!(oauth.client_authentication, ClientAuthentication::Body);
    assert_eq!(
        oauth.authorization_query,
        [("access_type".to_owned(), "offline".to_owned())]
    );

    for ours in ["redirect_uri", "request_uri"] {
        let (_, fault) = only_fault(&consent.replace("access_type", ours));
        let said = format!("`{ours}` is what this program says");
        assert!(fault.contains(&said), "{fault}");
    }
    let other = consent.replace("oauth2", "oauth2_client_credentials");
    let other = faults(&other);
    assert_eq!(other.len(), 3, "{other:?}");
    assert_eq!(
        other
            .iter()
            .filter(|(_, fault)| fault.contains("does not go with"))
            .count(),
        3
    );
}
