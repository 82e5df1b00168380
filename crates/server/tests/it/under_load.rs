//! The promises of a check, to 64 connections at once against the built program.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, RwLock};

use claviger_testkit::Program;
use serde_json::json;
use tempfile::tempdir;

use crate::CLAVIGER;
use crate::connection::{AtTheEnd, Connection};

const CONNECTIONS: u64 = 64;

/// A key that is being tried, and whether its revocation has returned.
struct Tried {
    key: String,
    is_revoked: AtomicBool,
    accepted: AtomicU64,
    refused_after: AtomicU64,
}

#[test]
fn no_check_that_begins_after_a_revoke_returned_is_accepted() {
    const TRIES: u64 = 1_000;
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let verifier = bootstrap["verifierKey"].as_str().unwrap();
    let address = program.address().unwrap();
    let current: RwLock<Option<std::sync::Arc<Tried>>> = RwLock::new(None);
    let progress = (Mutex::new(()), Condvar::new());
    let is_over = AtomicBool::new(false);
    let late = AtomicU64::new(0);

    let until = |done: &dyn Fn() -> bool| {
        let mut guard = progress.0.lock().unwrap();
        while !done() {
            guard = progress.1.wait(guard).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let _end = AtTheEnd(&is_over);
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(&address).unwrap();
                while !is_over.load(Ordering::SeqCst) {
                    let Some(tried) = current.read().unwrap().clone() else {
                        continue;
                    };
                    let was_revoked = tried.is_revoked.load(Ordering::SeqCst);
                    let status = match connection.check(&tried.key, verifier) {
                        Ok(status) => status,
                        // The program closes what is idle for ten seconds, and a slow machine can
                        // be so slow. Anything else is a fault.
                        Err(error) => {
                            let closed = [UnexpectedEof, ConnectionReset, BrokenPipe];
                            assert!(closed.contains(&error.kind()), "{error}");
                            connection = Connection::open(&address).unwrap();
                            continue;
                        }
                    };
                    match (status, was_revoked) {
                        (200, true) => late.fetch_add(1, Ordering::SeqCst),
                        (200, false) => tried.accepted.fetch_add(1, Ordering::SeqCst),
                        (404, true) => tried.refused_after.fetch_add(1, Ordering::SeqCst),
                        (404, false) => 0,
                        (status, _) => panic!("a check answered {status}"),
                    };
                    drop(progress.0.lock().unwrap());
                    progress.1.notify_all();
                }
            });
        }
        for _ in 0..TRIES {
            let body = json!({"name": "tried", "projectId": bootstrap["projectId"]});
            let (_, made) = program.call("POST /api-keys", owner, &body).unwrap();
            let tried = std::sync::Arc::new(Tried {
                key: made["key"].as_str().unwrap().to_owned(),
                is_revoked: AtomicBool::new(false),
                accepted: AtomicU64::new(0),
                refused_after: AtomicU64::new(0),
            });
            *current.write().unwrap() = Some(tried.clone());
            until(&|| tried.accepted.load(Ordering::SeqCst) >= 8);
            let revoke = format!("DELETE /api-keys/{}", made["id"].as_str().unwrap());
            let (status, _) = program.call(&revoke, owner, &json!(null)).unwrap();
            assert_eq!(status, 200);
            tried.is_revoked.store(true, Ordering::SeqCst);
            until(&|| {
                tried.refused_after.load(Ordering::SeqCst) + late.load(Ordering::SeqCst) >= 8
            });
        }
    });
    assert_eq!(late.load(Ordering::SeqCst), 0);
}

#[test]
fn a_limit_of_a_thousand_lets_a_thousand_pass() {
    const LIMIT: u64 = 1_000;
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let verifier = bootstrap["verifierKey"].as_str().unwrap();
    let address = program.address().unwrap();
    let body = json!({
        "name": "limited", "projectId": bootstrap["projectId"],
        // A window that does not end while the test runs, however slow the machine is.
        "rateLimitConfigs": {"rateLimit": LIMIT, "rateLimitTtl": 3_600},
    });
    let (_, made) = program.call("POST /api-keys", owner, &body).unwrap();
    let key = made["key"].as_str().unwrap();
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(&address).unwrap();
                for _ in 0..4 * LIMIT / CONNECTIONS {
                    match connection.check(key, verifier).unwrap() {
                        200 => accepted.fetch_add(1, Ordering::SeqCst),
                        429 => refused.fetch_add(1, Ordering::SeqCst),
                        status => panic!("a check answered {status}"),
                    };
                }
            });
        }
    });
    let asked = 4 * LIMIT / CONNECTIONS * CONNECTIONS;
    assert_eq!(accepted.load(Ordering::SeqCst), LIMIT);
    assert_eq!(refused.load(Ordering::SeqCst), asked - LIMIT);
}
