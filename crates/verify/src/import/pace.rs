//! How many keys are written before somebody else may go.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a piece, at first, at least and at most.
const FIRST_ROWS: usize = 100;
const FEWEST_ROWS: usize = 10;
const MOST_ROWS: usize = 1_000;
/// How long a piece should take the one writer that SQLite has: somebody who comes meanwhile waits for it,
/// and for the commit, and that is to be below 50 ms.
const PIECE_MICROS: i64 = 20_000;

/// How many rows a piece has, by how long the last one took.
#[derive(Debug)]
pub(super) struct Pace(AtomicUsize);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST_ROWS))
    }
}

impl Pace {
    pub(super) fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a piece of so many rows.
    pub(super) fn learn(&self, rows: usize, micros: i64) {
        let now = self.rows();
        let micros = usize::try_from(micros).unwrap_or(0).max(1);
        let target = usize::try_from(PIECE_MICROS).unwrap_or(usize::MAX);
        // Not more than twice as many: one that was quick says little.
        let wanted = (rows * target / micros).min(now * 2);
        // A short piece that was quick, such as the last of a request, says nothing.
        if rows >= now || wanted < now {
            let next = wanted.clamp(FEWEST_ROWS, MOST_ROWS);
            // Pieces come one after another.
            self.0.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_get_shorter_where_they_take_long_and_longer_again() {
        let pace = Pace::default();
        pace.learn(100, 200_000);
        assert_eq!(pace.rows(), 10);
        pace.learn(10, 5_000);
        assert_eq!(pace.rows(), 20);
        // The rest of a request says nothing by being quick.
        pace.learn(1, 1);
        assert_eq!(pace.rows(), 20);
        for _ in 0..9 {
            pace.learn(pace.rows(), 0);
        }
        assert_eq!(pace.rows(), MOST_ROWS);
        pace.learn(MOST_ROWS, 40_000);
        assert_eq!(pace.rows(), MOST_ROWS / 2);
    }
}
