//! What a call of an operator must have, in the words that Mesos has for each. Pure.

use api::v1::master::Call;
use api::v1::master::call::Type;
use gateway::Refused;

fn needs<T>(payload: &Option<T>, name: &str) -> Result<(), Refused> {
    match payload {
        Some(_) => Ok(()),
        None => Err(invalid(&format!("Expecting '{name}' to be present"))),
    }
}

fn invalid(why: &str) -> Refused {
    Refused::new(400, format!("Failed to validate master::Call: {why}"))
}

/// Whether the call has all that its type needs.
#[expect(deprecated, reason = "the older calls are taken")]
pub(super) fn call(call: &Call) -> Result<(), Refused> {
    // A number that nobody knows is as good as none.
    needs(&call.r#type.filter(|number| Type::try_from(*number).is_ok()), "type")?;
    match call.r#type() {
        Type::GetMetrics => needs(&call.get_metrics, "get_metrics"),
        Type::SetLoggingLevel => needs(&call.set_logging_level, "set_logging_level"),
        Type::ListFiles => needs(&call.list_files, "list_files"),
        Type::ReadFile => needs(&call.read_file, "read_file"),
        Type::UpdateWeights => needs(&call.update_weights, "update_weights"),
        Type::ReserveResources => needs(&call.reserve_resources, "reserve_resources"),
        Type::UnreserveResources => needs(&call.unreserve_resources, "unreserve_resources"),
        Type::CreateVolumes => needs(&call.create_volumes, "create_volumes"),
        Type::DestroyVolumes => needs(&call.destroy_volumes, "destroy_volumes"),
        Type::GrowVolume => {
            needs(&call.grow_volume, "grow_volume")?;
            names_agent(call.grow_volume.as_ref().and_then(|grow| grow.agent_id.as_ref()))
        }
        Type::ShrinkVolume => {
            needs(&call.shrink_volume, "shrink_volume")?;
            names_agent(call.shrink_volume.as_ref().and_then(|shrink| shrink.agent_id.as_ref()))
        }
        Type::UpdateMaintenanceSchedule => {
            needs(&call.update_maintenance_schedule, "update_maintenance_schedule")
        }
        Type::StartMaintenance => needs(&call.start_maintenance, "start_maintenance"),
        Type::StopMaintenance => needs(&call.stop_maintenance, "stop_maintenance"),
        Type::DrainAgent => needs(&call.drain_agent, "drain_agent"),
        Type::DeactivateAgent => needs(&call.deactivate_agent, "deactivate_agent"),
        Type::ReactivateAgent => needs(&call.reactivate_agent, "reactivate_agent"),
        Type::UpdateQuota => needs(&call.update_quota, "update_quota"),
        Type::SetQuota => needs(&call.set_quota, "set_quota"),
        Type::RemoveQuota => needs(&call.remove_quota, "remove_quota"),
        Type::Teardown => needs(&call.teardown, "teardown"),
        Type::MarkAgentGone => needs(&call.mark_agent_gone, "mark_agent_gone"),
        Type::Unknown | Type::Subscribe | Type::GetHealth | Type::GetFlags => Ok(()),
        Type::GetVersion | Type::GetLoggingLevel | Type::GetState | Type::GetAgents => Ok(()),
        Type::GetFrameworks | Type::GetExecutors | Type::GetOperations => Ok(()),
        Type::GetTasks | Type::GetRoles | Type::GetWeights | Type::GetMaster => Ok(()),
        Type::GetMaintenanceStatus | Type::GetMaintenanceSchedule | Type::GetQuota => Ok(()),
    }
}

fn names_agent(agent: Option<&api::v1::AgentId>) -> Result<(), Refused> {
    let words =
        "Expecting 'agent_id' to be present; only agent default resources are supported right now";
    agent.map(drop).ok_or_else(|| invalid(words))
}

/// What a later release brings: better a plain word than half of it.
pub(super) fn comes_later(r#type: Type) -> Result<(), Refused> {
    match r#type {
        Type::ReserveResources | Type::UnreserveResources => (),
        Type::CreateVolumes | Type::DestroyVolumes | Type::GrowVolume | Type::ShrinkVolume => (),
        Type::UpdateMaintenanceSchedule | Type::StartMaintenance | Type::StopMaintenance => (),
        Type::DrainAgent | Type::DeactivateAgent | Type::ReactivateAgent => (),
        Type::Unknown | Type::Subscribe | Type::GetHealth | Type::GetFlags => return Ok(()),
        Type::GetVersion | Type::GetMetrics | Type::GetLoggingLevel => return Ok(()),
        Type::SetLoggingLevel | Type::ListFiles | Type::ReadFile | Type::GetState => return Ok(()),
        Type::GetAgents | Type::GetFrameworks | Type::GetExecutors => return Ok(()),
        Type::GetOperations | Type::GetTasks | Type::GetRoles | Type::GetWeights => return Ok(()),
        Type::UpdateWeights | Type::GetMaster | Type::GetMaintenanceStatus => return Ok(()),
        Type::GetMaintenanceSchedule | Type::GetQuota | Type::UpdateQuota => return Ok(()),
        Type::SetQuota | Type::RemoveQuota | Type::Teardown | Type::MarkAgentGone => return Ok(()),
    }
    let name = r#type.as_str_name();
    let words =
        format!("501 Not Implemented. {name} comes with a later release; nothing was done.");
    Err(Refused::new(501, words))
}
