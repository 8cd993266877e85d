//! What the master tells, as lines that a test can compare.

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::framework::MasterToFramework;
use protocol::operator::SetAnswer;

/// Who a pid is; see `agent_pid` and `scheduler_pid`.
pub(super) fn name(pid: Pid) -> String {
    let text = pid.to_string();
    let actor = text.split('.').next().unwrap_or_default();
    match (100..500).find(|node| Pid::invented(*node, pid.actor()) == pid) {
        Some(node) if actor == "1" => format!("agent-{}", node - 100),
        Some(node) => format!("agent-{} (life {actor})", node - 100),
        None => format!("scheduler-{actor}"),
    }
}

/// An id without its cluster or master.
pub(super) fn short(id: &str) -> String {
    id.split_once('-').map_or(id, |(_, rest)| rest).to_owned()
}

pub(super) fn agent_line(message: &MasterToAgent) -> String {
    match message {
        MasterToAgent::Registered { agent, epoch, .. } => {
            format!("Registered({agent}) in epoch {epoch}")
        }
        MasterToAgent::Refused { reason, .. } => format!("Refused: {reason}"),
        MasterToAgent::Ping { sequence, .. } => format!("Ping {sequence}"),
        MasterToAgent::Launch { task, .. } => format!("Launch {}", task.task),
        MasterToAgent::LaunchInRunning { task, .. } => format!("LaunchInRunning {}", task.task),
        MasterToAgent::Kill { task, grace: None, .. } => format!("Kill {task}"),
        MasterToAgent::Kill { task, grace: Some(grace), .. } => {
            format!("Kill {task} within {grace:?}")
        }
        MasterToAgent::Acknowledge { task, update, .. } => {
            format!("Acknowledge {task} {}", update.sequence)
        }
        MasterToAgent::ToExecutor { executor, .. } => format!("ToExecutor {executor}"),
        MasterToAgent::ShutdownExecutor { executor, .. } => format!("ShutdownExecutor {executor}"),
        MasterToAgent::ShutdownFramework { framework, .. } => {
            format!("ShutdownFramework {framework}")
        }
        MasterToAgent::ReturnNow { .. } => "ReturnNow".to_owned(),
        MasterToAgent::ReturnLater { after, .. } => format!("ReturnLater after {after:?}"),
        MasterToAgent::RegisterAgain { .. } => "RegisterAgain".to_owned(),
        MasterToAgent::Shutdown { reason, .. } => format!("Shutdown: {reason}"),
        MasterToAgent::FrameworkUpdated { framework, .. } => {
            format!("FrameworkUpdated {}", framework.framework)
        }
        MasterToAgent::Reconcile { tasks, .. } => {
            let tasks: Vec<_> = tasks.iter().map(|(_, task)| task.as_str()).collect();
            format!("Reconcile {}", tasks.join(" "))
        }
    }
}

pub(super) fn answer_line(asked: u64, answer: &SetAnswer) -> String {
    match answer {
        SetAnswer::SetAt(moment) => format!("answer {asked}: set at {}", moment.change),
        SetAnswer::Refused(refusal) => format!("answer {asked}: {}", refusal.why),
    }
}

pub(super) fn framework_line(message: &MasterToFramework) -> String {
    match message {
        MasterToFramework::Subscribed { framework, tasks, .. } => {
            let tasks: Vec<_> =
                tasks.iter().map(|t| format!("{} {:?}", t.spec.task, t.state)).collect();
            format!("Subscribed({framework}) [{}]", tasks.join(", "))
        }
        MasterToFramework::Refused { reason } => format!("Refused: {reason}"),
        MasterToFramework::Unmet(unmet) => {
            let words: Vec<&str> = unmet.iter().map(|one| one.why.as_str()).collect();
            format!("Unmet: {}", words.join("; "))
        }
        MasterToFramework::FailedOver => "FailedOver".into(),
        MasterToFramework::Rescinded(offers) => {
            let offers: Vec<_> = offers.iter().map(|offer| short(offer.as_str())).collect();
            format!("Rescinded {}", offers.join(" "))
        }
        MasterToFramework::Updated(status) => {
            let reason = status.reason.map(|reason| format!(", {reason:?}")).unwrap_or_default();
            let message = if status.message.is_empty() {
                String::new()
            } else {
                format!(": {}", status.message)
            };
            format!("{} {:?}{reason}{message}", status.task, status.state)
        }
        MasterToFramework::ExecutorEnded { executor, .. } => format!("ExecutorEnded {executor}"),
        MasterToFramework::AgentLost(agent) => format!("AgentLost {agent}"),
        MasterToFramework::TornDown => "TornDown".into(),
        MasterToFramework::Error { reason } => format!("Error: {reason}"),
        MasterToFramework::FromExecutor { executor, .. } => format!("FromExecutor {executor}"),
        MasterToFramework::FrameworkUpdated { number, refused: None } => {
            format!("FrameworkUpdated {number}")
        }
        MasterToFramework::FrameworkUpdated { number, refused: Some(why) } => {
            format!("FrameworkUpdated {number}: refused: {why}")
        }
        MasterToFramework::OffersAt { .. } => unreachable!("told apart before"),
        MasterToFramework::Offers(_) | MasterToFramework::Deltas(_) => {
            unreachable!("told apart before")
        }
    }
}
