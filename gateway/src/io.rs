//! A client's connection, which says when the client has gone, and can be cut off from outside: while an answer without end is
//! written, the server looks at neither.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// Bytes that are read at once of what is thrown away.
const SCRATCH: usize = 4096;

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
    shared: Arc<Shared>,
    /// How long the client may take nothing of an answer that has an end.
    patience: Duration,
    /// Runs while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Default)]
struct Shared {
    has_closed: watch::Sender<bool>,
    /// Its answer has no end: what the client says besides is thrown away.
    streams: AtomicBool,
    is_cut: AtomicBool,
    waits: AtomicWaker,
}

/// A connection, as those who answer on it know it.
#[derive(Clone)]
pub(crate) struct Line(Arc<Shared>);

impl Io {
    pub(crate) fn of(stream: Carrier, patience: Duration) -> Self {
        Self { stream, shared: Arc::default(), patience, stalled: None }
    }

    pub(crate) fn line(&self) -> Line {
        Line(Arc::clone(&self.shared))
    }

    /// An error if it was cut off; else whoever is polled now is woken when it is.
    fn goes_on(&self, context: &Context<'_>) -> io::Result<()> {
        self.shared.waits.register(context.waker());
        match self.shared.is_cut.load(Relaxed) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// An error once the client has taken nothing for too long. Whoever writes to streams looks after that itself.
    fn has_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.shared.streams.load(Relaxed) {
            return Ok(());
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
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

impl Line {
    /// Waits until the client sends no more, or the connection has ended.
    pub(crate) async fn closed(self) {
        let mut closed = self.0.has_closed.subscribe();
        drop(self);
        // An error says that the connection was dropped.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// From now on there is one answer, which has no end.
    pub(crate) fn streams(&self) {
        self.0.streams.store(true, Relaxed);
    }

    /// The client is given up.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Relaxed);
        self.0.waits.wake();
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.goes_on(context)?;
        let before = buffer.filled().len();
        let read = match self.shared.streams.load(Relaxed) {
            true => self.poll_discard(context),
            false => Pin::new(&mut self.stream).poll_read(context, buffer),
        };
        let is_over = match &read {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            self.shared.has_closed.send_replace(true);
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
            Poll::Ready(_) => self.stalled = None,
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        self.shared.has_closed.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

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
        let mut io = Io::of(Carrier::Unix(ours), Duration::from_millis(200));
        let error = write(&mut io, 10_000).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (ours, theirs_too) = UnixStream::pair().unwrap();
        drop(std::mem::replace(&mut theirs, theirs_too));
        let mut io = Io::of(Carrier::Unix(ours), Duration::from_secs(60));
        let reads = async {
            let mut taken = vec![0; 100 * 4096];
            theirs.read_exact(&mut taken).await.map(|_| ())
        };
        let (written, read) = tokio::join!(write(&mut io, 100), reads);
        assert!(written.is_ok() && read.is_ok(), "{written:?} {read:?}");
    }

    #[tokio::test]
    async fn of_a_stream_others_look_how_it_is_read() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut io = Io::of(Carrier::Unix(ours), Duration::ZERO);
        let line = io.line();
        line.streams();
        let cut = async {
            tokio::task::yield_now().await;
            line.cut();
        };
        let (written, ()) = tokio::join!(write(&mut io, 10_000), cut);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
