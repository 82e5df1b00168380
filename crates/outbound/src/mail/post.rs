//! The post office: seals what is to be said, and sends what is due.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use claviger_domain::base62;
use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::random::Random;
use claviger_domain::time::{Clock, Timestamp};
use claviger_store::mails::{self, Claimed, LEASE_SECONDS, MailStatus, NewMail};
use claviger_store::sealing::{Purpose, SealingKey};
use claviger_store::{Change, Db, StoreError};
use futures::future::join_all;
use lettre::address::AddressError;
use lettre::message::Mailbox;
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::compose::{Letter, Written};
use super::transport::{MailFault, Outgoing, Transport};

/// Mails that are claimed at once.
const AT_ONCE: i64 = 10;
/// How long sending one may take: well within its lease, so that nobody else sends it meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);
const _: () = assert!(PATIENCE.as_secs() * 2 <= LEASE_SECONDS.unsigned_abs());
/// Seconds until a mail that was not taken is tried again, by how often it was tried.
const DELAYS: [i64; 6] = [10, 30, 60, 300, 900, 3_600];

/// What the post office needs.
#[derive(Debug)]
pub struct PostSettings {
    /// Where mails wait.
    pub db: Db,
    /// What they are sealed under.
    pub sealing: Arc<SealingKey>,
    /// How they leave.
    pub transport: Transport,
    /// Who they are from: an address, or `Name <address>`.
    pub from: String,
}

/// Numbers of mails, for whoever watches the program.
#[derive(Debug, Default)]
pub struct MailFigures {
    sent: AtomicU64,
    failed: AtomicU64,
    put_off: AtomicU64,
    waiting: AtomicU64,
    oldest_us: AtomicU64,
}

impl MailFigures {
    /// Mails that a server took, or that are files now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Mails that were given up.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Attempts after which a mail waits for another one.
    pub fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    /// Mails that wait, when it was last looked.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long the oldest of those has waited, in microseconds.
    pub fn oldest_us(&self) -> u64 {
        self.oldest_us.load(Ordering::Relaxed)
    }
}

/// What came of trying to send a mail.
enum Tried {
    Sent,
    /// It was of no use any more, or nobody's.
    Over,
    NotTaken(Claimed, MailFault),
}

/// Seals mails, and sends those that are due.
pub struct Post {
    settings: PostSettings,
    from: Mailbox,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    figures: MailFigures,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[post]")
    }
}

