//! What to paste where, so that a client uses an MCP server.

use std::collections::BTreeMap;

use claviger_domain::plain_text;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A client, as `client=` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentClient {
    Chatgpt,
    Claude,
    ClaudeDesktop,
    Cursor,
    Vscode,
}

/// What its file starts is on the machine of whoever pastes it, and not everybody has it.
const NEEDS_PROGRAM: &str = "This starts the program `claviger`, which is for Linux and macOS and has to be on the \
    same machine: write its whole path as `command` where it is not found otherwise. With Node instead, on Windows \
    too: `command` is `npx`, and `args` are `-y`, `mcp-remote`, the URL. The URL is among its arguments then, where \
    other users of the machine can read it: give it a second credential, or an early end.";
const SENDS_NO_HEADER: &str =
    "This server asks for an access key beside its URL, which this client cannot send.";

/// What stands for the second credential: nobody's key is written into an answer.
const ACCESS_KEY: &str = "<access key>";

impl AgentClient {
    pub(crate) const ALL: [Self; 5] = [
        Self::Chatgpt,
        Self::Claude,
        Self::ClaudeDesktop,
        Self::Cursor,
        Self::Vscode,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Chatgpt => "chatgpt",
            Self::Claude => "claude",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Where the snippet goes.
    const fn place(self) -> &'static str {
        match self {
            Self::Chatgpt => {
                "Settings, Apps & Connectors, Advanced settings: developer mode; then Create"
            }
            Self::Claude => "Settings, Connectors, Add custom connector",
            Self::ClaudeDesktop => "claude_desktop_config.json",
            Self::Cursor => ".cursor/mcp.json in the project or the home directory",
            Self::Vscode => ".vscode/mcp.json",
        }
    }

    /// What whoever pastes the snippet has to know.
    fn note(self, needs_access_key: bool) -> Option<&'static str> {
        match self {
            Self::ClaudeDesktop => Some(NEEDS_PROGRAM),
            _ => (needs_access_key && !self.sends_headers()).then_some(SENDS_NO_HEADER),
        }
    }

    /// Whether it can send a header beside the URL.
    const fn sends_headers(self) -> bool {
        matches!(self, Self::ClaudeDesktop | Self::Cursor | Self::Vscode)
    }
}

/// What to paste for one client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientConfig {
    /// The client.
    #[schema(example = "vscode")]
    client: &'static str,
    /// Where it is pasted.
    #[schema(example = ".vscode/mcp.json")]
    place: &'static str,
    /// What is pasted; `<token>` and `<access key>` stand for what is shown to nobody.
    snippet: String,
    /// What does not work with that client, or what it needs beside the snippet.
    #[schema(required)]
    note: Option<&'static str>,
}

/// The server to be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served<'a> {
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// Whether an access key goes beside the URL.
    pub(crate) needs_access_key: bool,
}

