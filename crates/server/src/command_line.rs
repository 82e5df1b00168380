//! The command line.

mod usage;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::usage::Usage;
use crate::commands::{AccessKeys, Accounts, Audit, Import, Keys, Mcp, Projects, Users, Webhooks};
use crate::config::Settings;
use crate::connector::ConnectorCommand;
use crate::upkeep::{BackupFlags, OperatorKeyCommand, RestoreFlags, SecretsCommand};

const EXAMPLES: &str = "\
Examples:
  claviger                            start, with its data in ./claviger-data
  claviger --listen 127.0.0.1:0       the same, on a free port
  claviger config > claviger.toml     write a configuration file to edit
  claviger check-config --config claviger.toml
  claviger keys create 'Acme'         make a key on the server in ./claviger-data
  claviger keys list --json           every command that asks a server can print JSON
  CLAVIGER_LOG=debug claviger         every flag has a variable";

/// Keys for your API, and tools for AI agents on any REST API.
#[derive(Parser, Debug)]
#[command(name = "claviger", version, after_help = EXAMPLES, override_usage = "claviger [COMMAND] [OPTIONS]")]
pub(crate) struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start the program (what `claviger` alone does)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeFlags),
    /// Print the configuration file with every setting and its default
    Config,
    /// Print the settings in force, with secrets masked and warnings, and start nothing
    CheckConfig(ServeFlags),
    /// Ask the program that runs with these settings whether it is alive: exit code 0, or 1
    Health(ServeFlags),
    /// Print the OpenAPI document of the API that this version serves
    Openapi,
    Keys(Keys),
    Projects(Projects),
    AccessKeys(AccessKeys),
    Accounts(Accounts),
    Users(Users),
    Webhooks(Webhooks),
    Mcp(Mcp),
    Usage(Usage),
    Audit(Audit),
    Import(Import),
    Backup(BackupFlags),
    Restore(RestoreFlags),
    Secrets(SecretsCommand),
    OperatorKey(OperatorKeyCommand),
    /// Print a script that completes these commands in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Make and look at connectors, which turn REST APIs into tools
    #[command(subcommand)]
    Connector(ConnectorCommand),
}

const COMPLETIONS_HELP: &str = "\
Examples:
  claviger completions bash > ~/.local/share/bash-completion/completions/claviger
  claviger completions zsh > ~/.zfunc/_claviger
  claviger completions fish > ~/.config/fish/completions/claviger.fish";

const SERVE_EXAMPLES: &str = "\
Examples:
  claviger serve --listen 0.0.0.0:8420 --public-url https://keys.example.com
  claviger serve --database-url postgres://claviger@localhost/claviger
  claviger serve --config /etc/claviger.toml --log-format json

A flag goes before its variable, that before the configuration file. The master key is 32 bytes, such
as `openssl rand -base64 32` prints, in CLAVIGER_MASTER_KEY or in a file.";

/// The flags of commands that read a configuration.
#[derive(Args, Debug)]
pub(crate) struct ServeFlags {
    /// Configuration file; `claviger config` prints one
    #[arg(
        long,
        env = "CLAVIGER_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// The settings.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

impl CommandLine {
    /// The script that completes these commands in a shell.
    pub(crate) fn completions(shell: Shell) -> String {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Self::command(), "claviger", &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }

    /// Reads a command line, the program's name first. Without a command it is `serve`, so that
    /// `claviger --listen …` is all there is to type.
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<_> = arguments.collect();
        let first = arguments.get(1).and_then(|first| first.to_str());
        let serves = match first {
            None => arguments.len() < 2,
            Some("-h" | "--help" | "-V" | "--version") => false,
            Some(other) => other.starts_with('-'),
        };
        if serves {
            let at = arguments.len().min(1);
            arguments.insert(at, "serve".into());
        }
        Self::try_parse_from(arguments)
    }
}
