//! The built program, as whoever runs it meets it.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails a test, in functions that tests share too"
)]

mod away;
mod backups;
mod command_line;
mod commands;
mod connection;
mod connectors;
mod crash;
mod export_kills;
mod first_start;
mod flood_of_logins;
mod followers;
mod logging;
mod master_key;
mod metrics;
mod nginx;
mod nodes;
mod operator_key;
mod pepper;
mod place;
mod refusals;
mod stopping;
mod tls;
#[cfg(feature = "opentelemetry")]
mod traces;
mod under_load;
mod ways;

const CLAVIGER: &str = env!("CARGO_BIN_EXE_claviger");
