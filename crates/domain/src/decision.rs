//! The decision: may this key pass now.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address;
use crate::id::{self, Id};
use crate::origin::{self, DomainPattern};
use crate::time::Timestamp;

/// What a key's row says about who may pass with it.
#[derive(Clone, Copy, Debug)]
pub struct KeyRules<'a> {
    /// The project that the key is of.
    pub project: &'a Id<id::Project>,
    /// Whether it is switched on.
    pub is_active: bool,
    /// When it ends, where it does.
    pub expires_at: Option<Timestamp>,
    /// When a rotated key's grace ends.
    pub stops_at: Option<Timestamp>,
    /// Origins that it is locked to; empty: none.
    pub allowed_domains: &'a [DomainPattern],
    /// Networks that it is locked to; empty: none.
    pub allowed_ips: &'a [IpNet],
    /// Scopes that it has.
    pub scopes: &'a [String],
}

/// What is known of the request that presents the key.
#[derive(Clone, Debug, Default)]
pub struct Presented<'a> {
    /// The project that the key must be of.
    pub project: Option<&'a str>,
    /// The end user's origin, as it was sent.
    pub origin: Option<&'a str>,
    /// The end user's address.
    pub ip: Option<IpAddr>,
    /// Scopes that the request needs.
    pub scopes: &'a [String],
}

/// What a check comes to. `as_str` is what answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each variant is its own description, spelled out by `as_str`"
)]
pub enum Verdict {
    Valid,
    NotFound,
    Revoked,
    Expired,
    RateLimited,
    QuotaExceeded,
    OriginNotAllowed,
    IpNotAllowed,
    ScopeMissing,
    WrongProject,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Valid,
        Self::NotFound,
        Self::Revoked,
        Self::Expired,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::OriginNotAllowed,
        Self::IpNotAllowed,
        Self::ScopeMissing,
        Self::WrongProject,
    ];

    /// The code in answers, such as `RATE_LIMITED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::NotFound => "NOT_FOUND",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::RateLimited => "RATE_LIMITED",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            Self::IpNotAllowed => "IP_NOT_ALLOWED",
            Self::ScopeMissing => "SCOPE_MISSING",
            Self::WrongProject => "WRONG_PROJECT",
        }
    }
}

/// One rule and whether the request met it, for answers that explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The rule: `project`, `active`, `expiry`, `origin`, `ip` or `scopes`.
    pub rule: &'static str,
    /// Whether it was met.
    pub passed: bool,
    /// What the check comes to when it was not.
    pub verdict: Verdict,
}

