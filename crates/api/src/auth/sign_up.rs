//! `POST /auth/signup`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::event::{Actor, EventKind};
use claviger_domain::id::{self, Id};
use claviger_domain::password::check_password;
use claviger_domain::role::Role;
use claviger_edge::{Anyone, ApiError, Body, Core, ErrorCode, SignUp};
use claviger_store::invitations::{self, Invitation, Status};
use claviger_store::roles::{self, Place};
use claviger_store::users::{self, NewUser, User};
use claviger_store::{Change, Tx, accounts, sessions};
use claviger_verify::Tokens;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::tokens::{self, Arrival, Password, SignedInAnswer, TokensBody};
use crate::invitations::of_token;
use crate::wire::name_of;

/// Somebody who signs up.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPerson {
    /// Their address.
    #[serde(default)]
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
    /// Their password: 8 characters or more.
    #[serde(default)]
    #[schema(required, value_type = String)]
    password: Option<Password>,
    /// What they are called: 1 to 255 characters.
    #[serde(default)]
    #[schema(required, example = "Ada Lovelace")]
    name: Option<String>,
    /// The token of an invitation, as its link has it; an invitation's id gives nothing. Needed
    /// unless this instance is open to everybody.
    #[serde(default)]
    invitation_id: Option<String>,
    /// The account that the invitation is into: looked at only to refuse another one's.
    #[serde(default)]
    account_id: Option<String>,
}

/// Sign up
///
/// Makes a user and signs them in. With an invitation they get the role that it names; without one,
/// where this instance is open, an account of their own.
#[utoipa::path(post, path = "/auth/signup", operation_id = "signUp", tag = "auth",
    request_body = NewPerson,
    responses(
        (status = 201, description = "The user, and tokens.", body = TokensBody),
        (status = 400, description = "A member is malformed; the message says what is accepted."),
        (status = 403, description = "Nobody signs up here, or only who is invited."),
        (status = 409, description = "Somebody signed up with that address."),
        (status = 429, description = "Too many attempts from there."),
        (status = 503, description = "Too many others sign in at this moment.")),
    security(()))]
pub(crate) async fn sign_up(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<NewPerson>,
) -> Result<SignedInAnswer, ApiError> {
    let joining = Joining {
        email: tokens::email(input.email.as_deref())?,
        name: input.name,
        password: input.password,
        invitation: PresentedInvitation {
            token: input.invitation_id,
            account: input.account_id,
        },
    };
    let (tokens, user) = join(&core, arrival, joining).await?;
    Ok(tokens::signed_in(&tokens, &user))
}

/// What somebody who signs up brings.
pub(crate) struct Joining {
    pub(crate) email: Email,
    pub(crate) name: Option<String>,
    pub(crate) password: Option<Password>,
    pub(crate) invitation: PresentedInvitation,
}

/// What somebody brings along who was asked into an account.
pub(crate) struct PresentedInvitation {
    /// The token of the invitation.
    pub(crate) token: Option<String>,
    /// The account that it is into, where it is said.
    pub(crate) account: Option<String>,
}

impl PresentedInvitation {
    /// The invitation that the token is of, if it is for that address.
    pub(super) async fn find(
        &self,
        core: &Core,
        arrival: &Arrival,
        email: &Email,
    ) -> Result<Option<Invitation>, ApiError> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        let found = of_token(core, arrival.network, token).await?;
        let account = self.account.as_deref();
        Ok(found.filter(|invitation| {
            invitation.email.folded() == email.folded()
                && account.is_none_or(|account| account == invitation.account.id.as_str())
        }))
    }
}

/// Makes a person and signs them in.
pub(crate) async fn join(
    core: &Core,
    arrival: Arrival,
    joining: Joining,
) -> Result<(Tokens, User), ApiError> {
    let email = joining.email;
    let name = name_of(joining.name.as_deref())?.trim().to_owned();
    let password = password_of(joining.password, &email)?;
    // A sign-up that succeeds is one all the same: it makes rows.
    let _counted = core.verifier.attempt_sign_in(arrival.network)?;
    let invitation = invitation_of(core, &arrival, &email, &joining.invitation).await?;
    let queued = core.people.passwords.queue()?;
    let hash = queued.digest(password, &*core.random).await?;
    let id = Id::<id::User>::draw(&*core.random);
    let change = core.change(&Actor::User(id.clone()));
    let pair = core.verifier.draw_tokens();
    let (stored, begun) = (pair.pair.clone(), arrival.begun);
    let new = NewUser {
        email,
        name,
        password: Some(hash),
        // The token was passed on to that address.
        is_verified: invitation.is_some(),
    };
    let user = core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let user = make(tx, &change, &id, &new, invitation.as_ref()).await?;
                sessions::begin(tx, &change, &id, &begun, &stored).await?;
                Ok(user)
            })
        })
        .await?;
    Ok((pair, user))
}

fn password_of(given: Option<Password>, email: &Email) -> Result<SecretString, ApiError> {
    let Password(password) = given.ok_or_else(|| ApiError::field("password", "is required"))?;
    check_password(password.expose_secret(), email.as_str())
        .map_err(|fault| ApiError::field("password", fault.to_string()))?;
    Ok(password)
}

/// The invitation whose token is presented; none where none is, and none is needed. What cannot be
/// accepted, whatever the reason, is one refusal.
pub(super) async fn invitation_of(
    core: &Core,
    arrival: &Arrival,
    email: &Email,
    presented: &PresentedInvitation,
) -> Result<Option<Invitation>, ApiError> {
    match (core.people.sign_up, &presented.token) {
        (SignUp::Closed, _) => {
            let message = "Nobody signs up on this instance";
            return Err(ApiError::new(ErrorCode::SignUpClosed, message));
        }
        (SignUp::Open, None) => return Ok(None),
        (SignUp::Invited, None) => return Err(not_invited()),
        (SignUp::Invited | SignUp::Open, Some(_)) => {}
    }
    let found = presented.find(core, arrival, email).await?;
    let found = found.filter(|invitation| invitation.status_at(core.now()) == Status::Pending);
    found.map(Some).ok_or_else(not_invited)
}

pub(super) fn not_invited() -> ApiError {
    let message = "An invitation to this address is needed: the token that its link has";
    ApiError::new(ErrorCode::InvitationNeeded, message)
}

/// Makes the person, and gives them what they are invited to or an account of their own.
pub(super) async fn make(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::User>,
    new: &NewUser,
    invitation: Option<&Invitation>,
) -> Result<User, ApiError> {
    let Some(user) = users::create(tx, change, id, new).await? else {
        let message = "Somebody signed up with this address already; whoever gets its mail signs in \
                       by a code, whatever the password is";
        return Err(ApiError::new(ErrorCode::EmailTaken, message));
    };
    if let Some(invitation) = invitation {
        // Another may have been quicker, or it was taken back meanwhile.
        if !invitations::accept(tx, change, &invitation.id, id).await? {
            return Err(not_invited());
        }
    } else {
        let account = accounts::create(tx, change, &user.name, None).await?;
        let place = Place {
            account: account.reference(),
            project: None,
        };
        roles::give(tx, change, id, &place, Role::Owner).await?;
    }
    let data = json!({"name": user.name, "invited": invitation.is_some()});
    users::note(tx, change, EventKind::UserSignedUp, id, data).await?;
    Ok(user)
}
