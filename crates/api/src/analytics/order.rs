//! In which order totals are answered.

use claviger_edge::ApiError;

/// By what, and whether the greatest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) by: By,
    pub(super) is_descending: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Date,
    Total,
}

impl Sort {
    /// The earliest first.
    pub(super) const BY_DATE: Self = Self {
        by: By::Date,
        is_descending: false,
    };

    pub(super) fn read(text: &str) -> Result<Self, ApiError> {
        let (is_descending, name) = match text.trim().strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text.trim()),
        };
        let by = match name.to_ascii_lowercase().as_str() {
            "date" => By::Date,
            "total" => By::Total,
            _ => {
                let message = "must be one of date, -date, total, -total";
                return Err(ApiError::field("sort", message));
            }
        };
        Ok(Self { by, is_descending })
    }

    /// Puts the first `count` in order, and drops the others. Of those that are alike the one that came
    /// first stays first.
    pub(super) fn take_first<T>(
        self,
        items: &mut Vec<T>,
        count: usize,
        key: impl Fn(&T) -> (i64, u64),
    ) {
        items.sort_by(|one, other| {
            let ((date, total), (other_date, other_total)) = (key(one), key(other));
            let order = match self.by {
                By::Date => date.cmp(&other_date),
                By::Total => total.cmp(&other_total),
            };
            if self.is_descending {
                order.reverse()
            } else {
                order
            }
        });
        items.truncate(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stays_as_it_came() {
        let first = |sort: &str, count| {
            let mut items = vec![("a", 3, 1), ("b", 1, 2), ("c", 2, 1), ("d", 1, 1)];
            let sort = Sort::read(sort).unwrap();
            sort.take_first(&mut items, count, |(_, date, total)| (*date, *total));
            items.iter().map(|one| one.0).collect::<String>()
        };
        assert_eq!(first("-total", 4), "bacd");
        assert_eq!(first("total", 3), "acd");
        assert_eq!(first("date", 4), "bdca");
        assert_eq!(first("-Date", 2), "ac");
        for wrong in ["", "-", "--date", "name"] {
            assert!(Sort::read(wrong).is_err(), "{wrong}");
        }
    }
}
