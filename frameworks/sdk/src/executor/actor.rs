//! An executor as an actor: turns messages into events and performs effects. It decides nothing; every decision is in
//! [`super::logic`] and the author's executor.

use actix::{Actor, Handler};
use libactor::{Clock, Context, Down, Received};
use protocol::executor::{AgentAt, AgentToExecutor, ExecutorToAgent};
use protocol::ids::TaskId;
use protocol::task::TaskState;
use tokio::sync::{mpsc, oneshot};

use super::logic::{Effect, Ending, Event, ExecutorDriver, Report};
use super::{Executor, ExecutorCalls, hand};

/// Speaks for a task from a thread of its own. Waits when more is said than the agent takes, so not for use in a
/// method of the executor, nor on a thread of an async runtime.
#[derive(Clone, Debug)]
pub struct Reporter(mpsc::Sender<Report>);

/// The executor has ended; nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("report to the executor: it has ended")]
pub struct ExecutorEnded;

impl Reporter {
    pub(super) fn new(reports: mpsc::Sender<Report>) -> Self {
        Self(reports)
    }

    /// News of a task.
    pub fn update(
        &self,
        task: &TaskId,
        state: TaskState,
        message: &str,
        data: Vec<u8>,
    ) -> Result<(), ExecutorEnded> {
        let (task, message) = (task.clone(), message.to_owned());
        self.report(Report::Task { task, state, message, data })
    }

    /// Says something to the scheduler; may be lost.
    pub fn message(&self, data: Vec<u8>) -> Result<(), ExecutorEnded> {
        self.report(Report::Message(data))
    }

    fn report(&self, report: Report) -> Result<(), ExecutorEnded> {
        self.0.blocking_send(report).map_err(|_| ExecutorEnded)
    }
}

pub(super) struct ExecutorActor<E: Executor + Send + Unpin + 'static> {
    driver: ExecutorDriver,
    executor: E,
    calls: ExecutorCalls,
    agent: AgentAt,
    /// Where reports of threads wait; away while one is awaited.
    reports: Option<mpsc::Receiver<Report>>,
    clock: Clock,
    ended: Option<oneshot::Sender<Ending>>,
}

impl<E: Executor + Send + Unpin + 'static> ExecutorActor<E> {
    pub(super) fn new(
        driver: ExecutorDriver,
        executor: E,
        calls: ExecutorCalls,
        agent: AgentAt,
        reports: mpsc::Receiver<Report>,
        ended: oneshot::Sender<Ending>,
    ) -> Self {
        let (reports, ended) = (Some(reports), Some(ended));
        Self { driver, executor, calls, agent, reports, clock: Clock::start(), ended }
    }

    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "hears");
        let mut todo = vec![event];
        while let Some(event) = todo.pop() {
            let mut later = Vec::new();
            let mut blocked = false;
            for effect in self.driver.step(self.clock.read().into(), event) {
                tracing::debug!(?effect, "does");
                match effect {
                    Effect::TellAgent { to: Some(to), message } => {
                        later.extend(tell(to, message, &mut blocked, ctx));
                    }
                    Effect::TellAgent { to: None, message } => self.tell_by_name(message, ctx),
                    Effect::Link(pid) => ctx.link(pid),
                    Effect::StartTimer { timer, after } => {
                        let due = Event::TimerFired(timer);
                        ctx.after(after, move |actor, ctx| actor.advance(due, ctx));
                    }
                    Effect::Author(word) => {
                        let said = hand(&mut self.executor, &mut self.calls, word);
                        later.extend(said.into_iter().map(Event::Reported));
                    }
                    Effect::Exit(ending) => self.exit(ending, ctx),
                }
            }
            later.reverse();
            todo.append(&mut later);
        }
        self.listen(ctx);
    }

    /// Repeated by its timer until it is answered.
    fn tell_by_name(&mut self, message: ExecutorToAgent, ctx: &mut Context<Self>) {
        let agent = self.agent.name(std::fs::read_to_string);
        if let Err(error) = ctx.tell(&agent, message) {
            tracing::info!(%agent, %error, "register: agent not reached");
        }
    }

    /// Takes the next report of a thread, unless the way to the agent is full.
    fn listen(&mut self, ctx: &mut Context<Self>) {
        if !self.driver.has_room() {
            return;
        }
        let Some(mut reports) = self.reports.take() else {
            return;
        };
        let next = async move {
            let report = reports.recv().await;
            (reports, report)
        };
        ctx.run(next, |actor, (reports, report), ctx| {
            actor.reports = Some(reports);
            if let Some(report) = report {
                actor.advance(Event::Reported(report), ctx);
            }
        });
    }

    fn exit(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        tracing::info!(%ending, "executor ends");
        if let Some(waits) = self.ended.take() {
            // Nobody may wait any more; that ends nothing here.
            let _ = waits.send(ending);
        }
        ctx.stop();
    }
}

/// Once one message found no room, those behind it must not overtake it.
fn tell<E: Executor + Send + Unpin + 'static>(
    to: libactor::Pid,
    message: ExecutorToAgent,
    blocked: &mut bool,
    ctx: &mut Context<ExecutorActor<E>>,
) -> Option<Event> {
    if *blocked {
        return Some(Event::NotSent(message));
    }
    let kept = message.clone();
    let error = ctx.tell(to, message).err()?;
    tracing::debug!(%error, "tell agent");
    *blocked = true;
    Some(Event::NotSent(kept))
}

impl<E: Executor + Send + Unpin + 'static> Actor for ExecutorActor<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.advance(Event::Started, ctx);
    }
}

impl<E: Executor + Send + Unpin + 'static> Handler<Received<AgentToExecutor>> for ExecutorActor<E> {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToExecutor>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            self.advance(Event::FromAgent { from, message: received.message }, ctx);
        }
    }
}

impl<E: Executor + Send + Unpin + 'static> Handler<Down> for ExecutorActor<E> {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        tracing::info!(agent = %down.pid, reason = %down.reason, "agent lost");
        self.advance(Event::Down { pid: down.pid }, ctx);
    }
}
