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
        let mut place = 0;
        let is_others = loop {
            let mut room = [const { MaybeUninit::uninit() }; MOST_FIELDS];
            let (head, length) = match head::read(&read[place..], &mut room) {
                Read::Whole(head, length) => (head, length),
                Read::Part => break read.len() - place > LONGEST_HEAD,
                Read::Other => break true,
            };
            if !answer(head.asked(), &mut draft) {
                break true;
            }
            place += length;
            draft.write_to(&mut written);
            if written.len() > MOST_GATHERED {
                stream.write_all(&written).await.ok()?;
                written = Vec::new();
            }
        };
        if place > 0 {
            stream.write_all(&written).await.ok()?;
            written.clear();
            read.drain(..place);
            answered_at = Instant::now();
        }
        if is_others {
            return Some(read);
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
