//! A machine loses power and starts anew: nothing that ran on it runs any more. Of an agent's file there is what was synced, and
//! of what was written since as much as chance wills.

use agent::checkpoint_bytes;

use crate::network::Life;
use crate::process::Seat;
use crate::world::World;

impl World {
    /// The machine of an agent starts anew.
    pub(crate) fn reboot(&mut self, agent: u32) {
        if self.suspended_until(agent).is_some() {
            return;
        }
        self.kill(agent, true);
        for executor in self.executors_of(agent) {
            self.end(executor, true);
            self.lose_below(executor);
        }
        if let Err(words) = self.lose_unsynced(agent) {
            self.violate_disk(agent, words);
        }
        self.check_membership_survives(agent);
    }

    /// Those that live, and those that have left something behind.
    fn executors_of(&self, agent: u32) -> Vec<Life> {
        let of_it = self.processes.iter().filter(|(_, process)| match &process.seat {
            Seat::Executor { parent, .. } => parent.process == agent,
            Seat::Master | Seat::Agent { .. } | Seat::Framework(_) => false,
        });
        of_it.map(|(number, _)| self.present_life(*number)).collect()
    }

    fn lose_unsynced(&mut self, agent: u32) -> Result<(), String> {
        let process = self.processes.get_mut(&agent).expect("faults name processes");
        let Seat::Agent { config, checkpoint, file, synced } = &mut process.seat else {
            return Ok(());
        };
        config.info.boot.push('+');
        let kept = *synced + self.chance.index(file.len() - *synced + 1);
        file.truncate(kept);
        let left = checkpoint_bytes::read(file).map_err(|error| error.to_string())?;
        // What it had left behind by its own will it does not act by any more.
        if checkpoint.member.is_none() {
            self.truth.members.remove(&agent);
        }
        **checkpoint = left;
        Ok(())
    }
}
