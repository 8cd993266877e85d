//! The whole cluster, written: at the size of Mesos's own benchmark of it (`MasterStateQuery`), 20,000 agents with ten tasks that run and
//! ten that have ended each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use api::v1::master::response::GetState;
use api::wire::Parts;
use master::view::{About, View};
use prost::Message;
use protocol::change::{AgentState, Change, FrameworkState, What};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ClusterId, ExecutorId, FrameworkId, MasterId, Role};
use protocol::operator::ClusterView;
use protocol::task::{Source, TaskReport, TaskState, TaskStatus};
use sdk::prelude::task;
use tests::swarm;

use measure::{Measured, Row};

const AGENTS: u64 = 20_000;
const FRAMEWORKS: u64 = 1_000;
/// Of each framework; as many have ended.
const TASKS: u64 = 200;
const ROUNDS: usize = 9;

fn filled() -> View {
    let cluster = ClusterView {
        cluster: ClusterId::new("20261101-000000-c"),
        master: MasterId::new("20261101-000000-m"),
        epoch: 1,
        version: "0.1.0".into(),
        change: 0,
        recovering: false,
    };
    let mut view = View::new(cluster, 1_000);
    let mut number = 0;
    let mut tell = |what| {
        number += 1;
        view.apply(Change { number, what });
    };
    let agent = |n: u64| AgentId::new(format!("20261101-000000-c-S{n}"));
    for n in 0..AGENTS {
        let info = Box::new(swarm::info(n, 20));
        tell(What::Agent { agent: agent(n), info, state: AgentState::Active });
    }
    for n in 0..FRAMEWORKS {
        let framework = FrameworkId::new(format!("20261101-000000-c-{n:04}"));
        let roles = vec![Role::everybody()];
        let info = FrameworkInfo { roles, ..FrameworkInfo::plain(framework.clone()) };
        tell(What::Framework { info: info.into(), state: FrameworkState::Active });
        for t in 0..2 * TASKS {
            let spec = task::shell(format!("task.{n}.{t}"), "sleep 1000", &swarm::each());
            let on = agent((n * TASKS + t % TASKS) % AGENTS);
            let report = TaskReport {
                framework: framework.clone(),
                executor: ExecutorId::new(spec.task.as_str()),
                agent: on.clone(),
                state: TaskState::Staging,
                unacknowledged: None,
                role: Role::everybody(),
                spec: spec.clone().into(),
            };
            tell(What::Task(report.into()));
            let state = if t < TASKS { TaskState::Running } else { TaskState::Finished };
            let status = TaskStatus {
                agent: Some(on),
                ..TaskStatus::plain(framework.clone(), spec.task.clone(), state, Source::Executor)
            };
            tell(What::TaskStatus(status.into()));
            if state.is_end() {
                let (framework, task) = (framework.clone(), spec.task);
                tell(What::TaskForgotten { framework, task, state });
            }
        }
    }
    view
}

fn timed<T>(act: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    let made = act();
    let took = began.elapsed();
    black_box(made);
    took
}

/// The least of both, one after the other in each round.
fn least<A, B>(ours: impl Fn() -> A, reference: impl Fn() -> B) -> (f64, f64) {
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        least[0] = least[0].min(timed(&ours));
        least[1] = least[1].min(timed(&reference));
    }
    (least[0].as_secs_f64() * 1e3, least[1].as_secs_f64() * 1e3)
}

/// `GET_STATE`, as it is sent.
fn encoded(view: &View) -> Vec<u8> {
    let mut state = Parts::of::<GetState>();
    view.put_state(&mut state);
    state.into_bytes()
}

pub(crate) fn written() -> Measured {
    let view = filled();
    let about = About::default();
    // Whoever reads first has to write what others find.
    let first_page = timed(|| view.state_page(&about)).as_secs_f64() * 1e3;
    let first_state = timed(|| encoded(&view)).as_secs_f64() * 1e3;
    let tree: serde_json::Value = serde_json::from_slice(&view.state_page(&about)?)?;
    let (ours, reference) = least(|| view.state_page(&about), || serde_json::to_vec(&tree));
    drop(tree);
    let state = view.get_state();
    if GetState::decode(encoded(&view).as_slice())? != state {
        return Err("what is put together of parts is not the state".into());
    }
    let (binary, prost) = least(|| encoded(&view), || state.encode_to_vec());
    let (text, _) = least(|| api::json::write(&view.get_state()), || ());
    let (clone, _) = least(|| view.clone(), || ());
    Ok(vec![
        Row::of("state_json", ours, "ms").beside("serde_json of the same tree", reference),
        Row::of("state_json_first", first_page, "ms"),
        Row::of("get_state_protobuf", binary, "ms").beside("prost of the same message", prost),
        Row::of("get_state_protobuf_first", first_state, "ms"),
        Row::of("get_state_json", text, "ms"),
        Row::of("snapshot", clone, "ms"),
    ])
}
