//! From a configuration to a program that could serve: database, secrets, what the first start makes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use claviger_domain::event::Actor;
use claviger_edge::{Core, CoreParts, Passwords, People};
use claviger_outbound::mail::{Authorities, Post, PostSettings, Transport};
use claviger_outbound::{Client, Firebase, Guard, SystemResolver, Webhooks};
use claviger_store::sealing::{MasterKey, SealingKey};
use claviger_store::secrets::{self, Secrets};
use claviger_store::{Db, StoreError, instance, operator_keys};
use claviger_verify::{Settings, Verifier};

use crate::bootstrap::{Bootstrap, Handover, Member};
use crate::config::Config;
use crate::data_directory::DataDirectory;
use crate::system::Outside;
use crate::{first_start, master_key};

/// Where mails are in the data directory that no server takes.
const OUTBOX: &str = "outbox";

/// The files of SQLite.
const DATABASES: [&str; 2] = ["claviger.db", "usage.db"];

/// A program that could serve.
#[derive(Debug)]
pub(crate) struct Instance {
    /// What every handler needs.
    pub(crate) core: Core,
    /// What secrets are sealed under.
    pub(crate) sealing: Arc<SealingKey>,
    /// The credentials of the first start.
    pub(crate) handover: Handover,
}

impl Instance {
    /// Opens the database, and makes what the first start makes.
    pub(crate) async fn open(
        config: &Config,
        outside: &Outside,
        directory: &mut DataDirectory,
        address: SocketAddr,
    ) -> Result<Self> {
        // What cannot be read is told before anything is opened.
        let handed_over = Bootstrap::read(directory)?;
        let is_sqlite = config.database_url.is_none();
        let has_database = is_sqlite && directory.has(DATABASES[0]);
        let master = master_key::load(
            &config.master_key,
            directory,
            has_database,
            &*outside.random,
        )?;
        let next = master_key::next(config, directory.path())?;
        if is_sqlite {
            for name in DATABASES {
                directory.expect(name);
            }
        }
        let db = Db::open(&config.location())
            .await
            .map_err(|error| explain(error, config))?;
        let opened = Self::set_up(
            db.clone(),
            (master, next),
            config,
            outside,
            directory,
            (handed_over, address),
        )
        .await;
        if opened.is_err() {
            db.close().await;
        }
        opened
    }

