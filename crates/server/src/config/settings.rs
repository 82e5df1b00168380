//! What can be set: one struct a section, read from flags, the environment and the file alike.

mod firebase;
mod outgoing;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use claviger_edge::SignUp;
use serde::Deserialize;

pub use self::firebase::FirebaseSettings;
pub use self::outgoing::{MailSettings, OutboundSettings};
use super::kept_for::KeptFor;
use super::network::Network;
use super::pair::first_pair;
use super::period::Period;
use super::secret::Secret;
use super::usage_export::UsageExportSettings;

/// What flags, environment or the file say; what they leave open has a default.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:8420]
    #[arg(
        long,
        env = "CLAVIGER_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    pub listen: Option<SocketAddr>,

    /// Folder for databases, keys and credentials, made when it is missing [default: ./claviger-data]
    #[arg(
        long,
        env = "CLAVIGER_DATA_DIR",
        hide_env_values = true,
        value_name = "FOLDER"
    )]
    pub data_dir: Option<PathBuf>,

    /// URL under which others reach this program, for the links that it hands out
    /// [default: http:// and the address]
    #[arg(
        long,
        env = "CLAVIGER_PUBLIC_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub public_url: Option<String>,

    /// Networks of proxies in front that are believed when they tell whom they were asked by,
    /// with commas between them [default: none]
    #[arg(
        long,
        env = "CLAVIGER_TRUSTED_PROXIES",
        hide_env_values = true,
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub trusted_proxies: Option<Vec<Network>>,

    /// MiB of memory for keys that are checked, some 2,500 keys each; keys beyond it are read from
    /// the database when they are checked [default: 512]
    #[arg(
        long,
        env = "CLAVIGER_KEY_CACHE",
        hide_env_values = true,
        value_name = "MIB"
    )]
    pub key_cache: Option<u32>,

    /// Folder with connector files (`*.yaml`), which all accounts have beside the built-in one
    /// [default: none]
    #[arg(
        long,
        env = "CLAVIGER_CONNECTORS",
        hide_env_values = true,
        value_name = "FOLDER"
    )]
    pub connectors: Option<PathBuf>,

    /// File with the master key: 32 bytes, base64 or hexadecimal [default: master.key in the folder]
    #[arg(
        long,
        env = "CLAVIGER_MASTER_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub master_key_file: Option<PathBuf>,

    /// The master key itself: `master_key`, `CLAVIGER_MASTER_KEY`. No flag, because other users of
    /// a machine can read command lines.
    #[arg(skip)]
    pub master_key: Option<Secret>,

    /// With PostgreSQL: how long changes of other programs over the same database may be unknown
    /// here, before each check asks it [default: 1s]
    #[arg(
        long,
        env = "CLAVIGER_STALENESS_BOUND",
        hide_env_values = true,
        value_name = "PERIOD"
    )]
    pub staleness_bound: Option<Period>,

    /// With PostgreSQL: how long keys in memory are checked on while it is away [default: 5m]
    #[arg(
        long,
        env = "CLAVIGER_AWAY_BOUND",
        hide_env_values = true,
        value_name = "PERIOD"
    )]
    pub away_bound: Option<Period>,

    /// Who may sign up: nobody (`closed`), who is invited (`invited`), or everybody, into an account of
    /// their own (`open`) [default: invited]
    #[arg(
        long,
        env = "CLAVIGER_SIGNUP",
        hide_env_values = true,
        value_name = "WHO"
    )]
    pub signup: Option<SignUpSetting>,

    /// Where the rows are.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Certificates.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// The program's numbers.
    #[command(flatten)]
    pub metrics: MetricsSettings,

    /// The operator key.
    #[command(flatten)]
    pub operator: OperatorSettings,

    /// Requests to places that callers name.
    #[command(flatten)]
    pub outbound: OutboundSettings,

    /// Mail.
    #[command(flatten)]
    pub mail: MailSettings,

    /// Signing in with Firebase.
    #[command(flatten)]
    pub firebase: FirebaseSettings,

    /// Log lines.
    #[command(flatten)]
    pub log: LogSettings,

    /// How long what is kept.
    #[command(flatten)]
    pub retention: RetentionSettings,

    /// Traces.
    #[command(flatten)]
    pub traces: TracesSettings,

    /// Exports of usage.
    #[command(flatten)]
    pub usage_export: UsageExportSettings,
}

