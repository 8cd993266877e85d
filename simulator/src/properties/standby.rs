//! Several schedulers of one framework: one of them speaks at a time, as far as anybody can see to that, and whoever takes over
//! has all that was kept, and does so in time.

use std::time::Duration;

use master::logic::{Effect, Event};
use protocol::agent::MasterToAgent;
use protocol::framework::FrameworkToMaster;
use sdk::state::Stored;

use super::{ACTS, LED, SPEAKS, TAKES_OVER};
use crate::network::Life;
use crate::process::MasterBody;
use crate::world::World;

/// How long after everybody is there and goes on one must lead its framework, beside a session's time-out: whoever was deposed
/// stands again after a second.
const LEADS_WITHIN: Duration = Duration::from_secs(4);

impl World {
    /// A scheduler is about to say something. Who has lost the ensemble knows that another may lead by now.
    pub(crate) fn check_may_speak(&mut self, life: Life, message: &FrameworkToMaster) {
        if !self.stands_by(life.process) {
            return;
        }
        self.truth.checks += 1;
        let knows = |office: &crate::office::Office| office.elections.is_connected(life.process);
        if !self.office.as_ref().is_some_and(knows) {
            let name = self.name_of(life.process).to_owned();
            let words = format!("{name} cannot know whether it leads, and says {message:?}");
            self.violate(SPEAKS, words, vec![name]);
        }
    }

    /// A scheduler begins to lead with this.
    pub(crate) fn check_takes_over(&mut self, process: u32, stored: &Stored) {
        self.truth.checks += 1;
        let Some(written) = self.office.as_ref().map(|office| &office.written) else {
            return;
        };
        if stored != written {
            let name = self.name_of(process).to_owned();
            let words = format!("{name} begins with {stored:?}, and kept was {written:?}");
            self.violate(TAKES_OVER, words, vec![name]);
        }
    }

    /// A master has heard something of a scheduler, and this is what it is about to do for it.
    pub(crate) fn check_acts(
        &mut self,
        life: Life,
        body: &MasterBody,
        heard: &Event,
        effects: &[Effect],
    ) {
        let Event::FromFramework { from, .. } = heard else {
            return;
        };
        self.truth.checks += 1;
        for effect in effects {
            let Effect::TellAgent { message, .. } = effect else {
                continue;
            };
            let framework = if let MasterToAgent::Launch { framework, .. }
            | MasterToAgent::LaunchInRunning { framework, .. } = message
            {
                &framework.framework
            } else if let MasterToAgent::Kill { framework, .. }
            | MasterToAgent::Acknowledge { framework, .. } = message
            {
                framework
            } else {
                continue;
            };
            if body.told.newest(framework).is_some_and(|newest| newest != *from) {
                let name = self.name_of(life.process).to_owned();
                let words = format!(
                    "{message:?} is for {}, and another speaks for {framework} by now",
                    self.name_of(self.life_of(*from).process)
                );
                self.violate(ACTS, words, vec![name, framework.to_string()]);
            }
        }
    }

    /// That nobody leads the framework whose schedulers are elected, in words.
    pub(crate) fn led_by_nobody(&self) -> Option<String> {
        let office = self.office.as_ref()?;
        if office.posts.keys().all(|process| self.is_over(*process)) {
            return None;
        }
        if let Some(words) = office.elections.unsettled() {
            return Some(format!("of the schedulers that stand by {words}"));
        }
        let led = office.posts.keys().any(|process| self.processes[process].is_up());
        (!led).then(|| "nobody leads the schedulers that stand by".to_owned())
    }

    /// Until when a scheduler has to lead its framework if one leads the masters since then.
    pub(crate) fn led_by(&self, led: Duration) -> Duration {
        let timeout = self.office.as_ref().map(|office| office.elections.timeout());
        led + timeout.unwrap_or_default() + LEADS_WITHIN
    }

    /// Whether nobody leads it though it is time. Returns when one did.
    pub(crate) fn check_led(&mut self, deadline: Duration) -> Option<Duration> {
        let Some(words) = self.led_by_nobody() else {
            return Some(self.queue.now());
        };
        if self.queue.now() >= deadline {
            self.violate(LED, words, Vec::new());
        }
        None
    }
}
