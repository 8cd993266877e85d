//! News of tasks, as v1 messages and from them.

use ::api::v1;

use crate::carried::{BadCarried, Carried};
use crate::ids::{AgentId, ExecutorId, FrameworkId, TaskId, UpdateId};
use crate::task::{Exit, Reason, Source, TaskState, TaskStatus};
use crate::time::WallTime;

use v1::TaskState as V1State;
use v1::task_status::{Reason as V1Reason, Source as V1Source};

/// The states, ours and theirs.
const STATES: [(TaskState, V1State); 14] = [
    (TaskState::Staging, V1State::TaskStaging),
    (TaskState::Starting, V1State::TaskStarting),
    (TaskState::Running, V1State::TaskRunning),
    (TaskState::Killing, V1State::TaskKilling),
    (TaskState::Finished, V1State::TaskFinished),
    (TaskState::Failed, V1State::TaskFailed),
    (TaskState::Killed, V1State::TaskKilled),
    (TaskState::Error, V1State::TaskError),
    (TaskState::Lost, V1State::TaskLost),
    (TaskState::Dropped, V1State::TaskDropped),
    (TaskState::Unreachable, V1State::TaskUnreachable),
    (TaskState::Gone, V1State::TaskGone),
    (TaskState::GoneByOperator, V1State::TaskGoneByOperator),
    (TaskState::Unknown, V1State::TaskUnknown),
];

impl TaskState {
    /// As a v1 message has it.
    pub fn to_v1(self) -> V1State {
        let named = STATES.iter().find(|(ours, _)| *ours == self);
        named.map_or(V1State::TaskUnknown, |(_, theirs)| *theirs)
    }

    /// Of a v1 message.
    pub fn from_v1(state: V1State) -> Self {
        let named = STATES.iter().find(|(_, theirs)| *theirs == state);
        named.map_or(Self::Unknown, |(ours, _)| *ours)
    }
}

impl Source {
    /// As a v1 message has it.
    pub fn to_v1(self) -> V1Source {
        match self {
            Self::Master => V1Source::Master,
            Self::Agent => V1Source::Agent,
            Self::Executor => V1Source::Executor,
        }
    }
}

impl Reason {
    /// As a v1 message has it.
    pub fn to_v1(self) -> V1Reason {
        match self {
            Self::AgentDisconnected => V1Reason::AgentDisconnected,
            Self::AgentRemoved => V1Reason::AgentRemoved,
            Self::AgentRestarted => V1Reason::AgentRestarted,
            Self::AgentUnknown => V1Reason::AgentUnknown,
            Self::CommandExecutorFailed => V1Reason::CommandExecutorFailed,
            Self::ContainerLaunchFailed => V1Reason::ContainerLaunchFailed,
            Self::ExecutorRegistrationTimeout => V1Reason::ExecutorRegistrationTimeout,
            Self::ExecutorTerminated => V1Reason::ExecutorTerminated,
            Self::ExecutorUnregistered => V1Reason::ExecutorUnregistered,
            Self::FrameworkRemoved => V1Reason::FrameworkRemoved,
            Self::InvalidOffers => V1Reason::InvalidOffers,
            Self::Reconciliation => V1Reason::Reconciliation,
            Self::ResourcesUnknown => V1Reason::ResourcesUnknown,
            Self::TaskInvalid => V1Reason::TaskInvalid,
            Self::TaskUnauthorized => V1Reason::TaskUnauthorized,
            Self::TaskUnknown => V1Reason::TaskUnknown,
            Self::TaskKilledDuringLaunch => V1Reason::TaskKilledDuringLaunch,
            Self::MasterDisconnected => V1Reason::MasterDisconnected,
            Self::InvalidFrameworkId => V1Reason::InvalidFrameworkid,
            Self::AgentReregistered => V1Reason::AgentReregistered,
            Self::ContainerLimitationMemory => V1Reason::ContainerLimitationMemory,
            Self::ContainerLimitationDisk => V1Reason::ContainerLimitationDisk,
            Self::ContainerLimitation => V1Reason::ContainerLimitation,
            Self::ContainerUpdateFailed => V1Reason::ContainerUpdateFailed,
        }
    }
}

