//! Signing in costs a digest each time, right or wrong: checks of keys do not wait for any.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;

use claviger_testkit::Program;
use serde_json::json;
use tempfile::tempdir;

use crate::CLAVIGER;
use crate::connection::{AtTheEnd, Connection};

/// Connections that sign in: more than have a place in the queue.
const FLOOD: usize = 48;
const CHECKS: usize = 1_000;

#[test]
fn a_flood_of_logins_keeps_no_check_waiting() {
    let scratch = tempdir().unwrap();
    // Each sign-in is from a network of its own, so that no budget ends the flood.
    let flags = ["--trusted-proxies", "127.0.0.1", "--log", "error"];
    let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let address = program.address().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let body = json!({"name": "checked", "projectId": bootstrap["projectId"]});
    let (_, made) = program.call("POST /api-keys", owner, &body).unwrap();
    let key = made["key"].as_str().unwrap();

    let is_over = AtomicBool::new(false);
    let (sent, digested) = (AtomicU32::new(0), AtomicUsize::new(0));
    let log_in = |connection: &mut Connection| {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let [_, a, b, c] = number.to_be_bytes();
        let email = format!("nobody{number}@example.com");
        let body = json!({"email": email, "password": "wrong horse battery"}).to_string();
        let from = format!("10.{a}.{b}.{c}");
        let answered = connection.ask_from("POST /auth/login", &from, &body);
        answered.unwrap().status
    };
    let (full, is_full) = mpsc::channel();
    std::thread::scope(|scope| {
        let _end = AtTheEnd(&is_over);
        for _ in 0..FLOOD {
            let (full, address, is_over) = (full.clone(), &address, &is_over);
            let (digested, log_in) = (&digested, &log_in);
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                while !is_over.load(Ordering::SeqCst) {
                    match log_in(&mut connection) {
                        401 => {
                            digested.fetch_add(1, Ordering::SeqCst);
                        }
                        503 => full.send(()).unwrap(),
                        other => panic!("a sign-in is answered {other}"),
                    }
                }
            });
        }
        // It is an error where none of them is left that could tell.
        drop(full);
        is_full.recv().unwrap();
        let before = digested.load(Ordering::SeqCst);
        let mut connection = Connection::open(&address).unwrap();
        for _ in 0..CHECKS {
            assert_eq!(connection.check(key, owner).unwrap(), 200);
        }
        // One that waited for its turn among them would see at least one digest end.
        let meanwhile = digested.load(Ordering::SeqCst) - before;
        assert!(
            meanwhile < CHECKS / 2,
            "{meanwhile} digests in {CHECKS} checks"
        );
    });
}
