//! What the token of another identity provider says of a person, and whether that is to be believed once
//! its signature was checked.

use serde::Deserialize;

use crate::email::Email;
use crate::time::Timestamp;

/// What the issuer of a Firebase project's tokens begins with; the project follows.
const ISSUER: &str = "https://securetoken.google.com/";
/// Characters of a subject, at most.
const LONGEST_SUBJECT: usize = 128;
/// How far the provider's clock may be ahead of ours, in seconds.
const LEEWAY: i64 = 60;

/// Why a token is not believed, although the provider signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// It is of another issuer.
    #[error("the issuer is another")]
    Issuer,
    /// It was made for another project.
    #[error("the audience is another")]
    Audience,
    /// It says of nobody that they are signed in.
    #[error("the subject is none")]
    Subject,
    /// It is of a tenant of the project, whose people are not ours.
    #[error("it is of a tenant")]
    Tenant,
    /// It is over.
    #[error("it is over")]
    Over,
    /// It was made, or who it is of signed in, later than now.
    #[error("it is of the future")]
    Future,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    firebase: SignInThere,
}

/// How somebody signed in with the project.
#[derive(Clone, Debug, Default, Deserialize)]
struct SignInThere {
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    sign_in_provider: Option<String>,
}

impl SignInThere {
    /// Whether somebody else than whoever made the account there saw to its address: nobody does for
    /// those without one, and whoever mints tokens says of them what they like.
    fn vouches_for_mail(&self) -> bool {
        let provider = self.sign_in_provider.as_deref();
        provider.is_some_and(|provider| !matches!(provider, "anonymous" | "custom"))
    }
}

/// A person, as a provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub issuer: String,
    /// What the provider calls them: never anybody else.
    pub subject: String,
    /// Their address, where the provider saw that mail to it reaches them. Any other is a claim of
    /// whoever made the account there.
    pub email: Option<Email>,
    /// What they are called, where it is known.
    pub name: Option<String>,
    /// When they showed the provider who they are: a token is made anew each hour without that.
    pub shown_at: Timestamp,
}

impl Claims {
    /// Tells whether what a token of a Firebase project says is to be believed at an instant.
    pub fn judge(self, project: &str, now: Timestamp) -> Result<Identity, ClaimFault> {
        let soon = now.plus_seconds(LEEWAY).as_seconds();
        if self.iss.strip_prefix(ISSUER) != Some(project) {
            Err(ClaimFault::Issuer)
        } else if self.aud != project {
            Err(ClaimFault::Audience)
        } else if self.sub.trim().is_empty() || self.sub.chars().count() > LONGEST_SUBJECT {
            Err(ClaimFault::Subject)
        } else if self.firebase.tenant.is_some() {
            Err(ClaimFault::Tenant)
        } else if self.exp <= now.as_seconds() {
            Err(ClaimFault::Over)
        } else if self.iat > soon || self.auth_time > soon {
            Err(ClaimFault::Future)
        } else {
            let is_theirs = self.email_verified && self.firebase.vouches_for_mail();
            let email = self.email.filter(|_| is_theirs);
            let shown_at = Timestamp::from_micros(0).plus_seconds(self.auth_time);
            Ok(Identity {
                shown_at: shown_at.min(now),
                email: email.as_deref().and_then(Email::parse),
                issuer: self.iss,
                subject: self.sub,
                name: self.name,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_768_478_400;

    fn claims(change: impl FnOnce(&mut Value)) -> Result<Identity, Option<ClaimFault>> {
        let mut claims = json!({
            "iss": "https://securetoken.google.com/acme-1", "aud": "acme-1", "sub": "u1",
            "exp": NOW + 3_600, "iat": NOW, "auth_time": NOW - 86_400,
            "email": "ada@example.com", "email_verified": true, "name": "Ada",
            "firebase": {"sign_in_provider": "password"},
        });
        change(&mut claims);
        let read: Claims = serde_json::from_value(claims).map_err(|_| None)?;
        let now = Timestamp::from_micros(NOW * 1_000_000);
        read.judge("acme-1", now).map_err(Some)
    }

    #[test]
    fn only_what_is_of_the_project_and_of_now_is_believed() {
        let believed = claims(|_| ()).unwrap();
        assert_eq!(believed.email, Email::parse("ada@example.com"));
        assert_eq!(believed.subject, "u1");
        assert_eq!(believed.shown_at.as_seconds(), NOW - 86_400);
        for (member, value, fault) in [
            (
                "iss",
                json!("https://securetoken.google.com/other"),
                Some(ClaimFault::Issuer),
            ),
            (
                "iss",
                json!("https://securetoken.google.com/acme-1/"),
                Some(ClaimFault::Issuer),
            ),
            (
                "iss",
                json!("https://evil.example.com/acme-1"),
                Some(ClaimFault::Issuer),
            ),
            ("iss", json!("acme-1"), Some(ClaimFault::Issuer)),
            ("aud", json!("other"), Some(ClaimFault::Audience)),
            ("aud", json!(["acme-1", "other"]), None),
            ("aud", Value::Null, None),
            ("sub", json!(""), Some(ClaimFault::Subject)),
            ("sub", json!(" "), Some(ClaimFault::Subject)),
            ("sub", json!("u".repeat(129)), Some(ClaimFault::Subject)),
            ("sub", Value::Null, None),
            ("exp", json!(NOW), Some(ClaimFault::Over)),
            ("exp", json!(NOW - 1), Some(ClaimFault::Over)),
            ("exp", json!("tomorrow"), None),
            ("exp", Value::Null, None),
            ("iat", json!(NOW + 61), Some(ClaimFault::Future)),
            ("iat", Value::Null, None),
            ("auth_time", json!(NOW + 61), Some(ClaimFault::Future)),
            ("auth_time", Value::Null, None),
            (
                "firebase",
                json!({"sign_in_provider": "password", "tenant": "acme-2"}),
                Some(ClaimFault::Tenant),
            ),
            (
                "firebase",
                json!({"sign_in_provider": "password", "tenant": ["acme-2"]}),
                None,
            ),
        ] {
            let judged = claims(|claims| claims[member] = value.clone());
            assert_eq!(judged, Err(fault), "{member} {value}");
        }
        assert!(claims(|claims| claims["iat"] = json!(NOW + 60)).is_ok());
        let ahead = claims(|claims| claims["auth_time"] = json!(NOW + 60)).unwrap();
        assert_eq!(ahead.shown_at.as_seconds(), NOW);
        assert!(claims(|claims| claims["auth_time"] = json!(i64::MIN)).is_ok());
    }

    #[test]
    fn an_address_that_nobody_saw_to_be_theirs_is_none() {
        for (member, value) in [
            ("email_verified", json!(false)),
            ("email", Value::Null),
            ("email", json!("ada")),
            ("firebase", json!({"sign_in_provider": "anonymous"})),
            ("firebase", json!({"sign_in_provider": "custom"})),
            ("firebase", json!({})),
        ] {
            let believed = claims(|claims| claims[member] = value.clone()).unwrap();
            assert_eq!(believed.email, None, "{member} {value}");
        }
        let without = claims(|claims| {
            claims.as_object_mut().unwrap().remove("email_verified");
        });
        assert_eq!(without.unwrap().email, None);
        // Only the provider's own word counts, not a text that looks like it.
        assert_eq!(
            claims(|claims| claims["email_verified"] = json!("true")),
            Err(None)
        );
    }
}
