//! What a master tells a scheduler, as events of the v1 API. Pure.

use api::v1;
use api::v1::scheduler::{Event, event};
use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, ExecutorId, OfferId};
use protocol::task::{Exit, Reason, Source, TaskStatus};
use protocol::v1::Form;

/// How often a stream says that it lives, in seconds.
pub(super) const HEARTBEAT_SECONDS: f64 = 15.0;

/// What is to be done about a message of the master's.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// Nothing that this API knows.
    Nothing,
    /// It is subscribed, under this id.
    Subscribed,
    /// The scheduler is told.
    Events(Vec<Event>),
    /// The scheduler is told, if there is anything to tell, and its stream ends.
    Last(Option<Event>),
}

fn event(r#type: event::Type) -> Event {
    Event { r#type: Some(r#type.into()), ..Event::default() }
}

pub(super) fn heartbeat() -> Event {
    event(event::Type::Heartbeat)
}

pub(super) fn error(message: String) -> Event {
    Event { error: Some(event::Error { message }), ..event(event::Type::Error) }
}

pub(super) fn subscribed(framework: v1::FrameworkId, master: v1::MasterInfo) -> Event {
    let subscribed = event::Subscribed {
        framework_id: framework,
        heartbeat_interval_seconds: Some(HEARTBEAT_SECONDS),
        master_info: Some(master),
    };
    Event { subscribed: Some(subscribed), ..event(event::Type::Subscribed) }
}

pub(super) fn update(status: v1::TaskStatus) -> Event {
    Event { update: Some(event::Update { status }), ..event(event::Type::Update) }
}

fn failure(agent: &AgentId, executor: Option<&ExecutorId>, exit: Option<Exit>) -> Event {
    let failure = event::Failure {
        agent_id: Some(agent.to_v1()),
        executor_id: executor.map(ExecutorId::to_v1),
        status: exit.map(wait_status),
    };
    Event { failure: Some(failure), ..event(event::Type::Failure) }
}

/// As `wait` has it.
fn wait_status(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal) => signal & 0x7f,
    }
}

fn rescind(offer: &OfferId) -> Event {
    let rescind = event::Rescind { offer_id: offer.to_v1() };
    Event { rescind: Some(rescind), ..event(event::Type::Rescind) }
}

/// What the scheduler of a framework that understands resources in this form is told.
pub(super) fn of(message: &MasterToFramework, form: Form) -> Told {
    let one = |event| Told::Events(vec![event]);
    match message {
        MasterToFramework::Subscribed { .. } => Told::Subscribed,
        MasterToFramework::Refused { reason } => Told::Last(Some(error(reason.clone()))),
        MasterToFramework::FailedOver => {
            Told::Last(Some(error("Framework failed over".to_owned())))
        }
        MasterToFramework::TornDown => Told::Last(None),
        MasterToFramework::Offers(offers) => {
            let offers = offers.iter().map(|offer| offer.to_v1(form, None)).collect();
            let offers = event::Offers { offers };
            one(Event { offers: Some(offers), ..event(event::Type::Offers) })
        }
        MasterToFramework::OffersAt { offers, domains } => {
            let offer = |offer: &std::sync::Arc<protocol::offer::Offer>| {
                offer.to_v1(form, domains.get(&offer.agent))
            };
            let offers = event::Offers { offers: offers.iter().map(offer).collect() };
            one(Event { offers: Some(offers), ..event(event::Type::Offers) })
        }
        MasterToFramework::Rescinded(offers) => Told::Events(offers.iter().map(rescind).collect()),
        MasterToFramework::Updated(status) => one(update(status_of(status))),
        MasterToFramework::FromExecutor { agent, executor, data } => {
            let message = event::Message {
                agent_id: agent.to_v1(),
                executor_id: executor.to_v1(),
                data: data.clone(),
            };
            one(Event { message: Some(message), ..event(event::Type::Message) })
        }
        MasterToFramework::ExecutorEnded { agent, executor, exit } => {
            one(failure(agent, Some(executor), *exit))
        }
        MasterToFramework::AgentLost(agent) => one(failure(agent, None, None)),
        // What only our own schedulers understand.
        MasterToFramework::Deltas(_)
        | MasterToFramework::Error { .. }
        | MasterToFramework::Unmet(_) => Told::Nothing,
        // Whoever asked is answered.
        MasterToFramework::FrameworkUpdated { .. } => Told::Nothing,
    }
}

