//! The program's allocator, and the one `unsafe` line of the program: telling mimalloc to keep memory for longer
//! than it would.
//!
//! Left alone, it gives pages back to the operating system ten milliseconds after the last thing in them was freed.
//! What comes in bursts, such as the lines of the log of calls, then has its pages mapped and cleared anew each
//! time (docs/adr/0047).

use std::ffi::{c_int, c_long};

use libmimalloc_sys::mi_option_set_default;
pub use mimalloc::MiMalloc as Allocator;

/// Options of mimalloc by their places in its table, since the binding has no names for them, and what they are
/// unless the environment says otherwise.
const OPTIONS: [(c_int, c_long); 2] = [
    // `purge_delay`: milliseconds that pages are kept.
    (15, 1_000),
    // `arena_purge_mult`: how many times as long what is free as a whole, 32 MiB at a time, is kept.
    (24, 1),
];

/// Has memory that was freed kept for a second. It is for the first line of `main`, before there is another thread.
#[expect(unsafe_code, reason = "the options of mimalloc are set in C")]
pub fn keep_for_longer() {
    for (option, value) in OPTIONS {
        // SAFETY: it writes one number of a table of mimalloc's own, whose length it checks against. Threads that
        // free read such a number without a lock; there is none yet.
        unsafe { mi_option_set_default(option, value) }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Tells a process which of the cases it is.
    const CASE: &str = "CLAVIGER_ALLOCATOR_CASE";

    #[expect(unsafe_code, reason = "the options of mimalloc are read in C")]
    fn options() -> [c_long; 2] {
        // SAFETY: it reads one number of a table whose length it checks against.
        OPTIONS.map(|(option, _)| unsafe { libmimalloc_sys::mi_option_get(option) })
    }

    /// The environment is read when a process begins, so that each case is one of its own.
    #[test]
    fn memory_is_kept_for_a_second_unless_the_environment_says_otherwise() {
        match std::env::var(CASE).as_deref() {
            Ok("silent") => {
                keep_for_longer();
                assert_eq!(options(), [1_000, 1]);
            }
            Ok(_) => {
                assert_eq!(options(), [77, 7], "the options are others");
                keep_for_longer();
                assert_eq!(options(), [77, 7], "what the operator said does not hold");
            }
            Err(_) => {
                succeeds("silent", &[]);
                let told = [
                    ("MIMALLOC_PURGE_DELAY", "77"),
                    ("MIMALLOC_ARENA_PURGE_MULT", "7"),
                ];
                succeeds("told", &told);
            }
        }
    }

    fn succeeds(case: &str, environment: &[(&str, &str)]) {
        let this = std::env::current_exe().unwrap();
        let test = "tests::memory_is_kept_for_a_second_unless_the_environment_says_otherwise";
        let ended = Command::new(this)
            .args([test, "--exact", "--test-threads=1"])
            .env_clear()
            .env(CASE, case)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{case}: {said}"
        );
    }
}