impl UpdateId {
    /// Sixteen bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        [self.source.to_be_bytes(), self.sequence.to_be_bytes()].concat()
    }

    /// Of sixteen bytes; `None` of any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (source, sequence) = bytes.split_at_checked(8)?;
        Some(Self {
            source: u64::from_be_bytes(source.try_into().ok()?),
            sequence: u64::from_be_bytes(sequence.try_into().ok()?),
        })
    }
}

impl TaskStatus {
    /// As a v1 message: what is only carried as it came, with what the cluster knows better.
    pub fn to_v1(&self) -> Result<v1::TaskStatus, BadCarried> {
        let mut status = self.carried.decode()?;
        status.task_id = v1::TaskId { value: self.task.to_string() };
        status.state = self.state.to_v1().into();
        status.message = Some(self.message_to_v1()).filter(|text| !text.is_empty());
        status.source = Some(self.source.to_v1().into());
        // An executor's own reason is only carried.
        status.reason = self.reason_to_v1().map(Into::into).or(status.reason);
        status.data = Some(self.data.clone()).filter(|data| !data.is_empty());
        status.agent_id = self.agent.as_ref().map(AgentId::to_v1);
        status.executor_id = self.executor.as_ref().map(ExecutorId::to_v1);
        status.timestamp = Some(self.at.as_seconds());
        status.uuid = self.update.map(UpdateId::to_bytes);
        Ok(status)
    }

    /// The same of a task that is unreachable since then.
    #[must_use]
    pub fn unreachable_since(self, since: WallTime) -> Self {
        let nanoseconds = i64::try_from(since.0).unwrap_or(i64::MAX);
        let unreachable_time = Some(v1::TimeInfo { nanoseconds });
        let carried = v1::TaskStatus { unreachable_time, ..Default::default() };
        Self { carried: Carried::new(&carried), ..self }
    }

    /// Mesos tells apart who removed an agent.
    fn reason_to_v1(&self) -> Option<V1Reason> {
        match (self.reason?, self.state) {
            (Reason::AgentRemoved, TaskState::GoneByOperator) => {
                Some(V1Reason::AgentRemovedByOperator)
            }
            (reason, _) => Some(reason.to_v1()),
        }
    }

    /// How a command ended is said as Mesos's executor of commands says it; what else is said stays as it is.
    fn message_to_v1(&self) -> String {
        let Some(exit) = self.exit.filter(|_| self.source == Source::Executor) else {
            return self.message.clone();
        };
        let says_so = ["exited with status ", "was killed by signal "];
        if !says_so.iter().any(|words| self.message.starts_with(words)) {
            return self.message.clone();
        }
        let rest = self.message.find(';').map_or("", |at| &self.message[at..]);
        match exit {
            Exit::Code(code) => format!("Command exited with status {code}{rest}"),
            Exit::Signal(signal) => {
                format!("Command terminated with signal {}{rest}", name_of_signal(signal))
            }
        }
    }

    /// Of what an executor says of a task, apart from what its agent knows: whose it is, where, and by which executor.
    pub fn from_v1(framework: FrameworkId, status: &v1::TaskStatus) -> Self {
        let state = TaskState::from_v1(status.state());
        let task = TaskId::new(&status.task_id.value);
        Self {
            message: status.message.clone().unwrap_or_default(),
            data: status.data.clone().unwrap_or_default(),
            at: WallTime::from_seconds(status.timestamp.unwrap_or_default()),
            update: status.uuid.as_deref().and_then(UpdateId::from_bytes),
            carried: Carried::new(&v1::TaskStatus { data: None, message: None, ..status.clone() }),
            ..Self::plain(framework, task, state, Source::Executor)
        }
    }
}

