//! `POST /auth/add-user-from-firebase`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::identity_token::Identity;
use claviger_edge::{Anyone, ApiError, Body, Core, ErrorCode};
use claviger_outbound::TokenFault;
use claviger_outbound::mail::Letter;
use claviger_store::identities::{self, Linked};
use claviger_store::invitations::{self, Invitation, Status};
use claviger_store::mails::{self, NewMail};
use claviger_store::sessions;
use claviger_store::users::{self, NewUser, User};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sign_up::{PresentedInvitation, invitation_of, make, not_invited};
use super::tokens::{self, Arrival, SignedInAnswer, TokensBody};
use super::validate_code::verify;
use crate::wire::name_of;

/// Seconds after which somebody comes again while the provider is away.
const COME_AGAIN: u64 = 10;
/// Seconds for which it is tried to tell somebody of another way in: three days.
const TOLD_FOR: i64 = 3 * 86_400;

/// Somebody who is signed in with the Firebase project of this instance.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FirebaseUser {
    /// The ID token, as Firebase's client libraries give it.
    #[serde(default)]
    #[schema(required)]
    id_token: Option<String>,
    /// The token of an invitation, as its link has it: needed by who is new, unless this instance is open
    /// to everybody; who is known accepts it.
    #[serde(default)]
    invitation_id: Option<String>,
    /// The account that the invitation is into: looked at only to refuse another one's.
    #[serde(default)]
    account_id: Option<String>,
}

/// Sign in with Firebase
///
/// Signs in whoever an ID token of this instance's Firebase project is of, and signs them up where they
/// are new. Somebody who signed up otherwise is the same person where Firebase verified their address.
#[utoipa::path(post, path = "/auth/add-user-from-firebase", operation_id = "addUserFromFirebase",
    tag = "auth", request_body = FirebaseUser,
    responses(
        (status = 201, description = "The user, and tokens.", body = TokensBody),
        (status = 400, description = "`idToken` is missing."),
        (status = 401, description = "The token is not believed."),
        (status = 403, description = "Nobody signs up here, or only who is invited."),
        (status = 429, description = "Too many attempts, from there or for this address."),
        (status = 501, description = "This instance has no Firebase project."),
        (status = 503, description = "The keys of the project cannot be fetched.")),
    security(()))]
pub(crate) async fn add_user_from_firebase(
    State(core): State<Core>,
    _: Anyone,
    mut arrival: Arrival,
    Body(input): Body<FirebaseUser>,
) -> Result<SignedInAnswer, ApiError> {
    let firebase = core.people.firebase.as_ref().ok_or_else(|| {
        let message = "This instance has no Firebase project";
        ApiError::new(ErrorCode::NotConfigured, message)
    })?;
    let token = input
        .id_token
        .ok_or_else(|| ApiError::field("idToken", "is required"))?;
    let attempt = core.verifier.attempt_sign_in(arrival.network)?;
    let identity = match firebase.identify(&token).await {
        Ok(identity) => identity,
        Err(TokenFault::Refused) => return Err(ApiError::invalid_sign_in()),
        Err(TokenFault::Away) => {
            // Or nobody from there signed in by a password either.
            core.verifier.succeeded(attempt);
            return Err(away());
        }
    };
    arrival.begun.shown_at = Some(identity.shown_at);
    let presented = PresentedInvitation {
        token: input.invitation_id,
        account: input.account_id,
    };
    let user = match known(&core, &identity).await? {
        Some(user) => user,
        None => match sign_up(&core, &arrival, &identity, &presented).await {
            // They came twice at once, or signed up otherwise meanwhile.
            Err(error) if error.code == ErrorCode::EmailTaken => known(&core, &identity)
                .await?
                .ok_or_else(ApiError::invalid_sign_in)?,
            // A sign-up that succeeds is an attempt all the same: it makes rows.
            answered => return answered,
        },
    };
    let signed_in = sign_in(&core, &arrival, identity, user, &presented).await?;
    core.verifier.succeeded(attempt);
    Ok(signed_in)
}

fn away() -> ApiError {
    let message = "Firebase does not answer, try again later";
    ApiError::new(ErrorCode::ProviderAway, message).with_retry_after(COME_AGAIN)
}

/// The person that a token is of: whom the provider meant before, or who has the address that it
/// verified. An address that it did not verify is nobody's.
async fn known(core: &Core, identity: &Identity) -> Result<Option<User>, ApiError> {
    if let Some(user) = identities::find(&core.db, identity).await? {
        return Ok(Some(user));
    }
    let email = identity.email.as_ref();
    let email = email.ok_or_else(ApiError::invalid_sign_in)?;
    let found = users::find_by_email(&core.db, email).await?;
    Ok(found.map(|(user, _)| user))
}

