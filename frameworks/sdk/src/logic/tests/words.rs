//! What a framework does and what it tells its master, as lines that a test can compare.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::framework::{FrameworkToMaster, Operation};
use protocol::ids::OfferId;
use protocol::wishes::RoleWishes;

use crate::logic::{Effect, Pid, Timer};

/// Such as `a:2 b:0 suppressed`: how many tasks for which role.
fn wished(wishes: &[RoleWishes]) -> String {
    let words = |wish: &RoleWishes| {
        let count: u32 = wish.demand.iter().map(|need| need.count).sum();
        let suppressed = if wish.suppressed { " suppressed" } else { "" };
        let groups = match wish.constraints.groups.len() {
            0 => String::new(),
            groups => format!(" in {groups}"),
        };
        let least = wish.allocatable.as_ref().map(|least| format!(" least {}", least[0]));
        format!("{}:{count}{suppressed}{groups}{}", wish.role, least.unwrap_or_default())
    };
    wishes.iter().map(words).collect::<Vec<_>>().join(" ")
}

fn said(message: &FrameworkToMaster) -> String {
    let ids = |offers: &[OfferId]| {
        offers
            .iter()
            .map(OfferId::as_str)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join(",")
    };
    match message {
        FrameworkToMaster::Subscribe { framework, .. } => {
            format!("Subscribe {}", framework.as_ref().map_or("new", |id| id.as_str()))
        }
        FrameworkToMaster::Accept { offers, operations, .. } => {
            let Operation::Launch(tasks) = &operations[0];
            let tasks: Vec<_> = tasks.iter().map(|spec| spec.task.as_str()).collect();
            format!("Accept {} launch {}", ids(offers), tasks.join(","))
        }
        FrameworkToMaster::Decline { offers, .. } => format!("Decline {}", ids(offers)),
        FrameworkToMaster::Demand(demand) => {
            format!("Demand {}", demand.iter().map(|need| need.count).sum::<u32>())
        }
        FrameworkToMaster::Kill { task, grace: None, .. } => format!("Kill {task}"),
        FrameworkToMaster::Kill { task, grace: Some(grace), .. } => {
            format!("Kill {task} within {grace:?}")
        }
        FrameworkToMaster::Acknowledge { task, update, .. } => {
            format!("Acknowledge {task} {}", update.sequence)
        }
        FrameworkToMaster::Reconcile(tasks) => {
            let tasks: Vec<_> = tasks.iter().map(|(task, _)| task.as_str()).collect();
            format!("Reconcile {}", tasks.join(","))
        }
        FrameworkToMaster::SubscribeWith { wishes, .. } => {
            format!("SubscribeWith {}", wished(wishes))
        }
        FrameworkToMaster::Wishes(wishes) => format!("Wishes {}", wished(wishes)),
        other @ (FrameworkToMaster::Revive
        | FrameworkToMaster::Suppress
        | FrameworkToMaster::ReviveRoles(_)
        | FrameworkToMaster::SuppressRoles(_)
        | FrameworkToMaster::UpdateFramework { .. }
        | FrameworkToMaster::ToExecutor { .. }
        | FrameworkToMaster::ShutdownExecutor { .. }
        | FrameworkToMaster::Teardown) => format!("{other:?}"),
    }
}

/// An effect.
pub(super) fn line(effect: &Effect) -> String {
    let node = |pid: &Pid| pid.node().to_string().trim_start_matches('0').to_owned();
    match effect {
        Effect::TellMaster { to, message } => {
            let to = to.as_ref().map_or("leader".to_owned(), node);
            format!("to {to}: {}", said(message))
        }
        Effect::Link(pid) => format!("link {}", node(pid)),
        Effect::Unlink(pid) => format!("unlink {}", node(pid)),
        Effect::Remember(framework) => format!("remember {framework}"),
        Effect::Forget => "forget".into(),
        Effect::Warn(words) => format!("warn: {words}"),
        Effect::Store { number, .. } => format!("store {number}"),
        Effect::StartTimer { timer, after } => {
            let name = format!("{timer:?}");
            let name = name.split('(').next().unwrap_or_default().to_owned();
            match timer {
                // Jittered: between three quarters and all.
                Timer::Subscribe(_) => {
                    let spans = [250, 500, 1000, 2000, 4000, 8000, 10_000];
                    let whole = spans.iter().map(|ms| Duration::from_millis(*ms));
                    let whole = whole.into_iter().find(|most| after <= most).unwrap();
                    assert!(*after >= whole * 3 / 4 || whole > Duration::from_secs(8));
                    format!("{name} in <{whole:?}")
                }
                Timer::Doubts(_)
                | Timer::Reconcile(_)
                | Timer::Held(_)
                | Timer::Room(_)
                | Timer::Author(_) => {
                    format!("{name} in {after:?}")
                }
            }
        }
        Effect::End(outcome) => format!("end {outcome:?}"),
    }
}
