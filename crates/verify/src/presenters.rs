//! Callers by the credential that they present: access keys, operator keys and tokens of people.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{KeyDigest, KeyPurpose, KeyShape};
use claviger_domain::limit::{Level, Outcome};
use claviger_domain::permission::Permission;
use claviger_domain::rights::{AccountRef, Reach, Rights};
use claviger_domain::time::Timestamp;
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::{StoreError, operator_keys};

use crate::guesses::Guesser;
use crate::meter::{Bounds, SharedMeter};
use crate::{KnownUser, LookError, Network, Verifier};

/// Who presented a credential that is live.
#[derive(Clone, Debug)]
pub enum Presenter {
    /// Whoever runs the instance.
    Operator(Id<id::OperatorKey>),
    /// A program with an access key.
    AccessKey(Arc<KnownAccessKey>),
    /// A person who is signed in.
    User(Arc<KnownUser>),
}

/// An access key with its rights, worked out once.
#[derive(Debug)]
pub struct KnownAccessKey {
    /// The key as its row has it.
    pub key: AccessKey,
    /// What it may do.
    pub rights: Arc<Rights>,
    /// Where it may check keys.
    checking: Option<Reach>,
    limit: Option<SharedMeter>,
}

impl KnownAccessKey {
    /// Where it may check keys; `None` when nowhere.
    pub fn checking(&self) -> Option<&Reach> {
        self.checking.as_ref()
    }
}

impl Presenter {
    /// What the caller may do.
    pub fn rights(&self) -> Arc<Rights> {
        match self {
            Self::Operator(_) => Arc::new(Rights::operator()),
            Self::AccessKey(known) => Arc::clone(&known.rights),
            Self::User(known) => Arc::clone(&known.rights),
        }
    }

    /// The account that is meant where none is named.
    pub fn account(&self) -> Option<&AccountRef> {
        match self {
            Self::Operator(_) => None,
            Self::AccessKey(known) => Some(&known.key.account),
            Self::User(known) => known.account.as_ref(),
        }
    }

    /// When the credential ends; what is made with it must not outlive that.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self {
            // What a person makes outlives the token: they are signed in again.
            Self::Operator(_) | Self::User(_) => None,
            Self::AccessKey(known) => known.key.ends_at(),
        }
    }

    /// The access key that it is, by its lineage: a key and its successors are one.
    pub fn access_key(&self) -> Option<&Id<id::AccessKey>> {
        match self {
            Self::Operator(_) | Self::User(_) => None,
            Self::AccessKey(known) => Some(&known.key.lineage),
        }
    }

    /// Who the trail of changes names.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator(id) => Actor::Operator(id.clone()),
            Self::AccessKey(known) => Actor::AccessKey(known.key.id.clone()),
            Self::User(known) => Actor::User(known.user.id.clone()),
        }
    }
}

/// What is left of a caller's own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerLimit {
    /// It has none, or enough.
    Within,
    /// It is used up.
    Over(Level),
}

impl Verifier {
    /// Finds who presents `credential`, unless it is unknown, switched off or past its end. `from`
    /// is where it comes from, for the budget of those who guess; none where that is not known.
    pub async fn presenter(
        &self,
        credential: &str,
        from: Option<Network>,
    ) -> Result<Option<Presenter>, LookError> {
        let Some(shape) = KeyShape::read(credential).filter(|shape| shape.checksum_holds) else {
            return Ok(None);
        };
        if matches!(
            shape.purpose,
            KeyPurpose::ApiKey(_) | KeyPurpose::UserRefresh
        ) {
            return Ok(None);
        }
        let digest = self.pepper.digest(credential);
        if shape.purpose == KeyPurpose::Operator {
            let found = self.operator(digest, from).await?;
            return Ok(found.map(Presenter::Operator));
        }
        if shape.purpose == KeyPurpose::UserAccess {
            let found = self.signed_in(digest, from).await?;
            return Ok(found.map(Presenter::User));
        }
        let known = self
            .presenters
            .get_or_load(digest, self.believes(), async |digest| {
                let who = from.map(Guesser::AccessKeys);
                self.look(who, async || self.load_access_key(digest).await)
                    .await
            })
            .await?;
        let now = self.clock.now();
        let live = known.filter(|known| known.key.is_live_at(now));
        Ok(live.map(Presenter::AccessKey))
    }

