//! Bodies of requests that make, change, import and check keys. The first byte says which.
#![no_main]

use claviger_api::bodies;
use claviger_domain::limit::{GREATEST_LIMIT, LONGEST_WINDOW_SECONDS};
use claviger_domain::metadata::{LARGEST_METADATA, to_row};
use claviger_fuzz::{NOW, Same, change, project};
use claviger_store::api_keys::{ApiKey, Status};
use claviger_verify::Edit;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    match which % 4 {
        0 => {
            if let Ok((key, plain)) = bodies::created(body, &project(), &change(), &Same(9)) {
                assert_eq!(key.status, Status::Active);
                assert!(plain.expose().len() >= 12 && plain.expose().is_ascii());
                within_bounds(&key);
                sent_back_whole_it_stays_as_it_is(&key);
            }
        }
        1 => {
            // The body of a change, after a line with that of the key's creation.
            let halves = body.iter().position(|byte| *byte == b'\n');
            let (made, changed) = body.split_at(halves.unwrap_or(0));
            let Ok((mut key, _)) = bodies::created(made, &project(), &change(), &Same(9)) else {
                return;
            };
            let before = key.clone();
            match bodies::updated(changed, &mut key, &change()) {
                Ok(Edit::Nothing) => assert_eq!(key, before),
                Ok(Edit::Purge) => panic!("a change removes no key"),
                Ok(_) => {
                    within_bounds(&key);
                    sent_back_whole_it_stays_as_it_is(&key);
                }
                Err(_) => {}
            }
            assert_eq!((key.id, key.project_id), (before.id, before.project_id));
        }
        2 => {
            let Ok(rows) = bodies::imported(body, &project(), &change()) else {
                return;
            };
            assert!(rows.len() <= 1_000);
            for key in rows.into_iter().flatten() {
                assert!(key.is_custom);
                within_bounds(&key);
                sent_back_whole_it_stays_as_it_is(&key);
            }
        }
        _ => {
            if let Ok(costs) = bodies::verified(body) {
                assert!(costs.len() <= 100);
                assert!(costs.iter().all(|cost| *cost <= GREATEST_LIMIT));
            }
        }
    }
});

fn within_bounds(key: &ApiKey) {
    assert!(!key.name.trim().is_empty() && key.name.chars().count() <= 255);
    assert!(key.metadata.len() <= LARGEST_METADATA);
    let metadata: Value = serde_json::from_str(&key.metadata).expect("metadata is JSON");
    assert_eq!(to_row(&metadata).as_deref(), Ok(&*key.metadata));
    for text in [&key.custom_account_id, &key.custom_user_id, &key.client_ip] {
        assert!(text.as_ref().is_none_or(|text| text.chars().count() <= 255));
    }
    assert!(key.scopes.len() <= 100 && key.allowed_domains.len() <= 100);
    assert!(key.allowed_ips.len() <= 100);
    assert!(key.scopes.iter().all(|scope| !scope.contains(char::is_whitespace)));
    if let Some(limit) = key.rate_limit {
        assert!((1..=GREATEST_LIMIT).contains(&limit.limit()));
        assert!((1..=LONGEST_WINDOW_SECONDS).contains(&limit.window_seconds()));
    }
    if let Some(quota) = key.quota {
        assert!((1..=GREATEST_LIMIT).contains(&quota.limit));
    }
    // PostgreSQL keeps no NUL in a text.
    let texts = [Some(&key.name), Some(&key.metadata), key.custom_account_id.as_ref()];
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\0')));
}

/// A client that reads a key, changes one member and sends all of it back must change only that.
fn sent_back_whole_it_stays_as_it_is(key: &ApiKey) {
    let shown = bodies::shown(key, NOW).expect("a stored key can be shown");
    let mut again = key.clone();
    let edit = bodies::updated(shown.as_bytes(), &mut again, &change());
    assert!(matches!(edit, Ok(Edit::Nothing)), "{edit:?} for {shown}");
    assert_eq!(&again, key);
}
