//! The check: may this key pass now.

use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::id::Id;
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{KeyDigest, KeyPurpose, KeyShape};
use claviger_domain::limit::{Level, Outcome, RateLimit};
use claviger_domain::rights::Reach;
use claviger_domain::usage::UsageOutcome;
use claviger_store::access_keys::AccessKey;
use claviger_store::{StoreError, api_keys};

use crate::guesses::Guesser;
use crate::meter::Crossing;
use crate::{KnownKey, LookError, Network, Verifier};

/// Whether a check takes from limit and quota, and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// It does and is.
    Counts,
    /// It only tells what would happen.
    Looks,
}

/// What is asked of a key.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What is known of the request that presents it.
    pub presented: Presented<'a>,
    /// What it takes from limit and quota, usually 1.
    pub cost: u64,
    /// Whether it counts.
    pub counting: Counting,
}

/// What was looked up: a key, or that there is none where the caller may check keys.
#[derive(Clone, Debug)]
pub struct Found(Option<KnownKey>);

/// The answer.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Whether the key passes, or why not.
    pub verdict: Verdict,
    /// The key, when the caller may check keys where it is.
    pub known: Option<KnownKey>,
    /// The limit afterwards, when the request came as far as that.
    pub rate_limit: Option<Level>,
    /// The quota afterwards, when the request came as far as that.
    pub quota: Option<Level>,
}

impl Checked {
    const NOT_FOUND: Self = Self {
        verdict: Verdict::NotFound,
        known: None,
        rate_limit: None,
        quota: None,
    };
}

impl Verifier {
    /// Checks a full key for a caller who may check keys within `reach`. `from` is where the caller
    /// is, for the budget of those who guess.
    pub async fn check(
        &self,
        from: Option<Network>,
        reach: &Reach,
        key: &str,
        question: &Question<'_>,
    ) -> Result<Checked, LookError> {
        let found = self.look_up(from, reach, key, question).await?;
        Ok(self.check_found(found, question))
    }

    /// Looks a full key up for a caller who may check keys within `reach`. Nothing is counted.
    pub async fn look_up(
        &self,
        from: Option<Network>,
        reach: &Reach,
        key: &str,
        question: &Question<'_>,
    ) -> Result<Found, LookError> {
        let project = question.presented.project;
        let found = self.find_presented(from, reach, key, project).await?;
        Ok(Found(found))
    }

    /// The same for a caller whose access key is `caller`, as far as it is known without the
    /// database: `None` when it has to be asked.
    pub fn look_up_known(&self, caller: &AccessKey, reach: &Reach, key: &str) -> Option<Found> {
        let shape = KeyShape::read(key);
        if shape.is_some_and(|shape| !matches!(shape.purpose, KeyPurpose::ApiKey(_))) {
            return Some(Found(None));
        }
        if !self.believes() {
            return None;
        }
        // An access key reaches into one family.
        let presented = (caller.account.root.clone(), self.pepper.digest(key));
        let known = self.keys.known(&presented)?.key();
        Some(Found(known.filter(|known| known.is_within(reach))))
    }

    /// Checks a key that was looked up for that question.
    pub fn check_found(&self, found: Found, question: &Question<'_>) -> Checked {
        let checked = match found.0 {
            Some(known) => self.decide(known, question),
            None => Checked::NOT_FOUND,
        };
        if question.counting == Counting::Counts {
            self.counters.checked(checked.verdict);
        }
        checked
    }

    /// Whether what a check would take can be had at all: `false` when the key would pass but
    /// for the cost, which is more than its whole limit or quota. Nothing is taken, and nothing counted.
    pub fn affordable(&self, found: &Found, question: &Question<'_>) -> bool {
        let Some(known) = &found.0 else {
            return true;
        };
        // A key that does not pass takes nothing, and its answer is why.
        if known.rules().decide(&question.presented, self.clock.now()) != Verdict::Valid {
            return true;
        }
        let limit = known.rate_limit().map(RateLimit::limit);
        let quota = known.quota().map(|quota| quota.limit);
        let most = limit.into_iter().chain(quota).min();
        most.is_none_or(|most| question.cost <= most)
    }

