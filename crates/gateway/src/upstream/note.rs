//! What upstreams said of the credentials that they got, noted as the status of a connected account.

use claviger_domain::event::Actor;
use claviger_edge::ApiError;
use claviger_store::StoreError;
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};

use crate::failure::Failure;
use crate::gateway::Gateway;

impl Gateway {
    /// Notes what an upstream said of the credentials that it got.
    pub(super) async fn note(
        &self,
        connected: &ConnectedAccount,
        sealed: Vec<u8>,
        status: Status,
    ) -> Result<(), Failure> {
        if !self
            .noted
            .may_change(&connected.id, status, self.core.now())
        {
            return Ok(());
        }
        let change = self.core.change(&Actor::System);
        let id = connected.id.clone();
        let noted = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                connected_accounts::change_status(tx, &change, &id, &sealed, status)
                    .await
                    .map(drop)
            })
        });
        Ok(noted.await.map_err(ApiError::from)?)
    }
}
