//! Frameworks that are not written with our SDK, or not well: what they say beside what the driver says, to see that the
//! master bears it. It is never more than a scheduler could say.

use std::collections::BTreeMap;

use protocol::framework::{Capability, FrameworkToMaster, MasterToFramework, Operation};
use protocol::ids::{OfferId, TaskId};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, Run, TaskSpec, TaskState};
use sdk::logic::{Event, Phase};

use crate::network::Life;
use crate::process::FrameworkBody;
use crate::said::Said;
use crate::world::World;

/// What the ids of tasks begin with that are launched on offers that are gone: none of them must ever run.
pub(crate) const ON_GONE_OFFER: &str = "gone.";

/// What a careless scheduler remembers.
#[derive(Debug, Default)]
pub(crate) struct Careless {
    launched: BTreeMap<TaskId, TaskSpec>,
    rescinded: Vec<OfferId>,
    said: u64,
}

impl World {
    /// Launches of tasks that run already are added to an `Accept`, now and then.
    pub(crate) fn launch_again(
        &mut self,
        life: Life,
        body: &mut FrameworkBody,
        message: &mut FrameworkToMaster,
    ) {
        let Some(seat) = self.framework_seat(life.process).filter(|seat| seat.careless) else {
            return;
        };
        // To others a task that may run is told to be lost, and its id may run again then.
        let knows_partitions = seat.info.capabilities.contains(&Capability::PartitionAware);
        let FrameworkToMaster::Accept { operations, .. } = message else {
            return;
        };
        let [Operation::Launch(tasks)] = operations.as_mut_slice() else {
            return;
        };
        for spec in &*tasks {
            body.careless.launched.insert(spec.task.clone(), spec.clone());
        }
        // What a new master has not heard of yet it cannot know to run.
        let driver = body.framework.driver();
        let runs = driver.book().filter(|(task, booked)| {
            booked.state == TaskState::Running && driver.view().tasks.contains_key(*task)
        });
        let runs: Vec<TaskId> = runs.map(|(task, _)| task.clone()).collect();
        if knows_partitions
            && self.chance.in_thousand(400)
            && let Some(task) = self.chance.one_of(&runs)
            && let Some(spec) = body.careless.launched.get(task)
        {
            tasks.push(spec.clone());
        }
    }

    /// An offer that was rescinded is accepted all the same, now and then.
    pub(crate) fn use_what_is_gone(&mut self, life: Life, body: &mut FrameworkBody, heard: &Event) {
        if !self.framework_seat(life.process).is_some_and(|seat| seat.careless) {
            return;
        }
        if let Event::FromMaster { message: MasterToFramework::Rescinded(offers), .. } = heard {
            body.careless.rescinded.extend(offers.iter().cloned());
        }
        let Phase::Subscribed { master } = *body.framework.driver().phase() else {
            return;
        };
        if body.careless.rescinded.is_empty() || !self.chance.in_thousand(600) {
            return;
        }
        let Some(offer) = body.careless.rescinded.pop() else {
            return;
        };
        body.careless.said += 1;
        let (process, number) = (life.process, body.careless.said);
        let task = TaskSpec {
            task: TaskId::new(format!("{ON_GONE_OFFER}{process}-{}.{number}", life.life)),
            name: "gone".to_owned(),
            resources: Resources::cpus_mem(0.1, 8.0),
            run: Run::Command(CommandSpec {
                value: "sleep 1".to_owned(),
                shell: true,
                ..CommandSpec::default()
            }),
            kill_grace: None,
            carried: Default::default(),
        };
        let message = FrameworkToMaster::Accept {
            offers: vec![offer],
            operations: vec![Operation::Launch(vec![task])],
            refuse_for: std::time::Duration::ZERO,
        };
        self.note(life.process, format_args!("carelessly says {message:?}"));
        self.tell(life, master, Said::FrameworkToMaster(message));
    }
}
