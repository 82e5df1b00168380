//! Webhooks through the whole program: kills, two programs, a receiver that never answers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger_testkit::program::serve;
use claviger_testkit::{Program, Received, Receiver, migrated};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const TESTBED: &str = env!("CARGO_BIN_EXE_claviger-testbed");

/// How many events the large tests have: more with `CLAVIGER_TEST_EVENTS`.
fn events() -> usize {
    let given = std::env::var("CLAVIGER_TEST_EVENTS");
    given.map_or(300, |text| text.parse().expect("a number of events"))
}

/// What came: the number of each request that an event was taken with, and how often it was refused.
#[derive(Clone, Default)]
struct Came {
    requests: usize,
    events: HashMap<String, (Vec<usize>, usize)>,
}

type Tally = Arc<Mutex<Came>>;

/// A receiver that refuses every third request, but none of an event more than three times; it tells
/// of each request.
async fn moody() -> (Receiver, Tally, UnboundedReceiver<()>) {
    let (tell, told) = unbounded_channel();
    let tally = Tally::default();
    let noted = Arc::clone(&tally);
    let receiver = Receiver::answering(move |one| {
        let status = judge(&noted, &one, &tell);
        async move { status }
    });
    (receiver.await, tally, told)
}

fn judge(tally: &Tally, one: &Received, tell: &UnboundedSender<()>) -> StatusCode {
    let mut came = tally.lock().expect("no test panics with it");
    came.requests += 1;
    let number = came.requests;
    let id = one.header("webhook-id").to_owned();
    let (taken, refused) = came.events.entry(id).or_default();
    // Nobody listens any more once enough was told.
    let _ = tell.send(());
    if number.is_multiple_of(3) && *refused < 3 {
        *refused += 1;
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        taken.push(number);
        StatusCode::OK
    }
}

fn bed(folder: &Path) -> Command {
    serve(TESTBED, folder, &["--outbound-allow-private"])
}

fn start(command: Command, folder: &Path) -> Program {
    Program::start_as(command, folder).expect("the test bed starts")
}

fn ask(program: &Program, line: &str, key: &str, body: &Value) -> Value {
    let (status, body) = program.call(line, key, body).expect("it answers");
    assert!(matches!(status, 200 | 201), "{line}: {status} {body}");
    body
}

fn listen(program: &Program, bootstrap: &Value, url: &str) {
    let owner = text(bootstrap, "accessKey");
    let body = json!({"url": url, "topics": ["api-key.created"]});
    ask(program, "POST /webhooks", owner, &body);
}

