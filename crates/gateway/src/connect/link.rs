//! Whether a link is good: it is not over, its maker is live and holds at least what it held, and what it
//! is for is there.

use claviger_domain::rights::Reach;
use claviger_domain::token::LINK_TOKEN_PREFIX;
use claviger_edge::ApiError;
use claviger_store::connected_accounts::{self, ConnectedAccount};
use claviger_store::link_tokens::{self, LinkToken};
use claviger_store::{accounts, projects};
use claviger_verify::Network;
use http::HeaderMap;

use crate::gateway::Gateway;
use crate::ticket::{Cookie, Ticket};

/// A link that is good, with what its page names.
pub(crate) struct Live {
    pub(crate) link: LinkToken,
    /// The name of the account that asks.
    pub(crate) asker: String,
    /// What is connected anew, or was connected in vain so far.
    pub(crate) connected: Option<ConnectedAccount>,
}

impl Gateway {
    /// The link of a token; whoever presents many that are none is told to come later.
    pub(crate) async fn link_of_token(
        &self,
        token: &str,
        from: Option<Network>,
    ) -> Result<Option<LinkToken>, ApiError> {
        if !token.starts_with(LINK_TOKEN_PREFIX) {
            return Ok(None);
        }
        let core = &self.core;
        let digest = core.verifier.digest(token);
        let find = async || link_tokens::find_by_token(&core.db, &digest).await;
        Ok(core.verifier.look_for_one_time(from, find).await?)
    }

    /// The ticket that a browser has, and its link, where that was used in no other browser.
    pub(crate) async fn link_of_ticket(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<(Ticket, LinkToken)>, ApiError> {
        let sent = Cookie::of(&self.public_url).sent(headers);
        let Some(ticket) = sent.and_then(|text| self.keys.tickets.read(text)) else {
            return Ok(None);
        };
        let link = link_tokens::find(&self.core.db, &ticket.link).await?;
        let link = link.filter(|link| self.is_of_browser(link, &ticket));
        Ok(link.map(|link| (ticket, link)))
    }

    /// Whether a link was used in no other browser than the one that has that ticket.
    pub(crate) fn is_of_browser(&self, link: &LinkToken, ticket: &Ticket) -> bool {
        let own = self.core.verifier.digest(ticket.expose());
        link.id == ticket.link && link.page.is_none_or(|page| page.matches(&own))
    }

    /// The link with what its page names, where it is good.
    pub(crate) async fn live_link(&self, link: LinkToken) -> Result<Option<Live>, ApiError> {
        let db = &self.core.db;
        if !link.is_live_at(self.core.now()) {
            return Ok(None);
        }
        let maker = self.held_by(&link.maker).await?;
        if !maker.is_some_and(|maker| maker.rights.cover_all(&link.maker_rights)) {
            return Ok(None);
        }
        let whole = Reach::whole();
        let Some(account) = accounts::find(db, &whole, &link.account.id).await? else {
            return Ok(None);
        };
        if let Some(project) = &link.project
            && projects::find(db, &whole, project).await?.is_none()
        {
            return Ok(None);
        }
        let connected = match &link.connected {
            Some(id) => connected_accounts::find(db, &whole, id).await?,
            None => None,
        };
        if link.reconnects && connected.is_none() {
            return Ok(None);
        }
        Ok(Some(Live {
            link,
            asker: account.name,
            connected,
        }))
    }
}
