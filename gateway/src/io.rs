//! A client's connection, which says when the client has gone, can be cut off from outside, and waits for nobody without end: the
//! server looks at none of these while an answer without end is written, and at the first request's head only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};

use crate::due::Due;
use crate::line::{Line, Stage};
use crate::portions::Portions;
use crate::serve::Limits;

/// Bytes that are read at once of what is thrown away.
const SCRATCH: usize = 4096;

/// The most bytes that are read before they may be looked at.
const AHEAD: usize = 4096;

/// What carries its bytes.
pub(crate) enum Carrier {
    /// The node's port.
    Tcp(TcpStream),
    /// A socket of this machine.
    Unix(UnixStream),
}

/// A client's connection.
pub(crate) struct Io {
    stream: Carrier,
    line: Line,
    /// What it has to do next.
    due: Due,
    limits: Limits,
    /// What was read and may not be looked at yet.
    kept: BytesMut,
    /// Behind that nothing comes any more.
    is_at_end: bool,
    portions: Portions,
    /// Runs while it takes nothing of an answer that has an end.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Io {
    pub(crate) fn of(stream: Carrier, limits: Limits) -> Self {
        Self {
            stream,
            line: Line::default(),
            due: Due::within(limits),
            limits,
            kept: BytesMut::new(),
            is_at_end: false,
            portions: Portions::default(),
            stalled: None,
        }
    }

    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    /// An error if it was cut off; else whoever is polled now is woken when it is.
    fn goes_on(&self, context: &Context<'_>) -> io::Result<()> {
        match self.line.is_cut(context) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// An error once the client has taken nothing for too long. Whoever writes to streams looks after that itself, as long as it
    /// does.
    fn has_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.line.is_streaming() && self.line.stage() == Stage::Answers {
            return Ok(());
        }
        let patience = self.limits.stalled;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// As much as may be looked at now, of requests one by one.
    fn poll_portion(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read_ahead(context)?;
        let dealt = self.line.dealt();
        let room = self.kept.len().min(buffer.remaining());
        let taken = self.portions.take(&self.kept[..room], dealt);
        if taken == 0 && !(self.is_at_end && self.kept.is_empty()) {
            self.line.is_ahead();
            return Poll::Pending;
        }
        buffer.put_slice(&self.kept[..taken]);
        self.kept.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Reads what is there, up to a bound. If all of it was read, whoever is polled now is woken when there is more.
    fn read_ahead(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut scratch = [0; AHEAD];
        while !self.is_at_end && self.kept.len() < AHEAD {
            let mut part = ReadBuf::new(&mut scratch[self.kept.len()..]);
            match Pin::new(&mut self.stream).poll_read(context, &mut part) {
                Poll::Pending => break,
                Poll::Ready(read) => read?,
            }
            self.kept.extend_from_slice(part.filled());
            if part.filled().is_empty() {
                self.is_at_end = true;
                self.line.has_closed();
            }
        }
        Ok(())
    }

    /// Only whether the client is still there.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; SCRATCH];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => (),
                over @ (Poll::Ready(_) | Poll::Pending) => return over,
            }
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.goes_on(context)?;
        let stage = self.line.stage();
        let before = buffer.filled().len();
        let read = match self.line.is_streaming() {
            true => self.poll_discard(context),
            false => self.poll_portion(context, buffer),
        };
        let has_read = buffer.filled().len() > before;
        let is_over = match &read {
            Poll::Ready(Ok(())) => !has_read && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            self.line.has_closed();
        }
        if has_read {
            self.due.on_read(stage);
        }
        if read.is_pending() {
            self.due.poll(stage, context)?;
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.goes_on(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        match written {
            Poll::Pending => self.has_patience(context)?,
            Poll::Ready(_) => {
                self.stalled = None;
                let stage = self.line.stage();
                self.due.on_written(stage);
            }
        }
        written
    }

    /// Follows whatever the server does, also where it reads no more.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stage = self.line.stage();
        self.due.poll(stage, context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        self.line.has_closed();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::portions::Framing;

    /// Of a client that may take nothing for so long.
    fn of(stream: UnixStream, stalled: Duration) -> Io {
        Io::of(Carrier::Unix(stream), Limits { stalled, ..Limits::default() })
    }

    /// Until it is cut off, or has written this often.
    async fn write(io: &mut Io, most: usize) -> io::Result<()> {
        for _ in 0..most {
            io.write_all(&[0; 4096]).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_cut_off_and_who_takes_little_is_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut io = of(ours, Duration::from_millis(200));
        let error = write(&mut io, 10_000).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (ours, theirs_too) = UnixStream::pair().unwrap();
        drop(std::mem::replace(&mut theirs, theirs_too));
        let mut io = of(ours, Duration::from_secs(60));
        let reads = async {
            let mut taken = vec![0; 100 * 4096];
            theirs.read_exact(&mut taken).await.map(|_| ())
        };
        let (written, read) = tokio::join!(write(&mut io, 100), reads);
        assert!(written.is_ok() && read.is_ok(), "{written:?} {read:?}");
    }

    #[tokio::test]
    async fn behind_a_request_nothing_is_looked_at_until_it_is_answered_or_its_body_is_asked_for() {
        const HEAD: &[u8] = b"POST / HTTP/1.1\r\n\r\n";
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut io = of(ours, Duration::from_secs(60));
        let line = io.line();
        let body = [b'x'; 3 * AHEAD];
        theirs.write_all(&[HEAD, &body, HEAD].concat()).await.unwrap();
        let mut part = [0; 4 * AHEAD];
        assert_eq!(io.read(&mut part).await.unwrap(), HEAD.len());
        let asked = async {
            tokio::task::yield_now().await;
            let answering = line.answers();
            line.has_body(Framing::Length(body.len() as u64));
            answering
        };
        let (read, answering) = tokio::join!(io.read(&mut part), asked);
        let mut read = read.unwrap();
        while read < body.len() {
            read += io.read(&mut part).await.unwrap();
        }
        assert_eq!(read, body.len(), "a body is read to its end, and not beyond");
        let (read, ()) = tokio::join!(io.read(&mut part), async {
            tokio::task::yield_now().await;
            drop(answering);
        });
        assert_eq!(read.unwrap(), HEAD.len());
    }

    #[tokio::test]
    async fn of_a_stream_others_look_how_it_is_read() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut io = of(ours, Duration::ZERO);
        let line = io.line();
        line.streams();
        let _answering = line.answers();
        let cut = async {
            tokio::task::yield_now().await;
            line.cut();
        };
        let (written, ()) = tokio::join!(write(&mut io, 10_000), cut);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
