//! The built program, as whoever runs it meets it.

mod command_line;
mod first_start;
mod refusals;
mod stopping;

const CLAVIGER: &str = env!("CARGO_BIN_EXE_claviger");
