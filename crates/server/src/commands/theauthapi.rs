//! `claviger import theauthapi`: moves projects and keys here from another server with the same API.

mod listed;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use claviger_domain::plain_text;
use http::Method;
use serde_json::{Value, json};

use self::listed::{is_rotated, is_shown, moved};
use super::client::{Asked, Client};
use super::report::Report;
use super::rows::{Row, Rows};
use super::sending::{Counts, Target, send_all};
use super::server::ServerFlags;
use super::waiting::Waiting;
use super::{Ending, SERVER_HELP};
use crate::config::Secret;
use crate::output::{json_text, print, tell};

const HELP: &str = "\
Examples:
  export CLAVIGER_FROM_ACCESS_KEY=…
  claviger import theauthapi --from-url https://api.theauthapi.com --dry-run
  claviger import theauthapi --from-url https://api.theauthapi.com

A project is found here by its name and environment, and made where there is none; of several that are alike
the first here is for the first there. A key comes with its name, metadata,
customer, user, limit, quota, expiry, locks, scopes and status, and with its key string where the other
server's list shows it in full: then nobody has to change anything. Where the list masks key strings they
cannot be had; those keys are counted, named in the report, and have to be re-issued to their holders, for
example with `claviger keys create`. If you have the key strings or their hashes, `claviger keys import` takes them.

Keys that were rotated there and still pass for a time are left behind: their successors come.

A server that has no room, and says when to come again, is asked again for two minutes. An import that was cut
short is simply run again: what is there already is left as it is. Exit code 1 when a
key was refused or has to be re-issued; see the report.";

/// Move projects and keys here from another server
#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand, Debug)]
enum Source {
    /// From The Auth API, or another Claviger
    #[command(after_help = HELP, after_long_help = format!("{HELP}\n\n{SERVER_HELP}"))]
    Theauthapi(From),
}

#[derive(Args, Debug)]
struct From {
    /// Where the other server is
    #[arg(
        id = "from_url",
        long = "from-url",
        env = "CLAVIGER_FROM_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: String,
    /// Its access key; better in the variable, where no other user reads it
    #[arg(
        id = "from_access_key",
        long = "from-access-key",
        env = "CLAVIGER_FROM_ACCESS_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    access_key: Secret,
    /// Its account, where the access key reaches several
    #[arg(id = "from_account", long = "from-account", value_name = "ID")]
    account: Option<String>,
    /// Where to tell which keys were refused or have to be re-issued
    #[arg(long, default_value = "theauthapi.report.ndjson", value_name = "FILE")]
    report: PathBuf,
    /// Tell what would be moved, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// What came of all projects.
#[derive(Default)]
struct Totals {
    projects: u64,
    projects_made: u64,
    counts: Counts,
    to_reissue: u64,
    rotated: u64,
}

impl Import {
    /// Moves everything.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let Source::Theauthapi(from) = self.source;
        let here = flags.client()?;
        let there = Client::new(&from.url, from.access_key.clone())?;
        if here.url() == there.url() {
            bail!(
                "{} is this server itself: --from-url is the other one",
                there.url()
            );
        }
        let mut report = Report::new(from.report.clone())?;
        let totals = from.move_all(&there, &here, &mut report).await?;
        let reported = report.finish()?;
        let Counts {
            created,
            exists,
            refused,
        } = totals.counts;
        print(&if flags.json {
            let summary = json!({
                "projects": totals.projects, "projectsCreated": totals.projects_made,
                "created": created, "exists": exists, "refused": refused,
                "toReissue": totals.to_reissue, "rotated": totals.rotated, "report": reported, "dryRun": from.dry_run,
            });
            json_text(&summary)
        } else {
            totals.tell(from.dry_run, reported.as_ref())
        });
        let is_whole = refused == 0 && totals.to_reissue == 0;
        Ok(if is_whole {
            Ending::Done
        } else {
            Ending::Refused
        })
    }
}

