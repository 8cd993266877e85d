//! When a connection ends: with a stream, and with a client that says too little or leaves a body behind.

use tokio::time::timeout;

use super::*;

const LENGTH: &str = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";

/// Of a head that never ends.
const BEGUN: &str = "GET /length HTTP/1.1\r\nHost: x\r\nX: ";

/// No test waits longer.
const PATIENCE: Duration = Duration::from_secs(30);

fn short() -> Limits {
    // The server's own clock, by which the first head is measured, moves twice a second.
    Limits { head: Duration::from_secs(1), ..Limits::default() }
}

/// What still comes until the connection ends.
async fn rest(client: &mut UnixStream) -> String {
    let mut all = Vec::new();
    // That it was closed before all was read is an end, too.
    let _ = timeout(PATIENCE, client.read_to_end(&mut all)).await.expect("it ends");
    String::from_utf8(all).unwrap()
}

/// The same while the client sends a drop now and then.
async fn rest_while_it_drips(client: &mut UnixStream, drop: &[u8]) -> String {
    let (mut reads, mut writes) = client.split();
    let mut all = Vec::new();
    let drips = async {
        let mut now_and_then = tokio::time::interval(Duration::from_millis(5));
        while writes.write_all(drop).await.is_ok() {
            now_and_then.tick().await;
        }
    };
    let _ = timeout(PATIENCE, async { tokio::join!(reads.read_to_end(&mut all), drips) })
        .await
        .expect("it ends");
    String::from_utf8(all).unwrap()
}

#[actix_rt::test]
async fn a_connection_ends_with_its_stream() {
    let (serving, streams) = served(Limits::default()).await;
    let mut client = client(&serving);
    client.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let head = head(&mut client).await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    client.write_all(LENGTH.as_bytes()).await.unwrap();
    streams.lock().unwrap().clear();
    assert_eq!(rest(&mut client).await, "0\r\n\r\n", "what is asked beside a stream is not heard");
}

#[actix_rt::test]
async fn a_stream_that_was_made_and_not_sent_leaves_its_connection_alone() {
    let (serving, streams) = served(Limits::default()).await;
    let mut client = client(&serving);
    let answer = ask(&mut client, "GET /otherwise HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("not now"), "{answer}");
    let records = streams.lock().unwrap().pop().unwrap();
    for _ in 0..3 {
        assert_eq!(records.send(vec![0; WAITING_MAX]), Err(NotSent::Gone));
    }
    let answer = ask(&mut client, LENGTH).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('3'), "{answer}");
}

#[actix_rt::test]
async fn a_head_that_comes_drop_by_drop_has_its_time_as_a_whole() {
    let (serving, _) = served(short()).await;
    let mut first = client(&serving);
    first.write_all(BEGUN.as_bytes()).await.unwrap();
    let said = rest_while_it_drips(&mut first, b"x").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    let mut second = client(&serving);
    for _ in 0..2 {
        let answer = ask(&mut second, LENGTH).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    second.write_all(BEGUN.as_bytes()).await.unwrap();
    assert_eq!(rest_while_it_drips(&mut second, b"x").await, "");
}

#[actix_rt::test]
async fn a_later_request_of_which_one_byte_comes_is_not_waited_for() {
    let (serving, _) = served(short()).await;
    let mut after = client(&serving);
    ask(&mut after, LENGTH).await;
    after.write_all(b"G").await.unwrap();
    assert_eq!(rest(&mut after).await, "");
    let limits = Limits { idle: Duration::from_millis(100), ..short() };
    let (serving, _) = served(limits).await;
    let mut before = client(&serving);
    before.write_all(format!("{LENGTH}G").as_bytes()).await.unwrap();
    let said = rest(&mut before).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with('3'), "{said}");
}

#[actix_rt::test]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    let (serving, _) = served(short()).await;
    let head = "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let refused = |said: &str| {
        let is_last = said.contains("connection: close\r\n");
        assert!(said.starts_with("HTTP/1.1 404 ") && is_last, "{said}");
    };
    for sent in ["", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n\r\n"] {
        let mut client = client(&serving);
        client.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        refused(&rest(&mut client).await);
    }
    let mut drips = client(&serving);
    drips.write_all(head.as_bytes()).await.unwrap();
    refused(&rest_while_it_drips(&mut drips, b"1\r\nx\r\n").await);
}
