//! Where somebody is to hold a role: an account, or projects of it, that the caller reaches as a whole.

use std::collections::BTreeSet;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Grant};
use claviger_domain::role::Role;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, Requires};
use claviger_store::{accounts, projects};

/// An account, or projects of it.
#[derive(Clone, Debug)]
pub(crate) struct RolePlace {
    pub(crate) account: AccountRef,
    pub(crate) projects: Option<BTreeSet<Id<id::Project>>>,
}

/// Projects that one request names, at most.
const MOST_PROJECTS: usize = 100;

impl RolePlace {
    /// Finds the account that is named, or else that of the projects that are, or the caller's own.
    pub(crate) async fn find<P: Requires>(
        core: &Core,
        caller: &Caller<P>,
        account: Option<&str>,
        named: &BTreeSet<&str>,
    ) -> Result<Self, ApiError> {
        if named.len() > MOST_PROJECTS {
            let message = format!("has more than {MOST_PROJECTS} members");
            return Err(ApiError::field("projectIds", message));
        }
        let mut found = Vec::new();
        for text in named {
            let id = Id::parse(text).ok_or_else(crate::projects::absent)?;
            let project = projects::find(&core.db, &caller.reach, &id).await?;
            found.push(project.ok_or_else(crate::projects::absent)?);
        }
        let id = match (account, found.first()) {
            (None, Some(project)) => project.account_id.clone(),
            (account, _) => caller.account_or_own(account)?,
        };
        let account = accounts::find(&core.db, &caller.reach, &id).await?;
        let account = account.map(|account| account.reference());
        let account = account
            .filter(|account| caller.reach.reaches_account(account))
            .ok_or_else(crate::accounts::absent)?;
        if found.iter().any(|project| project.account_id != account.id) {
            let message = "must all be of the one account";
            return Err(ApiError::field("projectIds", message));
        }
        let projects = found.into_iter().map(|project| project.id);
        Ok(Self {
            account,
            projects: (!named.is_empty()).then(|| projects.collect()),
        })
    }

    /// What holding `role` there means.
    pub(crate) fn grant(&self, role: Role) -> Grant {
        match &self.projects {
            None => Grant::on_account(role, self.account.clone()),
            Some(projects) => Grant::on_projects(role, self.account.clone(), projects.clone()),
        }
    }

    /// Whether the caller may give `role` there: nobody gives more than they hold, or for longer.
    pub(crate) fn judge<P: Requires>(
        &self,
        caller: &Caller<P>,
        role: Role,
    ) -> Result<(), ApiError> {
        let name = role.as_str();
        if self.projects.is_some() && role.needs_account() {
            let message = format!("The role {name} is held on an account, not on a project");
            return Err(ApiError::new(ErrorCode::RoleNeedsAccount, message));
        }
        if caller.identity.ends_at.is_some() {
            let message = "A role has no end, and what gives it has one";
            return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
        }
        if !caller.rights.cover(&self.grant(role)) {
            return Err(exceeds(role));
        }
        Ok(())
    }
}

/// The refusal of a role that the caller does not hold.
pub(crate) fn exceeds(role: Role) -> ApiError {
    let message = format!("The role {} there would exceed who gives it", role.as_str());
    ApiError::new(ErrorCode::ExceedsMaker, message)
}

/// Reads a role, in any case.
pub(crate) fn read_role(text: Option<&str>) -> Result<Role, ApiError> {
    let names = || {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        names.join(", ")
    };
    let text = text.ok_or_else(|| ApiError::field("role", format!("is required: {}", names())))?;
    Role::parse(text).ok_or_else(|| ApiError::field("role", format!("must be one of {}", names())))
}
