//! A UNIX domain socket on which some routes are served beside a node's port: whoever is on this machine finds it by its path, also
//! where no network leads to the port.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use libactor::Node;

use crate::io::Carrier;
use crate::route::Routes;
use crate::serve::{Limits, Room, make};

/// Everybody on the machine may connect: executors run as many users.
const MODE: u32 = 0o666;

/// After a connection could not be taken, how long none is.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no such socket; in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum BadSocket {
    /// Somebody has it.
    #[error("another process listens on {}: give each its own path", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} is there and is no socket: give another path, or remove it", .0.display())]
    NoSocket(PathBuf),
    /// The system does not want it.
    #[error("listen on {}: {source}; give a path of less than 108 bytes in a folder that is there", .path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Serves these routes on a socket at this path, until the process ends. One that a process left there which is gone is taken over.
/// Of its connections no more are served than a node has guests.
///
/// # Errors
///
/// See [`BadSocket`].
pub fn serve_on(path: &Path, node: &Node, routes: Routes, limits: Limits) -> Result<(), BadSocket> {
    let listener = listen(path)?;
    let node = node.clone();
    let failed = |source| BadSocket::Listen { path: path.to_owned(), source };
    let thread = std::thread::Builder::new().name("socket".to_owned());
    let served = move || System::new().block_on(accept(listener, node, routes, limits));
    thread.spawn(served).map(drop).map_err(failed)
}

fn listen(path: &Path) -> Result<UnixListener, BadSocket> {
    let failed = |source| BadSocket::Listen { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BadSocket::NoSocket(path.to_owned()));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(BadSocket::InUse(path.to_owned()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, node: Node, routes: Routes, limits: Limits) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "executors are not served on their socket"),
    };
    let serving = make(Arc::new(routes), Arc::new(Room::of(limits)), limits).await;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match node.guest() {
                Some(guest) => {
                    let served = serving(Carrier::Unix(stream), None);
                    actix_rt::spawn(async move {
                        served.await;
                        drop(guest);
                    });
                }
                None => tracing::warn!(
                    "a client of the socket is turned away: there are as many as may be"
                ),
            },
            Err(error) => {
                tracing::warn!(%error, "a client of the socket was not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_over_from_the_dead_and_from_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let first = listen(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, MODE);
        assert!(matches!(listen(&path), Err(BadSocket::InUse(_))));
        drop(first);
        drop(listen(&path).unwrap());
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(listen(&folder.path().join("file")), Err(BadSocket::NoSocket(_))));
        let long = folder.path().join("x".repeat(120));
        let words = listen(&long).unwrap_err().to_string();
        assert!(words.contains("less than 108 bytes"), "{words}");
        assert!(listen(&folder.path().join("no/such")).is_err());
    }
}
