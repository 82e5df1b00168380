//! `POST /link-token`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::date;
use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_domain::rights::AccountRef;
use claviger_domain::time::{Timestamp, earlier, outlives};
use claviger_domain::token::LINK_TOKEN_PREFIX;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller, ErrorCode, NoStore};
use claviger_store::StoreError;
use claviger_store::link_settings;
use claviger_store::link_tokens::{self, LinkToken, MOST_LIVE};
use claviger_store::mcp_servers::Maker;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::connected_account::{place_of, read_tenant};
use super::described::NewLink;
use crate::connector::file::Format;
use crate::gateway::Gateway;
use crate::members::Members;

const MEMBERS: [&str; 8] = [
    "tenant_id",
    "integrated_account_id",
    "integration",
    "redirect_uri",
    "scopes",
    "expires_at",
    "account_id",
    "project_id",
];
/// Seconds for which a link is good unless its maker says otherwise, at least, and at most.
const USUAL_LIFE: i64 = 3_600;
const SHORTEST_LIFE: i64 = 60;
const LONGEST_LIFE: i64 = 86_400;
/// Scopes, at most, and characters of one.
const MOST_SCOPES: usize = 100;
const LONGEST_SCOPE: usize = 255;

/// A link that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeLink {
    /// Its id.
    #[schema(example = "lnk_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// What `/connect-account?link_token=` is opened with; shown this once.
    link_token: String,
    /// When it is over.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Make a link
///
/// Makes a link by which one person connects one account, once: they open `/connect-account?link_token=` with it. For a
/// tenant that connects something, or for a connected account that is connected anew. An account has 1000 at most that
/// are not over. Send an `Idempotency-Key` header to be safe to repeat.
#[utoipa::path(post, path = "/link-token", operation_id = "createLink", tag = "links",
    request_body = NewLink,
    responses(
        (status = 201, description = "The link, with its token.", body = MadeLink),
        (status = 403, description = "It would outlive the access key that makes it, or the permission lacks."),
        (status = 404, description = "No such account, project or connected account."),
        (status = 409, description = "The account has as many links as it may have, or the first request with that \
            `Idempotency-Key` is not finished.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let members = Members::read("", &body, &MEMBERS)?;
    let core = &gateway.core;
    let maker = Maker::of(&caller.actor).ok_or_else(ApiError::forbidden)?;
    let mut link = LinkToken {
        id: Id::draw(&*core.random),
        ..of_whom(&gateway, &caller, &members, maker).await?
    };
    link.expires_at = read_expiry(members.text("expires_at")?, &caller, core.now())?;
    link.scopes = read_scopes(members.texts("scopes")?)?;
    if let Some(back) = members.text("redirect_uri")? {
        let settings = link_settings::meant_by(&core.db, &link.account).await?;
        if !settings.redirect_uris.iter().any(|known| known == back) {
            let must =
                "must be one of the account's redirect_uris, as it is written in /link-settings";
            return Err(ApiError::field("redirect_uri", must));
        }
        link.redirect_uri = Some(back.to_owned());
    }
    if let Some(slug) = &link.integration {
        check_integration(&gateway, &link.account, slug).await?;
    }
    let token = draw_token(&gateway);
    let digest = core.verifier.digest(token.expose());
    let change = core.change(&caller.actor);
    let (id, expires_at) = (link.id.clone(), link.expires_at);
    let is_made = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { link_tokens::create(tx, &change, &link, &digest).await })
        })
        .await?;
    if !is_made {
        let message = format!(
            "The account has {MOST_LIVE} links that are not over: end some, or wait until they are"
        );
        return Err(ApiError::new(ErrorCode::TooManyLinks, message));
    }
    let shown = MadeLink {
        id: id.to_string(),
        link_token: token.expose().to_owned(),
        expires_at,
    };
    Ok((StatusCode::CREATED, NoStore(Json(shown))).into_response())
}

