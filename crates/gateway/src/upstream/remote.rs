//! Calls of other APIs than our own, over the network: with the credential of a connected account, which
//! goes to the origins that it was entered for and to no other.

#![expect(
    clippy::result_large_err,
    reason = "what fails here is passed on as it is, and boxed where the call ends"
)]

use std::sync::Arc;

use claviger_edge::ApiError;
use claviger_outbound::{Asking, Refusal, Told, Unanswered};
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use http::{HeaderValue, StatusCode, header};
use secrecy::SecretString;

use super::UpstreamAnswer;
use super::account::Account;
use super::sending::Sending;
use super::sign::{secrets, sign};
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::in_flight::Place;
use crate::known::KnownAccount;
use crate::let_in::LetIn;
use crate::renewals::Wanting;
use crate::scrub::Scrub;
use crate::tokens::{NoToken, Wanted};

/// The refusal of a call whose credentials are to be entered anew.
const NEEDS_REAUTH: &str = "needs_reauth";

/// An answer, and what must not be told of it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: UpstreamAnswer,
    pub(crate) scrub: Scrub,
    /// The place among calls of other APIs, held until the answer is read.
    pub(crate) place: Option<Place>,
}

impl Gateway {
    /// Sends one request with the credential of a connected account, as long as what let it in does so, and
    /// notes whether that was taken.
    pub(crate) async fn call_remote(
        &self,
        account: &Account<'_>,
        sending: Sending<'_>,
        let_in: LetIn<'_>,
    ) -> Result<Answered, Failure> {
        let connected = account.connected;
        let mut known = self.known_account(connected).await?;
        let outcome = match self.with_a_good_token(account, &known).await {
            Ok(good) => {
                known = good;
                self.send(account, &known, sending, Some(let_in)).await
            }
            Err(failure) => Err(failure),
        };
        let status = match &outcome {
            Ok(answered) if answered.answer.status == StatusCode::UNAUTHORIZED => {
                Some(Status::NeedsReauth)
            }
            Ok(answered) if answered.answer.status.is_success() => Some(Status::Active),
            Err(failure) if failure.code == NEEDS_REAUTH => Some(Status::NeedsReauth),
            _ => None,
        };
        if let Some(status) = status.filter(|status| *status != connected.status) {
            // Boxed: most calls come to what those before them came to.
            Box::pin(self.note(connected, known.sealed.clone(), status)).await?;
        }
        outcome
    }

    /// Sends one request and notes nothing.
    pub(crate) async fn probe(
        &self,
        account: &Account<'_>,
        sending: Sending<'_>,
    ) -> Result<Answered, Failure> {
        let known = self.known_account(account.connected).await?;
        let known = self.with_a_good_token(account, &known).await?;
        self.send(account, &known, sending, None).await
    }

    /// Sends one request with credentials that are stored nowhere yet, or has a token fetched for them.
    pub(crate) async fn probe_with(
        &self,
        account: &Account<'_>,
        untried: &KnownAccount,
        sending: Option<Sending<'_>>,
    ) -> Result<Option<Answered>, Failure> {
        if let Some(sending) = sending {
            return self.send(account, untried, sending, None).await.map(Some);
        }
        let credentials = self.opened_known(account, untried)?;
        self.token(account, &untried.sealed, credentials).await?;
        Ok(None)
    }

    /// The account as it is once its token is good: what others have fetched, or another program, may not
    /// have been heard of yet, and is read.
    async fn with_a_good_token(
        &self,
        account: &Account<'_>,
        known: &Arc<KnownAccount>,
    ) -> Result<Arc<KnownAccount>, Failure> {
        let renewed = self.renewed(account, &known.sealed, Wanting::AGoodOne);
        if renewed.await?.is_none() {
            return Ok(Arc::clone(known));
        }
        self.forget_account(&account.connected.id);
        self.known_account(account.connected).await
    }

    /// Fetches another token, where the credentials are such that one is fetched for them, and have been
    /// there for longer.
    pub(crate) async fn renew_token(&self, account: &Account<'_>) -> Result<(), Failure> {
        let known = self.known_account(account.connected).await?;
        if account.consent().is_some() {
            let wanting = match account.connected.status {
                Status::Connecting => Wanting::AGoodOne,
                _ => Wanting::AnotherOne,
            };
            let renewed = self.renewed(account, &known.sealed, wanting);
            return renewed.await.map(drop);
        }
        let credentials = self.opened_known(account, &known)?;
        if let Some(wanted) = self.wanted(account, &known.sealed, credentials)? {
            self.tokens.forget(&wanted, None).await;
            self.token(account, &known.sealed, credentials).await?;
        }
        Ok(())
    }

