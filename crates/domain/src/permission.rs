//! Permissions: what an operation asks for, in the words of the published table.

/// One thing that a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "each variant is its own description, spelled out by `as_str`"
)]
pub enum Permission {
    AccountsRead,
    AccountsWrite,
    AccountsDelete,
    AccountsCreate,
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
    KeysReveal,
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
}

impl Permission {
    /// All of them, in the table's order.
    pub const ALL: [Self; 34] = [
        Self::AccountsRead,
        Self::AccountsWrite,
        Self::AccountsDelete,
        Self::AccountsCreate,
        Self::ProjectsRead,
        Self::ProjectsWrite,
        Self::ProjectsDelete,
        Self::NotificationsRead,
        Self::MembersRead,
        Self::MembersWrite,
        Self::InvitationsRead,
        Self::InvitationsWrite,
        Self::AuditRead,
        Self::KeysRead,
        Self::KeysWrite,
        Self::KeysCheck,
        Self::KeysReveal,
        Self::AccessKeysRead,
        Self::AccessKeysWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::UsageRead,
        Self::ConnectorsRead,
        Self::ConnectorsWrite,
        Self::ConnectedAccountsRead,
        Self::ConnectedAccountsWrite,
        Self::ProxyRead,
        Self::ProxyWrite,
        Self::McpRead,
        Self::McpWrite,
        Self::McpUse,
        Self::LogsRead,
        Self::PortalWrite,
        Self::CustomCall,
    ];

    /// The table's spelling, such as `keys:write`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountsRead => "accounts:read",
            Self::AccountsWrite => "accounts:write",
            Self::AccountsDelete => "accounts:delete",
            Self::AccountsCreate => "accounts:create",
            Self::ProjectsRead => "projects:read",
            Self::ProjectsWrite => "projects:write",
            Self::ProjectsDelete => "projects:delete",
            Self::NotificationsRead => "notifications:read",
            Self::MembersRead => "members:read",
            Self::MembersWrite => "members:write",
            Self::InvitationsRead => "invitations:read",
            Self::InvitationsWrite => "invitations:write",
            Self::AuditRead => "audit:read",
            Self::KeysRead => "keys:read",
            Self::KeysWrite => "keys:write",
            Self::KeysCheck => "keys:check",
            Self::KeysReveal => "keys:reveal",
            Self::AccessKeysRead => "access-keys:read",
            Self::AccessKeysWrite => "access-keys:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::UsageRead => "usage:read",
            Self::ConnectorsRead => "connectors:read",
            Self::ConnectorsWrite => "connectors:write",
            Self::ConnectedAccountsRead => "connected-accounts:read",
            Self::ConnectedAccountsWrite => "connected-accounts:write",
            Self::ProxyRead => "proxy:read",
            Self::ProxyWrite => "proxy:write",
            Self::McpRead => "mcp:read",
            Self::McpWrite => "mcp:write",
            Self::McpUse => "mcp:use",
            Self::LogsRead => "logs:read",
            Self::PortalWrite => "portal:write",
            Self::CustomCall => "custom:call",
        }
    }

    /// Whether what it makes goes on letting somebody in when whoever made it is signed out and has
    /// another password.
    pub const fn opens_other_ways(self) -> bool {
        matches!(
            self,
            Self::AccountsCreate
                | Self::MembersWrite
                | Self::InvitationsWrite
                | Self::AccessKeysWrite
                | Self::WebhooksWrite
                | Self::ConnectedAccountsWrite
                | Self::ProxyWrite
                | Self::McpWrite
                | Self::PortalWrite
        )
    }

    /// Whether it counts only where the role is held on the account, not on a project.
    pub const fn needs_account(self) -> bool {
        matches!(
            self,
            Self::AccountsRead
                | Self::AccountsWrite
                | Self::AccountsDelete
                | Self::AccountsCreate
                | Self::MembersRead
                | Self::MembersWrite
                | Self::InvitationsRead
                | Self::InvitationsWrite
                | Self::AuditRead
                | Self::CustomCall
        )
    }

    /// Whether a role on projects gives it as well; their account may be read, though it is no project.
    pub const fn is_held_on_projects(self) -> bool {
        !self.needs_account() || matches!(self, Self::AccountsRead)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(u64);

impl PermissionSet {
    /// The set of those listed.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// Whether it holds `permission`.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    /// Whether it holds all of `other`.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
