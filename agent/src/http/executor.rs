//! `/api/v1/executor`: what executors written for Mesos say, and the streams of events on which they are answered. A gateway stands for
//! each; the agent hears it as any executor.

mod check;
mod events;
mod subscribed;
mod subscription;
#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use api::v1::executor as v1;
use gateway::{Call, Realm, Refused, Route, accepted, content, empty, read};
use libactor::{Handle, Message, Pid, Question};
use protocol::ids::{ExecutorId, FrameworkId};
use serde::{Deserialize, Serialize};

use super::books::NOT_RECOVERED;
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

/// Executors that speak our own protocol show a token there.
const NATIVE: &str = "Executor is not connected via HTTP";

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![
        Route::new(SLAVE, "/api/v1/executor", move |call| {
            let gateways = gateways.clone();
            async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::Executor)
        .about("What executors say, and the streams of events on which they are answered."),
    ]
}

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    let agent = gateways.agent()?;
    call.refuse_other_pages()?;
    call.insist_on("POST")?;
    let encoding = content(&call)?;
    let body = call.body().await?;
    let message: v1::Call = read(encoding, body).await?;
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
