//! What passes between a launcher and whoever has it start containers: a length, a record, and descriptors beside the length.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use libactor::wire;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::container::Container;

/// Arguments and environment of a program are at most 2 MiB, secrets may add some.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// With one message.
const FILES_MAX: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) container: Container,
    /// Whether there is a descriptor for it.
    pub(super) lifeline: bool,
    /// The same.
    pub(super) group: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// With a handle of the process.
    Started { process: i32 },
    /// The kernel's number, if it has one, and words.
    Failed { errno: Option<i32>, words: String },
}

pub(super) fn ask(socket: &UnixStream, request: &Request, files: &[OwnedFd]) -> io::Result<()> {
    send(socket, request, files)
}

pub(super) fn hear(socket: &UnixStream) -> io::Result<(Answer, Option<OwnedFd>)> {
    let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "the launcher is gone");
    let (answer, files) = receive(socket)?.ok_or_else(gone)?;
    Ok((answer, files.into_iter().next()))
}

/// Nothing when whoever asks is gone.
pub(super) fn next(socket: &UnixStream) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    receive(socket)
}

pub(super) fn answer(
    socket: &UnixStream,
    answer: &Answer,
    handle: Option<&OwnedFd>,
) -> io::Result<()> {
    let handles: Vec<_> = handle.into_iter().collect();
    send(socket, answer, &handles)
}

fn send<T: Serialize>(socket: &UnixStream, record: &T, files: &[impl AsFd]) -> io::Result<()> {
    let bytes = wire::encode(record, RECORD_BYTES_MAX).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes();
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&files)) && !files.is_empty() {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    // Four bytes go in one piece, or not at all.
    sendmsg(socket, &[IoSlice::new(&length)], &mut beside, SendFlags::NOSIGNAL)?;
    let mut socket = socket;
    socket.write_all(&bytes)
}

fn receive<T: for<'a> Deserialize<'a>>(
    socket: &UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut length)];
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut files = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    let mut socket = socket;
    socket.read_exact(&mut length[received.bytes..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > RECORD_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {length} bytes is too long")));
    }
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes)?;
    let record = wire::decode(&bytes).map_err(io::Error::other)?;
    Ok(Some((record, files)))
}
