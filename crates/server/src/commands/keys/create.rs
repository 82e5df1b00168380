//! `claviger keys create`: a key from its flags.

use anyhow::{Context, Result, bail};
use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};

use crate::commands::client::Asked;
use crate::commands::read_line;

/// What a new key is to have.
#[derive(Args, Debug)]
pub(super) struct CreateFlags {
    /// What to call it
    name: String,
    /// The project to make it in; not needed where there is one only
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Your own id of the customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Your own id of the user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// When it ends, such as 2030-01-31 or 2030-01-31T12:00:00Z
    #[arg(long, value_name = "DATE")]
    expiry: Option<String>,
    /// Requests in a minute
    #[arg(long, value_name = "REQUESTS")]
    per_minute: Option<u64>,
    /// Requests in a day or a month, such as 10000/month
    #[arg(long, value_name = "LIMIT/PERIOD")]
    quota: Option<String>,
    /// A scope that it has; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A host name that it is locked to, such as *.example.com; can be repeated
    #[arg(long = "domain", value_name = "HOST")]
    domains: Vec<String>,
    /// A network that it is locked to, such as 192.0.2.0/24; can be repeated
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// JSON that comes back when it is checked
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Take the key string from standard input, where your customer has one already
    #[arg(long)]
    key_from_stdin: bool,
    /// Print the key alone
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl CreateFlags {
    /// The request that they come to.
    pub(super) fn asked(self) -> Result<Asked> {
        let mut body = Map::from_iter([("name".to_owned(), json!(self.name))]);
        let mut set = |name: &str, value: Option<Value>| {
            body.extend(value.map(|value| (name.to_owned(), value)));
        };
        let list = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
        set("projectId", self.project.map(Value::from));
        set("customAccountId", self.customer.map(Value::from));
        set("customUserId", self.user.map(Value::from));
        set("expiry", self.expiry.map(Value::from));
        let limit = self
            .per_minute
            .map(|limit| json!({"rateLimit": limit, "rateLimitTtl": 60}));
        set("rateLimitConfigs", limit);
        set("quota", self.quota.as_deref().map(quota).transpose()?);
        set("scopes", list(self.scopes));
        set("allowedDomains", list(self.domains));
        set("allowedIps", list(self.networks));
        let metadata = self
            .metadata
            .as_deref()
            .map(serde_json::from_str)
            .transpose();
        set("customMetaData", metadata.context("--metadata is no JSON")?);
        if self.key_from_stdin {
            set("key", Some(json!(read_line()?)));
        }
        Ok(Asked::new(Method::POST, ["api-keys"]).body(Value::Object(body)))
    }
}

/// Reads `10000/month`.
fn quota(text: &str) -> Result<Value> {
    let parts = text.split_once('/');
    let read = parts.and_then(|(limit, period)| Some((limit.parse::<u64>().ok()?, period)));
    match read {
        Some((limit, period @ ("day" | "month"))) => Ok(json!({"limit": limit, "period": period})),
        _ => bail!("--quota is {text}, and must be such as 10000/month or 500/day"),
    }
}
