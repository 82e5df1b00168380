//! What one tenant, or nobody known, can do to the others: nothing that they notice.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured is the time that a machine takes, not what a clock is told"
)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_testkit::{Program, SeededRandom};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;
use crate::connection::{AtTheEnd, Connection, head};

/// Connections of the load beside which is measured.
const LOAD: usize = 24;
/// Connections that stay half-way: a head or a body that does not end, an answer that is not read.
const STUCK: usize = 128;
/// Connections that are measured, and what each asks.
const MEASURED: usize = 4;
const CHECKS: usize = 500;
const CREATED: usize = 100;
/// Measured in turn, so that what else the machine does meets both.
const ROUNDS: usize = 3;
/// What may be presented from one address in a minute that is no credential.
const BUDGET: u64 = 600;
/// Below this, what is measured is the machine's own noise.
const NOISE: Duration = Duration::from_millis(20);

/// An account with a key, and who may check and make them.
struct Tenant {
    owner: String,
    project: Value,
    key: String,
}

impl Tenant {
    /// Of the first start.
    fn first(program: &Program, bootstrap: &Value) -> Self {
        Self::over(
            program,
            bootstrap["accessKey"].as_str().unwrap(),
            &bootstrap["projectId"],
        )
    }

    fn new(program: &Program, operator: &str) -> Self {
        let made = |line: &str, body: &Value| {
            let (status, made) = program.call(line, operator, body).unwrap();
            assert_eq!(status, 201, "{made}");
            made
        };
        let account = made("POST /accounts", &json!({"name": "other"}));
        let body = json!({"name": "other", "accountId": account["id"]});
        let project = made("POST /projects", &body);
        let body = json!({"name": "other", "accountId": account["id"], "role": "owner"});
        let owner = made("POST /access-keys", &body);
        Self::over(program, owner["key"].as_str().unwrap(), &project["id"])
    }

    fn over(program: &Program, owner: &str, project: &Value) -> Self {
        let body = json!({"name": "checked", "projectId": project});
        let (status, made) = program.call("POST /api-keys", owner, &body).unwrap();
        assert_eq!(status, 201, "{made}");
        Self {
            owner: owner.to_owned(),
            project: project.clone(),
            key: made["key"].as_str().unwrap().to_owned(),
        }
    }

    fn create_body(&self, metadata: &str) -> String {
        json!({"name": "made", "projectId": self.project, "customMetaData": {"text": metadata}})
            .to_string()
    }
}

/// As quick as 99 in a hundred, or the slowest where there are fewer.
fn p99(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() * 99 / 100]
}

fn median(mut durations: [Duration; ROUNDS]) -> Duration {
    durations.sort();
    durations[ROUNDS / 2]
}

/// What a tenant sees of its checks and its changes.
#[derive(Clone, Copy, Debug)]
struct Seen {
    check: Duration,
    create: Duration,
}

/// Measures what `tenant` sees while `load` runs on as many connections as ever: each is told its
/// number, and asks once.
fn beside(
    address: &str,
    tenant: &Tenant,
    load: impl Fn(usize, &mut Connection) -> std::io::Result<()> + Sync,
) -> Seen {
    let is_over = AtomicBool::new(false);
    let start = Barrier::new(LOAD + MEASURED + 1);
    std::thread::scope(|scope| {
        let _end = AtTheEnd(&is_over);
        for number in 0..LOAD {
            let (start, is_over, load) = (&start, &is_over, &load);
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                start.wait();
                while !is_over.load(Ordering::SeqCst) {
                    if load(number, &mut connection).is_err() {
                        // It was closed on: whoever attacks comes again.
                        connection = Connection::open(address).unwrap();
                    }
                }
            });
        }
        let timed = |times: usize, line: &str, body: &str, status: u16| {
            let mut connection = Connection::open(address).unwrap();
            start.wait();
            let ask = |_| {
                let began = Instant::now();
                let answered = connection.ask_text(line, &tenant.owner, body).unwrap();
                let took = began.elapsed();
                assert_eq!(answered.status, status);
                took
            };
            (0..times).map(ask).collect::<Vec<_>>()
        };
        let checks: Vec<_> = (0..MEASURED)
            .map(|_| {
                let line = format!("POST /api-keys/auth/{}", tenant.key);
                scope.spawn(move || timed(CHECKS, &line, "", 200))
            })
            .collect();
        let body = tenant.create_body("");
        let created = timed(CREATED, "POST /api-keys", &body, 201);
        let checks = checks.into_iter().flat_map(|one| one.join().unwrap());
        Seen {
            check: p99(checks.collect()),
            create: p99(created),
        }
    })
}