/// The section `[database]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// PostgreSQL to keep the rows in, `postgres://user@host/database`
    /// [default: SQLite in the folder]
    #[arg(
        id = "database_url",
        long = "database-url",
        env = "CLAVIGER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub url: Option<Secret>,

    /// File with that URL, for one that has a password
    #[arg(
        id = "database_url_file",
        long = "database-url-file",
        env = "CLAVIGER_DATABASE_URL_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub url_file: Option<PathBuf>,
}

/// The section `[tls]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// File with the certificate and those between it and the root, PEM, for https without a proxy
    #[arg(
        id = "tls_cert",
        long = "tls-cert",
        env = "CLAVIGER_TLS_CERT",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub cert: Option<PathBuf>,

    /// File with the certificate's private key, PEM
    #[arg(
        id = "tls_key",
        long = "tls-key",
        env = "CLAVIGER_TLS_KEY",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub key: Option<PathBuf>,
}

/// The section `[metrics]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Address and port on which /metrics is served to everybody who reaches it
    /// [default: none, with the operator key only]
    #[arg(
        id = "metrics_listen",
        long = "metrics-listen",
        env = "CLAVIGER_METRICS_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    pub listen: Option<SocketAddr>,
}

/// The section `[operator]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorSettings {
    /// Whether the operator key is taken from other machines than this one [default: false]
    #[arg(
        id = "operator_remote",
        long = "operator-remote",
        env = "CLAVIGER_OPERATOR_REMOTE",
        hide_env_values = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub remote: Option<bool>,
}

/// The section `[log]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,sqlx=debug`
    /// [default: info]
    #[arg(
        id = "log_filter",
        long = "log",
        env = "CLAVIGER_LOG",
        hide_env_values = true,
        value_name = "FILTER"
    )]
    pub filter: Option<String>,

    /// How a line looks [default: text]
    #[arg(
        id = "log_format",
        long = "log-format",
        env = "CLAVIGER_LOG_FORMAT",
        hide_env_values = true,
        value_name = "FORMAT"
    )]
    pub format: Option<LogFormat>,
}

/// The section `[retention]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// How long calls stay in the log: days such as 30d, or forever [default: 30d]
    #[arg(
        id = "retention_calls",
        long = "retention-calls",
        env = "CLAVIGER_RETENTION_CALLS",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub calls: Option<KeptFor>,

    /// How long usage is kept by hour, before it is added up to days [default: 90d]
    #[arg(
        id = "retention_usage_by_hour",
        long = "retention-usage-by-hour",
        env = "CLAVIGER_RETENTION_USAGE_BY_HOUR",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub usage_by_hour: Option<KeptFor>,

    /// How long usage is kept at all [default: forever]
    #[arg(
        id = "retention_usage",
        long = "retention-usage",
        env = "CLAVIGER_RETENTION_USAGE",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub usage: Option<KeptFor>,

    /// How long the audit trail is kept, at least 90d [default: forever]
    #[arg(
        id = "retention_events",
        long = "retention-events",
        env = "CLAVIGER_RETENTION_EVENTS",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub events: Option<KeptFor>,

    /// How long rows stay, unseen, that were deleted with their project or account, and MCP servers
    /// after their end [default: 30d]
    #[arg(
        id = "retention_deleted",
        long = "retention-deleted",
        env = "CLAVIGER_RETENTION_DELETED",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub deleted: Option<KeptFor>,

    /// How long mails stay that are files, since no server is configured [default: 7d]
    #[arg(
        id = "retention_mails",
        long = "retention-mails",
        env = "CLAVIGER_RETENTION_MAILS",
        hide_env_values = true,
        value_name = "DAYS"
    )]
    pub mails: Option<KeptFor>,
}

