//! A small form of what `cargo xtask bench failover` measures: a swarm of emulated agents loses its leader.

use tests::cluster::{DEADLINE, airside};
use tests::leader::Leader;
use tests::swarm::{Counts, Swarm, fill};

const AGENTS: u64 = 500;
const TASKS: u64 = 3;
const FAILOVERS: u64 = 2;

fn all_in(epoch: u64) -> impl Fn(&Counts) -> bool {
    move |counts| counts.registered.get(&epoch) == Some(&AGENTS)
}

#[test]
fn five_hundred_agents_return_to_each_next_leader_with_all_their_tasks() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut leader = Leader::start(airside()).await.unwrap();
        let swarm = Swarm::start(leader.address(), AGENTS, TASKS).await.unwrap();
        swarm.until(DEADLINE, "all agents join", all_in(1)).await.unwrap();
        fill(&swarm, leader.address(), AGENTS * TASKS).await.unwrap();
        for epoch in 2..2 + FAILOVERS {
            leader.dies();
            leader.follows().unwrap();
            swarm.until(DEADLINE, "all agents are back", all_in(epoch)).await.unwrap();
            let frameworks = leader.frameworks(DEADLINE).await.unwrap();
            let running: Vec<u32> = frameworks.iter().map(|framework| framework.tasks).collect();
            let told = "frameworks are known by their agents' words";
            assert_eq!(running, [1000, 500], "{told}: {frameworks:?}");
        }
        swarm.shutdown().await;
    });
}
