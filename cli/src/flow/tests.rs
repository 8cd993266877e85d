//! How pids get the names that people see, and what is said of nodes that saw little or could not be asked.

use libactor::{AskError, FlowAnswer, Pid, What};

use super::*;

pub(super) fn record(span: u64, label: &str, from: Pid, to: Pid, at: u64) -> FlowRecord {
    FlowRecord {
        trace: FlowId(0xabc),
        span,
        parent: span - 1,
        sequence: 0,
        what: What::Handled,
        label: label.into(),
        subjects: vec!["task-1".into()],
        sender: Some(from),
        receiver: to,
        node: to.node(),
        sent: at,
        started: at + 100,
        ended: at + 150,
        lane: (from.node() != to.node()).then_some(Lane::Normal),
    }
}

fn asked(name: &str, named: Pid, records: Vec<FlowRecord>, flows_since: Option<u64>) -> Asked {
    let answer = FlowAnswer { records, flows_since, chatter_since: None, lost: 0 };
    let found = FlowFound { answer, ..FlowFound::default() };
    Asked { name: name.into(), named: Some(named), answer: Ok(found), in_sandbox: false }
}

pub(super) fn cluster() -> Vec<Asked> {
    let master = Pid::invented(1, 2);
    let allocator = Pid::invented(1, 3);
    let agent = Pid::invented(2, 2);
    let (scheduler, executor) = (Pid::invented(7, 1), Pid::invented(8, 1));
    let refused = ClientError::Other {
        name: "flow@127.0.0.1:5052".into(),
        why: AskError::Unreachable("connection refused".into()),
    };
    vec![
        asked(
            "master",
            master,
            vec![
                record(1, "Proposal", allocator, master, 1_000_000),
                record(2, "Accept", scheduler, master, 1_000_500),
            ],
            Some(1_000_000),
        ),
        asked(
            "agent 127.0.0.1:5051",
            agent,
            vec![
                record(3, "Launch", master, agent, 1_000_700),
                record(4, "Updated", executor, agent, 1_002_000),
                FlowRecord {
                    what: What::Sent,
                    node: agent.node(),
                    ..record(5, "Acknowledge", agent, executor, 1_003_000)
                },
            ],
            None,
        ),
        Asked {
            name: "agent 127.0.0.1:5052".into(),
            named: None,
            answer: Err(refused),
            in_sandbox: false,
        },
    ]
}

#[test]
fn pids_have_the_names_that_people_know() {
    let now = UNIX_EPOCH + Duration::from_secs(61);
    insta::assert_snapshot!("drawing", drawing(&cluster(), Some("task-1"), now));
}

#[test]
fn what_lay_in_a_sandbox_is_marked_and_steers_no_terminal() {
    let (agent, executor) = (Pid::invented(2, 2), Pid::invented(8, 1));
    let records = vec![
        record(5, "Acknowledge", agent, executor, 1_003_000),
        record(6, "\u{1b}[2JTimer\u{9b}", executor, executor, 1_004_000),
    ];
    let left = Asked { in_sandbox: true, ..asked("executor", executor, records, None) };
    let all: Vec<Asked> = cluster().into_iter().chain([left]).collect();
    let now = UNIX_EPOCH + Duration::from_secs(61);
    let drawing = drawing(&all, Some("task-1"), now);
    let line = |of: &str| drawing.lines().find(|line| line.contains(of)).unwrap();
    assert!(line("Timer").contains("\u{fffd}[2JTimer\u{fffd} *"), "{drawing}");
    assert!(line("Acknowledge *").ends_with("0.050"), "{drawing}");
    assert!(!line("Launch").contains('*'), "{drawing}");
    assert!(drawing.contains(sandbox::NOTE) && !drawing.contains('\u{1b}'), "{drawing}");
}

#[test]
fn several_executors_are_told_apart() {
    let agent = Pid::invented(2, 2);
    let records = vec![
        record(1, "Updated", Pid::invented(8, 1), agent, 10),
        record(2, "Updated", Pid::invented(9, 1), agent, 20),
    ];
    let asked = [asked("agent 127.0.0.1:5051", agent, records, None)];
    let all: Vec<&FlowRecord> = super::records(&asked).collect();
    let names = Names::of(&asked, &all);
    assert_eq!(names.name(Pid::invented(8, 1)), "executor 1");
    assert_eq!(names.name(Pid::invented(9, 1)), "executor 2");
    assert_eq!(names.name(Pid::invented(10, 1)), "elsewhere");
}

#[test]
fn how_far_back_a_node_sees_in_its_memory_and_its_file() {
    let with = |flows_since, file_since, complaint: Option<&str>| {
        let answer = FlowAnswer { flows_since, ..FlowAnswer::default() };
        let answer = Ok(FlowFound { answer, file_since, complaint: complaint.map(str::to_owned) });
        let node = Asked { name: "master".into(), named: None, answer, in_sandbox: false };
        sees(&node, Duration::from_secs(100))
    };
    let second = |n: u64| Some(n * 1_000_000);
    assert_eq!(with(second(40), None, None), "60 s");
    assert_eq!(with(second(40), second(10), None), "90 s, 60 s of it in memory");
    assert_eq!(with(None, second(10), None), "90 s, none of it in memory");
    assert_eq!(with(second(40), None, Some("it is busy")), "60 s (it is busy)");
}
