//! Analytics: what was checked is what totals say.

use claviger_domain::id::Id;
use claviger_domain::usage::UsageCounts;
use claviger_store::jobs::{self, Claim};
use claviger_store::retention;
use claviger_store::usage::{self, Flush, UsageHour};
use claviger_testkit::{Tenant, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn ask(app: &TestApp, tenant: &Tenant, of: &str, query: &str) -> TestResponse {
    let project = &tenant.project.id;
    let path = format!("/analytics/{of}?projectId={project}&{query}");
    app.request("GET", &path).key(tenant.owner()).send().await
}

async fn totals(app: &TestApp, tenant: &Tenant, of: &str, query: &str) -> Vec<Value> {
    let body = ask(app, tenant, of, query).await.expect(200);
    body.as_array().expect("a list").clone()
}

async fn check(app: &TestApp, tenant: &Tenant, key: &Value, times: usize) {
    for _ in 0..times {
        let path = format!("/api-keys/auth/{}", text(&key["key"]));
        app.request("POST", &path).key(tenant.owner()).send().await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// What was counted: passed, failed, over the limit.
fn counts(total: &Value) -> [u64; 3] {
    let all =
        ["successful", "failed", "rateLimited"].map(|name| total[name].as_u64().expect("a count"));
    assert_eq!(total["total"], all.iter().sum::<u64>());
    all
}

on_both_engines!(totals_are_what_was_answered, async |app| {
    let tenant = app.tenant("Acme").await;
    let limit = json!({"customAccountId": "acme", "customUserId": "ann",
        "rateLimitConfigs": {"rateLimit": 3, "rateLimitTtl": 60}});
    let limited = app.api_key(&tenant, limit).await;
    app.advance(1);
    let plain = app.api_key(&tenant, json!({})).await;
    let idle = app
        .api_key(&tenant, json!({"customAccountId": "acme"}))
        .await;
    check(&app, &tenant, &limited, 5).await;
    check(&app, &tenant, &plain, 1).await;
    let revoke = format!("/api-keys/{}", text(&plain["id"]));
    let revoke = app.request("DELETE", &revoke).key(tenant.owner());
    revoke.send().await.expect(200);
    check(&app, &tenant, &plain, 1).await;
    app.flush().await;

    // The clock stands at the beginning of a year that begins on a Tuesday.
    let spellings = [
        (
            "hour",
            "Hourly",
            24,
            "2029-12-31T01:00:00.000Z",
            "2030-01-01T00:00:00.000Z",
        ),
        (
            "day",
            "DAILY",
            30,
            "2029-12-03T00:00:00.000Z",
            "2030-01-01T00:00:00.000Z",
        ),
        (
            "week",
            "weekly",
            12,
            "2029-10-15T00:00:00.000Z",
            "2029-12-31T00:00:00.000Z",
        ),
        (
            "month",
            "monthly",
            12,
            "2029-02-01T00:00:00.000Z",
            "2030-01-01T00:00:00.000Z",
        ),
        (
            "year",
            "yearly",
            5,
            "2026-01-01T00:00:00.000Z",
            "2030-01-01T00:00:00.000Z",
        ),
    ];
    for (one, other, count, first, last) in spellings {
        let query = format!("dateGrouping={one}");
        let found = totals(&app, &tenant, "project-totals", &query).await;
        let again = format!("dateGrouping={other}");
        assert_eq!(totals(&app, &tenant, "project-totals", &again).await, found);
        assert_eq!(found.len(), count, "{one}");
        assert_eq!(
            (&found[0]["date"], &found[count - 1]["date"]),
            (&json!(first), &json!(last))
        );
        assert_eq!(counts(&found[count - 1]), [4, 1, 2]);
        assert!(found[..count - 1].iter().all(|one| one["total"] == 0));

        let keys = totals(&app, &tenant, "api-key-totals", &query).await;
        let [first, second] = &keys[..] else {
            panic!("{keys:?}");
        };
        assert_eq!((counts(first), counts(second)), ([3, 0, 2], [1, 1, 0]));
        let reference = format!("{}*********", &text(&limited["key"])[..21]);
        let expected = json!({"key": reference, "id": limited["id"], "name": limited["name"],
            "customAccountId": "acme", "customUserId": "ann", "date": last,
            "total": 5, "successful": 3, "failed": 0, "rateLimited": 2});
        assert_eq!(first, &expected);
    }
    let query = format!("dateGrouping=day&keyId={}", text(&idle["id"]));
    assert!(
        totals(&app, &tenant, "api-key-totals", &query)
            .await
            .is_empty()
    );
});

on_both_engines!(totals_are_of_the_keys_that_are_asked_for, async |app| {
    let tenant = app.tenant("Acme").await;
    let of = |account: &str, user: &str| json!({"customAccountId": account, "customUserId": user});
    let ann = app.api_key(&tenant, of("acme", "ann")).await;
    let bob = app.api_key(&tenant, of("acme", "bob")).await;
    let nobody = app.api_key(&tenant, json!({})).await;
    check(&app, &tenant, &ann, 1).await;
    check(&app, &tenant, &bob, 2).await;
    check(&app, &tenant, &nobody, 4).await;
    app.flush().await;
    for (query, expected) in [
        ("", 7),
        ("&customAccountId=acme", 3),
        ("&customUserId=bob", 2),
        ("&customAccountId=acme&customUserId=ann", 1),
        ("&customAccountId=null", 4),
        ("&customAccountId=ACME", 0),
    ] {
        let query = format!("dateGrouping=month{query}");
        let found = totals(&app, &tenant, "project-totals", &query).await;
        assert_eq!(found[11]["total"], expected, "{query}");
        let keys = totals(&app, &tenant, "api-key-totals", &query).await;
        let sum: u64 = keys.iter().map(|one| one["total"].as_u64().unwrap()).sum();
        assert_eq!(sum, expected, "{query}");
    }
    // By its reference, too; a key of somebody else is as one that there is not.
    let reference = format!("{}*********", &text(&bob["key"])[..21]);
    for (key, expected) in [(reference.as_str(), 1), (text(&bob["id"]), 1)] {
        let query = format!("dateGrouping=day&keyId={key}");
        let found = totals(&app, &tenant, "api-key-totals", &query).await;
        assert_eq!(found.len(), expected, "{key}");
    }
    let foreign = app.tenant("Foreign").await;
    let theirs = app.api_key(&foreign, json!({})).await;
    check(&app, &foreign, &theirs, 1).await;
    app.flush().await;
    for key in [text(&theirs["id"]), "key_zzzzzzzzzzzzzzzz"] {
        let query = format!("dateGrouping=day&keyId={key}");
        assert!(
            totals(&app, &tenant, "api-key-totals", &query)
                .await
                .is_empty()
        );
    }
});

on_both_engines!(a_range_is_sorted_and_cut_as_asked, async |app| {
    let tenant = app.tenant("Acme").await;
    let one = app.api_key(&tenant, json!({})).await;
    app.advance(1);
    let other = app.api_key(&tenant, json!({})).await;
    for (times, of_other) in [(1, 0), (3, 5), (2, 0)] {
        check(&app, &tenant, &one, times).await;
        check(&app, &tenant, &other, of_other).await;
        app.flush().await;
        app.advance(86_400);
    }
    let project = async |query: &str| {
        let query = format!("dateGrouping=day&from=2030-01-01&to=2030-01-04&{query}");
        let answer = ask(&app, &tenant, "project-totals", &query).await;
        assert_eq!(answer.header("x-total-count"), "3");
        let found = answer.expect(200);
        let days = found.as_array().unwrap().iter();
        days.map(|one| {
            (
                text(&one["date"])[8..10].to_owned(),
                one["total"].as_u64().unwrap(),
            )
        })
        .collect::<Vec<_>>()
    };
    let days = |list: &[(&str, u64)]| -> Vec<_> {
        list.iter()
            .map(|(day, total)| ((*day).to_owned(), *total))
            .collect()
    };
    assert_eq!(project("").await, days(&[("01", 1), ("02", 8), ("03", 2)]));
    assert_eq!(
        project("sort=-total").await,
        days(&[("02", 8), ("03", 2), ("01", 1)])
    );
    assert_eq!(project("sort=-date&limit=1").await, days(&[("03", 2)]));
    assert_eq!(project("limit=5&offset=2").await, days(&[("03", 2)]));

    let keys = async |query: &str| {
        let query = format!("dateGrouping=day&{query}");
        let found = totals(&app, &tenant, "api-key-totals", &query).await;
        let lines = found.iter().map(|line| {
            let name = if line["id"] == one["id"] {
                "one"
            } else {
                "other"
            };
            let day = &text(&line["date"])[8..10];
            format!("{name} {day} {}", line["total"])
        });
        lines.collect::<Vec<_>>()
    };
    let by_key = ["one 01 1", "one 02 3", "one 03 2", "other 02 5"];
    assert_eq!(keys("").await, by_key);
    assert_eq!(keys("limit=2&offset=1").await, by_key[1..3]);
    assert_eq!(keys("offset=4").await, [""; 0]);
    let by_date = ["one 01 1", "one 02 3", "other 02 5", "one 03 2"];
    assert_eq!(keys("sort=date").await, by_date);
    assert_eq!(keys("sort=-date&limit=1").await, ["one 03 2"]);
    assert_eq!(
        keys("sort=-total&limit=2").await,
        ["other 02 5", "one 02 3"]
    );
    assert_eq!(
        keys("sort=total&offset=1").await,
        ["one 03 2", "one 02 3", "other 02 5"]
    );
    assert_eq!(
        keys("from=2030-01-02&to=2030-01-03").await,
        ["one 02 3", "other 02 5"]
    );
});

#[tokio::test]
async fn what_is_malformed_names_what_is_accepted() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    for of in ["project-totals", "api-key-totals"] {
        for (query, field) in [
            ("", "dateGrouping"),
            ("dateGrouping=minute", "dateGrouping"),
            ("dateGrouping=day&from=soon", "from"),
            ("dateGrouping=day&to=", ""),
            ("dateGrouping=day&from=2030-01-02&to=2030-01-02", "to"),
            ("dateGrouping=hour&from=2000-01-01", "from"),
            ("dateGrouping=day&sort=name", "sort"),
            ("dateGrouping=day&limit=-1", "limit"),
        ] {
            let answer = ask(&app, &tenant, of, query).await;
            if field.is_empty() {
                answer.expect(200);
                continue;
            }
            let refused = answer.expect(400);
            assert_eq!(refused["details"][0]["field"], field, "{of} {query}");
        }
        let none = format!("/analytics/{of}?dateGrouping=day");
        let refused = app.request("GET", &none).key(tenant.owner()).send().await;
        assert_eq!(refused.expect(400)["details"][0]["field"], "projectId");
    }
    for query in ["keyId=live_nothing", "sort=-total&offset=9001"] {
        let query = format!("dateGrouping=day&{query}");
        ask(&app, &tenant, "api-key-totals", &query)
            .await
            .expect(400);
    }
}

on_both_engines!(
    a_key_that_is_gone_stays_in_the_totals_of_its_project,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app.api_key(&tenant, json!({})).await;
        check(&app, &tenant, &key, 2).await;
        app.flush().await;
        let purge = format!("/api-keys/{}?purge=true", text(&key["id"]));
        let purge = app.request("DELETE", &purge).key(tenant.owner());
        purge.send().await.expect(200);
        let found = totals(&app, &tenant, "project-totals", "dateGrouping=year").await;
        assert_eq!(counts(&found[4]), [2, 0, 0]);
        assert!(
            totals(&app, &tenant, "api-key-totals", "dateGrouping=year")
                .await
                .is_empty()
        );
    }
);

on_both_engines!(what_is_in_the_journal_is_told_of_at_once, async |app| {
    const KEYS: usize = 2_200;
    let tenant = app.tenant("Acme").await;
    let mut ids = Vec::new();
    for first in (0..KEYS).step_by(1_000) {
        let numbers = first..KEYS.min(first + 1_000);
        let keys: Vec<_> = numbers
            .map(|number| json!({"name": format!("{number}"), "key": format!("moved-key-{number:06}")}))
            .collect();
        let body = json!({"projectId": tenant.project.id, "keys": keys});
        let import = app.request("POST", "/api-keys/import").key(tenant.owner());
        let results = import.json(body).send().await.expect(201);
        let made = results.as_array().unwrap().iter();
        ids.extend(made.map(|one| Id::parse(text(&one["id"])).unwrap()));
    }
    let now = app.core.now();
    let count = async |hour: i64| {
        let hours = ids.iter().map(|key| UsageHour {
            key,
            project: &tenant.project.id,
            hour: now.as_hour() + hour,
            counts: UsageCounts {
                successful: 1,
                ..UsageCounts::default()
            },
            last_used_at: None,
        });
        let flush = Flush {
            hours: hours.collect(),
            ..Flush::at(now)
        };
        usage::add(&app.core.db, &flush).await.unwrap();
    };
    // Twice in one hour, and once in one that is not asked for.
    for hour in [0, 0, -24] {
        count(hour).await;
    }
    let seen = async || {
        let query = "dateGrouping=hour&from=2030-01-01";
        let keys = totals(&app, &tenant, "api-key-totals", query).await;
        assert!(
            keys.iter().all(|one| one["total"] == 2),
            "{:?}",
            keys.first()
        );
        let project = totals(&app, &tenant, "project-totals", query).await;
        assert_eq!(project[0]["total"], 2 * KEYS);
        let one = format!("{query}&keyId={}", ids[7]);
        let one = totals(&app, &tenant, "api-key-totals", &one).await;
        assert_eq!((one.len(), &one[0]["total"]), (1, &json!(2)));
        let by_date = totals(
            &app,
            &tenant,
            "api-key-totals",
            "dateGrouping=day&sort=date",
        )
        .await;
        assert_eq!(by_date.len(), 2 * KEYS);
        keys.len()
    };
    assert!(usage::journal_bytes(&app.core.db).await.unwrap() > 0);
    assert_eq!(seen().await, KEYS);
    // Some of it are rows by now, and then all of it.
    for shard in 0..100 {
        usage::fold(&app.core.db, shard, now).await.unwrap();
    }
    assert_eq!(seen().await, KEYS);
    usage::fold_all(&app.core.db, now).await.unwrap();
    assert_eq!(seen().await, KEYS);
});

on_both_engines!(
    hours_that_are_days_by_now_are_not_told_of_as_hours,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app.api_key(&tenant, json!({})).await;
        check(&app, &tenant, &key, 1).await;
        app.flush().await;
        let claim = Claim {
            name: "usage",
            holder: "somebody".to_owned(),
            lease_seconds: 60,
            every_seconds: 60,
        };
        let now = app.core.now();
        jobs::claim(&app.core.db, &claim, now).await.unwrap();
        jobs::finish(&app.core.db, &claim, now.as_hour() + 24, now)
            .await
            .unwrap();
        for of in ["project-totals", "api-key-totals"] {
            let query = "from=2030-01-01&to=2030-01-03&dateGrouping=";
            let hours = totals(&app, &tenant, of, &format!("{query}hour")).await;
            assert!(hours.is_empty(), "{hours:?}");
            let days = totals(&app, &tenant, of, &format!("{query}day")).await;
            assert_eq!(days[0]["total"], 1);
        }
    }
);

