//! `/api/v1/scheduler`: what Mesos's frameworks say, and the streams of events on which they are answered.

mod calls;
mod check;
mod events;
mod subscribed;
mod subscription;

use api::v1::scheduler as v1;
use gateway::{Call, Encoding, Refused, Route, content, empty};
use libactor::Handle;
use protocol::ids::FrameworkId;

use super::Gateways;
use subscribed::{Said, SchedulerActor};

/// A scheduler that has subscribed through this node.
#[derive(Clone)]
pub(super) struct Stream {
    /// Another for each subscription; calls name it.
    id: String,
    actor: Handle<SchedulerActor>,
}

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![Route::new("master", "/api/v1/scheduler", move |call| {
        let gateways = gateways.clone();
        async move { answer(&gateways, call).await.unwrap_or_else(|response| response) }
    })]
}

/// Whoever could subscribe could run anything, and over HTTP nobody shows yet that it knows the secret.
const NOT_WITH_A_SECRET: &str = "This cluster has a secret, and by HTTP nobody can show that it knows it: that comes with a \
     later release. Only a master without --cluster-secret-file serves this API, and whoever reaches its port may run anything.";

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(
    gateways: &Gateways,
    mut call: Call,
) -> Result<actix_web::HttpResponse, actix_web::HttpResponse> {
    if gateways.node().is_none_or(|node| node.config().secret.is_some()) {
        return Err(Refused::new(403, NOT_WITH_A_SECRET).into());
    }
    let reign = gateways.reign(&call)?;
    call.insist_on("POST")?;
    let encoding = content(&call)?;
    let body = call.body().await?;
    let message: v1::Call = read(encoding, &body)?;
    check::call(&message)?;
    if let (v1::call::Type::Subscribe, Some(subscribe)) = (message.r#type(), &message.subscribe) {
        return subscription::begin(gateways, &reign, &call, &message, subscribe);
    }
    if message.r#type() == v1::call::Type::ReconcileOperations {
        gateway::accepted(&call)?;
    }
    let id = message.framework_id.as_ref().map_or("", |id| id.value.as_str());
    let id = FrameworkId::new(id);
    let stream = gateways.streams().get(&id).cloned();
    let Some(stream) = stream else {
        return Err(reign.why_not_subscribed(&id).await.into());
    };
    match call.header("mesos-stream-id") {
        None => {
            let words = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
            return Err(Refused::new(400, words).into());
        }
        Some(named) if named != stream.id => {
            let words = format!(
                "The stream ID '{named}' included in this request didn't match the stream ID currently associated with framework ID {id}"
            );
            return Err(Refused::new(400, words).into());
        }
        Some(_) => (),
    }
    check::comes_later(&message)?;
    // An update is answered once it is checked; all else is taken on.
    let status = if message.r#type() == v1::call::Type::UpdateFramework { 200 } else { 202 };
    if status == 200 {
        subscription::may_update(&message)?;
    }
    match stream.actor.tell(Said(api::wire::write(&message))) {
        Ok(()) => Ok(empty(status)),
        Err(error) => Err(Refused::new(503, format!("the call was not taken: {error}")).into()),
    }
}

fn read(encoding: Encoding, body: &[u8]) -> Result<v1::Call, Refused> {
    match encoding {
        Encoding::Json => {
            api::json::read(body).map_err(|error| Refused::new(400, error.to_string()))
        }
        Encoding::Protobuf => api::wire::read(body)
            .map_err(|_| Refused::new(400, "Failed to parse body into Call protobuf")),
    }
}
