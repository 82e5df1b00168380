//! Other tokens for connected accounts whose user consented: fetched shortly before the one that is there
//! ends, by one caller however many wait, in one program however many there are, and stored before they are
//! used, since many servers take what they are fetched with once. Whoever gives up waiting stops nobody.

mod fetching;

use std::sync::Arc;
use std::time::Duration;

use claviger_edge::ApiError;
use claviger_store::Asker;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::fetching::{Fetching, Unrenewed};
use super::account::Account;
use super::remote::{gone, needs_reauth, no_token};
use crate::connector::access::OAuth;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::renewals::{Left, Wanting, digest};
use crate::token_server::TokenServer;
use crate::tokens::NoToken;

/// Seconds for which those who waited, and whoever comes next, get the refusal that one of them got.
const REFUSED_FOR: i64 = 5;
/// How long somebody waits for a token that others fetch.
const WAITING: Duration = Duration::from_secs(30);

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
        let held = held.map_err(|_| no_token(NoToken::TooSlow))?;
        // Whoever waited finds what the others fetched.
        let current = self.sealed_credentials(connected).await?;
        if current != sealed {
            return Ok(Some(current));
        }
        if let Some(Left::Refused { with, why, until }) = &*held
            && *with == digest(sealed)
            && self.core.now() < *until
        {
            return Err(no_token(*why));
        }
        let in_flight = self.in_flight.take(&connected.account.root)?;
        let fetching = self.fetching(account, oauth, credentials, sealed).await?;
        let (tell, told) = oneshot::channel();
        let family = Asker::current();
        tokio::spawn(family.scope(fetching.run(held, in_flight, tell)));
        match timeout(WAITING, told).await {
            Ok(Ok(Ok(renewed))) => Ok(Some(renewed)),
            Ok(Ok(Err(Unrenewed::NoToken(why)))) => Err(no_token(why)),
            Ok(Ok(Err(Unrenewed::Changed))) => Err(gone()),
            Ok(Ok(Err(Unrenewed::Store(error)))) => Err(ApiError::from(error).into()),
            Ok(Err(_)) => Err(no_token(NoToken::NotNow)),
            Err(_) => Err(no_token(NoToken::TooSlow)),
        }
    }

    async fn fetching(
        &self,
        account: &Account<'_>,
        oauth: &OAuth,
        credentials: Credentials,
        sealed: &[u8],
    ) -> Result<Fetching, Failure> {
        let connected = account.connected;
        let client = self.client_of(
            &connected.account,
            &connected.integration,
            (account.access, oauth),
        );
        let client = client.await?.ok_or_else(|| {
            needs_reauth("the OAuth client that access was given to is not there any more")
        })?;
        Ok(Fetching {
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
}
