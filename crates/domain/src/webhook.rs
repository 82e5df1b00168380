//! Webhooks: which events they may ask for, when a delivery is tried again, what they may send.

use crate::random::Random;
use crate::time::Timestamp;

/// Texts of a closed list, as answers and rows have them.
macro_rules! texts {
    ($(#[$doc:meta])* $type:ident { $($(#[$one:meta])* $name:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$one])* $name),+ }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// Reads its spelling.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }
    };
}

texts! {
    /// What a webhook may ask to be told: all that this version has events of.
    Topic {
        /// A key was made.
        ApiKeyCreated = "api-key.created",
        /// A key was changed.
        ApiKeyUpdated = "api-key.updated",
        /// A key was revoked.
        ApiKeyDeleted = "api-key.deleted",
        /// A key passed for the first time.
        ApiKeyFirstUsed = "api-key.firstUsed",
        /// A key expires in 30, 7 or 1 days.
        ApiKeyExpiring = "api-key.expiring",
        /// A key has expired.
        ApiKeyExpired = "api-key.expired",
        /// A key was over its limit; once an hour at most.
        ApiKeyRateLimited = "api-key.rateLimited",
        /// Nothing is left of a key's quota; once a day or month, as the quota is.
        ApiKeyQuotaReached = "api-key.quotaReached",
        /// A key has a successor.
        ApiKeyRotated = "api-key.rotated",
        /// A revoked key was put in force again.
        ApiKeyReactivated = "api-key.reactivated",
        /// An access key was made.
        AccessKeyCreated = "access-key.created",
        /// An access key was changed, rotated or put in force again.
        AccessKeyUpdated = "access-key.updated",
        /// An access key was switched off.
        AccessKeyDeleted = "access-key.deleted",
        /// A project was made.
        ProjectCreated = "project.created",
        /// A project was renamed.
        ProjectUpdated = "project.updated",
        /// A project was removed.
        ProjectDeleted = "project.deleted",
        /// The account was renamed.
        AccountUpdated = "account.updated",
        /// Somebody signed up in the account.
        UserSignedUp = "user.signup",
        /// Somebody who was invited joined.
        InvitationAccepted = "invitation.accepted",
        /// An MCP server was made.
        McpServerCreated = "mcp-server.created",
        /// An MCP server was changed, or got another URL.
        McpServerUpdated = "mcp-server.updated",
        /// An MCP server was removed.
        McpServerDeleted = "mcp-server.deleted",
        /// A webhook was switched off, since its receiver failed for days or asked for it.
        WebhookDisabled = "webhook.disabled",
    }
}

impl Topic {
    /// The topic of an event of that kind, as its row spells it; none where no webhook is told.
    pub fn of_event(kind: &str) -> Option<Self> {
        match kind {
            "access-key.rotated" | "access-key.reactivated" => Some(Self::AccessKeyUpdated),
            "mcp-server.rotated" => Some(Self::McpServerUpdated),
            kind => Self::parse(kind),
        }
    }

    /// Whether webhooks of a single project are told of it, too, although it is the account's.
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::AccountUpdated)
    }
}

texts! {
    /// Whether a webhook is sent what waits for it.
    Status {
        /// It is.
        Live = "live",
        /// Somebody paused it: what happens meanwhile waits.
        Paused = "paused",
        /// Its receiver failed for too long, or asked for it: what happens meanwhile waits.
        Disabled = "disabled",
    }
}

texts! {
    /// The verb of deliveries.
    Method {
        /// `POST`.
        Post = "POST",
        /// `PUT`.
        Put = "PUT",
        /// `PATCH`.
        Patch = "PATCH",
    }
}

texts! {
    /// How the body of a delivery looks.
    Format {
        /// `{id, topic, createdAt, accountId, projectId, data}`.
        Standard = "standard",
        /// A message that Slack and its kin show as text.
        Slack = "slack",
    }
}

texts! {
    /// What became of a delivery.
    DeliveryStatus {
        /// It is still to be tried, for the first time or again.
        Waiting = "waiting",
        /// The receiver took it.
        Delivered = "delivered",
        /// It was tried for the last time.
        Failed = "failed",
    }
}

