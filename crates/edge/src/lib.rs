//! What all HTTP surfaces share: who calls and what they may, the body of errors, rules for
//! paths, idempotency, request ids.

mod body;
mod caller;
mod client_address;
mod core;
mod credential;
pub mod document;
mod draft;
mod error;
mod fields;
mod idempotency;
mod identity;
mod layers;
pub mod page;
mod password;
mod path_parameter;
mod paths;
mod people;
mod query;
mod redact;
mod respond;
mod slow_body;
mod trace_parent;
mod traffic;

pub use body::{Body, Patch, TextFault, check_text, parse, read_body, unread_body};
pub use caller::{Anyone, Caller, Requires, SignedIn, permission};
pub use client_address::{ClientAddress, network_of};
pub use core::{Core, CoreParts};
pub use credential::Credential;
pub use draft::Draft;
pub use error::{ApiError, ErrorCode, FieldError};
pub use fields::Fields;
pub use idempotency::{Idempotent, idempotent};
pub use identity::{Delegated, Identity, identify};
pub use layers::{Answer, Asked, RequestId, Shortcut, Surface};
pub use password::{Passwords, Queued};
pub use path_parameter::PathParameter;
pub use people::{People, SignUp};
pub use query::{ListPart, Query, flag};
pub use redact::mask_secrets;
pub use respond::{Listed, NoStore, cross_origin, rate_limit_headers, tell_rate_limit};
pub use traffic::{Route, ToolOutcome, Traffic};