    async fn set_up(
        db: Db,
        masters: (MasterKey, Option<MasterKey>),
        config: &Config,
        outside: &Outside,
        directory: &mut DataDirectory,
        (handed_over, address): (Option<Bootstrap>, SocketAddr),
    ) -> Result<Self> {
        let opened = open_secrets(&db, config, directory.path(), masters, outside).await;
        let is_foreign =
            |error: &anyhow::Error| matches!(error.downcast_ref(), Some(StoreError::Unsealing(_)));
        if !opened.as_ref().is_err_and(is_foreign) {
            // From here on something may be sealed under this master key.
            directory.keep();
        }
        let Secrets {
            pepper,
            layers,
            sealing,
        } = match opened.map_err(anyhow::Error::downcast) {
            Ok(secrets) => secrets,
            Err(Ok(error)) => return Err(explain(error, config)),
            Err(Err(error)) => return Err(error),
        };
        let sealing = Arc::new(sealing);
        let verifier = Verifier::start(Settings {
            db: db.clone(),
            pepper,
            sealing: Arc::clone(&sealing),
            clock: Arc::clone(&outside.clock),
            random: Arc::clone(&outside.random),
            key_cache_bytes: config.key_cache as usize * 1_024 * 1_024,
        })
        .await
        .map_err(|error| explain(error, config))?;
        // Before anything is read that another program may change.
        verifier.follow(config.bounds).await.map_err(|error| {
            anyhow::Error::new(error).context("the PostgreSQL database cannot be followed")
        })?;
        let guard = Guard {
            allow_private: config.outbound_allow_private,
            ports: config.outbound_ports.clone(),
            networks: config.outbound_networks.clone(),
            own_url: config.public_url.clone(),
            own_addresses: [address].into_iter().chain(config.metrics_listen).collect(),
        };
        let client = Client::new(guard, Arc::new(SystemResolver));
        let firebase = firebase(config, &client, outside)?;
        let webhooks = Webhooks::new(
            claviger_outbound::Settings {
                db: db.clone(),
                sealing: Arc::clone(&sealing),
                client,
            },
            Arc::clone(&outside.clock),
            Arc::clone(&outside.random),
        );
        let post = Post::new(
            PostSettings {
                db: db.clone(),
                sealing: Arc::clone(&sealing),
                transport: transport(config, directory.path())?,
                from: config.mail_from.clone(),
            },
            Arc::clone(&outside.clock),
            Arc::clone(&outside.random),
        )?;
        let core = Core::of(CoreParts {
            db,
            verifier,
            sealing: Arc::clone(&sealing),
            webhooks: Arc::new(webhooks),
            clock: Arc::clone(&outside.clock),
            random: Arc::clone(&outside.random),
            remote_operator: config.operator_remote,
            trusted_proxies: config.trusted_proxies.as_slice().into(),
            people: People {
                sign_up: config.sign_up,
                public_url: public_url(config, address).into(),
                post: Arc::new(post),
                firebase,
                passwords: Arc::new(Passwords::new(&*outside.random)),
            },
            traffic: Arc::default(),
        });
        // A layer of pepper that was added since is one that this program does not have; from now on
        // it is seen by whoever adds one.
        let expected = core
            .db
            .write::<_, StoreError, _>(move |tx| Box::pin(secrets::expect_layers(tx, layers)));
        expected.await.map_err(|error| explain(error, config))?;
        let handover = if let Some(left) = left_by_an_earlier_start(&core, directory).await? {
            Handover::New(left)
        } else if let Some(made) = make_first(&core, Arc::clone(&sealing), directory).await? {
            Handover::New(made)
        } else {
            handed_over.map_or(Handover::TakenAway, Handover::Done)
        };
        Ok(Self {
            core,
            sealing,
            handover,
        })
    }
}

/// The Firebase project whose users may sign in.
fn firebase(config: &Config, client: &Client, outside: &Outside) -> Result<Option<Arc<Firebase>>> {
    let Some(project) = &config.firebase_project else {
        return Ok(None);
    };
    let keys = client
        .target(&config.firebase_keys)
        .map_err(|fault| anyhow!("firebase.keys {fault}"))?;
    let clock = Arc::clone(&outside.clock);
    let firebase = Firebase::new(project.clone(), client.clone(), keys, clock);
    Ok(Some(Arc::new(firebase)))
}

/// How mails leave.
fn transport(config: &Config, data: &Path) -> Result<Transport> {
    match &config.mail_url {
        Some(url) => {
            let authorities = authorities(config)?;
            Transport::smtp(url.expose(), authorities.as_ref())
                .map_err(|fault| anyhow!("mail.url {fault}"))
        }
        None => Ok(Transport::Folder(outbox(data))),
    }
}

/// Who vouches for the mail server, beside the usual authorities.
fn authorities(config: &Config) -> Result<Option<Authorities>> {
    let Some(file) = &config.mail_ca_file else {
        return Ok(None);
    };
    let shown = file.display();
    let pem =
        std::fs::read(file).with_context(|| format!("mail.ca_file {shown} cannot be read"))?;
    let read = Authorities::read(&pem);
    read.map(Some)
        .map_err(|fault| anyhow!("mail.ca_file {shown} {fault}"))
}

/// Where mails are files, where no server is configured.
pub(crate) fn outbox(data: &Path) -> PathBuf {
    data.join(OUTBOX)
}

/// What links begin with: never what a request says.
pub(crate) fn public_url(config: &Config, address: SocketAddr) -> String {
    let url = || local_url(address, config.tls.is_some());
    config.public_url.clone().unwrap_or_else(url)
}