impl Served<'_> {
    /// What to paste for every client, by the client's name.
    pub(crate) fn all(&self) -> BTreeMap<String, ClientConfig> {
        let shown = |client: AgentClient| (client.as_str().to_owned(), self.shown(client));
        AgentClient::ALL.into_iter().map(shown).collect()
    }

    /// What to paste for one client, and where.
    pub(crate) fn shown(&self, client: AgentClient) -> ClientConfig {
        ClientConfig {
            client: client.as_str(),
            place: client.place(),
            snippet: self.snippet(client),
            note: client.note(self.needs_access_key),
        }
    }

    fn snippet(&self, client: AgentClient) -> String {
        let key = self.key();
        let entry = match client {
            AgentClient::Chatgpt | AgentClient::Claude => {
                let name = plain_text::clean(self.name).replace(['\n', '\r', '\t'], " ");
                return format!("Name: {name}\nURL: {}\nAuthentication: none", self.url);
            }
            AgentClient::ClaudeDesktop => {
                // Nothing secret among the arguments: other users of the machine can read those.
                let mut variables = json!({ "CLAVIGER_MCP_URL": self.url });
                if self.needs_access_key {
                    variables["CLAVIGER_ACCESS_KEY"] = ACCESS_KEY.into();
                }
                let entry = json!({
                    "command": "claviger", "args": ["mcp", "bridge"], "env": variables,
                });
                json!({ "mcpServers": { key: entry } })
            }
            AgentClient::Cursor => {
                let mut entry = json!({ "url": self.url });
                self.add_headers(&mut entry);
                json!({ "mcpServers": { key: entry } })
            }
            AgentClient::Vscode => {
                let mut entry = json!({ "type": "http", "url": self.url });
                self.add_headers(&mut entry);
                json!({ "servers": { key: entry } })
            }
        };
        serde_json::to_string_pretty(&entry).expect("texts are JSON")
    }

    fn add_headers(&self, entry: &mut Value) {
        if self.needs_access_key {
            entry["headers"] = json!({ "x-api-key": ACCESS_KEY });
        }
    }

    /// The server's name as clients' files take one.
    fn key(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        let key = words.map(str::to_ascii_lowercase).collect::<Vec<_>>();
        let key: String = key.join("-").chars().take(40).collect();
        if key.is_empty() {
            "claviger".to_owned()
        } else {
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(needs_access_key: bool) -> Served<'static> {
        Served {
            name: "Support \u{1b}[1mAgent\" }",
            url: "https://keys.example.com/mcp/<token>",
            needs_access_key,
        }
    }

    #[test]
    fn a_file_s_snippet_is_json_whatever_the_name() {
        for client in [
            AgentClient::ClaudeDesktop,
            AgentClient::Cursor,
            AgentClient::Vscode,
        ] {
            for needs_access_key in [false, true] {
                let text = served(needs_access_key).snippet(client);
                let read: Value = serde_json::from_str(&text).unwrap();
                let entry = read.pointer("/mcpServers/support-1magent");
                let entry = entry.or(read.pointer("/servers/support-1magent"));
                assert!(entry.is_some(), "{text}");
                assert_eq!(text.contains(ACCESS_KEY), needs_access_key, "{text}");
            }
        }
    }

    #[test]
    fn a_program_is_told_what_is_secret_by_its_environment() {
        let served = served(true);
        let text = served.snippet(AgentClient::ClaudeDesktop);
        let read: Value = serde_json::from_str(&text).unwrap();
        let entry = &read["mcpServers"]["support-1magent"];
        assert_eq!(
            (&entry["command"], &entry["args"]),
            (&json!("claviger"), &json!(["mcp", "bridge"]))
        );
        let variables = json!({
            "CLAVIGER_MCP_URL": served.url, "CLAVIGER_ACCESS_KEY": ACCESS_KEY,
        });
        assert_eq!(entry["env"], variables);
    }

    #[test]
    fn what_is_pasted_into_a_form_is_plain_and_says_what_cannot_be() {
        insta::assert_json_snapshot!(served(true).shown(AgentClient::Claude), @r#"
        {
          "client": "claude",
          "place": "Settings, Connectors, Add custom connector",
          "snippet": "Name: Support Agent\" }\nURL: https://keys.example.com/mcp/<token>\nAuthentication: none",
          "note": "This server asks for an access key beside its URL, which this client cannot send."
        }
        "#);
        assert!(served(false).shown(AgentClient::Claude).note.is_none());
    }

    #[test]
    fn whoever_has_no_such_program_is_told_what_to_start_instead() {
        for needs_access_key in [false, true] {
            let served = served(needs_access_key);
            let note = served.shown(AgentClient::ClaudeDesktop).note.unwrap();
            for said in ["`claviger`", "whole path", "Windows", "`mcp-remote`"] {
                assert!(note.contains(said), "{said}: {note}");
            }
            // These start nothing.
            for client in [AgentClient::Cursor, AgentClient::Vscode] {
                assert!(served.shown(client).note.is_none());
            }
        }
    }
}
