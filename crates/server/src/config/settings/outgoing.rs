//! What may be set of what leaves the program.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::config::network::Network;
use crate::config::secret::Secret;

/// The section `[outbound]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundSettings {
    /// For development: whether webhooks may go to this machine and private networks, and to any
    /// port [default: false]
    #[arg(
        id = "outbound_allow_private",
        long = "outbound-allow-private",
        env = "CLAVIGER_OUTBOUND_ALLOW_PRIVATE",
        hide_env_values = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub allow_private: Option<bool>,

    /// Ports to which webhooks may go beside 80, 443 and 8443, with commas between them
    /// [default: none]
    #[arg(
        id = "outbound_ports",
        long = "outbound-ports",
        env = "CLAVIGER_OUTBOUND_PORTS",
        hide_env_values = true,
        value_name = "PORTS",
        value_delimiter = ','
    )]
    pub ports: Option<Vec<u16>>,

    /// Private networks to which webhooks may go, with commas between them [default: none]
    #[arg(
        id = "outbound_networks",
        long = "outbound-networks",
        env = "CLAVIGER_OUTBOUND_NETWORKS",
        hide_env_values = true,
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub networks: Option<Vec<Network>>,
}

/// The section `[mail]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct MailSettings {
    /// Server that mails go to, `smtps://user:password@mail.example.com`
    /// [default: none, they are files in outbox/ in the folder]
    #[arg(
        id = "mail_url",
        long = "mail-url",
        env = "CLAVIGER_MAIL_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub url: Option<Secret>,

    /// File with that URL, for one that has a password
    #[arg(
        id = "mail_url_file",
        long = "mail-url-file",
        env = "CLAVIGER_MAIL_URL_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub url_file: Option<PathBuf>,

    /// Who mails are from; by default `Claviger <claviger@localhost>`
    #[arg(
        id = "mail_from",
        long = "mail-from",
        env = "CLAVIGER_MAIL_FROM",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    pub from: Option<String>,

    /// File with certificates, in PEM, of authorities that vouch for that server's, beside the usual ones
    /// [default: none]
    #[arg(
        id = "mail_ca_file",
        long = "mail-ca-file",
        env = "CLAVIGER_MAIL_CA_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}
