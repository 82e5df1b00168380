//! Networks in the configuration: `10.0.0.0/8`, or a single address.

use std::str::FromStr;

use claviger_domain::address::parse_network;
use ipnet::IpNet;
use serde::Deserialize;

/// A network, as it is written in the configuration.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = parse_network(text).map(Self);
        read.ok_or_else(|| format!("{text:?} is no network such as 10.0.0.0/8, and no address"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