/// A connection on which nothing goes on: an answer that is not read, a head or a body that does
/// not end.
fn stick(address: &str, number: usize, key: &str) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    match number % 8 {
        0 => {
            connection.send(&head("GET /api-keys", key, 0)).unwrap();
            assert_eq!(connection.begin_answer().unwrap(), 200);
        }
        one if one % 2 == 0 => connection.send("GET / HTTP/1.1\r\nhost:").unwrap(),
        _ => connection.send(&head("POST /api-keys", key, 100)).unwrap(),
    }
    connection
}

#[test]
fn random_well_formed_keys_deep_json_slow_headers_and_a_stalled_reader_leave_others_their_p99() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &["--log", "error"]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let address = program.address().unwrap();
    let operator = bootstrap["operatorKey"].as_str().unwrap();
    let tenant = Tenant::first(&program, &bootstrap);
    let other = Tenant::new(&program, operator);
    // What a reader can leave unread: sockets between two processes of a machine hold some 4 MB.
    let mut filling = Connection::open(&address).unwrap();
    for _ in 0..500 {
        let body = other.create_body(&"x".repeat(16_000));
        let made = filling.ask_text("POST /api-keys", &other.owner, &body);
        assert_eq!(made.unwrap().status, 201);
    }

    let random = SeededRandom::new(1);
    let draw = |purpose: KeyPurpose| purpose.draw(&random).plain.expose().to_owned();
    let deep = format!("{{\"key\":{}", "[".repeat(10_000));
    let counts: [AtomicU64; 600] = std::array::from_fn(|_| AtomicU64::new(0));
    let honest = |_: usize, connection: &mut Connection| {
        connection.check(&other.key, &other.owner).map(drop)
    };
    let attack = |number: usize, connection: &mut Connection| {
        let answer = match number % 3 {
            0 => {
                let key = draw(KeyPurpose::ApiKey(Environment::Live));
                connection.ask_text(&format!("POST /api-keys/auth/{key}"), &other.owner, "")?
            }
            1 => {
                let key = draw(KeyPurpose::AccessKey(Environment::Live));
                connection.ask_text("GET /api-keys", &key, "")?
            }
            _ => connection.ask_text("POST /api-keys/verify", &other.owner, &deep)?,
        };
        counts[usize::from(answer.status)].fetch_add(1, Ordering::Relaxed);
        Ok(())
    };

    let began = Instant::now();
    let mut seen = [None; ROUNDS];
    for round in &mut seen {
        let calm = beside(&address, &tenant, honest);
        let stuck: Vec<_> = (0..STUCK)
            .map(|number| stick(&address, number, &other.owner))
            .collect();
        let attacked = beside(&address, &tenant, attack);
        drop(stuck);
        *round = Some((calm, attacked));
    }
    let rounds = seen.map(|round| round.expect("each round was measured"));
    let of = |which: fn(&(Seen, Seen)) -> Duration| median(rounds.each_ref().map(which));
    let count = |status: usize| counts[status].load(Ordering::Relaxed);
    println!("{rounds:?}");
    println!(
        "refused: {} deep, {} as nobody, {} as unknown, {} over budget",
        count(400),
        count(401),
        count(404),
        count(429)
    );
    // The attack was one: its keys were looked for, and those of nobody known only within budget.
    assert!(count(400) > 0 && count(404) > 0);
    let minutes = began.elapsed().as_secs() / 60 + 1;
    // A budget is passed by no more than are under way when it is used up.
    let most = minutes * (BUDGET + LOAD as u64);
    assert!(count(401) <= most, "{} looks by nobody known", count(401));
    assert!(count(429) > 0);
    let bound = |calm: Duration| calm * 2 + NOISE;
    assert!(of(|(_, attacked)| attacked.check) <= bound(of(|(calm, _)| calm.check)));
    assert!(of(|(_, attacked)| attacked.create) <= bound(of(|(calm, _)| calm.create)));
}
