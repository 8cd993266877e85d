//! A plain HTTP client for stories: what it sends is what a story says, byte by byte, and streams are read record by record.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::cluster::DEADLINE;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, with names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Its body; of a stream, nothing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|bad| panic!("{bad}: {}", self.text()))
    }
}

trait Carrier: Read + Write + Send {}

impl<T: Read + Write + Send> Carrier for T {}

/// A connection.
pub struct Client {
    stream: BufReader<Box<dyn Carrier>>,
}

/// An answer that goes on, in records.
pub struct Stream {
    client: Client,
    /// Its head.
    pub head: Answer,
    /// Of the chunks that were read, what no record was made of.
    read: Vec<u8>,
}

impl Client {
    /// To a node, or to the socket at this path.
    pub fn connect(at: &str) -> io::Result<Self> {
        if !at.starts_with('/') {
            return Self::over(TcpStream::connect(at)?);
        }
        let stream = UnixStream::connect(at)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)) })
    }

    /// On a connection that is there.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(Box::new(stream)) })
    }

    /// Sends a request as it is.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request with these headers, each `name: value`, and a body.
    pub fn request(&mut self, line: &str, headers: &[&str], body: &[u8]) -> io::Result<()> {
        let mut text =
            format!("{line} HTTP/1.1\r\nHost: master\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|header| text += &format!("{header}\r\n"));
        self.send(&[text.as_bytes(), b"\r\n", body].concat())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn head(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {line}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => return Ok(Answer { status, headers, body: Vec::new() }),
            }
        }
    }

    /// One chunk; empty at the end.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        Ok(chunk)
    }

    /// A whole answer.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    return Ok(answer);
                }
                answer.body.extend_from_slice(&chunk);
            }
        }
        let length = answer.header("content-length").and_then(|text| text.parse().ok());
        answer.body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    /// An answer that goes on.
    pub fn stream(mut self) -> io::Result<Stream> {
        let head = self.head()?;
        Ok(Stream { client: self, head, read: Vec::new() })
    }
}

impl Stream {
    /// Sends more on its connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.send(bytes)
    }

    /// The next record; `None` at the end.
    pub fn record(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(record) = self.whole() {
                return Ok(Some(record));
            }
            let chunk = self.client.chunk()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            self.read.extend_from_slice(&chunk);
        }
    }

    fn whole(&mut self) -> Option<Vec<u8>> {
        let end = self.read.iter().position(|byte| *byte == b'\n')?;
        let length: usize = std::str::from_utf8(&self.read[..end]).ok()?.parse().ok()?;
        let record = self.read.get(end + 1..end + 1 + length)?.to_vec();
        self.read.drain(..end + 1 + length);
        Some(record)
    }

    /// The next event of JSON of this type, after others.
    #[track_caller]
    pub fn event(&mut self, wanted: &str) -> Value {
        self.event_or(wanted, wanted)
    }

    /// The next event of JSON of one of two types, after others. They must come before the deadline, whatever else comes.
    #[track_caller]
    pub fn event_or(&mut self, wanted: &str, or: &str) -> Value {
        let until = std::time::Instant::now() + DEADLINE;
        let mut others = Vec::new();
        loop {
            let record = self.record();
            let Ok(Some(record)) = record else {
                panic!("no {wanted}, but {record:?} after {others:#?}");
            };
            let event: Value = serde_json::from_slice(&record).expect("events are JSON");
            if event["type"] == wanted || event["type"] == or {
                return event;
            }
            others.push(event);
            assert!(std::time::Instant::now() < until, "no {wanted}, but {others:#?}");
        }
    }
}

/// One request on a connection of its own, and its answer.
#[track_caller]
pub fn ask(at: &str, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let answered = Client::connect(at).and_then(|mut client| {
        client.request(line, headers, body)?;
        client.answer()
    });
    answered.unwrap_or_else(|error| panic!("{line} to {at}: {error}"))
}

/// A call of JSON on a connection of its own.
#[track_caller]
pub fn call(at: &str, path: &str, headers: &[&str], body: &Value) -> Answer {
    let headers: Vec<&str> =
        headers.iter().copied().chain(["Content-Type: application/json"]).collect();
    ask(at, &format!("POST {path}"), &headers, body.to_string().as_bytes())
}
