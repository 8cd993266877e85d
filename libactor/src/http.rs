//! The few pages that a node serves on its one port where nobody serves more: `GET /health`, `/version`, `/metrics`. Not a web server:
//! one request a connection, nothing read beyond its head.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Foreign;
use crate::metrics::RefusalKind;
use crate::node::{Node, Stranger};

/// Bytes of a request's head at most.
const MAX_HEAD: usize = 8 << 10;

/// The media type of what people read as it is.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// What a path answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
}

type Source = dyn Fn() -> Pin<Box<dyn Future<Output = String>>> + Send + Sync;

/// What a component counts, shown below the node's own counters on `/metrics`. Made before the node; filled once its
/// component is there.
#[derive(Clone, Default)]
pub struct Figures(Arc<OnceLock<Box<Source>>>);

impl Figures {
    /// Says where the figures come from, in Prometheus's text form. The first to say so is heard.
    pub fn come_from<F>(&self, source: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = String> + 'static,
    {
        let _ = self.0.set(Box::new(move || Box::pin(source())));
    }

    /// What is counted now; nothing, if that takes longer.
    pub async fn text(&self, patience: Duration) -> String {
        match self.0.get() {
            Some(source) => timeout(patience, source()).await.unwrap_or_default(),
            None => String::new(),
        }
    }
}

/// A hook for [`crate::NodeConfig::foreign`]: `/health`, `/metrics`, `/version` (with this text, JSON), and what `more`
/// answers for other paths.
pub fn pages(
    version: String,
    more: impl Fn(&Node, &str) -> Option<Page> + Send + Sync + 'static,
) -> Foreign {
    let more = Arc::new(more);
    Arc::new(move |node, stream, from| {
        let (more, version) = (Arc::clone(&more), version.clone());
        let stranger = Stranger::of(&node);
        actix_rt::spawn(async move {
            let _until_it_is_answered = stranger;
            let patience = node.config().timing.handshake;
            let find = async |path: &str| find(&node, &version, path, &*more);
            if let Err(why) = serve(stream, patience, find).await {
                node.refuse(from, RefusalKind::NotOurs, why);
            }
        });
    })
}

fn find(
    node: &Node,
    version: &str,
    path: &str,
    more: &dyn Fn(&Node, &str) -> Option<Page>,
) -> Option<Page> {
    let page = |content_type, body: String| Some(Page { content_type, body });
    match path {
        "/health" => page(TEXT, "ok\n".to_owned()),
        "/metrics" => page("text/plain; version=0.0.4; charset=utf-8", node.metrics().prometheus()),
        "/version" => page("application/json", version.to_owned()),
        other => more(node, other),
    }
}

/// A whole answer, after which the connection ends.
pub(crate) fn response(status: &str, content_type: &str, body: &str) -> String {
    let bytes = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn serve(
    mut stream: TcpStream,
    patience: Duration,
    find: impl AsyncFn(&str) -> Option<Page>,
) -> Result<(), &'static str> {
    let mut head = Vec::with_capacity(1024);
    let reading = async {
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            if head.len() >= MAX_HEAD {
                return Err(Answer::TooLarge);
            }
            match (&mut stream).take((MAX_HEAD - head.len()) as u64).read_buf(&mut head).await {
                Ok(0) | Err(_) => return Err(Answer::Gone),
                Ok(_) => (),
            }
        }
        Ok(())
    };
    let read = timeout(patience, reading).await.unwrap_or(Err(Answer::Late));
    let answer = match read {
        Ok(()) => match request(&head) {
            Ok(path) => find(path).await.map_or(Answer::NotFound, Answer::Page),
            Err(wrong) => wrong,
        },
        Err(wrong) => wrong,
    };
    let (status, why, page) = answer.parts();
    let body = page.as_ref().map_or(why, |page| &page.body);
    let content_type = page.as_ref().map_or(TEXT, |page| page.content_type);
    let text = response(status, content_type, body);
    let writing = async {
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    };
    // A reader that does not read is left alone.
    let _ = timeout(patience, writing).await;
    if page.is_some() { Ok(()) } else { Err(why) }
}

enum Answer {
    Page(Page),
    Bad,
    NotFound,
    Method,
    Late,
    TooLarge,
    Gone,
}

impl Answer {
    fn parts(self) -> (&'static str, &'static str, Option<Page>) {
        match self {
            Self::Page(page) => ("200 OK", "", Some(page)),
            Self::Bad => ("400 Bad Request", "this is no HTTP request\n", None),
            Self::NotFound => ("404 Not Found", "no such page\n", None),
            Self::Method => ("405 Method Not Allowed", "only GET is served here\n", None),
            Self::Late => ("408 Request Timeout", "the request did not arrive in time\n", None),
            Self::TooLarge => {
                ("431 Request Header Fields Too Large", "the request's head is too large\n", None)
            }
            Self::Gone => ("400 Bad Request", "the request ended early\n", None),
        }
    }
}

/// The path of a GET request, without its query.
fn request(head: &[u8]) -> Result<&str, Answer> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Answer::Bad)?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Answer::Bad);
    };
    if !version.starts_with("HTTP/1.") || parts.next().is_some() || !target.starts_with('/') {
        return Err(Answer::Bad);
    }
    if method != "GET" {
        return Err(Answer::Method);
    }
    Ok(target.split('?').next().unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_get_and_a_path() {
        assert!(matches!(request(b"GET /health?x=1 HTTP/1.1\r\n\r\n"), Ok("/health")));
        assert!(matches!(request(b"POST /health HTTP/1.1\r\n\r\n"), Err(Answer::Method)));
        for bad in
            [&b"\xff\xfe"[..], b"GET", b"GET / FTP/1", b"GET x HTTP/1.1", b"GET / HTTP/1.1 x"]
        {
            assert!(matches!(request(bad), Err(Answer::Bad)), "{bad:?}");
        }
    }
}
