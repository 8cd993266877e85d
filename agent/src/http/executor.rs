//! `/api/v1/executor`: what executors written for Mesos say, and the streams of events on which they are answered. A gateway stands for
//! each; the agent hears it as any executor.

mod check;
mod events;
mod subscribed;
mod subscription;

use actix_web::HttpResponse;
use api::v1::executor as v1;
use gateway::{Call, Encoding, Refused, Route, accepted, content, empty};
use libactor::{Handle, Message, Pid, Question};
use protocol::ids::{ExecutorId, FrameworkId};
use serde::{Deserialize, Serialize};

use super::{Gateways, SLAVE};
use crate::Running;
use crate::logic::{Addressed, Subscription};
use subscribed::{GatewayActor, Said};

/// The gateway of one executor, for its calls.
pub(super) type Gateway = Handle<GatewayActor>;

/// From a gateway to the agent: its executor subscribes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Subscribes(pub(crate) Subscription);

impl Message for Subscribes {
    const NAME: &'static str = "agent.Subscribes";
}

/// From the agent to a gateway: it speaks for its executor no more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dismiss;

impl Message for Dismiss {
    const NAME: &'static str = "agent.Dismiss";
}

/// Who is it that calls?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindExecutor {
    pub(crate) framework: FrameworkId,
    pub(crate) executor: ExecutorId,
}

impl Message for FindExecutor {
    const NAME: &'static str = "agent.FindExecutor";
}

impl Question for FindExecutor {
    type Answer = Found;
}

/// The answer to [`FindExecutor`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) addressed: Addressed,
    /// Whether executors of a former life of the agent are still missing.
    pub(crate) recovering: bool,
}

impl Message for Found {
    const NAME: &'static str = "agent.Found";
}

/// An executor speaks before the agent can know it.
const NOT_RECOVERED: &str = "Agent has not finished recovery";

/// Whoever could subscribe could speak for any executor, and over HTTP nobody shows yet that it knows the secret.
const NOT_WITH_A_SECRET: &str = "This cluster has a secret, and by HTTP no executor can show that it knows it: that comes with a \
     later release. Only an agent without --cluster-secret-file serves this API.";

/// Executors that speak our own protocol show a token there.
const NATIVE: &str = "Executor is not connected via HTTP";

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![Route::new(SLAVE, "/api/v1/executor", move |call| {
        let gateways = gateways.clone();
        async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
    })]
}

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    let (Some(node), Some(agent)) = (gateways.0.daemon.node(), gateways.0.agent.get()) else {
        return Err(Refused::new(503, NOT_RECOVERED));
    };
    if node.config().secret.is_some() {
        return Err(Refused::new(403, NOT_WITH_A_SECRET));
    }
    // No executor says from which page it comes: this is a browser that somebody else's page leads by the nose.
    if call.header("origin").is_some() {
        return Err(Refused::new(403, "pages of the web may not speak for executors"));
    }
    call.insist_on("POST")?;
    let encoding = content(&call)?;
    let body = call.body().await?;
    let message: v1::Call = read(encoding, &body)?;
    check::call(&message)?;
    match message.r#type() {
        v1::call::Type::Subscribe => {
            let answers_in = accepted(&call)?;
            subscription::begin(gateways, agent, &call, message, answers_in).await
        }
        v1::call::Type::Heartbeat => Ok(empty(202)),
        v1::call::Type::Update | v1::call::Type::Message | v1::call::Type::Unknown => {
            take(gateways, agent, message).await
        }
    }
}

/// What a subscribed executor says.
async fn take(
    gateways: &Gateways,
    agent: &Running,
    call: v1::Call,
) -> Result<HttpResponse, Refused> {
    let found = find(agent, &call).await?;
    if found.recovering {
        return Err(Refused::new(503, NOT_RECOVERED));
    }
    let gateway = match found.addressed {
        Addressed::NoFramework => return Err(Refused::new(400, "Framework cannot be found")),
        Addressed::NoExecutor => return Err(Refused::new(400, "Executor cannot be found")),
        Addressed::Native => return Err(Refused::new(403, NATIVE)),
        Addressed::Executor(known) => known.gateway,
    };
    let gateway: Option<Gateway> =
        gateway.and_then(|pid: Pid| gateways.executors().get(&pid).cloned());
    let Some(gateway) = gateway else {
        return Err(Refused::new(403, "Executor is not subscribed"));
    };
    if call.r#type() == v1::call::Type::Unknown {
        return Err(Refused::plainly(501));
    }
    match gateway.tell(Said(api::wire::write(&call))) {
        Ok(()) => Ok(empty(202)),
        Err(error) => Err(Refused::new(503, format!("the call was not taken: {error}"))),
    }
}

/// Who the agent takes the caller for.
async fn find(agent: &Running, call: &v1::Call) -> Result<Found, Refused> {
    let question = FindExecutor {
        framework: FrameworkId::new(&call.framework_id.value),
        executor: ExecutorId::new(&call.executor_id.value),
    };
    let found = agent.handle.ask(question).await;
    found.map_err(|error| Refused::new(503, format!("the agent does not answer: {error}")))
}

fn read(encoding: Encoding, body: &[u8]) -> Result<v1::Call, Refused> {
    match encoding {
        Encoding::Json => {
            api::json::read(body).map_err(|error| Refused::new(400, shortened(error.to_string())))
        }
        Encoding::Protobuf => api::wire::read(body)
            .map_err(|_| Refused::new(400, "Failed to parse body into Call protobuf")),
    }
}

/// What is wrong may be wrong very often.
fn shortened(mut words: String) -> String {
    const WORDS_MAX: usize = 2048;
    if words.len() > WORDS_MAX {
        words.truncate(words.floor_char_boundary(WORDS_MAX));
        words += "…";
    }
    words
}