/// The URL under which this machine reaches the program.
pub(crate) fn local_url(address: SocketAddr, is_encrypted: bool) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    format!("{scheme}://{}", reachable(address))
}

/// Where this machine reaches what listens on `address`.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Opens the secrets with the master key in force, or with the one that takes its place, where an
/// exchange of the two was cut short or is about to be finished by whoever runs the program.
pub(crate) async fn open_secrets(
    db: &Db,
    config: &Config,
    data: &Path,
    (master, next): (MasterKey, Option<MasterKey>),
    outside: &Outside,
) -> Result<Secrets> {
    let (random, now) = (&*outside.random, outside.clock.now());
    let opened = secrets::open(db, &master, random, now).await;
    let (Err(StoreError::Unsealing(_)), Some(next)) = (&opened, next) else {
        return Ok(opened?);
    };
    let by_next = secrets::open(db, &next, random, now).await;
    if matches!(by_next, Err(StoreError::Unsealing(_))) {
        return Ok(opened?);
    }
    let by_next = by_next?;
    if config.new_master_key.is_none()
        && let Err(error) = master_key::replace(data, &master)
    {
        // What opens the secrets is there: the next start tries again.
        tracing::warn!(
            error = format!("{error:#}"),
            "The secrets are under the master key in {}, which cannot take the place of the old one: \
             keep that file.",
            data.join(master_key::NEW).display()
        );
    }
    Ok(by_next)
}

/// What a start kept that was cut short: worth something only where its transaction was committed.
async fn left_by_an_earlier_start(
    core: &Core,
    directory: &DataDirectory,
) -> Result<Option<Bootstrap>> {
    let Some(left) = Bootstrap::read_new(directory)? else {
        return Ok(None);
    };
    let key = left.key(Member::OperatorKey);
    let digest = key.map(|key| core.verifier.digest(key.expose()));
    let is_committed = match digest {
        Some(digest) => operator_keys::find_by_digest(&core.db, &digest, core.now())
            .await?
            .is_some(),
        None => false,
    };
    if is_committed {
        return Ok(Some(left));
    }
    Bootstrap::discard_new(directory)?;
    Ok(None)
}

/// Makes what the first start makes, where nobody has yet.
///
/// The credentials are on the disk before they are committed: a power cut between the two leaves
/// credentials of nothing, which the next start discards; the other way round it would leave an
/// instance that nobody can enter.
async fn make_first(
    core: &Core,
    sealing: Arc<SealingKey>,
    directory: &DataDirectory,
) -> Result<Option<Bootstrap>> {
    let change = core.change(&Actor::System);
    let verifier = Arc::clone(&core.verifier);
    let place = Bootstrap::new_place(directory);
    core.db
        .write::<_, anyhow::Error, _>(move |tx| {
            Box::pin(async move {
                if !instance::is_new(tx).await? {
                    return Ok(None);
                }
                let made = first_start::make(tx, &change, &verifier, &sealing).await?;
                let bootstrap = made.bootstrap();
                bootstrap.keep_new(&place)?;
                Ok(Some(bootstrap))
            })
        })
        .await
}

/// The sentence for whoever starts the program.
pub(crate) fn explain(error: StoreError, config: &Config) -> anyhow::Error {
    let place = match &config.database_url {
        Some(_) => "the PostgreSQL database".to_owned(),
        None => format!("the database in {}", config.data_dir.display()),
    };
    match error {
        StoreError::Unsealing(_) => {
            let origin = master_key::origin(config);
            anyhow!("{place} was made with another master key than the one in {origin}")
        }
        StoreError::Newer(migration) => anyhow!(
            "{place} was written by a newer claviger (migration {migration}): start that one, or \
             put back the backup from before it"
        ),
        other => anyhow::Error::new(other).context(format!("{place} cannot be opened")),
    }
}
