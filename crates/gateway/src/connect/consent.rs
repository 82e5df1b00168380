//! Connecting by consent: OAuth 2 with an authorization code (RFC 6749, 4.1) and PKCE (RFC 7636). What is
//! asked for elsewhere is known by a `state` that is drawn for it, is good once, and counts in the browser, for
//! the link and for the connector that it was drawn for. What the answer needs waits sealed in the link's row.

use std::collections::HashMap;
use std::sync::Arc;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::id::{self, Id};
use claviger_domain::plain_text;
use claviger_domain::random::Random;
use claviger_edge::ApiError;
use claviger_store::StoreError;
use claviger_store::link_tokens::{self, LinkToken};
use claviger_store::sealing::Purpose;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::choice::Picked;
use super::entering::MOST_TRIES;
use super::link::Live;
use super::page::{ConnectPage, Next};
use super::{CALLBACK, ending};
use crate::connector::access::OAuth;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::grant::Grant;
use crate::ticket::Ticket;
use crate::token_server::{Client, TokenServer, With, form};
use crate::tokens::NoToken;
use crate::upstream::Account;

/// What waits for an answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) integration: String,
    /// What was entered, as the connected account will have it.
    pub(crate) context: String,
    pub(crate) credentials: Map<String, Value>,
    /// Where it was asked, and where the token was to be fetched.
    places: [String; 2],
    /// What shows that whoever brings the code is who asked for it.
    verifier: String,
    /// What the answer has to say that it is from; none: it must not say it.
    issuer: Option<String>,
    /// Where the answer has to come.
    redirect_uri: String,
}

/// Why an answer to a question gives no token.
pub(crate) enum NoConsent {
    /// Whoever was asked did not want to.
    Denied,
    /// The server, or somebody who feigns to be it, says something else.
    Failed(&'static str),
}

/// Where users consent and tokens are fetched for what is to be connected, and as whom that is asked.
pub(crate) struct Asking {
    places: [String; 2],
    /// Where users consent, as they are told.
    host: String,
    issuer: Option<String>,
    server: TokenServer,
}

/// Where answers come of what is asked as an account's client at a connector.
pub(crate) fn redirect_uri(
    gateway: &Gateway,
    account: &Id<id::Account>,
    integration: &str,
) -> String {
    let path = CALLBACK.replace("{account}", account.as_str());
    let path = path.replace("{integration}", integration);
    format!("{}{path}", gateway.public_url)
}

impl Question {
    /// Whether its answer has to come to a path of this program.
    pub(crate) fn is_answered_at(&self, gateway: &Gateway, path: &str) -> bool {
        self.redirect_uri.strip_prefix(&gateway.public_url) == Some(path)
    }
}

impl Asking {
    /// None where the account has no client there.
    pub(crate) async fn of(
        gateway: &Gateway,
        picked: &Picked,
        oauth: &OAuth,
    ) -> Result<Option<Self>, ApiError> {
        let draft = &picked.draft;
        let access = picked.catalogue.access();
        let client = gateway.client_of(&draft.account, &draft.integration, (access, oauth));
        let (Some(client), Some(consent)) = (client.await?, &oauth.authorization_url) else {
            return Ok(None);
        };
        let account = Account::new(draft, &picked.catalogue);
        let read = |failure: Failure| ApiError::field("context", failure.message);
        let consent = account.place(gateway, consent).map_err(read)?;
        let token = account.place(gateway, &oauth.token_url).map_err(read)?;
        let issuer = match &oauth.issuer {
            None => None,
            Some(issuer) => {
                // Compared letter by letter: the slash at its end is its own.
                let filled = account.url(issuer).map_err(read)?;
                let slash = if issuer.written().ends_with('/') {
                    "/"
                } else {
                    ""
                };
                Some(format!("{filled}{slash}"))
            }
        };
        Ok(Some(Self {
            places: [consent.url().to_owned(), token.url().to_owned()],
            host: consent.origin().to_owned(),
            issuer,
            server: TokenServer {
                target: token,
                client,
                authentication: oauth.client_authentication,
            },
        }))
    }

    fn client(&self) -> &Client {
        &self.server.client
    }

