//! The table of requests that are not sent: literals, names that lie, redirects, proxies, ourselves.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::Method;
use claviger_outbound::{Client, Guard, Outgoing, Refusal, Resolve, SystemResolver, TargetFault};
use claviger_testkit::Receiver;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode, header};

/// A resolver that answers from a list, one answer after another.
#[derive(Debug, Default)]
pub(crate) struct Lying {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
}

impl Lying {
    pub(crate) fn with(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
        })
    }

    pub(crate) fn left(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

impl Resolve for Lying {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let answer = self.answers.lock().unwrap().pop_front();
        async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) }.boxed()
    }
}

fn guarded(resolver: Arc<dyn Resolve>) -> Client {
    Client::new(Guard::default(), resolver)
}

fn outgoing() -> Outgoing {
    Outgoing {
        method: Method::Post,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
    }
}

async fn sent(client: &Client, url: &str) -> Result<StatusCode, Refusal> {
    let target = client.target(url).unwrap();
    let now = Timestamp::from_micros(0);
    let answer = client.send(&target, outgoing(), now).await;
    answer.map(|answer| answer.status)
}

#[tokio::test]
async fn ssrf_table_literals_are_refused_alike() {
    let client = guarded(Arc::new(SystemResolver));
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "168.63.129.16",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:5601:5601]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}/");
            assert_eq!(sent(&client, &url).await, Err(Refusal::Blocked), "{url}");
        }
    }
}

#[tokio::test]
async fn ssrf_table_a_name_is_where_its_addresses_are() {
    let localhost = guarded(Arc::new(SystemResolver));
    // As a name that nobody has: else names of inside could be told from others.
    assert_eq!(
        sent(&localhost, "http://localhost/").await,
        Err(Refusal::Unreachable)
    );
    for answer in [
        "127.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ] {
        let client = guarded(Lying::with(&[&[answer]]));
        let refused = sent(&client, "http://rebound.example/").await;
        assert_eq!(refused, Err(Refusal::Unreachable), "{answer}");
    }
    let nowhere = guarded(Lying::with(&[]));
    assert_eq!(
        sent(&nowhere, "http://nowhere.example/").await,
        Err(Refusal::Unreachable)
    );
}

/// The receiver is on this machine, so that the guard is open here: what is shown is that the one
/// address that was looked at is the one that is dialled.
#[tokio::test]
async fn ssrf_table_rebinding_changes_nothing_after_the_look() {
    let receiver = Receiver::start().await;
    let (_, port) = receiver.url.rsplit_once(':').unwrap();
    let resolver = Lying::with(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let guard = Guard {
        allow_private: true,
        ..Guard::default()
    };
    let client = Client::new(guard, resolver.clone());
    let url = format!("http://rebound.example:{port}/");
    assert_eq!(sent(&client, &url).await, Ok(StatusCode::NO_CONTENT));
    assert_eq!((resolver.left(), receiver.received().len()), (1, 1));
    assert_eq!(
        receiver.received()[0].header("host"),
        format!("rebound.example:{port}")
    );
}

#[tokio::test]
async fn ssrf_table_of_several_addresses_the_private_ones_are_not_dialled() {
    // TEST-NET addresses are refused like the others, so that nothing is dialled at all here.
    let client = guarded(Lying::with(&[&["127.0.0.1", "192.0.2.1", "10.0.0.1"]]));
    assert_eq!(
        sent(&client, "http://mixed.example/").await,
        Err(Refusal::Unreachable)
    );
}

#[tokio::test]
async fn ssrf_table_only_ports_of_the_web_or_configured_ones() {
    let client = guarded(Arc::new(SystemResolver));
    for port in ["22", "25", "3306", "5432", "6379", "8420", "9200"] {
        let url = format!("http://example.com:{port}/");
        assert_eq!(client.target(&url), Err(TargetFault::Port), "{port}");
    }
    for url in [
        "http://example.com/",
        "https://example.com/",
        "https://example.com:8443/",
    ] {
        assert!(client.target(url).is_ok(), "{url}");
    }
    let guard = Guard {
        ports: vec![8080],
        ..Guard::default()
    };
    let configured = Client::new(guard, Arc::new(SystemResolver));
    assert!(configured.target("http://example.com:8080/").is_ok());
    assert_eq!(
        sent(&configured, "http://127.0.0.1:8080/").await,
        Err(Refusal::Blocked)
    );
}

#[tokio::test]
async fn ssrf_table_a_redirect_is_an_answer() {
    let inner = Receiver::start().await;
    let location = inner.url.clone();
    let outer = Receiver::answering(move |_| {
        let location = location.clone();
        async move {
            (
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, location)],
            )
        }
    })
    .await;
    let guard = Guard {
        allow_private: true,
        ..Guard::default()
    };
    let client = Client::new(guard, Arc::new(SystemResolver));
    let answer = sent(&client, &outer.url).await;
    assert_eq!(answer, Ok(StatusCode::TEMPORARY_REDIRECT));
    assert!(inner.received().is_empty());
}

#[tokio::test]
async fn ssrf_table_own_origin_by_address_and_by_name() {
    let own = Receiver::start().await;
    let address: SocketAddr = own.url.strip_prefix("http://").unwrap().parse().unwrap();
    let guard = Guard {
        allow_private: true,
        own_addresses: vec![address],
        own_url: Some("https://keys.example.com".to_owned()),
        ..Guard::default()
    };
    let client = Client::new(guard, Lying::with(&[&["127.0.0.1"], &["::ffff:127.0.0.1"]]));
    let port = address.port();
    for url in [
        own.url.clone(),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "https://keys.example.com/".to_owned(),
        "http://keys.example.com/".to_owned(),
    ] {
        assert_eq!(sent(&client, &url).await, Err(Refusal::Blocked), "{url}");
    }
    for path in ["", "again"] {
        let url = format!("http://another-name.example:{port}/{path}");
        assert_eq!(
            sent(&client, &url).await,
            Err(Refusal::Unreachable),
            "{url}"
        );
    }
    assert!(own.received().is_empty());
}

#[tokio::test]
async fn what_is_refused_says_one_word_without_the_url() {
    let client = Client::new(
        Guard {
            allow_private: true,
            ..Guard::default()
        },
        Arc::new(SystemResolver),
    );
    // A port on which nothing listens any more, and one that does not speak TLS.
    let gone = Receiver::start().await.url.clone();
    let plain = Receiver::start().await;
    let unreachable = sent(&client, &format!("{gone}/secret?token=x")).await;
    let words = [
        Refusal::Blocked,
        Refusal::Unreachable,
        Refusal::Timeout,
        Refusal::Tls,
    ];
    let words = words.map(|refusal| refusal.to_string());
    assert_eq!(words, ["blocked", "unreachable", "timeout", "tls"]);
    assert_eq!(unreachable, Err(Refusal::Unreachable));
    let encrypted = plain.url.replace("http://", "https://");
    assert_eq!(sent(&client, &encrypted).await, Err(Refusal::Tls));
}

#[tokio::test]
async fn a_large_answer_is_read_for_its_beginning_only() {
    let receiver = Receiver::answering(|_| async { "x".repeat(10_000_000) }).await;
    let guard = Guard {
        allow_private: true,
        ..Guard::default()
    };
    let client = Client::new(guard, Arc::new(SystemResolver));
    let target = client.target(&receiver.url).unwrap();
    let answer = client
        .send(&target, outgoing(), Timestamp::from_micros(0))
        .await;
    assert_eq!(answer.unwrap().excerpt, "x".repeat(500));
}