    /// What a check of a key that was found otherwise would come to. Nothing is counted.
    pub async fn explain(
        &self,
        key: api_keys::ApiKey,
        presented: Presented<'_>,
    ) -> Result<Checked, StoreError> {
        let known = self.known(key).await?;
        let question = Question {
            presented,
            cost: 1,
            counting: Counting::Looks,
        };
        Ok(self.decide(known, &question))
    }

    /// Finds the one key that is meant. Of several families' keys with the same string it is the
    /// one of the project that is named, or none.
    async fn find_presented(
        &self,
        from: Option<Network>,
        reach: &Reach,
        text: &str,
        project: Option<&str>,
    ) -> Result<Option<KnownKey>, LookError> {
        let shape = KeyShape::read(text);
        if shape.is_some_and(|shape| !matches!(shape.purpose, KeyPurpose::ApiKey(_))) {
            return Ok(None);
        }
        let is_typo = shape.is_some_and(|shape| !shape.checksum_holds);
        let digest = self.pepper.digest(text);
        if reach.everything {
            // Without a family to look in, the key says which one, or the project does.
            let who = Guesser::Keys(None, from);
            let found = self
                .look(Some(who), async || {
                    let of_hash = KeyHash::of(text).digest(&self.pepper);
                    // The digest again: it may have taken the place of the hash's in between.
                    for digest in [digest, of_hash, digest] {
                        let found = self.find_anywhere(reach, digest, project).await?;
                        if found.is_some() {
                            return Ok(found);
                        }
                    }
                    Ok(None)
                })
                .await?;
            let Some(key) = found else {
                return Ok(None);
            };
            let presented = (key.account.root, digest);
            return self.known_presented(from, presented, text).await;
        }
        let mut found = Vec::new();
        for root in reach.roots() {
            if is_typo && !self.may_have_foreign_keys(root) {
                continue;
            }
            let presented = (root.clone(), digest);
            let known = self.known_presented(from, presented, text).await?;
            found.extend(known.filter(|known| known.is_within(reach)));
        }
        if found.len() > 1 {
            found.retain(|known| Some(known.place().project_id.as_str()) == project);
        }
        Ok(found.pop())
    }

    async fn find_anywhere(
        &self,
        reach: &Reach,
        digest: KeyDigest,
        project: Option<&str>,
    ) -> Result<Option<api_keys::ApiKey>, StoreError> {
        let which = api_keys::Selector::Digest(digest);
        let found = api_keys::find(&self.db, reach, &which).await?;
        let (None, Some(project)) = (&found, project.and_then(Id::parse)) else {
            return Ok(found);
        };
        let reach = Reach {
            projects: vec![project],
            ..Reach::default()
        };
        api_keys::find(&self.db, &reach, &which).await
    }

    fn decide(&self, known: KnownKey, question: &Question<'_>) -> Checked {
        let now = self.clock.now();
        let counts = question.counting == Counting::Counts;
        let mut verdict = known.rules().decide(&question.presented, now);
        let mut rate_limit = None;
        let mut quota = None;
        let mut crossing = Crossing::None;
        if verdict == Verdict::Valid
            && let Some(meter) = known.limit()
        {
            let bounds = known.bounds();
            let taken = if counts {
                self.meters.take(meter, bounds, question.cost, now)
            } else {
                meter.look(bounds, question.cost, now)
            };
            (rate_limit, quota) = (taken.rate_limit, taken.quota);
            let is_used_up = |quota: Level| quota.remaining() == 0;
            let reached = quota.map_or(Crossing::None, |quota| Crossing::QuotaReached {
                until: quota.resets_at,
            });
            (verdict, crossing) = match taken.outcome {
                Outcome::Taken if quota.is_some_and(is_used_up) => (Verdict::Valid, reached),
                Outcome::Taken => (Verdict::Valid, Crossing::None),
                Outcome::OverRateLimit => (Verdict::RateLimited, Crossing::RateLimited),
                Outcome::OverQuota => (Verdict::QuotaExceeded, reached),
            };
        }
        if counts {
            let outcome = match verdict {
                Verdict::Valid => UsageOutcome::Successful,
                Verdict::RateLimited | Verdict::QuotaExceeded => UsageOutcome::RateLimited,
                _ => UsageOutcome::Failed,
            };
            self.meters.count(known.meter(), outcome, crossing, now);
        }
        Checked {
            verdict,
            known: Some(known),
            rate_limit,
            quota,
        }
    }
}