on_both_engines!(
    a_range_that_begins_within_a_day_has_it_whole_once_its_hours_are_gone,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app.api_key(&tenant, json!({})).await;
        check(&app, &tenant, &key, 1).await;
        app.advance(23 * 3_600);
        check(&app, &tenant, &key, 2).await;
        app.flush().await;
        let seen = async |until: &str| {
            let query = format!("dateGrouping=month&from=2030-01-01T02:00:00Z&to={until}");
            let mut seen = Vec::new();
            for of in ["project-totals", "api-key-totals"] {
                let found = totals(&app, &tenant, of, &query).await;
                seen.push(found.first().map_or(json!(0), |one| one["total"].clone()));
            }
            seen
        };
        assert_eq!(seen("2030-01-01T20:00:00Z").await, [0, 0]);
        assert_eq!(seen("2030-01-02T20:00:00Z").await, [2, 2]);
        // What retention does with hours, when they are old.
        let (db, now) = (&app.core.db, app.core.now());
        let end = now.as_hour() + 1;
        let keys = [text(&key["id"]).to_owned()];
        retention::remove_hours(db, &keys, end, 500).await.unwrap();
        let projects = [tenant.project.id.to_string()];
        let folded = retention::fold_project_days(db, &projects, 0..end, 500);
        assert_eq!(folded.await.unwrap(), 1);
        let claim = Claim {
            name: "usage",
            holder: "somebody".to_owned(),
            lease_seconds: 60,
            every_seconds: 60,
        };
        jobs::claim(db, &claim, now).await.unwrap();
        jobs::finish(db, &claim, end, now).await.unwrap();
        assert_eq!(seen("2030-01-01T20:00:00Z").await, [3, 3]);
        assert_eq!(seen("2030-01-02T20:00:00Z").await, [3, 3]);
    }
);