/// Seconds from a failed attempt to the next one.
const DELAYS: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
/// The longest that a receiver's `Retry-After` is believed, in seconds.
pub const LONGEST_REST: i64 = 86_400;
/// How long a webhook may fail before it is disabled, in seconds.
pub const FAILING_FOR: i64 = 5 * 86_400;
/// Seconds from one failure to the next in which the webhook is said to fail all the while: longer
/// than any receiver may ask to be left alone.
pub const FAILS_WITHIN: i64 = 2 * LONGEST_REST;
/// Seconds that a receiver is left alone which took nothing when it was asked last, by how often in a
/// row that was so: what was not tried meanwhile has not failed.
const RESTS: [i64; 4] = [5, 30, 120, 300];
/// How long the signature of a secret that was rotated is still sent, in seconds.
pub const SECRET_GRACE: i64 = 86_400;
/// How long deliveries are kept, in seconds.
pub const KEPT_FOR: i64 = 30 * 86_400;

/// When a delivery is tried again that has failed so many times; `None` when that was the last.
///
/// Up to a tenth later than the schedule, so that what failed together does not come back together.
pub fn next_attempt(failures: u32, now: Timestamp, random: &dyn Random) -> Option<Timestamp> {
    let delay = *DELAYS.get(usize::try_from(failures).ok()?.checked_sub(1)?)?;
    let mut byte = [0u8; 1];
    random.fill(&mut byte);
    let jitter = delay * 1_000_000 / 10 * i64::from(byte[0]) / 255;
    Some(Timestamp::from_micros(
        now.plus_seconds(delay).as_micros().saturating_add(jitter),
    ))
}

/// How long a receiver is left alone, in seconds, that took nothing so often in a row.
pub fn rest_after(times: i64) -> i64 {
    let last = RESTS.len() - 1;
    RESTS[usize::try_from(times.saturating_sub(1)).map_or(0, |index| index.min(last))]
}

/// Whether a webhook may send a header of that name, in lower case, beside those of ours.
pub fn may_be_sent(header: &str) -> bool {
    const REFUSED: [&str; 14] = [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "host",
        "cookie",
        "expect",
        "forwarded",
        "theauthapi-signature",
        "user-agent",
        // What it asks for is not unpacked, and would be noise in the log.
        "accept-encoding",
    ];
    const REFUSED_FAMILIES: [&str; 6] = [
        "proxy-",
        "content-",
        "x-forwarded-",
        "webhook-",
        "metadata",
        "x-metadata",
    ];
    !REFUSED.contains(&header)
        && !REFUSED_FAMILIES
            .iter()
            .any(|family| header.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(u8);

    impl Random for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn attempts_come_later_and_later_and_end() {
        let now = Timestamp::from_micros(0);
        let at = |failures, byte| {
            next_attempt(failures, now, &Bytes(byte)).map(|at| at.as_micros() / 1_000_000)
        };
        let early: Vec<_> = (1..9).map_while(|failures| at(failures, 0)).collect();
        assert_eq!(early, DELAYS);
        let late: Vec<_> = (1..9).map_while(|failures| at(failures, 255)).collect();
        assert_eq!(late, [5, 330, 1_980, 7_920, 19_800, 39_600, 39_600]);
        assert_eq!(at(0, 0), None);
    }

    #[test]
    fn a_receiver_that_takes_nothing_is_asked_less_and_less() {
        let rests: Vec<_> = (0..=5).map(rest_after).collect();
        assert_eq!(rests, [5, 5, 30, 120, 300, 300]);
        assert_eq!(rest_after(i64::MAX), 300);
        // Never longer than its deliveries wait anyway.
        assert!(RESTS.iter().zip(DELAYS).all(|(rest, delay)| *rest <= delay));
    }

    #[test]
    fn headers_that_steer_a_connection_or_speak_for_us_are_not_sent() {
        for name in [
            "host",
            "cookie",
            "connection",
            "transfer-encoding",
            "content-length",
            "x-forwarded-for",
            "forwarded",
            "proxy-authorization",
            "webhook-signature",
            "metadata-flavor",
            "theauthapi-signature",
            "accept-encoding",
        ] {
            assert!(!may_be_sent(name), "{name}");
        }
        assert!(may_be_sent("authorization") && may_be_sent("x-api-key"));
    }

    #[test]
    fn every_topic_is_an_event_and_some_events_share_one() {
        for topic in Topic::ALL {
            assert_eq!(Topic::of_event(topic.as_str()), Some(*topic));
        }
        assert_eq!(
            Topic::of_event("access-key.rotated"),
            Some(Topic::AccessKeyUpdated)
        );
        assert_eq!(Topic::of_event("operator-key.created"), None);
    }
}
