//! The program's allocator, and the one `unsafe` line of the program: telling mimalloc to keep memory for longer
//! than it would.
//!
//! Left alone, it gives pages back to the operating system ten milliseconds after the last thing in them was freed.
//! What comes in bursts, such as the lines of the log of calls, then has its pages mapped and cleared anew each
//! time: seven in a hundred of a call's processor time (docs/adr/0047).

use std::ffi::{c_int, c_long};

use libmimalloc_sys::mi_option_set_default;
pub use mimalloc::MiMalloc as Allocator;

/// The place of `purge_delay` among mimalloc's options: the binding has no name for it.
const PURGE_DELAY: c_int = 15;
/// Milliseconds that pages are kept, unless `MIMALLOC_PURGE_DELAY` says otherwise: as long as mimalloc's third
/// version keeps them.
const KEPT_FOR: c_long = 1_000;

/// Has memory that was freed kept for a second. It must be called before there is another thread.
#[expect(unsafe_code, reason = "the options of mimalloc are set in C")]
pub fn keep_for_longer() {
    // SAFETY: it writes one number of a table of mimalloc's own, whose length it checks against; no other thread
    // writes there, since there is none yet.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT_FOR) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const NAME: &str = "MIMALLOC_PURGE_DELAY";

    #[expect(unsafe_code, reason = "the options of mimalloc are read in C")]
    fn delay() -> c_long {
        // SAFETY: it reads one number of a table whose length it checks against.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
    }

    /// The environment is read when a process begins, so that this is one of two of them.
    #[test]
    fn memory_is_kept_for_a_second_unless_the_environment_says_otherwise() {
        if std::env::var_os(NAME).is_some() {
            assert_eq!(delay(), 77, "the option is another one");
            keep_for_longer();
            assert_eq!(delay(), 77, "what the operator said does not hold");
            return;
        }
        keep_for_longer();
        assert_eq!(delay(), KEPT_FOR);
        let this = std::env::current_exe().unwrap();
        let test = "tests::memory_is_kept_for_a_second_unless_the_environment_says_otherwise";
        let told = Command::new(this)
            .args([test, "--exact"])
            .env(NAME, "77")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success() && said.contains("1 passed"), "{said}");
    }
}
