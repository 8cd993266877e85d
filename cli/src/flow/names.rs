//! How pids get the names that people know.

use std::collections::{BTreeMap, BTreeSet};

use libactor::{FlowRecord, NodeId, Pid, What};

use super::draw::{self, Fate, Seen};
use super::sources::Asked;

/// What nodes are called that nobody can ask.
const KINDS: [&str; 3] = ["executor", "scheduler", "elsewhere"];

fn kind_of_those_that_talk_to(node: &str) -> &'static str {
    let [executor, scheduler, elsewhere] = KINDS;
    match node {
        "master" => scheduler,
        agent if agent.starts_with("agent ") => executor,
        _ => elsewhere,
    }
}

/// A pid without the way to it, which differs with who says it: node, incarnation, actor.
type Life = (NodeId, u64, u64);

pub(super) fn life(pid: Pid) -> Life {
    (pid.node(), pid.incarnation(), pid.actor())
}

/// What people call each pid that occurs.
pub(super) struct Names<'a> {
    nodes: BTreeMap<NodeId, &'a str>,
    main: BTreeMap<Life, &'a str>,
    /// Those that told what they saw.
    answered: BTreeSet<NodeId>,
    strangers: BTreeMap<NodeId, String>,
}

impl<'a> Names<'a> {
    /// Names for the pids of the records that are shown.
    pub(super) fn of(asked: &'a [Asked], shown: &[&FlowRecord]) -> Self {
        let mut names = Self {
            nodes: BTreeMap::new(),
            main: BTreeMap::new(),
            answered: BTreeSet::new(),
            strangers: BTreeMap::new(),
        };
        for node in asked {
            if let Some(pid) = node.named {
                names.main.insert(life(pid), &node.name);
                names.nodes.insert(pid.node(), &node.name);
                names.answered.extend(node.answer.is_ok().then_some(pid.node()));
            }
            // A node that was started again is another one, and its file has what the earlier one saw.
            for record in node.records() {
                names.nodes.insert(record.node, &node.name);
                names.answered.insert(record.node);
            }
        }
        // Nodes that nobody can ask are known by whom they talk to: executors talk to agents, schedulers to the master.
        for record in shown {
            let Some(sender) = record.sender else { continue };
            for (stranger, other) in [(sender, record.receiver), (record.receiver, sender)] {
                let known = names.nodes.contains_key(&stranger.node());
                if let (false, Some(other)) = (known, names.nodes.get(&other.node())) {
                    let kind = kind_of_those_that_talk_to(other);
                    names.strangers.entry(stranger.node()).or_insert_with(|| kind.to_owned());
                }
            }
        }
        names.number_strangers();
        names
    }

    /// Several schedulers or executors are told apart by a number.
    fn number_strangers(&mut self) {
        for kind in KINDS {
            let several = self.strangers.values().filter(|name| *name == kind).count() > 1;
            let alike = self.strangers.values_mut().filter(|name| *name == kind);
            for (n, name) in alike.enumerate().filter(|_| several) {
                *name = format!("{kind} {}", n + 1);
            }
        }
    }

    pub(super) fn name(&self, pid: Pid) -> String {
        if let Some(name) = self.main.get(&life(pid)) {
            return (*name).to_owned();
        }
        let node = self.nodes.get(&pid.node()).map(|name| (*name).to_owned());
        match node {
            // Of these only one actor talks to others.
            Some(node) if node == KINDS[0] => node,
            Some(node) => format!("{node} #{}", pid.actor()),
            None => {
                let stranger = self.strangers.get(&pid.node());
                stranger.cloned().unwrap_or_else(|| "elsewhere".to_owned())
            }
        }
    }

    /// `in_sandbox`: where the record lay.
    pub(super) fn seen(&self, record: &FlowRecord, in_sandbox: bool) -> Seen {
        Seen {
            span: record.span,
            parent: record.parent,
            fate: match record.what {
                What::Sent if self.answered.contains(&record.receiver.node()) => Fate::Sent,
                What::Sent => Fate::SentBeyond,
                What::Handled => Fate::Handled,
                What::Dropped => Fate::Dropped,
            },
            label: draw::plain(&record.label),
            in_sandbox,
            subjects: record.subjects.clone(),
            from: record.sender.map_or_else(|| "outside".to_owned(), |pid| self.name(pid)),
            to: self.name(record.receiver),
            lane: record.lane,
            sent: record.sent,
            started: record.started,
            ended: record.ended,
        }
    }
}
