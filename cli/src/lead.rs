//! A scheduler as a command: until it ends by itself or is asked to, and if it is elected, again and again.

use std::io;
use std::path::Path;
use std::time::Duration;

use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Settings, ZooKeeper};
use libactor::Secret;
use protocol::framework::FrameworkInfo;
use sdk::state::has_met_master;
use sdk::{
    Election, ElectionError, Options, Outcome, RunError, Running, Scheduler, start_scheduler,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::arguments::{ClusterArguments, StateArguments};
use crate::client::look_for;
use crate::cluster::{Cluster, FileError, read_secret};
use crate::ending;
use crate::environment::Environment;
use crate::frameworks::FrameworkError;
use crate::output;

/// How long a ZooKeeper server may take to answer before that is mentioned.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// How a command came to its end.
pub(crate) enum Led<S> {
    /// Its scheduler has ended.
    Ended(Outcome, S),
    /// Another process has torn the framework down while this one stood by.
    Elsewhere,
    /// It was asked to end while it did not lead, or was about to be replaced.
    Asked,
}

/// The master and the secret of the cluster that is meant.
pub(crate) fn find(
    arguments: &ClusterArguments,
    environment: &Environment,
) -> Result<(String, Option<Secret>), FileError> {
    let cluster = Cluster::find(arguments, environment);
    let secret = cluster.secret_file.as_deref().map(read_secret).transpose()?;
    Ok((cluster.master, secret))
}

/// Says so if ZooKeeper does not answer. Whoever stands for election there tries on.
async fn say_if_silent(url: Url) {
    let look = move || ZooKeeper::start(Settings::of(url))?.wait_until_connected(CONNECTED_WITHIN);
    if let Ok(Err(silent)) = actix_rt::task::spawn_blocking(look).await {
        output::narrate(&format!("{silent}; trying on\n"));
    }
}

/// Says so if there is no way to the master, which is tried for on.
fn say_if_lost(master: &str, secret: Option<&Secret>) -> JoinHandle<()> {
    let (master, secret) = (master.to_owned(), secret.cloned());
    actix_rt::spawn(async move {
        if let Err(error) = look_for(&master, secret).await {
            output::narrate(&format!("{}; trying on\n", output::chain(&error)));
        }
    })
}

/// Runs what `make` makes as this framework. If it is asked to end, it hears `last_word` and may take a while.
///
/// Without election it has to [`meet`] the master first.
pub(crate) async fn lead<S: Scheduler + Send + Unpin + 'static>(
    info: FrameworkInfo,
    (master, secret): (String, Option<Secret>),
    state: &StateArguments,
    mut make: impl FnMut() -> Result<S, FrameworkError>,
    last_word: &[u8],
) -> Result<Led<S>, FrameworkError> {
    let asked = ending::asked(state.end_with_stdin);
    tokio::pin!(asked);
    let elect = state.elect.clone().map(Election::at);
    let stands = elect.is_some();
    let mut looks = None;
    if let Some(url) = state.elect.clone() {
        actix_rt::spawn(say_if_silent(url));
        looks = Some(say_if_lost(&master, secret.as_ref()));
    } else if !meet(&master, secret.as_ref(), state.state_dir.as_deref(), &mut asked).await? {
        return Ok(Led::Asked);
    }
    let state_dir = state.state_dir.clone();
    let options = Options { state_dir, secret, elect, ..Options::default() };
    loop {
        if stands {
            output::narrate("stands by\n");
        }
        let starts = start_scheduler(&master, info.clone(), make()?, options.clone());
        let Some(started) = unless(&mut asked, starts).await? else { return Ok(Led::Asked) };
        if let Err(RunError::Election(ElectionError::TornDown)) = started {
            return Ok(Led::Elsewhere);
        }
        let running = started?;
        if let Some(before) = &mut looks {
            output::narrate("leads\n");
            // What was so when it began to stand by may be long ago; it is not said twice.
            before.abort();
            *before = say_if_lost(&master, options.secret.as_ref());
        }
        let Over { outcome, scheduler, was_asked } = end_of(running, &mut asked, last_word).await?;
        if stands && is_replaced(&outcome) {
            output::narrate(&format!("{outcome}\n"));
        }
        if let Some(led) = follows(outcome, scheduler, stands, was_asked)? {
            return Ok(led);
        }
    }
}

