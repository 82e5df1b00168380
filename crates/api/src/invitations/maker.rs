//! Making invitations, for all operations that do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{Reach, Rights};
use claviger_domain::role::Role;
use claviger_domain::token::INVITATION_PREFIX;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, Identity, Requires};
use claviger_outbound::mail::{Inviter, Letter, Link};
use claviger_store::invitations::{self, Invitation, Invited, MOST_A_DAY};
use claviger_store::mails::{self, NewMail};
use claviger_store::{Change, Tx, accounts, projects, users};

use crate::mailed::{draw_token, link};
use crate::role_place::{RolePlace, exceeds};

/// Where one is accepted.
const PAGE: &str = "accept-invitation";

/// An invitation that is to be stored, with its mail.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(super) invitation: Invitation,
    /// Where it is accepted.
    pub(super) link: Link,
    token: KeyDigest,
    mail: NewMail,
}

impl Drawn {
    /// Draws an invitation to a place that is called so.
    pub(crate) fn new(
        core: &Core,
        change: &Change,
        place: RolePlace,
        names: &Names,
        by: &Inviter,
        role: Role,
        email: Email,
    ) -> Self {
        let token = draw_token(core, INVITATION_PREFIX);
        let link = Link(link(core, PAGE, &token));
        let RolePlace { account, projects } = place;
        let invitation = Invitation::new(change, account, projects, email, role);
        let letter = Letter::Invitation {
            account: names.account.clone().unwrap_or_default(),
            role: role.as_str(),
            projects: names.projects.clone(),
            by: by.clone(),
            link: link.clone(),
        };
        let (to, about) = (&invitation.email, invitation.id.as_str());
        let post = &core.people.post;
        let mail = post.seal(&letter, to, about, false, invitation.expires_at);
        Self {
            token: core.verifier.digest(token.expose()),
            invitation,
            link,
            mail,
        }
    }

    /// Stores it for somebody with those rights, and queues its mail.
    pub(crate) async fn store(
        &self,
        tx: &mut Tx,
        change: &Change,
        rights: &Rights,
    ) -> Result<(), ApiError> {
        match invitations::create(tx, change, rights, &self.invitation, &self.token).await? {
            Invited::Done => Ok(mails::queue(tx, change, &self.mail).await?),
            Invited::NoPlace => Err(crate::accounts::absent()),
            Invited::TooMany => Err(too_many()),
            Invited::TooManyToOne => {
                let message = "That address has had its invitations of a day, try again tomorrow";
                Err(ApiError::new(ErrorCode::TooManyInvitations, message))
            }
            Invited::Exceeds(role) => Err(exceeds(role)),
        }
    }
}

/// Whether a caller is shown the links of invitations. Whoever runs the instance could read the mail,
/// too. Nobody else sees the token: it shows that mail to the address reaches whoever presents it.
pub(crate) fn shows_link(identity: &Identity) -> bool {
    matches!(identity.actor, Actor::Operator(_)) && !identity.is_delegated
}

/// Invites people to a place, all or none of them.
pub(super) async fn invite<P: Requires>(
    core: &Core,
    caller: &Caller<P>,
    place: RolePlace,
    role: Role,
    emails: Vec<Email>,
) -> Result<Vec<Drawn>, ApiError> {
    place.judge(caller, role)?;
    let change = core.change(&caller.actor);
    let mut once = BTreeMap::new();
    for email in emails {
        once.entry(email.folded().to_owned()).or_insert(email);
    }
    let names = names_of(core, &place.account.id, place.projects.as_ref()).await?;
    let by = inviter(core, &caller.actor).await?;
    let drawn: Vec<_> = once
        .into_values()
        .map(|email| Drawn::new(core, &change, place.clone(), &names, &by, role, email))
        .collect();
    let (rows, rights) = (drawn.clone(), Arc::clone(&caller.rights));
    let stored = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            for row in &rows {
                row.store(tx, &change, &rights).await?;
            }
            Ok(())
        })
    });
    stored.await?;
    Ok(drawn)
}

/// Who a mail says invites: whoever stands behind an agent, and a person by their name and address.
pub(crate) async fn inviter(core: &Core, actor: &Actor) -> Result<Inviter, ApiError> {
    let mut actor = actor;
    while let Actor::McpServer { maker, .. } = actor {
        actor = maker;
    }
    let Actor::User(id) = actor else {
        let is_program = matches!(actor, Actor::AccessKey(_));
        return Ok(if is_program {
            Inviter::Program
        } else {
            Inviter::Operator
        });
    };
    let user = users::find(&core.db, id).await?;
    let user = user.ok_or_else(ApiError::invalid_sign_in)?;
    Ok(Inviter::Person {
        name: user.name,
        email: user.email,
    })
}

/// What a place is called.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) account: Option<String>,
    pub(crate) projects: Vec<String>,
}

/// What an account and projects of it are called, for a mail and for the page that it leads to.
pub(crate) async fn names_of(
    core: &Core,
    account: &Id<id::Account>,
    of: Option<&BTreeSet<Id<id::Project>>>,
) -> Result<Names, ApiError> {
    let whole = Reach::whole();
    let account = accounts::find(&core.db, &whole, account).await?;
    let mut names = Vec::new();
    for id in of.into_iter().flatten() {
        let project = projects::find(&core.db, &whole, id).await?;
        names.extend(project.map(|project| project.name));
    }
    Ok(Names {
        account: account.map(|account| account.name),
        projects: names,
    })
}

fn too_many() -> ApiError {
    let message = format!(
        "At most {MOST_A_DAY} people are invited into an account with its children in a day"
    );
    ApiError::new(ErrorCode::TooManyInvitations, message)
}
