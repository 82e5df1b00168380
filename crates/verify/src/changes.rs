//! Changes to keys: committed, then dropped from the caches, then answered.

use std::sync::Arc;

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::key_string::{KeyPurpose, KeyShape, PlainKey};
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::api_keys::{self, ApiKey, Incoming, Status, Stored};
use claviger_store::key_notices::{self, Notice};
use claviger_store::{Base, Change, StoreError, accounts, projects, sealed_keys, usage};
use serde_json::{Value, json};

use crate::Verifier;
use crate::told::{Notes, Touched, to_the_end};

/// What an edit of a key comes to.
#[derive(Debug)]
pub enum Edit {
    /// The key is as it should be already.
    Nothing,
    /// It is written back, and the event tells this.
    Save(EventKind, Value),
    /// The same, and a custom key gets another key string.
    Rekey(PlainKey, EventKind, Value),
    /// It is removed for good.
    Purge,
}

/// What came of making a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It is stored.
    Done,
    /// Its family of accounts has one with that key string.
    Duplicate,
    /// Its project is gone.
    NoProject,
}

/// A rotated key's successor: the only time that it is known in full.
#[derive(Debug)]
pub struct Rotation<K> {
    /// The successor.
    pub key: K,
    /// Its key string.
    pub plain: PlainKey,
}

/// Why a key is not rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationRefused {
    /// There is none within the reach, or it is revoked or expired.
    Absent,
    /// It was rotated, and is in its grace.
    InGrace,
}

impl Verifier {
    /// Stores a key in a project that is there and stays until then, and keeps its keys so.
    pub async fn create_api_key(
        self: &Arc<Self>,
        change: Change,
        key: ApiKey,
        plain: &PlainKey,
        storage: KeyStorage,
        data: Value,
    ) -> Result<Creation, StoreError> {
        let root = key.account.root.clone();
        let digest = self.digest(plain.expose());
        // Somebody may have brought the hash of a key string that was not drawn here.
        let digest_of_hash = key.is_custom.then(|| self.digest_of_hash(plain.expose()));
        let sealed = self.sealed_for(storage, &key.id, plain);
        if is_foreign(plain) {
            self.mark_foreign(root.clone()).await?;
        }
        let verifier = Arc::clone(self);
        to_the_end(async move {
            let notes = Notes::default();
            notes.note(Touched::Key((root, digest)));
            if let Some(meter) = verifier.meter_of_new(&key) {
                notes.note(Touched::Limit(meter, key.rate_limit, key.quota));
            }
            let incoming = Incoming {
                key,
                digest,
                digest_of_hash,
                sealed,
                data,
            };
            let stored = verifier.new_keys.store(change, incoming).await;
            verifier.tell(&notes, stored.is_ok()).await;
            Ok(match stored? {
                Stored::Created => Creation::Done,
                Stored::Exists(_) | Stored::Taken => Creation::Duplicate,
                Stored::NoProject => Creation::NoProject,
            })
        })
        .await
    }

    /// Notes that a family is about to have a key of our shape without our checksum. Before that key,
    /// since an account is locked before its projects; that it gets none after all does no harm.
    pub(crate) async fn mark_foreign(
        self: &Arc<Self>,
        root: Id<id::Account>,
    ) -> Result<(), StoreError> {
        self.change(move |tx, touched| {
            Box::pin(async move {
                accounts::note_foreign_keys(tx, &root).await?;
                touched.note(Touched::ForeignKeysOf(root));
                Ok(())
            })
        })
        .await
    }

