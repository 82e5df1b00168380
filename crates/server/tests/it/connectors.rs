//! `claviger connector`: what is printed and written for connector files and documents.

use std::fs;
use std::path::Path;

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;
use crate::command_line::printed;

#[test]
fn the_tools_of_the_built_in_connector_are_printed() {
    let text = printed(&["connector", "tools"]);
    let json: Value = serde_json::from_str(&printed(&["connector", "tools", "--json"])).unwrap();
    let tools = json["tools"].as_array().unwrap();
    assert!(tools.len() > 20, "{text}");
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        let tag = tool["tags"][0].as_str().unwrap();
        assert!(line.unwrap().contains(tag), "{tool}");
        assert_eq!(tool["input_schema"]["type"], "object", "{tool}");
    }
}

#[test]
fn the_tools_of_a_connector_in_a_file_are_printed() {
    let scratch = tempdir().unwrap();
    let document = json!({
        "openapi": "3.1.0",
        "paths": {
            "/pots": {"get": {"summary": "List pots"}, "post": {"summary": "Make a pot"}},
        },
    });
    fs::write(scratch.path().join("tea.json"), document.to_string()).unwrap();
    let file = scratch.path().join("tea.yaml");
    let connector = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\nbase_url: local\n\
                     resources: { pots: { methods: { list: { http: GET /pots } } } }\n";
    fs::write(&file, connector).unwrap();
    let path = file.to_str().unwrap();
    insta::assert_snapshot!(printed(&["connector", "tools", path]), @r#"
Tea: 1 tool

TOOL               EFFECT  TAGS  NEEDS
list_all_tea_pots  read

No tools:

POST /pots: the connector does not name it
"#);

    fs::write(&file, connector.replace("GET /pots", "GET /cups")).unwrap();
    let output = run_to_end(command(CLAVIGER, ["connector", "tools", path]));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(sentence.contains("tea.yaml"), "{sentence}");
    assert!(sentence.contains("line 6"), "{sentence}");
}

/// What a command prints, says beside it, and ends with.
fn said(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = run_to_end(command(CLAVIGER, arguments));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_fault_of_a_connector_is_printed_with_its_line() {
    let scratch = tempdir().unwrap();
    let document = "openapi: 3.0.0\npaths:\n  /pots: { get: { summary: Lists pots } }\n";
    write(scratch.path(), "tea.json", document);
    let sound = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\n\
                 base_url: https://tea.example\n";
    let file = write(scratch.path(), "tea.yaml", sound);
    assert_eq!(
        printed(&["connector", "check", &file]),
        format!("{file}: 1 tool\n")
    );

    let faulty = format!(
        "{sound}resources:\n  pots:\n    methods:\n      list: {{ http: GET /cups }}\n      \
         get: {{ operation: none }}\n"
    );
    let file = write(scratch.path(), "tea.yaml", &faulty);
    let (out, _, code) = said(&["connector", "check", &file]);
    assert_eq!(code, Some(1), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with(&format!("{file}:9:")), "{out}");
    assert!(
        lines[0].contains("the document has no `GET /cups`"),
        "{out}"
    );
    assert!(lines[1].starts_with(&format!("{file}:10:")), "{out}");

    write(
        scratch.path(),
        "tea.json",
        "openapi: 3.0.0\npaths:\n  /pots: { $ref: x.json }\n",
    );
    let (_, complaint, code) = said(&["connector", "check", &file]);
    assert_eq!(code, Some(2));
    assert!(
        complaint.contains("tea.json") && complaint.contains("line 3"),
        "{complaint}"
    );
}

#[test]
fn a_document_in_the_place_of_a_connector_is_called_one() {
    let scratch = tempdir().unwrap();
    let document = "openapi: 3.0.0\npaths: {}\n";
    let file = write(scratch.path(), "tea.yaml", document);
    let (out, _, code) = said(&["connector", "check", &file]);
    assert!(
        code == Some(1) && out.contains("`claviger connector import`"),
        "{out}"
    );
    let (_, complaint, code) = said(&["connector", "tools", &file]);
    assert!(
        code == Some(2) && complaint.contains("`claviger connector import`"),
        "{complaint}"
    );
}

#[test]
fn a_document_becomes_a_connector_file_whose_tools_are_printed() {
    let scratch = tempdir().unwrap();
    let swagger = json!({
        "swagger": "2.0", "info": { "title": "Tea Pot API" }, "host": "tea.example",
        "basePath": "/v1",
        "paths": {
            "/pots": { "get": {}, "post": { "description": "Makes a pot." } },
            "/pots/{id}": { "delete": { "summary": "Breaks a pot" } },
        },
    });
    let document = write(scratch.path(), "tea.json", &swagger.to_string());
    let out = scratch.path().join("tea.yaml");
    let out = out.to_str().unwrap();
    let (_, told, code) = said(&["connector", "import", &document, "--out", out]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("3 tools"), "{told}");
    let written = fs::read_to_string(out).unwrap();
    for line in [
        "slug: tea-pot",
        "tool_prefix: tea_pot",
        "openapi: tea.json",
        "base_url: \"https://tea.example/v1\"",
    ] {
        assert!(
            written.lines().any(|known| known == line),
            "{line} in {written}"
        );
    }
    insta::assert_snapshot!(printed(&["connector", "tools", out]), @r#"
Tea Pot API: 3 tools

TOOL                         EFFECT  TAGS  NEEDS
list_all_tea_pot_pots        read
create_a_tea_pot_pots        write
delete_a_tea_pot_pots_by_id  write         id
"#);

    // What somebody may have changed by hand is not written over.
    let (_, complaint, code) = said(&["connector", "import", &document, "--out", out]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("is there already"), "{complaint}");
    let (text, _, _) = said(&["connector", "import", &document]);
    assert!(text.contains("slug: tea-pot"), "{text}");

    let profile = [
        "connector",
        "tools",
        out,
        "--json",
        "--schema-profile",
        "openai-strict",
    ];
    let strict: Value = serde_json::from_str(&printed(&profile)).unwrap();
    let schema = &strict["tools"][0]["input_schema"];
    assert_eq!(schema["additionalProperties"], false, "{schema}");
}

#[test]
fn what_is_no_document_or_no_file_is_said_so() {
    let scratch = tempdir().unwrap();
    let cases = [
        ("https://tea.example/openapi.json".to_owned(), "download"),
        (write(scratch.path(), "a.json", "{"), "line 1 column 1"),
        (write(scratch.path(), "b.json", "{}"), "`swagger: \"2.0\"`"),
        (
            scratch.path().join("none").to_str().unwrap().to_owned(),
            "cannot read",
        ),
    ];
    for (document, words) in cases {
        let (_, complaint, code) = said(&["connector", "import", &document]);
        assert_eq!(code, Some(2), "{document}");
        assert!(complaint.contains(words), "{complaint}");
    }
}

/// A folder with a connector of the instance's own, its document beside it.
fn folder_of_tea(folder: &Path) {
    let document = "openapi: 3.0.0\npaths:\n  /pots: { get: { summary: Lists pots } }\n";
    write(folder, "tea.openapi.yaml", document);
    let file = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.openapi.yaml\n\
                base_url: https://tea.example\n";
    write(folder, "tea.yaml", file);
}

#[test]
fn all_accounts_have_the_connectors_of_the_folder() {
    let scratch = tempdir().unwrap();
    let (folder, data) = (scratch.path(), scratch.path().join("data"));
    folder_of_tea(folder);
    let flags = ["--connectors", folder.to_str().unwrap()];
    let program = Program::start(CLAVIGER, &data, &flags).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let key = bootstrap["accessKey"].as_str().unwrap();
    let get = |path: &str| {
        let line = format!("GET {path}");
        program.call(&line, key, &Value::Null).unwrap()
    };
    let (status, listed) = get("/integration");
    assert_eq!(status, 200, "{listed}");
    let slugs = listed["result"].as_array().unwrap().iter();
    let slugs: Vec<_> = slugs.map(|one| one["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["theauthapi", "tea"]);
    let (status, shown) = get("/integration/tea");
    assert_eq!((status, &shown["label"]), (200, &json!("Tea")));
}

#[test]
fn a_folder_with_a_fault_is_told_with_its_place_and_nothing_is_started() {
    let scratch = tempdir().unwrap();
    let (folder, data) = (scratch.path(), scratch.path().join("data"));
    folder_of_tea(folder);
    let (flag, place) = ("--connectors", folder.to_str().unwrap());
    let refused = |command: &str| {
        let data_dir = data.to_str().unwrap();
        let listen = "127.0.0.1:0";
        let (_, complaint, code) = said(&[
            command,
            "--data-dir",
            data_dir,
            "--listen",
            listen,
            flag,
            place,
        ]);
        assert_eq!(code, Some(2), "{complaint}");
        assert!(!data.exists());
        complaint
    };
    let sound = fs::read_to_string(folder.join("tea.yaml")).unwrap();
    let faulty = write(
        folder,
        "tea.yaml",
        &format!("{sound}resources:\n  pots: {{ methods: {{ list: {{ http: GET /cups }} }} }}\n"),
    );
    for command in ["serve", "check-config"] {
        let complaint = refused(command);
        assert!(complaint.contains(&format!("{faulty}:7:")), "{complaint}");
    }
    write(folder, "tea.yaml", &sound);
    write(folder, "cup.yml", &sound);
    let complaint = refused("serve");
    assert!(
        complaint.contains("cup.yml") && complaint.contains("tea.yaml"),
        "{complaint}"
    );
    write(
        folder,
        "cup.yml",
        &sound.replace("slug: tea", "slug: theauthapi"),
    );
    assert!(refused("serve").contains("the built-in connector"));
    assert!(refused("check-config").contains("theauthapi"));
}
