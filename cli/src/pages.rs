//! Lists that come page by page: the next page is asked for behind the last entry of the one before.

use protocol::ids::AgentId;
use protocol::operator::{
    AgentView, FrameworkView, OfferView, Read, ReadAnswer, RoleView, TaskView,
};
use protocol::wishes::FaultDomain;

use crate::client::ClientError;

/// What a master's view lists.
pub(crate) trait Listed: Sized {
    /// Asks for the first page.
    const FIRST: Read;

    /// Asks for what is behind this one.
    fn behind(&self) -> Read;

    /// The entries of a page, and whether there are more; `None` if it is not a page of these.
    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)>;
}

impl Listed for AgentView {
    const FIRST: Read = Read::Agents;

    fn behind(&self) -> Read {
        Read::AgentsBehind(self.agent.clone())
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Agents(rest) = answer {
            Some((rest, false))
        } else if let ReadAnswer::SomeAgents(some) = answer {
            Some((some, true))
        } else {
            None
        }
    }
}

impl Listed for FrameworkView {
    const FIRST: Read = Read::Frameworks;

    fn behind(&self) -> Read {
        Read::FrameworksBehind(self.info.framework.clone())
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Frameworks(rest) = answer {
            Some((rest, false))
        } else if let ReadAnswer::SomeFrameworks(some) = answer {
            Some((some, true))
        } else {
            None
        }
    }
}

impl Listed for TaskView {
    const FIRST: Read = Read::Tasks;

    fn behind(&self) -> Read {
        let (framework, task) = (self.report.framework.clone(), self.report.spec.task.clone());
        Read::TasksBehind { framework, task }
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Tasks(rest) = answer {
            Some((rest, false))
        } else if let ReadAnswer::SomeTasks(some) = answer {
            Some((some, true))
        } else {
            None
        }
    }
}

impl Listed for RoleView {
    const FIRST: Read = Read::Roles;

    fn behind(&self) -> Read {
        Read::RolesBehind(self.role.clone())
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Roles(rest) = answer {
            Some((rest, false))
        } else if let ReadAnswer::SomeRoles(some) = answer {
            Some((some, true))
        } else {
            None
        }
    }
}

impl Listed for OfferView {
    const FIRST: Read = Read::Offers;

    fn behind(&self) -> Read {
        Read::OffersBehind(self.offer.clone())
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Offers(rest) = answer {
            Some((rest, false))
        } else if let ReadAnswer::SomeOffers(some) = answer {
            Some((some, true))
        } else {
            None
        }
    }
}

/// Where an agent is. The master's own place comes with each page of these: see [`read_with`].
impl Listed for (AgentId, FaultDomain) {
    const FIRST: Read = Read::Domains;

    fn behind(&self) -> Read {
        Read::DomainsBehind(self.0.clone())
    }

    fn page(answer: ReadAnswer) -> Option<(Vec<Self>, bool)> {
        if let ReadAnswer::Domains(rest) = answer {
            Some((rest.agents, false))
        } else if let ReadAnswer::SomeDomains(some) = answer {
            Some((some.agents, true))
        } else {
            None
        }
    }
}

/// Asks for one page after the other.
pub(crate) async fn read_all<T: Listed>(
    ask: impl AsyncFn(Read) -> Result<ReadAnswer, ClientError>,
) -> Result<Vec<T>, ClientError> {
    read_with(ask, |_| ()).await
}

/// Asks for one page after the other, and shows each. A page that leads no further is an answer that makes no sense.
pub(crate) async fn read_with<T: Listed>(
    ask: impl AsyncFn(Read) -> Result<ReadAnswer, ClientError>,
    mut show: impl FnMut(&ReadAnswer),
) -> Result<Vec<T>, ClientError> {
    let mut all: Vec<T> = Vec::new();
    let mut read = T::FIRST;
    loop {
        let answer = ask(read.clone()).await?;
        show(&answer);
        if let ReadAnswer::Refused(why) = answer {
            return Err(ClientError::Refused(why));
        }
        let (page, more) = T::page(answer).ok_or(ClientError::Answer)?;
        all.extend(page);
        if !more {
            return Ok(all);
        }
        let next = all.last().map(T::behind).filter(|next| *next != read);
        read = next.ok_or(ClientError::Answer)?;
    }
}

#[cfg(test)]
mod tests {
    use protocol::agent::{AgentAddress, AgentInfo};
    use protocol::change::AgentState;
    use protocol::resources::Resources;

    use super::*;

    fn agent(id: &str) -> AgentView {
        AgentView {
            agent: AgentId::new(id),
            info: AgentInfo {
                at: AgentAddress { hostname: id.into(), listens: "127.0.0.1:5051".into() }.into(),
                resources: Resources::none(),
                attributes: Vec::new(),
                version: "0.1.0".into(),
                boot: "boot".into(),
            },
            state: AgentState::Active,
            used: Resources::none(),
            offered: Resources::none(),
        }
    }

    async fn view(read: Read) -> Result<ReadAnswer, ClientError> {
        let second = Read::AgentsBehind(AgentId::new("b"));
        if read == Read::Agents {
            Ok(ReadAnswer::SomeAgents(vec![agent("a"), agent("b")]))
        } else if read == second {
            Ok(ReadAnswer::Agents(vec![agent("c")]))
        } else {
            panic!("{read:?} is not what comes next")
        }
    }

    #[tokio::test]
    async fn every_page_of_a_list_is_read() {
        let all: Vec<AgentView> = read_all(view).await.expect("the view answers");
        let ids: Vec<_> = all.iter().map(|one| one.agent.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn who_may_not_read_a_list_hears_why() {
        let refused = async |_| Ok(ReadAnswer::Refused("not you".into()));
        let read = read_all::<RoleView>(refused).await;
        assert!(matches!(read, Err(ClientError::Refused(why)) if why == "not you"));
    }

    #[tokio::test]
    async fn a_page_that_leads_no_further_is_not_asked_for_for_ever() {
        let stuck = async |_| Ok(ReadAnswer::SomeAgents(vec![agent("a")]));
        let read = read_all::<AgentView>(stuck).await;
        assert!(matches!(read, Err(ClientError::Answer)));
    }
}
