//! Passwords: digested by Argon2id, on threads of their own and few at a time. Who comes while many
//! wait is told to come again, so that a flood of sign-ins takes neither memory nor processors from
//! checks of keys.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash as Read, PasswordHasher, PasswordVerifier, Version,
};
use claviger_domain::random::Random;
use claviger_store::users::PasswordHash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::retry_after;
use crate::{ApiError, ErrorCode};

/// What one digest costs: 19 MiB and two passes, as OWASP has it.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// How many may wait for their turn.
const MOST_WAITING: usize = 32;
/// Bytes of salt.
const SALT: usize = 16;

/// Digests passwords, so many at a time.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    /// Those that run, and those that wait.
    places: Arc<Semaphore>,
    memory_kib: u32,
    /// Tried where there is none, so that it costs the same.
    decoy: PasswordHash,
}

/// A place in the queue, which is given back with this.
#[derive(Debug)]
pub struct Queued<'a> {
    passwords: &'a Passwords,
    place: OwnedSemaphorePermit,
}

impl Passwords {
    /// Digests as many at a time as there are processors to spare.
    pub fn new(random: &dyn Random) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::costing(MEMORY_KIB, (processors / 2).max(1), random)
    }

    /// The same at another cost and with so many at a time, for tests.
    pub fn costing(memory_kib: u32, at_once: usize, random: &dyn Random) -> Self {
        let mut nobodys = [0; 32];
        random.fill(&mut nobodys);
        let nobodys: String = nobodys
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + MOST_WAITING)),
            memory_kib,
            decoy: digest(memory_kib, &nobodys, &salt(random)),
        }
    }

    /// Takes a place in the queue, before anything is looked up; refused where too many wait.
    pub fn queue(&self) -> Result<Queued<'_>, ApiError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            let message = "Too many others sign in at this moment, try again";
            ApiError::new(ErrorCode::TooBusy, message).with_headers(retry_after(1))
        })?;
        Ok(Queued {
            passwords: self,
            place,
        })
    }
}

impl Queued<'_> {
    /// Digests a new password.
    pub async fn digest(
        self,
        password: SecretString,
        random: &dyn Random,
    ) -> Result<PasswordHash, ApiError> {
        let (memory_kib, salt) = (self.passwords.memory_kib, salt(random));
        self.run(move || digest(memory_kib, password.expose_secret(), &salt))
            .await
    }

    /// Whether it is the password that was digested. Without one it costs the same, and is `false`.
    pub async fn verify(
        self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<bool, ApiError> {
        let is_there = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.passwords.decoy.clone());
        let matches = self.run(move || matches(&hash, password.expose_secret()));
        Ok(matches.await? && is_there)
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let failed = || ApiError::new(ErrorCode::Internal, "Internal server error");
        let running = Arc::clone(&self.passwords.running);
        let turn = running.acquire_owned().await.map_err(|_| failed())?;
        // They go with the work, which goes on when whoever asked for it has hung up.
        let held = (turn, self.place);
        let work = move || {
            let _held = held;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a password was not digested");
            failed()
        })
    }
}

fn salt(random: &dyn Random) -> [u8; SALT] {
    let mut salt = [0; SALT];
    random.fill(&mut salt);
    salt
}

fn digest(memory_kib: u32, password: &str, salt: &[u8]) -> PasswordHash {
    let params = Params::new(memory_kib, PASSES, 1, None).expect("the cost is within bounds");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: Result<Read, _> = argon2.hash_password_with_salt(password.as_bytes(), salt);
    PasswordHash(hash.expect("a salt and a password are short").to_string())
}

fn matches(hash: &PasswordHash, password: &str) -> bool {
    // The row says its own cost, so that digests of before it was raised go on working.
    Read::new(&hash.0).is_ok_and(|read| {
        Argon2::default()
            .verify_password(password.as_bytes(), &read)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (place, byte) in (0..=u8::MAX).cycle().zip(bytes) {
                *byte = place;
            }
        }
    }

    fn passwords() -> Passwords {
        Passwords::costing(8, 2, &Counting)
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_digest_and_no_other_is() {
        let passwords = passwords();
        let of = |text: &str| SecretString::from(text);
        let digest = passwords.queue().unwrap().digest(of("horse"), &Counting);
        let digest = digest.await.unwrap();
        assert!(
            digest.0.starts_with("$argon2id$v=19$m=8,t=2,p=1$"),
            "{}",
            digest.0
        );
        let verify = async |text: &str, hash: Option<PasswordHash>| {
            let queued = passwords.queue().unwrap();
            queued.verify(of(text), hash).await.unwrap()
        };
        assert!(verify("horse", Some(digest.clone())).await);
        assert!(!verify("Horse", Some(digest)).await);
        // What nobody has is tried all the same, and is nobody's.
        let nobodys: String = (0..32).map(|place| char::from(b'a' + place % 26)).collect();
        assert!(!verify(&nobodys, None).await);
        assert!(!verify("horse", Some(PasswordHash("broken".to_owned()))).await);
    }

    #[tokio::test]
    async fn who_comes_while_many_wait_is_told_to_come_again() {
        let passwords = passwords();
        let mut queued: Vec<_> = (0..2 + MOST_WAITING)
            .map(|_| passwords.queue().unwrap())
            .collect();
        let refused = passwords.queue().unwrap_err();
        assert_eq!(refused.code, ErrorCode::TooBusy);
        assert_eq!(refused.headers.len(), 1);
        queued.pop();
        passwords.queue().unwrap();
    }

    #[tokio::test]
    async fn who_hangs_up_gives_no_turn_back_before_the_work_is_done() {
        let passwords = passwords();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let may_go_on = Arc::new(std::sync::Mutex::new(may_go_on));
        let mut ended = Vec::new();
        for _ in 0..2 {
            let (started, has_started) = tokio::sync::oneshot::channel();
            let (done, is_done) = tokio::sync::oneshot::channel();
            let may_go_on = Arc::clone(&may_go_on);
            let asked = passwords.queue().unwrap().run(move || {
                started.send(()).unwrap();
                let _waited = may_go_on.lock().unwrap().recv();
                done.send(()).unwrap();
            });
            tokio::select! {
                _ = asked => panic!("it waits"),
                started = has_started => started.unwrap(),
            }
            ended.push(is_done);
        }
        // Both have hung up, and their work runs on: no third one runs beside it.
        assert_eq!(passwords.running.available_permits(), 0);
        assert_eq!(passwords.places.available_permits(), MOST_WAITING);
        drop(go_on);
        for ended in ended {
            ended.await.unwrap();
        }
        let next = passwords.queue().unwrap().run(|| ());
        next.await.unwrap();
    }
}
