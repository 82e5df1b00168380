//! What measures times, with the machine for itself: cargo runs one program of tests after another.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails a test, in functions that tests share too"
)]

#[path = "../it/connection.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod connection;
mod under_flood;

const CLAVIGER: &str = env!("CARGO_BIN_EXE_claviger");
