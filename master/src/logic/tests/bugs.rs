//! The deliberate bugs do what their names say; without the feature there are none.

#[cfg(not(feature = "testing"))]
#[test]
fn this_build_has_no_deliberate_bugs() {
    use crate::logic::bugs::{Bug, Bugs};
    assert!(Bug::ALL.into_iter().all(|bug| !Bugs::default().has(bug)));
}

#[cfg(feature = "testing")]
mod switched_on {
    use std::time::Duration;

    use protocol::framework::FrameworkToMaster;
    use protocol::task::TaskState;

    use crate::config::Config;
    use crate::logic::bugs::{Bug, Bugs};
    use crate::logic::tests::scenario::{Scenario, agent_pid, task};

    fn with(bug: Bug) -> Scenario {
        let mut config = Config { bugs: Bugs::only([bug]), ..Config::default() };
        config.allocator.bugs = config.bugs.clone();
        let mut t = Scenario::with(config);
        t.agent_joins(1);
        t.subscribes(1);
        t.forget_lines();
        t
    }

    #[test]
    fn offers_outlive_their_agent() {
        let mut t = with(Bug::OfferNotRescindedOnAgentLoss);
        t.down(agent_pid(1, 1));
        t.did([]);
        assert!(t.master.check().is_err());
    }

    #[test]
    fn resources_are_returned_twice() {
        let mut t = with(Bug::ResourcesReturnedTwice);
        t.launches(1, 1, vec![task("a", 1.0), task("b", 1.0)]);
        t.news(1, "a", TaskState::Finished, 1);
        assert!(t.master.check().is_err());
    }

    #[test]
    fn told_before_written() {
        let mut t = with(Bug::RegistryToldBeforeWritten);
        t.registrar_is_slow = true;
        t.agent_joins(2);
        t.did(["to agent-2: Registered(c-S1) in epoch 1"]);
    }

    #[test]
    fn a_known_task_is_launched_again() {
        let mut t = with(Bug::RelaunchOfUnacknowledgedTask);
        t.launches(1, 1, vec![task("a", 1.0), task("a", 1.0)]);
        t.did(["to agent-1: Launch a", "to agent-1: Launch a"]);
    }

    #[test]
    fn a_refusal_lasts_for_ever() {
        let mut t = with(Bug::FilterNeverExpires);
        let (offers, refuse_for) = (vec![t.offer_of(1)], Duration::from_secs(1));
        t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
        t.pass(Duration::from_secs(10));
        t.did([]);
    }

    #[test]
    fn a_rescinded_offer_is_accepted() {
        let mut t = with(Bug::RescindedOfferStillAccepted);
        let offer = t.offer_of(1);
        t.down(agent_pid(1, 1));
        t.agent_returns(1, 1, Vec::new());
        t.forget_lines();
        t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
        assert_eq!(t.take_lines()[0], "to agent-1: Launch a");
    }
}
