//! What requests say, as the document describes it. Handlers read bodies and queries member by member, so that a
//! refusal names the one that is wrong; that nothing here is otherwise than there, tests see to.
#![expect(dead_code, reason = "nothing is made of these types but their schemas")]

mod calls;
mod connected_accounts;
mod connectors;
mod links;
mod parameters;
mod servers;

pub(crate) use self::calls::{CallAnswer, CallFailure, JsonRpcAnswers, JsonRpcMessages};
pub(super) use self::connected_accounts::{
    ConnectedAccountChange, CredentialsChange, NewConnectedAccount, Override, WhichConnectedAccount,
};
pub(super) use self::connectors::{ConnectorChange, ConnectorFile};
pub(super) use self::links::{LinkSettingsInput, NewLink, OAuthClientInput};
pub(super) use self::parameters::{
    AccountFilters, AccountParameter, CallFilters, ClientParameter, PageParameters,
    ProxyParameters, RestOfQuery, ToolArguments, ToolParameters,
};
pub(super) use self::servers::{McpServerChange, McpServerConfig, NewMcpServer};
