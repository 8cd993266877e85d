//! What statements and answers hold, and what the actor `flow` answers: a peer that meets a variant it does not know can read
//! nothing of the whole, so each has its bytes on the page, as statements have.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;

use super::{life, small};
use crate::control::{DropReason, Failure};
use crate::flow::FlowId;
use crate::flow_actor::{FlowAnswer, FlowFound, FlowIdsFound, PayloadAnswer};
use crate::message::{DownReason, Lane};
use crate::pid::NodeId;
use crate::recorder::payloads::{FlowPayload, PayloadsOver};
use crate::recorder::{FlowRecord, What};

/// The variants of an enum, each with its bytes; the build stops at one that is missing.
macro_rules! all {
    ($name:ident: $($variant:pat => $sample:expr),* $(,)?) => {{
        let known = |value: &$name| match value {
            $($variant => (),)*
        };
        let samples = [$($sample),*];
        samples.iter().for_each(known);
        lines(stringify!($name), &samples)
    }};
}

fn lines<T: Serialize + Debug>(name: &str, samples: &[T]) -> Vec<(String, Vec<u8>)> {
    samples.iter().map(|sample| (format!("{name}::{sample:?}"), small(sample))).collect()
}

/// Variants that say why or what, without more than a word in them.
pub(super) fn reasons() -> Vec<(String, Vec<u8>)> {
    let no = || "no".to_owned();
    let mut all = all!(DropReason:
        DropReason::MailboxFull => DropReason::MailboxFull,
        DropReason::Stale => DropReason::Stale,
        DropReason::Stopped => DropReason::Stopped,
        DropReason::NotAccepted => DropReason::NotAccepted,
        DropReason::UnknownVariant => DropReason::UnknownVariant,
        DropReason::Unreachable => DropReason::Unreachable,
        DropReason::ConnectionLost => DropReason::ConnectionLost,
        DropReason::TooNew => DropReason::TooNew,
        DropReason::RelayFull => DropReason::RelayFull,
        DropReason::LateAnswer => DropReason::LateAnswer,
        DropReason::Stranger => DropReason::Stranger,
        DropReason::TooLarge => DropReason::TooLarge,
        DropReason::NotAuthorized => DropReason::NotAuthorized,
    );
    all.extend(all!(DownReason:
        DownReason::Stopped => DownReason::Stopped,
        DownReason::ConnectionLost => DownReason::ConnectionLost,
        DownReason::Unreachable(_) => DownReason::Unreachable(no()),
        DownReason::NoSuchActor => DownReason::NoSuchActor,
    ));
    all.extend(all!(Failure:
        Failure::NoAnswer => Failure::NoAnswer,
        Failure::Down(_) => Failure::Down(DownReason::Stopped),
        Failure::Full => Failure::Full,
        Failure::Unreachable(_) => Failure::Unreachable(no()),
        Failure::Refused(_) => Failure::Refused(no()),
    ));
    all.extend(all!(What:
        What::Handled => What::Handled,
        What::Sent => What::Sent,
        What::Dropped => What::Dropped,
    ));
    all.extend(all!(Lane:
        Lane::Control => Lane::Control,
        Lane::Normal => Lane::Normal,
        Lane::Bulk => Lane::Bulk,
    ));
    all.extend(all!(PayloadsOver:
        PayloadsOver::Time => PayloadsOver::Time,
        PayloadsOver::Bytes => PayloadsOver::Bytes,
    ));
    all
}

fn record() -> FlowRecord {
    FlowRecord {
        trace: FlowId(0x0f),
        span: 0x12,
        parent: 0x13,
        sequence: 2,
        what: What::Handled,
        label: "Number".to_owned(),
        subjects: vec!["task-1".to_owned()],
        sender: Some(life(1).via(None)),
        receiver: life(2).via(None),
        node: NodeId(0x0a),
        sent: 21,
        started: 22,
        ended: 23,
        lane: Some(Lane::Normal),
    }
}

fn payload() -> FlowPayload {
    FlowPayload {
        trace: FlowId(0x0f),
        span: 0x12,
        what: What::Sent,
        name: "demo.Number".to_owned(),
        label: "Number".to_owned(),
        sender: None,
        receiver: life(2).via(None),
        node: NodeId(0x0a),
        sent: 21,
        bytes: Some(vec![7]),
    }
}

/// What the actor `flow` answers.
pub(super) fn flow_answers() -> Vec<(String, Vec<u8>)> {
    let answer = FlowAnswer {
        records: vec![record()],
        flows_since: Some(24),
        chatter_since: None,
        lost: 25,
    };
    let found = FlowFound {
        answer: FlowAnswer::default(),
        file_since: Some(26),
        complaint: Some("no".to_owned()),
    };
    let ids = FlowIdsFound { ids: vec![FlowId(0x0f)], complaint: None };
    let mut all = vec![
        ("FlowAnswer".to_owned(), small(&answer)),
        ("FlowFound".to_owned(), small(&found)),
        ("FlowIdsFound".to_owned(), small(&ids)),
    ];
    let answers = [
        PayloadAnswer::Started { session: 0x0d },
        PayloadAnswer::Payloads { payloads: vec![payload()], over: Some(PayloadsOver::Bytes) },
        PayloadAnswer::Ended,
        PayloadAnswer::Busy { left: Duration::from_millis(1500) },
        PayloadAnswer::Off,
    ];
    all.extend(answers.iter().map(|answer| (name(answer).to_owned(), small(answer))));
    all
}

/// Exhaustive: a new variant needs its sample.
fn name(answer: &PayloadAnswer) -> &'static str {
    match answer {
        PayloadAnswer::Started { .. } => "PayloadAnswer::Started",
        PayloadAnswer::Payloads { .. } => "PayloadAnswer::Payloads",
        PayloadAnswer::Ended => "PayloadAnswer::Ended",
        PayloadAnswer::Busy { .. } => "PayloadAnswer::Busy",
        PayloadAnswer::Off => "PayloadAnswer::Off",
    }
}
