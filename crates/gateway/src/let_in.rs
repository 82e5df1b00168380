//! By what a call was let in. It is asked again right before a request is sent: fetching a token and looking
//! up a name take their time, in which a server is deleted or a key revoked.

use claviger_domain::permission::Permission;
use claviger_edge::{ApiError, Credential};
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_verify::Network;
use http::HeaderMap;

use crate::admission::{Standing, refused};
use crate::gateway::Gateway;

/// By what a call was let in.
#[derive(Clone, Copy)]
pub(crate) enum LetIn<'a> {
    /// A request to an MCP server, with what it presents.
    Server(Standing<'a>),
    /// A caller's own credential.
    Caller {
        headers: &'a HeaderMap,
        from: Option<Network>,
        /// What it has to hold on the connected account.
        needs: Permission,
    },
}

impl Gateway {
    /// Refuses a call whose server has ended, or whose caller does not hold any more what it was let in for.
    /// It counts nothing.
    pub(crate) async fn must_still_let_in(
        &self,
        let_in: LetIn<'_>,
        connected: &ConnectedAccount,
    ) -> Result<(), ApiError> {
        match let_in {
            LetIn::Server(standing) => self.admit_anew(standing).await.map(drop),
            LetIn::Caller {
                headers,
                from,
                needs,
            } => {
                let credential = Credential::of(headers).ok_or_else(refused)?;
                let verifier = &self.core.verifier;
                let presenter = verifier.presenter(credential.0.expose(), from).await?;
                let reach = presenter.and_then(|presenter| presenter.rights().reach(needs));
                let is_let_in = reach.is_some_and(|reach| connected.is_within(&reach));
                is_let_in.then_some(()).ok_or_else(refused)
            }
        }
    }
}
