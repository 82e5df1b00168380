//! Callers with a permission, as extractors: a handler's signature says what it needs.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::permission::Permission;
use claviger_domain::rights::{AccountRef, Reach, Rights};
use http::request::Parts;

use crate::{ApiError, ErrorCode, Identity};

/// A permission as a type.
pub trait Requires: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// The permissions that handlers ask for.
pub mod permission {
    use claviger_domain::permission::Permission;

    use super::Requires;

    macro_rules! permissions {
        ($($name:ident),* $(,)?) => {
            $(
                #[doc = concat!("The permission `", stringify!($name), "` as a type.")]
                #[derive(Debug)]
                pub enum $name {}

                impl Requires for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )*
        };
    }

    permissions!(
        MembersRead,
        MembersWrite,
        InvitationsRead,
        InvitationsWrite,
        AccountsRead,
        AccountsWrite,
        AccountsDelete,
        AccountsCreate,
        ProjectsRead,
        ProjectsWrite,
        ProjectsDelete,
        NotificationsRead,
        KeysRead,
        KeysWrite,
        KeysCheck,
        AccessKeysRead,
        AccessKeysWrite,
        AuditRead,
        ConnectedAccountsRead,
        ConnectedAccountsWrite,
        ConnectorsRead,
        ConnectorsWrite,
        CustomCall,
        McpRead,
        McpWrite,
        ProxyRead,
        ProxyWrite,
        WebhooksRead,
        WebhooksWrite,
        LogsRead,
        UsageRead,
    );
}

/// A caller who holds the permission `P` somewhere, and how far it reaches.
#[derive(Debug)]
pub struct Caller<P> {
    /// Who the trail of changes names.
    pub actor: Actor,
    /// Where the permission is held; objects are loaded through it.
    pub reach: Reach,
    /// All that the caller may do.
    pub rights: Arc<Rights>,
    /// Who presented a credential, and the account that is meant where none is named.
    pub identity: Identity,
    permission: PhantomData<P>,
}

impl<P: Requires> Caller<P> {
    /// The caller that `identity` is, when it holds the permission anywhere.
    pub fn from_identity(identity: Identity) -> Result<Self, ApiError> {
        let Some(reach) = identity.rights.reach(P::PERMISSION) else {
            // For a verifier key, paths other than those of checks do not exist.
            return Err(if identity.rights.only_check_keys() {
                ApiError::not_found()
            } else {
                ApiError::forbidden()
            });
        };
        if identity.is_unverified && P::PERMISSION.opens_other_ways() {
            // Somebody else's address, perhaps: nothing that they make may outlast its holder's coming.
            return Err(ApiError::not_verified());
        }
        Ok(Self {
            actor: identity.actor.clone(),
            reach,
            rights: Arc::clone(&identity.rights),
            identity,
            permission: PhantomData,
        })
    }

    /// The account that is meant where none is named.
    pub fn own_account(&self) -> Result<&AccountRef, ApiError> {
        self.identity.account.as_ref().ok_or_else(|| {
            let message = "This credential has no account of its own, name one in accountId";
            ApiError::new(ErrorCode::AccountNeeded, message)
        })
    }

    /// The id of the account that is named, or else of the caller's own.
    pub fn account_or_own(&self, named: Option<&str>) -> Result<Id<id::Account>, ApiError> {
        match named {
            Some(text) => Id::parse(text)
                .ok_or_else(|| ApiError::new(ErrorCode::AccountNotFound, "Account not found")),
            None => Ok(self.own_account()?.id.clone()),
        }
    }

    /// Where another permission is held; nowhere is an empty reach.
    pub fn reach_of(&self, permission: Permission) -> Reach {
        self.rights.reach(permission).unwrap_or_default()
    }
}

/// Whoever asks, with a credential or without; but for a verifier key, paths other than those of
/// checks do not exist: what an end user typed into a path must not come out as a success.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>();
        let is_verifier_key =
            |identity: &Identity| identity.session.is_none() && identity.rights.only_check_keys();
        if identity.is_some_and(is_verifier_key) {
            return Err(ApiError::not_found());
        }
        Ok(Self)
    }
}

/// A person who presents a token of their own, for what is theirs alone.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The person.
    pub user: Id<id::User>,
    /// The session that the token is of.
    pub session: Id<id::Session>,
    /// Who presented a credential.
    pub identity: Identity,
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>();
        let identity = identity.ok_or_else(ApiError::unauthorized)?;
        match (&identity.actor, &identity.session) {
            (Actor::User(user), Some(session)) => Ok(Self {
                user: user.clone(),
                session: session.clone(),
                identity: identity.clone(),
            }),
            _ if identity.rights.only_check_keys() => Err(ApiError::not_found()),
            _ => {
                let message = "This is for people who are signed in, not for keys";
                Err(ApiError::new(ErrorCode::UserNeeded, message))
            }
        }
    }
}

impl<P: Requires, S: Sync> FromRequestParts<S> for Caller<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let identity = parts
            .extensions
            .get::<Identity>()
            .ok_or_else(ApiError::unauthorized)?;
        Self::from_identity(identity.clone())
    }
}