    /// Changes a key within the reach as `edit` says; `None` when there is none.
    ///
    /// A second key with the same key string is refused by `duplicate`.
    pub async fn edit_api_key<E>(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        which: api_keys::Selector,
        edit: impl FnOnce(&mut ApiKey) -> Result<Edit, E> + Send + 'static,
        duplicate: impl FnOnce() -> E + Send + 'static,
    ) -> Result<Option<ApiKey>, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            // Looked at first: its meter is loaded before the transaction takes a connection.
            let Some(seen) = api_keys::find(&verifier.db, &reach, &which).await? else {
                return Ok(None);
            };
            let meter = verifier.meter_of(&seen).await?;
            let which = api_keys::Selector::Id(seen.id.clone());
            let inside = Arc::clone(&verifier);
            let edited = verifier
                .change::<_, E, _>(move |tx, touched| {
                    Box::pin(async move {
                        // Only a custom key gets another key string, which its project's storage
                        // is asked for; held before its row, as a deletion does.
                        let mut storage = KeyStorage::Hashed;
                        if seen.is_custom {
                            let project = &seen.project_id;
                            match projects::hold(tx, &Reach::whole(), project).await? {
                                Some(project) => storage = project.key_storage,
                                None => return Ok(None),
                            }
                        }
                        let Some((mut key, digest)) = api_keys::lock(tx, &reach, &which).await?
                        else {
                            return Ok(None);
                        };
                        let root = key.account.root.clone();
                        touched.note(Touched::Key((root.clone(), digest)));
                        let before = key.clone();
                        match edit(&mut key)? {
                            Edit::Nothing => {}
                            Edit::Save(kind, data) => {
                                api_keys::save(tx, &change, &mut key, kind, data).await?;
                            }
                            Edit::Rekey(plain, kind, data)
                                if inside.digest(plain.expose()).matches(&digest) =>
                            {
                                // It was read back, and is as it was.
                                if key != before {
                                    api_keys::save(tx, &change, &mut key, kind, data).await?;
                                }
                            }
                            Edit::Rekey(plain, kind, mut data) => {
                                // For other programs, which have it under the old one's digest.
                                data["keyString"] = json!("replaced");
                                let digest = inside.digest(plain.expose());
                                let sealed = inside.sealed_for(storage, &key.id, &plain);
                                if !api_keys::rekey(tx, &key, &digest).await? {
                                    return Err(duplicate());
                                }
                                if is_foreign(&plain) {
                                    accounts::note_foreign_keys(tx, &root).await?;
                                    touched.note(Touched::ForeignKeysOf(root.clone()));
                                }
                                touched.note(Touched::Key((root, digest)));
                                sealed_keys::exchange(tx, (&key.id, &key.project_id), sealed)
                                    .await?;
                                api_keys::save(tx, &change, &mut key, kind, data).await?;
                            }
                            Edit::Purge => api_keys::purge(tx, &change, &key).await?,
                        }
                        let is_over = |key: &ApiKey| key.is_expired_at(change.now);
                        if is_over(&key) && !is_over(&before) && key.is_active_at(change.now) {
                            // Whoever tells of keys that expire looks at what comes only.
                            let keys = key_notices::of_ids(tx, &[key.id.clone()]).await?;
                            key_notices::tell(tx, &change, Notice::Expired, &keys).await?;
                        }
                        // The lineage counts by its newest key: what a rotated one says is past.
                        let is_changed =
                            key.rate_limit != before.rate_limit || key.quota != before.quota;
                        if is_changed && key.rotated_to.is_none() {
                            touched.note(Touched::Limit(meter, key.rate_limit, key.quota));
                        }
                        Ok(Some(key))
                    })
                })
                .await?;
            let Some(mut key) = edited else {
                return Ok(None);
            };
            // The change is committed: not to know the last use must not look like a failure.
            key.last_used_at = usage::last_use(&verifier.db, &key.id)
                .await
                .unwrap_or_default();
            Ok(Some(key))
        })
        .await
    }

    /// Makes a successor of a key within the reach; the old one stops after `grace_seconds`.
    pub async fn rotate_api_key(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        which: api_keys::Selector,
        grace_seconds: i64,
    ) -> Result<Result<Rotation<ApiKey>, RotationRefused>, StoreError> {
        // Looked at first, to hold its project before its row, as a deletion does.
        let Some(seen) = api_keys::find(&self.db, &reach, &which).await? else {
            return Ok(Err(RotationRefused::Absent));
        };
        let meter = self.meter_of(&seen).await?;
        let verifier = Arc::clone(self);
        self.change(move |tx, touched| {
            Box::pin(async move {
                let held = projects::hold(tx, &Reach::whole(), &seen.project_id).await?;
                let Some(project) = held else {
                    return Ok(Err(RotationRefused::Absent));
                };
                let which = api_keys::Selector::Id(seen.id);
                let Some((mut old, digest)) = api_keys::lock(tx, &reach, &which).await? else {
                    return Ok(Err(RotationRefused::Absent));
                };
                touched.note(Touched::Key((old.account.root.clone(), digest)));
                if !old.is_active_at(change.now) || old.is_expired_at(change.now) {
                    return Ok(Err(RotationRefused::Absent));
                }
                if old.rotated_to.is_some() {
                    return Ok(Err(RotationRefused::InGrace));
                }
                let drawn = KeyPurpose::ApiKey(old.environment).draw(&*verifier.random);
                let new = successor(&old, Id::from_suffix(&drawn.public), &change);
                let incoming = Incoming {
                    digest: verifier.digest(drawn.plain.expose()),
                    digest_of_hash: None,
                    sealed: verifier.sealed_for(project.key_storage, &new.id, &drawn.plain),
                    data: json!({"name": new.name, "rotatedFrom": old.id}),
                    key: new.clone(),
                };
                let stored = api_keys::store_new(tx, &[(&change, &incoming)]).await?;
                if stored != [Stored::Created] {
                    return Ok(Err(RotationRefused::Absent));
                }
                touched.note(Touched::Limit(meter, new.rate_limit, new.quota));
                old.rotated_to = Some(new.id.clone());
                stop(&mut old, &change, grace_seconds);
                let data = json!({
                    "oldId": old.id, "newId": new.id, "stopsAt": old.stops_at,
                });
                api_keys::save(tx, &change, &mut old, EventKind::ApiKeyRotated, data).await?;
                Ok(Ok(Rotation {
                    key: new,
                    plain: drawn.plain,
                }))
            })
        })
        .await
    }

    /// Stores an access key; `false` when its account or one of its projects is gone.
    pub async fn create_access_key(
        self: &Arc<Self>,
        change: Change,
        key: AccessKey,
        plain: &PlainKey,
    ) -> Result<bool, StoreError> {
        let digest = self.digest(plain.expose());
        self.change(move |tx, touched| {
            Box::pin(async move {
                touched.note(Touched::Presenter(digest));
                if !accounts::hold(tx, &Reach::whole(), &key.account.id).await? {
                    return Ok(false);
                }
                for project in key.projects.iter().flatten() {
                    if projects::hold(tx, &Reach::whole(), project)
                        .await?
                        .is_none()
                    {
                        return Ok(false);
                    }
                }
                access_keys::create(tx, &change, &key, &digest).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Changes an access key within the reach as `edit` says; `None` when there is none.
    pub async fn edit_access_key<E>(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        which: access_keys::Selector,
        edit: impl FnOnce(&mut AccessKey) -> Result<Option<(EventKind, Value)>, E> + Send + 'static,
    ) -> Result<Option<AccessKey>, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            // Looked at first: its meter is loaded before the transaction takes a connection.
            let Some(seen) = access_keys::find(&verifier.db, &reach, &which).await? else {
                return Ok(None);
            };
            let meter = verifier.caller_meter(&seen).await?;
            let which = access_keys::Selector::Id(seen.id);
            verifier
                .change::<_, E, _>(move |tx, touched| {
                    Box::pin(async move {
                        let Some((mut key, digest)) = access_keys::lock(tx, &reach, &which).await?
                        else {
                            return Ok(None);
                        };
                        touched.note(Touched::Presenter(digest));
                        let before = key.rate_limit;
                        if let Some((kind, data)) = edit(&mut key)? {
                            access_keys::save(tx, &change, &mut key, kind, data).await?;
                        }
                        if key.rate_limit != before && key.rotated_to.is_none() {
                            touched.note(Touched::Limit(meter, key.rate_limit, None));
                        }
                        Ok(Some(key))
                    })
                })
                .await
        })
        .await
    }

    /// Makes a successor of an access key that `judge` lets pass as it is then; what the old one
    /// made answers to the new one.
    pub async fn rotate_access_key<E>(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        which: access_keys::Selector,
        grace_seconds: i64,
        judge: impl FnOnce(&AccessKey) -> Result<(), E> + Send + 'static,
    ) -> Result<Result<Rotation<AccessKey>, RotationRefused>, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        // Looked at first, to hold its account and projects before its row, as a deletion does.
        let Some(seen) = access_keys::find(&self.db, &reach, &which).await? else {
            return Ok(Err(RotationRefused::Absent));
        };
        let verifier = Arc::clone(self);
        self.change(move |tx, touched| {
            Box::pin(async move {
                accounts::hold(tx, &Reach::whole(), &seen.account.id).await?;
                for project in seen.projects.iter().flatten() {
                    projects::hold(tx, &Reach::whole(), project).await?;
                }
                let which = access_keys::Selector::Id(seen.id);
                let Some((mut old, digest)) = access_keys::lock(tx, &reach, &which).await? else {
                    return Ok(Err(RotationRefused::Absent));
                };
                touched.note(Touched::Presenter(digest));
                judge(&old)?;
                if !old.is_live_at(change.now) {
                    return Ok(Err(RotationRefused::Absent));
                }
                if old.rotated_to.is_some() {
                    return Ok(Err(RotationRefused::InGrace));
                }
                let drawn = KeyPurpose::AccessKey(old.environment).draw(&*verifier.random);
                let new = AccessKey {
                    id: Id::from_suffix(&drawn.public),
                    rotated_from: Some(old.id.clone()),
                    base: Base::made_by(&change),
                    ..old.clone()
                };
                let new_digest = verifier.digest(drawn.plain.expose());
                access_keys::create(tx, &change, &new, &new_digest).await?;
                access_keys::hand_over(tx, &old.id, &new.id).await?;
                old.rotated_to = Some(new.id.clone());
                if grace_seconds == 0 {
                    old.is_active = false;
                } else {
                    old.stops_at = Some(change.now.plus_seconds(grace_seconds));
                }
                let data = json!({
                    "oldId": old.id, "newId": new.id, "stopsAt": old.stops_at,
                });
                access_keys::save(tx, &change, &mut old, EventKind::AccessKeyRotated, data).await?;
                Ok(Ok(Rotation {
                    key: new,
                    plain: drawn.plain,
                }))
            })
        })
        .await
    }

    /// Removes a project with its keys.
    pub async fn delete_project(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        id: Id<id::Project>,
    ) -> Result<Option<projects::Project>, StoreError> {
        self.change(move |tx, touched| {
            Box::pin(async move {
                let deleted = projects::delete(tx, &change, &reach, &id).await?;
                Ok(deleted.map(|(project, gone)| {
                    touched.note(Touched::Gone(gone));
                    project
                }))
            })
        })
        .await
    }

    /// Removes an account with all that is in it.
    pub async fn delete_account(
        self: &Arc<Self>,
        change: Change,
        reach: Reach,
        id: Id<id::Account>,
    ) -> Result<accounts::Deleted, StoreError> {
        self.change(move |tx, touched| {
            Box::pin(async move {
                let (deleted, gone) = accounts::delete(tx, &change, &reach, &id).await?;
                if let Some(gone) = gone {
                    touched.note(Touched::Gone(gone));
                }
                Ok(deleted)
            })
        })
        .await
    }
}

/// Whether a caller's own key has our shape without our checksum.
fn is_foreign(plain: &PlainKey) -> bool {
    KeyShape::read(plain.expose()).is_some_and(|shape| !shape.checksum_holds)
}

/// The key that follows `old`: a clone of it under another key string.
fn successor(old: &ApiKey, id: Id<id::ApiKey>, change: &Change) -> ApiKey {
    ApiKey {
        id,
        is_custom: false,
        rotated_from: Some(old.id.clone()),
        first_used_at: None,
        last_used_at: None,
        base: Base::made_by(change),
        ..old.clone()
    }
}

/// Ends a rotated key now, or after the grace, which never outlives the key's own expiry.
fn stop(old: &mut ApiKey, change: &Change, grace_seconds: i64) {
    if grace_seconds == 0 {
        old.status = Status::Inactive;
        old.revoked_at = Some(change.now);
        old.revoked_by = change.actor.id().map(str::to_owned);
        old.reason = Some("superseded".to_owned());
    } else {
        let end = change.now.plus_seconds(grace_seconds);
        old.stops_at = Some(
            old.expires_at
                .map_or(end, |expiry: Timestamp| expiry.min(end)),
        );
    }
}
