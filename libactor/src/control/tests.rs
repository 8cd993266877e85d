//! The golden bytes: those of `PROTOCOL.md` are those that are written, and another codec reads them the same.

mod another_codec;
mod smaller;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::*;
use crate::flow::{FlowId, Head};
use crate::flow_actor::{FlowIds, FlowQuery, FlowSearch, PayloadQuestion};
use crate::message::Lane;
use crate::pid::Pid;
use crate::recorder::payloads::PayloadFilter;
use crate::session::{Greeting, Hello, Proof, Verdict};
use crate::wire::{FrameWriter, Header, Kind, MAX_HELLO, encode, tag};

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

fn life(actor: u64) -> Life {
    Life { node: 0x0a, incarnation: 0x0b, actor }
}

fn hello() -> Hello {
    Hello {
        oldest: 1,
        newest: 3,
        node: 0x0a,
        incarnation: 0x0b,
        advertise: Some(SocketAddr::from(([10, 0, 0, 1], 5050))),
        secret: true,
        window: 4096,
        nonce: [0xcc; 32],
        lent: false,
    }
}

fn controls() -> Vec<(&'static str, Control)> {
    let (watcher, target) = (life(1), life(2));
    let (sender, receiver) = (watcher, target);
    let all = vec![
        Control::Heartbeat { received: [1, 2] },
        Control::Goodbye { why: "bye".to_owned(), received: [1, 2] },
        Control::Link { watcher, target },
        Control::Unlink { watcher, target },
        Control::Down { watcher, target, reason: DownReason::Unreachable("no".to_owned()) },
        Control::Credit { sender, receiver, lane: 1, handled: 1024 },
        Control::Undelivered { sender, receiver, why: DropReason::Stale },
        Control::Failed { error: Failure::Refused("no".to_owned()) },
        Control::Resolve { name: "master".to_owned() },
        Control::Resolved { actor: Some(target) },
        Control::PeerLost { node: 0x0a, incarnation: 0x0b },
    ];
    all.into_iter().map(|control| (name(&control), control)).collect()
}

/// Exhaustive: a new variant needs its sample.
fn name(control: &Control) -> &'static str {
    match control {
        Control::Heartbeat { .. } => "Heartbeat",
        Control::Goodbye { .. } => "Goodbye",
        Control::Link { .. } => "Link",
        Control::Unlink { .. } => "Unlink",
        Control::Down { .. } => "Down",
        Control::Credit { .. } => "Credit",
        Control::Undelivered { .. } => "Undelivered",
        Control::Failed { .. } => "Failed",
        Control::Resolve { .. } => "Resolve",
        Control::Resolved { .. } => "Resolved",
        Control::PeerLost { .. } => "PeerLost",
    }
}

fn tell_frame() -> Vec<u8> {
    let head =
        Head { trace: 0x11, span: 0x12, parent: 0x13, order: 2 << 48 | 1500, sender: life(1) };
    let name = tag("demo.Number");
    let header =
        Header { kind: Kind::Tell, relayed: false, to: life(2), name: "", head, tag: name, ask: 0 };
    let mut out = Vec::new();
    let mut writer = FrameWriter::new(&mut out, Lane::Normal, 1000);
    writer.put(&header.bytes(|| 500)).and_then(|()| writer.payload(&7_u64)).unwrap();
    writer.finish();
    out
}

fn small<T: Serialize>(value: &T) -> Vec<u8> {
    encode(value, MAX_HELLO).unwrap()
}

fn vectors() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("Hello".to_owned(), small(&hello())),
        ("Greeting::Hello".to_owned(), small(&Greeting::Hello(hello(), Some([0xdd; 32])))),
        ("Greeting::Refused".to_owned(), small(&Greeting::Refused("no".to_owned()))),
        ("Proof::Proof(none)".to_owned(), small(&Proof::Proof(None))),
        ("Proof::Proof".to_owned(), small(&Proof::Proof(Some([0xdd; 32])))),
        ("Proof::Refused".to_owned(), small(&Proof::Refused("no".to_owned()))),
        ("Verdict::Welcome".to_owned(), small(&Verdict::Welcome)),
        ("Verdict::Refused".to_owned(), small(&Verdict::Refused("no".to_owned()))),
        (
            "Pid".to_owned(),
            small(&Pid { life: life(2), via: Some(SocketAddr::from(([10, 0, 0, 1], 5050))) }),
        ),
        ("frame of a tell".to_owned(), tell_frame()),
    ];
    let listens = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 5050));
    all.push(("Pid over IPv6".to_owned(), small(&life(2).via(Some(listens)))));
    all.extend(flow_questions());
    all.extend(smaller::flow_answers());
    all.extend(smaller::reasons());
    all.extend(
        controls().into_iter().map(|(name, control)| (format!("Control::{name}"), small(&control))),
    );
    all
}

fn flow_questions() -> Vec<(String, Vec<u8>)> {
    let flow = FlowId(0x0f);
    let query = FlowQuery { subject: Some("task-1".to_owned()), trace: Some(flow), limit: 100 };
    let filter = PayloadFilter { message: Some("Launch".to_owned()), about: None };
    let start =
        PayloadQuestion::Start { filter, time: Duration::from_millis(1500), bytes: 1 << 20 };
    let all = [
        ("FlowQuery", small(&query)),
        ("FlowSearch", small(&FlowSearch(query))),
        ("FlowIds", small(&FlowIds { first: flow, last: flow })),
        ("PayloadQuestion::Start", small(&start)),
        ("PayloadQuestion::Fetch", small(&PayloadQuestion::Fetch { session: 0x0d })),
        ("PayloadQuestion::Stop", small(&PayloadQuestion::Stop { session: 0x0d })),
    ];
    all.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_page_has_the_bytes_that_are_written() {
    let mut wanted = String::new();
    for (name, bytes) in vectors() {
        wanted.push_str(&format!("| `{name}` | `{}` |\n", hex(&bytes)));
    }
    let missing: Vec<_> =
        wanted.lines().filter(|line| !PROTOCOL.lines().any(|its| its == *line)).collect();
    assert!(missing.is_empty(), "PROTOCOL.md lacks\n{}", missing.join("\n"));
}
