//! Objects of the gateway as answers have them, and as the document describes them.

mod call;
mod connected_account;
mod connector;
mod link;
mod list;
mod mcp_server;

pub(super) use self::call::CallBody;
pub(super) use self::connected_account::{ConnectedAccountBody, TriedAccountBody};
pub(super) use self::connector::{CompiledConnectorBody, ConnectorBody};
pub(super) use self::link::LinkBody;
pub(super) use self::list::ListBody;
pub(super) use self::mcp_server::{IssuedServerBody, McpServerBody, UrlBody, WarnedServerBody};
