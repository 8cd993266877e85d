//! Containers with what they use: of each executor that lives, its own. There are no others yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use api::v1;
use containerizer::isolator::Isolators;
use containerizer::isolator::logic::{with_status, with_usage};
use containerizer::limits::logic::bytes;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId};
use protocol::limits::Most;

use super::v1::executor_info;
use crate::isolators;
use crate::logic::{Books, ExecutorSeen, Life, network};
use crate::usage::{Usage, Usages};

/// One container.
pub(crate) struct Container {
    pub(crate) framework: FrameworkId,
    pub(crate) executor: ExecutorId,
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) status: v1::ContainerStatus,
    /// While it has a process.
    pub(crate) statistics: Option<v1::ResourceStatistics>,
}

/// Which of them are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) container: Option<String>,
    pub(crate) framework: Option<String>,
    pub(crate) executor: Option<String>,
}

impl Filter {
    fn has(&self, framework: &FrameworkId, executor: &ExecutorSeen) -> bool {
        let is =
            |wanted: &Option<String>, id: &str| wanted.as_ref().is_none_or(|wanted| wanted == id);
        is(&self.container, executor.container.as_str())
            && is(&self.framework, framework.as_str())
            && is(&self.executor, executor.spec.executor.as_str())
    }
}

/// What isolators say of containers, each asked once: the kernel is asked about every group.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<BTreeMap<ContainerId, OfOne>>);

#[derive(Clone, Debug, Default)]
struct OfOne {
    status: v1::ContainerStatus,
    statistics: v1::ResourceStatistics,
}

impl Said {
    fn of(&self, isolators: &Isolators, container: &ContainerId) -> OfOne {
        // What is behind it is whole after each change.
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all().get(container) {
            return known.clone();
        }
        let said = ask(isolators, container);
        all().insert(container.clone(), said.clone());
        said
    }
}

/// Those that are meant, with what all processes used at this time, in seconds since 1970, and what isolators said then.
pub(crate) fn containers(
    books: &Books,
    filter: &Filter,
    usages: &Usages,
    (isolators, said): (&Isolators, &Said),
    at: f64,
) -> Vec<Container> {
    let mut all = Vec::new();
    for framework in &books.frameworks {
        let id = &framework.info.framework;
        let meant = framework.executors.iter().filter(|executor| filter.has(id, executor));
        for executor in meant.filter(|executor| executor.life != Life::Ended) {
            let process = executor.life.process();
            let used = process.and_then(|process| usages.below(process));
            let mut status = v1::ContainerStatus {
                container_id: Some(executor.container.to_v1()),
                executor_pid: process,
                ..Default::default()
            };
            let mut statistics = used.map(|used| statistics(executor, used, at));
            // What isolators say counts more than what everybody sees.
            let said = said.of(isolators, &executor.container);
            with_status(&mut status, &said.status);
            if let Some(known) = &mut statistics {
                with_usage(known, said.statistics);
            }
            if status.network_infos.is_empty() {
                status.network_infos.extend(network(&books.info.at.listens));
            }
            all.push(Container {
                framework: id.clone(),
                executor: executor.spec.executor.clone(),
                name: executor.name(),
                #[expect(deprecated, reason = "the older text is shown, as Mesos shows it")]
                source: executor_info(id, executor).source.unwrap_or_default(),
                status,
                statistics,
            });
        }
    }
    all
}

fn ask(isolators: &Isolators, container: &ContainerId) -> OfOne {
    let mut said = OfOne::default();
    let Ok(id) = isolators::id(container) else { return said };
    let mut missing = isolators.status(&id, &mut said.status);
    missing.extend(isolators.usage(&id, &mut said.statistics));
    for why in missing {
        tracing::debug!(%container, %why, "an isolator says nothing of a container");
    }
    said
}

fn statistics(executor: &ExecutorSeen, used: Usage, at: f64) -> v1::ResourceStatistics {
    let limits = executor.all_resources();
    let most = executor.limits();
    v1::ResourceStatistics {
        timestamp: at,
        processes: Some(used.processes),
        threads: Some(used.threads),
        cpus_user_time_secs: Some(used.user_seconds),
        cpus_system_time_secs: Some(used.system_seconds),
        // Of what has no bound there is none to be shown.
        cpus_limit: match most.cpus {
            Some(Most::At(most)) => Some(most.as_f64()),
            Some(Most::Unbounded) => None,
            None => Some(limits.cpus().as_f64()),
        },
        cpus_soft_limit: most.cpus.map(|_| limits.cpus().as_f64()),
        mem_rss_bytes: Some(used.resident_bytes),
        mem_limit_bytes: match most.mem {
            Some(Most::At(most)) => Some(bytes(most)),
            Some(Most::Unbounded) => None,
            None => Some(bytes(limits.mem())),
        },
        mem_soft_limit_bytes: most.mem.map(|_| bytes(limits.mem())),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use containerizer::isolator::{ContainerPath, Isolator, Launch};

    use super::*;

    /// Says how often it was asked.
    #[derive(Debug, Default)]
    struct Network(AtomicU64);

    impl Isolator for Network {
        fn name(&self) -> &str {
            "test/network"
        }

        fn prepare(&self, _: &mut Launch<'_>) -> Result<(), String> {
            Ok(())
        }

        fn usage(&self, id: &ContainerPath) -> Result<v1::ResourceStatistics, String> {
            assert_eq!(id.to_string(), "c-1");
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(v1::ResourceStatistics { net_rx_bytes: Some(asked + 1), ..Default::default() })
        }

        fn status(&self, _: &ContainerPath) -> Result<v1::ContainerStatus, String> {
            let network_infos = vec![v1::NetworkInfo::default()];
            Ok(v1::ContainerStatus { network_infos, ..Default::default() })
        }

        fn clean_up(&self, _: &ContainerPath) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn iso_27_what_isolators_say_is_shown_with_what_the_agent_sees() {
        let isolators = Isolators::new(vec![Arc::new(Network::default())]);
        let said = Said::default();
        let said = || said.of(&isolators, &ContainerId::new("c-1"));
        let mut status = v1::ContainerStatus { executor_pid: Some(3), ..Default::default() };
        let mut seen =
            v1::ResourceStatistics { timestamp: 5.0, threads: Some(2), ..Default::default() };
        with_status(&mut status, &said().status);
        with_usage(&mut seen, said().statistics);
        assert_eq!((status.executor_pid, status.network_infos.len()), (Some(3), 1));
        // Asked once, whoever wants to know.
        assert_eq!((seen.timestamp, seen.threads, seen.net_rx_bytes), (5.0, Some(2), Some(1)));
    }
}
