//! Connections that are kept open, and loops that end with the test.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

/// A connection for one request after another.
pub(crate) struct Connection(BufReader<TcpStream>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
    pub(crate) body: Value,
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Checks a key, and gives the status.
    pub(crate) fn check(&mut self, key: &str, verifier: &str) -> io::Result<u16> {
        let line = format!("POST /api-keys/auth/{key}");
        Ok(self.ask(&line, verifier, &Value::Null)?.status)
    }

    /// Sends a request, and waits for its answer.
    pub(crate) fn ask(&mut self, line: &str, key: &str, body: &Value) -> io::Result<Answer> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.ask_text(line, key, &body)
    }

    /// The same with a body that may be no JSON.
    pub(crate) fn ask_text(&mut self, line: &str, key: &str, body: &str) -> io::Result<Answer> {
        self.exchange(&format!("{}{body}", head(line, key, body.len())))
    }

    /// The same without a credential, from an address that a proxy tells.
    pub(crate) fn ask_from(&mut self, line: &str, from: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        self.exchange(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {from}\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
    }

    fn exchange(&mut self, request: &str) -> io::Result<Answer> {
        self.send(request)?;
        let status = self.begin_answer()?;
        let (mut length, mut has_retry_after) = (0, false);
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(("retry-after", _)) => has_retry_after = true,
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer {
            status,
            has_retry_after,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    /// Sends a part of a request, or a whole one.
    pub(crate) fn send(&mut self, part: &str) -> io::Result<()> {
        self.0.get_mut().write_all(part.as_bytes())
    }

    /// Reads the first line of an answer, and gives its status.
    pub(crate) fn begin_answer(&mut self) -> io::Result<u16> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        Ok(status.ok_or(ErrorKind::InvalidData)?)
    }

    /// A line of the head, in small letters.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_ascii_lowercase())
    }
}

/// The head of a request with a body that long.
pub(crate) fn head(line: &str, key: &str, length: usize) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Sets a flag when it goes, also by a panic, so that whoever loops until then ends.
pub(crate) struct AtTheEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
