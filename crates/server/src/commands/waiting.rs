//! Requests of a command that runs for long, sent again where the server says when to come again: it has no
//! room at this moment, its database is away, or the access key is over its own limit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Error, Result};
use indicatif::ProgressBar;

use super::client::{Answer, Asked, Client, ComeAgain, Heard};
use crate::output::tell;

/// How long one request waits in all: a database that moves to another machine is back by then.
const PATIENCE: Duration = Duration::from_mins(2);
/// From one try to the next, at least, whatever the server says.
const LEAST: Duration = Duration::from_secs(1);

/// What all requests of a command share that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// What is drawn where lines are told.
    bar: Option<ProgressBar>,
    /// Requests that were told to come again and have no other answer yet: the first of them is told of,
    /// and not each.
    requests: AtomicUsize,
}

impl Waiting {
    /// For a command that draws this.
    pub(super) fn beside(bar: Option<ProgressBar>) -> Self {
        Self {
            bar,
            requests: AtomicUsize::new(0),
        }
    }

    /// Sends a request until it has an answer, for as long as there is patience: one that may be sent
    /// twice.
    pub(super) async fn send(&self, client: &Client, asked: impl Fn() -> Asked) -> Result<Answer> {
        self.send_where(client, asked, |_| true).await
    }

    /// The same for one that must not: it is sent again only where nothing was done.
    pub(super) async fn send_once(
        &self,
        client: &Client,
        asked: impl Fn() -> Asked,
    ) -> Result<Answer> {
        self.send_where(client, asked, |again| again.nothing_done)
            .await
    }

    async fn send_where(
        &self,
        client: &Client,
        asked: impl Fn() -> Asked,
        may_repeat: impl Fn(ComeAgain) -> bool,
    ) -> Result<Answer> {
        let mut waited = Duration::ZERO;
        let mut is_waiting = false;
        let outcome = loop {
            let (refusal, after) = match client.hear(asked()).await {
                Err(error) => break Err(error),
                Ok(Heard::Answer(answer)) => break Ok(answer),
                Ok(Heard::Refusal(refusal, Some(again))) if may_repeat(again) => {
                    (refusal, again.after)
                }
                Ok(Heard::Refusal(refusal, _)) => break Err(refusal.into()),
            };
            let Some(pause) = pause(after, waited) else {
                let vain = format!(
                    "{} has no room: run this again later, what is there by now is left as it is",
                    client.url()
                );
                break Err(Error::from(refusal).context(vain));
            };
            if !is_waiting {
                is_waiting = true;
                if self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
                    self.tell(&format!(
                        "{} has no room now, waiting: {refusal}",
                        client.url()
                    ));
                }
            }
            waited += pause;
            tokio::time::sleep(pause).await;
        };
        if is_waiting {
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
        outcome
    }

    fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(line)),
            None => tell(line),
        }
    }
}

/// How long to wait where the server says so, after that much waiting; none where that is too long.
fn pause(after: Duration, waited: Duration) -> Option<Duration> {
    let pause = after.max(LEAST);
    (waited.checked_add(pause)? <= PATIENCE).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_longer_than_there_is_patience() {
        for seconds in [0, 1, 7, 59, 120] {
            let after = Duration::from_secs(seconds);
            let (mut waited, mut tries) = (Duration::ZERO, 0);
            while let Some(pause) = pause(after, waited) {
                assert_eq!(pause, after.max(LEAST));
                waited += pause;
                tries += 1;
            }
            assert_eq!(tries, 120 / seconds.max(1), "{seconds}");
        }
    }

    #[test]
    fn who_is_told_to_come_in_an_hour_is_refused_at_once() {
        for after in [
            Duration::from_secs(121),
            Duration::from_hours(1),
            Duration::MAX,
        ] {
            assert_eq!(pause(after, Duration::ZERO), None);
            assert_eq!(pause(after, LEAST), None);
        }
    }
}
