//! The first part of each connection: requests that are answered from memory, read and answered as the
//! bytes that they are. With the first request of another kind the connection is hyper's.

use std::mem::MaybeUninit;
use std::pin::pin;
use std::time::Duration;

use claviger_edge::{Asked, Draft};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::head::{self, MOST_FIELDS, Read};
use super::wait;

/// Bytes that are read at once. Heads of checks have some hundred.
const ROOM: usize = 2 * 1_024;
/// The longest head that is waited for here.
const LONGEST_HEAD: usize = 8 * 1_024;
/// Bytes of answers that are gathered for requests that came together, about.
const MOST_GATHERED: usize = 16 * 1_024;

/// Answers what `answer` does until something else is asked, and gives what was read of that; none
/// when the connection is over, or the program stops.
///
/// `patience` is how long a head may take to arrive, and an idle connection may wait for one.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a connection waits is measured by what its timer runs by"
)]
pub(super) async fn answer<S>(
    stream: &mut S,
    answer: impl Fn(Asked<'_>, &mut Draft) -> bool,
    patience: Duration,
    stopped: watch::Receiver<bool>,
) -> Option<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stop = pin!(wait(stopped.clone()));
    let mut answered_at = Instant::now();
    // Set anew when it is over, not with each answer: that would cost each of them.
    let mut late = pin!(tokio::time::sleep_until(answered_at + patience));
    let (mut read, mut written) = (Vec::new(), Vec::new());
    let mut draft = Draft::default();
    loop {
        let (taken, next) = take(&read, &answer, &mut draft, &mut written);
        if taken > 0 {
            stream.write_all(&written).await.ok()?;
            // Over TLS what was written may still be here.
            stream.flush().await.ok()?;
            written.clear();
            written.shrink_to(MOST_GATHERED);
            read.drain(..taken);
            answered_at = Instant::now();
        }
        match next {
            Next::Others => return Some(read),
            Next::More => {}
            Next::Again => continue,
        }
        // A connection that always has something to read would never look at the other arms.
        if stopped.has_changed().unwrap_or(true) {
            return None;
        }
        read.reserve(ROOM);
        loop {
            tokio::select! {
                biased;
                received = stream.read_buf(&mut read) => match received {
                    Ok(1..) => break,
                    Ok(0) | Err(_) => return None,
                },
                () = &mut late => {
                    let until = answered_at + patience;
                    if until <= Instant::now() {
                        return None;
                    }
                    late.as_mut().reset(until);
                }
                () = &mut stop => return None,
            }
        }
    }
}

/// What comes after the requests that were answered.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// What was not read yet.
    More,
    /// More of what was read, once the answers are sent.
    Again,
    /// What is not answered from memory.
    Others,
}

/// Answers the requests at the beginning of `read`, and gives how many bytes they were.
fn take(
    read: &[u8],
    answer: impl Fn(Asked<'_>, &mut Draft) -> bool,
    draft: &mut Draft,
    written: &mut Vec<u8>,
) -> (usize, Next) {
    let mut taken = 0;
    loop {
        let mut room = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let (head, length) = match head::read(&read[taken..], &mut room) {
            Read::Whole(head, length) if length <= LONGEST_HEAD => (head, length),
            Read::Part if read.len() - taken <= LONGEST_HEAD => return (taken, Next::More),
            _ => return (taken, Next::Others),
        };
        if written.len() > MOST_GATHERED {
            return (taken, Next::Again);
        }
        if !answer(head.asked(), draft) {
            return (taken, Next::Others);
        }
        taken += length;
        draft.write_to(written);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const KNOWN: &str = "POST /memory HTTP/1.1\r\n\r\n";

    /// Answers `POST /memory` with its path.
    fn by_path(asked: Asked<'_>, draft: &mut Draft) -> bool {
        draft.begin();
        draft.body().extend_from_slice(asked.target.as_bytes());
        asked.target == "/memory"
    }

    /// What was answered to `sent`, a piece at a time, and what is left of it.
    async fn exchange(pieces: &[&str]) -> (String, Option<Vec<u8>>) {
        // So little room that no piece, and no answer, passes at once.
        let (mut ours, mut theirs) = duplex(16);
        let (_stays_open, stopped) = watch::channel(false);
        let patience = Duration::from_secs(10);
        let serving = async {
            let left = answer(&mut ours, by_path, patience, stopped).await;
            drop(ours);
            left
        };
        let asking = async {
            let (mut reading, mut writing) = tokio::io::split(&mut theirs);
            let mut text = String::new();
            let sending = async {
                for piece in pieces {
                    writing.write_all(piece.as_bytes()).await.ok();
                }
                writing.shutdown().await.ok();
            };
            let ((), read) = tokio::join!(sending, reading.read_to_string(&mut text));
            read.unwrap();
            text
        };
        let (left, text) = tokio::join!(serving, asking);
        (text, left)
    }

    #[tokio::test(start_paused = true)]
    async fn heads_in_pieces_are_answered_once_they_are_whole() {
        let pieces = [
            "POST /mem",
            "ory HTTP/1.1\r\nhost: lo",
            "cal\r\n",
            "\r\nPOST /me",
        ];
        let (text, left) = exchange(&pieces).await;
        assert_eq!(text.matches("/memory").count(), 1, "{text}");
        assert_eq!(left, None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_at_once_are_all_answered_and_the_first_other_is_left() {
        let many = KNOWN.repeat(5_000);
        let (text, left) = exchange(&[&many, "GET /other HTTP/1.1\r\n\r\n", KNOWN]).await;
        assert_eq!(text.matches("/memory").count(), 5_000);
        let left = String::from_utf8(left.unwrap()).unwrap();
        assert!(left.starts_with("GET /other"), "{left}");
    }

    #[test]
    fn no_more_answers_are_gathered_than_there_is_room_for() {
        let many = KNOWN.repeat(5_000);
        let (mut draft, mut written) = (Draft::default(), Vec::new());
        let (taken, next) = take(many.as_bytes(), by_path, &mut draft, &mut written);
        assert_eq!(next, Next::Again);
        assert!(taken > 0 && written.len() < 2 * MOST_GATHERED);
    }

    #[test]
    fn long_heads_are_left_whole_or_in_part() {
        let mut draft = Draft::default();
        let long = "x".repeat(LONGEST_HEAD);
        for end in ["", "\r\n\r\n"] {
            let head = format!("POST /memory HTTP/1.1\r\na: {long}{end}");
            let (taken, next) = take(head.as_bytes(), by_path, &mut draft, &mut Vec::new());
            assert_eq!((taken, next), (0, Next::Others));
        }
    }
}