/// As the C library names it.
fn name_of_signal(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        31 => "Bad system call",
        other => return format!("Unknown signal {other}"),
    };
    name.to_owned()
}

impl WallTime {
    /// Since 1970.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Since 1970; what is before that, or no number, is 1970.
    pub fn from_seconds(seconds: f64) -> Self {
        let span = super::seconds(seconds).unwrap_or_default();
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_the_same_when_it_comes_back() {
        let update = Some(UpdateId { source: 7, sequence: 0x0102_0304_0506_0708 });
        for (state, theirs) in STATES {
            let carried = v1::TaskStatus { healthy: Some(true), ..Default::default() };
            let plain = TaskStatus {
                at: WallTime(1_500_000_000),
                message: "so it is".into(),
                data: vec![1, 2],
                update,
                carried: Carried::new(&carried),
                ..TaskStatus::plain(
                    FrameworkId::new("f"),
                    TaskId::new("t"),
                    state,
                    Source::Executor,
                )
            };
            let message = plain.to_v1().unwrap();
            assert_eq!((message.state(), message.healthy), (theirs, Some(true)));
            assert_eq!(message.uuid.as_ref().map(Vec::len), Some(16));
            let back = TaskStatus::from_v1(FrameworkId::new("f"), &message);
            assert_eq!(TaskStatus { carried: plain.carried.clone(), ..back }, plain);
        }
    }

    fn ended(exit: Exit, source: Source, message: &str) -> String {
        let plain =
            TaskStatus::plain(FrameworkId::new("f"), TaskId::new("t"), TaskState::Failed, source);
        let status = TaskStatus { exit: Some(exit), message: message.into(), ..plain };
        status.to_v1().unwrap().message.unwrap()
    }

    #[test]
    fn how_a_command_ended_is_said_in_mesoss_words() {
        let by = Source::Executor;
        for (exit, said, words) in [
            (Exit::Code(3), "exited with status 3", "Command exited with status 3"),
            (
                Exit::Code(127),
                "exited with status 127 (a shell's word for: command not found); the disk is full",
                "Command exited with status 127; the disk is full",
            ),
            (
                Exit::Signal(9),
                "was killed by signal 9 (SIGKILL)",
                "Command terminated with signal Killed",
            ),
            (Exit::Code(126), "cannot become user 'x'", "cannot become user 'x'"),
        ] {
            assert_eq!(ended(exit, by, said), words);
        }
        let of_agent = "executor e exited with status 3 with the task still in it";
        assert_eq!(ended(Exit::Code(3), Source::Agent, of_agent), of_agent);
    }

    #[test]
    fn what_an_executor_says_beside_goes_with_its_news() {
        let said = v1::TaskStatus {
            task_id: v1::TaskId { value: "t".into() },
            state: V1State::TaskRunning.into(),
            source: Some(V1Source::Executor.into()),
            reason: Some(V1Reason::TaskHealthCheckStatusUpdated.into()),
            healthy: Some(false),
            message: Some("so".into()),
            data: Some(vec![7; 100]),
            ..Default::default()
        };
        let status = TaskStatus::from_v1(FrameworkId::new("f"), &said);
        assert!(status.carried.as_bytes().len() < 100, "its data is kept once");
        let told = status.to_v1().unwrap();
        assert_eq!((told.reason, told.healthy), (said.reason, said.healthy));
        assert_eq!((told.message, told.data), (said.message, said.data));
    }

    #[test]
    fn an_update_id_has_sixteen_bytes_and_no_other_number_is_one() {
        let id = UpdateId { source: u64::MAX, sequence: 1 };
        assert_eq!(UpdateId::from_bytes(&id.to_bytes()), Some(id));
        for bytes in [0, 8, 15, 17] {
            assert_eq!(UpdateId::from_bytes(&vec![1; bytes]), None, "{bytes}");
        }
    }
}
