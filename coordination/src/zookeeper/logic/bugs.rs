//! Deliberate bugs, by name, with which the simulator proves that it would find such ones. Without the feature `testing`
//! there are none, and the compiler drops every check.

#[cfg(feature = "testing")]
use std::collections::BTreeSet;

/// One deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Who has a seat leads, whether it is the lowest or not.
    LeadsThoughNotLowest,
    /// A reign begins before the epoch is raised.
    LeadsBeforeRaising,
    /// Who has lost its connection goes on as if it led for certain.
    NotSuspendedWhenCutOff,
    /// Who is connected again leads again, whatever happened meanwhile.
    ResumesWithoutLooking,
    /// The seats of a process's former candidacies are left standing.
    FormerSeatsStay,
    /// Who was deposed stands again as the same candidate.
    SameCandidateAgain,
    /// A change of the seats is not looked at by who waits for one.
    ChangeMissed,
    /// Who looks for the leader keeps the first one it has found.
    StaleLeaderKept,
    /// A batch of the registry does not check the epoch.
    WriteNotFenced,
    /// A batch of which nobody knows whether it was written counts as written.
    UnknownTakenForWritten,
    /// A batch of which nobody knows whether it was written is written again.
    UnknownWrittenAgain,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LeadsThoughNotLowest,
        Self::LeadsBeforeRaising,
        Self::NotSuspendedWhenCutOff,
        Self::ResumesWithoutLooking,
        Self::FormerSeatsStay,
        Self::SameCandidateAgain,
        Self::ChangeMissed,
        Self::StaleLeaderKept,
        Self::WriteNotFenced,
        Self::UnknownTakenForWritten,
        Self::UnknownWrittenAgain,
    ];
}

/// The bugs that are switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    #[cfg(feature = "testing")]
    on: BTreeSet<Bug>,
}

impl Bugs {
    /// These and no others.
    #[cfg(feature = "testing")]
    pub fn only(bugs: impl IntoIterator<Item = Bug>) -> Self {
        Self { on: bugs.into_iter().collect() }
    }

    /// Whether a bug is switched on.
    #[cfg(feature = "testing")]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.on.contains(&bug)
    }

    /// No bug can be switched on in this build.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "the same call in both builds")]
    pub(crate) const fn has(&self, _: Bug) -> bool {
        false
    }
}