    async fn known_account(
        &self,
        connected: &ConnectedAccount,
    ) -> Result<Arc<KnownAccount>, Failure> {
        let known = self.account(&connected.id).await;
        known.map_err(ApiError::from)?.ok_or_else(gone)
    }

    /// What its row has now, whatever is known of it.
    pub(super) async fn sealed_credentials(
        &self,
        connected: &ConnectedAccount,
    ) -> Result<Vec<u8>, Failure> {
        let sealed = connected_accounts::sealed_credentials(&self.core.db, &connected.id).await;
        sealed.map_err(ApiError::from)?.ok_or_else(gone)
    }

    /// The credentials, where they were entered for the origins to which they would go now.
    pub(super) fn opened(
        &self,
        account: &Account<'_>,
        sealed: &[u8],
    ) -> Result<Credentials, Failure> {
        let credentials = Credentials::open(&self.sealing, &account.connected.id, sealed);
        let credentials = credentials.map_err(ApiError::from)?;
        self.must_be_for(&credentials, account)?;
        Ok(credentials)
    }

    /// The same of those that are known.
    fn opened_known<'k>(
        &self,
        account: &Account<'_>,
        known: &'k KnownAccount,
    ) -> Result<&'k Credentials, Failure> {
        let credentials = known.credentials(&self.sealing).map_err(ApiError::from)?;
        self.must_be_for(credentials, account)?;
        Ok(credentials)
    }

    fn must_be_for(&self, credentials: &Credentials, account: &Account<'_>) -> Result<(), Failure> {
        if credentials.origins == account.way(self)?.origins {
            return Ok(());
        }
        let message =
            "the credential of this connected account was entered for another host: enter it anew";
        Err(needs_reauth(message))
    }

    /// Refuses a call whose account has ended, has other credentials by now, or leads elsewhere.
    async fn must_be_unchanged(
        &self,
        account: &Account<'_>,
        known: &KnownAccount,
    ) -> Result<(), Failure> {
        let now = self.known_account(account.connected).await?;
        if !known.is_stored {
            return Ok(());
        }
        if now.sealed != known.sealed {
            return Err(gone());
        }
        let (then, row) = (account.connected, &*now.connected);
        let is_same_row = std::ptr::eq(then, row)
            || then.context == row.context
                && then.overrides == row.overrides
                && then.authentication_method == row.authentication_method;
        let catalogue = self.catalogue_of_known(&now).await?;
        if is_same_row && account.is_by(&catalogue) {
            return Ok(());
        }
        Err(Failure::refused(
            StatusCode::CONFLICT,
            "connector_changed",
            "the connected account or its connector was changed while this was asked: call again",
        ))
    }

    async fn send(
        &self,
        account: &Account<'_>,
        known: &KnownAccount,
        sending: Sending<'_>,
        let_in: Option<LetIn<'_>>,
    ) -> Result<Answered, Failure> {
        let place = self.in_flight.take(&account.connected.account.root)?;
        let credentials = self.opened_known(account, known)?;
        let token = self.token(account, &known.sealed, credentials).await?;
        let filling = account.filling(
            Some(credentials),
            token.as_deref(),
            sending.request,
            sending.id,
        );
        let format = account.format();
        let signed = sign(account.access, format, &filling, sending.path_and_query)?;
        let target = account.below(self, &signed.path_and_query)?;
        let scrub = secrets(&known.scrub, account.access, format, &filling, &signed);
        let mut headers = sending.headers;
        headers.extend(signed.headers);
        let is_conditional = headers.contains_key(header::IF_NONE_MATCH);
        // What comes otherwise could not be looked through.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let asking = Asking {
            method: sending.method,
            target,
            headers,
            body: sending.body,
        };
        let prepared = self.upstreams.prepare(asking, self.core.now()).await;
        let prepared = prepared.map_err(unanswered)?;
        // All this takes its time, in which the account may have ended or been changed.
        self.must_be_unchanged(account, known).await?;
        if let Some(let_in) = let_in {
            self.must_still_let_in(let_in, account.connected).await?;
        }
        let told = prepared.send().await.map_err(unanswered)?;
        if told.status.is_informational()
            || told.status == StatusCode::NOT_MODIFIED && !is_conditional
        {
            let message = "the upstream answers with a status that answers nothing which was asked";
            return Err(Failure::unanswered(
                StatusCode::BAD_GATEWAY,
                "upstream_malformed",
                message,
            ));
        }
        if told.status.is_redirection() && told.status != StatusCode::NOT_MODIFIED {
            let message = "the upstream sends calls elsewhere, where they do not go";
            return Err(Failure::unanswered(
                StatusCode::BAD_GATEWAY,
                "upstream_redirected",
                message,
            ));
        }
        if let (StatusCode::UNAUTHORIZED, Some(token)) = (told.status, &token) {
            match self.wanted(account, &known.sealed, credentials)? {
                Some(wanted) => self.tokens.forget(&wanted, Some(token)).await,
                None => self.renewals.reject(&known.sealed),
            }
        }
        if is_encoded(&told) {
            let message = "the upstream encodes its answer, although it is asked not to";
            return Err(Failure::unanswered(
                StatusCode::BAD_GATEWAY,
                "upstream_encoded",
                message,
            ));
        }
        let answer = UpstreamAnswer {
            status: told.status,
            headers: told.headers,
            body: told.body,
        };
        Ok(Answered {
            answer,
            scrub,
            place: Some(place),
        })
    }

    fn wanted<'w>(
        &self,
        account: &'w Account<'_>,
        sealed: &'w [u8],
        credentials: &'w Credentials,
    ) -> Result<Option<Wanted<'w>>, Failure> {
        let oauth = account.format().and_then(|format| format.oauth.as_ref());
        // What a consent gave is stored, and renewed before it is used.
        let Some(oauth) = oauth.filter(|_| credentials.grant.is_none()) else {
            return Ok(None);
        };
        Ok(Some(Wanted {
            connected: &account.connected.id,
            sealed,
            credentials,
            target: account.place(self, &oauth.token_url)?,
            scopes: &oauth.scopes,
        }))
    }

    async fn token(
        &self,
        account: &Account<'_>,
        sealed: &[u8],
        credentials: &Credentials,
    ) -> Result<Option<Arc<SecretString>>, Failure> {
        let Some(wanted) = self.wanted(account, sealed, credentials)? else {
            let grant = credentials.grant.as_ref();
            return Ok(grant.map(|grant| Arc::clone(&grant.access)));
        };
        let token = self.tokens.of(&self.upstreams, wanted, &*self.core.clock);
        // Boxed: most accounts need none.
        Box::pin(token).await.map(Some).map_err(no_token)
    }
}

