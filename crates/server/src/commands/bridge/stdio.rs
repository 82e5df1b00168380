//! Lines in and lines out, each by a thread of its own: standard input and output block.

use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the server takes at most: 4 MiB.
const LONGEST: usize = 4 * 1024 * 1024;
/// Lines that are read before they are sent.
const AHEAD: usize = 16;

/// A line of standard input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// It was longer than a server takes.
    TooLong,
    /// It is no UTF-8: a tool called with something like it would be called with something else.
    NoText,
}

/// The lines of standard input that have something in them.
pub(super) fn lines() -> mpsc::Receiver<io::Result<Line>> {
    let (give, take) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut input = io::stdin().lock();
        loop {
            let line = match next(&mut input) {
                Ok(Some(line)) => Ok(line),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let is_last = line.is_err();
            if give.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    take
}

fn next(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    loop {
        let mut bytes = Vec::new();
        let most = LONGEST as u64 + 1;
        if input.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let is_whole = bytes.ends_with(b"\n") || bytes.len() <= LONGEST;
        if !is_whole {
            skip_line(input)?;
            return Ok(Some(Line::TooLong));
        }
        let Ok(text) = std::str::from_utf8(bytes.trim_ascii()) else {
            return Ok(Some(Line::NoText));
        };
        if !text.is_empty() {
            return Ok(Some(Line::Text(text.to_owned())));
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let read = input.fill_buf()?;
        if read.is_empty() {
            return Ok(());
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(read.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// An answer on one line: line breaks between its members mean nothing, and end a message here.
pub(super) fn on_one_line(body: &Bytes) -> Bytes {
    let text = body.trim_ascii();
    if !text.contains(&b'\n') && !text.contains(&b'\r') {
        return body.slice_ref(text);
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => value.to_string().into(),
        Err(_) => body.clone(),
    }
}

/// Standard output, whoever writes to it; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Output {
    give: mpsc::UnboundedSender<Bytes>,
}

impl Output {
    /// Begins to write; what is returned with it completes when all is written and no clone is left. It
    /// ends too when nobody reads any more: that is no failure.
    pub(super) fn start() -> (Self, JoinHandle<()>) {
        let (give, mut take) = mpsc::unbounded_channel::<Bytes>();
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = io::stdout().lock();
            while let Some(line) = take.blocking_recv() {
                let mut line = line.to_vec();
                line.push(b'\n');
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        (Self { give }, writing)
    }

    /// Writes a line, once those before it are written.
    pub(super) fn write(&self, line: Bytes) {
        // Where nobody reads, the end is near.
        drop(self.give.send(line));
    }

    /// Completes when nobody reads any more.
    pub(super) async fn closed(&self) {
        self.give.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_told_and_the_next_is_read() {
        let long = "x".repeat(2 * LONGEST);
        let just = "y".repeat(LONGEST);
        let text = format!("\n{{}}\r\n{long}\n{just}\nlast");
        let mut input = io::Cursor::new(text);
        let mut lines = std::iter::from_fn(|| next(&mut input).unwrap());
        assert_eq!(lines.next(), Some(Line::Text("{}".to_owned())));
        assert_eq!(lines.next(), Some(Line::TooLong));
        assert_eq!(lines.next(), Some(Line::Text(just)));
        assert_eq!(lines.next(), Some(Line::Text("last".to_owned())));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn a_line_that_is_no_text_is_told_and_the_next_is_read() {
        let mut input = io::Cursor::new(b"{\"a\": \"\xff\"}\n{}\n");
        let mut lines = std::iter::from_fn(|| next(&mut input).unwrap());
        assert_eq!(lines.next(), Some(Line::NoText));
        assert_eq!(lines.next(), Some(Line::Text("{}".to_owned())));
    }

    #[test]
    fn an_answer_is_one_line() {
        let told = on_one_line(&Bytes::from_static(b"{\n \"a\": \"b\\nc\"\n}\n"));
        assert_eq!(told, &br#"{"a":"b\nc"}"#[..]);
        assert_eq!(on_one_line(&Bytes::from_static(b"{} ")), &b"{}"[..]);
    }
}
