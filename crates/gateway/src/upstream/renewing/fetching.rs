//! The fetching of another token: claimed among programs, asked for, and stored. All of it is in a task of its
//! own, which nobody's hanging up ends: what was fetched is not lost, and no claim is left behind.

use std::sync::Arc;
use std::time::Duration;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_edge::Core;
use claviger_outbound::Upstreams;
use claviger_store::StoreError;
use claviger_store::connected_accounts;
use claviger_store::sealing::SealingKey;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::{sleep, timeout};

use super::{REFUSED_FOR, WAITING};
use crate::credentials::Credentials;
use crate::in_flight::Place;
use crate::renewals::{Left, digest};
use crate::token_server::{TokenServer, With};
use crate::tokens::NoToken;

/// Seconds for which one program has the fetching to itself: longer than that takes.
const CLAIMED_FOR: i64 = 40;
/// How often a program looks whether another one has fetched it.
const LOOKING: Duration = Duration::from_millis(200);
/// How long it is waited, each time, before what could not be stored is stored again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Why there are no other credentials.
pub(super) enum Unrenewed {
    NoToken(NoToken),
    /// Somebody entered others meanwhile, or they are gone.
    Changed,
    Store(StoreError),
}

impl From<StoreError> for Unrenewed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Other credentials, sealed.
type Renewed = Result<Vec<u8>, Unrenewed>;

/// All that fetching needs.
pub(super) struct Fetching {
    pub(super) core: Core,
    pub(super) sealing: Arc<SealingKey>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) id: Id<id::ConnectedAccount>,
    pub(super) sealed: Vec<u8>,
    pub(super) credentials: Credentials,
    pub(super) server: TokenServer,
}

impl Fetching {
    /// Fetches and stores, and tells whoever began it what came of it. Where it cannot be stored, that is
    /// told at once, and storing goes on.
    pub(super) async fn run(
        self,
        mut held: OwnedMutexGuard<Option<Left>>,
        in_flight: Place,
        tell: oneshot::Sender<Renewed>,
    ) {
        let mut waiting = Some(tell);
        // Nobody may be waiting any more.
        let mut tell = |renewed| {
            if let Some(waiting) = waiting.take() {
                drop(waiting.send(renewed));
            }
        };
        let with = digest(&self.sealed);
        let fetched = match held.take() {
            Some(Left::Unstored { with: of, renewed }) if of == with => Ok(renewed),
            _ => match self.claim_or_find().await {
                Ok(None) => self.ask().await,
                Ok(Some(found)) => {
                    tell(Ok(found));
                    return;
                }
                Err(why) => {
                    tell(Err(why));
                    return;
                }
            },
        };
        drop(in_flight);
        let renewed = match fetched {
            Ok(renewed) => renewed,
            Err(why) => {
                let until = self.core.now().plus_seconds(REFUSED_FOR);
                *held = Some(Left::Refused { with, why, until });
                let ended = self.end(None).await;
                tell(Err(ended.err().unwrap_or(Unrenewed::NoToken(why))));
                return;
            }
        };
        for pause in PAUSES.map(Some).into_iter().chain([None]) {
            match self.end(Some(&renewed)).await {
                Err(Unrenewed::Store(error)) => {
                    tell(Err(Unrenewed::Store(error)));
                    if let Some(pause) = pause {
                        self.extend().await;
                        sleep(pause).await;
                    }
                }
                ended => {
                    tell(ended.map(|()| renewed));
                    return;
                }
            }
        }
        *held = Some(Left::Unstored { with, renewed });
    }

    /// Claims the fetching, or finds what another program over the same database has fetched meanwhile.
    async fn claim_or_find(&self) -> Result<Option<Vec<u8>>, Unrenewed> {
        let looking = async {
            loop {
                // Looked at first: to write, each of many would wait for its turn.
                let found = connected_accounts::renewable(&self.core.db, &self.id).await?;
                let found = found.ok_or(Unrenewed::Changed)?;
                if found.sealed != self.sealed {
                    return Ok(Some(found.sealed));
                }
                let now = self.core.now();
                if found.claimed_until.is_none_or(|until| until <= now) && self.claim(now).await? {
                    return Ok(None);
                }
                sleep(LOOKING).await;
            }
        };
        let looked = timeout(WAITING, looking).await;
        looked.unwrap_or(Err(Unrenewed::NoToken(NoToken::TooSlow)))
    }

    async fn claim(&self, now: Timestamp) -> Result<bool, StoreError> {
        let (id, sealed) = (self.id.clone(), self.sealed.clone());
        let until = now.plus_seconds(CLAIMED_FOR);
        let claimed = self.core.db.write(move |tx| {
            Box::pin(async move {
                connected_accounts::claim_renewal(tx, &id, &sealed, now, until).await
            })
        });
        claimed.await
    }

    /// Keeps others from asking with what may be good no more. It fails where storing does.
    async fn extend(&self) {
        let (id, sealed) = (self.id.clone(), self.sealed.clone());
        let until = self.core.now().plus_seconds(CLAIMED_FOR);
        let extended = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(
                async move { connected_accounts::extend_renewal(tx, &id, &sealed, until).await },
            )
        });
        if let Err(error) = extended.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                connected_account = %self.id,
                "a token was fetched and cannot be stored"
            );
        }
    }

    async fn ask(&self) -> Result<Vec<u8>, NoToken> {
        let before = self.credentials.grant.as_ref();
        let refresh = before.and_then(|grant| grant.refresh.as_ref());
        let with = With::Refresh(refresh.ok_or(NoToken::Refused)?);
        let clock = &*self.core.clock;
        let grant = self.server.ask(&self.upstreams, with, clock).await?;
        let renewed = self.credentials.clone().with(grant);
        Ok(renewed.seal(&self.sealing, &self.id, &*self.core.random))
    }

    /// Stores others in the place of those that they were fetched with, or lets others fetch some.
    async fn end(&self, renewed: Option<&Vec<u8>>) -> Result<(), Unrenewed> {
        let (id, sealed, renewed) = (self.id.clone(), self.sealed.clone(), renewed.cloned());
        let change = self.core.change(&Actor::System);
        let kept = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let renewed = renewed.as_deref();
                connected_accounts::end_renewal(tx, &change, &id, &sealed, renewed).await
            })
        });
        if kept.await? {
            Ok(())
        } else {
            Err(Unrenewed::Changed)
        }
    }
}
