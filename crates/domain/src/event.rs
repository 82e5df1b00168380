//! Events: what happened, to what, and who did it.

use serde_json::Value;

use crate::id::{self, Id};

/// What happened: a closed list, spelled as webhooks and the audit trail show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each variant is its own description, spelled out by `as_str`"
)]
pub enum EventKind {
    ApiKeyCreated,
    ApiKeyUpdated,
    ApiKeyDeleted,
    ApiKeyReactivated,
    ApiKeyRotated,
    ApiKeyFirstUsed,
    ApiKeyExpiring,
    ApiKeyExpired,
    ApiKeyRateLimited,
    ApiKeyQuotaReached,
    ApiKeyPurged,
    ApiKeysRevealed,
    SealedSecretRevealed,
    AccessKeyCreated,
    AccessKeyUpdated,
    AccessKeyDeleted,
    AccessKeyReactivated,
    AccessKeyRotated,
    ProjectCreated,
    ProjectUpdated,
    ProjectDeleted,
    RevealGrantCreated,
    RevealGrantDeleted,
    AccountCreated,
    AccountUpdated,
    AccountDeleted,
    ConnectedAccountCreated,
    ConnectorCreated,
    ConnectorUpdated,
    ConnectorDeleted,
    ConnectedAccountUpdated,
    ConnectedAccountCredentialsChanged,
    ConnectedAccountRenewed,
    ConnectedAccountStatusChanged,
    ConnectedAccountDeleted,
    LinkTokenCreated,
    LinkTokenUsed,
    LinkTokenEnded,
    LinkSettingsUpdated,
    OAuthClientUpdated,
    OAuthClientDeleted,
    McpServerCreated,
    McpServerUpdated,
    McpServerRotated,
    McpServerDeleted,
    WebhookCreated,
    WebhookUpdated,
    WebhookDeleted,
    WebhookSecretRotated,
    WebhookDisabled,
    WebhookReplayed,
    UserSignedUp,
    UserUpdated,
    UserSignedIn,
    UserSignedOut,
    UserPasswordChanged,
    UserEmailVerified,
    RoleGranted,
    RoleRemoved,
    InvitationCreated,
    InvitationUpdated,
    InvitationCancelled,
    InvitationAccepted,
    OperatorKeyCreated,
    OperatorKeyRotated,
    OperatorKeyRevoked,
    InstanceRestored,
    MasterKeyRotated,
    PepperRotated,
}

