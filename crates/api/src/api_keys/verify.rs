//! `POST /api-keys/verify`: the check with the key in the body, and the reason in the answer.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::address;
use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::limit::{GREATEST_LIMIT, Level};
use claviger_domain::time::Timestamp;
use claviger_edge::permission::KeysCheck;
use claviger_edge::{ApiError, Body, Caller, Core, NoStore};
use claviger_verify::{Checked, Counting, Found, Question};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{ApiKeyBody, api_key_body_of};

/// Keys that one batch checks, at most.
const LARGEST_BATCH: usize = 100;
/// Scopes that one check asks for, at most.
const MOST_SCOPES: usize = 100;

/// A key, and what is known of the request that presents it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyInput {
    /// The full key, as the end user presented it.
    key: String,
    /// Accept keys of this project only.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// The end user's origin, for keys that are locked to some.
    #[serde(default)]
    #[schema(example = "https://app.example.com")]
    origin: Option<String>,
    /// The end user's address, for keys that are locked to networks.
    #[serde(default)]
    #[schema(example = "192.0.2.7")]
    ip: Option<String>,
    /// Scopes that the request needs.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// What the request takes from limit and quota: a whole number, 1 when it is not given.
    #[serde(default)]
    cost: Option<u64>,
    /// `true` tells what would happen, without counting.
    #[serde(default)]
    dry_run: Option<bool>,
}

/// Keys to check.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct VerifyBatchInput {
    /// Up to 100 keys, each with what is known of its request.
    keys: Vec<VerifyInput>,
}

/// What a check came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verification<'a> {
    /// Whether the key may pass.
    valid: bool,
    /// `VALID`, or why not.
    code: CodeName,
    /// The limit after this check, where the key has one.
    rate_limit: Option<LevelBody>,
    /// The quota after this check, where the key has one.
    quota: Option<LevelBody>,
    /// Each rule and whether it was met.
    checks: Vec<RuleBody>,
    /// The key, when it may pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<ApiKeyBody<'a>>,
}

/// A limit or a quota after a check.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Level)]
pub(crate) struct LevelBody {
    /// The most that can be taken.
    limit: u64,
    /// What can still be taken.
    remaining: u64,
    /// What was taken.
    consumed: u64,
    /// When the count starts anew.
    #[schema(value_type = String, format = DateTime)]
    resets_at: Timestamp,
}

impl From<Level> for LevelBody {
    fn from(level: Level) -> Self {
        let (limit, consumed, resets_at) = (level.limit, level.used, level.resets_at);
        Self {
            limit,
            remaining: level.remaining(),
            consumed,
            resets_at,
        }
    }
}

/// A rule, and whether it was met.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleBody {
    /// `project`, `active`, `expiry`, `origin`, `ip`, `scopes`, `rateLimit` or `quota`.
    #[schema(example = "expiry")]
    check: &'static str,
    /// Whether it was met.
    passed: bool,
}

/// What a check can come to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = VerificationCode)]
pub(crate) enum CodeName {
    /// The key may pass.
    Valid,
    /// No such key where the caller may check keys.
    NotFound,
    /// It is switched off.
    Revoked,
    /// It is past its expiry.
    Expired,
    /// It is over its limit.
    RateLimited,
    /// It is over its quota.
    QuotaExceeded,
    /// It is locked to other origins.
    OriginNotAllowed,
    /// It is locked to other networks.
    IpNotAllowed,
    /// It lacks a scope.
    ScopeMissing,
    /// It is of another project.
    WrongProject,
}

impl From<Verdict> for CodeName {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::Valid,
            Verdict::NotFound => Self::NotFound,
            Verdict::Revoked => Self::Revoked,
            Verdict::Expired => Self::Expired,
            Verdict::RateLimited => Self::RateLimited,
            Verdict::QuotaExceeded => Self::QuotaExceeded,
            Verdict::OriginNotAllowed => Self::OriginNotAllowed,
            Verdict::IpNotAllowed => Self::IpNotAllowed,
            Verdict::ScopeMissing => Self::ScopeMissing,
            Verdict::WrongProject => Self::WrongProject,
        }
    }
}

/// Verify an API key
///
/// Checks a key that an end user presented, in the body, so that it stays out of logs: counts the
/// use, takes from limit and quota, and tells why a key does not pass. Only the full key is
/// accepted, never an id or a reference. With `dryRun` nothing is counted.
#[utoipa::path(post, path = "/api-keys/verify", operation_id = "verifyApiKey", tag = "api_keys",
    request_body = VerifyInput,
    responses(
        (status = 200, description = "What the check came to; see `valid`.", body = Verification),
        (status = 400, description = "A member is malformed, or the cost can never be paid.")))]
pub(crate) async fn verify_api_key(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    Body(input): Body<VerifyInput>,
) -> Result<Response, ApiError> {
    let found = look_up(&core, &caller, &input, "").await?;
    let checked = core.verifier.check_found(found, &input.question());
    Ok(NoStore(Json(verification(&core, &checked, &input)?)).into_response())
}

