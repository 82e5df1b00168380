//! Looks into the database that found nothing, counted by who guessed: guessing has a budget.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::email::Email;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::{Allowance, Outcome, RateLimit, Window};
use claviger_domain::time::Timestamp;
use claviger_store::one_time_codes::CodePurpose;
use quick_cache::sync::Cache;

use crate::{LookError, Verifier};

/// What may be presented from one network in a minute that is no credential.
const CREDENTIALS: RateLimit = budget(600, 60);
/// The same through a proxy that is not trusted to tell for whom: all of its clients together.
const CREDENTIALS_THROUGH_A_PROXY: RateLimit = budget(30_000, 60);
/// The keys that may be checked in a second that do not exist, of one family and from one network:
/// enough for one whose own users are scanned, and a small part of what the database answers.
const KEYS: RateLimit = budget(500, 1);
/// What may be tried from one network in five minutes to sign in, and does not.
const SIGN_INS: RateLimit = budget(60, 300);
/// The same through a proxy that is not trusted to tell for whom.
const SIGN_INS_THROUGH_A_PROXY: RateLimit = budget(3_000, 300);
/// Wrong passwords of one address, from one network in five minutes: whoever has forgotten theirs.
const PASSWORDS: RateLimit = budget(10, 300);
/// The same through a proxy that is not trusted to tell for whom: whoever guesses is behind it with whose
/// password it is.
const PASSWORDS_THROUGH_A_PROXY: RateLimit = budget(50, 300);
/// Wrong passwords of one address in an hour, from anywhere: guessing from many networks ends, and so
/// does, until then, signing in by password from a network that was not seen to succeed.
const PASSWORDS_FROM_ANYWHERE: RateLimit = budget(100, 3_600);
/// Sign-ins to one address in five minutes that succeed: each is a session, and told of in the trail.
const SIGNED_IN: RateLimit = budget(60, 300);
/// Refresh tokens of one person that may be exchanged in five minutes: each leaves rows for a month.
const REFRESHED: RateLimit = budget(60, 300);
/// Mails that may be asked for from one network in an hour, or through a proxy.
const MAILS: RateLimit = budget(60, 3_600);
const MAILS_THROUGH_A_PROXY: RateLimit = budget(3_000, 3_600);
/// Those of one kind to one address, from one network in an hour; and from anywhere, so that whoever asks
/// from one place leaves some to whose address it is.
const MAILS_TO_ONE: RateLimit = budget(10, 3_600);
const MAILS_TO_ONE_FROM_ANYWHERE: RateLimit = budget(30, 3_600);
/// Whose guesses are remembered, at most.
const REMEMBERED: usize = 65_536;

const fn budget(guesses: u64, seconds: u32) -> RateLimit {
    RateLimit::new(guesses, seconds).expect("a budget is within a limit's bounds")
}

/// Where somebody is, as far as one subscriber of a network goes: an address of version 4, the
/// first 56 bits of one of version 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    is_proxy: bool,
}

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 72 << 72).into(),
            address @ IpAddr::V4(_) => address,
        };
        Self {
            address,
            is_proxy: false,
        }
    }

    /// The address that stands for it; none behind a proxy, whose address says nothing of it.
    pub fn address(self) -> Option<IpAddr> {
        (!self.is_proxy).then_some(self.address)
    }

    /// Whoever is behind the proxy at an address.
    pub fn behind(address: IpAddr) -> Self {
        Self {
            is_proxy: true,
            ..Self::of(address)
        }
    }
}

/// Whose guesses are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guesser {
    /// Of access keys, from a network.
    AccessKeys(Network),
    /// Of operator keys, from a network.
    OperatorKeys(Network),
    /// Of the tokens of MCP servers, from a network.
    Tokens(Network),
    /// Of passwords and codes, from a network; or from one that is not known.
    SignIns(Option<Network>),
    /// Of the password of an address, from a network.
    Passwords(KeyDigest, Option<Network>),
    /// Of the password of an address, from anywhere.
    PasswordsOf(KeyDigest),
    /// Whoever signs in to an address.
    SignedIn(KeyDigest),
    /// Whoever exchanges refresh tokens of a person.
    Refreshed(Id<id::User>),
    /// Mails that are asked for, from a network; or from one that is not known.
    Mails(Option<Network>),
    /// Mails of one kind that are asked for to an address, from a network.
    MailsTo(CodePurpose, KeyDigest, Option<Network>),
    /// The same from anywhere.
    MailsToOne(CodePurpose, KeyDigest),
    /// Of the keys of a family, or of any; from a network, where that is known.
    Keys(Option<Id<id::Account>>, Option<Network>),
}

