//! A registry in this process that serves what it is given, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use images::{Digest, Patience, Reference, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::made::Image;

/// Of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// By name in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// How often the same path was asked for before.
    pub(crate) before: usize,
}

/// What a body ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Closed,
    /// Broken off: the other side hears of a reset.
    Reset,
    /// Nothing more comes, and the connection stays.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Announced as length; nothing is, if `None`.
    pub(crate) length: Option<u64>,
    pub(crate) ending: Ending,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: vec![], body: vec![], length: Some(0), ending: Ending::Closed }
    }

    pub(crate) fn body(bytes: &[u8]) -> Self {
        Self { body: bytes.to_vec(), length: Some(bytes.len() as u64), ..Self::status(200) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Only so many bytes of the body, then the ending.
    pub(crate) fn cut(mut self, bytes: usize, ending: Ending) -> Self {
        self.body.truncate(bytes);
        self.ending = ending;
        self
    }
}

type Hook = dyn Fn(&Request, Reply) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    files: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    asked: Mutex<Vec<Request>>,
    hook: Box<Hook>,
}

impl Fake {
    /// One that behaves.
    pub(crate) async fn honest() -> Self {
        Self::with(|_, reply| reply).await
    }

    /// One that changes its answers, which it is given, as `hook` says.
    pub(crate) async fn with(
        hook: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hook = Box::new(hook);
        let shared = Arc::new(Shared { files: Mutex::default(), asked: Mutex::default(), hook });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { address, shared }
    }

    /// Serves an image under a name and tag, and returns how to refer to it.
    pub(crate) fn push(&self, name: &str, tag: &str, image: &Image) -> Reference {
        let mut files = self.shared.files.lock().unwrap();
        for (digest, bytes) in &image.blobs {
            let file = ("application/octet-stream".into(), bytes.clone());
            files.insert(format!("/v2/{name}/blobs/{digest}"), file);
        }
        for (media, bytes) in &image.manifests {
            let file = (media.clone(), bytes.clone());
            files.insert(format!("/v2/{name}/manifests/{}", Digest::of(bytes)), file);
        }
        let (media, bytes) = image.manifests.last().unwrap();
        files.insert(format!("/v2/{name}/manifests/{tag}"), (media.clone(), bytes.clone()));
        self.reference(&format!("{name}:{tag}"))
    }

    pub(crate) fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.address), images::DOCKER_HUB).unwrap()
    }

    /// All requests for paths with a word in them.
    pub(crate) fn asked(&self, word: &str) -> Vec<Request> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|request| request.path.contains(word)).cloned().collect()
    }
}

/// Settings that do not try the patience of whoever waits for a test.
pub(crate) fn settings() -> Settings {
    Settings {
        // Longer than a busy machine makes an honest registry hang.
        stall_timeout: Duration::from_secs(60),
        patience: Patience {
            retries: 2,
            wait: Duration::from_millis(1),
            wait_max: Duration::from_millis(5),
            asked_wait_max: Duration::from_secs(2),
        },
        ..Settings::default()
    }
}

/// For registries that do hang.
pub(crate) fn impatient() -> Settings {
    Settings { stall_timeout: Duration::from_millis(300), ..settings() }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Whoever begins to speak TLS is not answered.
        let is_tls = head.first() == Some(&0x16);
        if is_tls || head.len() > HEAD_BYTES_MAX {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let request = {
        let mut asked = shared.asked.lock().unwrap();
        let before = asked.iter().filter(|other| other.path == path).count();
        asked.push(Request { path, headers, before });
        asked.last().cloned()?
    };
    let reply = (shared.hook)(&request, shared.honest(&request));
    let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = reply.length {
        text += &format!("content-length: {length}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.write_all(&reply.body).await.ok()?;
    stream.flush().await.ok()?;
    match reply.ending {
        Ending::Closed => drop(stream.shutdown().await),
        // What was sent is let through first: a reset throws away what the other side has not read.
        Ending::Reset => {
            wait_until_read(&stream).await;
            stream.set_zero_linger().ok()?;
        }
        Ending::Hang => {
            let mut byte = [0];
            while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
        }
    }
    Some(())
}

/// Until the other side has taken all that was sent.
async fn wait_until_read(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
    for _ in 0..2000 {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let inode = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).unwrap();
        let inode = inode.to_string_lossy().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        let line = table.lines().find(|line| line.split_whitespace().nth(9) == Some(&inode));
        let local = line.and_then(|line| line.split_whitespace().nth(1));
        let peer =
            table.lines().find(|line| local.is_some() && line.split_whitespace().nth(2) == local);
        let queues = [line, peer]
            .map(|line| line.and_then(|line| line.split_whitespace().nth(4).map(str::to_owned)));
        if queues
            .iter()
            .all(|queue| queue.as_deref().is_none_or(|queue| queue == "00000000:00000000"))
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

impl Shared {
    fn honest(&self, request: &Request) -> Reply {
        let files = self.files.lock().unwrap();
        if request.path == "/v2/" {
            return Reply::status(200);
        }
        let Some((media, bytes)) = files.get(&request.path) else { return Reply::status(404) };
        let range = request.headers.get("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        match range {
            None => Reply::body(bytes).header("content-type", media),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                let reply = Reply::body(&bytes[from..]).header("content-range", &range);
                Reply { status: 206, ..reply }
            }
        }
    }
}
