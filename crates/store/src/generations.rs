//! What tells those who keep in memory what rows say that it may be different now: a number for each of
//! 256 stripes, which goes up with every event that names something of the stripe.
//!
//! Nobody has to remember it: whatever writes an event goes through [`events`](crate::events), and that
//! notes in the transaction what it named. The transaction tells once it is over, before whoever asked
//! for the change is answered. Whoever keeps something notes the numbers *before* it reads the rows, and
//! believes what it keeps for as long as they are the same.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

const STRIPES: usize = 256;
const WORDS: usize = STRIPES / 64;
/// What the kinds of events of API keys begin with.
const OF_API_KEYS: &str = "api-key.";

/// Accounts, people and other things by their ids, as far as they are told apart: some share a stripe,
/// and are taken for changed together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripes([u64; WORDS]);

impl Stripes {
    /// Those of what has these ids.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut stripes = Self::default();
        for id in ids {
            stripes.add(id);
        }
        stripes
    }

    /// Those that an event concerns: its account, and what it happened to. Events of API keys, which come
    /// by the thousand, concern none: nothing that is kept by generations rests on an API key.
    pub fn of_event(kind: &str, account: &str, target: &str) -> Self {
        if kind.starts_with(OF_API_KEYS) {
            return Self::default();
        }
        Self::of([account, target])
    }

    /// Takes those of another as well.
    pub fn join(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    fn add(&mut self, id: &str) {
        // The same in every run and on every machine; ids are drawn at random, so that nobody chooses
        // what shares a stripe with what.
        let mut hasher = DefaultHasher::new();
        hasher.write(id.as_bytes());
        let stripe = usize::from(hasher.finish().to_le_bytes()[0]);
        self.0[stripe / 64] |= 1 << (stripe % 64);
    }

    pub(crate) fn are_none(self) -> bool {
        self == Self::default()
    }

    fn each(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

/// How often something in each stripe was changed.
#[derive(Debug)]
pub struct Generations(Box<[AtomicU64]>);

/// All numbers, as they were before something was read.
#[derive(Debug)]
pub struct Moment(Box<[u64]>);

/// The numbers that something which was read rests on.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    stripes: Stripes,
    /// Of numbers that only go up, the sum is the same as long as each of them is.
    sum: u64,
}

impl Default for Generations {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Generations {
    /// The numbers now; to be called before what is to be kept is read.
    pub fn moment(&self) -> Moment {
        let numbers = self.0.iter();
        Moment(numbers.map(|one| one.load(Ordering::Acquire)).collect())
    }

    /// Whether nothing was told since of what this rests on.
    pub fn are_still(&self, seen: &Seen) -> bool {
        let numbers = seen.stripes.each();
        let sum: u64 = numbers.map(|one| self.0[one].load(Ordering::Acquire)).sum();
        sum == seen.sum
    }

    /// Tells that what has these stripes may be different from here on.
    pub fn tell(&self, stripes: Stripes) {
        for stripe in stripes.each() {
            self.0[stripe].fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Tells that anything may be different, where nobody knows what was changed.
    pub fn tell_all(&self) {
        for number in &self.0 {
            number.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Moment {
    /// What rests on these stripes, as they were.
    pub fn of(&self, stripes: Stripes) -> Seen {
        Seen {
            stripes,
            sum: stripes.each().map(|stripe| self.0[stripe]).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_one_of_them_ends_what_rests_on_several() {
        let generations = Generations::default();
        let seen = |ids: &[&str]| generations.moment().of(Stripes::of(ids.iter().copied()));
        let (both, other) = (seen(&["acc_one", "usr_two"]), seen(&["acc_other"]));
        assert!(generations.are_still(&both) && generations.are_still(&other));
        generations.tell(Stripes::of(["usr_two"]));
        assert!(!generations.are_still(&both) && generations.are_still(&other));
        assert!(generations.are_still(&seen(&["acc_one", "usr_two"])));
        generations.tell_all();
        assert!(!generations.are_still(&other));
    }

    #[test]
    fn what_was_told_while_it_was_read_is_noticed() {
        let generations = Generations::default();
        let moment = generations.moment();
        generations.tell(Stripes::of(["acc_one"]));
        assert!(!generations.are_still(&moment.of(Stripes::of(["acc_one"]))));
    }

    #[test]
    fn events_of_api_keys_concern_nothing_that_is_kept() {
        for kind in ["api-key.created", "api-key.rotated", "api-key.firstUsed"] {
            assert!(Stripes::of_event(kind, "acc_one", "key_one").are_none());
        }
        for kind in ["access-key.updated", "project.deleted", "of-the-future"] {
            let told = Stripes::of_event(kind, "acc_one", "xyz_two");
            assert_eq!(told, Stripes::of(["acc_one", "xyz_two"]), "{kind}");
        }
    }

    #[test]
    fn every_stripe_is_walked_once() {
        let mut all = Stripes([u64::MAX; WORDS]);
        assert!(all.each().eq(0..STRIPES));
        all.join(Stripes::default());
        assert_eq!(
            Stripes([0b101, 0, 0, 1 << 63]).each().collect::<Vec<_>>(),
            [0, 2, 255]
        );
    }
}
