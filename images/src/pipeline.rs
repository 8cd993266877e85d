//! A layer on its way: bytes come from the network or a file, are kept and digested as they come, and are unpacked in the
//! same time. Two threads: one receives, one unpacks. What they make counts only once all digests are known to be right.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::compression;
use crate::digest::{Digest, Hasher};
use crate::error::Failure;
use crate::progress::Teller;
use crate::unpack::{BadLayer, Budget, Form, Report, unpack};

/// Of a read from a file.
const READ_BYTES: usize = 256 << 10;

/// Between the threads; and between the network and the first of them. With chunks of some tens of KiB it is a few MiB.
pub(crate) const CHUNKS_MAX: usize = 64;

/// Where a layer's bytes come from.
pub(crate) enum Feed {
    /// The network; the first `kept` bytes are in `part` already, and all others are added to it.
    Network { chunks: mpsc::Receiver<Bytes>, part: File, part_path: PathBuf, kept: u64, size: u64 },
    /// Bytes of a file.
    File { file: Arc<File>, path: PathBuf, offset: u64, size: u64 },
}

/// What became of the bytes that came.
pub(crate) enum Received {
    /// All came; this is their digest.
    All(Digest),
    /// The other side ended before all were there, and knows why.
    Cut,
}

/// What became of the layer.
pub(crate) struct Unpacked {
    /// Of the archive uncompressed.
    pub(crate) diff_id: Digest,
    pub(crate) report: Report,
}

/// Both ends between the threads.
pub(crate) fn between() -> (SyncSender<Bytes>, Chunks) {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    (sender, Chunks { receiver, current: Bytes::new(), ended: false })
}

impl Feed {
    /// Receives all there is, and passes it on. It blocks.
    pub(crate) fn run(self, to: &SyncSender<Bytes>, teller: &Teller) -> Result<Received, Failure> {
        let mut passing =
            Passing { hasher: Hasher::default(), to, teller, bytes: 0, unheard: false };
        match self {
            Self::File { file, path, offset, size } => {
                passing
                    .read(&file, offset, size)
                    .map_err(|source| Failure::File { path, source })?;
            }
            Self::Network { mut chunks, part, part_path, kept, size } => {
                let failed = |what| {
                    let path = part_path.clone();
                    move |source| Failure::store(what, &path, source)
                };
                passing.read(&part, 0, kept).map_err(failed("read"))?;
                let mut part = part;
                part.seek(SeekFrom::Start(kept)).map_err(failed("write"))?;
                while let Some(chunk) = chunks.blocking_recv().filter(|_| !passing.unheard) {
                    part.write_all(&chunk).map_err(failed("write"))?;
                    passing.pass(chunk);
                }
                if passing.bytes < size {
                    return Ok(Received::Cut);
                }
            }
        }
        // Nothing is the end; a sender that is gone without it is none.
        if passing.unheard || to.send(Bytes::new()).is_err() {
            return Ok(Received::Cut);
        }
        Ok(Received::All(passing.hasher.finish()))
    }
}

struct Passing<'a> {
    hasher: Hasher,
    to: &'a SyncSender<Bytes>,
    teller: &'a Teller,
    bytes: u64,
    /// Whoever unpacks has stopped, and says why.
    unheard: bool,
}

impl Passing<'_> {
    fn pass(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.hasher.update(&chunk);
        let count = chunk.len() as u64;
        self.bytes += count;
        self.teller.tell(|progress| progress.bytes_done += count);
        self.unheard |= self.to.send(chunk).is_err();
    }

    fn read(&mut self, file: &File, mut at: u64, mut left: u64) -> io::Result<()> {
        while left > 0 && !self.unheard {
            let mut chunk = vec![0; usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES)];
            file.read_exact_at(&mut chunk, at)?;
            at += chunk.len() as u64;
            left -= chunk.len() as u64;
            self.pass(chunk.into());
        }
        Ok(())
    }
}

/// The chunks as one stream of bytes.
pub(crate) struct Chunks {
    receiver: Receiver<Bytes>,
    current: Bytes,
    ended: bool,
}

impl Chunks {
    /// Puts enough of the first chunks together to see what they are.
    fn begin(&mut self) -> io::Result<()> {
        while self.fill_buf()?.len() < compression::BEGIN_BYTES {
            let begun = std::mem::take(&mut self.current);
            let more = self.fill_buf()?;
            if more.is_empty() {
                self.current = begun;
                return Ok(());
            }
            self.current = [&begun, more].concat().into();
        }
        Ok(())
    }

    /// Takes whatever still comes, so that it is known whether the bytes were at least those that were meant.
    fn drain(&mut self) {
        while self.receiver.recv().is_ok_and(|chunk| !chunk.is_empty()) {}
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() && !self.ended {
            let cut = |_| io::Error::new(io::ErrorKind::ConnectionAborted, "not all of it came");
            self.current = self.receiver.recv().map_err(cut)?;
            self.ended = self.current.is_empty();
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Digests what is read.
struct Digesting<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Unpacks what comes into a folder. It blocks.
pub(crate) fn unpack_chunks(
    mut chunks: Chunks,
    folder: impl AsFd,
    form: Form,
    budget: &Budget,
) -> Result<Unpacked, BadLayer> {
    let result = unpack_stream(&mut chunks, folder, form, budget);
    let is_garbage =
        matches!(result, Err(BadLayer::Archive { .. } | BadLayer::NoLinkTarget { .. }));
    if is_garbage || result.is_ok() {
        chunks.drain_unless_ended();
    }
    result
}

fn unpack_stream(
    chunks: &mut Chunks,
    folder: impl AsFd,
    form: Form,
    budget: &Budget,
) -> Result<Unpacked, BadLayer> {
    let bad = |source| BadLayer::from(crate::tarball::BadArchive::Read { source });
    chunks.begin().map_err(bad)?;
    let input = compression::unpacked(chunks).map_err(bad)?;
    let mut digesting = Digesting { input, hasher: Hasher::default() };
    let report = unpack(&mut digesting, folder.as_fd(), form, budget)?;
    Ok(Unpacked { diff_id: digesting.hasher.finish(), report })
}

impl Chunks {
    fn drain_unless_ended(&mut self) {
        if !self.ended {
            self.drain();
        }
    }
}
