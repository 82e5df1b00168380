//! `claviger operator-key`: the keys of whoever runs the instance, changed by whoever has its machine.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{DrawnKey, KeyPurpose};
use claviger_domain::time::Timestamp;
use claviger_store::operator_keys::{self, OperatorKey};
use claviger_store::secrets::expect_layers;
use claviger_store::{Change, Db};

use super::place::PlaceFlags;
use crate::bootstrap::{Bootstrap, Member};
use crate::commands::{Ending, Refusal, confirm};
use crate::config::Config;
use crate::instance::{explain, open_secrets};
use crate::master_key;
use crate::output::{print, tell};
use crate::system::Outside;

const HELP: &str = "\
Examples:
  claviger operator-key list
  claviger operator-key rotate --grace 3600       the old one is taken for an hour more
  claviger operator-key recover                   it was lost: another one, and the lost one ends
  claviger operator-key revoke opr_8dK2vQ0mZpR4xTbW --yes

These work on the database itself, with the master key, whether the server runs or not; a running one
goes by it from then on. A new key is written to bootstrap.json in the data directory (mode 0600), and
printed nowhere: take it to where you keep secrets. The trail of the first account tells of each change.";

/// The keys of whoever runs the server, changed on its machine
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct OperatorKeyCommand {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List them, with those that have ended
    List,
    /// Make a successor of one; the old one stops at once, or after a grace
    Rotate {
        /// Its id [default: the only one]
        id: Option<String>,
        /// Seconds for which the old one is still taken
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        grace: u32,
    },
    /// Make one in the place of one that was lost, and end all others
    Recover {
        /// Leave the others as they are
        #[arg(long)]
        keep_others: bool,
    },
    /// End one at once, and what it made for agents
    Revoke {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

type OperatorKeyId = Id<id::OperatorKey>;

impl OperatorKeyCommand {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let config = self.place.config()?;
        let _held = super::hold(&config)?;
        let db = super::open_beside(&config).await?;
        let done = carry_out(self.command, &config, &db, &outside).await;
        db.close().await;
        done?;
        Ok(Ending::Done)
    }
}

async fn carry_out(command: Verb, config: &Config, db: &Db, outside: &Outside) -> Result<()> {
    let keys = operator_keys::list(db).await?;
    let change = Change {
        actor: Actor::System,
        now: outside.clock.now(),
        random: outside.random.clone(),
    };
    let live = |key: &&OperatorKey| key.is_live_at(change.now);
    match command {
        Verb::List => {
            for key in &keys {
                let state = match key.stops_at {
                    None => "taken".to_owned(),
                    Some(at) if at > change.now => format!("taken until {at}"),
                    Some(at) => format!("ended {at}"),
                };
                print(&format!("{}  made {}  {state}\n", key.id, key.created_at));
            }
            Ok(())
        }
        Verb::Rotate { id, grace } => {
            let mut open = keys.iter().filter(|key| key.stops_at.is_none());
            let old = match (id, open.next(), open.next()) {
                (Some(id), ..) => find(&keys, &id, change.now)?,
                (None, Some(only), None) => only.id.clone(),
                (None, None, _) => bail!("there is none to rotate: claviger operator-key recover"),
                (None, ..) => {
                    bail!("there are several: name one, as claviger operator-key list has it")
                }
            };
            let at = change.now.plus_seconds(grace.into());
            replace(
                config,
                db,
                outside,
                &change,
                New {
                    rotated: Some((old, at)),
                    ended: vec![],
                },
            )
            .await
        }
        Verb::Recover { keep_others } => {
            let others = keys.iter().filter(live).filter(|_| !keep_others);
            let ended = others.map(|key| key.id.clone()).collect();
            replace(
                config,
                db,
                outside,
                &change,
                New {
                    rotated: None,
                    ended,
                },
            )
            .await
        }
        Verb::Revoke { id, yes } => {
            let id = find(&keys, &id, change.now)?;
            if !yes {
                confirm(&format!("{id} is refused from then on. Go on?"))?;
            }
            let now = change.now;
            db.write::<_, anyhow::Error, _>(move |tx| {
                Box::pin(async move {
                    let ended = operator_keys::end(tx, &change, &id, now).await?;
                    only_if(ended, &id)
                })
            })
            .await?;
            if keys.iter().filter(live_at(now)).count() == 1 {
                tell("It was the last one: claviger operator-key recover makes another.");
            }
            print("Revoked.\n");
            Ok(())
        }
    }
}

fn live_at(now: Timestamp) -> impl Fn(&&OperatorKey) -> bool {
    move |key| key.is_live_at(now)
}

fn find(keys: &[OperatorKey], id: &str, now: Timestamp) -> Result<OperatorKeyId> {
    let found = keys
        .iter()
        .find(|key| key.id.as_str() == id && key.is_live_at(now));
    match found {
        Some(key) => Ok(key.id.clone()),
        None => Err(Refusal(format!("there is no operator key {id} that is taken")).into()),
    }
}

/// Undoes what was begun where the key had ended before: somebody else was quicker.
fn only_if(it_ended: bool, id: &OperatorKeyId) -> Result<()> {
    if it_ended {
        Ok(())
    } else {
        Err(Refusal(format!("{id} has ended meanwhile, and nothing was done")).into())
    }
}

/// What a new key takes the place of.
struct New {
    /// One that it succeeds, until when that is still taken.
    rotated: Option<(OperatorKeyId, Timestamp)>,
    /// Those that end.
    ended: Vec<OperatorKeyId>,
}

/// Makes an operator key, ends what it takes the place of, and writes it where the first one was.
///
/// A kill between the commit and the file leaves a key that nobody has: then `recover` makes another.
async fn replace(
    config: &Config,
    db: &Db,
    outside: &Outside,
    change: &Change,
    new: New,
) -> Result<()> {
    let data = &config.data_dir;
    let mut bootstrap = Bootstrap::of_folder(data)?.unwrap_or_else(|| Bootstrap::new(&[]));
    if !data.exists() {
        let making = DirBuilder::new().recursive(true).mode(0o700).create(data);
        making.with_context(|| format!("cannot make {}", data.display()))?;
    }
    let masters = (master_key::find(config)?, master_key::next(config, data)?);
    let opened = open_secrets(db, config, data, masters, outside).await;
    let secrets = opened.map_err(|error| match error.downcast() {
        Ok(error) => explain(error, config),
        Err(error) => error,
    })?;
    let DrawnKey { plain, public } = KeyPurpose::Operator.draw(&*outside.random);
    let id = OperatorKeyId::from_suffix(&public);
    let digest = secrets.pepper.digest(plain.expose());
    let (made, change) = (id.clone(), change.clone());
    let layers = secrets.layers;
    db.write::<_, anyhow::Error, _>(move |tx| {
        Box::pin(async move {
            // Nobody finds a key that is digested under a pepper which is exchanged by now.
            expect_layers(tx, layers).await?;
            operator_keys::create(tx, &change, &made, &digest).await?;
            if let Some((old, at)) = new.rotated {
                let handed_over = operator_keys::hand_over(tx, &change, &old, &made, at).await?;
                only_if(handed_over, &old)?;
            }
            for old in new.ended {
                let ended = operator_keys::end(tx, &change, &old, change.now).await?;
                only_if(ended, &old)?;
            }
            Ok(())
        })
    })
    .await?;
    bootstrap.set(Member::OperatorKey, plain.expose());
    let place = bootstrap.write_to(data).context(
        "the new key is made and could not be written: claviger operator-key recover makes another",
    )?;
    tell(&format!("{id} is in {}, as operatorKey.", place.display()));
    print("Done.\n");
    Ok(())
}