impl KeyRules<'_> {
    /// Whether the key is switched on and not past the grace of a rotation.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        self.is_active && self.stops_at.is_none_or(|stop| now < stop)
    }

    /// Whether the key is past its expiry.
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Every rule but limit and quota, in the order in which they decide.
    pub fn results(&self, presented: &Presented<'_>, now: Timestamp) -> [RuleResult; 6] {
        let rule = |rule, verdict, passed| RuleResult {
            rule,
            passed,
            verdict,
        };
        [
            rule(
                "project",
                Verdict::WrongProject,
                self.is_of(presented.project),
            ),
            rule("active", Verdict::Revoked, self.is_active_at(now)),
            rule("expiry", Verdict::Expired, !self.is_expired_at(now)),
            rule(
                "origin",
                Verdict::OriginNotAllowed,
                self.allows_origin(presented.origin),
            ),
            rule("ip", Verdict::IpNotAllowed, self.allows_ip(presented.ip)),
            rule(
                "scopes",
                Verdict::ScopeMissing,
                self.has_scopes(presented.scopes),
            ),
        ]
    }

    /// The first rule that was not met, or [`Verdict::Valid`].
    pub fn decide(&self, presented: &Presented<'_>, now: Timestamp) -> Verdict {
        // Not by `results`: this is asked on every check, and stops at the first that fails.
        if !self.is_of(presented.project) {
            Verdict::WrongProject
        } else if !self.is_active_at(now) {
            Verdict::Revoked
        } else if self.is_expired_at(now) {
            Verdict::Expired
        } else if !self.allows_origin(presented.origin) {
            Verdict::OriginNotAllowed
        } else if !self.allows_ip(presented.ip) {
            Verdict::IpNotAllowed
        } else if !self.has_scopes(presented.scopes) {
            Verdict::ScopeMissing
        } else {
            Verdict::Valid
        }
    }

    fn is_of(&self, project: Option<&str>) -> bool {
        project.is_none_or(|project| project == self.project.as_str())
    }

    fn allows_origin(&self, origin: Option<&str>) -> bool {
        self.allowed_domains.is_empty()
            || origin
                .and_then(origin::host_of)
                .is_some_and(|host| self.allowed_domains.iter().any(|one| one.matches(&host)))
    }

    fn allows_ip(&self, ip: Option<IpAddr>) -> bool {
        self.allowed_ips.is_empty() || ip.is_some_and(|ip| address::is_within(self.allowed_ips, ip))
    }

    fn has_scopes(&self, wanted: &[String]) -> bool {
        wanted.iter().all(|scope| self.scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> Id<id::Project> {
        Id::from_trusted(name)
    }

    fn rules(project: &Id<id::Project>) -> KeyRules<'_> {
        KeyRules {
            project,
            is_active: true,
            expires_at: None,
            stops_at: None,
            allowed_domains: &[],
            allowed_ips: &[],
            scopes: &[],
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_key_ends_at_its_expiry_and_not_after_it() {
        let project = project("prj_1");
        let rules = KeyRules {
            expires_at: Some(at(10)),
            ..rules(&project)
        };
        assert_eq!(rules.decide(&Presented::default(), at(9)), Verdict::Valid);
        assert_eq!(
            rules.decide(&Presented::default(), at(10)),
            Verdict::Expired
        );
    }

    #[test]
    fn grace_ends_like_a_revocation() {
        let project = project("prj_1");
        let rules = KeyRules {
            stops_at: Some(at(10)),
            ..rules(&project)
        };
        assert_eq!(rules.decide(&Presented::default(), at(9)), Verdict::Valid);
        assert_eq!(
            rules.decide(&Presented::default(), at(10)),
            Verdict::Revoked
        );
    }

    #[test]
    fn a_lock_refuses_what_does_not_say_where_it_comes_from() {
        let project = project("prj_1");
        let domains = [DomainPattern::parse("*.example.com").unwrap()];
        let locked = KeyRules {
            allowed_domains: &domains,
            ..rules(&project)
        };
        assert_eq!(
            locked.decide(&Presented::default(), at(0)),
            Verdict::OriginNotAllowed
        );
        let networks = ["192.0.2.0/24".parse().unwrap()];
        let by_address = KeyRules {
            allowed_ips: &networks,
            ..rules(&project)
        };
        assert_eq!(
            by_address.decide(&Presented::default(), at(0)),
            Verdict::IpNotAllowed
        );
    }

    #[test]
    fn the_explanation_and_the_decision_agree() {
        let (project, wanted) = (project("prj_1"), project("prj_2"));
        let scopes = ["read".to_owned()];
        let presented = Presented {
            project: Some("prj_2"),
            scopes: &scopes,
            ..Presented::default()
        };
        for rules in [
            rules(&project),
            KeyRules {
                project: &wanted,
                ..rules(&project)
            },
            KeyRules {
                project: &wanted,
                scopes: &scopes,
                ..rules(&project)
            },
            KeyRules {
                is_active: false,
                expires_at: Some(at(0)),
                ..rules(&project)
            },
        ] {
            let first = rules
                .results(&presented, at(1))
                .into_iter()
                .find(|one| !one.passed);
            let explained = first.map_or(Verdict::Valid, |one| one.verdict);
            assert_eq!(rules.decide(&presented, at(1)), explained);
        }
    }
}
