//! How far a copy is, for whoever waits for it.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often somebody looks at how long a copy is.
const GLANCE: Duration = Duration::from_millis(200);

/// Waits for work that fills `file` up to some `bytes`, and shows a bar where somebody watches.
pub(super) async fn shown<T>(
    what: &str,
    file: &Path,
    bytes: u64,
    work: impl Future<Output = T>,
) -> T {
    if !stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new(bytes.max(1));
    if let Ok(style) = ProgressStyle::with_template("{msg}  {bar:30} {bytes} of {total_bytes}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    let mut work = std::pin::pin!(work);
    let mut glances = tokio::time::interval(GLANCE);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = glances.tick() => {
                let length = file.metadata().map_or(0, |found| found.len());
                bar.set_position(length.min(bytes));
            }
        }
    };
    bar.finish_and_clear();
    done
}
