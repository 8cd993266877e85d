//! What a run must not leave behind, found by looking at everybody on every agent: no list of what changed, no bit of who was ruled
//! out, and nothing that is kept of whom quota holds back is gone by here.

use super::Allocator;
use super::client::Client;

impl Allocator {
    /// The first client that could be proposed something of what is free, though no run is due that would; in words. Of refusals,
    /// of what was returned, and of whom quota ruled out on some agents alone, the next sweep is told.
    pub fn overlooked(&self) -> Option<String> {
        if self.run_is_due || self.everywhere || !self.changed.is_empty() {
            return None;
        }
        let wants =
            |client: &Client| client.acts && !client.suppressed && client.needs.wants_offers();
        let clients =
            (0..).zip(&self.clients).filter_map(|(n, client)| Some((n, client.as_ref()?)));
        let clients = clients.filter(|(n, client)| wants(client) && !self.bounded.has(*n));
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
