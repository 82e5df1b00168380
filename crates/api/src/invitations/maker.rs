//! Making invitations, for all operations that do.

use std::collections::BTreeMap;

use claviger_domain::base62;
use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::key_string::PlainKey;
use claviger_domain::role::Role;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, Requires};
use claviger_store::invitations::{self, Invitation, Invited, MOST_A_DAY};

use crate::role_place::RolePlace;

/// What a token begins with, and how many characters follow: 256 bits.
const PREFIX: &str = "invite_";
const LENGTH: usize = 43;

/// An invitation that was made, with the link to accept it where the caller may see that.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) invitation: Invitation,
    pub(super) link: Option<String>,
}

/// Invites people to a place, all or none of them.
pub(super) async fn invite<P: Requires>(
    core: &Core,
    caller: &Caller<P>,
    place: RolePlace,
    role: Role,
    emails: Vec<Email>,
) -> Result<Vec<Made>, ApiError> {
    place.judge(caller, role)?;
    let change = core.change(&caller.actor);
    let mut once = BTreeMap::new();
    for email in emails {
        once.entry(email.folded().to_owned()).or_insert(email);
    }
    let drawn: Vec<(Invitation, PlainKey)> = once
        .into_values()
        .map(|email| {
            let RolePlace { account, projects } = place.clone();
            let token = format!("{PREFIX}{}", base62::random_text(&*core.random, LENGTH));
            let invitation = Invitation::new(&change, account, projects, email, role);
            (invitation, PlainKey::new(token))
        })
        .collect();
    let rows: Vec<_> = drawn
        .iter()
        .map(|(invitation, token)| (invitation.clone(), core.verifier.digest(token.expose())))
        .collect();
    let stored = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            for (invitation, digest) in &rows {
                match invitations::create(tx, &change, invitation, digest).await? {
                    Invited::Done => {}
                    Invited::NoPlace => return Err(crate::accounts::absent()),
                    Invited::TooMany => return Err(too_many()),
                }
            }
            Ok(())
        })
    });
    stored.await?;
    // Whoever runs the instance could read the mail, too. Nobody else sees the token: it shows that
    // mail to the address reaches whoever presents it.
    let shows_link = matches!(caller.actor, Actor::Operator(_)) && !caller.identity.is_delegated;
    let made = drawn.into_iter().map(|(invitation, token)| Made {
        invitation,
        link: shows_link.then(|| link(core, &token)),
    });
    Ok(made.collect())
}

/// Where an invitation is accepted.
fn link(core: &Core, token: &PlainKey) -> String {
    let url = &core.people.public_url;
    format!("{url}/accept-invitation?token={}", token.expose())
}

fn too_many() -> ApiError {
    let message = format!("At most {MOST_A_DAY} people are invited into an account in a day");
    ApiError::new(ErrorCode::TooManyInvitations, message)
}