/// Makes keys, each with an event.
fn happen(program: &Program, bootstrap: &Value, from: usize, to: usize) {
    for start in (from..to).step_by(1_000) {
        let keys = (start..to.min(start + 1_000))
            .map(|index| json!({"name": "told", "key": format!("custom-key-of-{index:08}")}));
        let keys: Vec<_> = keys.collect();
        let body = json!({"projectId": bootstrap["projectId"], "keys": keys});
        ask(
            program,
            "POST /api-keys/import",
            text(bootstrap, "accessKey"),
            &body,
        );
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().expect("ids and keys are text")
}

fn advance(program: &Program, bootstrap: &Value, seconds: i64) {
    let body = json!({"advanceSeconds": seconds});
    ask(
        program,
        "POST /__clock",
        text(bootstrap, "accessKey"),
        &body,
    );
}

/// Waits for that many requests; when none comes for a while, lets time pass.
async fn receive(
    told: &mut UnboundedReceiver<()>,
    program: &Program,
    bootstrap: &Value,
    is_enough: impl Fn() -> bool,
) {
    while !is_enough() {
        if timeout(Duration::from_secs(2), told.recv()).await.is_err() {
            advance(program, bootstrap, 10_000);
        }
    }
}

fn taken(tally: &Tally) -> usize {
    let came = tally.lock().expect("no test panics with it");
    let events = came.events.values();
    events.filter(|(taken, _)| !taken.is_empty()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outlive_kills_and_a_receiver_that_fails_every_third_time() {
    let scratch = tempdir().expect("a scratch directory can be made");
    let (receiver, tally, mut told) = moody().await;
    let all = events();
    let mut program = start(bed(scratch.path()), scratch.path());
    let bootstrap = program.bootstrap().expect("it hands over its credentials");
    listen(&program, &bootstrap, &receiver.url);
    let mut kills = Vec::new();
    for part in [1, 2] {
        happen(&program, &bootstrap, all * (part - 1) / 3, all * part / 3);
        // In the middle of it, with requests in flight and events that were told to nobody yet.
        let enough = all * (2 * part - 1) / 6;
        receive(&mut told, &program, &bootstrap, || taken(&tally) >= enough).await;
        happen(&program, &bootstrap, all * part / 3, all * part / 3 + 1);
        program.kill().expect("it is there to be killed");
        kills.push(tally.lock().expect("no test panics with it").requests);
        program = start(bed(scratch.path()), scratch.path());
    }
    happen(&program, &bootstrap, all * 2 / 3, all);
    receive(&mut told, &program, &bootstrap, || taken(&tally) >= all).await;
    // What is still to come has been sent before: nothing waits after it.
    let came = tally.lock().expect("no test panics with it").clone();
    assert_eq!(came.events.len(), all, "each event was told, and no other");
    let mut lost = BTreeMap::new();
    for (id, (taken, _)) in &came.events {
        for pair in taken.windows(2) {
            let kill = kills.iter().find(|kill| (pair[0]..pair[1]).contains(*kill));
            let kill =
                kill.unwrap_or_else(|| panic!("{id} was sent twice, and no answer was lost"));
            *lost.entry(kill).or_insert(0) += 1;
        }
    }
    assert!(
        lost.values().all(|answers| *answers <= 32),
        "so many answers at most are lost with a kill: {lost:?}"
    );
    program.stop().expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_over_one_postgres_tell_each_event_once() {
    let database = migrated().await;
    let scratch = tempdir().expect("a scratch directory can be made");
    let (tell, mut told) = unbounded_channel();
    let receiver = Receiver::answering(move |one| {
        drop(tell.send(one.header("webhook-id").to_owned()));
        async { StatusCode::OK }
    })
    .await;
    let node = |name: &str| {
        let folder = scratch.path().join(name);
        let flags = ["--outbound-allow-private", "--database-url", database.url()];
        let mut command = serve(TESTBED, &folder, &flags);
        command.env("CLAVIGER_MASTER_KEY", "ab".repeat(32));
        start(command, &folder)
    };
    let first = node("first");
    let second = node("second");
    let bootstrap = first.bootstrap().expect("it hands over its credentials");
    let all = events();
    for _ in 0..4 {
        listen(&first, &bootstrap, &receiver.url);
    }
    for (index, program) in [&first, &second].into_iter().enumerate() {
        happen(program, &bootstrap, all * index / 2, all * (index + 1) / 2);
    }
    // Each event is told to each of four webhooks, by whichever program.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..all * 4 {
        let id = timeout(Duration::from_mins(1), told.recv()).await;
        let id = id
            .expect("it is told in time")
            .expect("the receiver is there");
        *counts.entry(id).or_default() += 1;
    }
    assert_eq!(counts.len(), all);
    assert!(
        counts.values().all(|count| *count == 4),
        "none twice, none left out"
    );
    first.stop().expect("it stops");
    second.stop().expect("it stops");
    assert!(told.try_recv().is_err(), "nothing came after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_holds_up_no_other_and_no_stop() {
    let scratch = tempdir().expect("a scratch directory can be made");
    let hanging = Receiver::answering(|_| async {
        std::future::pending::<()>().await;
        StatusCode::OK
    })
    .await;
    let (tell, mut told) = unbounded_channel();
    let quick = Receiver::answering(move |_| {
        let _ = tell.send(());
        async { StatusCode::OK }
    })
    .await;
    let program = start(bed(scratch.path()), scratch.path());
    let bootstrap = program.bootstrap().expect("it hands over its credentials");
    listen(&program, &bootstrap, &hanging.url);
    // What one receiver can have in flight, and more.
    happen(&program, &bootstrap, 0, 20);
    listen(&program, &bootstrap, &quick.url);
    for round in 0..3 {
        happen(&program, &bootstrap, 20 + round, 21 + round);
        let came = timeout(Duration::from_secs(10), told.recv()).await;
        assert_eq!(came, Ok(Some(())), "round {round}");
    }
    assert_eq!(hanging.received().len(), 8, "so many at once, and no more");
    // What is counted last is written, although requests are in flight that nobody answers.
    let owner = text(&bootstrap, "accessKey");
    let body = json!({"name": "A key", "projectId": bootstrap["projectId"]});
    let key = ask(&program, "POST /api-keys", owner, &body);
    let question = json!({"key": key["key"]});
    let checked = ask(&program, "POST /api-keys/verify", owner, &question);
    assert_eq!(checked["valid"], true, "{checked}");
    let (code, said) = program.stop().expect("it stops");
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("usage may be lost"), "{said}");
    let later = start(bed(scratch.path()), scratch.path());
    let line = format!("GET /api-keys/{}", text(&key, "id"));
    let found = ask(&later, &line, owner, &Value::Null);
    assert!(found["lastUsedAt"].is_string(), "{found}");
    later.stop().expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssrf_table_proxy_variables_are_not_read() {
    let scratch = tempdir().expect("a scratch directory can be made");
    let (proxy, receiver) = (Receiver::start().await, Receiver::start().await);
    let mut command = bed(scratch.path());
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, &proxy.url);
    }
    let program = start(command, scratch.path());
    let bootstrap = program.bootstrap().expect("it hands over its credentials");
    let body = json!({"url": receiver.url});
    let owner = text(&bootstrap, "accessKey");
    let pinged = ask(&program, "POST /webhooks/ping", owner, &body);
    assert_eq!(pinged["success"], true, "{pinged}");
    assert_eq!((receiver.received().len(), proxy.received().len()), (1, 0));
    // Neither does the program reach itself.
    let own = format!("http://{}/", program.address().expect("it listens"));
    let pinged = ask(&program, "POST /webhooks/ping", owner, &json!({"url": own}));
    assert_eq!(pinged["error"], "blocked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flag_nothing_goes_to_this_machine() {
    let scratch = tempdir().expect("a scratch directory can be made");
    let command = serve(TESTBED, scratch.path(), &[]);
    let program = start(command, scratch.path());
    let bootstrap = program.bootstrap().expect("it hands over its credentials");
    let owner = text(&bootstrap, "accessKey");
    for (url, error) in [
        ("http://127.0.0.1/", "blocked"),
        // As a name that nobody has.
        ("http://localhost/", "unreachable"),
        ("https://[::1]:8443/", "blocked"),
    ] {
        let pinged = ask(&program, "POST /webhooks/ping", owner, &json!({"url": url}));
        assert_eq!(pinged["error"], error, "{url}");
    }
}
