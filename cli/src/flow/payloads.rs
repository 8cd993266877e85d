//! `airside flow --payloads FILTER`: has the nodes of a cluster keep what some messages say, for a while, and prints it as
//! it comes.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use libactor::{
    FLOW_ACTOR, FlowPayload, Message, PAYLOADS_TIME_MAX, PayloadAnswer, PayloadFilter,
    PayloadQuestion, PayloadsOver,
};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use serde::Serialize;

use super::draw;
use super::names::Names;
use super::sources::{self, Asked};
use crate::arguments::FlowArguments;
use crate::client::Client;
use crate::commands::CommandError;
use crate::ending;
use crate::output;
use crate::units;

/// How often nodes are asked for more.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A filter as people write it: `message=Launch`, `about=ID`, or both with a comma between.
pub(crate) fn filter(text: &str) -> Result<PayloadFilter, String> {
    let mut filter = PayloadFilter::default();
    for part in text.split(',') {
        let place = match part.split_once('=') {
            Some(("message", value)) if !value.is_empty() => (&mut filter.message, value),
            Some(("about", value)) if !value.is_empty() => (&mut filter.about, value),
            Some(_) | None => {
                return Err(format!(
                    "'{part}' is no filter: expected message=NAME, about=ID, or both with a comma between"
                ));
            }
        };
        *place.0 = Some(place.1.to_owned());
    }
    Ok(filter)
}

/// For how long, as people write it: no longer than a node would keep them anyway.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time > PAYLOADS_TIME_MAX => {
            let most = PAYLOADS_TIME_MAX.as_secs() / 60;
            Err(format!("'{text}' is too long: payloads are kept for {most} minutes at most"))
        }
        Ok(time) => Ok(time),
        Err(bad) => Err(bad.to_string()),
    }
}

/// A node that keeps payloads for us.
struct Keeping {
    flow_actor: String,
    session: u64,
}

/// A message in JSON.
#[derive(Serialize)]
struct PayloadJson<'a> {
    trace: String,
    span: u64,
    #[serde(rename = "type")]
    of: &'a str,
    message: &'a str,
    from: &'a str,
    to: &'a str,
    sent_unix_us: u64,
    says: &'a str,
}

/// Until the time is over, the bytes are used up, or Ctrl-C.
pub(super) async fn follow(
    client: &Client,
    arguments: &FlowArguments,
    filter: &PayloadFilter,
) -> Result<(), CommandError> {
    let bytes = u32::try_from(arguments.megabytes.saturating_mul(1 << 20)).unwrap_or(u32::MAX);
    let start = PayloadQuestion::Start { filter: filter.clone(), time: arguments.time, bytes };
    let (mut keeping, mut asked) = (Vec::new(), Vec::new());
    // From here on: who is interrupted while it asks the nodes does not leave those that began.
    let end = ending::asked(false);
    tokio::pin!(end);
    for node in sources::nodes(client).await? {
        let flow_actor = format!("{FLOW_ACTOR}@{}", node.at);
        let why = match client.ask(&flow_actor, start.clone()).await {
            Ok(PayloadAnswer::Started { session }) => {
                keeping.push(Keeping { flow_actor, session });
                asked.push(node.asked(client).await);
                continue;
            }
            Ok(PayloadAnswer::Busy { left }) => {
                format!("does so for somebody else, for {} s more", left.as_secs())
            }
            Ok(PayloadAnswer::Off) => "records nothing".into(),
            Ok(PayloadAnswer::Ended | PayloadAnswer::Payloads { .. }) => {
                "answered another question than was asked".into()
            }
            Err(error) => error.to_string(),
        };
        output::narrate(&format!("{} keeps no payloads: {why}\n", node.name));
    }
    if keeping.is_empty() {
        return Err(CommandError::NoPayloads);
    }
    let nodes = keeping.len();
    output::narrate(&format!(
        "{nodes} nodes keep what such messages say, for {} s; environments, tokens and what a launch hands to an \
         executor are hidden, what frameworks and executors say to each other is not\n",
        arguments.time.as_secs()
    ));
    let names = Names::of(&asked, &[]);
    let mut seen = BTreeSet::new();
    let mut print = |payload: &FlowPayload| {
        // Two nodes may have it: its sender and its receiver.
        if seen.insert(payload.span) {
            output::print(&line(payload, &names, arguments.json));
        }
    };
    while !keeping.is_empty() {
        let asked_to_end = tokio::time::timeout(LOOK_EVERY, &mut end).await.is_ok();
        let mut going_on = Vec::new();
        for node in keeping {
            let over = fetch(client, &node, &mut print).await;
            if asked_to_end || over {
                let stop = PayloadQuestion::Stop { session: node.session };
                // It ends by itself a little later.
                let _ = client.ask(&node.flow_actor, stop).await;
            } else {
                going_on.push(node);
            }
        }
        keeping = going_on;
    }
    Ok(())
}

