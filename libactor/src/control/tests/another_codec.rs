//! All vectors of the page once more, read by a codec that serde does not drive: it has mirrors of the types, and its own idea
//! of what their bytes are.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use wincode::SchemaRead;
use wincode::config::DefaultConfig;

use super::{tag, vectors};
use mirror::*;

/// The types, with the same names and places.
mod mirror {
    use std::time::Duration;

    use wincode::SchemaRead;

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct Life {
        pub(super) node: u64,
        pub(super) incarnation: u64,
        pub(super) actor: u64,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Control {
        Heartbeat { received: [u64; 2] },
        Goodbye { why: String, received: [u64; 2] },
        Link { watcher: Life, target: Life },
        Unlink { watcher: Life, target: Life },
        Down { watcher: Life, target: Life, reason: DownReason },
        Credit { sender: Life, receiver: Life, lane: u8, handled: u32 },
        Undelivered { sender: Life, receiver: Life, why: DropReason },
        Failed { error: Failure },
        Resolve { name: String },
        Resolved { actor: Option<Life> },
        PeerLost { node: u64, incarnation: u64 },
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum DownReason {
        Stopped,
        ConnectionLost,
        Unreachable(String),
        NoSuchActor,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Failure {
        NoAnswer,
        Down(DownReason),
        Full,
        Unreachable(String),
        Refused(String),
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum DropReason {
        MailboxFull,
        Stale,
        Stopped,
        NotAccepted,
        UnknownVariant,
        Unreachable,
        ConnectionLost,
        TooNew,
        RelayFull,
        LateAnswer,
        Stranger,
        TooLarge,
        NotAuthorized,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Address {
        V4([u8; 4], u16),
        V6([u8; 16], u16),
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct Pid {
        pub(super) life: Life,
        pub(super) via: Option<Address>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct Hello {
        pub(super) oldest: u32,
        pub(super) newest: u32,
        pub(super) node: u64,
        pub(super) incarnation: u64,
        pub(super) advertise: Option<Address>,
        pub(super) secret: bool,
        pub(super) window: u32,
        pub(super) nonce: [u8; 32],
        pub(super) lent: bool,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Greeting {
        Hello(Hello, Option<[u8; 32]>),
        Refused(String),
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Proof {
        Proof(Option<[u8; 32]>),
        Refused(String),
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Verdict {
        Welcome,
        Refused(String),
    }

    /// Sections 2 and 3 of the page; the payload is a number.
    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct Frame {
        pub(super) length: u32,
        pub(super) lane: u8,
        pub(super) flags: u8,
        pub(super) zero: u16,
        pub(super) kind: u8,
        pub(super) relayed: u8,
        pub(super) name: u16,
        pub(super) receiver: Life,
        pub(super) trace: u128,
        pub(super) span: u64,
        pub(super) parent: u64,
        pub(super) order: u64,
        pub(super) sender: Life,
        pub(super) tag: u64,
        pub(super) ask: u64,
        pub(super) payload: u64,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum What {
        Handled,
        Sent,
        Dropped,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum Lane {
        Control,
        Normal,
        Bulk,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum PayloadsOver {
        Time,
        Bytes,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowQuery {
        pub(super) subject: Option<String>,
        pub(super) trace: Option<u128>,
        pub(super) limit: u32,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowIds {
        pub(super) first: u128,
        pub(super) last: u128,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct PayloadFilter {
        pub(super) message: Option<String>,
        pub(super) about: Option<String>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum PayloadQuestion {
        Start { filter: PayloadFilter, time: Duration, bytes: u32 },
        Fetch { session: u64 },
        Stop { session: u64 },
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowRecord {
        pub(super) trace: u128,
        pub(super) span: u64,
        pub(super) parent: u64,
        pub(super) sequence: u64,
        pub(super) what: What,
        pub(super) label: String,
        pub(super) subjects: Vec<String>,
        pub(super) sender: Option<Pid>,
        pub(super) receiver: Pid,
        pub(super) node: u64,
        pub(super) sent: u64,
        pub(super) started: u64,
        pub(super) ended: u64,
        pub(super) lane: Option<Lane>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowAnswer {
        pub(super) records: Vec<FlowRecord>,
        pub(super) flows_since: Option<u64>,
        pub(super) chatter_since: Option<u64>,
        pub(super) lost: u64,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowFound {
        pub(super) answer: FlowAnswer,
        pub(super) file_since: Option<u64>,
        pub(super) complaint: Option<String>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowIdsFound {
        pub(super) ids: Vec<u128>,
        pub(super) complaint: Option<String>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) struct FlowPayload {
        pub(super) trace: u128,
        pub(super) span: u64,
        pub(super) what: What,
        pub(super) name: String,
        pub(super) label: String,
        pub(super) sender: Option<Pid>,
        pub(super) receiver: Pid,
        pub(super) node: u64,
        pub(super) sent: u64,
        pub(super) bytes: Option<Vec<u8>>,
    }

    #[derive(SchemaRead, Debug, PartialEq)]
    pub(super) enum PayloadAnswer {
        Started { session: u64 },
        Payloads { payloads: Vec<FlowPayload>, over: Option<PayloadsOver> },
        Ended,
        Busy { left: Duration },
        Off,
    }
}

fn read<T: for<'de> SchemaRead<'de, DefaultConfig, Dst = T>>(name: &str, bytes: &[u8]) -> T {
    wincode::deserialize_exact(bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Holds a vector's bytes against what they say.
type Check = Box<dyn Fn(&[u8])>;
type Checks = BTreeMap<&'static str, Check>;

fn says<T>(checks: &mut Checks, name: &'static str, wanted: T)
where
    T: for<'de> SchemaRead<'de, DefaultConfig, Dst = T> + PartialEq + Debug + 'static,
{
    checks.insert(name, Box::new(move |bytes| assert_eq!(read::<T>(name, bytes), wanted)));
}

fn life(actor: u64) -> Life {
    Life { node: 0x0a, incarnation: 0x0b, actor }
}

fn no() -> String {
    "no".to_owned()
}

fn handshake(checks: &mut Checks) {
    let hello = || Hello {
        oldest: 1,
        newest: 3,
        node: 0x0a,
        incarnation: 0x0b,
        advertise: Some(Address::V4([10, 0, 0, 1], 5050)),
        secret: true,
        window: 4096,
        nonce: [0xcc; 32],
        lent: false,
    };
    says(checks, "Hello", hello());
    says(checks, "Greeting::Hello", Greeting::Hello(hello(), Some([0xdd; 32])));
    says(checks, "Greeting::Refused", Greeting::Refused(no()));
    says(checks, "Proof::Proof(none)", Proof::Proof(None));
    says(checks, "Proof::Proof", Proof::Proof(Some([0xdd; 32])));
    says(checks, "Proof::Refused", Proof::Refused(no()));
    says(checks, "Verdict::Welcome", Verdict::Welcome);
    says(checks, "Verdict::Refused", Verdict::Refused(no()));
}

fn messages(checks: &mut Checks) {
    let mut loopback = [0; 16];
    loopback[15] = 1;
    let pid = |via| Pid { life: life(2), via: Some(via) };
    says(checks, "Pid", pid(Address::V4([10, 0, 0, 1], 5050)));
    says(checks, "Pid over IPv6", pid(Address::V6(loopback, 5050)));
    let tell = Frame {
        length: 120,
        lane: 1,
        flags: 3,
        zero: 0,
        kind: 1,
        relayed: 0,
        name: 0,
        receiver: life(2),
        trace: 0x11,
        span: 0x12,
        parent: 0x13,
        order: 2 << 48 | 1000,
        sender: life(1),
        tag: tag("demo.Number"),
        ask: 0,
        payload: 7,
    };
    says(checks, "frame of a tell", tell);
}

fn statements(checks: &mut Checks) {
    use Control as C;
    let [watcher, target, sender, receiver] = [|| life(1), || life(2), || life(1), || life(2)];
    let heartbeat = C::Heartbeat { received: [1, 2] };
    says(checks, "Control::Heartbeat", heartbeat);
    says(checks, "Control::Goodbye", C::Goodbye { why: "bye".to_owned(), received: [1, 2] });
    says(checks, "Control::Link", C::Link { watcher: watcher(), target: target() });
    says(checks, "Control::Unlink", C::Unlink { watcher: watcher(), target: target() });
    let reason = DownReason::Unreachable(no());
    says(checks, "Control::Down", C::Down { watcher: watcher(), target: target(), reason });
    let (lane, handled) = (1, 1024);
    let credit = C::Credit { sender: sender(), receiver: receiver(), lane, handled };
    says(checks, "Control::Credit", credit);
    let why = DropReason::Stale;
    let undelivered = C::Undelivered { sender: sender(), receiver: receiver(), why };
    says(checks, "Control::Undelivered", undelivered);
    says(checks, "Control::Failed", C::Failed { error: Failure::Refused(no()) });
    says(checks, "Control::Resolve", C::Resolve { name: "master".to_owned() });
    says(checks, "Control::Resolved", C::Resolved { actor: Some(life(2)) });
    says(checks, "Control::PeerLost", C::PeerLost { node: 0x0a, incarnation: 0x0b });
}

fn questions(checks: &mut Checks) {
    let query = || FlowQuery { subject: Some("task-1".to_owned()), trace: Some(0x0f), limit: 100 };
    says(checks, "FlowQuery", query());
    says(checks, "FlowSearch", query());
    says(checks, "FlowIds", FlowIds { first: 0x0f, last: 0x0f });
    let filter = PayloadFilter { message: Some("Launch".to_owned()), about: None };
    let (time, bytes) = (Duration::from_millis(1500), 1 << 20);
    let start = PayloadQuestion::Start { filter, time, bytes };
    says(checks, "PayloadQuestion::Start", start);
    says(checks, "PayloadQuestion::Fetch", PayloadQuestion::Fetch { session: 0x0d });
    says(checks, "PayloadQuestion::Stop", PayloadQuestion::Stop { session: 0x0d });
}

fn answers(checks: &mut Checks) {
    let here = |actor| Pid { life: life(actor), via: None };
    let record = FlowRecord {
        trace: 0x0f,
        span: 0x12,
        parent: 0x13,
        sequence: 2,
        what: What::Handled,
        label: "Number".to_owned(),
        subjects: vec!["task-1".to_owned()],
        sender: Some(here(1)),
        receiver: here(2),
        node: 0x0a,
        sent: 21,
        started: 22,
        ended: 23,
        lane: Some(Lane::Normal),
    };
    let answer =
        |records, flows_since, lost| FlowAnswer { records, flows_since, chatter_since: None, lost };
    says(checks, "FlowAnswer", answer(vec![record], Some(24), 25));
    let answer = answer(vec![], None, 0);
    says(checks, "FlowFound", FlowFound { answer, file_since: Some(26), complaint: Some(no()) });
    says(checks, "FlowIdsFound", FlowIdsFound { ids: vec![0x0f], complaint: None });
    says(checks, "PayloadAnswer::Started", PayloadAnswer::Started { session: 0x0d });
    let payload = FlowPayload {
        trace: 0x0f,
        span: 0x12,
        what: What::Sent,
        name: "demo.Number".to_owned(),
        label: "Number".to_owned(),
        sender: None,
        receiver: here(2),
        node: 0x0a,
        sent: 21,
        bytes: Some(vec![7]),
    };
    let (payloads, over) = (vec![payload], Some(PayloadsOver::Bytes));
    says(checks, "PayloadAnswer::Payloads", PayloadAnswer::Payloads { payloads, over });
    says(checks, "PayloadAnswer::Ended", PayloadAnswer::Ended);
    let left = Duration::from_millis(1500);
    says(checks, "PayloadAnswer::Busy", PayloadAnswer::Busy { left });
    says(checks, "PayloadAnswer::Off", PayloadAnswer::Off);
}

/// What is no more than a variant with a word in it says what its name on the page says.
fn reads_as_its_name(name: &str, bytes: &[u8]) -> bool {
    let Some((kind, variant)) = name.split_once("::") else { return false };
    let said = match kind {
        "DropReason" => format!("{:?}", read::<DropReason>(name, bytes)),
        "DownReason" => format!("{:?}", read::<DownReason>(name, bytes)),
        "Failure" => format!("{:?}", read::<Failure>(name, bytes)),
        "What" => format!("{:?}", read::<What>(name, bytes)),
        "Lane" => format!("{:?}", read::<Lane>(name, bytes)),
        "PayloadsOver" => format!("{:?}", read::<PayloadsOver>(name, bytes)),
        _ => return false,
    };
    assert_eq!(said, variant);
    true
}

#[test]
fn another_codec_reads_all_bytes_of_the_page() {
    let mut checks = Checks::new();
    for add in [handshake, messages, statements, questions, answers] {
        add(&mut checks);
    }
    for (name, bytes) in vectors() {
        match checks.remove(name.as_str()) {
            Some(check) => check(&bytes),
            None => assert!(reads_as_its_name(&name, &bytes), "{name} has no second reading"),
        }
    }
    let left: Vec<_> = checks.keys().collect();
    assert!(left.is_empty(), "not on the page: {left:?}");
}