impl Post {
    /// Opens one.
    pub fn new(
        settings: PostSettings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, AddressError> {
        Ok(Self {
            from: settings.from.parse()?,
            settings,
            clock,
            random,
            figures: MailFigures::default(),
        })
    }

    /// Its numbers.
    pub const fn figures(&self) -> &MailFigures {
        &self.figures
    }

    /// Writes and seals a letter, to be queued with the change that it tells of.
    pub fn seal(
        &self,
        letter: &Letter,
        to: &Email,
        about: &str,
        is_for_users: bool,
        expires_at: Timestamp,
    ) -> NewMail {
        let id = mails::draw_id(&*self.random);
        let written = serde_json::to_vec(&letter.write()).expect("texts always serialize");
        let sealing = &self.settings.sealing;
        NewMail {
            sealed: sealing.seal(Purpose::Mails, &id, &written, &*self.random),
            id,
            kind: letter.kind(),
            about: about.to_owned(),
            to: to.clone(),
            is_for_users,
            expires_at,
        }
    }

    /// Sends what is due, and tells how many mails were looked at.
    pub async fn deliver(&self) -> Result<usize, StoreError> {
        let db = &self.settings.db;
        if !mails::is_due(db, self.clock.now()).await? {
            return Ok(0);
        }
        let lease = base62::random_text(&*self.random, 20);
        let claimed = mails::claim(db, &lease, AT_ONCE, self.clock.now()).await?;
        let count = claimed.len();
        // All at once: none waits behind others until its lease is over, and somebody else sends it, too.
        let all = claimed.into_iter().map(|mail| self.try_one(&lease, mail));
        let tried: Vec<_> = join_all(all).await.into_iter().collect::<Result<_, _>>()?;
        let some_sent = tried.iter().any(|one| matches!(one, Tried::Sent));
        for one in tried {
            if let Tried::NotTaken(mail, fault) = one {
                self.settle(&lease, &mail, &fault, some_sent).await?;
            }
        }
        Ok(count)
    }

    async fn try_one(&self, lease: &str, mail: Claimed) -> Result<Tried, StoreError> {
        let (db, id, kind) = (&self.settings.db, &*mail.id, &*mail.kind);
        if mail.expires_at <= self.clock.now() {
            tracing::error!(
                mail = id,
                kind,
                "a mail was not taken until it was of no use"
            );
            self.give_up(lease, &mail).await?;
            return Ok(Tried::Over);
        }
        if !mail.is_wanted {
            // Nobody signed up with that address, and whoever asked does not learn it.
            mails::forget(db, lease, id).await?;
            return Ok(Tried::Over);
        }
        let sent = timeout(PATIENCE, self.send(&mail)).await;
        match sent.unwrap_or(Err(MailFault::Timeout)) {
            Ok(()) => {
                self.figures.sent.fetch_add(1, Ordering::Relaxed);
                if let Transport::Folder(folder) = &self.settings.transport {
                    let folder = folder.display();
                    tracing::info!(mail = id, kind, %folder, "no mail server is configured, the mail is a file");
                }
                // At once, whatever becomes of the others: it must not be sent again.
                mails::end(db, lease, id, MailStatus::Sent, self.clock.now()).await?;
                Ok(Tried::Sent)
            }
            Err(fault) => Ok(Tried::NotTaken(mail, fault)),
        }
    }

    /// Puts a mail off that was not taken, or gives it up.
    async fn settle(
        &self,
        lease: &str,
        mail: &Claimed,
        fault: &MailFault,
        some_sent: bool,
    ) -> Result<(), StoreError> {
        let may_pass = fault.may_pass(some_sent);
        tell_fault(mail, fault, may_pass);
        if !may_pass {
            return self.give_up(lease, mail).await;
        }
        let tried = usize::try_from(mail.attempts).unwrap_or(usize::MAX);
        let delay = DELAYS[tried.min(DELAYS.len() - 1)];
        self.figures.put_off.fetch_add(1, Ordering::Relaxed);
        let until = self.clock.now().plus_seconds(delay);
        mails::put_off(&self.settings.db, lease, &mail.id, until).await
    }

    /// Ends a mail that is not sent, and tells the people whose it was.
    async fn give_up(&self, lease: &str, mail: &Claimed) -> Result<(), StoreError> {
        self.figures.failed.fetch_add(1, Ordering::Relaxed);
        let change = Change {
            now: self.clock.now(),
            actor: Actor::System,
            random: Arc::clone(&self.random),
        };
        mails::fail(&self.settings.db, lease, &mail.id, change).await
    }

    async fn send(&self, mail: &Claimed) -> Result<(), MailFault> {
        let opened = self
            .settings
            .sealing
            .open(Purpose::Mails, &mail.id, &mail.sealed);
        let written = opened
            .ok()
            .and_then(|opened| serde_json::from_slice::<Written>(opened.expose_secret()).ok());
        let written = written.ok_or(MailFault::Unsealed)?;
        let micros = self.clock.now().as_micros().max(0).unsigned_abs();
        let outgoing = Outgoing {
            id: &mail.id,
            from: &self.from,
            to: &mail.recipient,
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(micros),
            written,
        };
        self.settings.transport.send(outgoing).await
    }

    /// Notes how much waits.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let (waiting, oldest) = mails::backlog(&self.settings.db).await?;
        let waiting = u64::try_from(waiting).unwrap_or(0);
        let age = oldest.map_or(0, |oldest| self.clock.now().micros_since(oldest));
        self.figures.waiting.store(waiting, Ordering::Relaxed);
        let age = u64::try_from(age).unwrap_or(0);
        self.figures.oldest_us.store(age, Ordering::Relaxed);
        Ok(())
    }
}

/// Says why a mail did not leave, once, and nothing of what it says.
fn tell_fault(mail: &Claimed, fault: &MailFault, may_pass: bool) {
    let (id, kind, error) = (&*mail.id, &*mail.kind, fault as &dyn Error);
    if may_pass {
        tracing::warn!(
            mail = id,
            kind,
            error,
            "a mail is not taken, it is tried again"
        );
    } else {
        tracing::error!(mail = id, kind, error, "a mail is given up");
    }
}
