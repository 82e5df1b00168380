//! Configuration: a flag goes before the environment, that before the file, that before the default.
//!
//! It is read once, here, and passed on. What can be set stands in `config/settings.rs`, with the
//! defaults in words in `default.toml`.

mod kept_for;
mod network;
mod pair;
mod period;
mod retention;
mod secret;
mod settings;
mod show;
mod traces;
mod usage_export;
mod warnings;

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use claviger_edge::SignUp;
use claviger_outbound::Target;
use claviger_outbound::mail::{check_url, sender};
use claviger_store::Location;
use claviger_verify::Bounds;
use http::Uri;
use ipnet::IpNet;

pub use kept_for::KeptFor;
pub use network::Network;
pub use period::Period;
pub use retention::Retention;
pub use secret::Secret;
pub use settings::{
    DatabaseSettings, FirebaseSettings, LogFormat, LogSettings, MailSettings, MetricsSettings,
    OperatorSettings, OutboundSettings, RetentionSettings, Settings, SignUpSetting, TlsSettings,
    TracesSettings,
};
pub use traces::Traces;
pub use usage_export::{
    ExportEvery, ExportFormat, ExportTo, Schedule, UsageExport, UsageExportSettings,
};

/// The default configuration with every setting in a comment.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// How long changes of other programs may be unknown, and memory be believed without a database.
const STALENESS: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_mins(5);
/// Below this, a program would not get its answers in time on a busy day.
const LEAST_STALENESS: Duration = Duration::from_millis(200);

/// Where Google publishes the keys that tokens of all Firebase projects are signed with.
const FIREBASE_KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const MASTER_KEY_VARIABLE: &str = "CLAVIGER_MASTER_KEY";
const NEW_MASTER_KEY_VARIABLE: &str = "CLAVIGER_NEW_MASTER_KEY";
const NEW_MASTER_KEY_FILE_VARIABLE: &str = "CLAVIGER_NEW_MASTER_KEY_FILE";

/// What is in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder for databases, keys and credentials.
    pub data_dir: PathBuf,
    /// What links begin with, without a slash at the end; none: the address that is listened on.
    pub public_url: Option<String>,
    /// The networks of proxies that are believed when they tell whom they were asked by.
    pub trusted_proxies: Vec<IpNet>,
    /// MiB of memory for keys that are checked.
    pub key_cache: u32,
    /// The folder of the instance's own connectors.
    pub connectors: Option<PathBuf>,
    /// Where the master key is.
    pub master_key: MasterKeySource,
    /// How long memory is believed without word of what other programs changed.
    pub bounds: Bounds,
    /// The one that is to take its place, while the two are exchanged.
    pub new_master_key: Option<MasterKeySource>,
    /// Where PostgreSQL is; none: SQLite in the folder.
    pub database_url: Option<Secret>,
    /// Where certificate and key are; none: without TLS.
    pub tls: Option<TlsFiles>,
    /// Where the program's numbers are served to everybody who reaches it.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether operator keys are taken from other machines.
    pub operator_remote: bool,
    /// Whether requests to places that callers name may go to private networks, and to any port.
    pub outbound_allow_private: bool,
    /// Ports to which they may go beside those of the web.
    pub outbound_ports: Vec<u16>,
    /// Private networks to which they may go.
    pub outbound_networks: Vec<IpNet>,
    /// The server that mails go to; none: they are files.
    pub mail_url: Option<Secret>,
    /// Who they are from.
    pub mail_from: String,
    /// File with authorities that vouch for that server, beside the usual ones.
    pub mail_ca_file: Option<PathBuf>,
    /// The Firebase project whose users may sign in.
    pub firebase_project: Option<String>,
    /// Where the keys are that its tokens are signed with.
    pub firebase_keys: String,
    /// What to log.
    pub log_filter: String,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// Who may sign up.
    pub sign_up: SignUp,
    /// How long what is kept.
    pub retention: Retention,
    /// Where traces go; none: nowhere.
    pub traces: Option<Traces>,
    /// When usage is exported, and where to; none: never.
    pub usage_export: Option<UsageExport>,
}

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and the root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the master key is.
#[derive(Clone, Debug)]
pub enum MasterKeySource {
    /// In the configuration or the environment.
    Given(Secret),
    /// In a file that someone else takes care of.
    File(PathBuf),
    /// In the data directory, where the first start makes it.
    DataDirectory,
}

