//! The names of tools.

use crate::openapi::schema::shortened;

/// The longest name that every client accepts.
const LONGEST: usize = 64;

/// The full name of a tool.
pub(super) fn full(prefix: &str, resource: &str, singular: &str, method: &str) -> String {
    fit(&match method {
        "list" => format!("list_all_{prefix}_{resource}"),
        "get" => format!("get_single_{prefix}_{singular}_by_id"),
        "create" => format!("create_a_{prefix}_{singular}"),
        "update" => format!("update_a_{prefix}_{singular}_by_id"),
        "delete" => format!("delete_a_{prefix}_{singular}_by_id"),
        custom => format!("{prefix}_{resource}_{custom}"),
    })
}

/// The name for clients that put a long prefix of their own before it.
pub(super) fn short(resource: &str, method: &str) -> String {
    fit(&format!("{resource}_{method}"))
}

/// A name that another tool has already, told apart by what `whole` says of this one.
pub(super) fn with_tail(name: &str, whole: &str) -> String {
    shortened(&format!("{name:_<LONGEST$}"), whole, LONGEST)
}

/// The name within what clients accept: other characters become `_`, and what is too long ends in a
/// tail that depends on all of it.
fn fit(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let ascii: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if ascii.len() <= LONGEST {
        ascii
    } else {
        shortened(&ascii, name, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_follow_the_published_pattern() {
        let named = |method| full("the_auth_api", "api_keys", "api_key", method);
        assert_eq!(named("list"), "list_all_the_auth_api_api_keys");
        assert_eq!(named("get"), "get_single_the_auth_api_api_key_by_id");
        assert_eq!(named("create"), "create_a_the_auth_api_api_key");
        assert_eq!(named("update"), "update_a_the_auth_api_api_key_by_id");
        assert_eq!(named("delete"), "delete_a_the_auth_api_api_key_by_id");
        assert_eq!(named("list_2"), "the_auth_api_api_keys_list_2");
        assert_eq!(short("api_keys", "list_2"), "api_keys_list_2");
    }

    #[test]
    fn a_long_name_keeps_the_same_tail_from_one_day_to_the_next() {
        let name = full("p", &"r".repeat(90), "s", "list");
        assert_eq!(name.len(), 64);
        insta::assert_snapshot!(name, @"list_all_p_rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr_0da0463d");
    }

    proptest! {
        #[test]
        fn every_name_fits_and_long_ones_stay_apart(
            prefix in ".{0,30}", resource in ".{0,90}", method in "[a-z_0-9]{1,30}"
        ) {
            let name = full(&prefix, &resource, &resource, &method);
            prop_assert!((1..=64).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(&name, &full(&prefix, &resource, &resource, &method));
            if name.len() == 64 && full(&prefix, &resource, &resource, "").len() == 64 {
                let other = full(&prefix, &format!("{resource}x"), &resource, &format!("{method}x"));
                prop_assert_ne!(name, other);
            }
        }
    }
}
