//! Roles, and the table of what each may do.

use crate::permission::Permission::{
    self, AccessKeysRead, AccessKeysWrite, AccountsRead, AccountsWrite, AuditRead,
    ConnectedAccountsRead, ConnectedAccountsWrite, ConnectorsRead, ConnectorsWrite, CustomCall,
    InvitationsRead, InvitationsWrite, KeysCheck, KeysRead, KeysReveal, KeysWrite, LogsRead,
    McpRead, McpUse, McpWrite, MembersRead, MembersWrite, NotificationsRead, PortalWrite,
    ProjectsDelete, ProjectsRead, ProjectsWrite, ProxyRead, ProxyWrite, UsageRead, WebhooksRead,
    WebhooksWrite,
};
use crate::permission::PermissionSet;

/// A named set of permissions, held on an account or on a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, accounts included.
    Owner,
    /// Everything but deleting accounts and making child accounts.
    Admin,
    /// Keys, webhooks and tools.
    Developer,
    /// Reads what a developer works on.
    Viewer,
    /// Reads usage.
    Analyst,
    /// Checks keys, and nothing else.
    Verifier,
}

const VIEWER: &[Permission] = &[
    AccountsRead,
    ProjectsRead,
    NotificationsRead,
    MembersRead,
    KeysRead,
    WebhooksRead,
    UsageRead,
    ConnectorsRead,
    ConnectedAccountsRead,
    McpRead,
];

const DEVELOPER: &[Permission] = &[
    AccountsRead,
    ProjectsRead,
    NotificationsRead,
    MembersRead,
    KeysRead,
    KeysWrite,
    KeysCheck,
    AccessKeysRead,
    AccessKeysWrite,
    WebhooksRead,
    WebhooksWrite,
    UsageRead,
    ConnectorsRead,
    ConnectedAccountsRead,
    ConnectedAccountsWrite,
    ProxyRead,
    ProxyWrite,
    McpRead,
    McpWrite,
    McpUse,
    LogsRead,
    PortalWrite,
];

const ADMIN: &[Permission] = &[
    AccountsRead,
    AccountsWrite,
    ProjectsRead,
    ProjectsWrite,
    ProjectsDelete,
    NotificationsRead,
    MembersRead,
    MembersWrite,
    InvitationsRead,
    InvitationsWrite,
    AuditRead,
    KeysRead,
    KeysWrite,
    KeysCheck,
    AccessKeysRead,
    AccessKeysWrite,
    WebhooksRead,
    WebhooksWrite,
    UsageRead,
    ConnectorsRead,
    ConnectorsWrite,
    ConnectedAccountsRead,
    ConnectedAccountsWrite,
    ProxyRead,
    ProxyWrite,
    McpRead,
    McpWrite,
    McpUse,
    LogsRead,
    PortalWrite,
    CustomCall,
];

const ANALYST: &[Permission] = &[AccountsRead, ProjectsRead, NotificationsRead, UsageRead];

impl Role {
    /// All roles, the greatest first.
    pub const ALL: [Self; 6] = [
        Self::Owner,
        Self::Admin,
        Self::Developer,
        Self::Viewer,
        Self::Analyst,
        Self::Verifier,
    ];

    /// The role's name on the wire and in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Verifier => "verifier",
        }
    }

    /// Reads a role's name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|role| text.eq_ignore_ascii_case(role.as_str()))
    }

    /// What the role may do.
    pub fn permissions(self) -> PermissionSet {
        match self {
            // `keys:reveal` is in no role: a session grants it, for one project and a time.
            Self::Owner => {
                let all: Vec<_> = Permission::ALL
                    .into_iter()
                    .filter(|one| *one != KeysReveal)
                    .collect();
                PermissionSet::of(&all)
            }
            Self::Admin => PermissionSet::of(ADMIN),
            Self::Developer => PermissionSet::of(DEVELOPER),
            Self::Viewer => PermissionSet::of(VIEWER),
            Self::Analyst => PermissionSet::of(ANALYST),
            Self::Verifier => PermissionSet::of(&[KeysCheck]),
        }
    }

    /// Whether the role can be held on an account only, not on a project.
    pub const fn needs_account(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::Analyst)
    }
}
