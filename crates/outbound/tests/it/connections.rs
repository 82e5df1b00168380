//! Connections to upstreams: kept, closed and never trusted further than an answer goes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use claviger_outbound::{
    Asking, Client, Guard, Refusal, Resolve, SystemResolver, Told, Unanswered, Upstreams,
};
use futures::future::{join_all, select, select_all};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::join;
use tokio::net::{TcpListener, TcpStream};

use crate::guard::Lying;

mod both_ways;

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// An upstream whose every byte is the test's.
struct Upstream {
    listener: TcpListener,
    url: String,
    address: SocketAddr,
}

/// A connection, seen from there.
struct Line(TcpStream);

impl Upstream {
    async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            listener,
            url: format!("http://{address}/a"),
            address,
        }
    }

    async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    async fn line(&self) -> Line {
        Line(self.listener.accept().await.unwrap().0)
    }

    /// Fails where somebody connected of whom nobody knew.
    async fn has_no_other_line(&self) {
        let own = TcpStream::connect(self.address).await.unwrap();
        let (_, next) = self.listener.accept().await.unwrap();
        assert_eq!(next, own.local_addr().unwrap());
    }
}

impl Line {
    /// Reads a request's head, and a body of that many bytes.
    async fn heard(&mut self, body: usize) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            heard.push(self.0.read_u8().await.unwrap());
        }
        let length = heard.len();
        heard.resize(length + body, 0);
        self.0.read_exact(&mut heard[length..]).await.unwrap();
        String::from_utf8(heard).unwrap()
    }

    async fn say(&mut self, answer: &[u8]) {
        self.0.write_all(answer).await.unwrap();
    }

    async fn answer(&mut self) {
        self.heard(0).await;
        self.say(FINE).await;
    }

    /// Waits until the other side hangs up.
    async fn has_ended(&mut self) {
        let mut rest = Vec::new();
        drop(self.0.read_to_end(&mut rest).await);
        assert!(rest.is_empty(), "{rest:?}");
    }
}

fn with(resolver: Arc<dyn Resolve>) -> Upstreams {
    let guard = Guard {
        allow_private: true,
        ..Guard::default()
    };
    Upstreams::new(Client::new(guard, resolver))
}

fn here() -> Upstreams {
    with(Arc::new(SystemResolver))
}

fn asking(upstreams: &Upstreams, url: &str) -> Asking {
    Asking {
        method: Method::GET,
        target: upstreams.client().target(url).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

async fn ask_at(upstreams: &Upstreams, url: &str, second: i64) -> Result<Told, Unanswered> {
    let now = Timestamp::from_micros(second * 1_000_000);
    upstreams.ask(asking(upstreams, url), now).await
}

async fn ask(upstreams: &Upstreams, url: &str) -> Result<Told, Unanswered> {
    ask_at(upstreams, url, 0).await
}

fn is_fine(told: Result<Told, Unanswered>) {
    assert_eq!(&told.unwrap().body[..], b"{}");
}

/// What is told of a call that comes over another line.
async fn ask_anew(upstreams: &Upstreams, upstream: &Upstream) -> Result<Told, Unanswered> {
    let (told, ()) = join!(ask(upstreams, &upstream.url), async {
        upstream.line().await.answer().await;
    });
    told
}

const UNREACHABLE: Unanswered = Unanswered::Refused(Refusal::Unreachable);

#[tokio::test]
async fn a_request_is_written_as_it_is_asked() {
    let upstreams = here();
    let six = Upstream::at("[::1]:0").await;
    let four = Upstream::start().await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-one", "1"),
        ("user-agent", "mine"),
        ("x-one", "2"),
        ("accept", "application/json"),
        ("authorization", "Bearer x"),
        ("host", "elsewhere.example"),
    ] {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let plain = format!("{}/%7E%41?b='{{é}}&c=%20", six.url);
    let plain = asking(&upstreams, &plain);
    let full = Asking {
        method: Method::PUT,
        headers,
        body: Bytes::from_static(b"{\"a\":1}"),
        ..asking(&upstreams, &four.url)
    };
    let empty = Asking {
        method: Method::POST,
        ..asking(&upstreams, &format!("http://{}", four.address))
    };
    let (six_at, four_at) = (six.address, four.address);
    // What a client library wrote before, byte for byte, but for the length of what is nothing.
    for (upstream, asking, length, expected) in [
        (
            &six,
            plain,
            0,
            format!(
                "GET /a/%7E%41?b=%27{{%C3%A9}}&c=%20 HTTP/1.1\r\naccept: */*\r\nuser-agent: claviger\r\n\
                 host: {six_at}\r\n\r\n"
            ),
        ),
        (
            &four,
            full,
            7,
            "PUT /a HTTP/1.1\r\nx-one: 1\r\nx-one: 2\r\nuser-agent: mine\r\naccept: application/json\r\n\
             authorization: Bearer x\r\nhost: elsewhere.example\r\ncontent-length: 7\r\n\r\n{\"a\":1}"
                .to_owned(),
        ),
        (
            &four,
            empty,
            0,
            format!(
                "POST / HTTP/1.1\r\naccept: */*\r\nuser-agent: claviger\r\nhost: {four_at}\r\n\
                 content-length: 0\r\n\r\n"
            ),
        ),
    ] {
        let upstreams = here();
        let (told, heard) = join!(upstreams.ask(asking, Timestamp::from_micros(0)), async {
            let mut line = upstream.line().await;
            let heard = line.heard(length).await;
            line.say(FINE).await;
            heard
        });
        is_fine(told);
        assert_eq!(heard, expected);
    }
}

#[tokio::test]
async fn the_connection_that_was_used_last_is_used_again() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let [one, other] = [(); 2].map(|()| Box::pin(ask(&upstreams, &upstream.url)));
    let (first, (_line, mut last)) = join!(select(one, other), async {
        let (mut one, mut other) = (upstream.line().await, upstream.line().await);
        one.heard(0).await;
        other.heard(0).await;
        one.say(FINE).await;
        (one, other)
    });
    let (first, second) = first.factor_first();
    is_fine(first);
    let (second, ()) = join!(second, last.say(FINE));
    is_fine(second);
    for _ in 0..3 {
        let (told, ()) = join!(ask(&upstreams, &upstream.url), last.answer());
        is_fine(told);
    }
    upstream.has_no_other_line().await;
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    for _ in 0..3 {
        let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
            let mut line = upstream.line().await;
            line.answer().await;
            line.0.shutdown().await.unwrap();
            line.has_ended().await;
        });
        is_fine(told);
    }
    // One whose answer says so is not kept either.
    for _ in 0..2 {
        let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
            let mut line = upstream.line().await;
            line.heard(0).await;
            line.say(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}")
                .await;
            line.0.shutdown().await.unwrap();
            line.has_ended().await;
        });
        is_fine(told);
    }
}

