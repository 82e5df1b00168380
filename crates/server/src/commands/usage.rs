//! `claviger usage`: how often keys were checked.

use anyhow::Result;
use clap::{Args, Subcommand};
use claviger_domain::plain_text;
use http::Method;

use super::call::{Call, Shown};
use super::client::{Asked, Client};
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, Refusal};

const TOTALS: &[Column] = &[
    ("DATE", "/date"),
    ("CHECKS", "/total"),
    ("PASSED", "/successful"),
    ("FAILED", "/failed"),
    ("LIMITED", "/rateLimited"),
];
const KEYS: &[Column] = &[
    ("DATE", "/date"),
    ("KEY", "/id"),
    ("NAME", "/name"),
    ("CUSTOMER", "/customAccountId"),
    ("CHECKS", "/total"),
    ("PASSED", "/successful"),
    ("FAILED", "/failed"),
    ("LIMITED", "/rateLimited"),
];
const FIRST_CALLS: &[Column] = &[
    ("PROJECT", "/projectId"),
    ("NAME", "/name"),
    ("CREATED", "/createdAt"),
    ("FIRST CALL", "/firstCallAt"),
    ("SECONDS", "/secondsToFirstCall"),
];

/// What of usage the server is asked.
#[derive(Subcommand, Debug)]
pub(crate) enum UsageQuery {
    /// Count the checks of a project
    Totals {
        #[command(flatten)]
        range: Range,
        /// `date`, or `-total` for the most checks first
        #[arg(long, default_value = "date", allow_hyphen_values = true)]
        sort: String,
        #[command(flatten)]
        server: ServerFlags,
    },
    /// Count the checks of each key
    Keys {
        #[command(flatten)]
        range: Range,
        /// Of this key only
        #[arg(long, value_name = "ID")]
        key: Option<String>,
        /// `date`, or `-total` for the most checks first [default: key by key]
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
        /// How many lines, at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// All of them
        #[arg(long, conflicts_with_all = ["limit", "sort"])]
        all: bool,
        #[command(flatten)]
        server: ServerFlags,
    },
    /// Show how long it took until the first key of each project passed
    FirstCalls {
        /// Of this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        #[command(flatten)]
        server: ServerFlags,
    },
}

/// Of what, and from when to when.
#[derive(Args, Debug)]
pub(crate) struct Range {
    /// The project [default: the only one]
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// `hour`, `day`, `week`, `month` or `year`
    #[arg(long, default_value = "day", value_name = "GROUPING")]
    by: String,
    /// From when on, such as 2030-01-01 [default: 24 hours, 30 days, 12 weeks, 12 months or 5 years ago]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Up to when, and without that [default: now]
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// Keys of this customer only; `null` for those of none
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Keys of this user only; `null` for those of none
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl Range {
    async fn asked(self, of: &str, client: &Client) -> Result<Asked> {
        let project = match self.project {
            Some(project) => project,
            None => only_project(client).await?,
        };
        Ok(Asked::new(Method::GET, ["analytics", of])
            .with("projectId", Some(project))
            .with("dateGrouping", Some(self.by))
            .with("from", self.from)
            .with("to", self.to)
            .with("customAccountId", self.customer)
            .with("customUserId", self.user))
    }
}

impl UsageQuery {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        match self {
            Self::Totals {
                range,
                sort,
                server,
            } => {
                let client = server.client()?;
                let asked = range.asked("project-totals", &client).await?;
                let call = Call::new(asked.with("sort", Some(sort)), Shown::List(TOTALS));
                call.carry_out_with(&server, &client).await
            }
            Self::Keys {
                range,
                key,
                sort,
                limit,
                all,
                server,
            } => {
                let client = server.client()?;
                let asked = range.asked("api-key-totals", &client).await?;
                let asked = asked
                    .with("keyId", key)
                    .with("sort", sort)
                    .with("limit", (!all).then_some(limit));
                let call = Call::new(asked, Shown::List(KEYS));
                call.carry_out_with(&server, &client).await
            }
            Self::FirstCalls { account, server } => {
                let asked = Asked::new(Method::GET, ["analytics", "first-calls"]);
                let asked = asked.with("accountId", account);
                let call = Call::new(asked, Shown::List(FIRST_CALLS));
                call.carry_out(&server).await
            }
        }
    }
}

/// The project that is meant where none is named.
async fn only_project(client: &Client) -> Result<String> {
    let answer = client.send(Asked::new(Method::GET, ["projects"])).await?;
    let listed = answer.body.as_array().map_or(&[][..], Vec::as_slice);
    let shown = |project: &serde_json::Value| {
        let text = |member: &str| plain_text::clean(project[member].as_str().unwrap_or(""));
        format!("{} ({})", text("id"), text("name"))
    };
    match listed {
        [only] => Ok(only["id"].as_str().unwrap_or("").to_owned()),
        [] => Err(Refusal("there is no project".to_owned()).into()),
        many => {
            let names: Vec<_> = many.iter().take(10).map(shown).collect();
            let names = names.join(", ");
            Err(Refusal(format!("name one of the projects with --project: {names}")).into())
        }
    }
}
