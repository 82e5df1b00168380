//! A load of our own, for what wrk cannot do: a steady rate, every key exactly once, and bodies.
//!
//! One thread. Where it has a core to spend it never sleeps at a steady rate, since it would wake late by
//! as much as what is measured; otherwise it waits, so that what is beside it on its core has the rest of that.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::machine::now;

/// How many requests, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many, each as soon as a connection is free.
    Count(u64),
    /// As many as are answered in that time.
    For(Duration),
    /// So many a second, for that time. A request that no connection is free for is sent late, and
    /// its latency begins when it was due.
    Rate(f64, Duration),
    /// The same where something else is at work on the same core.
    Beside(f64, Duration),
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Requests that were answered with a success.
    pub(crate) answered: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    latencies: Vec<Duration>,
}

impl Load {
    /// Adds what came of another.
    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.took += other.took;
        self.latencies.extend(other.latencies);
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.answered) / self.took.as_secs_f64()
    }

    /// The latency, in milliseconds, that so many in a hundred answers did not exceed.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        let place = (self.latencies.len() * percent).div_ceil(100);
        let found = self.latencies.get(place.saturating_sub(1));
        found.map_or(f64::NAN, |one| one.as_secs_f64() * 1_000.0)
    }
}

/// A count as a number to reckon with.
#[expect(
    clippy::cast_precision_loss,
    reason = "nothing here is counted beyond 2^53"
)]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// Sends requests over so many connections; `write` writes the one with that number. Any answer but
/// a success ends it.
pub(crate) fn run(
    address: &str,
    connections: usize,
    pace: Pace,
    mut write: impl FnMut(u64, &mut Vec<u8>),
) -> Result<Load> {
    if matches!(pace, Pace::Beside(..)) {
        // Whoever sleeps is woken by some 50 µs later otherwise.
        rustix::thread::set_current_timer_slack(NonZero::new(1))?;
    }
    let mut open = (0..connections)
        .map(|_| Line::open(address))
        .collect::<Result<Vec<_>>>()?;
    let mut idle: Vec<usize> = (0..connections).collect();
    let mut busy: Vec<usize> = Vec::with_capacity(connections);
    let mut latencies = Vec::new();
    let mut request = Vec::new();
    // Lists of tools are long, and a read for each of their pages would be what is measured.
    let mut part = vec![0; 64 * 1_024];
    let mut sent = 0;
    let start = now();
    loop {
        let mut at = now();
        while let Some(&free) = idle.last()
            && let Some(due) = pace.due(sent, start, at)
        {
            idle.pop();
            request.clear();
            write(sent, &mut request);
            open[free].send(&request, due)?;
            busy.push(free);
            sent += 1;
            at = now();
        }
        let ready = match pace.rest(idle.is_empty(), sent, start, at) {
            Some(most) => Some(ready(&open, most)?),
            None => None,
        };
        let mut looked = 0;
        while let Some(&one) = busy.get(looked) {
            let has_more = ready.as_ref().is_none_or(|ready| ready[one]);
            if has_more && open[one].has_answer(&mut part)? {
                latencies.push(now().saturating_duration_since(open[one].due));
                busy.swap_remove(looked);
                idle.push(one);
            } else {
                looked += 1;
            }
        }
        if busy.is_empty() && pace.is_over(sent, start, now()) {
            break;
        }
    }
    Ok(Load {
        answered: sent,
        took: now() - start,
        latencies,
    })
}

impl Pace {
    /// When the next request was due, if it is by now.
    fn due(self, sent: u64, start: Instant, now: Instant) -> Option<Instant> {
        if self.is_over(sent, start, now) {
            return None;
        }
        match self {
            Self::Count(_) | Self::For(_) => Some(now),
            Self::Rate(rate, _) | Self::Beside(rate, _) => {
                let due = due_at(start, sent, rate);
                (due <= now).then_some(due)
            }
        }
    }

    /// For how long answers may be waited for, where they may: for ever, or until the next request is due.
    fn rest(self, are_all_busy: bool, sent: u64, start: Instant, now: Instant) -> Option<Rest> {
        match self {
            Self::Rate(..) => None,
            _ if are_all_busy => Some(Rest::UntilAnswered),
            Self::Beside(rate, _) if !self.is_over(sent, start, now) => {
                let due = due_at(start, sent, rate);
                Some(Rest::AtMost(due.saturating_duration_since(now)))
            }
            _ => None,
        }
    }

