//! The gateway of a running program: its catalogues, its upstream, its keys.

use std::sync::Arc;

use axum::Router;
use claviger_domain::rights::AccountRef;
use claviger_edge::{ApiError, Core, ErrorCode};
use claviger_outbound::Upstreams;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::connectors::{self, StoredConnector};
use claviger_store::sealing::{Purpose, SealingKey};

use crate::budget::Budgets;
use crate::call_log::CallLog;
use crate::catalogue::Catalogue;
use crate::catalogue::overrides::Overridden;
use crate::connector::{Connector, Faults};
use crate::exposure::Exposures;
use crate::in_flight::InFlight;
use crate::keys::Keys;
use crate::known::Known;
use crate::mcp::hosts::Hosts;
use crate::noted::Noted;
use crate::openapi::{Document, DocumentError};
use crate::refusals::Refusals;
use crate::renewals::Renewals;
use crate::stored_connectors::StoredConnectors;
use crate::tokens::Tokens;

/// The file of the built-in connector.
pub const BUILT_IN: &str = include_str!("../../../connectors/theauthapi.yaml");

/// What the gateway is made of.
pub struct Settings {
    /// The database, the verifier, the time, randomness.
    pub core: Core,
    /// What credentials are sealed under.
    pub sealing: Arc<SealingKey>,
    /// The Auth API with its layers, and nothing else: what `base_url: local` reaches.
    pub auth_api: Router,
    /// The OpenAPI document that The Auth API serves.
    pub document: Vec<u8>,
    /// The names under which this server is reached.
    pub hosts: Hosts,
    /// What the URLs of MCP servers begin with, without a slash at the end.
    pub public_url: String,
    /// The instance's own connectors beside the built-in one, each with a slug of its own.
    pub connectors: Vec<Catalogue>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[settings]")
    }
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The served document cannot be read.
    #[error("the OpenAPI document of this instance cannot be read")]
    Document(#[from] DocumentError),
    /// The built-in connector does not fit the served document.
    #[error("the built-in connector does not fit the OpenAPI document of this instance")]
    Connector(#[from] Faults),
}

/// Connectors, tools and the one way to call them.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) core: Core,
    pub(crate) sealing: Arc<SealingKey>,
    pub(crate) auth_api: Router,
    pub(crate) hosts: Hosts,
    pub(crate) public_url: String,
    pub(crate) keys: Keys,
    pub(crate) known: Known,
    pub(crate) exposures: Exposures,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) tokens: Tokens,
    pub(crate) in_flight: InFlight,
    pub(crate) noted: Noted,
    pub(crate) renewals: Renewals,
    pub(crate) log: CallLog,
    pub(crate) refusals: Refusals,
    pub(crate) stored: StoredConnectors,
    overridden: Overridden,
    own: Vec<Arc<Catalogue>>,
    pub(crate) budgets: Budgets,
}

impl Gateway {
    /// Compiles the built-in connector and takes up the rest.
    pub fn start(settings: Settings) -> Result<Arc<Self>, StartError> {
        let mut own = vec![Arc::new(built_in(&settings.document)?)];
        own.extend(settings.connectors.into_iter().map(Arc::new));
        let keys = Keys::derive(&settings.sealing.derive(Purpose::Gateway));
        let upstreams = Upstreams::new(settings.core.webhooks.client().clone());
        Ok(Arc::new(Self {
            log: CallLog::new(settings.core.db.clone()),
            refusals: Refusals::default(),
            core: settings.core,
            sealing: settings.sealing,
            auth_api: settings.auth_api,
            hosts: settings.hosts,
            public_url: settings.public_url,
            keys,
            known: Known::default(),
            exposures: Exposures::default(),
            stored: StoredConnectors::default(),
            overridden: Overridden::default(),
            own,
            budgets: Budgets::default(),
            upstreams: Arc::new(upstreams),
            tokens: Tokens::default(),
            in_flight: InFlight::default(),
            noted: Noted::default(),
            renewals: Renewals::default(),
        }))
    }

    /// Completes when the log has a line of every call that is over.
    pub async fn lines_written(&self) {
        self.log.lines_written().await;
    }

    /// The connectors of the instance itself, which all accounts have.
    pub(crate) fn own(&self) -> &[Arc<Catalogue>] {
        &self.own
    }

    /// The tools of a connector of the instance itself.
    pub(crate) fn own_catalogue(&self, slug: &str) -> Option<&Arc<Catalogue>> {
        self.own.iter().find(|catalogue| catalogue.slug() == slug)
    }

    /// The tools of a connected account: of a connector of the instance, of its account, or of the
    /// account above that.
    pub(crate) async fn catalogue_of(
        &self,
        connected: &ConnectedAccount,
    ) -> Result<Arc<Catalogue>, ApiError> {
        let named = self
            .catalogue_named(&connected.account, &connected.integration)
            .await?;
        Ok(self.overridden.of(named, &connected.overrides))
    }

    /// The same of a connector by its name.
    pub(crate) async fn catalogue_named(
        &self,
        account: &AccountRef,
        slug: &str,
    ) -> Result<Arc<Catalogue>, ApiError> {
        if let Some(own) = self.own_catalogue(slug) {
            return Ok(Arc::clone(own));
        }
        let stored = connectors::meant_by(&self.core.db, account, slug).await?;
        let stored = stored.ok_or_else(|| {
            let message = "The connector of this connected account is not there";
            ApiError::new(ErrorCode::NotConfigured, message)
        })?;
        self.catalogue_of_stored(&stored).await
    }

    /// The tools of a connector that an account brought.
    pub(crate) async fn catalogue_of_stored(
        &self,
        stored: &StoredConnector,
    ) -> Result<Arc<Catalogue>, ApiError> {
        self.stored.catalogue_of(&self.core, stored).await
    }
}

/// The tools of the built-in connector over a served document.
pub fn built_in(document: &[u8]) -> Result<Catalogue, StartError> {
    let document = Document::parse(document)?;
    Ok(Catalogue::compile(&Connector::parse(BUILT_IN)?, &document)?)
}
