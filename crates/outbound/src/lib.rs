//! All that leaves the process: the one guarded HTTP client, the webhooks and upstreams that use it, the
//! keys of an identity provider, and mail.
//!
//! Nothing else opens a connection to a URL that a caller chose.

mod address;
mod attempt;
mod budget;
mod client;
mod connection;
mod connections;
mod dial;
mod excerpt;
mod figures;
mod hold;
mod identity_tokens;
mod key_set;
mod letterhead;
pub mod mail;
mod payload;
mod ping;
mod resolver;
mod signature;
mod target;
mod upstreams;
mod webhooks;
mod worker;

pub use address::is_public;
pub use budget::OverBudget;
pub use client::{Answer, Client, Fetched, Guard, Outgoing, Refusal};
pub use figures::{Figures, Sent};
pub use identity_tokens::{Firebase, TokenFault};
pub use ping::{Leave, Ping, Pinged};
pub use resolver::{Resolve, SystemResolver};
pub use target::{Target, TargetFault};
pub use upstreams::{Asking, Told, Unanswered, Upstreams};
pub use webhooks::{Drawn, HeaderFault, Settings, Webhooks, custom_headers};
