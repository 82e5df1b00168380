//! Projects that keys are made in: most new keys are for one that another was made in just before.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_store::projects::{self, Project};
use claviger_store::{Page, StoreError, Tx};
use futures::future::BoxFuture;

use crate::told::Touched;
use crate::{ToldCache, Verifier};

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sought {
    /// The project with that id.
    Named(Id<id::Project>),
    /// The first two of an account, which tell whether it has one only.
    Of(Id<id::Account>),
}

/// Projects in memory.
pub(crate) type Projects = ToldCache<Sought, Arc<[Project]>>;

impl Verifier {
    /// Finds a project within the reach.
    pub async fn project(
        &self,
        reach: &Reach,
        id: &Id<id::Project>,
    ) -> Result<Option<Project>, StoreError> {
        let sought = Sought::Named(id.clone());
        let load = async |_: &_| {
            let found = projects::find(&self.db, &Reach::whole(), id).await?;
            Ok::<_, StoreError>(found.map(|project| Arc::from([project])))
        };
        let found = self.projects.get_or_load(sought, self.believes(), load);
        let found = found.await?.and_then(|found| found.first().cloned());
        Ok(found.filter(|project| reach.reaches_project(&project.account(), &project.id)))
    }

    /// The only project of an account within the reach; `None` where there are more, or none.
    pub async fn only_project(
        &self,
        reach: &Reach,
        account: &AccountRef,
    ) -> Result<Option<Project>, StoreError> {
        let first_two = Page::first(2, 0);
        if !reach.reaches_account(account) {
            let found = projects::page(&self.db, reach, &account.id, &first_two).await?;
            return Ok(only(&found));
        }
        let sought = Sought::Of(account.id.clone());
        let load = async |_: &_| {
            // Of all callers that reach the whole account: nobody's reach shapes what is kept.
            let found = projects::page(&self.db, &Reach::whole(), &account.id, &first_two).await?;
            Ok::<_, StoreError>(Some(Arc::from(found)))
        };
        let found = self.projects.get_or_load(sought, self.believes(), load);
        Ok(found.await?.and_then(|found| only(&found)))
    }

    /// Makes or changes a project; `None` when the change finds none.
    pub async fn change_project<F>(
        self: &Arc<Self>,
        change: F,
    ) -> Result<Option<Project>, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<Option<Project>, StoreError>>
            + Send
            + 'static,
    {
        self.change(move |tx, touched| {
            Box::pin(async move {
                let changed = change(tx).await?;
                if let Some(project) = &changed {
                    let (id, account) = (project.id.clone(), project.account_id.clone());
                    touched.note(Touched::Project(id, account));
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Forgets a project that was made or changed.
    pub(crate) fn forget_project(&self, id: &Id<id::Project>, account: &Id<id::Account>) {
        self.projects.forget(&Sought::Named(id.clone()));
        self.projects.forget(&Sought::Of(account.clone()));
    }
}

fn only(found: &[Project]) -> Option<Project> {
    match found {
        [only] => Some(only.clone()),
        _ => None,
    }
}
