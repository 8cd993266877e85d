//! What tells that a container goes beyond a limit: a file that becomes ready, so that whoever waits for it may do so by `poll` or on a
//! runtime, and a look that says what has happened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Limitation;

/// One container under one isolator.
pub trait Watch: Send {
    /// Readable when it is time to look.
    fn file(&self) -> BorrowedFd<'_>;

    /// Whether a limit was exceeded. Takes from the file what is in it, or it would be time again at once. Never waits.
    ///
    /// # Errors
    /// In words, why nothing more will be told: most often, that the container is gone.
    fn look(&mut self) -> Result<Option<Limitation>, String>;
}

/// Waits for it; on a tokio runtime.
///
/// # Errors
/// The watch's own, or the runtime's.
pub async fn limited(mut watch: Box<dyn Watch>) -> Result<Limitation, String> {
    loop {
        if let Some(limitation) = watch.look()? {
            return Ok(limitation);
        }
        let ready = readable(watch.file()).await;
        ready.map_err(|error| format!("wait until a container goes beyond a limit: {error}"))?;
    }
}

/// Waits until a file is ready to be read; on a tokio runtime.
pub(crate) async fn readable(file: BorrowedFd<'_>) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "the descriptor stays open as long as it is borrowed; what comes after it is unsafe"
    )]
    let file = AsyncFd::with_interest(file, Interest::READABLE)?;
    file.readable().await.map(drop)
}

/// A watch for isolators that find out themselves, on whatever thread: what they tell is told.
///
/// # Errors
/// There is no room for one more open file.
pub fn told() -> io::Result<(Teller, Box<dyn Watch>)> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = Arc::new(EventFd::from_value_and_flags(0, flags)?);
    let (to_watch, told) = channel();
    let to_watch = Some(to_watch);
    Ok((Teller { event: Arc::clone(&event), to_watch }, Box::new(Told { event, told })))
}

/// Tells of one container.
#[derive(Debug)]
pub struct Teller {
    event: Arc<EventFd>,
    to_watch: Option<Sender<Limitation>>,
}

impl Teller {
    /// It has gone beyond a limit. Whoever watched may have lost interest: then nothing happens.
    pub fn tell(&self, limitation: Limitation) {
        let sent = self.to_watch.as_ref().map(|to_watch| to_watch.send(limitation));
        if let Some(Ok(())) = sent {
            // One that is full is ready, too.
            let _ = self.event.write(1);
        }
    }
}

/// Whoever waits is told that nothing comes any more.
impl Drop for Teller {
    fn drop(&mut self) {
        self.to_watch = None;
        let _ = self.event.write(1);
    }
}

struct Told {
    event: Arc<EventFd>,
    told: Receiver<Limitation>,
}

impl Watch for Told {
    fn file(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    fn look(&mut self) -> Result<Option<Limitation>, String> {
        match self.event.read() {
            Ok(_) | Err(Errno::EAGAIN) => match self.told.try_recv() {
                Ok(limitation) => Ok(Some(limitation)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err("nobody is left who tells".into()),
            },
            Err(error) => Err(format!("hear whether a container goes beyond a limit: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::resources::Resources;
    use protocol::task::Reason;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_told_on_another_thread_is_heard_once() {
        let limitation = Limitation {
            reason: Reason::ContainerLimitation,
            resources: Resources::none(),
            words: "too much".into(),
        };
        let (teller, mut watch) = told().unwrap();
        assert_eq!(watch.look(), Ok(None));
        let tells = limitation.clone();
        let thread = std::thread::spawn(move || {
            teller.tell(tells);
            teller
        });
        assert_eq!(limited(watch).await, Ok(limitation.clone()));
        // Nobody listens any more.
        thread.join().unwrap().tell(limitation);
    }

    #[tokio::test]
    async fn whoever_waits_for_one_that_is_gone_does_not_wait_for_ever() {
        let (teller, watch) = told().unwrap();
        // The one that waits is asked first.
        let both = async { tokio::join!(limited(watch), async move { drop(teller) }).0 };
        let told = tokio::time::timeout(Duration::from_secs(30), both).await;
        assert_eq!(told.expect("it is told"), Err("nobody is left who tells".to_owned()));
    }
}