impl Config {
    /// Puts flags and environment over the file, and fills the rest with defaults.
    pub fn read(flags: Settings, file: Option<&Path>) -> Result<Self> {
        let mut upper = flags;
        upper.master_key = variable(MASTER_KEY_VARIABLE)?;
        let lower = match file {
            Some(path) => read_file(path)?,
            None => Settings::default(),
        };
        let mut settings = upper.over(lower);
        if traces::IS_BUILT {
            // The variable that other programs on a machine are told by. A build that sends no traces
            // is not kept from starting by it.
            let endpoint = &mut settings.traces.otlp_endpoint;
            *endpoint = endpoint.take().or_else(|| env::var(OTLP_VARIABLE).ok());
        }
        let mut config = Self::in_force(settings)?;
        // There for an exchange only, so that it is no setting of the file.
        let file = env::var_os(NEW_MASTER_KEY_FILE_VARIABLE).map(PathBuf::from);
        config.new_master_key = match (variable(NEW_MASTER_KEY_VARIABLE)?, file) {
            (Some(_), Some(_)) => {
                bail!(
                    "{NEW_MASTER_KEY_VARIABLE} and {NEW_MASTER_KEY_FILE_VARIABLE} are both given, give one"
                )
            }
            (Some(key), None) => Some(MasterKeySource::Given(key)),
            (None, file) => file.map(MasterKeySource::File),
        };
        Ok(config)
    }

    fn in_force(settings: Settings) -> Result<Self> {
        if settings.mail.url.is_some() != settings.mail.url_file.is_some() {
            must_reach_people(&settings)?;
        }
        let database = settings.database;
        let staleness = settings
            .staleness_bound
            .map_or(STALENESS, |period| period.0);
        if staleness < LEAST_STALENESS {
            let least = Period(LEAST_STALENESS);
            bail!("staleness_bound {} is below {least}", Period(staleness));
        }
        let master_key = match (settings.master_key, settings.master_key_file) {
            (Some(_), Some(_)) => bail!("master_key and master_key_file are both given, give one"),
            (Some(key), None) => MasterKeySource::Given(key),
            (None, Some(path)) => MasterKeySource::File(path),
            (None, None) => MasterKeySource::DataDirectory,
        };
        let retention = Retention::in_force(&settings.retention)?;
        let outbound_allow_private = settings.outbound.allow_private.unwrap_or(false);
        Ok(Self {
            listen: settings
                .listen
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8420))),
            data_dir: settings.data_dir.unwrap_or_else(|| "claviger-data".into()),
            public_url: settings.public_url.as_deref().map(public_url).transpose()?,
            trusted_proxies: networks(settings.trusted_proxies),
            key_cache: settings.key_cache.unwrap_or(512),
            connectors: settings.connectors,
            master_key,
            bounds: Bounds {
                staleness,
                away: settings.away_bound.map_or(AWAY, |period| period.0),
            },
            new_master_key: None,
            database_url: Secret::of_either(
                "database.url",
                database.url,
                database.url_file.as_ref(),
            )?,
            tls: match (settings.tls.cert, settings.tls.key) {
                (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
                (None, None) => None,
                _ => bail!("one of tls.cert and tls.key is given, give both"),
            },
            metrics_listen: settings.metrics.listen,
            operator_remote: settings.operator.remote.unwrap_or(false),
            outbound_allow_private,
            outbound_ports: settings.outbound.ports.unwrap_or_default(),
            outbound_networks: networks(settings.outbound.networks),
            mail_url: mail_url(settings.mail.url, settings.mail.url_file.as_ref())?,
            mail_from: mail_from(settings.mail.from)?,
            mail_ca_file: settings.mail.ca_file,
            firebase_project: settings
                .firebase
                .project
                .map(firebase_project)
                .transpose()?,
            firebase_keys: firebase_keys(settings.firebase.keys)?,
            log_filter: settings.log.filter.unwrap_or_else(|| "info".to_owned()),
            log_format: settings.log.format.unwrap_or(LogFormat::Text),
            sign_up: settings.signup.map_or_else(SignUp::default, Into::into),
            retention,
            traces: Traces::in_force(settings.traces)?,
            usage_export: UsageExport::in_force(
                settings.usage_export,
                retention.usage,
                outbound_allow_private,
            )?,
        })
    }

    /// The host and port of `public_url`.
    pub fn public_host(&self) -> Option<&str> {
        let (_, host) = self.public_url.as_ref()?.split_once("://")?;
        Some(host)
    }

    /// Where the rows are.
    pub fn location(&self) -> Location {
        match &self.database_url {
            Some(url) => Location::Postgres(url.expose().to_owned()),
            None => Location::Folder(self.data_dir.clone()),
        }
    }
}

