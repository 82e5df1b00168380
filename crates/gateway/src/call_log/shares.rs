//! How many of the lines that wait are whose: an account that calls faster than lines are written waits for
//! its own, and keeps nobody else waiting.

use std::collections::HashMap;

use claviger_domain::id::{self, Id};

/// Which part of the room one family of accounts may have.
const PART: usize = 4;
/// From three quarters on, a family that has a few lines already gets no more: a few families that are loud
/// leave room to all others.
const FEW: usize = 64;

/// The lines that wait, by family.
#[derive(Debug, Default)]
pub(super) struct Shares {
    all: usize,
    families: HashMap<Id<id::Account>, usize>,
}

impl Shares {
    /// Whether another line of that family has room, where there is room for `most`.
    pub(super) fn have_room(&self, family: &Id<id::Account>, most: usize) -> bool {
        let own = self.families.get(family).copied().unwrap_or_default();
        own < most / PART && self.all < most && (self.all < most / 4 * 3 || own < FEW)
    }

    /// Whether nobody has room.
    pub(super) fn are_full(&self, most: usize) -> bool {
        self.all >= most
    }

    pub(super) fn add(&mut self, family: &Id<id::Account>) {
        self.all += 1;
        match self.families.get_mut(family) {
            Some(own) => *own += 1,
            None => drop(self.families.insert(family.clone(), 1)),
        }
    }

    /// Takes so many lines off that were added.
    pub(super) fn remove(&mut self, family: &Id<id::Account>, count: usize) {
        self.all -= count;
        if let Some(own) = self.families.get_mut(family) {
            *own -= count;
            if *own == 0 {
                self.families.remove(family);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4_096;

    fn family(number: usize) -> Id<id::Account> {
        Id::from_trusted(format!("acc_{number:020}"))
    }

    fn fill(shares: &mut Shares, number: usize) -> usize {
        let family = family(number);
        let mut added = 0;
        while shares.have_room(&family, MOST) {
            shares.add(&family);
            added += 1;
        }
        added
    }

    #[test]
    fn an_account_fills_its_share_and_others_go_on() {
        let mut shares = Shares::default();
        assert_eq!(fill(&mut shares, 1), MOST / PART);
        assert_eq!(fill(&mut shares, 2), MOST / PART);
        assert!(!shares.are_full(MOST));
        // There is more room where more may wait, and for the first as soon as a line of it is written.
        assert!(shares.have_room(&family(1), 2 * MOST));
        shares.remove(&family(1), 1);
        assert_eq!(fill(&mut shares, 1), 1);
    }

    #[test]
    fn a_few_loud_accounts_leave_room_to_all_others() {
        let mut shares = Shares::default();
        for number in 0..3 {
            assert_eq!(fill(&mut shares, number), MOST / PART);
        }
        for number in 3..19 {
            assert_eq!(fill(&mut shares, number), FEW);
        }
        assert_eq!((shares.all, fill(&mut shares, 19)), (MOST, 0));
        assert!(shares.are_full(MOST));
        for (number, count) in [(0, MOST / PART), (3, FEW)] {
            shares.remove(&family(number), count);
        }
        assert_eq!(shares.families.len(), 17);
        assert_eq!(fill(&mut shares, 19), FEW);
    }
}
