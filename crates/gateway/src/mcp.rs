//! The Model Context Protocol, spoken by hand: versions 2024-11-05 to 2025-11-25 (the earlier era) and
//! 2026-07-28 (the current one) on one URL, stateless, answers in JSON. Routes and tokens are not here:
//! [`endpoint::answer`] takes a request that has passed them.

mod current;
mod earlier;
pub mod endpoint;
mod era;
pub mod hosts;
mod json_rpc;
mod text;
mod tools;
mod whole;

pub use endpoint::{Answer, Post, answer};
pub use text::Text;
pub(crate) use tools::user_agent;
pub use tools::{Client, Passed, ToolCall, ToolOutcome, ToolResult, Wanted};

/// What this program is called in the protocol.
const SERVER_NAME: &str = "claviger";

/// How this program presents itself.
fn server_info() -> serde_json::Value {
    serde_json::json!({
        "name": SERVER_NAME,
        "title": "Claviger",
        "version": env!("CARGO_PKG_VERSION"),
    })
}
