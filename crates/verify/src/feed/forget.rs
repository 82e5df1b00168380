//! What of memory a change that was heard of concerns. Events name ids; what is kept by digest is
//! found by the row that came with them, and where that is gone, by looking through all.

use std::collections::HashSet;

use claviger_domain::id::{self, Id};
use claviger_store::generations::Stripes;
use claviger_store::{Told, ToldKey};
use serde_json::Value;

use crate::{KnownKey, KnownUser, Verifier};

/// What can be found only by looking through all that is kept: once for all changes together.
#[derive(Debug, Default)]
struct Unnamed<'a> {
    /// Ids of API keys that are purged, or have another key string now.
    keys: HashSet<&'a str>,
    /// Projects that are deleted.
    projects: HashSet<&'a str>,
    /// Accounts that are deleted.
    accounts: HashSet<&'a str>,
    /// Accounts whose access keys may be for fewer projects now.
    narrowed: HashSet<&'a str>,
    /// People whose roles, sessions or names changed.
    people: HashSet<&'a str>,
    /// Families that got keys of which nobody knows the key strings.
    absences: HashSet<&'a Id<id::Account>>,
}

/// What events of keys tell that changes nothing of how they are checked.
const TELLING_ONLY: [&str; 5] = [
    "firstUsed",
    "expiring",
    "expired",
    "rateLimited",
    "quotaReached",
];

impl Verifier {
    /// Forgets what changes concern, whoever made them.
    pub(super) async fn forget_changed(&self, changes: &[Told]) {
        let mut unnamed = Unnamed::default();
        for change in changes {
            let (account, target) = (change.account.as_str(), &change.target);
            let named = Stripes::of_event(&change.kind, account, target);
            self.db.generations().tell(named);
            // A newer program may say more of these than this one knows: then it is taken for a
            // change of what it names.
            let (subject, verb) = change.kind.split_once('.').unwrap_or_default();
            let is_gone = !matches!(verb, "created" | "updated");
            match subject {
                // No check depends on it.
                "api-key" if TELLING_ONLY.contains(&verb) => {}
                "api-key" => self.forget_api_key(change, verb, &mut unnamed),
                // Nobody could present it before, so that it is not known to be absent.
                "access-key" if verb == "created" => {}
                "access-key" => match &change.key {
                    Some(key) => self.presenters.forget(&key.digest),
                    None => drop(unnamed.narrowed.insert(change.account.as_str())),
                },
                "project" => {
                    self.forget_project(&Id::from_trusted(&*change.target), &change.account);
                    if is_gone {
                        unnamed.projects.insert(&change.target);
                        unnamed.narrowed.insert(change.account.as_str());
                    }
                }
                // What a person does is told of in every account where they hold a role.
                "user" | "role" => drop(unnamed.people.insert(&change.target)),
                "account" if is_gone => drop(unnamed.accounts.insert(&change.target)),
                // Operator keys are among the rest: those are looked up each time.
                _ => {}
            }
        }
        self.forget_unnamed(&unnamed).await;
    }

    fn forget_api_key<'a>(&self, change: &'a Told, verb: &str, unnamed: &mut Unnamed<'a>) {
        let Some(key) = &change.key else {
            unnamed.keys.insert(&change.target);
            return;
        };
        let ToldKey {
            root,
            digest,
            is_custom,
            has_foreign_keys,
        } = key;
        // Nobody could present it before, and it may be in memory already, as it is.
        if verb == "created" && !is_custom {
            return;
        }
        let data: Value = serde_json::from_str(&change.data).unwrap_or_default();
        if *has_foreign_keys && !self.has_foreign_keys(root) {
            self.note_foreign_keys(root.clone());
        }
        self.keys.forget(&(root.clone(), *digest));
        if data["keyString"] == "replaced" {
            unnamed.keys.insert(&change.target);
        }
        // It may have been brought as a hash, which marks its family.
        if data["imported"] == true && *has_foreign_keys {
            unnamed.absences.insert(root);
        }
    }

    async fn forget_unnamed(&self, unnamed: &Unnamed<'_>) {
        let Unnamed {
            keys,
            projects,
            accounts,
            narrowed,
            people,
            absences,
        } = unnamed;
        if !keys.is_empty() || !projects.is_empty() || !accounts.is_empty() {
            // A key in memory has a meter and a place: where none of them has, no key has to be
            // looked at.
            let is_metered = |key: &&str| self.meters.known(&Id::from_trusted(*key)).is_some();
            let is_placed = self.places.is_any(|place| {
                projects.contains(place.project_id.as_str())
                    || accounts.contains(place.account.id.as_str())
            });
            if is_placed || keys.iter().any(is_metered) {
                let is_gone = |known: &KnownKey| {
                    keys.contains(known.id().as_str())
                        || projects.contains(known.place().project_id.as_str())
                        || accounts.contains(known.account().id.as_str())
                };
                self.keys.forget_where(is_gone).await;
            } else {
                self.keys.forget_loads();
            }
        }
        if !accounts.is_empty() {
            self.projects.forget_where(|_, found| {
                let mut of = found.iter().map(|project| project.account_id.as_str());
                of.any(|account| accounts.contains(account))
            });
        }
        if !narrowed.is_empty() || !accounts.is_empty() {
            self.presenters.forget_where(|_, known| {
                let account = known.key.account.id.as_str();
                narrowed.contains(account) || accounts.contains(account)
            });
        }
        // A role on what is deleted counts no more.
        let is_gone = |known: &KnownUser| {
            people.contains(known.user.id.as_str())
                || known
                    .places()
                    .any(|place| projects.contains(place) || accounts.contains(place))
        };
        if !people.is_empty() || !projects.is_empty() || !accounts.is_empty() {
            self.people.forget_where(|_, known| is_gone(known));
        }
        if !absences.is_empty() {
            self.keys
                .forget_absences(|(root, _)| absences.contains(root));
        }
    }
}