    fn is_over(self, sent: u64, start: Instant, now: Instant) -> bool {
        match self {
            Self::Count(all) => sent >= all,
            Self::For(time) => now - start >= time,
            // All that was due by then is sent, however late.
            Self::Rate(rate, time) | Self::Beside(rate, time) => {
                due_at(start, sent, rate) >= start + time
            }
        }
    }
}

fn due_at(start: Instant, sent: u64, rate: f64) -> Instant {
    start + Duration::from_secs_f64(count(sent) / rate)
}

/// How long answers are waited for.
#[derive(Clone, Copy, Debug)]
enum Rest {
    UntilAnswered,
    AtMost(Duration),
}

/// Waits until something has come over one of the connections, and tells over which.
fn ready(open: &[Line], rest: Rest) -> Result<Vec<bool>> {
    let most = match rest {
        Rest::UntilAnswered => None,
        Rest::AtMost(time) => Some(Timespec::try_from(time)?),
    };
    let mut all: Vec<_> = open
        .iter()
        .map(|line| PollFd::new(&line.stream, PollFlags::IN))
        .collect();
    poll(&mut all, most.as_ref()).context("cannot wait for answers")?;
    Ok(all.iter().map(|one| !one.revents().is_empty()).collect())
}

/// A connection with at most one request under way.
struct Line {
    stream: TcpStream,
    due: Instant,
    read: Vec<u8>,
}

impl Line {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: now(),
            read: Vec::with_capacity(4_096),
        })
    }

    fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        self.due = due;
        self.read.clear();
        let sent = self.stream.write(request).context("cannot send")?;
        ensure!(sent == request.len(), "a request did not fit the socket");
        Ok(())
    }

    /// Reads what has come; whether the answer is whole.
    fn has_answer(&mut self, part: &mut [u8]) -> Result<bool> {
        match self.stream.read(part) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(length) => self.read.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("cannot read an answer"),
        }
        let Some(whole) = length_of(&self.read)? else {
            return Ok(false);
        };
        ensure!(self.read.len() <= whole, "more than one answer came");
        Ok(self.read.len() == whole)
    }
}

/// How long an answer is, once its head is there. An answer that is no success is an error.
fn length_of(read: &[u8]) -> Result<Option<usize>> {
    const LENGTH: &str = "content-length:";
    let Some(head) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&read[..head]).context("the head of an answer is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    ensure!(
        status.starts_with("HTTP/1.1 2"),
        "an answer was no success: {status}"
    );
    let body = lines
        .find(|line| {
            let name = line.get(..LENGTH.len());
            name.is_some_and(|name| name.eq_ignore_ascii_case(LENGTH))
        })
        .context("an answer does not tell its length")?;
    let body: usize = body[LENGTH.len()..].trim().parse()?;
    Ok(Some(head + 4 + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_tells() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhel";
        assert_eq!(length_of(answer).unwrap(), Some(answer.len() + 2));
        assert_eq!(length_of(&answer[..30]).unwrap(), None);
        let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        assert!(length_of(refused).is_err());
    }

    #[test]
    fn requests_are_due_at_a_steady_rate() {
        let start = now();
        let pace = Pace::Rate(100.0, Duration::from_secs(1));
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pace.due(0, start, at(0)), Some(start));
        assert_eq!(pace.due(1, start, at(9)), None);
        assert_eq!(pace.due(1, start, at(50)), Some(at(10)));
        assert_eq!(pace.due(99, start, at(1_500)), Some(at(990)));
        assert_eq!(pace.due(100, start, at(1_500)), None);
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let mut load = Load {
            answered: 4,
            took: Duration::from_secs(1),
            latencies: [4, 1, 3, 2].map(Duration::from_millis).to_vec(),
        };
        assert!((load.percentile(50) - 2.0).abs() < 1e-9);
        assert!((load.percentile(99) - 4.0).abs() < 1e-9);
    }
}
