//! The check: may this key pass now.

use std::sync::Arc;

use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::key_string::{KeyPurpose, KeyShape};
use claviger_domain::limit::{Level, Outcome};
use claviger_domain::rights::Reach;
use claviger_domain::usage::UsageOutcome;
use claviger_store::{StoreError, api_keys};

use crate::{KnownKey, Verifier};

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

/// The answer.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Whether the key passes, or why not.
    pub verdict: Verdict,
    /// The key, when the caller may check keys where it is.
    pub known: Option<Arc<KnownKey>>,
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
    /// Checks a full key for a caller who may check keys within `reach`.
    pub async fn check(
        &self,
        reach: &Reach,
        key: &str,
        question: &Question<'_>,
    ) -> Result<Checked, StoreError> {
        match self.find_presented(reach, key).await? {
            Some(known) => Ok(self.decide(known, question)),
            None => Ok(Checked::NOT_FOUND),
        }
    }

    /// What a check of a key that was found otherwise would come to. Nothing is counted.
    pub async fn explain(
        &self,
        key: api_keys::ApiKey,
        presented: Presented<'_>,
    ) -> Result<Checked, StoreError> {
        let known = Arc::new(self.known(key).await?);
        let question = Question {
            presented,
            cost: 1,
            counting: Counting::Looks,
        };
        Ok(self.decide(known, &question))
    }

    async fn find_presented(
        &self,
        reach: &Reach,
        text: &str,
    ) -> Result<Option<Arc<KnownKey>>, StoreError> {
        let shape = KeyShape::read(text);
        if shape.is_some_and(|shape| !matches!(shape.purpose, KeyPurpose::ApiKey(_))) {
            return Ok(None);
        }
        let is_typo = shape.is_some_and(|shape| !shape.checksum_holds);
        let digest = self.pepper.digest(text);
        if reach.everything {
            // Without a family to look in, the key says which one.
            let which = api_keys::Selector::Digest(digest);
            let Some(key) = api_keys::find(&self.db, reach, &which).await? else {
                return Ok(None);
            };
            return self.known_presented((key.account.root, digest)).await;
        }
        for root in reach.roots() {
            if is_typo && !self.has_foreign_keys(root) {
                continue;
            }
            let known = self.known_presented((root.clone(), digest)).await?;
            let reached = known
                .filter(|known| reach.reaches_project(&known.key.account, &known.key.project_id));
            if reached.is_some() {
                return Ok(reached);
            }
        }
        Ok(None)
    }

    fn decide(&self, known: Arc<KnownKey>, question: &Question<'_>) -> Checked {
        let now = self.clock.now();
        let counts = question.counting == Counting::Counts;
        let mut verdict = known.rules.decide(&question.presented, now);
        let mut rate_limit = None;
        let mut quota = None;
        if verdict == Verdict::Valid
            && let Some(meter) = &known.limit
        {
            let (limit, most) = (known.key.rate_limit, known.key.quota);
            let taken = if counts {
                self.meters.take(meter, limit, most, question.cost, now)
            } else {
                meter.look(limit, most, question.cost, now)
            };
            (rate_limit, quota) = (taken.rate_limit, taken.quota);
            verdict = match taken.outcome {
                Outcome::Taken => Verdict::Valid,
                Outcome::OverRateLimit => Verdict::RateLimited,
                Outcome::OverQuota => Verdict::QuotaExceeded,
            };
        }
        if counts {
            let outcome = match verdict {
                Verdict::Valid => UsageOutcome::Successful,
                Verdict::RateLimited | Verdict::QuotaExceeded => UsageOutcome::RateLimited,
                _ => UsageOutcome::Failed,
            };
            self.meters.count(&known.meter, outcome, now);
        }
        Checked {
            verdict,
            known: Some(known),
            rate_limit,
            quota,
        }
    }
}
