//! A long list that grows by pieces: none of it is copied, and little of it stands empty.

/// Items of a piece: with the slots of keys it has 3 KiB.
const PIECE: usize = 128;

/// A list whose items stay where they are while it grows. A vector would leave behind what it outgrew,
/// in blocks that nothing else needs.
#[derive(Debug)]
pub(crate) struct Slots<T>(
    /// All full, but for the last one.
    Vec<Vec<T>>,
);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        match self.0.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place / PIECE)?.get(place % PIECE)
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < PIECE => last.push(item),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.0.push(piece);
            }
        }
    }

    /// Takes out an item; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, place: usize) -> Option<T> {
        self.get(place)?;
        let last_piece = self.0.last_mut()?;
        let last = last_piece.pop()?;
        if last_piece.is_empty() {
            self.0.pop();
        }
        // What was the last one has no place any more.
        match self
            .0
            .get_mut(place / PIECE)
            .and_then(|piece| piece.get_mut(place % PIECE))
        {
            Some(item) => Some(std::mem::replace(item, last)),
            None => Some(last),
        }
    }
}

impl<T> std::ops::Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.0[place / PIECE][place % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put in and taken out, it holds what a vector does.
        #[test]
        fn it_is_a_vector(steps in prop::collection::vec(prop::option::weighted(0.4, 0usize..700), 0..1_500)) {
            let (mut slots, mut vector) = (Slots::default(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    None => {
                        slots.push(number);
                        vector.push(number);
                    }
                    Some(place) => {
                        let expected = (place < vector.len()).then(|| vector.swap_remove(place));
                        prop_assert_eq!(slots.swap_remove(place), expected);
                    }
                }
                prop_assert_eq!(slots.len(), vector.len());
            }
            for (place, item) in vector.iter().enumerate() {
                prop_assert_eq!(slots.get(place), Some(item));
                prop_assert_eq!(slots[place], *item);
            }
            prop_assert_eq!(slots.get(vector.len()), None);
        }
    }
}
