//! The head of a request that may be answered from memory: HTTP/1.1, without a body, and with nothing
//! that asks for more than an answer. All others are hyper's to read.

use std::mem::MaybeUninit;

use claviger_edge::{Asked, Fields};
use http::HeaderName;
use httparse::{Header, Request, Status};

/// Header fields of a head, at most.
pub(super) const MOST_FIELDS: usize = 32;

/// Where the fields of a head are noted while it is read.
pub(super) type Room<'a> = [MaybeUninit<Header<'a>>; MOST_FIELDS];

/// What was read.
pub(super) enum Read<'a> {
    /// A whole head, of so many bytes.
    Whole(Head<'a>, usize),
    /// The beginning of one.
    Part,
    /// Something else.
    Other,
}

/// The head of a request without a body.
pub(super) struct Head<'a> {
    method: &'a str,
    target: &'a str,
    fields: Found<'a>,
}

/// Header fields as they were sent.
struct Found<'a>(&'a [Header<'a>]);

impl Fields for Found<'_> {
    fn value(&self, name: &HeaderName) -> Option<&[u8]> {
        let name = name.as_str();
        let mut fields = self.0.iter();
        let found = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value)
    }
}

impl Head<'_> {
    /// What is asked.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method,
            target: self.target,
            fields: &self.fields,
        }
    }
}

/// Reads a head from the beginning of `bytes`.
pub(super) fn read<'a>(bytes: &'a [u8], room: &'a mut Room<'a>) -> Read<'a> {
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, room) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Read::Part,
        Err(_) => return Read::Other,
    };
    let (Some(1), Some(method), Some(target)) = (request.version, request.method, request.path)
    else {
        return Read::Other;
    };
    let fields: &[Header<'_>] = request.headers;
    if !fields.iter().all(asks_for_an_answer_only) {
        return Read::Other;
    }
    let head = Head {
        method,
        target,
        fields: Found(fields),
    };
    Read::Whole(head, length)
}

/// Whether a field leaves it at a request without a body, on a connection that stays as it is.
fn asks_for_an_answer_only(field: &Header<'_>) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    match field.name.len() {
        // Also a list of lengths is more than is read here.
        14 if is("content-length") => field.value == b"0",
        10 if is("connection") => field.value.eq_ignore_ascii_case(b"keep-alive"),
        17 if is("transfer-encoding") => false,
        6 if is("expect") => false,
        7 if is("upgrade") => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(head: &str) -> bool {
        let mut room = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        matches!(read(head.as_bytes(), &mut room), Read::Whole(_, length) if length == head.len())
    }

    #[test]
    fn only_requests_that_end_with_their_head_are_read() {
        let line = "POST /x HTTP/1.1\r\n";
        for fields in [
            "",
            "Host: one\r\nX-API-Key: two\r\n",
            "Content-Length: 0\r\nConnection: Keep-Alive\r\n",
        ] {
            assert!(is_read(&format!("{line}{fields}\r\n")), "{fields}");
        }
        let many = "a: b\r\n".repeat(MOST_FIELDS + 1);
        for fields in [
            "content-length: 1\r\n",
            "content-length: 00\r\n",
            "content-length: 0\r\ncontent-length: 5\r\n",
            "content-length: 0, 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding: identity\r\n",
            "expect: 100-continue\r\n",
            "upgrade: h2c\r\n",
            "connection: close\r\n",
            "connection: keep-alive, upgrade\r\n",
            "folded: one\r\n two\r\n",
            "space : one\r\n",
            many.as_str(),
        ] {
            assert!(!is_read(&format!("{line}{fields}\r\n")), "{fields}");
        }
        for other in [
            "POST /x HTTP/1.0\r\n\r\n",
            "POST /x HTTP/2.0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert!(!is_read(other), "{other}");
        }
    }

    #[test]
    fn the_first_of_several_fields_counts_whatever_its_case() {
        let mut room = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let head = b"POST /x HTTP/1.1\r\nX-Api-KEY:  one \r\nx-api-key: two\r\n\r\n";
        let Read::Whole(head, _) = read(head, &mut room) else {
            panic!("it is not read");
        };
        let name = HeaderName::from_static("x-api-key");
        assert_eq!(head.asked().fields.text(&name), Some("one"));
    }
}
