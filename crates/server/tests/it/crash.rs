//! What was acknowledged is there after a kill, and what was not is whole or not there.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};

use claviger_testkit::Program;
use claviger_testkit::postgres::Server;
use serde_json::{Value, json};

use crate::connection::{Answer, Connection};
use crate::place::{Place, Target};

const CLIENTS: usize = 16;

/// Whether each key passes, as far as clients were told. What was asked of a key without an answer
/// takes it out of here.
type Known = HashMap<String, bool>;

/// A client that changes keys until an answer stays away.
struct Client<'a> {
    target: &'a Target,
    connection: Connection,
    acknowledged: Sender<()>,
    known: Known,
}

impl Client<'_> {
    /// The body of an acknowledged change; `None` when the program or its database went away.
    fn change(&mut self, line: &str, body: &Value) -> Option<Value> {
        let answer = self.connection.ask(line, &self.target.owner, body).ok()?;
        let Answer {
            status,
            has_retry_after,
            body,
        } = answer;
        match status {
            200 | 201 => Some(body),
            503 => {
                assert!(has_retry_after);
                None
            }
            _ => panic!("{line} answered {status}: {body}"),
        }
    }

    fn acknowledge(&mut self, key: &str, passes: bool) {
        self.known.insert(key.to_owned(), passes);
        // Nobody listens once enough has been acknowledged.
        let _ = self.acknowledged.send(());
    }

    fn work(&mut self) -> Option<()> {
        for turn in 0.. {
            let made = self.change("POST /api-keys", &self.target.new_key())?;
            let (id, key) = (text(&made, "id"), text(&made, "key"));
            self.acknowledge(&key, true);
            if turn % 4 == 3 {
                continue;
            }
            self.known.remove(&key);
            if turn % 2 == 0 {
                let line = format!("POST /api-keys/{id}/rotate");
                let rotated = self.change(&line, &json!({}))?;
                self.known.insert(key, false);
                self.acknowledge(&text(&rotated, "key"), true);
            } else {
                self.change(&format!("DELETE /api-keys/{id}"), &Value::Null)?;
                self.acknowledge(&key, false);
            }
        }
        None
    }
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap().to_owned()
}

/// Lets clients change keys, and does `strike` when that many changes are acknowledged; gives what
/// all of them know when their answers stay away.
fn under_load(target: &Target, acknowledged: usize, strike: impl FnOnce()) -> Known {
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = Client {
                    target,
                    connection: target.connect(),
                    acknowledged: tell.clone(),
                    known: Known::new(),
                };
                scope.spawn(move || {
                    client.work();
                    client.known
                })
            })
            .collect();
        drop(tell);
        for _ in 0..acknowledged {
            told.recv().unwrap();
        }
        strike();
        let known = clients.into_iter().map(|client| client.join().unwrap());
        known.flatten().collect()
    })
}

/// Of how many keys the program says something else than what is known.
fn missing(target: &Target, known: &Known) -> usize {
    let known: Vec<_> = known.iter().collect();
    std::thread::scope(|scope| {
        let parts = known.chunks(known.len().div_ceil(CLIENTS)).map(|part| {
            scope.spawn(|| {
                let mut connection = target.connect();
                let is_wrong = |(key, passes): &&(&String, &bool)| {
                    let status = connection.check(key, &target.verifier).unwrap();
                    status != if **passes { 200 } else { 404 }
                };
                part.iter().filter(is_wrong).count()
            })
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    })
}

/// How many changes to wait for: another number each round, somewhere in the load.
fn moment(round: usize) -> usize {
    20 + round * 71 % 230
}

fn acknowledged_changes_outlive_kills(place: &Place) {
    const ROUNDS: usize = 20;
    let mut program = place.start();
    let mut all = Known::new();
    for round in 0..ROUNDS {
        let target = Target::of(&program);
        let known = under_load(&target, moment(round), || program.kill().unwrap());
        program = place.start();
        assert_eq!(missing(&Target::of(&program), &known), 0, "round {round}");
        place.assert_nothing_is_half_there();
        all.extend(known);
    }
    assert!(all.len() > ROUNDS * 20);
    assert_eq!(missing(&Target::of(&program), &all), 0);
}

#[test]
fn acknowledged_changes_outlive_kills_on_sqlite() {
    acknowledged_changes_outlive_kills(&Place::on_sqlite());
}

#[test]
fn acknowledged_changes_outlive_kills_on_postgres() {
    acknowledged_changes_outlive_kills(&Place::on_postgres());
}

/// The tests' server does not sync its files. A process that is killed leaves what it wrote to the
/// kernel, which has it still: this shows what a crash of PostgreSQL does, not a power cut.
#[test]
fn acknowledged_changes_outlive_kills_of_postgres() {
    const ROUNDS: usize = 2;
    let mut server = Server::start().unwrap();
    let place = Place::on(&server);
    let program = place.start();
    let target = Target::of(&program);
    let cached = target.make_key();
    let mut checked = target.check_often(&cached, 1);
    for round in 0..ROUNDS {
        let known = under_load(&target, moment(round), || {
            server.kill().unwrap();
            checked += target.check_often(&cached, 10);
            let mut connection = target.connect();
            let answer = connection.ask("POST /api-keys", &target.owner, &target.new_key());
            let answer = answer.unwrap();
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(answer.has_retry_after);
        });
        server.start_again().unwrap();
        assert_eq!(missing(&target, &known), 0, "round {round}");
        place.assert_nothing_is_half_there();
    }
    // What was counted while it was away is written now.
    place.wait_for_counted(checked);
}

fn usage_outlives(place: &Place) {
    let program = place.start();
    let target = Target::of(&program);
    let key = target.make_key();
    let written = target.check_often(&key, 40);
    place.wait_for_counted(written);
    let last = target.check_often(&key, 5);
    program.kill().unwrap();

    // Each check that was answered is counted once, or was of the last second.
    let program = place.start();
    let before = place.counted();
    assert!((written..=written + last).contains(&before), "{before}");
    let target = Target::of(&program);
    let checked = target.check_often(&key, 40);
    stop(program);
    assert_eq!(place.counted(), before + checked);
}

fn stop(program: Program) {
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn usage_outlives_a_stop_and_but_for_its_end_a_kill_on_sqlite() {
    usage_outlives(&Place::on_sqlite());
}

#[test]
fn usage_outlives_a_stop_and_but_for_its_end_a_kill_on_postgres() {
    usage_outlives(&Place::on_postgres());
}