/// What is carried is from outside, and may be no status: then the rest is told.
fn status_of(status: &TaskStatus) -> v1::TaskStatus {
    let plain = || TaskStatus { carried: Default::default(), ..status.clone() };
    let told = status.to_v1().or_else(|_| plain().to_v1());
    let mut told = told.unwrap_or_default();
    // Our own schedulers are told whether somebody may still have the task; Mesos's are told that they asked.
    if status.reason == Some(Reason::TaskUnknown) {
        told.reason = Some(v1::task_status::Reason::Reconciliation.into());
    }
    if status.reason == Some(Reason::InvalidOffers) && status.source == Source::Master {
        told.message = told.message.map(|why| format!("Task launched with invalid offers: {why}"));
    }
    told
}

#[cfg(test)]
mod tests {
    use protocol::ids::{FrameworkId, TaskId};
    use protocol::task::TaskState;

    use super::*;

    const FORM: Form = Form { multi_role: false, refined: false };

    fn json(told: &Told) -> Vec<String> {
        match told {
            Told::Events(events) => events.iter().map(api::json::write).collect(),
            Told::Last(event) => event.iter().map(api::json::write).collect(),
            Told::Nothing | Told::Subscribed => Vec::new(),
        }
    }

    #[test]
    fn fwk_19_how_an_executor_ended_is_told_as_wait_has_it() {
        let ended = |exit| MasterToFramework::ExecutorEnded {
            agent: AgentId::new("a"),
            executor: ExecutorId::new("e"),
            exit,
        };
        for (exit, status) in [
            (Some(Exit::Code(3)), r#","status":768"#),
            (Some(Exit::Signal(9)), r#","status":9"#),
            (None, ""),
        ] {
            let wanted = format!(
                r#"{{"type":"FAILURE","failure":{{"agent_id":{{"value":"a"}},"executor_id":{{"value":"e"}}{status}}}}}"#
            );
            assert_eq!(json(&of(&ended(exit), FORM)), [wanted]);
        }
        let lost = MasterToFramework::AgentLost(AgentId::new("a"));
        let wanted = r#"{"type":"FAILURE","failure":{"agent_id":{"value":"a"}}}"#;
        assert_eq!(json(&of(&lost, FORM)), [wanted]);
    }

    #[test]
    fn fwk_02_who_is_superseded_is_told_so_last() {
        let told = of(&MasterToFramework::FailedOver, FORM);
        assert!(matches!(told, Told::Last(_)));
        assert_eq!(
            json(&told),
            [r#"{"type":"ERROR","error":{"message":"Framework failed over"}}"#]
        );
    }

    #[test]
    fn a_task_that_nobody_knows_is_answered_as_a_question() {
        let (framework, task) = (FrameworkId::new("f"), TaskId::new("t"));
        let plain = TaskStatus::plain(framework, task, TaskState::Unknown, Source::Master);
        let status = TaskStatus { reason: Some(Reason::TaskUnknown), ..plain };
        let told = json(&of(&MasterToFramework::Updated(status), FORM));
        assert!(told[0].contains(r#""state":"TASK_UNKNOWN""#), "{told:?}");
        assert!(told[0].contains(r#""reason":"REASON_RECONCILIATION""#), "{told:?}");
    }

    #[test]
    fn a_launch_on_offers_that_are_no_more_says_so_in_mesoss_words() {
        let plain = TaskStatus::plain(
            FrameworkId::new("f"),
            TaskId::new("t"),
            TaskState::Lost,
            Source::Master,
        );
        let status = TaskStatus {
            reason: Some(Reason::InvalidOffers),
            message: "Offer o is no longer valid".into(),
            ..plain
        };
        let told = json(&of(&MasterToFramework::Updated(status), FORM));
        assert!(
            told[0].contains(
                r#""message":"Task launched with invalid offers: Offer o is no longer valid""#
            ),
            "{told:?}"
        );
        assert!(told[0].contains(r#""state":"TASK_LOST","message""#), "{told:?}");
        assert!(!told[0].contains("uuid"), "nothing is to be acknowledged: {told:?}");
    }
}
