//! Log lines: to standard error, for people or for programs.

use std::io::{self, IsTerminal};
use std::panic;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

use crate::config::{Config, LogFormat};

/// Begins to log as configured, panics too. It takes effect once in a process: later calls change
/// nothing.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = filter(config)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let started = match config.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        log_panics();
    }
    Ok(())
}

/// The filter as configured; a wrong one is told before anything is started.
pub(crate) fn filter(config: &Config) -> Result<EnvFilter> {
    let text = &config.log_filter;
    EnvFilter::builder()
        .with_default_directive(Directive::from(tracing::Level::INFO))
        .parse(text)
        .with_context(|| format!("the log filter {text:?} is not understood"))
}

/// A panic ends in a log line with its place. What it says was written for whoever maintains the
/// program; values with secrets in them do not print them.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let said = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(location, said, "a part of the program panicked");
    }));
}
