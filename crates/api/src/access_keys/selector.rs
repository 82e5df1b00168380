//! Which access key a path names.

use claviger_domain::event::Actor;
use claviger_domain::key_string::{KeyName, name_of_access_key, name_of_api_key};
use claviger_domain::permission::Permission;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, Identity};
use claviger_store::access_keys::{AccessKey, Selector};
use claviger_store::api_keys;

/// Reads what stands in `/access-keys/{id}`: an id, a reference or the full key.
pub(super) fn selector_of(core: &Core, text: &str) -> Selector {
    match name_of_access_key(text) {
        KeyName::Id(id) => Selector::Id(id),
        KeyName::Full(text) => Selector::Digest(core.verifier.digest(text)),
    }
}

/// No such access key, or one of another account: the same answer. When it is an API key that the
/// caller may see, the message names the right operation.
pub(super) async fn absent<P: claviger_edge::Requires>(
    core: &Core,
    caller: &Caller<P>,
    text: &str,
) -> ApiError {
    if let KeyName::Id(id) = name_of_api_key(text) {
        let reach = caller.reach_of(Permission::KeysRead);
        let which = api_keys::Selector::Id(id);
        match api_keys::find(&core.db, &reach, &which).await {
            Ok(Some(key)) => {
                let message = format!("{} is an API key, use /api-keys/{} for it", key.id, key.id);
                return ApiError::new(ErrorCode::AccessKeyNotFound, message);
            }
            Ok(None) => {}
            Err(error) => return error.into(),
        }
    }
    above_caller()
}

/// A key that holds more than the caller: whoever could not make it does not see it either.
pub(super) fn above_caller() -> ApiError {
    ApiError::new(ErrorCode::AccessKeyNotFound, "Access key not found")
}

/// What is made must not outlive who makes it, or the secret of what outlives them would leave
/// them more than they hold.
pub(super) fn outlives_maker() -> ApiError {
    let message =
        "An access key cannot outlive the credential that makes it, give an earlier expiry";
    ApiError::new(ErrorCode::ExceedsMaker, message)
}

/// Whether the caller may end `key`: not itself and not its successor, but a key that it, or
/// another of its rotations, has succeeded.
pub(super) fn may_end(identity: &Identity, key: &AccessKey) -> bool {
    let is_another = matches!(&identity.actor, Actor::AccessKey(id) if *id != key.id);
    !identity.keys.contains(&key.lineage) || (is_another && key.rotated_to.is_some())
}

/// An access key cannot change what bounds it.
pub(super) fn own_key() -> ApiError {
    let message = "An access key cannot change its own expiry, limit or activity";
    ApiError::new(ErrorCode::OwnKey, message)
}
