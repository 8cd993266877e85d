//! Keeps child processes alive: starts them, hears from them when they are ready, starts those that die again, and ends
//! them. A child ends by itself when its stdin does, so that even a killed parent leaves nothing behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::environment::Environment;

/// The first pause before a child is started again; doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// A child that lived so long has recovered: the next pause is the first again.
const RECOVERED_AFTER: Duration = Duration::from_secs(20);
/// How long a child has to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// A log that has grown beyond this is put aside when its process is started again.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The longest line that a child may say.
const LINE_BYTES_MAX: u64 = 4096;

/// How a child is started.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// For people, and the name of its log.
    pub(crate) name: String,
    /// Its command line, without the program.
    pub(crate) arguments: Vec<OsString>,
    /// The port it wants at first. It keeps the one it got.
    pub(crate) port: Option<u16>,
    /// Whether it is started again when it ends by itself; one that is killed always is.
    pub(crate) forever: bool,
}

/// How a child is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Started, not yet heard from.
    Starting,
    /// It said so; with where it listens.
    Ready { address: String, process: u32 },
    /// It ended and will be started again.
    Pausing,
    /// It ended and stays so.
    Ended { well: bool },
}

/// A child that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("cannot find this program's own file")]
    Program { source: io::Error },
    #[error("cannot start {name}")]
    Start { name: String, source: io::Error },
    #[error("cannot write the log {path}; choose a folder that you may write to with --work-dir")]
    Log { path: PathBuf, source: io::Error },
    #[error("{name} ended before it was ready: {said}")]
    NeverReady { name: String, said: String },
    #[error("{name} was not ready within {} s; its log is {log}", READY_WITHIN.as_secs())]
    Late { name: String, log: PathBuf },
}

/// One child, kept.
pub(crate) struct Kept {
    recipe: Recipe,
    log: PathBuf,
    life: watch::Receiver<Life>,
    said: watch::Receiver<String>,
    stop: watch::Sender<bool>,
    keeper: actix_rt::task::JoinHandle<()>,
}

impl Kept {
    /// Starts a child and a task that keeps it. Logs go to a file of its name in `logs`.
    pub(crate) fn start(
        recipe: Recipe,
        logs: &Path,
        environment: &Environment,
    ) -> Result<Self, ChildError> {
        let log = logs.join(format!("{}.log", recipe.name));
        let (say_life, life) = watch::channel(Life::Starting);
        let (say_line, said) = watch::channel(String::new());
        let (stop, stopped) = watch::channel(false);
        let program = std::env::current_exe().map_err(|source| ChildError::Program { source })?;
        let mut keeper = Keeper {
            recipe: recipe.clone(),
            program,
            log: log.clone(),
            hide: environment.settings().map(Into::into).collect(),
            life: say_life,
            said: say_line,
            stop: stopped,
        };
        let first = keeper.spawn()?;
        let keeper = actix_rt::spawn(async move { keeper.keep(first).await });
        Ok(Self { recipe, log, life, said, stop, keeper })
    }

    /// Waits until the child says that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<String, ChildError> {
        let ready = self.life.wait_for(|life| match life {
            Life::Ready { .. } | Life::Ended { .. } => true,
            Life::Starting | Life::Pausing => false,
        });
        let life = match timeout(READY_WITHIN, ready).await {
            Ok(Ok(life)) => life.clone(),
            Ok(Err(_)) => Life::Ended { well: false },
            Err(_) => {
                return Err(ChildError::Late {
                    name: self.recipe.name.clone(),
                    log: self.log.clone(),
                });
            }
        };
        match life {
            Life::Ready { address, .. } => Ok(address),
            Life::Starting | Life::Pausing | Life::Ended { .. } => Err(ChildError::NeverReady {
                name: self.recipe.name.clone(),
                said: last_line(&self.log),
            }),
        }
    }

    /// Waits until the child has ended and stays so; whether it ended well.
    pub(crate) async fn ended(&mut self) -> bool {
        let ended = self.life.wait_for(|life| matches!(life, Life::Ended { .. })).await;
        ended.is_ok_and(|life| *life == Life::Ended { well: true })
    }

    /// Where it listens and which process it is, while it is ready.
    pub(crate) fn is_ready(&self) -> Option<(String, u32)> {
        match &*self.life.borrow() {
            Life::Ready { address, process } => Some((address.clone(), *process)),
            Life::Starting | Life::Pausing | Life::Ended { .. } => None,
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.recipe.name
    }

    /// The newest line that the child said after it was ready.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// The last line of its log: what it complained of, if it did.
    pub(crate) fn last_words(&self) -> String {
        last_line(&self.log)
    }

    /// Where the log of the child is.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Asks the child to end, and ends it if it does not within `grace`.
    pub(crate) async fn stop(mut self, grace: Duration) {
        // The keeper may have ended with its child; then nobody needs to hear this.
        let _ = self.stop.send(true);
        if timeout(grace, &mut self.keeper).await.is_err() {
            // The keeper drops its child, which kills it.
            self.keeper.abort();
            let _ = self.keeper.await;
            tracing::warn!(child = self.recipe.name, "did not end in time and was killed");
        }
    }
}

