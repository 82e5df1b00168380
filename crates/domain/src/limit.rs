//! Limits and quotas: fixed windows, and what a request takes from them.

use std::num::NonZeroU64;

use crate::date;
use crate::time::Timestamp;

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    // Not zero, so that an `Option` of it takes no more.
    limit: NonZeroU64,
    window_seconds: u32,
}

/// Seconds in the window where none are given.
pub const DEFAULT_WINDOW_SECONDS: u32 = 60;
/// The longest window: 31 days.
pub const LONGEST_WINDOW_SECONDS: u32 = 2_678_400;
/// The greatest limit or quota: what a JSON number holds exactly.
pub const GREATEST_LIMIT: u64 = 9_007_199_254_740_991;

impl RateLimit {
    /// Checks the bounds: a limit of at least 1, a window of 1 second to 31 days.
    pub const fn new(limit: u64, window_seconds: u32) -> Option<Self> {
        if limit > GREATEST_LIMIT {
            return None;
        }
        let Some(limit) = NonZeroU64::new(limit) else {
            return None;
        };
        if window_seconds == 0 || window_seconds > LONGEST_WINDOW_SECONDS {
            return None;
        }
        Some(Self {
            limit,
            window_seconds,
        })
    }

    /// Requests in a window.
    pub const fn limit(self) -> u64 {
        self.limit.get()
    }

    /// Seconds in a window.
    pub const fn window_seconds(self) -> u32 {
        self.window_seconds
    }
}

/// How long a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A day, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
}

impl Period {
    /// `day` or `month`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Reads `day` or `month`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Day, Self::Month]
            .into_iter()
            .find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }

    /// The end of the period that `at` is in.
    pub fn end(self, at: Timestamp) -> Timestamp {
        let (day, month) = date::next_day_and_month(at);
        match self {
            Self::Day => day,
            Self::Month => month,
        }
    }
}

/// So many requests in a day or a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a period, at least 1.
    pub limit: u64,
    /// The period.
    pub period: Period,
}

/// What was taken so far, of the rate limit and of the quota of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    window: Option<Window>,
    quota: Option<QuotaUse>,
}

/// A running window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When its first request came.
    pub started_at: Timestamp,
    /// When it ends, by the limit that was applied last.
    pub ends_at: Timestamp,
    /// What was taken from it.
    pub used: u64,
}

/// A running quota period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// When the period ends.
    pub ends_at: Timestamp,
    /// What was taken from it.
    pub used: u64,
}

/// A limit or a quota after a request, as the answer tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The most that can be taken.
    pub limit: u64,
    /// What was taken, this request included when it passed.
    pub used: u64,
    /// When the count starts anew.
    pub resets_at: Timestamp,
}

impl Level {
    /// What can still be taken.
    pub const fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What came of taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was enough.
    Taken,
    /// The window was full; nothing was taken.
    OverRateLimit,
    /// The quota was used up; nothing was taken.
    OverQuota,
}

/// The answer of [`Allowance::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether there was enough.
    pub outcome: Outcome,
    /// The rate limit afterwards, where there is one.
    pub rate_limit: Option<Level>,
    /// The quota afterwards, where there is one.
    pub quota: Option<Level>,
}

impl Window {
    /// Whether it is longer than that.
    pub const fn is_longer_than(self, seconds: u32) -> bool {
        self.started_at.plus_seconds(seconds as i64).as_micros() < self.ends_at.as_micros()
    }
}

impl Allowance {
    /// Takes up a count where it was left, such as after a restart.
    pub const fn resume(window: Option<Window>, quota: Option<QuotaUse>) -> Self {
        Self { window, quota }
    }

    /// The running window and quota period.
    pub const fn state(&self) -> (Option<Window>, Option<QuotaUse>) {
        (self.window, self.quota)
    }

