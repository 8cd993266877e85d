//! To whom a type of message is open that comes from other nodes.

use crate::control::DropReason;
use crate::message::Principal;

/// To whom a type is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Nodes, but for those with a lent secret.
    Nodes,
    /// Those too.
    Lent,
    /// Those who know the cluster's secret; where there is none, those on this machine.
    Operators,
}

/// Why something is not taken, and in words.
pub(super) type Refusal = (DropReason, &'static str);

/// An actor hears nothing of what it does not accept.
pub(super) const NOT_ACCEPTED: Refusal =
    (DropReason::NotAccepted, "the actor does not accept such questions");
const NO_SECRET_PROVED: Refusal =
    (DropReason::NotAuthorized, "only those who know the cluster's secret may ask this");
const NO_SECRET: Refusal = (
    DropReason::NotAuthorized,
    "the cluster has no secret, so this may be asked only on the node's own machine, over loopback and not through a relay",
);

impl Open {
    /// Why this one may not send it. `here`: over loopback and not through a relay.
    pub(super) fn refuses(self, principal: Principal, here: bool) -> Option<Refusal> {
        match (self, principal) {
            (_, Principal::Local | Principal::Cluster) => None,
            (Self::Lent, Principal::Lent) => None,
            (Self::Nodes, Principal::Lent) => Some(NOT_ACCEPTED),
            (Self::Operators, Principal::Lent) => Some(NO_SECRET_PROVED),
            (Self::Nodes | Self::Lent, Principal::Anonymous) => None,
            (Self::Operators, Principal::Anonymous) => (!here).then_some(NO_SECRET),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_operators_is_for_those_who_know_the_secret_or_sit_at_the_machine() {
        let refused = |principal, here| {
            Open::Operators.refuses(principal, here).map(|(reason, words)| {
                assert_eq!(reason, DropReason::NotAuthorized);
                words.contains("has no secret")
            })
        };
        for here in [true, false] {
            assert_eq!(refused(Principal::Local, here), None);
            assert_eq!(refused(Principal::Cluster, here), None);
            assert_eq!(refused(Principal::Lent, here), Some(false), "not even from here");
        }
        assert_eq!(refused(Principal::Anonymous, true), None);
        assert_eq!(refused(Principal::Anonymous, false), Some(true));
    }

    #[test]
    fn what_is_open_to_nodes_is_not_open_to_borrowers() {
        let refused = |open: Open, principal| open.refuses(principal, false).map(|(why, _)| why);
        assert_eq!(refused(Open::Nodes, Principal::Lent), Some(DropReason::NotAccepted));
        assert_eq!(refused(Open::Lent, Principal::Lent), None);
        for open in [Open::Nodes, Open::Lent] {
            assert_eq!(refused(open, Principal::Cluster), None);
            assert_eq!(refused(open, Principal::Anonymous), None);
        }
    }
}
