//! The program: configuration, first start, wiring, jobs, the command line.
//!
//! What decides anything about keys or tools is elsewhere. `claviger` is [`run`] on this machine's
//! clock; the test bed is the same on another one.

pub mod assemble;
mod bootstrap;
mod command_line;
mod commands;
pub mod config;
mod connector;
mod data_directory;
mod document;
pub mod first_start;
mod health;
mod instance;
mod jobs;
mod log;
mod master_key;
mod metrics;
mod output;
mod run;
mod serve;
mod system;
mod upkeep;
mod usage_export;
mod welcome;

pub use jobs::JobFigures;
pub use run::run;
pub use system::{Outside, SystemClock, SystemRandom};
