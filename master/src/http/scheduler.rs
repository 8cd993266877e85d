//! `/api/v1/scheduler`: what Mesos's frameworks say, and the streams of events on which they are answered.

mod calls;
mod check;
mod events;
mod subscribed;
mod subscription;

use actix_web::HttpResponse;
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
        async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
    })]
}

/// Whoever could subscribe could run anything, and over HTTP nobody shows yet that it knows the secret.
const NOT_WITH_A_SECRET: &str = "This cluster has a secret, and by HTTP nobody can show that it knows it: that comes with a \
     later release. Only a master without --cluster-secret-file serves this API, and whoever reaches its port may run anything.";

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    let Some(node) = gateways.node() else {
        return Err(Refused::new(503, "this node is not ready"));
    };
    if node.config().secret.is_some() {
        return Err(Refused::new(403, NOT_WITH_A_SECRET));
    }
    // No scheduler says from which page it comes: this is a browser that somebody else's page leads by the nose.
    if call.header("origin").is_some() {
        return Err(Refused::new(403, "pages of the web may not speak for frameworks"));
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
        let why = reign.why_not_subscribed(&id).await;
        return Err(gateways.unless_over(&reign, &call, why));
    };
    match call.header("mesos-stream-id") {
        None => {
            let words = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
            return Err(Refused::new(400, words));
        }
        Some(named) if named != stream.id => {
            let words = format!(
                "The stream ID '{named}' included in this request didn't match the stream ID currently associated with framework ID {id}"
            );
            return Err(Refused::new(400, words));
        }
        Some(_) => (),
    }
    check::comes_later(&message)?;
    match stream.actor.tell(Said(api::wire::write(&message))) {
        Ok(()) => Ok(empty(202)),
        Err(error) => {
            let why = Refused::new(503, format!("the call was not taken: {error}"));
            Err(gateways.unless_over(&reign, &call, why))
        }
    }
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
