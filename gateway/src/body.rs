//! How the body of a request is read: within limits, of which all bodies share one.

use std::io::Read;
use std::sync::Arc;

use actix_web::dev::{Payload, RequestHead};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use futures_util::{FutureExt, StreamExt};

use crate::answer::{Call, Refused};
use crate::line::Line;
use crate::portions::Framing;

/// Bytes of a body that take no room from others.
const FREE: usize = 64 << 10;

/// Bytes that are unzipped at once.
const PART: usize = 16 << 10;

/// A body on its way. Its connection hears whether it came to its end.
pub(crate) struct Upload {
    payload: Payload,
    line: Line,
}

impl Upload {
    pub(crate) fn of(payload: Payload, head: &RequestHead, line: Line) -> Self {
        line.has_body(framing(&payload, head));
        Self { payload, line }
    }

    async fn next(&mut self) -> Option<Result<Bytes, PayloadError>> {
        let next = self.payload.next().await;
        if next.is_none() {
            self.line.leaves_nothing();
        }
        next
    }
}

/// As the server understood the head.
fn framing(payload: &Payload, head: &RequestHead) -> Framing {
    if matches!(payload, Payload::None) {
        return Framing::Absent;
    }
    let length = head.headers().get(CONTENT_LENGTH).and_then(|text| text.to_str().ok());
    match length.and_then(|text| text.trim().parse().ok()) {
        Some(length) => Framing::Length(length),
        None if head.headers().contains_key(TRANSFER_ENCODING) => Framing::Chunks,
        None => Framing::Connection,
    }
}

impl Drop for Upload {
    /// What nobody wanted may be there all the same.
    fn drop(&mut self) {
        while let Some(Some(Ok(_))) = self.next().now_or_never() {}
    }
}

impl Call {
    /// The whole body.
    ///
    /// # Errors
    ///
    /// 413 if it is longer than the limit, 408 if it takes too long, 503 if there is no room for one more, 400 if it ends early or
    /// is no gzip though its head says so.
    pub async fn body(&mut self) -> Result<Bytes, Refused> {
        let most = self.limits.body_time;
        let late = || Refused::new(408, format!("the body did not arrive within {most:?}"));
        tokio::time::timeout(most, self.whole_body()).await.unwrap_or_else(|_| Err(late()))
    }

    /// The first record of a body that is a stream of them; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Call::body`], and 400 if it is no stream of records.
    pub async fn first_record(&mut self) -> Result<Option<Bytes>, Refused> {
        let most = self.limits.body_time;
        let late = || Refused::new(408, format!("the first record did not arrive within {most:?}"));
        tokio::time::timeout(most, self.next_record()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn next_record(&mut self) -> Result<Option<Bytes>, Refused> {
        let mut decoder = api::recordio::Decoder::new(self.limits.body);
        let mut records = Vec::new();
        while let Some(part) = self.payload.next().await {
            let part =
                part.map_err(|error| Refused::new(400, format!("the body ended early: {error}")))?;
            self.hold(part.len())?;
            let read = decoder.feed(&part, &mut records);
            if let Some(first) = records.into_iter().next() {
                return Ok(Some(first.into()));
            }
            read.map_err(|bad| Refused::new(400, format!("Failed to decode a record: {bad}")))?;
            records = Vec::new();
        }
        Ok(None)
    }

    async fn whole_body(&mut self) -> Result<Bytes, Refused> {
        let mut body = BytesMut::new();
        while let Some(part) = self.payload.next().await {
            let part =
                part.map_err(|error| Refused::new(400, format!("the body ended early: {error}")))?;
            if body.len() + part.len() > self.limits.body {
                return Err(self.too_long());
            }
            self.hold(part.len())?;
            body.extend_from_slice(&part);
        }
        match self.header("content-encoding") {
            Some("gzip") => self.unzipped(&body),
            Some(_) | None => Ok(body.freeze()),
        }
    }

    /// Takes room for so many bytes, until the call is dealt with. The first of a body cost nothing: however many slow uploads
    /// there are, a small call is taken, and connections have a bound of their own.
    fn hold(&mut self, bytes: usize) -> Result<(), Refused> {
        let before = self.taken.max(FREE);
        self.taken += bytes;
        let bytes = u32::try_from(self.taken.max(FREE) - before).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bodies).try_acquire_many_owned(bytes);
        let room =
            room.map_err(|_| Refused::new(503, "too many bodies are being read; try again"))?;
        match self.held.first_mut() {
            Some(held) => held.merge(room),
            None => self.held.push(room),
        }
        Ok(())
    }

    fn unzipped(&mut self, body: &[u8]) -> Result<Bytes, Refused> {
        let mut whole = Vec::new();
        let mut zipped = GzDecoder::new(body);
        loop {
            // Room is taken as it grows: what a body becomes, only its end says.
            let part = (&mut zipped).take(PART as u64).read_to_end(&mut whole);
            let part =
                part.map_err(|error| Refused::new(400, format!("the body is no gzip: {error}")))?;
            if part == 0 {
                return Ok(whole.into());
            }
            if whole.len() > self.limits.body {
                return Err(self.too_long());
            }
            self.hold(part)?;
        }
    }

    fn too_long(&self) -> Refused {
        Refused::new(413, format!("the body is longer than {} bytes", self.limits.body))
    }
}