/// Verify several API keys
///
/// The same for up to 100 keys, each counted by itself; the answers are in the keys' order.
#[utoipa::path(post, path = "/api-keys/verify/batch", operation_id = "verifyApiKeys",
    tag = "api_keys", request_body = VerifyBatchInput,
    responses(
        (status = 200, description = "What each check came to.", body = Vec<Verification>),
        (status = 400, description = "A member is malformed, or there are more than 100 keys.")))]
pub(crate) async fn verify_api_keys(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    Body(batch): Body<VerifyBatchInput>,
) -> Result<Response, ApiError> {
    batch.check_size()?;
    // All are looked at before the first is counted.
    let mut found = Vec::with_capacity(batch.keys.len());
    for (index, input) in batch.keys.iter().enumerate() {
        found.push(look_up(&core, &caller, input, &format!("keys[{index}].")).await?);
    }
    let asked = batch.keys.iter().zip(found);
    let checked: Vec<_> = asked
        .map(|(input, found)| core.verifier.check_found(found, &input.question()))
        .collect();
    let answers: Vec<_> = checked
        .iter()
        .zip(&batch.keys)
        .map(|(checked, input)| verification(&core, checked, input))
        .collect::<Result<_, _>>()?;
    Ok(NoStore(Json(answers)).into_response())
}

impl VerifyBatchInput {
    /// Refuses more keys than one request may bring.
    pub(crate) fn check_size(&self) -> Result<(), ApiError> {
        let count = self.keys.len();
        if count > LARGEST_BATCH {
            let message = format!("has {count} members, at most {LARGEST_BATCH} are taken");
            return Err(ApiError::field("keys", message));
        }
        Ok(())
    }

    /// The keys, each with what is known of its request.
    pub(crate) fn inputs(&self) -> &[VerifyInput] {
        &self.keys
    }
}

impl VerifyInput {
    /// Refuses what no key could be asked; `path` is where it stands in the body.
    pub(crate) fn check_bounds(&self, path: &str) -> Result<(), ApiError> {
        if self
            .scopes
            .as_ref()
            .is_some_and(|scopes| scopes.len() > MOST_SCOPES)
        {
            let message = format!("has more than {MOST_SCOPES} members");
            return Err(ApiError::field(format!("{path}scopes"), message));
        }
        if self.cost.is_some_and(|cost| cost > GREATEST_LIMIT) {
            return Err(unaffordable(path));
        }
        Ok(())
    }

    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            presented: Presented {
                project: self.project_id.as_deref(),
                origin: self.origin.as_deref(),
                ip: self.ip.as_deref().and_then(address::parse_address),
                scopes: self.scopes.as_deref().unwrap_or_default(),
            },
            cost: self.cost.unwrap_or(1),
            counting: if self.dry_run == Some(true) {
                Counting::Looks
            } else {
                Counting::Counts
            },
        }
    }
}

/// Looks the key up, and refuses what can never be answered otherwise, before anything is counted.
async fn look_up(
    core: &Core,
    caller: &Caller<KeysCheck>,
    input: &VerifyInput,
    path: &str,
) -> Result<Found, ApiError> {
    input.check_bounds(path)?;
    let question = input.question();
    let found = core
        .verifier
        .look_up(
            caller.identity.network,
            &caller.reach,
            &input.key,
            &question,
        )
        .await?;
    // Without a cost it is 1, which every limit has.
    if input.cost.is_some() && !core.verifier.affordable(&found, &question) {
        return Err(unaffordable(path));
    }
    Ok(found)
}

fn unaffordable(path: &str) -> ApiError {
    let message = "must be a whole number from 0 to the key's limit or quota";
    ApiError::field(format!("{path}cost"), message)
}

fn verification<'a>(
    core: &Core,
    checked: &'a Checked,
    input: &VerifyInput,
) -> Result<Verification<'a>, ApiError> {
    let key = match &checked.known {
        Some(known) if checked.verdict == Verdict::Valid => {
            let view = known.view();
            Some(api_key_body_of(&view, None, core.now(), checked.quota)?)
        }
        _ => None,
    };
    Ok(Verification {
        valid: checked.verdict == Verdict::Valid,
        code: checked.verdict.into(),
        rate_limit: checked.rate_limit.map(Into::into),
        quota: checked.quota.map(Into::into),
        checks: rule_bodies(core, checked, &input.question().presented),
        key,
    })
}

/// Each rule and whether it was met; none for a key that the caller may not check.
pub(super) fn rule_bodies(
    core: &Core,
    checked: &Checked,
    presented: &Presented<'_>,
) -> Vec<RuleBody> {
    let Some(known) = &checked.known else {
        return Vec::new();
    };
    let rules = known.rules().results(presented, core.now());
    let mut bodies: Vec<_> = rules
        .iter()
        .map(|one| RuleBody {
            check: one.rule,
            passed: one.passed,
        })
        .collect();
    if checked.rate_limit.is_some() {
        let passed = checked.verdict != Verdict::RateLimited;
        bodies.push(RuleBody {
            check: "rateLimit",
            passed,
        });
    }
    if checked.quota.is_some() {
        let passed = checked.verdict != Verdict::QuotaExceeded;
        bodies.push(RuleBody {
            check: "quota",
            passed,
        });
    }
    bodies
}
