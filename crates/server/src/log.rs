//! Log lines: to standard error, for people or for programs. Traces beside them, where the program is
//! built with OpenTelemetry.

#[cfg(feature = "opentelemetry")]
mod sending;
#[cfg(feature = "opentelemetry")]
mod traces;

use std::io::{self, IsTerminal};
use std::panic;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, LogFormat};

/// What goes on beside log lines until the program stops.
#[derive(Debug, Default)]
pub(crate) struct Logging {
    #[cfg(feature = "opentelemetry")]
    traces: Option<sending::Sending>,
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// Begins to log as configured, panics too; traces are sent by `runtime`. It takes effect once in a
/// process: later calls change nothing.
pub(crate) fn start(config: &Config, runtime: &Handle) -> Result<Logging> {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let filter = filter(config)?;
    let mut layers: Layers = vec![match config.log_format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }];
    let logging = add_traces(config, runtime, &mut layers)?;
    if tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .is_ok()
    {
        log_panics();
    }
    Ok(logging)
}

#[cfg(feature = "opentelemetry")]
fn add_traces(config: &Config, runtime: &Handle, layers: &mut Layers) -> Result<Logging> {
    let Some(traces) = &config.traces else {
        return Ok(Logging::default());
    };
    let (sending, spans) = sending::Sending::start(traces, runtime.clone())?;
    let takes = tracing_subscriber::filter::filter_fn(traces::RequestSpans::takes);
    layers.push(spans.with_filter(takes).boxed());
    Ok(Logging {
        traces: Some(sending),
    })
}

#[cfg(not(feature = "opentelemetry"))]
#[expect(clippy::unnecessary_wraps, reason = "with OpenTelemetry it can fail")]
fn add_traces(_: &Config, _: &Handle, _: &mut Layers) -> Result<Logging> {
    Ok(Logging::default())
}

impl Logging {
    /// Sends what waits to be sent; it may take a second.
    pub(crate) fn stop(self) {
        #[cfg(feature = "opentelemetry")]
        if let Some(traces) = self.traces {
            traces.stop();
        }
        #[cfg(not(feature = "opentelemetry"))]
        let Self {} = self;
    }
}

/// The filter as configured; a wrong one is told before anything is started.
pub(crate) fn filter(config: &Config) -> Result<Targets> {
    let parts = config.log_filter.split(',').map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Ok(Targets::new().with_default(LevelFilter::INFO));
    }
    // A word alone would be taken for a part of the program, of which there is none, and nothing logged; so would
    // a span, which none are chosen by, and a name with a space. Without a name a level would be that of all.
    let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let is_known = |part: &&str| match part.split_once('=') {
        Some((name, level)) => is_word(name) && is_word(level) && !name.contains('['),
        None => part.parse::<LevelFilter>().is_ok(),
    };
    let text = parts.join(",");
    let targets = text.parse().ok();
    let targets = targets.filter(|_| parts.iter().all(is_known));
    targets.with_context(|| {
        format!("the log filter {text:?} is not understood: it is a level, or levels of parts of the program such as `info,sqlx=debug`")
    })
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
