//! An export of usage to a URL, whose program is killed over and over: each row once, for whoever keeps
//! the idempotency keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use claviger_domain::time::Clock;
use claviger_server::SystemClock;
use claviger_testkit::program::serve_on_sqlite;
use claviger_testkit::{Program, Receiver};
use http::StatusCode;
use tokio::sync::mpsc::unbounded_channel;

use crate::CLAVIGER;
use crate::place::Place;

/// Three parts, and what says how many there were.
const KEYS: usize = 12_000;
const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_to_a_url_outlives_kills_and_each_row_counts_once() {
    let place = Place::on_sqlite();
    drop(place.start());
    let today = SystemClock.now().as_micros() / 1_000_000 / DAY;
    // Two days ago, so that it is over for long whatever time it is.
    let day = today - 2;
    let mut counters = place.rows(true).await;
    counters
        .execute(&format!(
            "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {KEYS} - 1) \
             INSERT INTO usage_days SELECT printf('key_m%011d', n), {day}, 'prj_gone', n + 1, 0, 0 FROM n"
        ))
        .await;
    let mut rows = place.rows(false).await;
    let (before, name) = (date_of(day - 1), date_of(day));
    rows.execute(&format!(
        "INSERT INTO usage_exports VALUES ('{before}', 0, 0, '', 1, 1, NULL); \
         INSERT INTO jobs (name, holder, held_until, next_at, position) \
         VALUES ('usage-export', '', 0, 0, {})",
        (today - 1) * DAY * 1_000_000
    ))
    .await;

    // How many requests are answered before one that is not.
    let answered = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = unbounded_channel();
    let left = Arc::clone(&answered);
    let receiver = Receiver::answering(move |one| {
        let take_one = |left: usize| left.checked_sub(1);
        let is_answered = left.fetch_update(SeqCst, SeqCst, take_one).is_ok();
        let tell = tell.clone();
        async move {
            if !is_answered {
                // Nobody listens at the end.
                let _ = tell.send(one.header("idempotency-key").to_owned());
                std::future::pending::<()>().await;
            }
            StatusCode::OK
        }
    })
    .await;
    let url = format!("{}/usage", receiver.url);
    let flags = [
        "--outbound-allow-private",
        "--usage-export-schedule",
        "* * * * *",
        "--usage-export-every",
        "day",
        "--usage-export-to",
        &url,
    ];
    let start = || {
        let command = serve_on_sqlite(CLAVIGER, place.folder.path(), &flags);
        Program::start_as(command, place.folder.path()).unwrap()
    };
    let end = format!("usage-{name}-end");
    let mut lost: HashMap<String, usize> = HashMap::new();
    for round in 0..7 {
        answered.store(round % 2, SeqCst);
        let program = start();
        let key = told.recv().await.unwrap();
        program.kill().unwrap();
        *lost.entry(key).or_default() += 1;
        // Whoever died has the job no longer, and other keys are used meanwhile.
        rows.execute("UPDATE jobs SET held_until = 0, next_at = 0 WHERE name = 'usage-export'")
            .await;
        counters
            .execute(&format!(
                "INSERT INTO usage_days VALUES ('key_a{round}', {today}, 'prj_gone', 1, 0, 0), \
                 ('key_m{:011}x', {today}, 'prj_gone', 1, 0, 0)",
                round * 997
            ))
            .await;
    }
    assert_eq!(lost[&end], 2);
    answered.store(usize::MAX, SeqCst);
    let mut program = start();
    program.wait_for_log("usage is exported").unwrap();
    program.kill().unwrap();

    let mut bodies: HashMap<String, Vec<_>> = HashMap::new();
    let of_day = receiver.received().into_iter();
    for one in of_day.filter(|one| one.header("claviger-export-period") == name) {
        let key = one.header("idempotency-key").to_owned();
        bodies.entry(key).or_default().push(one.body);
    }
    let mut counted = BTreeMap::new();
    for (key, bodies) in &bodies {
        assert_eq!(bodies.len(), lost[key] + 1, "{key}");
        assert!(
            bodies.iter().all(|body| *body == bodies[0]),
            "{key} came otherwise"
        );
        if *key == end {
            continue;
        }
        for row in str::from_utf8(&bodies[0]).unwrap().lines().skip(1) {
            let cells: Vec<_> = row.split(',').collect();
            let is_first = counted.insert(cells[5].to_owned(), cells[9].to_owned());
            assert!(is_first.is_none(), "{row} came twice");
        }
    }
    assert_eq!(counted.len(), KEYS);
    for (number, (key, total)) in counted.iter().enumerate() {
        let expected = (format!("key_m{number:011}"), (number + 1).to_string());
        assert_eq!((key, total), (&expected.0, &expected.1));
    }
}

fn date_of(day: i64) -> String {
    let at = jiff::Timestamp::from_second(day * DAY).unwrap();
    at.strftime("%Y-%m-%d").to_string()
}
