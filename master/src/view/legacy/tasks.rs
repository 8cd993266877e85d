//! `/tasks`.

use std::cmp::Reverse;
use std::sync::Arc;

use protocol::legacy::{Each, TaskJson, Written, written};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::{Task, View};

/// Which tasks, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskQuery {
    pub(crate) framework: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) order: Order,
}

/// By the time of a task's first news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Oldest,
    Newest,
}

/// One of them.
pub(super) fn task(task: &Task) -> &RawValue {
    let json = || TaskJson { report: &task.report, statuses: &task.statuses };
    // Nothing here can fail to be written: keys are texts, and numbers are finite.
    task.json.or_made(|| to_raw_value(&json()).unwrap_or_default())
}

impl View {
    /// `/tasks`.
    pub(crate) fn tasks_page(&self, query: &TaskQuery) -> Written {
        let frameworks = self.frameworks.iter();
        let meant = |asked: &Option<String>, id: &str| asked.as_ref().is_none_or(|one| one == id);
        let frameworks = frameworks.filter(|(id, _)| meant(&query.framework, id.as_str()));
        let tasks = frameworks.flat_map(|(_, framework)| framework.tasks.values());
        let mut tasks: Vec<&Arc<Task>> =
            tasks.filter(|one| meant(&query.task, one.report.spec.task.as_str())).collect();
        let first = |task: &&Arc<Task>| task.statuses.first().map(|status| status.at);
        match query.order {
            Order::Oldest => tasks.sort_by_key(first),
            Order::Newest => tasks.sort_by_key(|task| Reverse(first(task))),
        }
        #[derive(Serialize)]
        struct Tasks<T: Serialize> {
            tasks: T,
        }
        let tasks = Each(|| tasks.iter().skip(query.offset).take(query.limit).map(|one| task(one)));
        written(&Tasks { tasks })
    }
}
