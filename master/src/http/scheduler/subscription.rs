//! How a scheduler subscribes: a gateway begins for it, and its answer is a stream.

use std::sync::Arc;

use actix_web::HttpResponse;
use api::v1::scheduler as v1;
use gateway::{Call, Refused, accepted, stream};
use libactor::{Accepts, Spawn};
use protocol::framework::{Capability, FrameworkInfo, MasterToFramework};
use protocol::v1::{BadFramework, wishes_from_v1};

use super::events;
use super::subscribed::{Own, SchedulerActor, Subscriber, uuid};
use crate::http::Gateways;
use crate::start::Running;

/// Bytes that may wait for a scheduler that reads slowly.
const WAITING_MAX: usize = 64 << 20;

/// What waits for a gateway at most.
const MAILBOX: usize = 4096;

const STREAM_ID: &str = "Mesos-Stream-Id";

/// What is wrong with a description after this is told on the stream.
pub(super) fn begin(
    gateways: &Gateways,
    reign: &Arc<Running>,
    call: &Call,
    message: &v1::Call,
    subscribe: &v1::call::Subscribe,
) -> Result<HttpResponse, Refused> {
    let encoding = accepted(call)?;
    // Some clients send an empty one before they have been given any.
    if call.header(STREAM_ID).is_some_and(|id| !id.is_empty()) {
        let words = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
        return Err(Refused::new(400, words));
    }
    let id = uuid().map_err(|error| Refused::new(500, error))?;
    let (response, records) = stream(call, encoding, &[(STREAM_ID, id.clone())], WAITING_MAX);
    let constraints = subscribe.offer_constraints.as_ref();
    let said = described(&subscribe.framework_info, &subscribe.suppressed_roles, constraints);
    let subscriber = match said {
        Ok((info, wishes)) => Subscriber {
            gateways: gateways.clone(),
            reign: Arc::clone(reign),
            framework: message
                .framework_id
                .as_ref()
                .and_then(|_| super::calls::named(&subscribe.framework_info)),
            is: super::updating::Described::new(info, wishes),
            stream: id,
            encoding,
            records,
        },
        Err(bad) => {
            // The stream ends as soon as this is read.
            let _ = records.send(gateway::written(encoding, &events::error(bad.to_string())));
            return Ok(response);
        }
    };
    let Some(node) = gateways.node() else {
        return Err(Refused::new(503, "this node is not ready"));
    };
    let accepts = Accepts::new().tells::<MasterToFramework>();
    let spawn = Spawn { name: None, mailbox: MAILBOX, accepts, pinned: false };
    let own = Own::default();
    let known = Arc::clone(&own);
    match node.spawn(spawn, move |_| SchedulerActor::new(subscriber, known)) {
        Ok(actor) => {
            let _ = own.set(actor);
            Ok(response)
        }
        Err(error) => Err(Refused::new(503, format!("there is no room for a scheduler: {error}"))),
    }
}

type Described = (FrameworkInfo, Vec<protocol::wishes::RoleWishes>);

fn described(
    info: &api::v1::FrameworkInfo,
    suppressed_roles: &[String],
    constraints: Option<&v1::OfferConstraints>,
) -> Result<Described, BadFramework> {
    let mut framework = FrameworkInfo::from_v1(info)?;
    framework.capabilities.push(Capability::NamesItself);
    let wishes = wishes_from_v1(&framework, info, suppressed_roles, constraints)?;
    Ok((framework, wishes))
}
