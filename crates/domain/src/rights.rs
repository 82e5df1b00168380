//! Rights: which permissions a caller holds, and how far each reaches.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::id::{self, Id};
use crate::permission::{Permission, PermissionSet};
use crate::role::Role;

type AccountId = Id<id::Account>;
type ProjectId = Id<id::Project>;

/// An account and the root of its family; a root is its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountRef {
    /// The account.
    pub id: AccountId,
    /// Its parent, or itself.
    pub root: AccountId,
}

impl AccountRef {
    /// An account without a parent.
    pub fn root(id: AccountId) -> Self {
        Self {
            root: id.clone(),
            id,
        }
    }

    /// Whether it has no parent.
    pub fn is_root(&self) -> bool {
        self.id == self.root
    }

    /// Whether a role on this account counts on `other`: it is the same one, or a child.
    pub fn reaches(&self, other: &Self) -> bool {
        self.id == other.id || self.id == other.root
    }
}

/// A set of permissions in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub permissions: PermissionSet,
    /// Where: an account with its children, or `None` for every account.
    pub account: Option<AccountRef>,
    /// Where in that account: these projects only, or `None` for all of it.
    pub projects: Option<BTreeSet<ProjectId>>,
}

impl Grant {
    /// What holding `role` on an account means.
    pub fn on_account(role: Role, account: AccountRef) -> Self {
        Self {
            permissions: role.permissions(),
            account: Some(account),
            projects: None,
        }
    }

    /// What holding `role` on projects of an account means.
    pub fn on_projects(role: Role, account: AccountRef, projects: BTreeSet<ProjectId>) -> Self {
        Self {
            permissions: role.permissions(),
            account: Some(account),
            projects: Some(projects),
        }
    }

    /// Whether its account is the other's, or the parent of it.
    fn reaches(&self, other: &Self) -> bool {
        match (&self.account, &other.account) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine.reaches(theirs),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let projects = match (&self.projects, &other.projects) {
            (None, _) => true,
            (Some(_), None) => false,
            // Projects make the account beside them readable, and no child of it.
            (Some(mine), Some(theirs)) => theirs.is_subset(mine) && other.reaches(self),
        };
        self.reaches(other) && projects && self.permissions.covers(other.permissions)
    }

    fn intersection(&self, other: &Self) -> Option<Self> {
        let (theirs_within, mine_within) = (self.reaches(other), other.reaches(self));
        // Which of an account's projects are a child's is not known here: whoever holds no more
        // than the child gets none of them.
        if (other.projects.is_some() && !theirs_within) || (self.projects.is_some() && !mine_within)
        {
            return None;
        }
        let account = match (theirs_within, mine_within) {
            (true, _) => other.account.clone(),
            (false, true) => self.account.clone(),
            (false, false) => return None,
        };
        let projects = match (&self.projects, &other.projects) {
            (None, any) | (any, None) => any.clone(),
            (Some(mine), Some(theirs)) => Some(mine & theirs),
        };
        let permissions = self.permissions.intersection(other.permissions);
        let is_void = permissions.is_empty() || projects.as_ref().is_some_and(BTreeSet::is_empty);
        (!is_void).then_some(Self {
            permissions,
            account,
            projects,
        })
    }
}

/// All that a caller holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Vec<Grant>);

/// How far one permission reaches. An object is within it when its account, its account's root or
/// its project is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Every object of the instance.
    pub everything: bool,
    /// Accounts, each with its children.
    pub accounts: Vec<AccountRef>,
    /// Projects.
    pub projects: Vec<ProjectId>,
    /// Accounts that themselves may be read, and nothing in them: those of the listed projects.
    pub bare_accounts: Vec<AccountRef>,
}

impl Reach {
    /// The reach of the program itself.
    pub fn whole() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    /// Whether it reaches the whole of `account`, not just projects of it.
    pub fn reaches_account(&self, account: &AccountRef) -> bool {
        self.everything || self.accounts.iter().any(|one| one.reaches(account))
    }