    /// The operator key with that digest. Those are changed by commands on the machine too, past this
    /// program, so that only what is absent is remembered: keys are drawn at random, and one that is
    /// not there, or not any more, never will be.
    async fn operator(
        &self,
        digest: KeyDigest,
        from: Option<Network>,
    ) -> Result<Option<Id<id::OperatorKey>>, LookError> {
        if matches!(self.presenters.known(&digest), Some(None)) {
            return Ok(None);
        }
        let is_guess = self.operators.get(&digest).is_none();
        let who = from.filter(|_| is_guess).map(Guesser::OperatorKeys);
        let now = self.clock.now();
        let found = self
            .look(who, async || {
                operator_keys::find_by_digest(&self.db, &digest, now).await
            })
            .await?;
        if found.is_some() {
            self.operators.insert(digest, ());
        } else {
            self.operators.remove(&digest);
            let absent = async |_: &_| Ok::<_, LookError>(None);
            self.presenters.get_or_load(digest, true, absent).await?;
        }
        Ok(found)
    }

    /// The access key that presents `credential`, as far as that is known without the database.
    pub fn known_access_key(&self, credential: &str) -> Option<Arc<KnownAccessKey>> {
        let shape = KeyShape::read(credential).filter(|shape| shape.checksum_holds)?;
        if !matches!(shape.purpose, KeyPurpose::AccessKey(_)) || !self.believes() {
            return None;
        }
        let known = self.presenters.known(&self.pepper.digest(credential))??;
        known.key.is_live_at(self.clock.now()).then_some(known)
    }

    /// Counts one call against the caller's own limit.
    pub fn take_call(&self, presenter: &Presenter) -> CallerLimit {
        match presenter {
            Presenter::Operator(_) | Presenter::User(_) => CallerLimit::Within,
            Presenter::AccessKey(known) => self.take_call_of_known(known),
        }
    }

    /// Counts one call against an access key's own limit.
    pub fn take_call_of_known(&self, known: &KnownAccessKey) -> CallerLimit {
        match &known.limit {
            Some(meter) => self.take_from(meter, &known.key),
            None => CallerLimit::Within,
        }
    }

    /// Counts one call against an access key's own limit. The key is a row that was read just now:
    /// for calls in the name of a key that is known by its id and presents nothing.
    pub async fn take_call_of(&self, key: &AccessKey) -> Result<CallerLimit, StoreError> {
        if key.rate_limit.is_none() {
            return Ok(CallerLimit::Within);
        }
        let meter = self.caller_meter(key).await?;
        Ok(self.take_from(&meter, key))
    }

    fn take_from(&self, meter: &SharedMeter, key: &AccessKey) -> CallerLimit {
        let now = self.clock.now();
        let bounds = Bounds {
            limit: key.rate_limit,
            quota: None,
            is_rotated: key.rotated_to.is_some(),
        };
        let taken = self.meters.take(meter, bounds, 1, now);
        match (taken.outcome, taken.rate_limit) {
            (Outcome::OverRateLimit, Some(level)) => CallerLimit::Over(level),
            _ => CallerLimit::Within,
        }
    }

    async fn load_access_key(
        &self,
        digest: &KeyDigest,
    ) -> Result<Option<Arc<KnownAccessKey>>, StoreError> {
        let Some(key) = access_keys::find_by_digest(&self.db, digest).await? else {
            return Ok(None);
        };
        let limit = match key.rate_limit {
            Some(_) => Some(self.caller_meter(&key).await?),
            None => None,
        };
        let rights = key.rights();
        let checking = rights.reach(Permission::KeysCheck);
        let rights = Arc::new(rights);
        Ok(Some(Arc::new(KnownAccessKey {
            key,
            rights,
            checking,
            limit,
        })))
    }

    /// The meter that an access key's own limit is counted by, also while it has none.
    pub(crate) async fn caller_meter(&self, key: &AccessKey) -> Result<SharedMeter, StoreError> {
        // Ids of access keys and of API keys differ in their prefix, so one registry serves both.
        self.limit_meter(&Id::from_trusted(key.lineage.as_str()), None)
            .await
    }
}