    /// Takes `cost` from limit and quota, from both or from neither.
    ///
    /// A window starts with its first request and is not extended by refused ones. A changed
    /// limit, window length or period applies to what runs, also when nothing is taken; what has
    /// ended by the one applied before is over. A cost of 0 takes nothing.
    pub fn take(
        &mut self,
        rate_limit: Option<RateLimit>,
        quota: Option<Quota>,
        cost: u64,
        now: Timestamp,
    ) -> Taken {
        let window = rate_limit.map(|limit| (limit, self.running_window(limit, now)));
        let period = quota.map(|quota| (quota, self.running_quota(quota, now)));
        self.take_from(window, period, cost)
    }

    /// The same for a key that was rotated, in its grace: what runs ends when its successor's
    /// window and period do, so that its own cannot start that count anew. Where nothing runs, its
    /// own starts.
    pub fn take_in_grace(
        &mut self,
        rate_limit: Option<RateLimit>,
        quota: Option<Quota>,
        cost: u64,
        now: Timestamp,
    ) -> Taken {
        let window = rate_limit.map(|limit| {
            let running = self.window.filter(|window| now < window.ends_at);
            (
                limit,
                running.unwrap_or_else(|| self.running_window(limit, now)),
            )
        });
        let period = quota.map(|quota| {
            let running = self.quota.filter(|period| now < period.ends_at);
            (
                quota,
                running.unwrap_or_else(|| self.running_quota(quota, now)),
            )
        });
        self.take_from(window, period, cost)
    }

    fn take_from(
        &mut self,
        window: Option<(RateLimit, Window)>,
        period: Option<(Quota, QuotaUse)>,
        cost: u64,
    ) -> Taken {
        let fits = |used: u64, limit: u64| used.saturating_add(cost) <= limit;

        let outcome = if window.is_some_and(|(limit, window)| !fits(window.used, limit.limit())) {
            Outcome::OverRateLimit
        } else if period.is_some_and(|(quota, period)| !fits(period.used, quota.limit)) {
            Outcome::OverQuota
        } else {
            Outcome::Taken
        };
        let taken = if outcome == Outcome::Taken { cost } else { 0 };

        let rate_level = window.map(|(limit, mut window)| {
            window.used += taken;
            self.window = (window.used > 0).then_some(window);
            Level {
                limit: limit.limit(),
                used: window.used,
                resets_at: window.ends_at,
            }
        });
        let quota_level = period.map(|(quota, mut period)| {
            period.used += taken;
            self.quota = (period.used > 0).then_some(period);
            Level {
                limit: quota.limit,
                used: period.used,
                resets_at: period.ends_at,
            }
        });
        Taken {
            outcome,
            rate_limit: rate_level,
            quota: quota_level,
        }
    }