/// A link for a tenant that connects something, or for a connected account that is connected anew.
async fn of_whom(
    gateway: &Gateway,
    caller: &Caller<ConnectedAccountsWrite>,
    members: &Members<'_>,
    maker: Maker,
) -> Result<LinkToken, ApiError> {
    let now = gateway.core.now();
    let integration = members.text("integration")?;
    let place = (members.text("project_id")?, members.text("account_id")?);
    let again = members.text("integrated_account_id")?;
    let (account, project, tenant_id, connected) = match (members.text("tenant_id")?, again) {
        (Some(_), Some(_)) => {
            let must_not = "does not go with tenant_id: a connected account has its own";
            return Err(ApiError::field("integrated_account_id", must_not));
        }
        (None, Some(id)) => {
            let found = super::connected_account(gateway, &caller.reach, id).await?;
            let others = [
                ("integration", integration),
                ("project_id", place.0),
                ("account_id", place.1),
            ];
            if let Some((name, _)) = others.iter().find(|(_, value)| value.is_some()) {
                let must_not =
                    "does not go with integrated_account_id: a connected account has its own";
                return Err(ApiError::field(*name, must_not));
            }
            (
                found.account,
                found.project,
                found.tenant_id,
                Some(found.id),
            )
        }
        (tenant, None) => {
            let tenant = read_tenant(tenant)?;
            let (account, project) = place_of(gateway, caller, place).await?;
            (account, project, tenant, None)
        }
    };
    Ok(LinkToken {
        id: Id::draw(&*gateway.core.random),
        account,
        project,
        tenant_id,
        reconnects: connected.is_some(),
        connected,
        integration: integration.map(str::to_owned),
        redirect_uri: None,
        scopes: None,
        page: None,
        tries: 0,
        maker,
        maker_rights: (*caller.rights).clone(),
        expires_at: now,
        used_at: None,
        created_at: now,
    })
}

/// Refuses a link that could connect nothing.
async fn check_integration(
    gateway: &Gateway,
    account: &AccountRef,
    slug: &str,
) -> Result<(), ApiError> {
    let catalogue = match gateway.catalogue_named(account, slug).await {
        Err(error) if error.code == ErrorCode::NotConfigured => {
            let must = "must be a connector that the account has";
            return Err(ApiError::field("integration", must));
        }
        found => found?,
    };
    let access = catalogue.access();
    for (format, of_format) in &access.formats {
        let oauth = of_format.oauth.as_ref();
        match oauth.filter(|_| *format == Format::OAuth2) {
            Some(oauth) => {
                let client = gateway.client_of(account, slug, (access, oauth));
                if client.await?.is_some() {
                    return Ok(());
                }
            }
            None => return Ok(()),
        }
    }
    if access.formats.is_empty() {
        return Ok(());
    }
    let needs = "needs an OAuth client, as which its users are asked: enter that first";
    Err(ApiError::field("integration", needs))
}

/// When a link is over: nothing made outlives its maker.
fn read_expiry(
    text: Option<&str>,
    caller: &Caller<ConnectedAccountsWrite>,
    now: Timestamp,
) -> Result<Timestamp, ApiError> {
    let makers = caller.identity.ends_at;
    let Some(text) = text else {
        let usual = now.plus_seconds(USUAL_LIFE);
        return Ok(earlier(Some(usual), makers).unwrap_or(usual));
    };
    let asked = date::parse(text)
        .ok_or_else(|| ApiError::field("expires_at", format!("must be {}", date::ACCEPTED)))?;
    if asked < now.plus_seconds(SHORTEST_LIFE) || asked > now.plus_seconds(LONGEST_LIFE) {
        let must = format!("must lie {SHORTEST_LIFE} to {LONGEST_LIFE} seconds ahead");
        return Err(ApiError::field("expires_at", must));
    }
    if outlives(Some(asked), makers) {
        let message = "A link cannot outlive the access key that makes it";
        return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
    }
    Ok(asked)
}

/// OAuth scopes, in the characters that RFC 6749 gives them (3.3).
fn read_scopes(scopes: Option<Vec<String>>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(scopes) = scopes else {
        return Ok(None);
    };
    let is_sound = |scope: &String| {
        let mut bytes = scope.bytes();
        (1..=LONGEST_SCOPE).contains(&scope.len())
            && bytes.all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    };
    if scopes.len() > MOST_SCOPES || !scopes.iter().all(is_sound) {
        let must = format!(
            "must be at most {MOST_SCOPES} scopes of 1 to {LONGEST_SCOPE} characters, without spaces, quotes and backslashes"
        );
        return Err(ApiError::field("scopes", must));
    }
    Ok(Some(scopes))
}

/// 256 random bits, in characters that a URL takes as they are.
fn draw_token(gateway: &Gateway) -> PlainKey {
    let mut bytes = [0; 32];
    gateway.core.random.fill(&mut bytes);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    PlainKey::new(format!("{LINK_TOKEN_PREFIX}{text}"))
}
