//! A connection that says when its client has gone: while an answer without end is written, nobody else looks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A client's connection.
pub(crate) struct Io {
    stream: TcpStream,
    has_closed: Arc<watch::Sender<bool>>,
}

/// Whether a connection's client has closed its side.
#[derive(Clone)]
pub(crate) struct Closed(watch::Receiver<bool>);

impl Io {
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, has_closed: Arc::new(watch::Sender::new(false)) }
    }

    pub(crate) fn closed(&self) -> Closed {
        Closed(self.has_closed.subscribe())
    }
}

impl Closed {
    /// Waits until the client sends no more, or the connection has ended.
    pub(crate) async fn wait(mut self) {
        // An error says that the connection was dropped.
        let _ = self.0.wait_for(|closed| *closed).await;
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let is_over = match &read {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            self.has_closed.send_replace(true);
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
