//! As whom an account asks the users of a product for their consent. The secret of the client goes to where
//! its connector said that tokens are fetched when it was entered, and to nowhere else.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_edge::ApiError;
use claviger_store::StoreError;
use claviger_store::oauth_clients::{self, OAuthClient};
use claviger_store::sealing::Purpose;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::connector::access::{Access, OAuth, UrlTemplate};
use crate::gateway::Gateway;
use crate::token_server::Client;

impl Gateway {
    /// The client that counts for an account at the product of a connector; none where there is none, or
    /// where the connector's tokens are from elsewhere by now.
    pub(crate) async fn client_of(
        &self,
        account: &AccountRef,
        integration: &str,
        (access, oauth): (&Access, &OAuth),
    ) -> Result<Option<Client>, ApiError> {
        let stored = oauth_clients::meant_by(&self.core.db, account, integration).await?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let opened = self.opened_client(&stored)?;
        if opened["place"] != place(access, oauth) {
            return Ok(None);
        }
        let secret = opened["secret"].as_str();
        Ok(Some(Client {
            account: stored.account,
            id: stored.client_id,
            secret: secret.map(|secret| secret.to_owned().into()),
        }))
    }

    /// Whether a client has a secret.
    pub(crate) fn has_secret(&self, stored: &OAuthClient) -> Result<bool, ApiError> {
        Ok(self.opened_client(stored)?["secret"].is_string())
    }

    /// A client with its secret, sealed with where that goes.
    pub(crate) fn sealed_client(
        &self,
        account: &Id<id::Account>,
        integration: &str,
        (access, oauth): (&Access, &OAuth),
        secret: Option<&str>,
    ) -> Vec<u8> {
        let subject = OAuthClient::subject(account, integration);
        let plain = json!({ "secret": secret, "place": place(access, oauth) }).to_string();
        let random = &*self.core.random;
        let purpose = Purpose::OAuthClients;
        self.sealing
            .seal(purpose, &subject, plain.as_bytes(), random)
    }

    fn opened_client(&self, stored: &OAuthClient) -> Result<Value, StoreError> {
        let subject = OAuthClient::subject(&stored.account, &stored.integration);
        let purpose = Purpose::OAuthClients;
        let opened = self.sealing.open(purpose, &subject, &stored.sealed)?;
        serde_json::from_slice(opened.expose_secret()).map_err(|_| StoreError::Row {
            table: "oauth_clients",
            what: "sealed",
        })
    }
}

/// Where users consent, tokens are fetched and used, and whom answers are from, as the connector's file has it.
fn place(access: &Access, oauth: &OAuth) -> Value {
    let written = |url: &Option<UrlTemplate>| url.as_ref().map(|url| url.written().to_owned());
    json!([
        written(&oauth.authorization_url),
        oauth.token_url.written(),
        written(&access.base),
        written(&oauth.issuer),
    ])
}
