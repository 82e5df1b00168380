//! How a change reaches the caches: it runs to its end, and what it touched is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::{Quota, RateLimit};
use claviger_store::gone::{Digests, Gone};
use claviger_store::{Asker, StoreError, Tx};
use futures::future::BoxFuture;

use crate::key_cache::PresentedAs;
use crate::meter::SharedMeter;
use crate::{KnownKey, Verifier};

/// What the caches must not hold any more.
#[derive(Debug)]
pub(crate) enum Touched {
    /// A key, or that there is none.
    Key(PresentedAs),
    /// That keys are absent, whichever.
    AbsencesOf(Id<id::Account>),
    /// Keys of a family of accounts, and access keys of it, that were deleted.
    Gone(Gone),
    /// An access key, or that there is none.
    Presenter(KeyDigest),
    /// What a person may do, or their sessions.
    Person(Id<id::User>),
    /// A project, and which ones its account has.
    Project(Id<id::Project>, Id<id::Account>),
    /// What a limit and a quota that were changed count.
    Limit(SharedMeter, Option<RateLimit>, Option<Quota>),
    /// That a family of accounts has no keys of our shape without our checksum.
    ForeignKeysOf(Id<id::Account>),
}

/// What a change has touched so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Touched>>>);

impl Notes {
    /// Notes what is about to change; to be called before the commit.
    pub(crate) fn note(&self, touched: Touched) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(touched);
    }
}

impl Verifier {
    /// Runs a change in a transaction, tells the caches, and answers.
    ///
    /// They are told when it failed too: a commit whose answer was lost has happened all the same.
    pub(crate) async fn change<T, E, F>(self: &Arc<Self>, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx, Notes) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            let notes = Notes::default();
            let inside = notes.clone();
            let outcome = verifier.db.write(move |tx| change(tx, inside)).await;
            verifier.tell(&notes, outcome.is_ok()).await;
            outcome
        })
        .await
    }

    /// The same for new keys by the thousand, in a transaction that they have for themselves.
    pub(crate) async fn change_by_import<T, F>(self: &Arc<Self>, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx, Notes) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            let notes = Notes::default();
            let inside = notes.clone();
            let outcome = verifier.db.write_import(move |tx| change(tx, inside)).await;
            verifier.tell(&notes, outcome.is_ok()).await;
            outcome
        })
        .await
    }

    /// Tells the caches what was touched; whether it is certain that it was changed.
    pub(crate) async fn tell(&self, notes: &Notes, is_certain: bool) {
        let notes = std::mem::take(&mut *notes.0.lock().unwrap_or_else(PoisonError::into_inner));
        for touched in &notes {
            match touched {
                Touched::ForeignKeysOf(root) => self.note_foreign_keys(root.clone()),
                Touched::Limit(meter, limit, quota) if is_certain => {
                    self.meters.apply(meter, *limit, *quota, self.clock.now());
                }
                // Checks go on by the limit that they read.
                Touched::Limit(..) => {}
                Touched::Key(presented) => self.keys.forget(presented),
                Touched::AbsencesOf(root) => {
                    self.keys.forget_absences(|(family, _)| family == root);
                }
                Touched::Gone(gone) => self.forget_gone(gone).await,
                Touched::Presenter(digest) => self.presenters.forget(digest),
                Touched::Person(id) => self.forget_person(id),
                Touched::Project(id, account) => self.forget_project(id, account),
            }
        }
    }

    /// Forgets what was deleted; where that is too much to be named, what its family has.
    async fn forget_gone(&self, gone: &Gone) {
        let root = &gone.root;
        self.projects.forget_where(|_, found| {
            let mut roots = found.iter().map(|project| &project.root_account_id);
            roots.any(|one| one == root)
        });
        match &gone.api_keys {
            Digests::Of(digests) => {
                for digest in digests {
                    self.keys.forget(&(root.clone(), *digest));
                }
            }
            Digests::Many => {
                let is_gone = |key: &KnownKey| key.account().root == *root;
                self.keys.forget_where(is_gone).await;
            }
        }
        self.people.forget_where(|_, known| known.is_in(&gone.root));
        match &gone.access_keys {
            Digests::Of(digests) => {
                for digest in digests {
                    self.presenters.forget(digest);
                }
            }
            Digests::Many => self
                .presenters
                .forget_where(|_, known| known.key.account.root == *root),
        }
    }
}

/// Runs `work` as a task of its own: when the caller goes away, such as a client between the
/// commit and the moment when the caches are told, it is done all the same.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(Asker::current().scope(work)).await {
        Ok(value) => value,
        // A task that nobody aborts ends by itself or by a panic, which goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
