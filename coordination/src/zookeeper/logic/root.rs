//! Where below an election's path a cluster's registry is, as a value: what two nodes say in, what follows from it out.
//!
//! It was in `airside` until clients were met that take the first of all names, in the order of the alphabet, for the leading
//! master's. A registry that is there stays until somebody moves it to `registry`. A move makes the one whole and ends the other
//! at one moment, so that at each there is one registry, and a move that was interrupted has changed nothing or is done but for
//! what it leaves behind.

/// The node that all of a registry is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// That of masters.
    Registry,
    /// That of frameworks' state, and of masters whose cluster is older than the other.
    Airside,
}

/// What the node says that says whose a registry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not there.
    Absent,
    /// The registry is being written, or somebody has stopped writing it.
    Partial,
    /// The registry is whole; or nobody can read what the node says, which is for whoever uses it to say.
    Whole,
}

/// What a move has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// All of it.
    Copy,
    /// The registry is where it should be; an earlier move may have left something behind.
    ClearAway,
}

/// Why a registry is not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hinders {
    /// There is none.
    Nothing,
    /// One is not whole.
    Import(Root),
    /// Both are there.
    Two,
}

impl Root {
    /// Of the node.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Airside => "airside",
        }
    }

    /// Where the registry of a cluster's masters is, or is to be made.
    pub fn of_masters(airside: Seen, registry: Seen) -> Self {
        match (airside, registry) {
            // The other one was made afterwards, by a master that does not know this one.
            (Seen::Absent, _) | (_, Seen::Whole) => Self::Registry,
            // A move has not come to its end.
            (Seen::Partial | Seen::Whole, Seen::Absent | Seen::Partial) => Self::Airside,
        }
    }

    /// Where the state of a framework is, or is to be made: clients of Mesos look for no master there. A path that is a cluster's
    /// is not for it, and whoever reads whose it is will say so.
    pub fn of_framework(registry: Seen) -> Self {
        match registry {
            Seen::Absent => Self::Airside,
            Seen::Partial | Seen::Whole => Self::Registry,
        }
    }
}

impl Move {
    /// Of a registry that was seen so.
    pub fn next(airside: Seen, registry: Seen) -> Result<Self, Hinders> {
        match (airside, registry) {
            (Seen::Whole, Seen::Absent | Seen::Partial) => Ok(Self::Copy),
            (Seen::Absent, Seen::Whole) => Ok(Self::ClearAway),
            (Seen::Absent, Seen::Absent) => Err(Hinders::Nothing),
            (Seen::Absent, Seen::Partial) => Err(Hinders::Import(Root::Registry)),
            (Seen::Partial, Seen::Absent | Seen::Partial) => Err(Hinders::Import(Root::Airside)),
            (Seen::Partial | Seen::Whole, Seen::Whole) => Err(Hinders::Two),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_keeps_its_registry_where_no_client_takes_it_for_a_master() {
        assert_eq!(Root::of_masters(Seen::Absent, Seen::Absent), Root::Registry);
        assert_eq!(Root::of_masters(Seen::Absent, Seen::Partial), Root::Registry);
        assert_eq!(Root::of_masters(Seen::Absent, Seen::Whole), Root::Registry);
    }

    #[test]
    fn an_older_cluster_goes_on_where_it_is_until_its_registry_was_moved_whole() {
        for airside in [Seen::Whole, Seen::Partial] {
            assert_eq!(Root::of_masters(airside, Seen::Absent), Root::Airside);
            assert_eq!(Root::of_masters(airside, Seen::Partial), Root::Airside, "half-way");
            assert_eq!(Root::of_masters(airside, Seen::Whole), Root::Registry, "it was moved");
        }
    }

    #[test]
    fn a_framework_keeps_its_state_where_it_was_and_sees_when_a_path_is_a_clusters() {
        assert_eq!(Root::of_framework(Seen::Absent), Root::Airside);
        assert_eq!(Root::of_framework(Seen::Whole), Root::Registry);
        assert_eq!(Root::of_framework(Seen::Partial), Root::Registry);
    }

    #[test]
    fn a_move_is_done_once_and_what_was_interrupted_is_done_again() {
        assert_eq!(Move::next(Seen::Whole, Seen::Absent), Ok(Move::Copy));
        assert_eq!(Move::next(Seen::Whole, Seen::Partial), Ok(Move::Copy), "again");
        assert_eq!(Move::next(Seen::Absent, Seen::Whole), Ok(Move::ClearAway));
    }

    #[test]
    fn what_is_not_one_whole_registry_is_not_moved() {
        assert_eq!(Move::next(Seen::Absent, Seen::Absent), Err(Hinders::Nothing));
        assert_eq!(Move::next(Seen::Absent, Seen::Partial), Err(Hinders::Import(Root::Registry)));
        for registry in [Seen::Absent, Seen::Partial] {
            assert_eq!(Move::next(Seen::Partial, registry), Err(Hinders::Import(Root::Airside)));
        }
        for airside in [Seen::Whole, Seen::Partial] {
            assert_eq!(Move::next(airside, Seen::Whole), Err(Hinders::Two));
        }
    }
}
