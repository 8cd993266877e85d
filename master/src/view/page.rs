//! Lists may be long: they are read page by page, each of which fits into one message.

use std::ops::Bound;

use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::operator::{AgentView, DomainsView, ReadAnswer, TaskView};
use protocol::wishes::FaultDomain;

use super::View;
use super::shared::Shared;
use crate::sizes;

/// The most entries on a page.
const ENTRIES_MAX: usize = 5_000;

/// About so many bytes are on a page at most; an entry that is larger has one of its own.
const BYTES_MAX: usize = 4 << 20;

/// What one page holds.
pub(super) enum Page<T> {
    /// All there is.
    Last(Vec<T>),
    /// As much as there is room for.
    Some(Vec<T>),
}

impl<T> Page<T> {
    pub(super) fn of(all: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Self {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for one in all {
            bytes += size(&one);
            if !page.is_empty() && (page.len() == ENTRIES_MAX || bytes > BYTES_MAX) {
                return Self::Some(page);
            }
            page.push(one);
        }
        Self::Last(page)
    }

    pub(super) fn answer(
        self,
        last: impl FnOnce(Vec<T>) -> ReadAnswer,
        some: impl FnOnce(Vec<T>) -> ReadAnswer,
    ) -> ReadAnswer {
        match self {
            Self::Last(page) => last(page),
            Self::Some(page) => some(page),
        }
    }
}

/// What is behind a key; from the first one on, if none is named.
pub(super) fn behind<'a, K: Ord + Clone, V: Clone>(
    all: &'a Shared<K, V>,
    key: Option<&K>,
) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
    let from = key.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
    all.range((from, Bound::Unbounded))
}

impl View {
    /// Agents by id.
    pub(super) fn agents_behind(&self, last: Option<&AgentId>) -> ReadAnswer {
        let all = behind(&self.agents, last).map(|(_, agent)| agent.view.clone());
        Page::of(all, size_of_agent).answer(ReadAnswer::Agents, ReadAnswer::SomeAgents)
    }

    /// Where agents are, by their id.
    pub(super) fn domains_behind(&self, last: Option<&AgentId>) -> ReadAnswer {
        let all = behind(&self.domains, last).map(|(id, domain)| (id.clone(), domain.clone()));
        let view = |agents| DomainsView { master: self.domain.clone(), agents };
        let size = |(id, domain): &(AgentId, FaultDomain)| {
            let words = [id.as_str(), &domain.region, &domain.zone];
            words.into_iter().map(|word| sizes::OF_A_WORD + word.len()).sum()
        };
        let page = Page::of(all, size);
        page.answer(
            |rest| ReadAnswer::Domains(view(rest)),
            |some| ReadAnswer::SomeDomains(view(some)),
        )
    }

    /// Frameworks by id.
    pub(super) fn frameworks_behind(&self, last: Option<&FrameworkId>) -> ReadAnswer {
        let all = behind(&self.frameworks, last).map(|(_, framework)| framework.view());
        let page = Page::of(all, |one| {
            size_of_framework(&one.info)
                + sizes::of_resources(&one.used)
                + sizes::of_resources(&one.offered)
        });
        page.answer(ReadAnswer::Frameworks, ReadAnswer::SomeFrameworks)
    }

    /// Tasks by framework and id.
    pub(super) fn tasks_behind(&self, last: Option<(&FrameworkId, &TaskId)>) -> ReadAnswer {
        let rest_of_first = last.and_then(|(framework, task)| {
            Some(behind(&self.frameworks.get(framework)?.tasks, Some(task)))
        });
        let others = behind(&self.frameworks, last.map(|(framework, _)| framework));
        let others = others.flat_map(|(_, framework)| behind(&framework.tasks, None));
        let all = rest_of_first.into_iter().flatten().chain(others);
        let all = all.map(|(_, task)| TaskView {
            report: task.report.clone(),
            statuses: task.statuses.clone(),
        });
        Page::of(all, size_of_task).answer(ReadAnswer::Tasks, ReadAnswer::SomeTasks)
    }
}

// About as many bytes as something has in a message.

fn size_of_agent(agent: &AgentView) -> usize {
    let info = &agent.info;
    let words = [&info.at.hostname, &info.at.listens, &info.version, &info.boot];
    sizes::OF_THE_REST
        + words.into_iter().map(String::len).sum::<usize>()
        + sizes::of_attributes(&info.attributes)
        + [&info.resources, &agent.used, &agent.offered]
            .into_iter()
            .map(sizes::of_resources)
            .sum::<usize>()
}

fn size_of_framework(info: &FrameworkInfo) -> usize {
    let words = [&info.name, &info.user, &info.hostname].into_iter().map(String::len);
    let roles = info.roles.iter().map(|role| sizes::OF_A_RESOURCE + role.as_str().len());
    sizes::OF_THE_REST + words.chain(roles).sum::<usize>() + info.carried.as_bytes().len()
}

fn size_of_task(task: &TaskView) -> usize {
    let unacknowledged = task.report.unacknowledged.iter();
    let statuses = task.statuses.iter().chain(unacknowledged);
    let statuses = statuses.map(|status| sizes::OF_THE_REST + status.long_bytes());
    sizes::OF_THE_REST + task.report.spec.long_bytes() + statuses.sum::<usize>()
}
