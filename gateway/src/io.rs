//! A client's connection, which says when the client has gone, and can be cut off from outside: while an answer without end is
//! written, the server looks at neither.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

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
    pub(crate) fn of(stream: Carrier) -> Self {
        Self { stream, shared: Arc::default() }
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
