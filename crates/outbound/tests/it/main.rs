//! Where the guarded client goes and where it does not, and what sending and mailing withstand.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where what it stands on is missing"
)]

mod connections;
mod guard;
mod mail;
mod sending;
mod upstreams;
