//! Answers for clients that take a gzip.

use std::io::Read;

use flate2::read::GzDecoder;
use futures_util::FutureExt;

use super::*;

/// As much as one wants, and compressed.
fn get(length: usize) -> String {
    format!("GET /long?length={length} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
}

#[track_caller]
fn is_zipped((head, body): &(String, Vec<u8>), length: usize) {
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let mut whole = Vec::new();
    GzDecoder::new(&body[..]).read_to_end(&mut whole).unwrap();
    assert!(whole.len() == length && whole.iter().all(|byte| *byte == b'x'), "{}", whole.len());
}

#[actix_rt::test]
async fn while_a_long_answer_waits_to_be_compressed_others_are_served() {
    let (serving, room) = with_room(Limits::default(), Streams::default()).await;
    let turns = u32::try_from(room.zipping.available_permits()).unwrap();
    let all_turns = room.zipping.acquire_many(turns).await.unwrap();
    let mut long = client(&serving);
    long.write_all(get(1 << 20).as_bytes()).await.unwrap();
    let mut short = client(&serving);
    short.write_all(get(2000).as_bytes()).await.unwrap();
    is_zipped(&answer_of(&mut short).await, 2000);
    assert!(long.read_u8().now_or_never().is_none(), "it has to wait");
    drop(all_turns);
    is_zipped(&answer_of(&mut long).await, 1 << 20);
}

#[actix_rt::test]
async fn what_is_short_or_not_taken_so_is_sent_as_it_is() {
    let (serving, _) = served(Limits::default()).await;
    let mut client = client(&serving);
    let as_it_is = get(1 << 20).replace("gzip", "br, gzip;q=0");
    for (asks, length) in [(get(1000), 1000), (as_it_is, 1 << 20)] {
        client.write_all(asks.as_bytes()).await.unwrap();
        let (head, body) = answer_of(&mut client).await;
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(body.len(), length);
    }
}
