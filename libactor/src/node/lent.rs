//! Nodes with a lent secret: they reach their lender and nobody else, and nobody else reaches them. That they speak for nobody else holds for every peer
//! that listens nowhere, as which they are taken ([`crate::session`]).

use super::Node;
use crate::conn::Conn;
use crate::flow;
use crate::message::Principal;
use crate::pid;
use crate::session::Secret;

impl Node {
    /// A secret for one new node, which will have the number that is in it. `None`: this node has none itself, so anybody may
    /// reach it.
    pub fn lend_secret(&self) -> Option<Secret> {
        // Nobody reaches who has it at a place of its own.
        let number = || pid::number_of(flow::random(), false);
        self.0.config.secret.as_ref().map(|_| self.0.lender.lend(number()))
    }
}

/// Whether anything of this peer, or to it, is passed on. Others would take its words for the lender's own, or for what that
/// let pass; and who cannot answer is not asked.
pub(super) fn may_be_relayed(peer: &Conn) -> bool {
    peer.peer.get().is_some_and(|peer| peer.principal != Principal::Lent)
}
