//! A list that may not show all there is says so: a new leader hears of tasks and frameworks as their agents return, and one
//! whose election is in doubt hears of nothing.

use protocol::change::AgentState;
use protocol::operator::{AgentView, ClusterView};

use crate::client::{Client, ClientError};
use crate::output;

/// Reads a list, or what is found in some, and says beside it what it may lack.
pub(crate) async fn list<T>(
    client: &Client,
    read: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let before = client.cluster().await?;
    let listed = read.await?;
    let agents = if before.recovering { client.agents().await? } else { Vec::new() };
    let after = client.cluster().await?;
    if let Some(words) = words(&before, &agents, &after) {
        output::narrate(&format!("{words}\n"));
    }
    Ok(listed)
}

/// What a list may lack that was read between two looks at the cluster; its agents were read before the second, if they were
/// awaited at the first. Within a reign no more are awaited as time goes by.
fn words(before: &ClusterView, agents: &[AgentView], after: &ClusterView) -> Option<String> {
    let awaited = agents.iter().filter(|agent| agent.state == AgentState::Recovered).count();
    let all = agents.iter().filter(|agent| agent.state != AgentState::Gone).count();
    if before.epoch != after.epoch {
        let words = "another master has come to lead meanwhile, so this list may be incomplete";
        return Some(words.to_owned());
    }
    match (before.recovering, after.recovering) {
        (true, _) if awaited > 0 => Some(format!(
            "recovering: {awaited} of {all} agents are awaited, so this list may be incomplete"
        )),
        (_, true) => Some(
            "suspended: it is not known whether this master still leads, so this list may be out of date"
                .to_owned(),
        ),
        // All are back, or it knows again that it leads.
        (true, false) => {
            Some("recovered while this was read, so this list may be incomplete".to_owned())
        }
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::{ClusterId, MasterId};

    use super::*;
    use crate::lists::tests::agent;

    fn look(epoch: u64, recovering: bool) -> ClusterView {
        let (cluster, master) = (ClusterId::new("c"), MasterId::new("m"));
        ClusterView { cluster, master, epoch, version: "0".into(), change: 7, recovering }
    }

    fn agents(states: &[AgentState]) -> Vec<AgentView> {
        states.iter().map(|state| AgentView { state: *state, ..agent() }).collect()
    }

    #[test]
    fn a_list_says_what_it_may_lack() {
        use AgentState::{Active, Gone, Recovered};
        let words = |before, states: &[_], after| {
            words(&before, &agents(states), &after).unwrap_or_default()
        };
        assert_eq!(words(look(3, false), &[], look(3, false)), "");
        let awaited = "recovering: 1 of 2 agents are awaited, so this list may be incomplete";
        let some = [Active, Recovered, Gone];
        assert_eq!(words(look(3, true), &some, look(3, true)), awaited);
        assert_eq!(words(look(3, true), &some, look(3, false)), awaited);
        for (before, after, expected) in [
            (look(3, true), look(3, false), "recovered while this was read"),
            (look(3, false), look(3, true), "suspended: "),
            (look(3, true), look(3, true), "suspended: "),
            (look(3, false), look(4, false), "another master has come to lead meanwhile"),
        ] {
            let told = words(before, &[Active], after);
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
