//! Other tokens for connected accounts whose user consented: fetched shortly before the one that is there
//! ends, by one caller however many wait, in one program however many there are, and stored before they are
//! used, since many servers take what they are fetched with once. Whoever gives up waiting stops nobody.

use std::sync::Arc;
use std::time::Duration;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_edge::{ApiError, Core};
use claviger_outbound::Upstreams;
use claviger_store::connected_accounts::{self, ConnectedAccount};
use claviger_store::sealing::SealingKey;
use claviger_store::{Asker, StoreError};
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::remote::{gone, needs_reauth, no_token};
use crate::connector::access::OAuth;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::renewals::{Refused, Wanting, digest};
use crate::token_server::{TokenServer, With};
use crate::tokens::NoToken;

/// Seconds for which one program has the fetching to itself: longer than that takes.
const CLAIMED_FOR: i64 = 40;
/// Seconds for which those who waited, and whoever comes next, get the refusal that one of them got.
const REFUSED_FOR: i64 = 5;
/// How long somebody waits for a token that others fetch.
const WAITING: Duration = Duration::from_secs(30);
/// How often a program looks whether another one has fetched it.
const LOOKING: Duration = Duration::from_millis(200);

/// Why there are no other credentials.
enum Unrenewed {
    NoToken(NoToken),
    /// Somebody entered others meanwhile, or they are gone.
    Changed,
    Store(StoreError),
}

impl Gateway {
    /// Other credentials, as they are sealed now, where those of a connected account have a token that is
    /// not used any more; none where they are good as they are.
    pub(super) async fn renewed(
        &self,
        account: &Account<'_>,
        sealed: &[u8],
        wanting: Wanting,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Some(oauth) = account.consent() else {
            return Ok(None);
        };
        let connected = account.connected;
        let credentials = self.opened(account, sealed)?;
        let ended = || needs_reauth("the access that was given has ended: connect it anew");
        let grant = credentials.grant.as_ref().ok_or_else(ended)?;
        let may_be_renewed = grant.refresh.is_some();
        let is_good = grant.is_good_at(self.core.now())
            && !(may_be_renewed && self.renewals.is_rejected(sealed));
        match (is_good, may_be_renewed) {
            (true, false) => return Ok(None),
            (true, true) if wanting == Wanting::AGoodOne => return Ok(None),
            (false, false) => return Err(ended()),
            (_, true) => {}
        }
        let place = self.renewals.place(&connected.id);
        let held = timeout(WAITING, place.lock_owned()).await;
        let mut held = held.map_err(|_| no_token(NoToken::TooSlow))?;
        // Whoever waited finds what the others fetched.
        let current = self.sealed_credentials(connected).await?;
        if current != sealed {
            return Ok(Some(current));
        }
        let with = digest(sealed);
        if let Some(refused) = &*held
            && refused.with == with
            && self.core.now() < refused.until
        {
            return Err(no_token(refused.why));
        }
        let in_flight = self.in_flight.take(&connected.account.root)?;
        let renewing = self.renewing(account, oauth, credentials, sealed).await?;
        let found = timeout(WAITING, self.claim_or_find(connected, sealed)).await;
        let found = found.map_err(|_| no_token(NoToken::TooSlow))??;
        if found.is_some() {
            return Ok(found);
        }
        let core = self.core.clone();
        let family = Asker::current();
        let fetching = tokio::spawn(family.scope(async move {
            let renewed = renewing.run().await;
            drop(in_flight);
            *held = match &renewed {
                Err(Unrenewed::NoToken(why)) => Some(Refused {
                    with,
                    why: *why,
                    until: core.now().plus_seconds(REFUSED_FOR),
                }),
                _ => None,
            };
            renewed
        }));
        match timeout(WAITING, fetching).await {
            Ok(Ok(Ok(renewed))) => Ok(Some(renewed)),
            Ok(Ok(Err(Unrenewed::NoToken(why)))) => Err(no_token(why)),
            Ok(Ok(Err(Unrenewed::Changed))) => Err(gone()),
            Ok(Ok(Err(Unrenewed::Store(error)))) => Err(ApiError::from(error).into()),
            Ok(Err(_)) => Err(no_token(NoToken::NotNow)),
            Err(_) => Err(no_token(NoToken::TooSlow)),
        }
    }

    async fn renewing(
        &self,
        account: &Account<'_>,
        oauth: &OAuth,
        credentials: Credentials,
        sealed: &[u8],
    ) -> Result<Renewing, Failure> {
        let connected = account.connected;
        let client = self.client_of(
            &connected.account,
            &connected.integration,
            (account.access, oauth),
        );
        let client = client.await?.ok_or_else(|| {
            needs_reauth("the OAuth client that access was given to is not there any more")
        })?;
        Ok(Renewing {
            core: self.core.clone(),
            sealing: Arc::clone(&self.sealing),
            upstreams: Arc::clone(&self.upstreams),
            id: connected.id.clone(),
            sealed: sealed.to_vec(),
            credentials,
            server: TokenServer {
                target: account.place(self, &oauth.token_url)?,
                client,
                authentication: oauth.client_authentication,
            },
        })
    }

    async fn claim(&self, connected: &ConnectedAccount, sealed: &[u8]) -> Result<bool, Failure> {
        let (id, sealed, now) = (connected.id.clone(), sealed.to_vec(), self.core.now());
        let until = now.plus_seconds(CLAIMED_FOR);
        let claimed = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                connected_accounts::claim_renewal(tx, &id, &sealed, now, until).await
            })
        });
        Ok(claimed.await.map_err(ApiError::from)?)
    }

    /// Claims the fetching, or finds what another program over the same database has fetched meanwhile.
    async fn claim_or_find(
        &self,
        connected: &ConnectedAccount,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Failure> {
        while !self.claim(connected, sealed).await? {
            sleep(LOOKING).await;
            let current = self.sealed_credentials(connected).await?;
            if current != sealed {
                return Ok(Some(current));
            }
        }
        Ok(None)
    }
}

/// All that fetching needs, so that it goes on when nobody waits for it any more.
struct Renewing {
    core: Core,
    sealing: Arc<SealingKey>,
    upstreams: Arc<Upstreams>,
    id: Id<id::ConnectedAccount>,
    sealed: Vec<u8>,
    credentials: Credentials,
    server: TokenServer,
}

impl Renewing {
    async fn run(self) -> Result<Vec<u8>, Unrenewed> {
        let before = self.credentials.grant.as_ref();
        let refresh = before.and_then(|grant| grant.refresh.clone());
        let asked = match &refresh {
            Some(token) => {
                let with = With::Refresh(token);
                let clock = &*self.core.clock;
                self.server.ask(&self.upstreams, with, clock).await
            }
            None => Err(NoToken::Refused),
        };
        let (id, sealed) = (self.id.clone(), self.sealed);
        let renewed = asked.map(|grant| {
            let credentials = self.credentials.with(grant);
            credentials.seal(&self.sealing, &self.id, &*self.core.random)
        });
        let stored = renewed.as_ref().ok().cloned();
        let change = self.core.change(&Actor::System);
        let kept = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let renewed = stored.as_deref();
                connected_accounts::end_renewal(tx, &change, &id, &sealed, renewed).await
            })
        });
        let is_kept = kept.await.map_err(Unrenewed::Store)?;
        let renewed = renewed.map_err(Unrenewed::NoToken)?;
        if is_kept {
            Ok(renewed)
        } else {
            Err(Unrenewed::Changed)
        }
    }
}
