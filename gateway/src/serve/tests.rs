//! Clients that mean well, and others, on connections as a node hands them over.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::answer::{TEXT, plain, refuse};
use crate::negotiate::Encoding;
use crate::realm::{Realm, Realms};
use crate::records::{NotSent, Records, stream};
use crate::route::Route;

mod bodies;
mod endings;
mod zipped;

/// Bytes that may wait for a reader here.
const WAITING_MAX: usize = 1 << 20;

/// The writing ends of the streams that were asked for.
type Streams = Arc<Mutex<Vec<Records>>>;

fn routes(streams: Streams) -> Routes {
    let says_length = |mut call: Call| async move {
        match call.body().await {
            Ok(body) => HttpResponse::Ok().body(body.len().to_string()),
            Err(refused) => refused.into(),
        }
    };
    let begun = Arc::clone(&streams);
    let begins = move |call: Call| {
        let (response, records) = stream(&call, Encoding::Json, &[], WAITING_MAX);
        begun.lock().unwrap().push(records);
        async move { response }
    };
    let changes_its_mind = move |call: Call| {
        let (_, records) = stream(&call, Encoding::Json, &[], WAITING_MAX);
        streams.lock().unwrap().push(records);
        async move { refuse(503, "not now") }
    };
    let says_as_much = |call: Call| async move {
        let length = call.query("length").unwrap().parse().unwrap();
        plain(&call, TEXT, vec![b'x'; length])
    };
    let all = [
        Route::new("x", "/long", says_as_much),
        Route::new("x", "/length", says_length),
        Route::new("x", "/stream", begins),
        Route::new("x", "/otherwise", changes_its_mind),
    ];
    let realm = |route: crate::route::Unrealmed| route.realm(Realm::Open);
    Routes::new("x", Realms::of("x"), all.into_iter().map(realm).collect())
}

async fn served(limits: Limits) -> (Serving, Streams) {
    let streams = Streams::default();
    let (serving, _) = with_room(limits, Arc::clone(&streams)).await;
    (serving, streams)
}

/// The same, and what its clients share.
async fn with_room(limits: Limits, streams: Streams) -> (Serving, Arc<Room>) {
    let room = Arc::new(Room::of(limits));
    (make(Arc::new(routes(streams)), Arc::clone(&room), limits).await, room)
}

/// A client's end of a connection that is served.
fn client(serving: &Serving) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    actix_rt::spawn(serving(Carrier::Unix(ours), None));
    theirs
}

#[actix_rt::test]
async fn a_body_that_does_not_arrive_in_time_is_answered_in_words() {
    let limits = Limits { body_time: Duration::from_millis(100), ..Limits::default() };
    let (serving, _) = served(limits).await;
    let mut slow = client(&serving);
    let head = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";
    slow.write_all(head).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("the body did not arrive within 100ms"), "{answer}");
    let mut other = client(&serving);
    other.write_all(head).await.unwrap();
    other.write_all(b"67890").await.unwrap();
    let mut answer = [0; 1024];
    let length = other.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("10"), "{answer}");
}

/// The head of an answer.
async fn head(client: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The answer to a request, which says how long it is.
async fn ask(client: &mut UnixStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    let (head, body) = answer_of(client).await;
    head + &String::from_utf8(body).unwrap()
}

/// Both parts of an answer which says how long it is.
async fn answer_of(client: &mut UnixStream) -> (String, Vec<u8>) {
    let head = head(client).await;
    let (_, length) = head.split_once("content-length: ").expect(&head);
    let mut body = vec![0; length.split_once("\r\n").unwrap().0.parse().unwrap()];
    client.read_exact(&mut body).await.unwrap();
    (head, body)
}

/// Asks for a stream, and waits for the head of its answer.
async fn listens(serving: &Serving) -> UnixStream {
    let mut client = client(serving);
    client.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    head(&mut client).await;
    client
}

#[actix_rt::test]
async fn who_reads_a_stream_too_slowly_is_cut_off_and_others_miss_nothing() {
    let (serving, streams) = served(Limits::default()).await;
    let mut slow = listens(&serving).await;
    let mut quick = listens(&serving).await;
    let [to_slow, to_quick] =
        <[Records; 2]>::try_from(std::mem::take(&mut *streams.lock().unwrap()))
            .unwrap_or_else(|_| panic!("two listen"));
    let record = Bytes::from(vec![b'r'; 64 << 10]);
    let mut taken = vec![0; record.len()];
    let mut refused = None;
    for sent in 1..=1000 {
        if refused.is_none() {
            refused = to_slow.send(record.clone()).err().map(|why| (sent, why));
        }
        to_quick.send(record.clone()).unwrap();
        quick.read_exact(&mut taken).await.unwrap();
    }
    let (sent, why) = refused.expect("it took nothing");
    assert_eq!(why, NotSent::TooSlow);
    assert!(sent > WAITING_MAX / record.len(), "it had its room: {sent}");
    to_slow.gone().await;
    let mut all = Vec::new();
    let ended = slow.read_to_end(&mut all).await;
    assert!(all.len() < 3 * WAITING_MAX, "{ended:?}: it got {} bytes", all.len());
}