/// How one life of a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself.
    Exited { well: bool },
    /// By a signal, or it could not be started.
    Killed,
    /// Because it was to.
    Stopped,
}

struct Keeper {
    recipe: Recipe,
    program: PathBuf,
    log: PathBuf,
    hide: Vec<OsString>,
    life: watch::Sender<Life>,
    said: watch::Sender<String>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    fn spawn(&self) -> Result<Child, ChildError> {
        let log = open_log(&self.log)
            .map_err(|source| ChildError::Log { path: self.log.clone(), source })?;
        let mut command = Command::new(&self.program);
        command.args(&self.recipe.arguments).arg("--end-with-stdin");
        if let Some(port) = self.recipe.port {
            command.arg(format!("--port={port}"));
        }
        for name in &self.hide {
            command.env_remove(name);
        }
        // A group of its own: Ctrl-C reaches only the parent, which then ends its children in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(log));
        command
            .spawn()
            .map_err(|source| ChildError::Start { name: self.recipe.name.clone(), source })
    }

    /// Until it is stopped or the child has ended for good.
    async fn keep(&mut self, first: Child) {
        let mut pause = PAUSE_FIRST;
        let mut child = Some(first);
        let mut was_ready = false;
        loop {
            let started_at = Instant::now();
            let end = match child.take() {
                Some(child) => self.watch_over(child, &mut was_ready).await,
                None => End::Killed,
            };
            let again = match end {
                End::Stopped => return self.say(Life::Ended { well: true }),
                End::Exited { .. } => self.recipe.forever,
                End::Killed => true,
            };
            if !again || !was_ready {
                return self.say(Life::Ended { well: end == End::Exited { well: true } });
            }
            if started_at.elapsed() > RECOVERED_AFTER {
                pause = PAUSE_FIRST;
            }
            self.say(Life::Pausing);
            tracing::warn!(child = self.recipe.name, ?pause, "ended; it is started again");
            tokio::select! {
                () = sleep(pause) => {}
                () = stopped(&mut self.stop) => return self.say(Life::Ended { well: false }),
            }
            pause = (pause * 2).min(PAUSE_LAST);
            child = self.spawn().inspect_err(|error| tracing::warn!(%error, "not started")).ok();
        }
    }

    /// One life of the child.
    async fn watch_over(&mut self, mut child: Child, was_ready: &mut bool) -> End {
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().map(BufReader::new);
        let process = child.id().unwrap_or_default();
        let mut ready = false;
        loop {
            tokio::select! {
                line = next_line(&mut stdout), if stdout.is_some() => match line {
                    None => stdout = None,
                    Some(address) if !ready => {
                        (ready, *was_ready) = (true, true);
                        self.keep_port(&address);
                        self.say(Life::Ready { address, process });
                    }
                    Some(line) => self.hear(line),
                },
                status = child.wait() => {
                    while let Some(line) = next_line(&mut stdout).await {
                        self.hear(line);
                    }
                    return match status.map(|status| status.code()) {
                        Ok(Some(code)) => End::Exited { well: code == 0 },
                        Ok(None) | Err(_) => End::Killed,
                    };
                }
                () = stopped(&mut self.stop) => break,
            }
        }
        // The end of its stdin asks it to end.
        drop(stdin);
        // Whatever its status is, it was asked to end.
        let _ = child.wait().await;
        End::Stopped
    }

    fn hear(&self, line: String) {
        // Nobody may be listening any more.
        let _ = self.said.send(line);
    }

    /// Those that know the child find it again at the same place.
    fn keep_port(&mut self, address: &str) {
        if self.recipe.port.is_some() {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            self.recipe.port = port.or(self.recipe.port);
            self.recipe.arguments.retain(|argument| argument != "--or-any-port");
        }
    }

    fn say(&self, life: Life) {
        // Nobody may be listening any more.
        let _ = self.life.send(life);
    }
}

/// Waits for the word to stop; a parent that is gone counts as one.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Nothing is said any more when the parent's end of the channel is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The next line that a child says. The first is where it listens, or just that it is ready.
async fn next_line(stdout: &mut Option<BufReader<ChildStdout>>) -> Option<String> {
    let mut line = String::new();
    let read = stdout.as_mut()?.take(LINE_BYTES_MAX).read_line(&mut line).await;
    let whole = read.is_ok_and(|bytes| bytes > 0) && line.ends_with('\n');
    whole.then(|| line.trim_end().to_owned())
}

fn open_log(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > LOG_BYTES_MAX) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// What a child said last, for the words of an error.
fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let last = tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    last.trim().trim_start_matches("airside: ").to_owned()
}

#[cfg(test)]
mod tests;