    /// Whether nothing that it counts is still running.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.window.is_none_or(|window| window.ends_at <= now)
            && self.quota.is_none_or(|quota| quota.ends_at <= now)
    }

    fn running_window(&self, limit: RateLimit, now: Timestamp) -> Window {
        let starting_at = |started_at: Timestamp, used| Window {
            started_at,
            ends_at: started_at.plus_seconds(i64::from(limit.window_seconds)),
            used,
        };
        // It may be over by the limit that it was counted under, or by the present one.
        self.window
            .filter(|window| now < window.ends_at)
            .map(|window| starting_at(window.started_at, window.used))
            .filter(|window| now < window.ends_at)
            .unwrap_or_else(|| starting_at(now, 0))
    }

    fn running_quota(&self, quota: Quota, now: Timestamp) -> QuotaUse {
        let running = self.quota.filter(|period| now < period.ends_at);
        QuotaUse {
            // A period that was changed from month to day ends sooner, its count stays.
            ends_at: quota.period.end(now),
            used: running.map_or(0, |period| period.used),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn limit(limit: u64, seconds: u32) -> Option<RateLimit> {
        RateLimit::new(limit, seconds)
    }

    #[test]
    fn a_window_starts_with_its_first_request_and_refused_ones_do_not_extend_it() {
        let mut allowance = Allowance::default();
        let first = allowance.take(limit(1, 10), None, 1, at(7));
        assert_eq!(first.outcome, Outcome::Taken);
        assert_eq!(first.rate_limit.unwrap().resets_at, at(17));
        for second in 8..17 {
            let refused = allowance.take(limit(1, 10), None, 1, at(second));
            assert_eq!(refused.outcome, Outcome::OverRateLimit);
            assert_eq!(refused.rate_limit.unwrap().resets_at, at(17));
        }
        assert_eq!(
            allowance.take(limit(1, 10), None, 1, at(17)).outcome,
            Outcome::Taken
        );
    }

    #[test]
    fn a_changed_limit_applies_to_the_running_window() {
        let mut allowance = Allowance::default();
        allowance.take(limit(5, 60), None, 3, at(0));
        let raised = allowance
            .take(limit(10, 60), None, 1, at(1))
            .rate_limit
            .unwrap();
        assert_eq!((raised.used, raised.remaining()), (4, 6));
        assert_eq!(
            allowance.take(limit(2, 60), None, 1, at(2)).outcome,
            Outcome::OverRateLimit
        );
    }

    #[test]
    fn a_used_up_quota_takes_nothing_from_the_limit() {
        let mut allowance = Allowance::default();
        let quota = Some(Quota {
            limit: 1,
            period: Period::Day,
        });
        allowance.take(limit(10, 60), quota, 1, at(0));
        let refused = allowance.take(limit(10, 60), quota, 1, at(1));
        assert_eq!(refused.outcome, Outcome::OverQuota);
        assert_eq!(refused.rate_limit.unwrap().used, 1);
        assert_eq!(
            allowance.take(limit(10, 60), quota, 1, at(86_400)).outcome,
            Outcome::Taken
        );
    }

    #[test]
    fn a_quota_that_becomes_a_day_s_ends_at_midnight_though_nothing_is_taken() {
        let quota = |period| Some(Quota { limit: 2, period });
        let mut allowance = Allowance::default();
        allowance.take(None, quota(Period::Month), 2, at(0));
        let refused = allowance.take(None, quota(Period::Day), 1, at(86_399));
        assert_eq!(refused.outcome, Outcome::OverQuota);
        assert_eq!(refused.quota.unwrap().resets_at, at(86_400));
        let next_day = allowance.take(None, quota(Period::Day), 1, at(86_400));
        assert_eq!(next_day.outcome, Outcome::Taken);
        assert_eq!(next_day.quota.unwrap().used, 1);
    }

    #[test]
    fn a_window_that_was_over_is_not_revived_by_a_longer_one() {
        let mut allowance = Allowance::default();
        allowance.take(limit(100, 60), None, 100, at(0));
        let mut lengthened_in_time = allowance;
        let late = allowance.take(limit(100, 3600), None, 1, at(70));
        assert_eq!(late.outcome, Outcome::Taken);
        assert_eq!(late.rate_limit.unwrap().resets_at, at(3670));
        let early = lengthened_in_time.take(limit(100, 3600), None, 1, at(59));
        assert_eq!(early.outcome, Outcome::OverRateLimit);
        assert_eq!(early.rate_limit.unwrap().resets_at, at(3600));
    }

    #[test]
    fn what_a_successor_counts_is_not_started_anew_by_the_key_in_grace() {
        let quota = |period| Some(Quota { limit: 2, period });
        let (hour, month) = (limit(2, 3600), quota(Period::Month));
        let (brief, day) = (limit(2, 10), quota(Period::Day));
        let mut allowance = Allowance::default();
        allowance.take(hour, None, 2, at(0));
        for second in [9, 11, 3599] {
            let old = allowance.take_in_grace(brief, None, 1, at(second));
            assert_eq!(old.outcome, Outcome::OverRateLimit);
            let new = allowance.take(hour, None, 1, at(second));
            assert_eq!(new.outcome, Outcome::OverRateLimit);
        }
        let mut allowance = Allowance::default();
        allowance.take(None, month, 2, at(0));
        for now in [at(86_399), at(2 * 86_400)] {
            let old = allowance.take_in_grace(None, day, 1, now);
            assert_eq!(old.outcome, Outcome::OverQuota);
            let new = allowance.take(None, month, 1, now);
            assert_eq!(new.outcome, Outcome::OverQuota);
        }
    }

    #[test]
    fn a_limit_that_is_taken_off_keeps_its_window_until_that_ends() {
        let mut allowance = Allowance::default();
        allowance.take(limit(1, 60), None, 1, at(0));
        allowance.take(None, None, 1, at(1));
        assert!(!allowance.is_over(at(59)) && allowance.is_over(at(60)));
        let back = allowance.take(limit(1, 60), None, 1, at(59));
        assert_eq!(back.outcome, Outcome::OverRateLimit);
    }

    #[test]
    fn bounds_of_a_limit() {
        assert!(RateLimit::new(0, 60).is_none());
        assert!(RateLimit::new(1, 0).is_none());
        assert!(RateLimit::new(1, LONGEST_WINDOW_SECONDS + 1).is_none());
        assert!(RateLimit::new(1, LONGEST_WINDOW_SECONDS).is_some());
    }

    proptest! {
        /// Whatever the costs and pauses: in no window is more taken than the limit.
        #[test]
        fn no_window_is_overdrawn(
            steps in prop::collection::vec((0i64..20, 0u64..5), 1..200),
            most in 1u64..20,
            seconds in 1u32..30,
        ) {
            let mut allowance = Allowance::default();
            let mut now = 0;
            let mut taken_by_window = std::collections::BTreeMap::<i64, u64>::new();
            for (pause, cost) in steps {
                now += pause;
                let taken = allowance.take(limit(most, seconds), None, cost, at(now));
                let level = taken.rate_limit.unwrap();
                prop_assert!(level.used <= most);
                prop_assert!(level.resets_at > at(now));
                if taken.outcome == Outcome::Taken {
                    *taken_by_window.entry(level.resets_at.as_micros()).or_default() += cost;
                }
            }
            prop_assert!(taken_by_window.values().all(|sum| *sum <= most));
        }

        /// Whatever changes between requests: until the instant that an answer told, its count
        /// goes on, unless a shorter window ends it sooner; from then on it starts anew.
        #[test]
        fn a_count_goes_on_until_the_instant_that_was_told(
            steps in prop::collection::vec(
                (0i64..30_000, 0u64..4, limits(), quotas()),
                1..100,
            ),
        ) {
            let mut allowance = Allowance::default();
            let mut now = at(0);
            let mut window: Option<(Level, Timestamp)> = None;
            let mut period: Option<Level> = None;
            for (pause, cost, limit, quota) in steps {
                now = now.plus_seconds(pause);
                let taken = allowance.take(limit, quota, cost, now);
                let is_taken = taken.outcome == Outcome::Taken;
                let cost = if is_taken { cost } else { 0 };
                if let (Some(limit), Some(level)) = (limit, taken.rate_limit) {
                    let length = i64::from(limit.window_seconds());
                    let goes_on = window.filter(|(told, started_at)| {
                        told.used > 0
                            && now < told.resets_at
                            && now < started_at.plus_seconds(length)
                    });
                    let (used, started_at) =
                        goes_on.map_or((0, now), |(told, started_at)| (told.used, started_at));
                    prop_assert_eq!(level.used, used + cost);
                    prop_assert_eq!(level.resets_at, started_at.plus_seconds(length));
                    prop_assert!(!is_taken || cost == 0 || level.used <= limit.limit());
                    window = Some((level, started_at));
                }
                if let Some(level) = taken.quota {
                    let goes_on = period.filter(|told| now < told.resets_at);
                    prop_assert_eq!(level.used, goes_on.map_or(0, |told| told.used) + cost);
                    prop_assert!(level.resets_at > now);
                    prop_assert!(!is_taken || cost == 0 || level.used <= level.limit);
                    period = Some(level);
                }
            }
        }
    }

    fn limits() -> impl Strategy<Value = Option<RateLimit>> {
        (0u64..8, 1u32..100_000).prop_map(|(most, seconds)| limit(most, seconds))
    }

    fn quotas() -> impl Strategy<Value = Option<Quota>> {
        prop::option::of((1u64..8, any::<bool>())).prop_map(|quota| {
            quota.map(|(limit, is_daily)| Quota {
                limit,
                period: if is_daily { Period::Day } else { Period::Month },
            })
        })
    }
}
