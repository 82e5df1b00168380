//! `claviger mcp`: URLs that give an agent tools.

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::bridge::BridgeFlags;
use super::call::{Call, Shown};
use super::client::{Asked, Client};
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, Refusal, SERVER_HELP};

const ACCOUNTS: &str = "integrated-account";
const LIST: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("METHODS", "/config/methods"),
    ("TAGS", "/config/tags"),
    ("EXPIRES", "/expires_at"),
];
const MADE: &[Column] = &[
    ("Id", "/id"),
    ("Name", "/name"),
    ("URL", "/url"),
    ("Expires", "/expires_at"),
];
const LOG: &[Column] = &[
    ("TIME", "/created_at"),
    ("TOOL", "/tool_name"),
    ("STATUS", "/status"),
    ("MS", "/duration_ms"),
    ("CLIENT", "/client_name"),
    ("SERVER", "/mcp_server_id"),
];

const EXAMPLES: &str = "\
Examples:
  claviger mcp create 'Support agent' --method read --tag api_keys --expires 2030-01-31
  claviger mcp create CI --quiet          the secret URL alone
  claviger mcp log --limit 20";

const BRIDGE_HELP: &str = "\
Examples:
  CLAVIGER_MCP_URL=https://keys.example.com/mcp/… claviger mcp bridge
  claude_desktop_config.json:
    {\"mcpServers\": {\"keys\": {\"command\": \"claviger\", \"args\": [\"mcp\", \"bridge\"],
      \"env\": {\"CLAVIGER_MCP_URL\": \"https://keys.example.com/mcp/…\"}}}}

One JSON-RPC message a line, answers as they come. An access key is sent beside the URL only where
CLAVIGER_ACCESS_KEY, CLAVIGER_ACCESS_KEY_FILE, --access-key or --header gives one.";

/// URLs that give an AI agent this server's API as tools
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Mcp {
    #[command(flatten)]
    server: ServerFlags,
    /// The connected account [default: the one of the first start, or the only one]
    #[arg(long, global = true, value_name = "ID")]
    connected_account: Option<String>,
    #[command(subcommand)]
    command: McpCommand,
}

#[derive(Subcommand, Debug)]
enum McpCommand {
    /// Make a URL, and show it: the only time that it is shown
    Create {
        /// What to call it
        name: String,
        /// `read`, `write`, `custom` or a method's name; can be repeated [default: all]
        #[arg(long = "method", value_name = "METHOD")]
        methods: Vec<String>,
        /// A group of tools; can be repeated [default: all]
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// When it ends, such as 2030-01-31
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
        /// Show three tools that find and call the others, for where there are many
        #[arg(long)]
        discovery: bool,
        /// Let secrets leave results as handles, which a person opens
        #[arg(long)]
        seal_secrets: bool,
        /// Calls that it takes a minute [default: 600]
        #[arg(long, value_name = "CALLS")]
        per_minute: Option<u32>,
        /// Ask for an access key besides the URL
        #[arg(long)]
        require_access_key: bool,
        /// Print the URL alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// List them; never their URLs
    List,
    /// End one at once
    Revoke {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what agents called, the latest first
    Log {
        /// Through this one only
        #[arg(long, value_name = "ID")]
        server_id: Option<String>,
        /// Of this tool only
        #[arg(long)]
        tool: Option<String>,
        /// That came to this HTTP status only
        #[arg(long)]
        status: Option<u16>,
        /// Through an MCP server, or as plain HTTP
        #[arg(long = "type", value_name = "TYPE", value_parser = ["mcp", "proxy"])]
        log_type: Option<String>,
        /// After this, such as 2030-01-01
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Before this
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// How many, at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Speak with one over standard input and output, for clients that start a program
    #[command(after_help = BRIDGE_HELP)]
    Bridge(BridgeFlags),
}

impl Mcp {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let command = match self.command {
            McpCommand::Bridge(bridge) => return bridge.run(flags).await,
            other => other,
        };
        let client = flags.client()?;
        if let McpCommand::Log {
            server_id,
            tool,
            status,
            log_type,
            from,
            to,
            limit,
        } = command
        {
            let asked = Asked::new(Method::GET, ["log"])
                .with("mcp_server_id", server_id)
                .with("tool_name", tool)
                .with("status", status)
                .with("log_type", log_type)
                .with("created_at[gt]", from)
                .with("created_at[lt]", to)
                .with("limit", Some(limit));
            return Call::new(asked, Shown::List(LOG))
                .carry_out_with(flags, &client)
                .await;
        }
        let connected = match self.connected_account {
            Some(id) => id,
            None => only_connected_account(flags, &client).await?,
        };
        let servers = [ACCOUNTS.to_owned(), connected, "mcp".to_owned()];
        let call = match command {
            McpCommand::Create {
                name,
                methods,
                tags,
                expires,
                discovery,
                seal_secrets,
                per_minute,
                require_access_key,
                quiet,
            } => {
                let mut config = Map::new();
                let mut set = |name: &str, value: Option<Value>| {
                    config.extend(value.map(|value| (name.to_owned(), value)));
                };
                set("methods", (!methods.is_empty()).then(|| json!(methods)));
                set("tags", (!tags.is_empty()).then(|| json!(tags)));
                set(
                    "require_api_token_auth",
                    require_access_key.then_some(json!(true)),
                );
                set("tool_exposure", discovery.then(|| json!("discovery")));
                set("secrets", seal_secrets.then(|| json!("seal")));
                set("calls_per_minute", per_minute.map(|calls| json!(calls)));
                let body = json!({"name": name, "config": config, "expires_at": expires});
                let shown = if quiet {
                    Shown::Alone("url")
                } else {
                    Shown::One(MADE)
                };
                Call::new(Asked::new(Method::POST, servers).body(body), shown)
            }
            McpCommand::List => Call::new(Asked::new(Method::GET, servers), Shown::List(LIST)),
            McpCommand::Revoke { id, yes } => {
                let question = format!("{id} ends at once, for calls in flight too. Go on?");
                let path = servers.into_iter().chain([id]);
                let done = Shown::Done("Ended.".to_owned());
                Call::new(Asked::new(Method::DELETE, path), done).after(question, yes)
            }
            McpCommand::Log { .. } | McpCommand::Bridge(_) => {
                unreachable!("it was carried out above")
            }
        };
        call.carry_out_with(flags, &client).await
    }
}

/// The connected account that is meant where none is named.
async fn only_connected_account(flags: &ServerFlags, client: &Client) -> Result<String> {
    let answer = client.send(Asked::new(Method::GET, [ACCOUNTS])).await?;
    let listed = answer.body["result"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let ids: Vec<_> = listed.iter().filter_map(|one| one["id"].as_str()).collect();
    let first = flags.first_connected_account()?;
    match (
        first.filter(|first| ids.contains(&first.as_str())),
        &ids[..],
    ) {
        (Some(first), _) => Ok(first),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Refusal("there is no connected account".to_owned()).into()),
        (None, many) => {
            let message = format!(
                "there are {} connected accounts: name one with --connected-account, \
                such as {}",
                many.len(),
                many[0]
            );
            Err(Refusal(message).into())
        }
    }
}
