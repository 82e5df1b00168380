//! Whether the credentials of a connected account are taken, found out by the cheap call that its connector
//! names.

use claviger_edge::ApiError;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_verify::Presenter;
use http::StatusCode;
use serde_json::Map;

use crate::answer_json;
use crate::catalogue::Catalogue;
use crate::cursor::Window;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::known::KnownAccount;
use crate::limits::Limits;
use crate::page;
use crate::upstream::{Account, Sending, gone, needs_reauth};

/// How many items a list is asked for.
const FEW: Window = Window {
    offset: 0,
    limit: 1,
};

impl Gateway {
    /// Tries the credentials: why they are not taken, or nothing where they are, as far as can be told.
    pub(crate) async fn try_credentials(
        &self,
        connected: &ConnectedAccount,
        catalogue: &Catalogue,
    ) -> Result<Option<Failure>, ApiError> {
        if catalogue.is_local() {
            return match self.account(&connected.id).await? {
                Some(known) => self.try_local(&known).await,
                None => Ok(Some(gone())),
            };
        }
        Ok(self.try_remote(connected, catalogue, None).await.err())
    }

    /// Tries credentials, sealed, for a connected account that has others as long as these are not taken.
    pub(crate) async fn try_others(
        &self,
        connected: &ConnectedAccount,
        catalogue: &Catalogue,
        sealed: &[u8],
    ) -> Result<Option<Failure>, ApiError> {
        let Some(known) = self.account(&connected.id).await? else {
            return Ok(Some(gone()));
        };
        let untried = known.with(connected.clone(), sealed.to_vec());
        if catalogue.is_local() {
            return self.try_local(&untried).await;
        }
        let tried = self.try_remote(connected, catalogue, Some(&untried));
        Ok(tried.await.err())
    }

    async fn try_local(&self, known: &KnownAccount) -> Result<Option<Failure>, ApiError> {
        let presenter = self.presenter_of(known).await?;
        let is_taken = matches!(presenter, Some(Presenter::AccessKey(_)));
        let refused = || needs_reauth("this is no access key that is accepted");
        Ok((!is_taken).then(refused))
    }

    async fn try_remote(
        &self,
        connected: &ConnectedAccount,
        catalogue: &Catalogue,
        untried: Option<&KnownAccount>,
    ) -> Result<(), Failure> {
        let account = Account::new(connected, catalogue);
        let validate = account.validate();
        let Some((resource, method)) = validate else {
            return match untried {
                Some(untried) => self.probe_with(&account, untried, None).await.map(drop),
                None => self.renew_token(&account).await,
            };
        };
        let tool = catalogue.shown_or_hidden(resource, method).ok_or_else(|| {
            let message = "the method by which its connector tries credentials is no tool";
            Failure::refused(StatusCode::CONFLICT, "not_configured", message)
        })?;
        let mut request = tool.request(&Map::new())?;
        if tool.is_list() {
            page::ask(&tool.pagination, &FEW.into(), &mut request);
        }
        let sending = Sending::of(&request, None, None);
        let answered = if let Some(untried) = untried {
            self.probe_with(&account, untried, Some(sending)).await?
        } else {
            self.renew_token(&account).await?;
            Some(self.probe(&account, sending).await?)
        };
        let answered = answered.ok_or_else(gone)?;
        let (status, body) = (answered.answer.status, &answered.answer.body);
        let errors = &catalogue.access().errors;
        let read = || {
            let told = answer_json::parse(body).ok();
            let status = match (
                status.is_success(),
                errors.is_failure(status, told.as_ref()),
            ) {
                (true, false) => return Ok(()),
                (true, true) => StatusCode::BAD_GATEWAY,
                (false, _) => status,
            };
            let limits = Limits::default();
            let failure = Failure::of_upstream(status, body, limits, errors, &answered.scrub);
            Err(Box::new(failure))
        };
        Ok(self.in_flight.read(body.len(), read).await?)
    }
}
