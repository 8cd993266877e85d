//! Draws messages as the tree of what caused what, with times.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Lane;

use crate::output::table;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It was put on its way to a node that does not listen, and so cannot be asked what became of it.
    SentBeyond,
    /// It was put on its way; its receiver's node, which was asked, did not see it arrive.
    Sent,
    /// It was dropped.
    Dropped,
    /// It was handled.
    Handled,
}

/// One message, as one node saw it. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) span: u64,
    pub(crate) parent: u64,
    pub(crate) fate: Fate,
    pub(crate) label: String,
    /// It is known from a sandbox only, in which a task may write what it likes.
    pub(crate) in_sandbox: bool,
    pub(crate) subjects: Vec<String>,
    pub(crate) from: String,
    pub(crate) to: String,
    /// `None` within a node.
    pub(crate) lane: Option<Lane>,
    pub(crate) sent: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

/// Several nodes see one message: its sender and its receiver. What was handled says most.
pub(crate) fn merge(seen: Vec<Seen>) -> BTreeMap<u64, Seen> {
    let mut merged: BTreeMap<u64, Seen> = BTreeMap::new();
    for one in seen {
        match merged.get_mut(&one.span) {
            None => drop(merged.insert(one.span, one)),
            Some(known) => {
                let sent = known.sent.min(one.sent);
                if one.fate > known.fate {
                    *known = one;
                }
                known.sent = sent;
            }
        }
    }
    merged
}

/// Those about `subject`, and what led to them: up to and with the first message that is about something else.
pub(crate) fn about(subject: &str, all: &BTreeMap<u64, Seen>) -> BTreeMap<u64, Seen> {
    let is_about = |seen: &Seen| seen.subjects.iter().any(|id| id == subject);
    let mut wanted = BTreeSet::new();
    for seen in all.values().filter(|seen| is_about(seen)) {
        wanted.insert(seen.span);
        let mut above = all.get(&seen.parent);
        while let Some(cause) = above {
            if !wanted.insert(cause.span) || !cause.subjects.is_empty() && !is_about(cause) {
                break;
            }
            above = all.get(&cause.parent);
        }
    }
    all.iter().filter(|(span, _)| wanted.contains(span)).map(|(s, m)| (*s, m.clone())).collect()
}

/// The tree as a table: when, what, from whom to whom, how long it waited and took.
pub(crate) fn draw(all: &BTreeMap<u64, Seen>) -> String {
    let mut causes: BTreeMap<u64, Vec<&Seen>> = BTreeMap::new();
    for seen in all.values() {
        let known = seen.parent != seen.span && all.contains_key(&seen.parent);
        causes.entry(if known { seen.parent } else { 0 }).or_default().push(seen);
    }
    for caused in causes.values_mut() {
        caused.sort_by_key(|seen| (seen.sent, seen.span));
    }
    let start = all.values().map(|seen| seen.sent).min().unwrap_or_default();
    let mut rows = Vec::with_capacity(all.len());
    // Depth first, without recursion: causes may be thousands deep.
    let mut open: Vec<(usize, &Seen)> = Vec::new();
    let push = |open: &mut Vec<_>, depth: usize, of: u64| {
        for seen in causes.get(&of).into_iter().flatten().rev() {
            open.push((depth, *seen));
        }
    };
    push(&mut open, 0, 0);
    while let Some((depth, seen)) = open.pop() {
        let answered = causes.contains_key(&seen.span);
        rows.push(row(seen, answered, depth, start));
        if seen.span != 0 {
            push(&mut open, depth + 1, seen.span);
        }
    }
    table(&["AT ms", "MESSAGE", "FROM -> TO", "LANE", "ON ITS WAY ms", "HANDLED IN ms"], rows)
}

/// Levels that are drawn; what is deeper stands below the last.
const DEPTH_MAX: usize = 24;

