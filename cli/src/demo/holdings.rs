//! Who held how much of each agent: what the master's view showed at the moment of a run when most frameworks had tasks,
//! and of such moments the busiest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::operator::{AgentView, FrameworkView, TaskView};
use protocol::resources::{Milli, Resources};

use crate::output::table;

/// The busiest moment so far.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    at: Duration,
    /// How many frameworks had tasks, and the cpus in use.
    busy: (usize, Milli),
    rows: Vec<Row>,
    names: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Row {
    agent: String,
    total: Resources,
    used: Resources,
    /// By framework id: how many tasks, and what they hold.
    held: BTreeMap<String, (u32, Resources)>,
}

impl Holdings {
    /// Looks at one moment; it is kept if it was busier than any before.
    pub(crate) fn look(
        &mut self,
        at: Duration,
        agents: &[AgentView],
        frameworks: &[FrameworkView],
        tasks: &[TaskView],
    ) {
        for framework in frameworks {
            let id = framework.info.framework.to_string();
            self.names.insert(id, framework.info.name.clone());
        }
        let used = Milli(agents.iter().map(|agent| agent.used.cpus().0).sum());
        let rows: Vec<Row> = agents.iter().map(|agent| row(agent, tasks)).collect();
        let holders: BTreeSet<&String> = rows.iter().flat_map(|row| row.held.keys()).collect();
        let busy = (holders.len(), used);
        if busy > self.busy {
            (self.at, self.busy, self.rows) = (at, busy, rows);
        }
    }

    /// The table of that moment; empty if nothing was ever in use.
    pub(crate) fn table(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut lines = Vec::new();
        for row in &self.rows {
            for (framework, (tasks, held)) in &row.held {
                let name = self.names.get(framework).unwrap_or(framework);
                lines.push(vec![
                    row.agent.clone(),
                    name.clone(),
                    tasks.to_string(),
                    held.cpus().to_string(),
                    held.mem().to_string(),
                    String::new(),
                ]);
            }
            lines.push(vec![
                row.agent.clone(),
                "all, with executors".into(),
                row.held.values().map(|(tasks, _)| tasks).sum::<u32>().to_string(),
                row.used.cpus().to_string(),
                row.used.mem().to_string(),
                share(row),
            ]);
        }
        let seconds = self.at.as_secs_f64();
        let head = ["AGENT", "HELD BY", "TASKS", "CPUS", "MEM MB", "OF THE AGENT"];
        format!(
            "Who held how much at the busiest moment ({seconds:.1} s):\n{}",
            table(&head, lines)
        )
    }
}

fn row(agent: &AgentView, tasks: &[TaskView]) -> Row {
    let mut held: BTreeMap<String, (u32, Resources)> = BTreeMap::new();
    let here = tasks.iter().map(|task| &task.report).filter(|report| report.agent == agent.agent);
    for report in here.filter(|report| !report.state.is_end()) {
        let (tasks, holds) = held.entry(report.framework.to_string()).or_default();
        *tasks += 1;
        holds.add(&report.spec.resources);
    }
    Row {
        agent: agent.agent.to_string(),
        total: agent.info.resources.clone(),
        used: agent.used.clone(),
        held,
    }
}

fn share(row: &Row) -> String {
    let percent = |name| {
        let total = row.total.scalar(name).0.max(1);
        row.used.scalar(name).0.saturating_mul(100) / total
    };
    format!("{} % of its cpus, {} % of its mem", percent("cpus"), percent("mem"))
}

#[cfg(test)]
mod tests {
    use protocol::task::TaskState;

    use super::*;
    use crate::lists::tests::{agent, framework, task};

    #[test]
    fn the_busiest_moment_is_kept_and_ended_tasks_hold_nothing() {
        let mut running = task();
        running.report.state = TaskState::Running;
        let mut busy = agent();
        busy.used = "cpus:0.3;mem:96".parse().unwrap();
        let mut holdings = Holdings::default();
        assert_eq!(holdings.table(), "");
        let look = |holdings: &mut Holdings, ms, agent: &AgentView, task: &TaskView| {
            let at = Duration::from_millis(ms);
            holdings.look(
                at,
                std::slice::from_ref(agent),
                &[framework()],
                std::slice::from_ref(task),
            );
        };
        look(&mut holdings, 100, &agent(), &running);
        look(&mut holdings, 1200, &busy, &running);
        look(&mut holdings, 3000, &agent(), &task());
        insta::assert_snapshot!("holdings", holdings.table());
    }
}
