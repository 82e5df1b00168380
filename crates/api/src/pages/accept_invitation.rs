//! `/accept-invitation`: the page of a mailed invitation.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use claviger_domain::event::Actor;
use claviger_edge::{Anyone, ApiError, Core};
use claviger_store::invitations::{self, Invitation, Status};
use claviger_store::users::{self, User};
use http::StatusCode;

use super::{Asked, Form, NEW_PASSWORD, Page, members, refused, says, take, token_of};
use crate::auth::{Arrival, Joining, Password, PresentedInvitation, join_by_invitation, verify};
use crate::invitations::{names_of, of_token};

const TITLE: &str = "Accept an invitation";
const NAME: Asked = Asked {
    name: "name",
    label: "Your name",
    kind: "text",
    autocomplete: "name",
    shortest: 1,
};

/// Who has an account is asked for nothing else: the link shows that mail to the address reaches them.
fn form<'a>(token: &'a str, user: Option<&User>) -> Form<'a> {
    Form {
        action: "/accept-invitation",
        token,
        asked: if user.is_some() {
            &[]
        } else {
            &[NAME, NEW_PASSWORD]
        },
        button: "Accept",
    }
}

/// An invitation that can be accepted, with whoever has its address.
async fn find(
    core: &Core,
    arrival: &Arrival,
    token: &str,
) -> Result<(Invitation, Option<User>), ApiError> {
    let found = of_token(core, arrival.network, token).await?;
    let found = found.filter(|one| one.status_at(core.now()) == Status::Pending);
    let invitation = found.ok_or_else(ApiError::invalid_sign_in)?;
    let user = users::find_by_email(&core.db, &invitation.email).await?;
    Ok((invitation, user.map(|(user, _)| user)))
}

pub(super) async fn show(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    RawQuery(query): RawQuery,
) -> Response {
    let token = token_of(query.as_deref());
    let shown = async {
        let (invitation, user) = find(&core, &arrival, &token).await?;
        let (account, projects) = (&invitation.account.id, invitation.projects.as_ref());
        let names = names_of(&core, account, projects).await?;
        Ok::<_, ApiError>((invitation, user, names))
    };
    match shown.await {
        Ok((invitation, user, names)) => {
            let place = names.account.unwrap_or_default();
            let of = match &names.projects[..] {
                [] => String::new(),
                projects => format!(", for {}", projects.join(", ")),
            };
            let role = invitation.role.as_str();
            let said = format!(
                "You, {}, are invited to {place} as {role}{of}.",
                invitation.email.as_str()
            );
            let page = Page {
                title: TITLE,
                said: &[said],
                form: Some(form(&token, user.as_ref())),
                ..Page::default()
            };
            page.answer(StatusCode::OK)
        }
        Err(error) => refused(TITLE, error, form(&token, None)),
    }
}

pub(super) async fn accept(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    body: Bytes,
) -> Response {
    let mut members = members(&body);
    let token = take(&mut members, "token");
    let (invitation, user) = match find(&core, &arrival, &token).await {
        Ok(found) => found,
        Err(error) => return refused(TITLE, error, form(&token, None)),
    };
    let accepted = if let Some(user) = &user {
        give(&core, &invitation, user).await
    } else {
        let joining = Joining {
            email: invitation.email.clone(),
            name: Some(take(&mut members, "name")),
            password: Some(Password::from(take(&mut members, "password"))),
            invitation: PresentedInvitation {
                token: Some(token.clone()),
                account: None,
            },
        };
        let joined = join_by_invitation(&core, arrival, joining).await;
        joined.map(drop)
    };
    match accepted {
        Ok(()) => says(
            StatusCode::OK,
            "You have accepted",
            format!("Sign in as {}.", invitation.email.as_str()),
        ),
        Err(error) => refused(TITLE, error, form(&token, user.as_ref())),
    }
}

/// Gives it to whoever has its address, and got its mail.
async fn give(core: &Core, invitation: &Invitation, user: &User) -> Result<(), ApiError> {
    let change = core.change(&Actor::User(user.id.clone()));
    let (invitation, user) = (invitation.id.clone(), user.id.clone());
    core.verifier
        .change_person::<_, ApiError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                if !invitations::accept(tx, &change, &invitation, &user).await? {
                    return Err(ApiError::invalid_sign_in());
                }
                Ok(verify(tx, &change, &user).await?)
            })
        })
        .await
}
