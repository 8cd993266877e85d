//! `/api/v1/scheduler`: what Mesos's frameworks say, and the streams of events on which they are answered.

mod calls;
mod check;
mod events;
mod repeated;
mod subscribed;
mod subscription;
mod update;
mod updating;

use actix_web::HttpResponse;
use api::v1::scheduler as v1;
use gateway::{Call, Realm, Refused, Route, content, empty, read};
use libactor::Handle;
use protocol::ids::FrameworkId;

use super::Gateways;
use super::leading::same_principal;
use subscribed::{Said, SchedulerActor};
use update::Update;

/// A scheduler that has subscribed through this node.
#[derive(Clone)]
pub(super) struct Stream {
    /// Another for each subscription; calls name it.
    id: String,
    /// Under which name the framework acts.
    principal: Option<String>,
    actor: Handle<SchedulerActor>,
}

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![
        Route::new("master", "/api/v1/scheduler", move |call| {
            let gateways = gateways.clone();
            async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::Scheduler)
        .about("What frameworks say, and the streams of events on which they are answered."),
    ]
}

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    call.refuse_other_pages()?;
    let reign = gateways.reign(&call)?;
    call.insist_on("POST")?;
    let encoding = content(&call)?;
    let body = call.body().await?;
    let mut message: v1::Call = read(encoding, body).await?;
    check::call(&message)?;
    check::principal(&mut message, call.principal.as_deref())?;
    if let (v1::call::Type::Subscribe, Some(subscribe)) = (message.r#type(), &message.subscribe) {
        // A framework that has just ended, or is held by another connection, is that first.
        reign.published().underway().settled().await;
        return subscription::begin(gateways, &reign, &call, &message, subscribe);
    }
    if message.r#type() == v1::call::Type::ReconcileOperations {
        gateway::accepted(&call)?;
    }
    let id = message.framework_id.as_ref().map_or("", |id| id.value.as_str());
    let id = FrameworkId::new(id);
    let stream = gateways.streams().get(&id).cloned();
    let Some(stream) = stream else {
        let why = reign.why_not_subscribed(&id, call.principal.as_deref()).await;
        return Err(gateways.unless_over(&reign, &call, why));
    };
    same_principal(call.principal.as_deref(), stream.principal.as_deref())
        .map_err(|words| Refused::new(400, words))?;
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
    if message.r#type() == v1::call::Type::UpdateFramework {
        let answer = stream.actor.ask(Update(api::wire::write(&message))).await;
        let updated = answer.map_err(|error| {
            Refused::new(503, format!("the framework could not be updated: {error}"))
        })?;
        Result::from(updated)?;
        return Ok(empty(200));
    }
    let dealing = Some(reign.published().underway().begin());
    match stream.actor.leave(Said { call: api::wire::write(&message), dealing }) {
        Ok(wake) => {
            // Once this thread has sent the answer: whoever waits for it need not wait for another thread to be woken.
            actix_web::rt::spawn(async move { drop(wake) });
            Ok(empty(202))
        }
        Err(error) => {
            let why = Refused::new(503, format!("the call was not taken: {error}"));
            Err(gateways.unless_over(&reign, &call, why))
        }
    }
}
