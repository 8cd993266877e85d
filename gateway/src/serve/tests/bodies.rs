//! What bodies share: a small one is taken, however much others have taken.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn post(more: &str, length: usize) -> String {
    format!("POST /length HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {length}\r\n\r\n")
}

fn zipped(length: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&vec![b'x'; length]).unwrap();
    gzip.finish().unwrap()
}

/// What is answered to a body, as it is sent.
async fn answered(serving: &Serving, more: &str, body: &[u8]) -> String {
    let mut client = client(serving);
    // It may be answered before all of it was taken.
    let (mut reads, mut writes) = client.split();
    let head = post(more, body.len());
    let sends = async {
        writes.write_all(head.as_bytes()).await?;
        writes.write_all(body).await
    };
    let mut answer = vec![0; 1024];
    let (_, length) = tokio::join!(sends, reads.read(&mut answer));
    answer.truncate(length.unwrap());
    String::from_utf8(answer).unwrap()
}

#[actix_rt::test]
async fn where_slow_uploads_have_all_room_a_small_body_is_taken_all_the_same() {
    let limits = Limits { bodies: 1 << 20, ..Limits::default() };
    let (serving, shared) = with_room(limits, Streams::default()).await;
    let mut slow = client(&serving);
    let room = (1 << 20) + (64 << 10);
    slow.write_all(post("", room).as_bytes()).await.unwrap();
    slow.write_all(&vec![b'x'; room - 1]).await.unwrap();
    while shared.bodies.available_permits() > 1 {
        tokio::task::yield_now().await;
    }
    let gzip = "Content-Encoding: gzip\r\n";
    let small = vec![b'x'; 64 << 10];
    let answer = answered(&serving, "", &small).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n65536"), "{answer}");
    let answer = answered(&serving, gzip, &zipped(50_000)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n50000"), "{answer}");
    for (more, large) in [("", vec![b'x'; 100_000]), (gzip, zipped(100_000))] {
        let answer = answered(&serving, more, &large).await;
        let words = "too many bodies are being read; try again";
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(words), "{answer}");
    }
    slow.write_all(b"x").await.unwrap();
    assert!(head(&mut slow).await.starts_with("HTTP/1.1 200 "));
}

#[actix_rt::test]
async fn a_gzip_that_becomes_too_long_is_refused() {
    let (serving, _) = served(Limits { body: 100_000, ..Limits::default() }).await;
    let answer = answered(&serving, "Content-Encoding: gzip\r\n", &zipped(100_001)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = answered(&serving, "Content-Encoding: gzip\r\n", &zipped(100_000)).await;
    assert!(answer.ends_with("\r\n100000"), "{answer}");
    let answer = answered(&serving, "Content-Encoding: gzip\r\n", b"no").await;
    assert!(answer.contains("the body is no gzip: "), "{answer}");
}
