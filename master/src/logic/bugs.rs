//! Deliberate bugs, by name, with which the simulator proves that it would find such ones. Without the feature `testing`
//! there are none, and the compiler drops every check.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// The offers of an agent whose connection is lost stay open.
    OfferNotRescindedOnAgentLoss,
    /// What an ended task held is returned twice.
    ResourcesReturnedTwice,
    /// After a fail-over the old scheduler is still the one that is told.
    FailoverKeepsOldPid,
    /// A timer of an earlier generation is obeyed.
    LostTimerGeneration,
    /// Agents and frameworks are greeted before the registry holds them.
    RegistryToldBeforeWritten,
    /// A task id that is not ended and acknowledged is launched again.
    RelaunchOfUnacknowledgedTask,
    /// A refusal never runs out.
    FilterNeverExpires,
    /// A proposal for an older generation of an agent is offered.
    StaleProposalAccepted,
    /// A scheduler's acknowledgement does not reach the agent.
    AckNotForwarded,
    /// A rescinded offer can still be accepted.
    RescindedOfferStillAccepted,
    /// The offers of an agent that became unreachable by silence stay open.
    UnreachableKeepsOffers,
    /// Agents that answer or return before it is their turn to be given up are given up all the same.
    CondemnedAreNotSpared,
    /// Agents that have returned make no room for those that wait.
    EntranceStaysShut,
    /// All agents that ask may return at once.
    EntranceHasNoBound,
    /// Agents are given up as fast as they are due.
    GivenUpWithoutRateLimit,
    /// Agents that are not back after a fail-over are given up, however many they are.
    GivenUpWithoutSafetyLimit,
    /// A new reign takes agents that are written down as unreachable for reachable.
    UnreachableForgotten,
    /// That an agent is unreachable is told before it is written down.
    UnreachableToldBeforeWritten,
    /// What a framework said is to become of a task without its agent is not asked for.
    FateNotAskedFor,
    /// A task that was to end without its agent, and was told to be lost, runs on when that is back.
    GivenUpRunsOn,
    /// A role is offered more than its limit.
    LimitIgnored,
    /// What others are guaranteed is offered.
    HeadroomIgnored,
    /// What was refused is offered again at once.
    RefusalIgnored,
    /// Who was ruled out on an agent is not looked at again when more is free there.
    RuledOutForGood,
    /// A client that wants something else is not looked at where it was ruled out before.
    WishesNotNoted,
    /// Whom quota held back is not looked at again when something is released.
    HeldBackForGood,
    /// No run looks at an agent of which something was released.
    ChangeNotLookedAt,
    /// A framework that wants no offers gets some.
    SuppressedIsOffered,
    /// What was promised for a demand and not used is not wanted again.
    PromiseNotTakenBack,
    /// An offer that is not answered stays open.
    LeaseNeverEnds,
    /// A new reign does not know what operators said of roles.
    SharesForgotten,
    /// After a fail-over roles with quota are offered things though nobody knows what they hold.
    QuotaNotAwaited,
    /// All roles weigh the same.
    WeightsIgnored,
    /// An operator is told that a quota holds before it is written.
    QuotaToldBeforeWritten,
    /// What a task held is given back under everybody's role.
    ReleasedUnderAnotherRole,
    /// What is reserved for a role is offered to others, too.
    ReservedForAnybody,
    /// What a role says of agents is not gone by.
    ConstraintsIgnored,
    /// Agents of other regions are offered to all.
    FarAgentsForAll,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Self::OfferNotRescindedOnAgentLoss,
        Self::ResourcesReturnedTwice,
        Self::FailoverKeepsOldPid,
        Self::LostTimerGeneration,
        Self::RegistryToldBeforeWritten,
        Self::RelaunchOfUnacknowledgedTask,
        Self::FilterNeverExpires,
        Self::StaleProposalAccepted,
        Self::AckNotForwarded,
        Self::RescindedOfferStillAccepted,
        Self::UnreachableKeepsOffers,
        Self::CondemnedAreNotSpared,
        Self::EntranceStaysShut,
        Self::EntranceHasNoBound,
        Self::GivenUpWithoutRateLimit,
        Self::GivenUpWithoutSafetyLimit,
        Self::UnreachableForgotten,
        Self::UnreachableToldBeforeWritten,
        Self::FateNotAskedFor,
        Self::GivenUpRunsOn,
        Self::LimitIgnored,
        Self::HeadroomIgnored,
        Self::RefusalIgnored,
        Self::RuledOutForGood,
        Self::WishesNotNoted,
        Self::HeldBackForGood,
        Self::ChangeNotLookedAt,
        Self::SuppressedIsOffered,
        Self::PromiseNotTakenBack,
        Self::LeaseNeverEnds,
        Self::SharesForgotten,
        Self::QuotaNotAwaited,
        Self::WeightsIgnored,
        Self::QuotaToldBeforeWritten,
        Self::ReleasedUnderAnotherRole,
        Self::ReservedForAnybody,
        Self::ConstraintsIgnored,
        Self::FarAgentsForAll,
    ];
}

/// The bugs that are switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bugs(BTreeSet<Bug>);

impl Bugs {
    /// These and no others.
    #[cfg(feature = "testing")]
    pub fn only(bugs: impl IntoIterator<Item = Bug>) -> Self {
        Self(bugs.into_iter().collect())
    }

    /// Whether a bug is switched on.
    #[cfg(feature = "testing")]
    pub fn has(&self, bug: Bug) -> bool {
        self.0.contains(&bug)
    }

    /// No bug can be switched on in this build.
    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self)] // the same call in both builds
    pub const fn has(&self, _: Bug) -> bool {
        false
    }
}
