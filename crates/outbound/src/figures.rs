//! Numbers of webhooks, for whoever watches the program: never by webhook or account.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

use crate::client::Refusal;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver took it.
    Delivered,
    /// It answered, and did not take it.
    Rejected,
    /// No request goes there.
    Blocked,
    /// Nothing answered.
    Unreachable,
    /// It took too long.
    Timeout,
    /// Its certificate is not good.
    Tls,
}

impl Sent {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Rejected,
        Self::Blocked,
        Self::Unreachable,
        Self::Timeout,
        Self::Tls,
    ];

    /// The outcome in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Blocked => "blocked",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
        }
    }

    pub(crate) fn of(answer: Result<StatusCode, Refusal>) -> Self {
        match answer {
            Ok(status) if status.is_success() => Self::Delivered,
            Ok(_) => Self::Rejected,
            Err(Refusal::Blocked) => Self::Blocked,
            Err(Refusal::Unreachable) => Self::Unreachable,
            Err(Refusal::Timeout) => Self::Timeout,
            Err(Refusal::Tls) => Self::Tls,
        }
    }
}

/// The numbers.
#[derive(Debug, Default)]
pub struct Figures {
    attempts: [AtomicU64; Sent::ALL.len()],
    disabled: AtomicU64,
    waiting: AtomicU64,
    oldest_us: AtomicU64,
}

impl Figures {
    /// Attempts by what they came to.
    pub fn attempts(&self) -> impl Iterator<Item = (Sent, u64)> {
        Sent::ALL.into_iter().zip(self.attempts.iter().map(read))
    }

    /// Webhooks that this program has disabled.
    pub fn disabled(&self) -> u64 {
        read(&self.disabled)
    }

    /// Deliveries that wait, when it was last looked.
    pub fn waiting(&self) -> u64 {
        read(&self.waiting)
    }

    /// For how long the delivery was due that was due longest and that nobody sent, in microseconds,
    /// when it was last looked.
    pub fn oldest_us(&self) -> u64 {
        read(&self.oldest_us)
    }

    pub(crate) fn sent(&self, sent: Sent) {
        self.attempts[sent as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disabled_one(&self) {
        self.disabled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn measured(&self, waiting: u64, oldest_us: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
        self.oldest_us.store(oldest_us, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
