//! Answers that are compressed on their way to a client that takes that: long ones on a thread that may take its time, since on the
//! connection's own everybody else would wait.

use std::io::{self, Write};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;

/// Shorter bodies are left as they are.
const FROM: u64 = 1024;

/// Up to so many bytes it is quicker to do it at once than to hand it on.
const AT_ONCE_MAX: usize = 64 << 10;

/// Says of an answer that its client takes a gzip.
struct MayBeZipped;

/// This answer may be compressed, if it is long enough.
pub(crate) fn mark(response: &mut HttpResponse) {
    if matches!(response.body().size(), BodySize::Sized(FROM..)) {
        response.extensions_mut().insert(MayBeZipped);
    }
}

/// The same answer, compressed if it may be; of long ones no more at once than `turns` has.
pub(crate) async fn zipped(response: HttpResponse, turns: &Semaphore) -> HttpResponse {
    if response.extensions().get::<MayBeZipped>().is_none() {
        return response;
    }
    let (response, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(body) => body,
        Err(body) => return response.set_body(body),
    };
    let gzip = match body.len() {
        ..=AT_ONCE_MAX => gzip(&body),
        _ => aside(body.clone(), turns).await,
    };
    match gzip {
        Ok(gzip) => {
            let mut response = response.set_body(BoxBody::new(gzip));
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        // Nobody needs it.
        Err(_) => response.set_body(BoxBody::new(body)),
    }
}

async fn aside(body: Bytes, turns: &Semaphore) -> io::Result<Vec<u8>> {
    let _turn = turns.acquire().await.map_err(io::Error::other)?;
    tokio::task::spawn_blocking(move || gzip(&body)).await?
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    gzip.write_all(body)?;
    gzip.finish()
}