/// A master that is not there when a scheduler begins is an error: most likely it was named wrongly. Whoever has met it once,
/// in an earlier life too, waits for it, and for whoever leads after it, as long as it takes. `false`: asked to end first.
pub(crate) async fn meet(
    master: &str,
    secret: Option<&Secret>,
    state_dir: Option<&Path>,
    asked: impl Future<Output = io::Result<()>>,
) -> Result<bool, FrameworkError> {
    if state_dir.is_some_and(has_met_master) {
        say_if_lost(master, secret);
        return Ok(true);
    }
    match unless(asked, look_for(master, secret.cloned())).await? {
        Some(met) => Ok(met.map(|()| true)?),
        None => Ok(false),
    }
}

/// What comes of something; nothing if the command is asked to end first.
async fn unless<T>(
    asked: impl Future<Output = io::Result<()>>,
    something: impl Future<Output = T>,
) -> Result<Option<T>, FrameworkError> {
    tokio::select! {
        done = something => Ok(Some(done)),
        asked = asked => asked.map(|()| None).map_err(FrameworkError::Signals),
    }
}

/// How one reign of a scheduler ended.
struct Over<S> {
    outcome: Outcome,
    scheduler: S,
    /// Whether it had been asked to end: that is asked once only.
    was_asked: bool,
}

fn is_replaced(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deposed(_) | Outcome::FailedOver)
}

/// What follows; nothing: it stands for election again.
fn follows<S>(
    outcome: Outcome,
    scheduler: S,
    stands: bool,
    was_asked: bool,
) -> Result<Option<Led<S>>, FrameworkError> {
    match outcome {
        Outcome::Deposed(_) | Outcome::FailedOver if stands => Ok(was_asked.then_some(Led::Asked)),
        Outcome::Deposed(_) | Outcome::FailedOver | Outcome::Refused(_) => {
            Err(FrameworkError::Ended(outcome))
        }
        Outcome::Stopped | Outcome::TornDown => Ok(Some(Led::Ended(outcome, scheduler))),
    }
}

async fn end_of<S: Scheduler + Send + Unpin + 'static>(
    running: Running<S>,
    asked: impl Future<Output = io::Result<()>>,
    last_word: &[u8],
) -> Result<Over<S>, FrameworkError> {
    let inputs = running.inputs();
    let ended = running.ended();
    tokio::pin!(ended);
    tokio::select! {
        ended = &mut ended => {
            let (outcome, scheduler) = ended?;
            Ok(Over { outcome, scheduler, was_asked: false })
        }
        asked = asked => {
            asked.map_err(FrameworkError::Signals)?;
            inputs.input(last_word.to_vec());
            let ended = timeout(ending::TASKS_END_WITHIN, ended).await;
            let (outcome, scheduler) = ended.map_err(|_| FrameworkError::NotEnded)??;
            Ok(Over { outcome, scheduler, was_asked: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_replaced_stands_again_unless_it_was_asked_to_end() {
        let follows = |outcome, stands, was_asked| follows(outcome, (), stands, was_asked);
        let deposed = || Outcome::Deposed("a later epoch has begun".into());
        assert!(matches!(follows(deposed(), true, false), Ok(None)));
        assert!(matches!(follows(Outcome::FailedOver, true, false), Ok(None)));
        assert!(matches!(follows(deposed(), true, true), Ok(Some(Led::Asked))));
        assert!(matches!(follows(Outcome::FailedOver, true, true), Ok(Some(Led::Asked))));
        assert!(follows(Outcome::FailedOver, false, false).is_err());
        assert!(matches!(follows(Outcome::Stopped, true, true), Ok(Some(Led::Ended(..)))));
    }
}
