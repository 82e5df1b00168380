//! Upstreams: whole answers within bounds, from nowhere but where they are.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use claviger_domain::time::Timestamp;
use claviger_outbound::{
    Asking, Client, Guard, Refusal, SystemResolver, Told, Unanswered, Upstreams,
};
use claviger_testkit::Receiver;
use futures::stream;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

fn upstreams(guard: Guard) -> Upstreams {
    Upstreams::new(Client::new(guard, Arc::new(SystemResolver)))
}

fn here() -> Upstreams {
    upstreams(Guard {
        allow_private: true,
        ..Guard::default()
    })
}

async fn ask(upstreams: &Upstreams, url: &str) -> Result<Told, Unanswered> {
    let asking = Asking {
        method: Method::GET,
        target: upstreams.client().target(url).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    upstreams.ask(asking, Timestamp::from_micros(0)).await
}

/// A stream of so many MiB, whose length is told or not.
fn large(mib: usize, is_told: bool) -> Response {
    let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
    let chunks = (0..mib).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
    let mut response = Body::from_stream(stream::iter(chunks)).into_response();
    if is_told {
        let length = mib * 1024 * 1024;
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

#[tokio::test]
async fn an_answer_is_read_whole_and_no_larger_than_that() {
    let upstream = Receiver::answering(async |received| match received.path.as_str() {
        "/small" => large(8, false),
        "/told" => large(200, true),
        _ => large(200, false),
    })
    .await;
    let upstreams = here();
    let small = ask(&upstreams, &format!("{}/small", upstream.url)).await;
    assert_eq!(small.unwrap().body.len(), 8 * 1024 * 1024);
    for path in ["/told", "/untold"] {
        let refused = ask(&upstreams, &format!("{}{path}", upstream.url)).await;
        assert_eq!(refused.unwrap_err(), Unanswered::TooLarge, "{path}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Receiver::start().await;
    let to = elsewhere.url.clone();
    let upstream = Receiver::answering(move |_| {
        let to = to.clone();
        async move { (StatusCode::FOUND, [(header::LOCATION, to)]) }
    })
    .await;
    let told = ask(&here(), &upstream.url).await.unwrap();
    assert_eq!(told.status, StatusCode::FOUND);
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn what_is_no_http_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"\x00\xffgarbage\r\n\r\n").await);
        }
    });
    let refused = ask(&here(), &format!("http://{address}"))
        .await
        .unwrap_err();
    assert_eq!(refused, Unanswered::Refused(Refusal::Unreachable));
    serving.abort();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\": 1}";
            drop(stream.write_all(head).await);
        }
    });
    let refused = ask(&here(), &format!("http://{address}"))
        .await
        .unwrap_err();
    assert_eq!(refused, Unanswered::Refused(Refusal::Unreachable));
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let refused = ask(&here(), &format!("http://{address}"))
        .await
        .unwrap_err();
    assert_eq!(refused, Unanswered::Refused(Refusal::Timeout));
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_taken_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, has_begun) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1_024];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        begun.send(()).unwrap();
        // Ends when the other side hangs up.
        stream.read(&mut head).await
    });
    let upstreams = here();
    let url = format!("http://{address}");
    tokio::select! {
        _ = ask(&upstreams, &url) => panic!("nobody answers"),
        begun = has_begun => begun.unwrap(),
    }
    assert!(matches!(ended.await.unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn connections_are_kept_and_only_to_where_they_were_checked_to_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        // One connection for all requests.
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4_096];
        for _ in 0..3 {
            assert!(stream.read(&mut head).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
        }
    });
    let kept = here();
    for _ in 0..3 {
        let told = ask(&kept, &format!("http://{address}")).await.unwrap();
        assert_eq!(&told.body[..], b"{}");
    }
    serving.await.unwrap();
    let guarded = upstreams(Guard {
        ports: vec![address.port()],
        ..Guard::default()
    });
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        let url = format!("http://{host}:{}", address.port());
        let refused = ask(&guarded, &url).await.unwrap_err();
        assert_eq!(refused, Unanswered::Refused(Refusal::Blocked), "{host}");
    }
}
