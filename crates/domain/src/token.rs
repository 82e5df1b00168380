//! Secrets that are no keys: what each begins with, by which it is known wherever it is met.

/// The token in the URL of an MCP server.
pub const MCP_SERVER_PREFIX: &str = "clvmcp_";
/// The token of a link by which a customer connects.
pub const LINK_TOKEN_PREFIX: &str = "clvlink_";
/// The token of an invitation.
pub const INVITATION_PREFIX: &str = "invite_";
/// The secret that deliveries of a webhook are signed with.
pub const WEBHOOK_SECRET_PREFIX: &str = "whsec_";
/// Characters of a token after its prefix, at least: 256 bits, in digits and letters, `-` and `_`.
pub const TOKEN_LENGTH: usize = 43;
