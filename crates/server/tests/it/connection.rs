//! A connection that is kept open, for one request after another.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

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
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or(ErrorKind::InvalidData)?;
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

    /// A line of the head, in small letters.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_ascii_lowercase())
    }
}