fn row(seen: &Seen, answered: bool, depth: usize, start: u64) -> Vec<String> {
    let indent = match depth.min(DEPTH_MAX) {
        0 => String::new(),
        depth => format!("{}└ ", "  ".repeat(depth - 1)),
    };
    let (way, took) = match seen.fate {
        Fate::Handled => (
            ms(seen.started.saturating_sub(seen.sent)),
            ms(seen.ended.saturating_sub(seen.started)),
        ),
        // What it set off shows that it arrived, but not when.
        Fate::SentBeyond | Fate::Sent if answered => ("arrived".into(), String::new()),
        Fate::SentBeyond => ("its node cannot be asked".into(), String::new()),
        Fate::Sent => ("not seen to arrive".into(), String::new()),
        Fate::Dropped => ("DROPPED".into(), String::new()),
    };
    let mark = if seen.in_sandbox { " *" } else { "" };
    vec![
        format!("{:>10}", ms(seen.sent.saturating_sub(start))),
        format!("{indent}{}{mark}", seen.label),
        format!("{} -> {}", seen.from, seen.to),
        seen.lane.map_or_else(|| "-".to_owned(), |lane| lane.word().to_owned()),
        way,
        took,
    ]
}

/// Without what would steer a terminal: labels come from other nodes, and from files that others write.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn ms(microseconds: u64) -> String {
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

/// From the first send to the last end.
pub(crate) fn span_ms(all: &BTreeMap<u64, Seen>) -> String {
    let start = all.values().map(|seen| seen.sent).min().unwrap_or_default();
    let end = all.values().map(|seen| seen.ended.max(seen.sent)).max().unwrap_or_default();
    ms(end.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(span: u64, parent: u64, label: &str, way: [&str; 2], times: [u64; 3]) -> Seen {
        Seen {
            span,
            parent,
            fate: Fate::Handled,
            label: label.into(),
            in_sandbox: false,
            subjects: vec!["task-1".into()],
            from: way[0].into(),
            to: way[1].into(),
            lane: Some(Lane::Normal),
            sent: 1_000_000 + times[0],
            started: 1_000_000 + times[1],
            ended: 1_000_000 + times[2],
        }
    }

    fn story() -> Vec<Seen> {
        let mut offers = seen(1, 77, "Offers", ["master", "scheduler"], [0, 210, 300]);
        offers.subjects = vec!["offer-1".into()];
        let mut deltas = seen(9, 1, "Deltas", ["master", "scheduler"], [5, 215, 300]);
        deltas.subjects = vec![];
        let mut lost = seen(5, 4, "Updated", ["agent", "master"], [1500, 0, 0]);
        lost.fate = Fate::Dropped;
        let mut sent = seen(2, 1, "Accept", ["scheduler", "master"], [280, 0, 0]);
        sent.fate = Fate::Sent;
        let mut acknowledged = seen(6, 5, "Acknowledge", ["agent", "executor"], [1600, 0, 0]);
        acknowledged.fate = Fate::SentBeyond;
        let mut launch = seen(4, 3, "Launch", ["agent", "executor"], [890, 0, 0]);
        launch.fate = Fate::SentBeyond;
        let mut kill = seen(7, 1, "Kill", ["master", "agent"], [1700, 0, 0]);
        kill.fate = Fate::Sent;
        vec![
            offers,
            deltas,
            sent,
            launch,
            acknowledged,
            kill,
            seen(2, 1, "Accept", ["scheduler", "master"], [310, 400, 460]),
            seen(3, 2, "Launch", ["master", "agent"], [450, 700, 900]),
            lost,
        ]
    }

    #[test]
    fn what_caused_what_is_drawn_as_a_tree_with_times() {
        let all = merge(story());
        assert_eq!(all[&2].fate, Fate::Handled, "the receiver knows more than the sender");
        assert_eq!(all[&2].sent, 1_000_280, "the sender knows better when");
        insta::assert_snapshot!("flow", draw(&about("task-1", &all)));
        assert_eq!(span_ms(&all), "1.700");
    }

    #[test]
    fn what_another_matter_set_off_is_left_out() {
        let all = merge(story());
        assert!(!about("task-1", &all).contains_key(&9), "deltas are not about the task");
        assert!(about("task-2", &all).is_empty());
    }

    #[test]
    fn a_circle_of_causes_ends_nothing() {
        let way = ["a", "b"];
        let all =
            merge(vec![seen(1, 1, "Self", way, [0, 0, 0]), seen(2, 9, "Root", way, [0, 0, 0])]);
        assert_eq!(draw(&all).lines().count(), 3);
    }
}
