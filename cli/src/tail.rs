//! Reads a file in a task's sandbox, part by part, from the agent that has it.

use protocol::ids::{ExecutorId, FrameworkId};
use protocol::operator::{ReadSandbox, SandboxAnswer};

use crate::client::{Client, ClientError};

/// How much is asked for at a time; agents cut there too.
const PART_BYTES: u32 = 48 * 1024;

/// Where a reader is in a file.
pub(crate) struct Tail {
    /// `host:port` of the agent.
    agent: String,
    question: ReadSandbox,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// Nothing yet; the file may grow.
    Nothing,
    /// Nothing, and nothing will come.
    End,
}

impl Tail {
    /// From the beginning of `file`.
    pub(crate) fn new(
        agent: &str,
        framework: &FrameworkId,
        executor: &ExecutorId,
        file: &str,
    ) -> Self {
        let question = ReadSandbox {
            framework: framework.clone(),
            executor: executor.clone(),
            container: None,
            file: file.into(),
            offset: 0,
            length: PART_BYTES,
        };
        Self { agent: agent.into(), question }
    }

    /// The next part.
    pub(crate) async fn next(&mut self, client: &Client) -> Result<Part, ClientError> {
        match client.sandbox(&self.agent, self.question.clone()).await? {
            SandboxAnswer::Part { data, ended: true, .. } if data.is_empty() => Ok(Part::End),
            SandboxAnswer::Part { data, .. } if data.is_empty() => Ok(Part::Nothing),
            SandboxAnswer::Part { offset, data, .. } => {
                let next = offset.saturating_add(data.len() as u64);
                self.question.offset = i64::try_from(next).unwrap_or(i64::MAX);
                Ok(Part::Bytes(data))
            }
            SandboxAnswer::Refused(why) => Err(ClientError::Refused(why)),
        }
    }
}
