//! The executor's times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that can be set about an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The agent is contacted again after this long; doubles with each attempt.
    pub register_backoff_min: Duration,
    /// Where the doubling ends.
    pub register_backoff_max: Duration,
    /// An agent that was lost is contacted again after this long at most, of which chance takes a part; doubles with each attempt.
    pub reconnect_backoff_min: Duration,
    /// Where the doubling ends. Agents tell executors of Mesos's API to pause for no longer than 2 s.
    pub reconnect_backoff_max: Duration,
    /// An agent that was lost for this long is not waited for any longer.
    pub recovery_timeout: Duration,
    /// Without an answer for this long, the executor ends.
    pub register_within: Duration,
    /// Between the polite and the final signal when nobody said otherwise.
    pub kill_grace: Duration,
    /// Unacknowledged updates are sent again after this long; doubles with each time.
    pub update_backoff_min: Duration,
    /// Where the doubling ends.
    pub update_backoff_max: Duration,
    /// How long an executor that was told to end waits for acknowledgements.
    pub linger: Duration,
    /// A deliberate bug that is switched on.
    #[cfg(feature = "testing")]
    pub bug: Option<Bug>,
}

/// Bugs that the simulator must catch; they exist only under the feature `testing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// The task is killed as soon as the agent is lost.
    TaskKilledWithoutAgent,
    /// The end of the task is told before it is written down.
    EndToldBeforeNoted,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TaskKilledWithoutAgent, Self::EndToldBeforeNoted];
}

impl Default for Config {
    fn default() -> Self {
        Self {
            register_backoff_min: Duration::from_millis(200),
            register_backoff_max: Duration::from_secs(2),
            reconnect_backoff_min: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_millis(500),
            recovery_timeout: Duration::from_secs(15 * 60),
            register_within: Duration::from_secs(60),
            kill_grace: Duration::from_secs(3),
            update_backoff_min: Duration::from_secs(2),
            update_backoff_max: Duration::from_secs(30),
            linger: Duration::from_millis(500),
            #[cfg(feature = "testing")]
            bug: None,
        }
    }
}

impl Config {
    /// Whether a deliberate bug is switched on; never without the feature `testing`.
    #[cfg(feature = "testing")]
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Whether a deliberate bug is switched on; never without the feature `testing`.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "has a use of it with the feature `testing`")]
    pub(super) const fn has(&self, _: Bug) -> bool {
        false
    }

    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        doubled(self.register_backoff_min, self.register_backoff_max, attempts)
    }

    /// A part of what doubles: executors that lost one agent do not all come back at one moment.
    pub(super) fn reconnect_backoff(&self, attempts: u32, chance: u32) -> Duration {
        let most = doubled(self.reconnect_backoff_min, self.reconnect_backoff_max, attempts);
        most.mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    pub(super) fn update_backoff(&self, sent: u32) -> Duration {
        doubled(self.update_backoff_min, self.update_backoff_max, sent)
    }
}

fn doubled(min: Duration, max: Duration, times: u32) -> Duration {
    min.saturating_mul(1 << times.min(16)).min(max)
}
