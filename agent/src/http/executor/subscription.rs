//! How an executor subscribes: a gateway begins for it, and its answer is a stream.

use actix_web::HttpResponse;
use api::v1::executor as v1;
use gateway::{Call, Encoding, Refused, stream};
use libactor::{Accepts, Spawn};
use protocol::executor::AgentToExecutor;
use protocol::ids::TaskId;

use super::subscribed::{GatewayActor, HEARTBEAT, Subscriber};
use super::{Dismiss, NATIVE, events, find};
use crate::Running;
use crate::http::Gateways;
use crate::logic::{Addressed, Subscription};

/// Bytes that may wait for an executor that reads slowly.
const WAITING_MAX: usize = 16 << 20;

/// What waits for a gateway at most.
const MAILBOX: usize = 4096;

pub(super) async fn begin(
    gateways: &Gateways,
    agent: &Running,
    call: &Call,
    message: v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    let known = match find(agent, &message).await?.addressed {
        Addressed::NoFramework => return Err(Refused::new(400, "Framework cannot be found")),
        Addressed::NoExecutor => return Err(Refused::new(400, "Executor cannot be found")),
        Addressed::Native => return Err(Refused::new(403, NATIVE)),
        Addressed::Executor(known) => *known,
    };
    let Some(node) = gateways.0.daemon.node() else {
        return Err(Refused::new(503, "this node is not ready"));
    };
    // What cannot be told is seen before the stream begins.
    let first = events::subscribed(&known).map_err(|bad| {
        Refused::new(500, format!("describe the executor and its framework: {bad}"))
    })?;
    let (response, records) = stream(call, encoding, &[], WAITING_MAX);
    let has = message.subscribe.unwrap_or_default();
    let all = gateways.clone();
    let subscriber = Subscriber {
        at_its_end: Box::new(move |gateway| drop(all.executors().remove(&gateway))),
        heartbeat: HEARTBEAT,
        agent: agent.pid(),
        first,
        subscription: Subscription {
            container: known.container.clone(),
            tasks: has
                .unacknowledged_tasks
                .iter()
                .map(|task| TaskId::new(&task.task_id.value))
                .collect(),
            unacknowledged: Vec::new(),
        },
        statuses: has.unacknowledged_updates.into_iter().map(|update| update.status).collect(),
        known,
        encoding,
        records,
    };
    let accepts = Accepts::new().tells_here::<AgentToExecutor>().tells_here::<Dismiss>();
    let spawn = Spawn { name: None, mailbox: MAILBOX, accepts, pinned: false };
    let spawned = node.spawn(spawn, move |_| GatewayActor::new(subscriber));
    let gateway = spawned
        .map_err(|error| Refused::new(503, format!("there is no room for an executor: {error}")))?;
    gateways.executors().insert(gateway.pid(), gateway.clone());
    // It may have ended before it was known.
    if gateway.stopped() {
        gateways.executors().remove(&gateway.pid());
    }
    Ok(response)
}
