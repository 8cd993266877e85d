//! How many tasks a second a master gets through: a real master process, a real scheduler, real
//! sockets, and many small agents that only say that the task they were given has ended. Each has
//! room for one task, so each acceptance launches one.

use std::path::Path;

use tests::small;

use crate::program::Master;
use crate::schedulers::{Timing, little, time, trues};
use crate::{Measured, Row};

const AGENTS: u64 = 256;
const TASKS: usize = 20_000;

pub(crate) async fn tasks_per_s(airside: &Path) -> Measured {
    let master = Master::start(airside)?;
    let swarm = small::start(master.address(), AGENTS, &little()).await?;
    let timing = Timing::of(trues(TASKS), usize::try_from(AGENTS)?);
    let timing = time(master.address(), None, timing).await?;
    swarm.shutdown().await;
    Ok(Row { name: "tasks_per_s", value: timing.per_second()?, unit: "1/s" })
}
