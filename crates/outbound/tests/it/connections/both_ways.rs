//! Connections that are driven by who waits: slowly, in both directions at once, and many of them.

use claviger_testkit::Receiver;

use super::*;

const MIB: usize = 1024 * 1024;

/// An answer with a body of so many bytes, no two parts of which are the same.
fn answer(length: usize) -> (Vec<u8>, Vec<u8>) {
    let body: Vec<u8> = (0_u32..).flat_map(u32::to_be_bytes).take(length).collect();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    ([head.as_bytes(), &body].concat(), body)
}

fn posting(upstreams: &Upstreams, upstream: &Upstream, length: usize) -> Asking {
    Asking {
        method: Method::POST,
        body: vec![b'x'; length].into(),
        ..asking(upstreams, &upstream.url)
    }
}

#[tokio::test]
async fn an_answer_in_small_pieces_comes_while_a_large_request_is_read() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let request = posting(&upstreams, &upstream, 8 * MIB);
    let (all, body) = answer(4_000);
    let (told, mut line) = join!(upstreams.ask(request, Timestamp::from_micros(0)), async {
        let mut line = upstream.line().await;
        line.0.set_nodelay(true).unwrap();
        line.heard(0).await;
        let mut left = 8 * MIB;
        let mut some = vec![0; 64 * 1024];
        let (last, pieces) = all.split_last().unwrap();
        for piece in pieces.chunks(pieces.len().div_ceil(left / some.len())) {
            line.0.read_exact(&mut some).await.unwrap();
            left -= some.len();
            line.say(piece).await;
        }
        some.resize(left, 0);
        line.0.read_exact(&mut some).await.unwrap();
        line.say(&[*last]).await;
        line
    });
    assert_eq!(told.unwrap().body, body);
    // Nothing is left of either, so that it is used again.
    let (told, ()) = join!(ask(&upstreams, &upstream.url), line.answer());
    is_fine(told);
}

#[tokio::test]
async fn an_answer_is_read_though_nobody_reads_the_request_yet() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let request = posting(&upstreams, &upstream, 32 * MIB);
    let (all, body) = answer(8 * MIB);
    let (told, mut line) = join!(upstreams.ask(request, Timestamp::from_micros(0)), async {
        let mut line = upstream.line().await;
        line.heard(0).await;
        // Both are larger than what is on its way at once.
        let (last, most) = all.split_last().unwrap();
        line.say(most).await;
        line.0.read_exact(&mut vec![0; 32 * MIB]).await.unwrap();
        line.say(&[*last]).await;
        line
    });
    assert_eq!(told.unwrap().body, body);
    let (told, ()) = join!(ask(&upstreams, &upstream.url), line.answer());
    is_fine(told);
}

/// What is answered to a call; it comes in parts where it is large.
fn told(path: &str, body: &[u8]) -> Vec<u8> {
    [path.as_bytes(), body].concat().repeat(body.len() * 7)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_at_once_each_has_its_own_answer() {
    let upstream = Receiver::answering(async |received| told(&received.path, &received.body));
    let upstream = upstream.await;
    let upstreams = Arc::new(here());
    let calling = (0_usize..64).map(|caller| {
        let (upstreams, url) = (Arc::clone(&upstreams), upstream.url.clone());
        tokio::spawn(async move {
            for call in 0..32 {
                let path = format!("/{caller}/{call}");
                let body = Bytes::from(vec![b'x'; caller * call % 100]);
                let asking = Asking {
                    method: Method::POST,
                    body: body.clone(),
                    ..asking(&upstreams, &format!("{url}{path}"))
                };
                let answer = upstreams.ask(asking, Timestamp::from_micros(0)).await;
                assert_eq!(answer.unwrap().body, told(&path, &body));
            }
        })
    });
    for called in join_all(calling).await {
        called.unwrap();
    }
    assert_eq!(upstream.received().len(), 64 * 32);
}

#[tokio::test]
async fn what_is_no_http_any_more_after_an_answer_is_not_waited_for() {
    let (upstreams, upstream) = (here(), Upstream::start().await);
    let switched = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let tunnel = b"HTTP/1.1 200 Connected\r\n\r\n";
    for (method, head) in [(Method::GET, &switched[..]), (Method::CONNECT, &tunnel[..])] {
        let asking = Asking {
            method,
            ..asking(&upstreams, &upstream.url)
        };
        let (told, ()) = join!(upstreams.ask(asking, Timestamp::from_micros(0)), async {
            let mut line = upstream.line().await;
            line.heard(0).await;
            line.say(&[head, b"more"].concat()).await;
            line.has_ended().await;
        });
        assert!(told.unwrap().body.is_empty());
    }
    let (told, ()) = join!(ask(&upstreams, &upstream.url), async {
        upstream.line().await.answer().await;
    });
    is_fine(told);
}
