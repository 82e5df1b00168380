//! What is in force, as a configuration file would say it, with secrets masked.

use std::fmt::{Display, Formatter, Result};

use claviger_outbound::mail::masked_url;
use ipnet::IpNet;

use super::{Config, ExportTo, MasterKeySource, Period};

const MASKED: &str = "\"***\"";

impl Display for Config {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "listen = {}", text(&self.listen))?;
        writeln!(out, "data_dir = {}", text(&self.data_dir.display()))?;
        match &self.public_url {
            Some(url) => writeln!(out, "public_url = {}", text(url))?,
            None => writeln!(out, "# public_url: the address that is listened on")?,
        }
        let networks = |networks: &[IpNet]| {
            let texts = networks.iter().map(|network| text(network));
            toml::Value::Array(texts.collect())
        };
        let proxies = networks(&self.trusted_proxies);
        writeln!(out, "trusted_proxies = {proxies}")?;
        writeln!(out, "key_cache = {}", self.key_cache)?;
        match &self.connectors {
            Some(folder) => writeln!(out, "connectors = {}", text(&folder.display()))?,
            None => writeln!(out, "# connectors: the built-in one alone")?,
        }
        match &self.master_key {
            MasterKeySource::Given(_) => writeln!(out, "master_key = {MASKED}")?,
            MasterKeySource::File(path) => {
                writeln!(out, "master_key_file = {}", text(&path.display()))?;
            }
            MasterKeySource::DataDirectory => {
                writeln!(out, "# master_key: master.key in the data directory")?;
            }
        }
        let bounds = self.bounds;
        let (staleness, away) = (Period(bounds.staleness), Period(bounds.away));
        writeln!(out, "staleness_bound = {}", text(&staleness))?;
        writeln!(out, "away_bound = {}", text(&away))?;
        writeln!(out, "signup = {}", text(&self.sign_up.as_str()))?;
        writeln!(out, "\n[database]")?;
        match &self.database_url {
            Some(_) => writeln!(out, "url = {MASKED}")?,
            None => writeln!(out, "# url: SQLite in the data directory")?,
        }
        writeln!(out, "\n[tls]")?;
        match &self.tls {
            Some(files) => {
                writeln!(out, "cert = {}", text(&files.cert.display()))?;
                writeln!(out, "key = {}", text(&files.key.display()))?;
            }
            None => writeln!(out, "# cert, key: without TLS")?,
        }
        writeln!(out, "\n[metrics]")?;
        match &self.metrics_listen {
            Some(address) => writeln!(out, "listen = {}", text(address))?,
            None => writeln!(out, "# listen: with the operator key only")?,
        }
        writeln!(out, "\n[operator]\nremote = {}", self.operator_remote)?;
        let allow_private = self.outbound_allow_private;
        writeln!(out, "\n[outbound]\nallow_private = {allow_private}")?;
        writeln!(out, "ports = {:?}", self.outbound_ports)?;
        let private = networks(&self.outbound_networks);
        writeln!(out, "networks = {private}")?;
        self.show_people(out)?;
        writeln!(out, "\n[log]\nfilter = {}", text(&self.log_filter))?;
        writeln!(out, "format = {}", text(&self.log_format.as_str()))?;
        let retention = &self.retention;
        writeln!(out, "\n[retention]\ncalls = {}", text(&retention.calls))?;
        let by_hour = text(&retention.usage_by_hour);
        writeln!(out, "usage_by_hour = {by_hour}")?;
        writeln!(out, "usage = {}", text(&retention.usage))?;
        writeln!(out, "events = {}", text(&retention.events))?;
        writeln!(out, "deleted = {}", text(&retention.deleted))?;
        writeln!(out, "mails = {}", text(&retention.mails))?;
        writeln!(out, "\n[traces]")?;
        match &self.traces {
            Some(traces) => {
                writeln!(out, "otlp_endpoint = {}", text(&traces.shown()))?;
                writeln!(out, "ratio = {:?}", traces.ratio)?;
            }
            None => writeln!(out, "# otlp_endpoint, ratio: no traces are sent")?,
        }
        writeln!(out, "\n[usage_export]")?;
        let Some(export) = &self.usage_export else {
            return writeln!(out, "# schedule, to: usage is not exported");
        };
        writeln!(out, "schedule = {}", text(&export.schedule.0))?;
        writeln!(out, "every = {}", text(&export.every.as_str()))?;
        writeln!(out, "format = {}", text(&export.format.as_str()))?;
        writeln!(out, "to = {}", text(&export.shown_to()))?;
        match &export.to {
            ExportTo::Url {
                authorization: Some(_),
                ..
            } => writeln!(out, "authorization = {MASKED}"),
            _ => Ok(()),
        }
    }
}

impl Config {
    /// What people are reached and known by.
    fn show_people(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "\n[mail]")?;
        match &self.mail_url {
            Some(url) => {
                let shown = masked_url(url.expose()).unwrap_or_default();
                writeln!(out, "url = {}", text(&shown))?;
            }
            None => writeln!(out, "# url: files in outbox/ in the data directory")?,
        }
        writeln!(out, "from = {}", text(&self.mail_from))?;
        match &self.mail_ca_file {
            Some(file) => writeln!(out, "ca_file = {}", text(&file.display()))?,
            None => writeln!(out, "# ca_file: the usual authorities alone")?,
        }
        writeln!(out, "\n[firebase]")?;
        match &self.firebase_project {
            Some(project) => writeln!(out, "project = {}", text(project))?,
            None => writeln!(out, "# project: nobody signs in with Firebase")?,
        }
        writeln!(out, "keys = {}", text(&self.firebase_keys))
    }
}

fn text(value: &dyn Display) -> toml::Value {
    toml::Value::String(value.to_string())
}
