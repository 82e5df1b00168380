//! Combinations of settings that work and that somebody should know of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Config, MasterKeySource};

/// Where clouds tell a machine what it may do, and with which credentials.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

impl Config {
    /// What is risky about these settings: a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let folder = self.data_dir.display();
        if matches!(self.master_key, MasterKeySource::DataDirectory) {
            warnings.push(format!(
                "The master key lies in {folder}, beside what it seals: whoever copies that folder \
                 can open it. Keep it elsewhere with CLAVIGER_MASTER_KEY_FILE."
            ));
        }
        if self.new_master_key.is_some() {
            warnings.push(
                "A new master key is given: run `claviger secrets rotate-master-key`, give the new key \
                 in the place of the old one, and take CLAVIGER_NEW_MASTER_KEY away."
                    .to_owned(),
            );
        }
        if self.operator_remote {
            warnings.push(
                "The operator key is taken from other machines (operator.remote): it opens every \
                 account."
                    .to_owned(),
            );
        }
        if self.outbound_allow_private {
            warnings.push(
                "Webhooks may go to this machine and to private networks (outbound.allow_private): \
                 whoever makes one reaches what only this machine should. For development only."
                    .to_owned(),
            );
        }
        for network in &self.outbound_networks {
            if METADATA.iter().any(|address| network.contains(address)) {
                warnings.push(format!(
                    "Webhooks may go to {network} (outbound.networks), where clouds tell a machine \
                     its credentials: whoever makes a webhook reaches what only this machine should."
                ));
            }
        }
        for network in &self.trusted_proxies {
            if network.prefix_len() == 0 {
                warnings.push(format!(
                    "Every address of {network} is taken for a proxy that tells the truth \
                     (trusted_proxies): anybody can choose the address that they come from."
                ));
            }
        }
        let is_local = self.listen.ip().is_loopback();
        let listen = self.listen;
        if !is_local && self.public_url.is_none() {
            warnings.push(format!(
                "Listening on {listen} without a public_url: links that are handed out begin with \
                 an address of this machine, which others may not reach."
            ));
        }
        if self.mail_url.is_some()
            && let Some(url) = self.public_url.as_ref()
            && url.starts_with("http://")
        {
            warnings.push(format!(
                "Mails have links that begin with {url}: their tokens cross the network in the clear, and \
                 whoever reads one is signed in by it."
            ));
        }
        let is_encrypted = self.tls.is_some()
            || self
                .public_url
                .as_ref()
                .is_some_and(|url| url.starts_with("https://"));
        if !is_local && !is_encrypted {
            warnings.push(format!(
                "Listening on {listen} without an https:// public_url: keys cross the network in \
                 the clear unless a proxy encrypts them."
            ));
        }
        warnings.extend(self.retention.warnings());
        warnings
    }
}