#[tokio::test]
async fn a_request_that_arrived_is_never_sent_again() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let (told, mut line) = join!(ask(&upstreams, &upstream.url), async {
        let mut line = upstream.line().await;
        line.answer().await;
        line
    });
    is_fine(told);
    let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
        line.heard(0).await;
        drop(line);
    });
    assert_eq!(told.unwrap_err(), UNREACHABLE);
    upstream.has_no_other_line().await;
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let more = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
        let mut line = upstream.line().await;
        line.heard(0).await;
        line.say(&[FINE, more].concat()).await;
        line.has_ended().await;
    });
    is_fine(told);
    let (told, mut line) = join!(ask(&upstreams, &upstream.url), async {
        let mut line = upstream.line().await;
        line.answer().await;
        line
    });
    is_fine(told);
    // While nobody asks.
    line.say(more).await;
    line.has_ended().await;
    is_fine(ask_anew(&upstreams, &upstream).await);
}

#[tokio::test]
async fn a_body_is_as_long_as_it_says_and_no_longer() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    for (parts, expected) in [
        (&["content-length: 4\r\n\r\nbody"][..], Ok("body")),
        (&["content-length: 4\r\n\r\n", "bo", "dy"], Ok("body")),
        (
            &["transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"],
            Ok("body"),
        ),
        (
            &[
                "transfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nbo\r",
                "\n1\r\nd\r\n1\r\ny\r\n",
                "0\r\nx: y\r\n\r\n",
            ],
            Ok("body"),
        ),
        (&["content-length: 0\r\n\r\n"], Ok("")),
        (&["\r\nbody"], Ok("body")),
        (&["content-length: 5\r\n\r\nbody"], Err(UNREACHABLE)),
        (
            &["transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n"],
            Err(UNREACHABLE),
        ),
        (
            &["content-length: 4\r\ncontent-length: 5\r\n\r\nbody!"],
            Err(UNREACHABLE),
        ),
        (
            &["content-length: 8388609\r\n\r\n"],
            Err(Unanswered::TooLarge),
        ),
        (
            &["content-length: 9223372036854775807\r\n\r\n"],
            Err(Unanswered::TooLarge),
        ),
    ] {
        let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
            let mut line = upstream.line().await;
            line.heard(0).await;
            line.say(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n")
                .await;
            for part in parts {
                line.say(part.as_bytes()).await;
                // So that parts may be read apart.
                tokio::task::yield_now().await;
            }
            drop(line.0.shutdown().await);
            line.has_ended().await;
        });
        let told = told.map(|told| {
            assert_eq!(told.status, StatusCode::OK);
            String::from_utf8(told.body.to_vec()).unwrap()
        });
        assert_eq!(told, expected.map(str::to_owned), "{parts:?}");
    }
}

