//! What a run must not leave behind, found by looking at everybody on every agent: no list of what changed, no bit of who was ruled
//! out, and nothing that is kept of whom quota holds back is gone by here.

use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::resources::Resources;

use super::Allocator;
use super::client::Client;
use crate::config;

impl Allocator {
    /// Whether who comes next is decided by shares.
    pub fn goes_by_shares(&self) -> bool {
        self.config.order == config::Order::Shares
    }

    /// Those who want something and could have some of this of an agent, if it were free there.
    pub fn could_have(
        &self,
        agent: &AgentId,
        free: &Resources,
    ) -> impl Iterator<Item = (&FrameworkId, &Role)> {
        let at = self.agents.get(agent).copied();
        let place = at.and_then(|at| self.places.get(at as usize)).map(|place| {
            let mut place = place.clone();
            place.free = free.clone();
            place
        });
        let could = move |number: u32, client: &Client| {
            let returned = at.is_some_and(|at| self.returned.contains(&(at, number)));
            let place = place.as_ref().filter(|_| self.wants(client) && !returned);
            place
                .is_some_and(|place| self.examine(self.swept, place, number, client, false).is_ok())
        };
        let clients =
            (0..).zip(&self.clients).filter_map(|(n, client)| Some((n, client.as_ref()?)));
        clients
            .filter(move |(number, client)| could(*number, client))
            .map(|(_, client)| (&client.framework, &client.role))
    }

    fn wants(&self, client: &Client) -> bool {
        let wants = client.acts && !client.suppressed && client.needs.wants_offers();
        wants && !self.waits(client)
    }

    /// The first client that could be proposed something of what is free, though no run is due that would; in words. Of refusals,
    /// of what was returned, and of whom quota ruled out on some agents alone, the next sweep is told.
    pub fn overlooked(&self) -> Option<String> {
        if self.run_is_due || self.everywhere || !self.changed.is_empty() {
            return None;
        }
        let clients =
            (0..).zip(&self.clients).filter_map(|(n, client)| Some((n, client.as_ref()?)));
        let clients = clients.filter(|(n, client)| self.wants(client) && !self.bounded.has(*n));
        clients.flat_map(|client| self.worth.iter().map(move |at| (client, at))).find_map(
            |((number, client), at)| {
                let place = self.places.get(at as usize)?;
                if self.returned.contains(&(at, number)) {
                    return None;
                }
                self.examine(self.swept, place, number, client, false).ok()?;
                let (framework, role, agent) = (&client.framework, &client.role, &place.agent);
                Some(format!("{framework} could have some of {} on {agent} for {role}", place.free))
            },
        )
    }
}