    /// The roots of all account families that it reaches into.
    pub fn roots(&self) -> impl Iterator<Item = &AccountId> {
        let accounts: BTreeSet<_> = self
            .accounts
            .iter()
            .chain(&self.bare_accounts)
            .map(|account| &account.root)
            .collect();
        accounts.into_iter()
    }

    /// Whether it reaches `project`, which is of `account`.
    pub fn reaches_project(&self, account: &AccountRef, project: &ProjectId) -> bool {
        self.reaches_account(account) || self.projects.contains(project)
    }
}

impl Rights {
    /// What those grants give together.
    pub const fn new(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// The operator's: owner on every account.
    pub fn operator() -> Self {
        Self(vec![Grant {
            permissions: Role::Owner.permissions(),
            account: None,
            projects: None,
        }])
    }

    /// Where `permission` is held; `None` when nowhere.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        let mut reach = Reach::default();
        let mut is_held = false;
        for grant in self
            .0
            .iter()
            .filter(|grant| grant.permissions.contains(permission))
        {
            match (&grant.account, &grant.projects) {
                (None, None) => reach.everything = true,
                (Some(account), None) => reach.accounts.push(account.clone()),
                (account, Some(projects)) => {
                    if !permission.is_held_on_projects() {
                        continue;
                    }
                    reach.projects.extend(projects.iter().cloned());
                    reach.bare_accounts.extend(account.clone());
                }
            }
            is_held = true;
        }
        is_held.then_some(reach)
    }

    /// The accounts in which they hold something.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountRef> {
        self.0.iter().filter_map(|grant| grant.account.as_ref())
    }

    /// Whether they hold all that `grant` would give: what is made must not exceed its maker.
    pub fn cover(&self, grant: &Grant) -> bool {
        self.0.iter().any(|mine| mine.covers(grant))
    }

    /// Whether they hold all that `role` gives, somewhere.
    pub fn cover_role(&self, role: Role) -> bool {
        self.0
            .iter()
            .any(|grant| grant.permissions.covers(role.permissions()))
    }

    /// Whether they hold all that `other` holds.
    pub fn cover_all(&self, other: &Self) -> bool {
        other.0.iter().all(|grant| self.cover(grant))
    }

    /// What both hold: nothing is lent by one to the other.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self
            .0
            .iter()
            .flat_map(|mine| other.0.iter().map(move |theirs| (mine, theirs)));
        Self(
            pairs
                .filter_map(|(mine, theirs)| mine.intersection(theirs))
                .collect(),
        )
    }

    /// The rights as text, for a row of something that they made.
    pub fn to_json(&self) -> String {
        let grants = self.0.iter().map(|grant| {
            let permissions: Vec<_> = Permission::ALL
                .into_iter()
                .filter(|one| grant.permissions.contains(*one))
                .map(Permission::as_str)
                .collect();
            json!({
                "permissions": permissions,
                "account": grant.account.as_ref().map(|account| [&account.id, &account.root]),
                "projects": grant.projects,
            })
        });
        Value::Array(grants.collect()).to_string()
    }

    /// Reads what [`Rights::to_json`] wrote; `None` for anything else.
    pub fn from_json(text: &str) -> Option<Self> {
        let grants: Vec<Value> = serde_json::from_str(text).ok()?;
        grants
            .iter()
            .map(read_grant)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Whether checking keys is all that they allow; who may nothing at all is not one of those.
    pub fn only_check_keys(&self) -> bool {
        let mut grants = self.0.iter();
        !self.0.is_empty() && grants.all(|grant| grant.permissions == Role::Verifier.permissions())
    }
}