impl EventKind {
    /// The topic's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKeyCreated => "api-key.created",
            Self::ApiKeyUpdated => "api-key.updated",
            Self::ApiKeyDeleted => "api-key.deleted",
            Self::ApiKeyReactivated => "api-key.reactivated",
            Self::ApiKeyRotated => "api-key.rotated",
            Self::ApiKeyFirstUsed => "api-key.firstUsed",
            Self::ApiKeyExpiring => "api-key.expiring",
            Self::ApiKeyExpired => "api-key.expired",
            Self::ApiKeyRateLimited => "api-key.rateLimited",
            Self::ApiKeyQuotaReached => "api-key.quotaReached",
            Self::ApiKeyPurged => "api-key.purged",
            Self::ApiKeysRevealed => "api-keys.revealed",
            Self::SealedSecretRevealed => "sealed-secret.revealed",
            Self::AccessKeyCreated => "access-key.created",
            Self::AccessKeyUpdated => "access-key.updated",
            Self::AccessKeyDeleted => "access-key.deleted",
            Self::AccessKeyReactivated => "access-key.reactivated",
            Self::AccessKeyRotated => "access-key.rotated",
            Self::ProjectCreated => "project.created",
            Self::ProjectUpdated => "project.updated",
            Self::ProjectDeleted => "project.deleted",
            Self::RevealGrantCreated => "reveal-grant.created",
            Self::RevealGrantDeleted => "reveal-grant.deleted",
            Self::AccountCreated => "account.created",
            Self::AccountUpdated => "account.updated",
            Self::AccountDeleted => "account.deleted",
            Self::ConnectedAccountCreated => "connected-account.created",
            Self::ConnectorCreated => "connector.created",
            Self::ConnectorUpdated => "connector.updated",
            Self::ConnectorDeleted => "connector.deleted",
            Self::ConnectedAccountUpdated => "connected-account.updated",
            Self::ConnectedAccountCredentialsChanged => "connected-account.credentialsChanged",
            Self::ConnectedAccountRenewed => "connected-account.renewed",
            Self::ConnectedAccountStatusChanged => "connected-account.statusChanged",
            Self::ConnectedAccountDeleted => "connected-account.deleted",
            Self::LinkTokenCreated => "link-token.created",
            Self::LinkTokenUsed => "link-token.used",
            Self::LinkTokenEnded => "link-token.ended",
            Self::LinkSettingsUpdated => "link-settings.updated",
            Self::OAuthClientUpdated => "oauth-client.updated",
            Self::OAuthClientDeleted => "oauth-client.deleted",
            Self::McpServerCreated => "mcp-server.created",
            Self::McpServerUpdated => "mcp-server.updated",
            Self::McpServerRotated => "mcp-server.rotated",
            Self::McpServerDeleted => "mcp-server.deleted",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookUpdated => "webhook.updated",
            Self::WebhookDeleted => "webhook.deleted",
            Self::WebhookSecretRotated => "webhook.secretRotated",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookReplayed => "webhook.replayed",
            Self::UserSignedUp => "user.signup",
            Self::UserUpdated => "user.updated",
            Self::UserSignedIn => "user.signedIn",
            Self::UserSignedOut => "user.signedOut",
            Self::UserPasswordChanged => "user.passwordChanged",
            Self::UserEmailVerified => "user.emailVerified",
            Self::RoleGranted => "role.granted",
            Self::RoleRemoved => "role.removed",
            Self::InvitationCreated => "invitation.created",
            Self::InvitationUpdated => "invitation.updated",
            Self::InvitationCancelled => "invitation.cancelled",
            Self::InvitationAccepted => "invitation.accepted",
            Self::OperatorKeyCreated => "operator-key.created",
            Self::OperatorKeyRotated => "operator-key.rotated",
            Self::OperatorKeyRevoked => "operator-key.revoked",
            Self::InstanceRestored => "instance.restored",
            Self::MasterKeyRotated => "master-key.rotated",
            Self::PepperRotated => "pepper.rotated",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The program itself, such as at first start.
    System,
    /// Whoever holds the operator key.
    Operator(Id<id::OperatorKey>),
    /// A program with an access key.
    AccessKey(Id<id::AccessKey>),
    /// A person who is signed in.
    User(Id<id::User>),
    /// An agent, through the MCP server that `maker` made.
    McpServer {
        /// The server that was called.
        server: Id<id::McpServer>,
        /// Who made the server, and answers for it.
        maker: Box<Actor>,
    },
    /// A customer, who has no account here, by a link that `maker` made.
    Link {
        /// The link that was used.
        link: Id<id::LinkToken>,
        /// Who made the link, and answers for it.
        maker: Box<Actor>,
    },
}

impl Actor {
    /// The id that an object's `createdBy` shows; none for the program itself.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::Operator(id) => Some(id.as_str()),
            Self::AccessKey(id) => Some(id.as_str()),
            Self::User(id) => Some(id.as_str()),
            Self::McpServer { maker, .. } | Self::Link { maker, .. } => maker.id(),
        }
    }

    /// What an object's `createdByType` shows: `ACCESS_KEY`, `USER`, or nothing.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::System | Self::Operator(_) => None,
            Self::AccessKey(_) => Some("ACCESS_KEY"),
            Self::User(_) => Some("USER"),
            Self::McpServer { maker, .. } | Self::Link { maker, .. } => maker.kind(),
        }
    }

    /// What an object's `createdIn` shows: by which door the caller came.
    pub const fn door(&self) -> &'static str {
        match self {
            Self::McpServer { .. } => "mcp",
            Self::Link { .. } => "link",
            _ => "api",
        }
    }

    /// The actor in one line, for a row of events: `ack_… via mcp_…`, `ack_… via lnk_…`.
    pub fn describe(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Operator(id) => id.to_string(),
            Self::AccessKey(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::McpServer { server, maker } => format!("{} via {server}", maker.describe()),
            Self::Link { link, maker } => format!("{} via {link}", maker.describe()),
        }
    }
}

/// One change, before it has a number.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// In which account.
    pub account: Id<id::Account>,
    /// In which project, where it was in one.
    pub project: Option<Id<id::Project>>,
    /// The id of what it happened to.
    pub target: String,
    /// More about it; never a secret.
    pub data: Value,
}
