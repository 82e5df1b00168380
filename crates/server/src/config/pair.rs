//! A secret and its `_file` twin are one setting.

/// The pair of which either is given; the other one's is hidden then.
pub(super) fn first_pair<A, B>(
    upper: (Option<A>, Option<B>),
    lower: (Option<A>, Option<B>),
) -> (Option<A>, Option<B>) {
    if upper.0.is_none() && upper.1.is_none() {
        lower
    } else {
        upper
    }
}
