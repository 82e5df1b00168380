//! Connections that are kept open, and loops that end with the test.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// A connection that is kept open, for one request after another.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Checks a key, and gives the status.
    pub(crate) fn check(&mut self, key: &str, verifier: &str) -> u16 {
        let line = format!("POST /api-keys/auth/{key}");
        self.ask(&line, verifier, "").unwrap()
    }

    /// Sends a request; `line` is such as `POST /api-keys`. Gives the status of the answer.
    pub(crate) fn ask(&mut self, line: &str, key: &str, body: &str) -> Result<u16> {
        self.send(line, key, body)?;
        let status = self.begin_answer()?;
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(status)
    }

    /// Reads an answer's first line, which has its status.
    pub(crate) fn begin_answer(&mut self) -> Result<u16> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1);
        Ok(status.map_or(0, |status| status.parse().unwrap()))
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, line: &str, key: &str, body: &str) -> Result<()> {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\r\n\
             {body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())
    }

    /// Sends what is no whole request.
    pub(crate) fn send_part(&mut self, part: &str) -> Result<()> {
        self.0.get_mut().write_all(part.as_bytes())
    }
}

/// Sets a flag when it goes, also by a panic, so that whoever loops until then ends.
pub(crate) struct AtTheEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
