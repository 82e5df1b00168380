//! The program from its command line to its exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command_line::{Command, CommandLine, ServeFlags};
use crate::commands::{self, Refusal};
use crate::config::{Config, DEFAULT_FILE};
use crate::connector::read_folder;
use crate::document::document;
use crate::output::{complain, print};
use crate::system::Outside;
use crate::{health, log, serve};

/// The exit code of a start that was refused, or of a command that could not ask its server.
const REFUSED: u8 = 2;
/// The exit code of a command whose server said no.
const SAID_NO: u8 = 1;

/// The exit code of a program that is asked after and not well; Docker reserves 2.
const UNWELL: u8 = 1;

/// Runs the program: 0 when it did what was asked; otherwise one sentence on standard error, and 1
/// where a server said no or is not well, 2 where nothing could be asked or started.
pub fn run(arguments: impl Iterator<Item = OsString>, outside: Outside) -> ExitCode {
    let command = match CommandLine::read(arguments) {
        Ok(line) => line.command,
        Err(error) => error.exit(),
    };
    let failed = match command {
        Command::Health(_) => UNWELL,
        _ => REFUSED,
    };
    match carry_out(command, outside) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            let code = if error.is::<Refusal>() {
                SAID_NO
            } else {
                failed
            };
            ExitCode::from(code)
        }
    }
}

fn carry_out(command: Command, outside: Outside) -> Result<ExitCode> {
    match command {
        Command::Serve(flags) => {
            let config = read(flags)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("cannot start threads")?;
            let logging = log::start(&config, runtime.handle())?;
            let served = runtime.block_on(serve::serve(&config, outside));
            logging.stop();
            // What was cut off by the stop is not waited for here either.
            runtime.shutdown_background();
            served?;
        }
        Command::Health(flags) => {
            let config = read(flags)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start threads")?;
            runtime.block_on(health::ask(&config))?;
        }
        Command::Config => {
            print(DEFAULT_FILE);
        }
        Command::Openapi => {
            print(&format!("{:#}\n", document()));
        }
        Command::Connector(command) => return command.run(),
        Command::CheckConfig(flags) => {
            let config = read(flags)?;
            log::filter(&config)?;
            read_folder(config.connectors.as_deref())?;
            print(&config.to_string());
            for warning in config.warnings() {
                print(&format!("\n# Warning: {warning}\n"));
            }
        }
        Command::Keys(keys) => return commands::run(|| keys.run()),
        Command::Projects(projects) => return commands::run(|| projects.run()),
        Command::AccessKeys(keys) => return commands::run(|| keys.run()),
        Command::Accounts(accounts) => return commands::run(|| accounts.run()),
        Command::Users(users) => return commands::run(|| users.run()),
        Command::Webhooks(webhooks) => return commands::run(|| webhooks.run()),
        Command::Mcp(mcp) => return commands::run(|| mcp.run()),
        Command::Usage(usage) => return commands::run(|| usage.run(outside)),
        Command::Audit(audit) => return commands::run(|| audit.run()),
        Command::Import(import) => return commands::run(|| import.run()),
        Command::Backup(flags) => return commands::run(|| flags.run(outside)),
        Command::Restore(flags) => return commands::run(|| flags.run(outside)),
        Command::Secrets(command) => return commands::run(|| command.run(outside)),
        Command::OperatorKey(command) => return commands::run(|| command.run(outside)),
        Command::Completions { shell } => print(&CommandLine::completions(shell)),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(flags: ServeFlags) -> Result<Config> {
    Config::read(flags.settings, flags.config.as_deref())
}
