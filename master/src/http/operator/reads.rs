//! The calls that only read. What shows the cluster is written once for all who ask at the same moment.

use std::sync::Arc;

use actix_web::HttpResponse;
use api::v1::maintenance::{ClusterStatus, Schedule};
use api::v1::master as v1;
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
    let of_type = |r#type: Type| Response { r#type: Some(r#type.into()), ..Response::default() };
    let said = |response: Response| written(encoding, &response);
    let body = match message.r#type() {
        Asked::GetState
        | Asked::GetAgents
        | Asked::GetFrameworks
        | Asked::GetExecutors
        | Asked::GetTasks
        | Asked::GetRoles
        | Asked::GetWeights
        | Asked::GetQuota => {
            let asked = message.r#type();
            let name = format!("{} {encoding:?}", asked.as_str_name());
            let write = move |view: &View| written(encoding, &of_view(view, asked));
            return Ok(plain(call, encoding.media_type(), page(reign, name, write).await?));
        }
        Asked::GetMaster => said(Response {
            get_master: Some(response::GetMaster {
                master_info: Some(gateways.master_info(reign)),
                start_time: Some(gateways.started().as_seconds()),
                elected_time: Some(reign.elected().as_seconds()),
            }),
            ..of_type(Type::GetMaster)
        }),
        Asked::GetOperations => said(Response {
            get_operations: Some(response::GetOperations::default()),
            ..of_type(Type::GetOperations)
        }),
        Asked::GetMaintenanceStatus => said(Response {
            get_maintenance_status: Some(response::GetMaintenanceStatus {
                status: ClusterStatus::default(),
            }),
            ..of_type(Type::GetMaintenanceStatus)
        }),
        Asked::GetMaintenanceSchedule => said(Response {
            get_maintenance_schedule: Some(response::GetMaintenanceSchedule {
                schedule: Schedule::default(),
            }),
            ..of_type(Type::GetMaintenanceSchedule)
        }),
        Asked::GetHealth
        | Asked::GetFlags
        | Asked::GetVersion
        | Asked::GetMetrics
        | Asked::GetLoggingLevel
        | Asked::SetLoggingLevel
        | Asked::ListFiles
        | Asked::ReadFile => return daemon::answer(gateways, call, message, encoding).await,
        // All others were dealt with before.
        Asked::Unknown
        | Asked::Subscribe
        | Asked::UpdateWeights
        | Asked::UpdateQuota
        | Asked::SetQuota
        | Asked::RemoveQuota
        | Asked::Teardown
        | Asked::MarkAgentGone
        | Asked::ReserveResources
        | Asked::UnreserveResources
        | Asked::CreateVolumes
        | Asked::DestroyVolumes
        | Asked::GrowVolume
        | Asked::ShrinkVolume
        | Asked::UpdateMaintenanceSchedule
        | Asked::StartMaintenance
        | Asked::StopMaintenance
        | Asked::DrainAgent
        | Asked::DeactivateAgent
        | Asked::ReactivateAgent => {
            return Err(Refused::plainly(501));
        }
    };
    Ok(plain(call, encoding.media_type(), body))
}

/// What is read from the view.
fn of_view(view: &View, asked: Asked) -> Response {
    let mut response = Response::default();
    let r#type = match asked {
        Asked::GetState => {
            response.get_state = Some(view.get_state());
            Type::GetState
        }
        Asked::GetAgents => {
            response.get_agents = Some(view.get_agents());
            Type::GetAgents
        }
        Asked::GetFrameworks => {
            response.get_frameworks = Some(view.get_frameworks());
            Type::GetFrameworks
        }
        Asked::GetExecutors => {
            response.get_executors = Some(view.get_executors());
            Type::GetExecutors
        }
        Asked::GetTasks => {
            response.get_tasks = Some(view.get_tasks());
            Type::GetTasks
        }
        Asked::GetRoles => {
            response.get_roles = Some(view.get_roles());
            Type::GetRoles
        }
        Asked::GetWeights => {
            response.get_weights = Some(view.get_weights());
            Type::GetWeights
        }
        _ => {
            response.get_quota = Some(response::GetQuota { status: view.quota_status() });
            Type::GetQuota
        }
    };
    response.r#type = Some(r#type.into());
    response
}