fn read_grant(value: &Value) -> Option<Grant> {
    let permissions = value["permissions"].as_array()?.iter().map(|name| {
        Permission::ALL
            .into_iter()
            .find(|one| Some(one.as_str()) == name.as_str())
    });
    let permissions: Vec<_> = permissions.collect::<Option<_>>()?;
    let account = match &value["account"] {
        Value::Null => None,
        pair => Some(AccountRef {
            id: Id::from_trusted(pair[0].as_str()?),
            root: Id::from_trusted(pair[1].as_str()?),
        }),
    };
    let projects = match &value["projects"] {
        Value::Null => None,
        list => Some(
            list.as_array()?
                .iter()
                .map(|id| id.as_str().map(Id::from_trusted))
                .collect::<Option<_>>()?,
        ),
    };
    Some(Grant {
        permissions: PermissionSet::of(&permissions),
        account,
        projects,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rights_survive_a_row() {
        let rights = Rights::new(vec![
            Grant::on_account(Role::Admin, child("c", "a")),
            Grant::on_projects(Role::Verifier, account("b"), projects(&["p"])),
        ]);
        assert_eq!(Rights::from_json(&rights.to_json()), Some(rights));
        assert_eq!(
            Rights::from_json(&Rights::operator().to_json()),
            Some(Rights::operator())
        );
        assert_eq!(Rights::from_json(r#"[{"permissions":["none"]}]"#), None);
    }

    fn account(name: &str) -> AccountRef {
        AccountRef::root(Id::from_trusted(name))
    }

    fn child(name: &str, root: &str) -> AccountRef {
        AccountRef {
            id: Id::from_trusted(name),
            root: Id::from_trusted(root),
        }
    }

    fn projects(names: &[&str]) -> BTreeSet<ProjectId> {
        names.iter().map(|name| Id::from_trusted(*name)).collect()
    }

    #[test]
    fn a_role_on_an_account_counts_on_its_children_and_not_the_other_way() {
        let parent = Rights::new(vec![Grant::on_account(Role::Owner, account("a"))]);
        let in_child = Rights::new(vec![Grant::on_account(Role::Owner, child("c", "a"))]);
        assert!(parent.cover_all(&in_child));
        assert!(!in_child.cover_all(&parent));
        assert_eq!(parent.intersection(&in_child), in_child);
        assert_eq!(in_child.intersection(&parent), in_child);
    }

    #[test]
    fn rights_in_two_families_have_nothing_in_common() {
        let one = Rights::new(vec![Grant::on_account(Role::Owner, account("a"))]);
        let other = Rights::new(vec![Grant::on_account(Role::Owner, account("b"))]);
        assert_eq!(one.intersection(&other), Rights::default());
    }

    #[test]
    fn an_intersection_is_covered_by_both() {
        let wide = Rights::new(vec![Grant::on_account(Role::Developer, account("a"))]);
        let narrow = Rights::new(vec![Grant::on_projects(
            Role::Viewer,
            account("a"),
            projects(&["p", "q"]),
        )]);
        let both = wide.intersection(&narrow);
        assert!(wide.cover_all(&both) && narrow.cover_all(&both));
        assert!(both.reach(Permission::KeysWrite).is_none());
        assert_eq!(
            both.reach(Permission::KeysRead)
                .map(|reach| reach.projects.len()),
            Some(2)
        );
    }

    #[test]
    fn a_project_level_holder_reads_its_account_and_no_member_of_it() {
        let rights = Rights::new(vec![Grant::on_projects(
            Role::Developer,
            account("a"),
            projects(&["p"]),
        )]);
        let reach = rights.reach(Permission::AccountsRead).unwrap();
        assert!(!reach.reaches_account(&account("a")));
        assert_eq!(reach.bare_accounts, [account("a")]);
        assert!(rights.reach(Permission::MembersRead).is_none());
    }

    #[test]
    fn the_operator_reaches_everything_but_reveals_nothing() {
        let operator = Rights::operator();
        assert!(
            operator
                .reach(Permission::AccountsDelete)
                .unwrap()
                .everything
        );
        assert!(operator.reach(Permission::KeysReveal).is_none());
    }

    #[test]
    fn a_child_s_holder_is_lent_no_project_of_the_parent() {
        let in_child = Rights::new(vec![Grant::on_account(Role::Owner, child("c", "a"))]);
        for role in [Role::Developer, Role::Verifier] {
            let names = projects(&["p"]);
            let of_parent = Rights::new(vec![Grant::on_projects(role, account("a"), names)]);
            assert_eq!(in_child.intersection(&of_parent), Rights::default());
            assert_eq!(of_parent.intersection(&in_child), Rights::default());
        }
    }

    /// Two families: the roots `a` and `b`, two children of `a`, one of `b`; a project in each.
    fn places() -> [(AccountRef, ProjectId); 5] {
        [
            (account("a"), "p"),
            (child("c", "a"), "q"),
            (child("d", "a"), "r"),
            (account("b"), "s"),
            (child("e", "b"), "t"),
        ]
        .map(|(account, project)| (account, Id::from_trusted(project)))
    }

    const PERMISSIONS: [Permission; 3] = [
        Permission::AccountsRead,
        Permission::MembersRead,
        Permission::KeysWrite,
    ];

    /// The whole instance, an account, or projects of one; of a root also those of its children.
    fn grants() -> impl Strategy<Value = Grant> {
        let bits = (0usize..6, any::<Option<[bool; 5]>>(), any::<[bool; 3]>());
        bits.prop_map(|(place, chosen, held)| {
            let held: Vec<_> = PERMISSIONS.into_iter().zip(held).collect();
            let permissions: Vec<_> = held.iter().filter(|one| one.1).map(|one| one.0).collect();
            let account = places().get(place).map(|(account, _)| account.clone());
            let projects = account.as_ref().zip(chosen).map(|(account, chosen)| {
                let within = places().into_iter().zip(chosen);
                within
                    .filter(|((of, _), is_chosen)| *is_chosen && account.reaches(of))
                    .map(|((_, project), _)| project)
                    .collect()
            });
            Grant {
                permissions: PermissionSet::of(&permissions),
                account,
                projects,
            }
        })
    }

    fn rights() -> impl Strategy<Value = Rights> {
        prop::collection::vec(grants(), 0..4).prop_map(Rights::new)
    }

    /// What `rights` open: a permission, and an account, a project or the bare account.
    fn opened(rights: &Rights) -> BTreeSet<(&'static str, &'static str, String)> {
        let mut opened = BTreeSet::new();
        for permission in PERMISSIONS {
            let Some(reach) = rights.reach(permission) else {
                continue;
            };
            for (account, project) in places() {
                let name = permission.as_str();
                if reach.reaches_account(&account) {
                    opened.insert((name, "account", account.id.to_string()));
                }
                if reach.reaches_account(&account) || reach.bare_accounts.contains(&account) {
                    opened.insert((name, "bare account", account.id.to_string()));
                }
                if reach.reaches_project(&account, &project) {
                    opened.insert((name, "project", project.to_string()));
                }
            }
        }
        opened
    }

    proptest! {
        #[test]
        fn an_intersection_is_covered_by_both_sides(one in rights(), other in rights()) {
            let both = one.intersection(&other);
            prop_assert!(one.cover_all(&both) && other.cover_all(&both), "{both:?}");
            prop_assert!(opened(&both).is_subset(&(&opened(&one) & &opened(&other))));
        }

        #[test]
        fn covering_opens_no_more_and_is_transitive(
            one in grants(),
            other in grants(),
            third in grants(),
        ) {
            prop_assert!(one.covers(&one));
            if one.covers(&other) {
                let [all, part] = [&one, &other].map(|grant| Rights::new(vec![grant.clone()]));
                prop_assert!(opened(&part).is_subset(&opened(&all)));
                prop_assert!(!other.covers(&third) || one.covers(&third));
            }
        }
    }
}