impl Guesser {
    fn budget(&self) -> RateLimit {
        match self {
            Self::AccessKeys(from) | Self::OperatorKeys(from) | Self::Tokens(from) => {
                if from.is_proxy {
                    CREDENTIALS_THROUGH_A_PROXY
                } else {
                    CREDENTIALS
                }
            }
            Self::SignIns(Some(from)) if from.is_proxy => SIGN_INS_THROUGH_A_PROXY,
            Self::SignIns(_) => SIGN_INS,
            Self::Passwords(_, Some(from)) if from.is_proxy => PASSWORDS_THROUGH_A_PROXY,
            Self::Passwords(..) => PASSWORDS,
            Self::PasswordsOf(_) => PASSWORDS_FROM_ANYWHERE,
            Self::SignedIn(_) => SIGNED_IN,
            Self::Refreshed(_) => REFRESHED,
            Self::Mails(Some(from)) if from.is_proxy => MAILS_THROUGH_A_PROXY,
            Self::Mails(_) => MAILS,
            Self::MailsTo(_, _, from) if !from.is_some_and(|from| from.is_proxy) => MAILS_TO_ONE,
            Self::MailsTo(..) | Self::MailsToOne(..) => MAILS_TO_ONE_FROM_ANYWHERE,
            Self::Keys(..) => KEYS,
        }
    }
}

/// An attempt that is counted, to be given back where it succeeds.
#[derive(Debug)]
#[must_use = "an attempt that succeeds is to be given back"]
pub struct Attempt(Vec<Guesser>);

impl Verifier {
    /// Counts an attempt to sign in to an address by its password, before anything is looked up.
    pub fn attempt_password(
        &self,
        email: &Email,
        from: Option<Network>,
    ) -> Result<Attempt, LookError> {
        let whose = self.digest(email.folded());
        let mut all = vec![Guesser::SignIns(from), Guesser::Passwords(whose, from)];
        if !from.is_some_and(|from| self.guesses.was_seen(whose, from)) {
            all.push(Guesser::PasswordsOf(whose));
        }
        self.attempt(all)
    }

    /// Whether an address may be signed in to once more, before the work that shows whether it is: or its
    /// password would be enough to keep others from that work.
    pub fn may_sign_in(&self, email: &Email) -> Result<(), LookError> {
        let who = Guesser::SignedIn(self.digest(email.folded()));
        let now = self.clock.now();
        let within = self.guesses.check_budget(&who, now);
        within.map_err(|later| LookError::too_many(later, now))
    }

    /// Counts a sign-in to an address by what can be presented again, such as a password. Mailed codes have
    /// the budget of their mails: whoever got hold of a password keeps nobody from signing in by them.
    pub fn count_sign_in(&self, email: &Email) -> Result<(), LookError> {
        let who = Guesser::SignedIn(self.digest(email.folded()));
        self.attempt(vec![who]).map(drop)
    }

    /// Counts an exchange of a person's refresh token.
    pub(crate) fn count_refresh(&self, user: &Id<id::User>) -> Result<(), LookError> {
        self.attempt(vec![Guesser::Refreshed(user.clone())])
            .map(drop)
    }

    /// Counts a mail that somebody asks for who is not signed in, whoever has the address.
    pub fn attempt_mail(
        &self,
        purpose: CodePurpose,
        email: &Email,
        from: Option<Network>,
    ) -> Result<Attempt, LookError> {
        let to = self.digest(email.folded());
        self.attempt(vec![
            Guesser::Mails(from),
            Guesser::MailsTo(purpose, to, from),
            Guesser::MailsToOne(purpose, to),
        ])
    }

    /// Counts an attempt to sign in by something else, such as a sign-up.
    pub fn attempt_sign_in(&self, from: Option<Network>) -> Result<Attempt, LookError> {
        self.attempt(vec![Guesser::SignIns(from)])
    }

    fn attempt(&self, all: Vec<Guesser>) -> Result<Attempt, LookError> {
        let now = self.clock.now();
        match self.guesses.take(&all, now) {
            Ok(()) => Ok(Attempt(all)),
            Err(later) => Err(LookError::too_many(later, now)),
        }
    }

