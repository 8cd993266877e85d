//! The calls that only read. What shows the cluster is written once for all who ask at the same moment.

use std::sync::Arc;

use actix_web::HttpResponse;
use api::v1::maintenance::{ClusterStatus, Schedule};
use api::v1::master as v1;
use api::wire::Parts;
use gateway::{Call, Encoding, Refused, plain, written};
use v1::Response;
use v1::call::Type as Asked;
use v1::response::{self, Type};

use super::daemon;
use crate::http::Gateways;
use crate::http::reads::page;
use crate::start::Running;
use crate::view::View;

pub(super) async fn answer(
    gateways: &Gateways,
    reign: &Arc<Running>,
    call: &Call,
    message: &v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    let asked = message.r#type();
    if let Some(read) = of_view(asked) {
        let name = format!("{} {encoding:?}", asked.as_str_name());
        let write = move |view: &View| match in_parts(asked) {
            Some(parts) if encoding == Encoding::Protobuf => Ok(parts.of(view)),
            Some(_) | None => Ok(written(encoding, &read(view))),
        };
        return Ok(plain(call, encoding.media_type(), page(reign, Some(name), write).await?));
    }
    let response = if asked == Asked::GetMaster {
        let master = response::GetMaster {
            master_info: Some(gateways.master_info(reign)),
            start_time: Some(gateways.started().as_seconds()),
            elected_time: Some(reign.elected().as_seconds()),
        };
        Response { get_master: Some(master), ..of_type(Type::GetMaster) }
    } else if let Some(nothing) = of_later(asked) {
        nothing
    } else {
        return daemon::answer(gateways, call, message, encoding).await;
    };
    Ok(plain(call, encoding.media_type(), written(encoding, &response)))
}

fn of_type(r#type: Type) -> Response {
    Response { r#type: Some(r#type.into()), ..Response::default() }
}

/// What comes with a later release is empty.
fn of_later(asked: Asked) -> Option<Response> {
    if asked == Asked::GetOperations {
        let get_operations = Some(response::GetOperations::default());
        return Some(Response { get_operations, ..of_type(Type::GetOperations) });
    }
    if asked == Asked::GetMaintenanceStatus {
        let status = ClusterStatus::default();
        let get_maintenance_status = Some(response::GetMaintenanceStatus { status });
        return Some(Response { get_maintenance_status, ..of_type(Type::GetMaintenanceStatus) });
    }
    let schedule = Schedule::default();
    let get_maintenance_schedule = Some(response::GetMaintenanceSchedule { schedule });
    (asked == Asked::GetMaintenanceSchedule)
        .then(|| Response { get_maintenance_schedule, ..of_type(Type::GetMaintenanceSchedule) })
}

/// How an answer is made of a view.
type Read = fn(&View) -> Response;

/// What is read from the view, and how.
const OF_VIEW: [(Asked, Read); 8] = [
    (Asked::GetState, |view| Response {
        get_state: Some(view.get_state()),
        ..of_type(Type::GetState)
    }),
    (Asked::GetAgents, |view| Response {
        get_agents: Some(view.get_agents()),
        ..of_type(Type::GetAgents)
    }),
    (Asked::GetFrameworks, |view| Response {
        get_frameworks: Some(view.get_frameworks()),
        ..of_type(Type::GetFrameworks)
    }),
    (Asked::GetExecutors, |view| Response {
        get_executors: Some(view.get_executors()),
        ..of_type(Type::GetExecutors)
    }),
    (Asked::GetTasks, |view| Response {
        get_tasks: Some(view.get_tasks()),
        ..of_type(Type::GetTasks)
    }),
    (Asked::GetRoles, |view| Response {
        get_roles: Some(view.get_roles()),
        ..of_type(Type::GetRoles)
    }),
    (Asked::GetWeights, |view| Response {
        get_weights: Some(view.get_weights()),
        ..of_type(Type::GetWeights)
    }),
    (Asked::GetQuota, |view| Response {
        get_quota: Some(response::GetQuota { status: view.quota_status() }),
        ..of_type(Type::GetQuota)
    }),
];

/// What is encoded part by part.
struct InParts {
    r#type: Type,
    field: &'static str,
    put: fn(&View, &mut Parts),
}

impl InParts {
    fn of(&self, view: &View) -> Vec<u8> {
        let mut all = Parts::of::<Response>();
        all.rest(&of_type(self.r#type));
        all.message(self.field, |inner| (self.put)(view, inner));
        all.into_bytes()
    }
}

fn in_parts(asked: Asked) -> Option<InParts> {
    let tasks = InParts { r#type: Type::GetTasks, field: "get_tasks", put: View::put_tasks };
    let state = InParts { r#type: Type::GetState, field: "get_state", put: View::put_state };
    [(Asked::GetTasks, tasks), (Asked::GetState, state)]
        .into_iter()
        .find_map(|(one, parts)| (one == asked).then_some(parts))
}

fn of_view(asked: Asked) -> Option<Read> {
    OF_VIEW.iter().find(|(one, _)| *one == asked).map(|(_, read)| *read)
}