on_both_engines!(
    a_long_range_by_hour_is_answered_part_by_part_and_not_for_each_date,
    async |app| {
        const HOURS: i64 = 9_000;
        let tenant = app.tenant("Acme").await;
        let mut ids = Vec::new();
        for _ in 0..12 {
            let key = app
                .api_key(&tenant, json!({"customAccountId": "acme"}))
                .await;
            ids.push(Id::parse(text(&key["id"])).unwrap());
            app.advance(1);
        }
        let now = app.core.now();
        let counted = |key, hour| UsageHour {
            key,
            project: &tenant.project.id,
            hour,
            counts: UsageCounts {
                successful: 1,
                ..UsageCounts::default()
            },
            last_used_at: None,
        };
        let last = now.as_hour();
        let of_first = (last - HOURS..last).map(|hour| counted(&ids[0], hour));
        let flush = Flush {
            hours: of_first
                .chain(ids.iter().map(|id| counted(id, last)))
                .collect(),
            ..Flush::at(now)
        };
        usage::add(&app.core.db, &flush).await.unwrap();
        usage::fold_all(&app.core.db, now).await.unwrap();
        // 9,001 hours: five keys are read at once.
        let query = "dateGrouping=hour&from=2028-12-22";
        let found = totals(&app, &tenant, "api-key-totals", query).await;
        assert_eq!(found.len(), 9_012);
        let of_last = |list: &[Value]| -> Vec<String> {
            let those = list
                .iter()
                .filter(|one| one["date"] == "2030-01-01T00:00:00.000Z");
            those.map(|one| text(&one["id"]).to_owned()).collect()
        };
        let expected: Vec<_> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(of_last(&found), expected);
        let cut = format!("{query}&offset=9005&limit=3");
        let cut = totals(&app, &tenant, "api-key-totals", &cut).await;
        assert_eq!(cut, found[9_005..9_008]);
        // A round through the keys for each of the hours would be much.
        let sorted = format!("{query}&sort=-date");
        let refused = ask(&app, &tenant, "api-key-totals", &sorted)
            .await
            .expect(400);
        assert!(
            refused.to_string().contains("ask for a shorter time"),
            "{refused}"
        );
        for (more, count) in [("&customAccountId=nosuch", 0), ("&limit=12", 12)] {
            let sorted = match more {
                "&limit=12" => "dateGrouping=hour&from=2029-12-30&sort=-date&limit=12".to_owned(),
                _ => format!("{sorted}{more}"),
            };
            let found = totals(&app, &tenant, "api-key-totals", &sorted).await;
            assert_eq!(found.len(), count);
            assert_eq!(of_last(&found).len(), count);
        }
    }
);