    /// Gives an attempt back that succeeded, or of which nobody could tell whether it would.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what was given back must not be given back again"
    )]
    pub fn succeeded(&self, attempt: Attempt) {
        self.guesses.give_back(&attempt.0, self.clock.now());
    }

    /// Notes from where somebody has signed in: those who guess their password elsewhere do not lock them
    /// out there.
    pub fn note_signed_in(&self, email: &Email, from: Option<Network>) {
        if let Some(from) = from.filter(|from| !from.is_proxy) {
            let whose = self.digest(email.folded());
            self.guesses.seen.insert((whose, from), ());
        }
    }
}

/// The guesses of each. Only looks into the database count: what is known to be absent costs
/// nothing, so that a program with an old key uses no budget up.
#[derive(Debug)]
pub(crate) struct Guesses {
    counted: Cache<Guesser, Arc<Mutex<Allowance>>>,
    /// The addresses that signed in, and from which networks.
    seen: Cache<(KeyDigest, Network), ()>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            counted: Cache::new(REMEMBERED),
            seen: Cache::new(REMEMBERED),
        }
    }
}

impl Guesses {
    fn was_seen(&self, whose: KeyDigest, from: Network) -> bool {
        self.seen.get(&(whose, from)).is_some()
    }

    /// Whether there is budget for one more; else when there is again. Looks that are under way are
    /// not counted yet, so that a budget is passed by no more than may be under way.
    pub(crate) fn check_budget(&self, who: &Guesser, now: Timestamp) -> Result<(), Timestamp> {
        let Some(counted) = self.counted.get(who) else {
            return Ok(());
        };
        let mut copy = *counted.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = copy.take(Some(who.budget()), None, 1, now);
        match (taken.outcome, taken.rate_limit) {
            (Outcome::OverRateLimit, Some(level)) => Err(level.resets_at),
            _ => Ok(()),
        }
    }

    /// Takes one from each budget, before it is known whether it is wrong; else tells when there is
    /// again. So those that come at once are counted, too.
    pub(crate) fn take(&self, all: &[Guesser], now: Timestamp) -> Result<(), Timestamp> {
        for (place, who) in all.iter().enumerate() {
            if let Err(later) = self.take_one(who, now) {
                self.give_back(&all[..place], now);
                return Err(later);
            }
        }
        Ok(())
    }

    fn take_one(&self, who: &Guesser, now: Timestamp) -> Result<(), Timestamp> {
        let counted = self.counted(who);
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = counted.take(Some(who.budget()), None, 1, now);
        match (taken.outcome, taken.rate_limit) {
            (Outcome::OverRateLimit, Some(level)) => Err(level.resets_at),
            _ => Ok(()),
        }
    }

    /// Gives back what was taken for one that was right.
    pub(crate) fn give_back(&self, all: &[Guesser], now: Timestamp) {
        for who in all {
            let counted = self.counted(who);
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            let (window, quota) = counted.state();
            let window = window
                .filter(|window| now < window.ends_at)
                .map(|window| Window {
                    used: window.used.saturating_sub(1),
                    ..window
                });
            *counted = Allowance::resume(window, quota);
        }
    }

    fn counted(&self, who: &Guesser) -> Arc<Mutex<Allowance>> {
        let Ok(counted) = self
            .counted
            .get_or_insert_with(who, || Ok::<_, std::convert::Infallible>(Arc::default()));
        counted
    }

    /// Counts one that was wrong.
    pub(crate) fn count(&self, who: &Guesser, now: Timestamp) {
        let counted = self.counted(who);
        counted.lock().unwrap_or_else(PoisonError::into_inner).take(
            Some(who.budget()),
            None,
            1,
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn a_budget_is_used_up_by_wrong_guesses_and_comes_back() {
        let guesses = Guesses::default();
        let one = Guesser::AccessKeys(network("192.0.2.1"));
        let others = [
            Guesser::AccessKeys(network("192.0.2.2")),
            Guesser::Tokens(network("192.0.2.1")),
        ];
        let now = Timestamp::from_micros(0);
        for _ in 0..CREDENTIALS.limit() {
            assert_eq!(guesses.check_budget(&one, now), Ok(()));
            guesses.count(&one, now);
        }
        let later = now.plus_seconds(60);
        assert_eq!(guesses.check_budget(&one, now), Err(later));
        for other in &others {
            assert_eq!(guesses.check_budget(other, now), Ok(()));
        }
        assert_eq!(guesses.check_budget(&one, later), Ok(()));
    }

    #[test]
    fn one_subscriber_of_version_6_is_one_network() {
        assert_eq!(network("2001:db8::1"), network("2001:db8:0:ff:ffff:1:2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:100::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
