//! What the program logs, for tests that look at it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

thread_local! {
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps what this thread logs, at every level, from its making on.
///
/// There is one subscriber for all tests of a process, since one that comes later and for one thread
/// only may miss an event: another thread that meets it first finds that nobody listens, and that is
/// what is remembered of it.
#[derive(Debug)]
pub struct Logs(());

impl Logs {
    /// Begins to keep what this thread logs.
    pub fn of_this_thread() -> Self {
        listen();
        KEPT.set(Some(Vec::new()));
        Self(())
    }

    /// Ends it, and gives what was kept.
    pub fn text(self) -> String {
        let kept = KEPT.take().unwrap_or_default();
        String::from_utf8(kept).expect("logs are text")
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}

/// Listens to all events of this process, before the first of them.
pub(crate) fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let is_kept = dynamic_filter_fn(|_, _| KEPT.with_borrow(Option::is_some));
        let layer = fmt::layer().with_ansi(false).with_writer(|| Kept);
        tracing_subscriber::registry()
            .with(layer.with_filter(is_kept))
            .init();
    });
}

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| {
            if let Some(kept) = kept {
                kept.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
