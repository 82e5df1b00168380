//! Each hour removes mails that are files and past their time. They are of this program alone, whatever
//! other programs over the same database do.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use claviger_domain::time::Timestamp;
use claviger_edge::Core;
use claviger_outbound::mail::forget_files;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Duration;

use super::{each, goes_on};
use crate::config::KeptFor;

const PERIOD: Duration = Duration::from_hours(1);
const DAY_SECONDS: i64 = 86_400;

pub(super) async fn run(
    core: Core,
    outbox: PathBuf,
    kept: KeptFor,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = each(PERIOD);
    while goes_on(&mut ticks, &mut stopped).await {
        if let Err(error) = turn(outbox.clone(), kept, core.now()).await {
            let error = &error as &dyn Error;
            tracing::error!(
                error,
                "mails in outbox/ that are past their time stay for now"
            );
        }
    }
}

/// Removes what is past its time; gives how many mails that were.
async fn turn(outbox: PathBuf, kept: KeptFor, now: Timestamp) -> io::Result<u64> {
    let KeptFor::Days(days) = kept else {
        return Ok(0);
    };
    let before = now.plus_seconds(-DAY_SECONDS * i64::from(days));
    spawn_blocking(move || forget_files(&outbox, before))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn mails_stay_as_long_as_is_said() {
        let outbox = tempfile::tempdir().unwrap();
        let now = Timestamp::from_micros(30 * DAY_SECONDS * 1_000_000);
        for day in [22, 23, 24] {
            let name = format!("{}-mal_{day}.eml", day * DAY_SECONDS);
            fs::write(outbox.path().join(name), "a code").unwrap();
        }
        for (kept, removed) in [
            (KeptFor::Forever, 0),
            (KeptFor::Days(7), 1),
            (KeptFor::Days(6), 1),
            (KeptFor::Days(6), 0),
        ] {
            let done = turn(outbox.path().to_owned(), kept, now).await;
            assert_eq!(done.unwrap(), removed, "{kept:?}");
        }
    }
}