/// A secret that stands in a variable.
fn variable(name: &str) -> Result<Option<Secret>> {
    match env::var(name) {
        Ok(text) => Ok(Some(Secret::from(text))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("{name} is not text"),
    }
}

fn read_file(path: &Path) -> Result<Settings> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .with_context(|| format!("the configuration file {shown} cannot be read"))?;
    toml::from_str(&text).map_err(|error| {
        // The error's own text quotes the line, which may have a secret in it.
        let before = error.span().map_or("", |span| &text[..span.start]);
        let line = before.matches('\n').count() + 1;
        anyhow!(
            "line {line} of the configuration file {shown} is not understood: {}",
            error.message()
        )
    })
}

fn networks(given: Option<Vec<Network>>) -> Vec<IpNet> {
    let given = given.unwrap_or_default();
    given.into_iter().map(|network| network.0).collect()
}

/// Refuses mail that people would get and could not use, or would not get: a default is for this machine
/// alone.
fn must_reach_people(settings: &Settings) -> Result<()> {
    if settings.public_url.is_none() {
        bail!(
            "mail.url is given without public_url: links in mails would lead whoever follows one, with \
             its token, to a port of their own machine"
        );
    }
    if settings.mail.from.is_none() {
        bail!(
            "mail.url is given without mail.from: servers refuse mails that are from nobody, give an \
             address whose domain says by SPF or DKIM that they are yours"
        );
    }
    Ok(())
}

/// Reads the URL of the server that mails go to, and checks that one can be reached by it.
fn mail_url(url: Option<Secret>, file: Option<&PathBuf>) -> Result<Option<Secret>> {
    let url = Secret::of_either("mail.url", url, file)?;
    if let Some(url) = &url
        && let Err(fault) = check_url(url.expose())
    {
        bail!("mail.url {fault}");
    }
    Ok(url)
}

/// Checks that mails can be from it.
fn mail_from(text: Option<String>) -> Result<String> {
    let text = text.unwrap_or_else(|| "Claviger <claviger@localhost>".to_owned());
    if sender(&text).is_none() {
        bail!("mail.from {text:?} is no address such as Keys <keys@example.com>");
    }
    Ok(text)
}

/// Checks that it can be the id of a Firebase project.
fn firebase_project(text: String) -> Result<String> {
    let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || !text.bytes().all(is_id) {
        bail!("firebase.project {text:?} is no id of a project such as my-project-1a2b");
    }
    Ok(text)
}

/// Checks where keys come from: whoever can change what is fetched signs in as anybody.
fn firebase_keys(text: Option<String>) -> Result<String> {
    let text = text.unwrap_or_else(|| FIREBASE_KEYS.to_owned());
    match Target::parse(&text) {
        Err(fault) => bail!("firebase.keys {fault}"),
        Ok(target) if !target.is_encrypted() && !target.is_local() => {
            bail!("firebase.keys {text:?} must be https://…")
        }
        Ok(_) => Ok(text),
    }
}

/// Checks that links can begin with it.
fn public_url(text: &str) -> Result<String> {
    let trimmed = text.trim_end_matches('/');
    let uri: Uri = trimmed
        .parse()
        .map_err(|_| anyhow!("public_url {text:?} is not a URL"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    let has_user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if !is_web || !is_bare || has_user {
        bail!("public_url {text:?} is not https:// or http:// with a host and nothing more");
    }
    Ok(trimmed.to_owned())
}

#[cfg(test)]
mod tests;