impl From {
    async fn move_all(&self, there: &Client, here: &Client, report: &mut Report) -> Result<Totals> {
        let waiting = Waiting::default();
        let asked = Asked::new(Method::GET, ["projects"]).with("accountId", self.account.as_ref());
        let theirs = list(there, &waiting, asked)
            .await
            .context("the other server")?;
        let ours = list(here, &waiting, Asked::new(Method::GET, ["projects"])).await?;
        let mut totals = Totals::default();
        for (place, project) in theirs.iter().enumerate() {
            totals.projects += 1;
            let name = project["name"].as_str().unwrap_or_default();
            let mut target = Target {
                client: here.clone(),
                project: None,
                dry_run: self.dry_run,
            };
            // As lists are by creation, so it is the same one when this is run again.
            let earlier = theirs[..place].iter().filter(|one| is_alike(one, project));
            let mut alike = ours.iter().filter(|one| is_alike(one, project));
            let found = alike.nth(earlier.count());
            target.project = found.and_then(|one| one["id"].as_str()).map(str::to_owned);
            if target.project.is_none() {
                totals.projects_made += 1;
                if !self.dry_run {
                    let body = json!({"name": name, "env": project["env"].as_str()});
                    let asked = Asked::new(Method::POST, ["projects"]).body(body);
                    let made = waiting.send_once(here, || asked.clone()).await?.body;
                    target.project = made["id"].as_str().map(str::to_owned);
                }
            }
            let asked =
                Asked::new(Method::GET, ["api-keys"]).with("projectId", project["id"].as_str());
            let keys = list(there, &waiting, asked)
                .await
                .context("the other server")?;
            self.move_keys(&target, name, &keys, report, &mut totals)
                .await?;
        }
        Ok(totals)
    }

    async fn move_keys(
        &self,
        target: &Target,
        project: &str,
        keys: &[Value],
        report: &mut Report,
        totals: &mut Totals,
    ) -> Result<()> {
        let mut rows = Vec::new();
        for (place, key) in (0u64..).zip(keys) {
            if is_rotated(key) {
                totals.rotated += 1;
                note(report, project, key, "rotated", &Value::Null)?;
            } else if is_shown(key) {
                let read = serde_json::value::to_raw_value(&moved(key));
                let read = read.map_err(|error| error.to_string());
                rows.push(Row {
                    line: place,
                    read,
                    position: place,
                });
            } else {
                totals.to_reissue += 1;
                note(report, project, key, "reissue", &Value::Null)?;
            }
        }
        if target.project.is_none() {
            // A project that would be made has nothing yet that could stand in the way.
            totals.counts.created += rows.len() as u64;
            return Ok(());
        }
        if !rows.is_empty() {
            tell(&format!(
                "{}: {} keys",
                plain_text::clean(project),
                rows.len()
            ));
        }
        let length = Some(keys.len() as u64);
        let refused = |place: u64, error: &Value| {
            let key = usize::try_from(place)
                .ok()
                .and_then(|place| keys.get(place));
            note(
                report,
                project,
                key.unwrap_or(&Value::Null),
                "refused",
                error,
            )
        };
        let counts = send_all(target, Rows::Made(rows.into_iter()), length, refused).await?;
        totals.counts.created += counts.created;
        totals.counts.exists += counts.exists;
        totals.counts.refused += counts.refused;
        Ok(())
    }
}

/// Whether two projects have one name and environment.
fn is_alike(one: &Value, other: &Value) -> bool {
    let env = |project: &Value| {
        project["env"]
            .as_str()
            .unwrap_or("live")
            .to_ascii_lowercase()
    };
    one["name"] == other["name"] && env(one) == env(other)
}

async fn list(client: &Client, waiting: &Waiting, asked: Asked) -> Result<Vec<Value>> {
    match waiting.send(client, || asked.clone()).await?.body {
        Value::Array(list) => Ok(list),
        _ => bail!("{} answered something else than a list", client.url()),
    }
}

impl Totals {
    fn tell(&self, dry_run: bool, report: Option<&PathBuf>) -> String {
        let Counts {
            created,
            exists,
            refused,
        } = self.counts;
        let (made, stored) = if dry_run {
            ("would be made", "would be imported")
        } else {
            ("made", "imported")
        };
        let mut text = format!(
            "{} projects, {} of them {made} here\n{created} keys {stored}, {exists} there already, \
             {refused} refused\n",
            self.projects, self.projects_made,
        );
        if self.to_reissue > 0 {
            writeln!(
                text,
                "{} keys have to be re-issued to their holders: the other server does not show their \
                 key strings",
                self.to_reissue
            )
            .expect("a text takes whatever is written");
        }
        if self.rotated > 0 {
            writeln!(
                text,
                "{} keys were rotated there, and are left behind",
                self.rotated
            )
            .expect("a text takes whatever is written");
        }
        if let Some(path) = report {
            writeln!(text, "Report: {}", path.display()).expect("a text takes whatever is written");
        }
        text
    }
}

/// Tells of a key that was not moved, without its key string.
fn note(
    report: &mut Report,
    project: &str,
    key: &Value,
    outcome: &str,
    error: &Value,
) -> Result<()> {
    report.note(&json!({
        "outcome": outcome, "project": project, "id": key["id"], "name": key["name"],
        "customAccountId": key["customAccountId"], "customUserId": key["customUserId"],
        "isActive": key["isActive"], "error": error,
    }))
}