#[tokio::test]
async fn a_body_of_which_too_much_comes_ends_its_connection() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
        let mut line = upstream.line().await;
        line.heard(0).await;
        line.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
        while line.0.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    assert_eq!(told.unwrap_err(), Unanswered::TooLarge);
    is_fine(ask_anew(&upstreams, &upstream).await);
}

#[tokio::test]
async fn an_answer_that_is_not_waited_for_ends_its_connection() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let mut line = tokio::select! {
        _ = ask(&upstreams, &upstream.url) => panic!("the answer never ends"),
        line = async {
            let mut line = upstream.line().await;
            line.heard(0).await;
            line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbo").await;
            line
        } => line,
    };
    line.has_ended().await;
    is_fine(ask_anew(&upstreams, &upstream).await);
}

#[tokio::test]
async fn an_answer_before_the_request_is_read_is_one_but_its_connection_is_not_kept() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let large = Asking {
        method: Method::POST,
        body: vec![b'x'; 32 * 1024 * 1024].into(),
        ..asking(&upstreams, &upstream.url)
    };
    let (told, line) = join!(upstreams.ask(large, Timestamp::from_micros(0)), async {
        let mut line = upstream.line().await;
        line.heard(0).await;
        line.say(FINE).await;
        line
    });
    is_fine(told);
    is_fine(ask_anew(&upstreams, &upstream).await);
    drop(line);
}

#[tokio::test]
async fn no_more_connections_rest_than_are_of_use() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let ask_many = |many: usize| {
        let asked = (0..many).map(|_| ask(&upstreams, &upstream.url));
        join_all(asked)
    };
    let (told, mut lines) = join!(ask_many(33), async {
        let mut lines = Vec::new();
        for _ in 0..33 {
            let mut line = upstream.line().await;
            line.heard(0).await;
            lines.push(line);
        }
        for line in &mut lines {
            line.say(FINE).await;
        }
        lines
    });
    told.into_iter().for_each(is_fine);
    let ended = lines.iter_mut().map(|line| Box::pin(line.has_ended()));
    let ((), ended, others) = select_all(ended).await;
    drop(others);
    drop(lines.swap_remove(ended));
    let answered = lines.iter_mut().map(Line::answer);
    let (told, _) = join!(ask_many(32), join_all(answered));
    told.into_iter().for_each(is_fine);
    upstream.has_no_other_line().await;
}

#[tokio::test]
async fn what_rests_is_closed_though_nobody_asks() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let (told, mut line) = join!(ask(&upstreams, &upstream.url), async {
        let mut line = upstream.line().await;
        line.answer().await;
        line
    });
    is_fine(told);
    // From here on, time passes while all wait.
    tokio::time::pause();
    line.has_ended().await;
}

#[tokio::test]
async fn addresses_are_believed_for_a_minute_and_then_checked_anew() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let own: IpAddr = "127.0.0.9".parse().unwrap();
    let guard = Guard {
        allow_private: true,
        own_addresses: vec![SocketAddr::new(own, port)],
        ..Guard::default()
    };
    let resolver = Lying::with(&[&["127.0.0.1"], &["127.0.0.9"], &["127.0.0.1"]]);
    let upstreams = Upstreams::new(Client::new(guard, resolver.clone()));
    let url = format!("http://rebound.example:{port}/");
    let (told, mut line) = join!(ask_at(&upstreams, &url, 0), async {
        let mut line = upstream.line().await;
        line.answer().await;
        line
    });
    is_fine(told);
    let (told, ()) = join!(ask_at(&upstreams, &url, 59), line.answer());
    is_fine(told);
    assert_eq!(resolver.left(), 2);
    // The name leads back to this program now: nothing goes there, and what was open is closed.
    let told = ask_at(&upstreams, &url, 60).await;
    assert_eq!(told.unwrap_err(), UNREACHABLE);
    line.has_ended().await;
    let (told, ()) = join!(ask_at(&upstreams, &url, 61), async {
        upstream.line().await.answer().await;
    });
    is_fine(told);
    assert_eq!(resolver.left(), 0);
}

#[tokio::test]
async fn connections_are_kept_by_origin_and_not_by_address() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let resolver = Lying::with(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let upstreams = with(resolver);
    for name in ["one.example", "other.example"] {
        let url = format!("http://{name}:{port}/");
        let (told, heard) = join!(ask(&upstreams, &url), async {
            let mut line = upstream.line().await;
            let heard = line.heard(0).await;
            line.say(FINE).await;
            heard
        });
        is_fine(told);
        assert!(heard.contains(&format!("host: {name}:{port}\r\n")));
    }
}
