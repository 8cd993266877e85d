//! The re-registrations that a new master hears, as bytes: what real agents, without machines, say once their master is
//! lost. And the registry that they are in.

use std::time::Duration;

use agent::logic::{Event, Timer};
use libactor::Clock;
use libactor::wire;
use master::logic::registry::{AgentEntry, FrameworkEntry, Registry};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ClusterId, FrameworkId, MasterId, Role};
use tests::emulated::{Emulated, Wish};
use tests::swarm;

/// No message is as long.
const BYTES_MAX: usize = 64 << 20;

const CLUSTER: &str = "0123456789ab";

/// All agents' words, each with the number of its agent.
pub(crate) struct Messages {
    pub(crate) all: Vec<(u64, Vec<u8>)>,
    pub(crate) registry: Registry,
}

impl Messages {
    pub(crate) fn of(agents: u64, tasks: u64) -> Self {
        let framework = FrameworkInfo {
            framework: FrameworkId::new(format!("{CLUSTER}-0000")),
            ..sdk::framework("swarm")
        };
        let mut registry = Registry::new(ClusterId::new(CLUSTER), 2);
        registry.agents_made = agents;
        registry.frameworks_made = 1;
        let entry = FrameworkEntry { info: framework.clone(), nonce: 1 };
        registry.frameworks.insert(framework.framework.clone(), entry);
        let mut all = Vec::new();
        for number in 1..=agents {
            let id = AgentId::new(format!("{CLUSTER}-S{number}"));
            let info = swarm::info(number, tasks);
            let entry = AgentEntry { info, domain: None, nonce: number, unreachable: None };
            registry.agents.insert(id.clone(), entry);
            let message = Life::of(number, tasks).returning(&id, &framework);
            all.push((number, wire::encode(&message, BYTES_MAX).expect("it is not so long")));
        }
        Self { all, registry }
    }
}

/// An agent that never was on a network.
struct Life {
    agent: Emulated,
    number: u64,
    tasks: u64,
    clock: Clock,
}

impl Life {
    fn of(number: u64, tasks: u64) -> Self {
        let agent = Emulated::new(number, swarm::info(number, tasks));
        Self { agent, number, tasks, clock: Clock::start() }
    }

    fn hears(&mut self, message: MasterToAgent) -> Vec<Wish> {
        self.happens(Event::FromMaster { from: swarm::invented(0), message })
    }

    fn happens(&mut self, event: Event) -> Vec<Wish> {
        self.agent.step(self.clock.read().into(), event)
    }

    /// Joins, is given tasks, has their news acknowledged, loses its master and says who it is.
    fn returning(mut self, id: &AgentId, framework: &FrameworkInfo) -> AgentToMaster {
        self.happens(Event::Started);
        self.hears(MasterToAgent::Registered {
            epoch: 1,
            agent: id.clone(),
            cluster: ClusterId::new(CLUSTER),
            master: MasterId::new("first"),
            ping_every: Duration::from_secs(15),
            silent_after: Duration::from_secs(75),
        });
        for n in 0..self.tasks {
            let (framework, role) = (framework.clone(), Role::everybody());
            let task = swarm::task(self.number * self.tasks + n);
            let launch = MasterToAgent::Launch { epoch: 1, framework, task, role };
            for wish in self.hears(launch) {
                self.acknowledge(wish);
            }
        }
        let words = "the first master is dead".to_owned();
        let down = self.happens(Event::Down { pid: swarm::invented(0), words });
        let mut due = None;
        for wish in down {
            if let Wish::After(_, timer @ Timer::Contact { .. }) = wish {
                due = Some(Event::TimerFired(timer));
            }
        }
        // It asks first, and is called in.
        self.happens(due.expect("it will ask the next master"));
        let cluster = ClusterId::new(CLUSTER);
        for wish in self.hears(MasterToAgent::ReturnNow { epoch: 2, cluster }) {
            if let Wish::Tell(_, message @ AgentToMaster::Reregister { .. }) = wish {
                return message;
            }
        }
        panic!("it tells the next master what it knows");
    }

    fn acknowledge(&mut self, wish: Wish) {
        if let Wish::Tell(_, AgentToMaster::Updated { status, .. }) = wish
            && let Some(update) = status.update
        {
            let (framework, task) = (status.framework, status.task);
            self.hears(MasterToAgent::Acknowledge { epoch: 1, framework, task, update });
        }
    }
}
