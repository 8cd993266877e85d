//! A small form of what `cargo xtask bench failover` measures: a swarm of emulated agents loses its leader.

use std::time::Duration;

use protocol::change::AgentState;
use tests::cluster::{DEADLINE, airside};
use tests::leader::{Leader, Reader};
use tests::swarm::{Counts, Swarm, fill};

const AGENTS: u64 = 500;
const TASKS: u64 = 3;
const FAILOVERS: u64 = 2;

fn all_in(epoch: u64) -> impl Fn(&Counts) -> bool {
    move |counts| counts.registered.get(&epoch) == Some(&AGENTS)
}

/// Reads as often as it can while one leader follows another. From its first answer on the new one answers all that it is
/// asked, and whatever it does not mark as incomplete has all there is.
async fn reads_on(reader: Reader, epoch: u64) {
    let (mut marked, mut again) = (0, tokio::time::interval(Duration::from_millis(2)));
    loop {
        again.tick().await;
        let seen = match reader.look().await {
            Ok(seen) => seen,
            Err(error) => {
                assert_eq!(marked, 0, "a leader that has answered answers: {error}");
                continue;
            }
        };
        assert_eq!(seen.cluster.epoch, epoch);
        if seen.cluster.recovering {
            marked += 1;
            continue;
        }
        let active = seen.agents.iter().filter(|agent| agent.state == AgentState::Active).count();
        let (active, tasks) = (u64::try_from(active).unwrap(), u64::try_from(seen.tasks).unwrap());
        assert_eq!((active, tasks), (AGENTS, AGENTS * TASKS), "after {marked} marked answers");
        return;
    }
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
            let reads = tokio::spawn(reads_on(leader.reader().unwrap(), epoch));
            leader.follows().unwrap();
            swarm.until(DEADLINE, "all agents are back", all_in(epoch)).await.unwrap();
            tokio::time::timeout(DEADLINE, reads).await.expect("all are back").unwrap();
            let frameworks = leader.frameworks(DEADLINE).await.unwrap();
            let running: Vec<u32> = frameworks.iter().map(|framework| framework.tasks).collect();
            let told = "frameworks are known by their agents' words";
            assert_eq!(running, [1000, 500], "{told}: {frameworks:?}");
        }
        swarm.shutdown().await;
    });
}