/// Whether a body is not what it says: compressed, say.
fn is_encoded(told: &Told) -> bool {
    let named = |name| told.headers.get_all(name).iter();
    let mut encodings = named(header::CONTENT_ENCODING)
        .chain(named(header::TRANSFER_ENCODING))
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_plain = |encoding: &[u8]| {
        let encoding = encoding.trim_ascii();
        let mut plain = [&b""[..], b"identity", b"chunked"].into_iter();
        plain.any(|plain| encoding.eq_ignore_ascii_case(plain))
    };
    !told.body.is_empty() && encodings.any(|encoding| !is_plain(encoding))
}

/// The refusal of a call for which there is no token.
pub(super) fn no_token(why: NoToken) -> Failure {
    let (status, code) = match why {
        NoToken::Refused => return needs_reauth(&why.to_string()),
        NoToken::NotNow => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        NoToken::TooSlow => (StatusCode::GATEWAY_TIMEOUT, "upstream_too_slow"),
    };
    Failure::unanswered(status, code, &why.to_string())
}

pub(crate) fn gone() -> Failure {
    Failure::refused(
        StatusCode::NOT_FOUND,
        "connected_account_not_found",
        "the connected account is not there any more, or has other credentials by now",
    )
}

pub(crate) fn needs_reauth(message: &str) -> Failure {
    Failure::refused(StatusCode::UNAUTHORIZED, NEEDS_REAUTH, message)
}

fn unanswered(why: Unanswered) -> Failure {
    let (status, code, message) = match why {
        Unanswered::TooLarge => (
            StatusCode::BAD_GATEWAY,
            "upstream_too_large",
            "the upstream's answer is too large, ask for less with `limit`".to_owned(),
        ),
        Unanswered::Refused(Refusal::Timeout) => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_too_slow",
            "the upstream did not answer in time".to_owned(),
        ),
        Unanswered::Refused(refusal) => (
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            format!("the upstream cannot be reached: {refusal}"),
        ),
    };
    Failure::unanswered(status, code, &message)
}
