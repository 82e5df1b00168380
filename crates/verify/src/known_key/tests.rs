use claviger_domain::key_string::Environment;
use claviger_domain::limit::GREATEST_LIMIT;
use claviger_store::Base;

use super::*;
use crate::place::Places;

/// There is one for each key in memory, which is to take few bytes.
#[test]
fn a_head_is_small() {
    assert!(size_of::<Head>() <= 32, "{}", size_of::<Head>());
}

/// A row that has nothing that it can be without.
fn bare_row() -> ApiKey {
    let account = AccountRef::root(Id::from_suffix("account"));
    let at = Timestamp::from_micros(1_795_000_000_000_000);
    ApiKey {
        id: Id::from_suffix("one"),
        project_id: Id::from_suffix("project"),
        account,
        environment: Environment::Live,
        name: "name".to_owned(),
        is_custom: false,
        metadata: "{}".to_owned(),
        custom_account_id: None,
        custom_user_id: None,
        rate_limit: None,
        quota: None,
        expires_at: None,
        client_ip: None,
        client_user_agent: None,
        allowed_domains: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        status: Status::Active,
        reason: None,
        revoked_at: None,
        revoked_by: None,
        stops_at: None,
        rotated_from: None,
        rotated_to: None,
        lineage: Id::from_suffix("one"),
        first_used_at: None,
        last_used_at: None,
        base: Base {
            created_by: None,
            created_by_type: None,
            created_in: "api".to_owned(),
            last_changed_by: None,
            last_changed_by_type: None,
            created_at: at,
            updated_at: at,
        },
    }
}

fn full_row() -> ApiKey {
    let at = |micros| Some(Timestamp::from_micros(micros));
    let text = |text: &str| Some(text.to_owned());
    let bare = bare_row();
    ApiKey {
        name: "Schlüssel für alle".to_owned(),
        is_custom: true,
        metadata: format!(r#"{{"text":"{}"}}"#, "é".repeat(8_000)),
        custom_account_id: text("customer"),
        custom_user_id: text(""),
        rate_limit: RateLimit::new(GREATEST_LIMIT, 2_678_400),
        quota: Some(Quota {
            limit: GREATEST_LIMIT,
            period: Period::Day,
        }),
        expires_at: at(i64::MAX),
        client_ip: text("192.0.2.7"),
        client_user_agent: text("program/1"),
        allowed_domains: vec![DomainPattern::from_trusted("example.com".to_owned())],
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
        scopes: vec!["read".to_owned()],
        status: Status::Suspended,
        reason: text("lost"),
        revoked_at: at(7),
        revoked_by: text("acc_someone"),
        stops_at: at(0),
        rotated_from: Some(Id::from_suffix("before")),
        rotated_to: Some(Id::from_suffix("after")),
        first_used_at: at(-1),
        last_used_at: at(8),
        base: Base {
            updated_at: Timestamp::from_micros(-9),
            ..bare.base
        },
        ..bare
    }
}

#[test]
fn a_packed_key_shows_what_its_row_does() {
    let month = ApiKey {
        quota: Some(Quota {
            limit: 1,
            period: Period::Month,
        }),
        ..bare_row()
    };
    for row in [bare_row(), month, full_row()] {
        let meter = SharedMeter::new(Meter::new(row.id.clone(), None, None));
        let place = Places::default().of(&row);
        let shown = format!("{:?}", row.view());
        let limit = Some(meter.clone()).filter(|_| row.quota.is_some());
        let packed = KnownKey::pack(row, place, meter, limit);
        assert_eq!(format!("{:?}", packed.view()), shown);
    }
}

#[test]
fn a_key_counts_by_the_meter_of_its_lineage_where_it_is_limited() {
    let [own, lineage] = ["own", "lineage"]
        .map(|name| SharedMeter::new(Meter::new(Id::from_suffix(name), None, None)));
    for limit in [None, Some(own.clone()), Some(lineage)] {
        let place = Places::default().of(&bare_row());
        let key = KnownKey::pack(bare_row(), place, own.clone(), limit.clone());
        let counted_by = key.limit().map(|meter| meter.id());
        assert_eq!(counted_by, limit.as_ref().map(|meter| meter.id()));
    }
}