on_both_engines!(the_time_to_the_first_call_stays_what_it_was, async |app| {
    let tenant = app.tenant("Acme").await;
    let first_call = async || {
        let path = format!("/analytics/first-calls?projectId={}", tenant.project.id);
        let answer = app.request("GET", &path).key(tenant.owner()).send().await;
        assert_eq!(answer.header("x-total-count"), "1");
        answer.expect(200)[0].clone()
    };
    let before = first_call().await;
    assert_eq!(before["projectId"], tenant.project.id.as_str());
    assert_eq!(
        (&before["firstCallAt"], &before["secondsToFirstCall"]),
        (&Value::Null, &Value::Null)
    );
    app.advance(90);
    let key = app.api_key(&tenant, json!({})).await;
    check(&app, &tenant, &key, 1).await;
    app.flush().await;
    let first = first_call().await;
    assert_eq!(first["firstCallAt"], "2030-01-01T00:01:30.000Z");
    assert_eq!(first["secondsToFirstCall"], 90);
    app.advance(60);
    let other = app.api_key(&tenant, json!({})).await;
    check(&app, &tenant, &other, 1).await;
    let purge = format!("/api-keys/{}?purge=true", text(&key["id"]));
    let purge = app.request("DELETE", &purge).key(tenant.owner());
    purge.send().await.expect(200);
    app.flush().await;
    assert_eq!(first_call().await, first);
});
