//! All that leaves the process for places that somebody else names: the one guarded HTTP client, and
//! the webhooks that use it.
//!
//! Nothing else opens a connection to a URL that a caller chose.

mod address;
mod client;
mod excerpt;
mod figures;
mod payload;
mod ping;
mod ping_window;
mod resolver;
mod signature;
mod target;
mod webhooks;
mod worker;

pub use address::is_public;
pub use client::{Answer, Client, Guard, Outgoing, Refusal};
pub use figures::{Figures, Sent};
pub use ping::{Leave, OverBudget, Ping, Pinged};
pub use resolver::{Resolve, SystemResolver};
pub use target::{Target, TargetFault};
pub use webhooks::{Drawn, HeaderFault, Settings, Webhooks, custom_headers};
