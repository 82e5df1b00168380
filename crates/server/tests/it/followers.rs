//! Two programs over one PostgreSQL: how soon the one refuses what the other revoked.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use claviger_testkit::Program;
use claviger_testkit::postgres::Server;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::nodes;
use crate::place::{Place, Target, run};

/// What the program takes for its bound unless it is told otherwise.
const BOUND: Duration = Duration::from_secs(1);

/// Two programs over one database.
struct Pair {
    near: Program,
    far: Program,
    target: Target,
    far_target: Target,
    _scratch: TempDir,
}

impl Pair {
    fn over(url: &str) -> Self {
        let scratch = tempdir().unwrap();
        let near = nodes::node(&scratch.path().join("near"), url);
        let far = nodes::node(&scratch.path().join("far"), url);
        let target = Target::of(&near);
        let far_target = Target {
            address: far.address().unwrap(),
            ..target.clone()
        };
        Self {
            near,
            far,
            target,
            far_target,
            _scratch: scratch,
        }
    }

    /// Makes a key where it is not checked, and gives its id and the key.
    fn make_key(&self) -> (String, String) {
        let body = self.target.new_key();
        let (status, made) = self
            .near
            .call("POST /api-keys", &self.target.owner, &body)
            .unwrap();
        assert_eq!(status, 201, "{made}");
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    fn revoke(&self, id: &str) {
        let line = format!("DELETE /api-keys/{id}");
        let (status, answer) = self
            .near
            .call(&line, &self.target.owner, &Value::Null)
            .unwrap();
        assert_eq!(status, 200, "{answer}");
    }
}

/// The instant that a measurement is of.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a program takes is measured by the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// The value that so many of a hundred are not above.
fn percentile(sorted: &[Duration], of_hundred: usize) -> Duration {
    sorted[(sorted.len() * of_hundred).div_ceil(100) - 1]
}

#[test]
fn what_one_program_revoked_the_other_refuses_within_its_bound() {
    const REVOCATIONS: usize = 200;
    const CHECKERS: usize = 4;
    let database = nodes::database();
    let pair = Pair::over(database.url());
    let mut delays = Vec::with_capacity(REVOCATIONS);
    for _ in 0..REVOCATIONS {
        let (id, key) = pair.make_key();
        let (accepted, acceptances) = channel();
        // When each checker was last told that the key passes.
        let last = std::thread::scope(|scope| {
            let checkers: Vec<_> = (0..CHECKERS)
                .map(|_| {
                    let (accepted, key, pair) = (accepted.clone(), &key, &pair);
                    scope.spawn(move || {
                        let mut connection = pair.far_target.connect();
                        let mut last = None;
                        loop {
                            let began = now();
                            match connection.check(key, &pair.target.verifier).unwrap() {
                                200 => last = Some(began),
                                404 => return last,
                                status => panic!("a check answered {status}"),
                            }
                            // Nobody listens after the first few.
                            let _ = accepted.send(());
                        }
                    })
                })
                .collect();
            for _ in 0..4 * CHECKERS {
                acceptances.recv().unwrap();
            }
            drop(acceptances);
            pair.revoke(&id);
            let returned = now();
            let last = checkers.into_iter().filter_map(|one| one.join().unwrap());
            last.map(|at| at.saturating_duration_since(returned)).max()
        });
        delays.push(last.unwrap_or_default());
    }
    delays.sort();
    let (half, most) = (percentile(&delays, 50), percentile(&delays, 99));
    println!(
        "{REVOCATIONS} revocations, the last check that the other program accepted began after: \
         p50 {half:?}, p99 {most:?}, at most {:?}",
        delays[REVOCATIONS - 1]
    );
    assert!(delays[REVOCATIONS - 1] <= BOUND);
}

#[test]
fn a_program_that_was_stopped_for_longer_than_its_bound_accepts_nothing_from_before() {
    let database = nodes::database();
    let pair = Pair::over(database.url());
    let keys: Vec<_> = (0..20).map(|_| pair.make_key()).collect();
    let mut connection = pair.far_target.connect();
    let mut check = |key: &str| connection.check(key, &pair.target.verifier).unwrap();
    for (_, key) in &keys {
        assert_eq!(check(key), 200);
    }
    let stopped = now();
    pair.far.signal("STOP").unwrap();
    for (id, _) in &keys {
        pair.revoke(id);
    }
    while stopped.elapsed() < 2 * BOUND {
        pair.make_key();
    }
    pair.far.signal("CONT").unwrap();
    for (_, key) in &keys {
        assert_eq!(check(key), 404);
    }
}

/// Checks a key until it is refused, and gives how long it was not.
fn until_refused(pair: &Pair, key: &str) -> Duration {
    let began = now();
    let mut connection = pair.far_target.connect();
    while connection.check(key, &pair.target.verifier).unwrap() == 200 {}
    began.elapsed()
}

#[test]
fn connections_that_are_cut_and_a_server_that_is_killed_are_survived() {
    const CUT: &str = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut server = Server::start().unwrap();
    let place = Place::on(&server);
    let pair = Pair::over(&server.url("postgres"));
    for round in 0..4 {
        let (id, key) = pair.make_key();
        pair.far_target.check_often(&key, 1);
        if round % 2 == 0 {
            run(async { place.rows(false).await.execute(CUT).await });
        } else {
            server.kill().unwrap();
            pair.far_target.check_often(&key, 4);
            server.start_again().unwrap();
        }
        pair.far_target.check_often(&key, 4);
        pair.revoke(&id);
        let taken = until_refused(&pair, &key);
        assert!(taken <= BOUND, "round {round}: {taken:?}");
    }
    place.assert_nothing_is_half_there();
}

#[test]
fn a_program_that_is_told_to_refuses_once_the_database_is_away_for_its_bound() {
    let mut server = Server::start().unwrap();
    let _place = Place::on(&server);
    let scratch = tempdir().unwrap();
    let mut command = nodes::command(scratch.path(), &server.url("postgres"));
    command.args(["--away-bound", "0s"]);
    let program = Program::start_as(command, scratch.path()).unwrap();
    let target = Target::of(&program);
    let key = target.make_key();
    target.check_often(&key, 1);
    server.kill().unwrap();
    let killed = now();
    let mut connection = target.connect();
    let refused = loop {
        let began = killed.elapsed();
        let status = connection.check(&key, &target.verifier).unwrap();
        if status != 200 {
            break (status, began);
        }
    };
    assert_eq!(refused.0, 503);
    assert!(refused.1 <= BOUND + BOUND / 4, "{refused:?}");
    server.start_again().unwrap();
    let again = || target.connect().check(&key, &target.verifier).unwrap();
    let after = std::iter::repeat_with(again).find(|status| *status != 503);
    assert_eq!(after, Some(200));
}