/// Prints what came. Whether no more will.
async fn fetch(client: &Client, node: &Keeping, print: &mut impl FnMut(&FlowPayload)) -> bool {
    let question = PayloadQuestion::Fetch { session: node.session };
    match client.ask(&node.flow_actor, question).await {
        Ok(PayloadAnswer::Payloads { payloads, over }) => {
            payloads.iter().for_each(print);
            if let Some(over) = &over {
                output::narrate(&format!("{}: {}\n", node.flow_actor, why_over(*over)));
            }
            over.is_some()
        }
        Ok(PayloadAnswer::Started { .. } | PayloadAnswer::Ended) => true,
        Ok(PayloadAnswer::Busy { .. } | PayloadAnswer::Off) => true,
        Err(error) => {
            output::narrate(&format!("{} is lost: {error}\n", node.flow_actor));
            true
        }
    }
}

fn why_over(over: PayloadsOver) -> &'static str {
    match over {
        PayloadsOver::Time => "the time is over; see --time",
        PayloadsOver::Bytes => "as many bytes as may be are kept; see --megabytes",
    }
}

fn line(payload: &FlowPayload, names: &Names<'_>, json: bool) -> String {
    let from = payload.sender.map_or_else(|| "outside".to_owned(), |pid| names.name(pid));
    let to = names.name(payload.receiver);
    let says = says(payload);
    let FlowPayload { trace, name, label, .. } = payload;
    let label = &draw::plain(label);
    if !json {
        return format!("{label}  {from} -> {to}  ({name}, flow {trace})\n    {says}\n");
    }
    let json = PayloadJson {
        trace: trace.to_string(),
        span: payload.span,
        of: name,
        message: label,
        from: &from,
        to: &to,
        sent_unix_us: payload.sent,
        says: &says,
    };
    serde_json::to_string(&json).expect("it has text keys only") + "\n"
}

type Read = fn(&[u8]) -> Option<String>;

/// What components say to one another; of frameworks' own messages only bytes are known.
const KNOWN: [(&str, Read); 6] = [
    (AgentToMaster::NAME, read::<AgentToMaster>),
    (MasterToAgent::NAME, read::<MasterToAgent>),
    (FrameworkToMaster::NAME, read::<FrameworkToMaster>),
    (MasterToFramework::NAME, read::<MasterToFramework>),
    (ExecutorToAgent::NAME, read::<ExecutorToAgent>),
    (AgentToExecutor::NAME, read::<AgentToExecutor>),
];

fn read<M: Message + Debug>(bytes: &[u8]) -> Option<String> {
    libactor::wire::decode::<M>(bytes).ok().map(|message| format!("{message:?}"))
}

fn says(payload: &FlowPayload) -> String {
    let Some(bytes) = &payload.bytes else {
        return "(too long to be kept)".into();
    };
    let known = KNOWN.iter().find(|(name, _)| *name == payload.name);
    known.and_then(|(_, read)| read(bytes)).unwrap_or_else(|| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} bytes: {hex}", bytes.len())
    })
}

impl sources::At {
    /// As one who was asked, for its name.
    async fn asked(&self, client: &Client) -> Asked {
        let named = client.resolve(&format!("{}@{}", self.actor, self.at)).await.ok();
        Asked { name: self.name.clone(), named, answer: Ok(Default::default()), in_sandbox: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_node_has_ended_names_what_would_change_that() {
        assert!(why_over(PayloadsOver::Time).contains("--time"));
        assert!(why_over(PayloadsOver::Bytes).contains("--megabytes"));
    }

    #[test]
    fn nobody_is_promised_more_time_than_nodes_give() {
        assert_eq!(time("10mins"), Ok(PAYLOADS_TIME_MAX));
        let words = "'1h' is too long: payloads are kept for 10 minutes at most";
        assert_eq!(time("1h"), Err(words.to_owned()));
        assert!(time("soon").unwrap_err().contains("is no time"));
    }

    #[test]
    fn a_filter_names_a_message_an_id_or_both() {
        let read = |text| filter(text).map(|filter| (filter.message, filter.about));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("message=Launch"), Ok((some("Launch"), None)));
        assert_eq!(read("about=run-1,message=Accept"), Ok((some("Accept"), some("run-1"))));
        for bad in ["", "Launch", "message=", "colour=red"] {
            assert!(read(bad).unwrap_err().contains("expected message=NAME"), "{bad}");
        }
    }
}