/// The section `[traces]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSettings {
    /// Collector of OpenTelemetry (OTLP over HTTP) that requests are told to as traces, such as
    /// `http://127.0.0.1:4318`; in a build with the feature opentelemetry [default: none]
    #[arg(
        id = "otlp_endpoint",
        long = "otlp-endpoint",
        env = "CLAVIGER_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub otlp_endpoint: Option<String>,

    /// How many of all traces are told, from 0 to 1 [default: 1]
    #[arg(
        id = "traces_ratio",
        long = "traces-ratio",
        env = "CLAVIGER_TRACES_RATIO",
        hide_env_values = true,
        value_name = "RATIO"
    )]
    pub ratio: Option<f64>,
}

/// Who may sign up.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SignUpSetting {
    /// Nobody
    Closed,
    /// Who is invited
    Invited,
    /// Everybody, into an account of their own
    Open,
}

impl From<SignUpSetting> for SignUp {
    fn from(setting: SignUpSetting) -> Self {
        match setting {
            SignUpSetting::Closed => Self::Closed,
            SignUpSetting::Invited => Self::Invited,
            SignUpSetting::Open => Self::Open,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs: one JSON object a line
    Json,
}

impl LogFormat {
    /// `text` or `json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Settings {
    /// These settings, and where they say nothing, `lower`'s.
    ///
    /// A secret and its `_file` twin are one setting: either of them here hides both of `lower`.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        let (master_key, master_key_file) = first_pair(
            (self.master_key, self.master_key_file),
            (lower.master_key, lower.master_key_file),
        );
        let (url, url_file) = first_pair(
            (self.database.url, self.database.url_file),
            (lower.database.url, lower.database.url_file),
        );
        let (mail_url, mail_url_file) = first_pair(
            (self.mail.url, self.mail.url_file),
            (lower.mail.url, lower.mail.url_file),
        );
        Self {
            listen: self.listen.or(lower.listen),
            data_dir: self.data_dir.or(lower.data_dir),
            public_url: self.public_url.or(lower.public_url),
            trusted_proxies: self.trusted_proxies.or(lower.trusted_proxies),
            key_cache: self.key_cache.or(lower.key_cache),
            connectors: self.connectors.or(lower.connectors),
            master_key_file,
            master_key,
            staleness_bound: self.staleness_bound.or(lower.staleness_bound),
            away_bound: self.away_bound.or(lower.away_bound),
            signup: self.signup.or(lower.signup),
            database: DatabaseSettings { url, url_file },
            tls: TlsSettings {
                cert: self.tls.cert.or(lower.tls.cert),
                key: self.tls.key.or(lower.tls.key),
            },
            metrics: MetricsSettings {
                listen: self.metrics.listen.or(lower.metrics.listen),
            },
            operator: OperatorSettings {
                remote: self.operator.remote.or(lower.operator.remote),
            },
            outbound: OutboundSettings {
                allow_private: self.outbound.allow_private.or(lower.outbound.allow_private),
                ports: self.outbound.ports.or(lower.outbound.ports),
                networks: self.outbound.networks.or(lower.outbound.networks),
            },
            mail: MailSettings {
                url: mail_url,
                url_file: mail_url_file,
                from: self.mail.from.or(lower.mail.from),
                ca_file: self.mail.ca_file.or(lower.mail.ca_file),
            },
            firebase: FirebaseSettings {
                project: self.firebase.project.or(lower.firebase.project),
                keys: self.firebase.keys.or(lower.firebase.keys),
            },
            log: LogSettings {
                filter: self.log.filter.or(lower.log.filter),
                format: self.log.format.or(lower.log.format),
            },
            retention: self.retention.over(&lower.retention),
            traces: TracesSettings {
                otlp_endpoint: self.traces.otlp_endpoint.or(lower.traces.otlp_endpoint),
                ratio: self.traces.ratio.or(lower.traces.ratio),
            },
            usage_export: self.usage_export.over(lower.usage_export),
        }
    }
}

impl RetentionSettings {
    fn over(self, lower: &Self) -> Self {
        Self {
            calls: self.calls.or(lower.calls),
            usage_by_hour: self.usage_by_hour.or(lower.usage_by_hour),
            usage: self.usage.or(lower.usage),
            events: self.events.or(lower.events),
            deleted: self.deleted.or(lower.deleted),
            mails: self.mails.or(lower.mails),
        }
    }
}
