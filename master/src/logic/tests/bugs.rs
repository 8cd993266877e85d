//! The deliberate bugs do what their names say; without the feature there are none.

/// Runs where this crate is tested alone. In a build of the workspace the feature is on, so `cargo xtask test` asks cargo that
/// it is off in the program that users get.
#[cfg(not(feature = "testing"))]
#[test]
fn this_build_has_no_deliberate_bugs() {
    use crate::logic::bugs::{Bug, Bugs};
    assert!(Bug::ALL.into_iter().all(|bug| !Bugs::default().has(bug)));
}

#[cfg(feature = "testing")]
mod switched_on {
    use std::time::Duration;

    use protocol::agent::AgentToMaster;
    use protocol::change::{AgentState, Change, What};
    use protocol::framework::FrameworkToMaster;
    use protocol::task::TaskState;

    use crate::config::{Config, RateLimit};
    use crate::logic::bugs::{Bug, Bugs};
    use crate::logic::tests::scenario::{Scenario, agent_id, agent_pid, task};

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

    #[test]
    fn after_a_fail_over_the_old_scheduler_is_told() {
        let mut t = with(Bug::FailoverKeepsOldPid);
        t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
        let lines = t.take_lines();
        let offered = |line: &&String| line.contains(" of S0: ");
        let offered: Vec<_> = lines.iter().filter(offered).collect();
        assert_eq!(offered, ["to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
    }

    #[test]
    fn the_timer_of_an_earlier_loss_gives_up_an_agent_that_is_back() {
        let mut t = with(Bug::LostTimerGeneration);
        t.down(agent_pid(1, 1));
        t.pass(Duration::from_secs(590));
        t.agent_returns(1, 1, Vec::new());
        t.pass(Duration::from_secs(14));
        assert!(t.written.agents[&agent_id(1)].unreachable.is_some());
    }

    #[test]
    fn a_proposal_for_an_earlier_generation_is_offered() {
        let mut t = with(Bug::StaleProposalAccepted);
        t.allocator_is_slow = true;
        t.agent_joins(2);
        t.down(agent_pid(2, 1));
        t.agent_returns(2, 1, Vec::new());
        assert_eq!(t.proposals.len(), 2, "one for each generation");
        t.forget_lines();
        t.proposals.pop_back();
        t.propose();
        t.did(["to scheduler-1: O2 of S1: cpus:4;mem:4096"]);
    }

    #[test]
    fn an_acknowledgement_stays_with_the_master() {
        let mut t = with(Bug::AckNotForwarded);
        t.launches(1, 1, vec![task("a", 1.0)]);
        t.news(1, "a", TaskState::Running, 1);
        t.forget_lines();
        t.acknowledges(1, 1, "a", 1);
        t.did([]);
    }

    #[test]
    fn who_answers_before_it_is_given_up_is_given_up_all_the_same() {
        let limit = RateLimit { count: 1, within: Duration::from_secs(60) };
        let bugs = Bugs::only([Bug::CondemnedAreNotSpared]);
        let mut t = Scenario::with(Config {
            bugs,
            agent_removal_rate_limit: Some(limit),
            ..Config::default()
        });
        (1..=2).for_each(|n| t.agent_joins(n));
        t.pass(Duration::from_secs(90));
        (1..=2).for_each(|n| t.agent_says(agent_pid(n, 1), AgentToMaster::Pong { sequence: 6 }));
        t.pass(Duration::from_secs(60));
        assert!(t.written.agents.values().all(|entry| entry.unreachable.is_some()));
    }

    #[test]
    fn the_offers_of_a_silent_agent_stay_open() {
        let mut t = with(Bug::UnreachableKeepsOffers);
        t.pass(Duration::from_secs(100));
        assert!(t.written.agents[&agent_id(1)].unreachable.is_some());
        assert!(t.take_lines().iter().all(|line| !line.contains("Rescinded")));
        assert!(t.master.check().is_err());
    }
    fn limited(bug: Bug, percent: u8) -> Scenario {
        let limit = RateLimit { count: 1, within: Duration::from_secs(60) };
        let mut t = Scenario::with(Config {
            bugs: Bugs::only([bug]),
            agent_removal_rate_limit: Some(limit),
            recovery_agent_removal_percent_max: percent,
            returns_at_once_max: 1,
            ..Config::default()
        });
        (1..=3).for_each(|n| t.agent_joins(n));
        t
    }

    fn given_up(t: &Scenario) -> usize {
        t.written.agents.values().filter(|entry| entry.unreachable.is_some()).count()
    }

    #[test]
    fn all_silent_agents_are_given_up_at_once() {
        let mut t = limited(Bug::GivenUpWithoutRateLimit, 100);
        t.pass(Duration::from_secs(100));
        assert_eq!(given_up(&t), 3);
    }

    #[test]
    fn a_whole_room_is_given_up_after_a_fail_over() {
        let mut t = limited(Bug::GivenUpWithoutSafetyLimit, 50).restart("n");
        t.pass(Config::default().agent_reregister_timeout);
        assert_eq!(given_up(&t), 1, "and the others when their turn comes");
    }

    #[test]
    fn all_agents_may_return_at_once() {
        let mut t = limited(Bug::EntranceHasNoBound, 100).restart("n");
        (1..=2).for_each(|n| t.agent_knocks(n, 1));
        t.did(["to agent-1: ReturnNow", "to agent-2: ReturnNow"]);
    }

    #[test]
    fn a_new_reign_does_not_know_who_is_unreachable() {
        let mut t = with(Bug::UnreachableForgotten);
        t.down(agent_pid(1, 1));
        t.pass(Config::default().agent_reregister_timeout);
        assert_eq!(given_up(&t), 1);
        let t = t.restart("n");
        let recovered = |change: &Change| {
            matches!(change.what, What::Agent { state: AgentState::Recovered, .. })
        };
        assert!(t.changes.iter().any(recovered));
    }

    #[test]
    fn unreachable_is_told_before_it_is_written() {
        let mut t = with(Bug::UnreachableToldBeforeWritten);
        t.launches(1, 1, vec![task("a", 1.0)]);
        t.down(agent_pid(1, 1));
        t.registrar_is_slow = true;
        t.forget_lines();
        t.pass(Config::default().agent_reregister_timeout);
        assert!(t.take_lines().contains(&"to scheduler-1: AgentLost c-S0".to_owned()));
    }
}