    fn redirect_uri(&self, gateway: &Gateway, picked: &Picked) -> String {
        let account = &self.client().account;
        redirect_uri(gateway, account, &picked.draft.integration)
    }
}

/// Sends the browser to where its user consents; none where the link is over.
pub(crate) async fn begin(
    gateway: &Arc<Gateway>,
    live: &Live,
    ticket: &Ticket,
    picked: &Picked,
    (oauth, asking): (&OAuth, &Asking),
    credentials: Map<String, Value>,
) -> Result<Option<Response>, ApiError> {
    let core = &gateway.core;
    let [state, verifier] = [(); 2].map(|()| drawn(&*core.random));
    let back = asking.redirect_uri(gateway, picked);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let question = Question {
        integration: picked.draft.integration.clone(),
        context: picked.draft.context.clone(),
        credentials,
        places: asking.places.clone(),
        verifier,
        issuer: asking.issuer.clone(),
        redirect_uri: back.clone(),
    };
    let plain = serde_json::to_vec(&question).expect("texts are JSON");
    let subject = live.link.id.as_str();
    let sealed = gateway
        .sealing
        .seal(Purpose::Links, subject, &plain, &*core.random);
    let page = core.verifier.digest(ticket.expose());
    let digest = core.verifier.digest(&state);
    let (id, now) = (live.link.id.clone(), core.now());
    let asked = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            let link = link_tokens::take(tx, &id, &page, MOST_TRIES, now).await?;
            if link.is_some() {
                link_tokens::ask(tx, &id, &digest, &sealed).await?;
            }
            Ok(link.is_some())
        })
    });
    if !asked.await? {
        return Ok(None);
    }
    let scopes = live.link.scopes.as_ref().unwrap_or(&oauth.scopes).join(" ");
    let mut members = vec![
        ("response_type", "code"),
        ("client_id", asking.client().id.as_str()),
        ("redirect_uri", back.as_str()),
        ("state", state.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    if !scopes.is_empty() {
        members.push(("scope", &scopes));
    }
    let more = oauth.authorization_query.iter();
    members.extend(more.map(|(name, value)| (name.as_str(), value.as_str())));
    let url = format!("{}?{}", asking.places[0], form(&members));
    let label = plain_text::clean(picked.catalogue.label());
    let host = &asking.host;
    // By the page and not by its status: what a form leads to has to be here.
    let page = ConnectPage {
        title: &format!("You go on to {label}"),
        said: &[&format!("You sign in at {host}.")],
        next: Some(Next {
            url: &url,
            label: &format!("Go on to {host}"),
        }),
        ..ConnectPage::default()
    };
    Ok(Some(page.answer(StatusCode::OK)))
}

/// What was asked, for an answer that comes in the browser that asked, with the state that was drawn for it.
pub(crate) async fn asked(
    gateway: &Gateway,
    link: &LinkToken,
    ticket: &Ticket,
    state: &str,
) -> Result<Option<Question>, ApiError> {
    let core = &gateway.core;
    let page = core.verifier.digest(ticket.expose());
    let state = core.verifier.digest(state);
    let (id, now) = (link.id.clone(), core.now());
    let sealed = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { link_tokens::answered(tx, &id, &page, &state, now).await })
    });
    let Some(sealed) = sealed.await? else {
        return Ok(None);
    };
    let opened = gateway
        .sealing
        .open(Purpose::Links, link.id.as_str(), &sealed)?;
    let question = serde_json::from_slice(opened.expose_secret());
    Ok(Some(question.map_err(|_| StoreError::Row {
        table: "link_tokens",
        what: "flow",
    })?))
}

/// Fetches the token of an answer, once it is seen that it is from whom was asked.
pub(crate) async fn grant(
    gateway: &Gateway,
    picked: &Picked,
    asking: &Asking,
    question: &Question,
    answer: &HashMap<String, String>,
) -> Result<Grant, NoConsent> {
    let is_same = asking.places == question.places
        && asking.issuer == question.issuer
        && asking.redirect_uri(gateway, picked) == question.redirect_uri;
    if !is_same {
        return Err(NoConsent::Failed(
            "What is connected was changed meanwhile.",
        ));
    }
    // One that says whom it is from, where that is not known, may be from anybody (RFC 9207, 2.4).
    if answer.get("iss") != question.issuer.as_ref() {
        return Err(NoConsent::Failed("The answer is not from whom was asked."));
    }
    if let Some(error) = answer.get("error") {
        return Err(if error == "access_denied" {
            NoConsent::Denied
        } else {
            NoConsent::Failed("The other side did not give access.")
        });
    }
    let code = answer.get("code").filter(|code| !code.is_empty());
    let code = code.ok_or(NoConsent::Failed("The answer has no code in it."))?;
    let with = With::Code {
        code,
        verifier: &question.verifier,
        redirect_uri: &question.redirect_uri,
    };
    let clock = &*gateway.core.clock;
    // As every request to another API.
    let _place = gateway
        .in_flight
        .take(&picked.draft.account.root)
        .map_err(|_| NoConsent::Failed("Too many others connect at this moment."))?;
    let granted = asking.server.ask(&gateway.upstreams, with, clock).await;
    granted.map_err(|why| {
        NoConsent::Failed(match why {
            NoToken::Refused => "The other side does not take what it gave.",
            NoToken::NotNow | NoToken::TooSlow => "The other side gives no access now.",
        })
    })
}

impl NoConsent {
    /// What whoever waits for the link is told.
    pub(crate) fn outcome(self, integration: &str) -> ending::Outcome {
        let error = match self {
            Self::Denied => "Access was not given.",
            Self::Failed(error) => error,
        };
        ending::Outcome::failed(ending::ErrorType::Connection, error, Some(integration))
    }
}

/// 256 random bits.
fn drawn(random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