/// Signs in somebody who is known, notes whom the provider means, and gives them what they are invited to.
async fn sign_in(
    core: &Core,
    arrival: &Arrival,
    identity: Identity,
    user: User,
    presented: &PresentedInvitation,
) -> Result<SignedInAnswer, ApiError> {
    let address = Email::parse(&user.email).ok_or_else(ApiError::invalid_sign_in)?;
    let invitation = invited(core, arrival, &address, presented).await?;
    core.verifier.count_sign_in(&address)?;
    let is_verified = identity.email.as_ref();
    let is_verified = is_verified.is_some_and(|email| email.folded() == address.folded());
    let change = core.change(&Actor::User(user.id.clone()));
    let tokens = core.verifier.draw_tokens();
    let (id, pair, begun) = (user.id.clone(), tokens.pair.clone(), arrival.begun.clone());
    let mail = way_in_added(core, &user, &address);
    let user = core
        .verifier
        .change_person::<_, ApiError, _>(user.id, move |tx| {
            Box::pin(async move {
                users::hold(tx, &id).await?;
                match identities::link(tx, &change, &identity, &id).await? {
                    Linked::Now => mails::queue(tx, &change, &mail).await?,
                    Linked::Before => {}
                    Linked::ToAnother => return Err(ApiError::invalid_sign_in()),
                }
                if is_verified {
                    verify(tx, &change, &id).await?;
                }
                if let Some(invitation) = invitation
                    && !invitations::accept(tx, &change, &invitation.id, &id).await?
                {
                    return Err(not_invited());
                }
                sessions::begin(tx, &change, &id, &begun, &pair).await?;
                let user = users::hold(tx, &id).await?;
                user.ok_or_else(ApiError::invalid_sign_in)
            })
        })
        .await?;
    core.verifier.note_signed_in(&address, arrival.network);
    Ok(tokens::signed_in(&tokens, &user))
}

/// What tells somebody that whoever has their address at the provider signs in as them from now on.
fn way_in_added(core: &Core, user: &User, address: &Email) -> NewMail {
    let letter = Letter::WayInAdded {
        provider: "Firebase",
        instance: core.people.public_url.to_string(),
    };
    let until = core.now().plus_seconds(TOLD_FOR);
    core.people
        .post
        .seal(&letter, address, user.id.as_str(), true, until)
}

/// The invitation that somebody who is known brings along, to be accepted. One that was is none any
/// more: whoever asks again for an answer that was lost is signed in.
async fn invited(
    core: &Core,
    arrival: &Arrival,
    address: &Email,
    presented: &PresentedInvitation,
) -> Result<Option<Invitation>, ApiError> {
    if presented.token.is_none() {
        return Ok(None);
    }
    let found = presented.find(core, arrival, address).await?;
    let found = found.ok_or_else(not_invited)?;
    match found.status_at(core.now()) {
        Status::Pending => Ok(Some(found)),
        Status::Accepted => Ok(None),
        Status::Cancelled | Status::Expired => Err(not_invited()),
    }
}

/// Signs somebody up whose address the provider verified, and in.
async fn sign_up(
    core: &Core,
    arrival: &Arrival,
    identity: &Identity,
    presented: &PresentedInvitation,
) -> Result<SignedInAnswer, ApiError> {
    let email = identity.email.clone();
    let email = email.ok_or_else(ApiError::invalid_sign_in)?;
    let invitation = invitation_of(core, arrival, &email, presented).await?;
    let local = email.as_str().split('@').next().unwrap_or_default();
    let given = identity.name.as_deref();
    let given = given.and_then(|name| name_of(Some(name)).ok());
    let new = NewUser {
        name: given.unwrap_or(local).trim().to_owned(),
        email: email.clone(),
        password: None,
        is_verified: true,
    };
    let id = Id::<id::User>::draw(&*core.random);
    let change = core.change(&Actor::User(id.clone()));
    let tokens = core.verifier.draw_tokens();
    let (identity, pair, begun) = (identity.clone(), tokens.pair.clone(), arrival.begun.clone());
    let user = core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let user = make(tx, &change, &id, &new, invitation.as_ref()).await?;
                if identities::link(tx, &change, &identity, &id).await? == Linked::ToAnother {
                    return Err(ApiError::invalid_sign_in());
                }
                sessions::begin(tx, &change, &id, &begun, &pair).await?;
                Ok(user)
            })
        })
        .await?;
    core.verifier.note_signed_in(&email, arrival.network);
    Ok(tokens::signed_in(&tokens, &user))
}
