//! What a build of the program is made fast for: what it is asked often, so many requests of each. The build
//! that answers here counts what it does, and the one that is shipped is laid out by what was counted.

mod shop;

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::instance::{Instance, Key, draw, settings};
use crate::loader::{self, Pace};
use crate::mcp::{Caller, HEAD};
use crate::scratch::{Scratch, run_async};
use crate::server::{Server, claviger_anywhere};

pub(crate) use shop::upstream;

/// Requests under way at once.
const CLIENTS: usize = 16;
/// Keys to check.
const KEYS: u32 = 1_000;
/// A request that is asked seldom is sent once for so many of those that are asked often.
const SELDOM: u64 = 20;
/// Wrong passwords; each costs some tens of milliseconds, and a network has few.
const PASSWORDS: u32 = 5;
/// What each key tells of itself.
const CUSTOMER: &str = "customer-4711";
/// A tool of The Auth API.
const CALLED_OF_OWN: &str = "list_all_the_auth_api_api_keys";
/// The protocol that MCP servers speak without a beginning.
const STATELESS: &str = "2026-07-28";

/// What it takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainOptions {
    /// Requests of what is asked most often
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
}

pub(crate) fn run(options: &TrainOptions) -> Result<()> {
    let scratch = Scratch::make()?;
    let log = |name: &str| scratch.path().join(name).with_extension("log");
    let instance = Instance::make(&scratch.path().join("data"))?;
    let keys = draw(KEYS);
    run_async(instance.fill(&keys, |_| ()))?;
    let mut api = Command::new(std::env::current_exe()?);
    api.arg("serve-shop");
    let api = Server::start(api, &log("shop"))?;
    let mut command = claviger_anywhere(&instance.folder)?;
    command.arg("--outbound-allow-private");
    let server = Server::start(command, &log("claviger"))?;

    let training = Training {
        server: &server,
        often: options.requests,
    };
    training.check(&instance, &keys)?;
    training.call(&instance, &api.address)?;
    training.keep(&instance, &api.address)?;
    training.refuse()?;
    // What was counted is written as it ends.
    server.stop()
}

struct Training<'a> {
    server: &'a Server,
    /// How many requests are sent of what is asked most often.
    often: u64,
}

