//! What somebody connects by a link: the connector and the form of credentials, as far as the link, whoever
//! opened the page, and the person have said.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_domain::id::Id;
use claviger_edge::{ApiError, ErrorCode};
use claviger_store::connected_accounts::{ConnectedAccount, Status};
use claviger_store::link_tokens::LinkToken;
use claviger_store::{Base, connectors};

use super::link::Live;
use crate::catalogue::Catalogue;
use crate::connector::access::FormatAccess;
use crate::connector::file::Format;
use crate::gateway::Gateway;

/// How a connector without credentials is connected.
pub(crate) const NO_METHOD: &str = "none";
/// How many connectors are offered.
const MOST_OFFERED: i64 = 200;
/// The longest name of a connector.
const LONGEST_SLUG: usize = 40;

/// What was asked for, in a query or a form.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) integration: Option<String>,
    pub(crate) format: Option<String>,
    /// The connectors to choose from, where not all are offered.
    pub(crate) among: Option<Vec<String>>,
}

/// What is to be connected.
#[derive(Clone)]
pub(crate) struct Picked {
    /// The connected account as it would be, or as it is.
    pub(crate) draft: ConnectedAccount,
    pub(crate) catalogue: Arc<Catalogue>,
}

/// How far the choice is made.
pub(crate) enum Chosen {
    Picked(Box<Picked>),
    /// One of these connectors, by name and label.
    OneOf(Vec<(String, String)>),
    /// One of these forms of credentials of a connector.
    FormatOf(Arc<Catalogue>),
    /// There is no such connector, or it is not the link's.
    None,
}

impl Asked {
    pub(crate) fn read(members: &HashMap<String, String>) -> Self {
        let given = |name: &str| members.get(name).filter(|text| !text.is_empty());
        let among = given("integrations").map(|list| list.split(',').map(str::to_owned).collect());
        Self {
            integration: given("integration").cloned(),
            format: given("auth_format").cloned(),
            among,
        }
    }
}

impl Picked {
    /// What the form of credentials asks for; none where the connector has no credentials.
    pub(crate) fn access(&self) -> Option<(Format, &FormatAccess)> {
        let mut formats = self.catalogue.access().formats.iter();
        let named = &self.draft.authentication_method;
        let found = formats.find(|(format, _)| format.as_str() == named);
        found.map(|(format, access)| (*format, access))
    }
}

/// What is connected by a good link.
pub(crate) async fn choose(
    gateway: &Gateway,
    live: &Live,
    asked: &Asked,
) -> Result<Chosen, ApiError> {
    let Live {
        link, connected, ..
    } = live;
    let connected = connected.as_ref().filter(|_| link.reconnects);
    let of_link = connected
        .map(|connected| &connected.integration)
        .or(link.integration.as_ref());
    let slug = match (of_link, &asked.integration) {
        (Some(own), Some(named)) if own != named => return Ok(Chosen::None),
        (Some(slug), _) | (None, Some(slug)) => slug.clone(),
        (None, None) => {
            let mut offered = offered(gateway, link, asked).await?;
            if offered.len() != 1 {
                return Ok(Chosen::OneOf(offered));
            }
            offered.remove(0).0
        }
    };
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if slug.len() > LONGEST_SLUG || !slug.bytes().all(sound) {
        return Ok(Chosen::None);
    }
    let mut draft = match connected {
        Some(connected) => connected.clone(),
        None => draft(gateway, link, slug),
    };
    let catalogue = match gateway.catalogue_of(&draft).await {
        Err(error) if error.code == ErrorCode::NotConfigured => return Ok(Chosen::None),
        found => found?,
    };
    let formats = &catalogue.access().formats;
    let mut known = formats.keys().map(|format| format.as_str());
    let method = match &asked.format {
        // The published clients have it ignored where there is no choice.
        _ if formats.len() == 1 => known.next(),
        Some(named) => known.find(|known| known == named),
        None if formats.is_empty() => Some(NO_METHOD),
        None => None,
    };
    let Some(method) = method else {
        return Ok(Chosen::FormatOf(catalogue));
    };
    method.clone_into(&mut draft.authentication_method);
    Ok(Chosen::Picked(Box::new(Picked { draft, catalogue })))
}

/// A connected account that nobody has connected yet.
fn draft(gateway: &Gateway, link: &LinkToken, integration: String) -> ConnectedAccount {
    let change = gateway.core.change(&link.actor());
    ConnectedAccount {
        id: Id::draw(&*gateway.core.random),
        account: link.account.clone(),
        project: link.project.clone(),
        integration,
        tenant_id: link.tenant_id.clone(),
        authentication_method: String::new(),
        context: "{}".to_owned(),
        overrides: "{}".to_owned(),
        status: Status::Connecting,
        base: Base::made_by(&change),
    }
}

/// The connectors that the account may use, of which those that were asked for.
async fn offered(
    gateway: &Gateway,
    link: &LinkToken,
    asked: &Asked,
) -> Result<Vec<(String, String)>, ApiError> {
    let stored = connectors::usable_by(&gateway.core.db, &link.account, MOST_OFFERED).await?;
    let is_named = |slug: &str| {
        let among = asked.among.iter().flatten();
        among.map(String::as_str).any(|among| among == slug)
    };
    // To act here is not what customers connect, but for those who ask them to.
    let own = gateway.own().iter();
    let own = own.filter(|catalogue| !catalogue.is_local() || is_named(catalogue.slug()));
    let own = own.map(|catalogue| (catalogue.slug().to_owned(), catalogue.label().to_owned()));
    let mut offered: Vec<_> = stored.into_iter().chain(own).collect();
    if let Some(among) = &asked.among {
        offered.retain(|(slug, _)| among.contains(slug));
    }
    Ok(offered)
}
