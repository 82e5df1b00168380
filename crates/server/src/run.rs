//! The program from its command line to its exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command_line::{Command, CommandLine, ConnectorCommand, ServeFlags};
use crate::config::{Config, DEFAULT_FILE};
use crate::output::{complain, print};
use crate::system::Outside;
use crate::{connector_tools, health, log, serve};

/// The exit code of a start that was refused.
const REFUSED: u8 = 2;

/// The exit code of a program that is asked after and not well; Docker reserves 2.
const UNWELL: u8 = 1;

/// Runs the program: 0 when it did what was asked, 2 with one sentence on standard error otherwise.
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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(failed)
        }
    }
}

fn carry_out(command: Command, outside: Outside) -> Result<()> {
    match command {
        Command::Serve(flags) => {
            let config = read(flags)?;
            log::start(&config)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("cannot start threads")?;
            let served = runtime.block_on(serve::serve(&config, outside));
            // What was cut off by the stop is not waited for here either.
            runtime.shutdown_background();
            served
        }
        Command::Health(flags) => {
            let config = read(flags)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start threads")?;
            runtime.block_on(health::ask(&config))
        }
        Command::Config => {
            print(DEFAULT_FILE);
            Ok(())
        }
        Command::Openapi => {
            print(&format!("{:#}\n", claviger_api::document()));
            Ok(())
        }
        Command::Connector(ConnectorCommand::Tools { file, json }) => {
            let catalogue = connector_tools::catalogue(file.as_deref())?;
            print(&if json {
                format!("{:#}\n", connector_tools::as_json(&catalogue))
            } else {
                connector_tools::as_text(&catalogue)
            });
            Ok(())
        }
        Command::CheckConfig(flags) => {
            let config = read(flags)?;
            log::filter(&config)?;
            print(&config.to_string());
            for warning in config.warnings() {
                print(&format!("\n# Warning: {warning}\n"));
            }
            Ok(())
        }
    }
}

fn read(flags: ServeFlags) -> Result<Config> {
    Config::read(flags.settings, flags.config.as_deref())
}