impl Training<'_> {
    /// Keys are checked.
    fn check(&self, instance: &Instance, keys: &[Key]) -> Result<()> {
        let head = with_key(&instance.verifier_key);
        let key = |sent: u64| {
            let place = usize::try_from(sent).unwrap_or_default() % keys.len();
            keys[place].plain.expose()
        };
        self.ask("checks of keys", CUSTOMER, self.often, |sent| {
            let line = format!("POST /api-keys/auth/{}", key(sent));
            (line, head.clone(), Value::Null)
        })?;
        self.ask(
            "checks of keys in bodies",
            CUSTOMER,
            self.seldom(),
            |sent| {
                let body = json!({"key": key(sent)});
                ("POST /api-keys/verify".to_owned(), head.clone(), body)
            },
        )
    }

    /// Tools are listed and called, of another API and of this one, and the other one by the proxy.
    fn call(&self, instance: &Instance, api: &str) -> Result<()> {
        let caller = Caller {
            server: self.server,
            key: &instance.owner_key,
        };
        caller.bring(&shop::connector())?;
        let connected = caller.connect(shop::SLUG, api, "training")?;
        let path = caller.expose(&connected)?;
        let own_path = caller.expose(&instance.connected()?)?;
        let message = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let call = |tool: &str, arguments: Value| {
            let params = json!({"name": tool, "arguments": arguments});
            message("tools/call", params)
        };
        let often = self.often;
        self.ask("calls of another API", shop::LAST_WORD, often, |sent| {
            let (tool, arguments) = shop::asked(sent);
            let body = call(tool, arguments);
            (format!("POST {path}"), HEAD.to_owned(), body)
        })?;
        self.ask("calls without a beginning", shop::LAST_WORD, often / 2, |sent| {
            let (tool, arguments) = shop::asked(sent);
            let mut body = call(tool, arguments);
            body["params"]["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": {"name": "training", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            let head = format!(
                "content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
                 mcp-protocol-version: {STATELESS}\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
            );
            (format!("POST {path}"), head, body)
        })?;
        self.ask("calls of The Auth API", CUSTOMER, self.seldom(), |_| {
            let body = call(CALLED_OF_OWN, json!({"limit": 5}));
            (format!("POST {own_path}"), HEAD.to_owned(), body)
        })?;
        self.ask("lists of tools", CALLED_OF_OWN, self.seldom(), |_| {
            let body = message("tools/list", json!({}));
            (format!("POST {own_path}"), HEAD.to_owned(), body)
        })?;
        let head = with_key(&instance.owner_key);
        self.ask(
            "calls by the proxy",
            shop::LAST_WORD,
            self.seldom(),
            |sent| {
                let order = sent % 1_000;
                let line = format!(
                    "GET /proxy/orders/{order}?integrated_account_id={connected}&branch=east"
                );
                (line, head.clone(), Value::Null)
            },
        )
    }

    /// Keys are made, of which a webhook is told, and what there is is read.
    fn keep(&self, instance: &Instance, api: &str) -> Result<()> {
        let head = with_key(&instance.owner_key);
        let webhook = json!({"url": format!("http://{api}/told"), "topics": ["api-key.created"]});
        self.server
            .call("POST /webhooks", &instance.owner_key, &webhook)?;
        self.ask("new keys", CUSTOMER, self.seldom(), |sent| {
            let body = settings(&format!("Key {sent}"));
            ("POST /api-keys".to_owned(), head.clone(), body)
        })?;
        for path in ["/api-keys?limit=20", "/log?limit=20", "/audit-events"] {
            for _ in 0..self.seldom() {
                let line = format!("GET {path}");
                self.server.call(&line, &instance.owner_key, &Value::Null)?;
            }
            println!("{path}: {} answered", self.seldom());
        }
        Ok(())
    }

    /// Passwords are tried.
    fn refuse(&self) -> Result<()> {
        for number in 0..PASSWORDS {
            let email = format!("nobody{number}@example.com");
            let body = json!({"email": email, "password": "wrong horse battery"});
            let head = "content-type: application/json\r\n";
            let said = self.server.exchange("POST /auth/login", head, &body)?;
            ensure!(said.starts_with("HTTP/1.1 401"), "not refused: {said}");
        }
        Ok(())
    }

    fn seldom(&self) -> u64 {
        self.often.div_ceil(SELDOM)
    }

    /// Sends so many requests: each is a line such as `GET /log`, the rest of the head, and a body. Refused
    /// calls of tools are successes of HTTP: before and after, as many as there are kinds of calls have to
    /// be answered with that word.
    fn ask(
        &self,
        what: &str,
        word: &str,
        times: u64,
        request: impl Fn(u64) -> (String, String, Value),
    ) -> Result<()> {
        let check = || {
            (times..times + shop::KINDS).try_for_each(|sent| {
                let (line, head, body) = request(sent);
                let said = self.server.exchange(&line, &head, &body)?;
                ensure!(said.contains(word), "{what}: {said}");
                Ok(())
            })
        };
        check()?;
        let mut text = String::new();
        let write = |sent, bytes: &mut Vec<u8>| {
            let (line, head, body) = request(sent);
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            text.clear();
            let length = body.len();
            write!(
                text,
                "{line} HTTP/1.1\r\nhost: localhost\r\n{head}content-length: {length}\r\n\r\n{body}"
            )
            .expect("writing to a string cannot fail");
            bytes.extend_from_slice(text.as_bytes());
        };
        let pace = Pace::Count(times);
        let load = loader::run(&self.server.address, CLIENTS, pace, write);
        let load = load.with_context(|| format!("{what} do not go through"))?;
        println!("{what}: {} answered", load.answered);
        check()
    }
}

fn with_key(key: &str) -> String {
    format!("x-api-key: {key}\r\ncontent-type: application/json\r\n")
}
