//! Reads a file in a task's sandbox, part by part, from the agent that has it. What a task prints may be in several files, which an agent
//! begins one after the other: it is read on across them.

use std::time::Duration;

use containerizer::logger::logic::{Place, State, place_file};
use protocol::ids::{ExecutorId, FrameworkId};
use protocol::operator::{ReadSandbox, SandboxAnswer};

use crate::client::{Client, ClientError};

/// How much is asked for at a time; agents cut there too.
const PART_BYTES: u32 = 48 * 1024;
/// A place is no longer.
const PLACE_BYTES: u32 = 64;
/// How often it is looked again while files change their names.
const LOOKS_MAX: u32 = 50;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How often it is looked whether more comes after the end of a container, if nobody said that nothing does.
const LOOKS_AT_END_MAX: u32 = 50;

/// Where a reader is in a file.
pub(crate) struct Tail {
    /// `host:port` of the agent.
    agent: String,
    question: ReadSandbox,
    files: Files,
}

/// `Unknown -> One`, `Unknown -> Several`.
enum Files {
    /// It was not looked yet.
    Unknown,
    /// It is a file as any other.
    One,
    /// It is the last of several.
    Several {
        /// How far it was read, in all files together.
        read: u64,
        /// Whether nobody writes any more.
        ended: bool,
        /// How often nothing was found after the container's end.
        looks: u32,
    },
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

/// What an agent has of a file.
struct Found {
    offset: u64,
    data: Vec<u8>,
    size: u64,
    ended: bool,
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
        Self { agent: agent.into(), question, files: Files::One }
    }

    /// From the beginning of what a task prints, as far as it is there.
    pub(crate) fn of_output(
        agent: &str,
        framework: &FrameworkId,
        executor: &ExecutorId,
        file: &str,
    ) -> Self {
        Self { files: Files::Unknown, ..Self::new(agent, framework, executor, file) }
    }

    /// Whether more may come although its task has ended.
    pub(crate) fn is_behind(&self) -> bool {
        match self.files {
            Files::Several { ended, .. } => !ended,
            Files::Unknown | Files::One => false,
        }
    }

    /// The next part.
    pub(crate) async fn next(&mut self, client: &Client) -> Result<Part, ClientError> {
        if let Files::Unknown = self.files {
            self.files = match self.place(client).await? {
                Some(_) => Files::Several { read: 0, ended: false, looks: 0 },
                None => Files::One,
            };
        }
        match self.files {
            Files::Several { read, looks, .. } => self.next_of_several(client, read, looks).await,
            Files::Unknown | Files::One => self.next_of_one(client).await,
        }
    }

    async fn next_of_one(&mut self, client: &Client) -> Result<Part, ClientError> {
        let found = self.ask(client, self.question.clone()).await?;
        match found {
            Ok(Found { data, ended: true, .. }) if data.is_empty() => Ok(Part::End),
            Ok(Found { data, .. }) if data.is_empty() => Ok(Part::Nothing),
            Ok(Found { offset, data, .. }) => {
                let next = offset.saturating_add(data.len() as u64);
                self.question.offset = i64::try_from(next).unwrap_or(i64::MAX);
                Ok(Part::Bytes(data))
            }
            Err(why) => Err(ClientError::Refused(why)),
        }
    }

    async fn next_of_several(
        &mut self,
        client: &Client,
        read: u64,
        looks: u32,
    ) -> Result<Part, ClientError> {
        for _ in 0..LOOKS_MAX {
            let place = self.place(client).await?;
            let Some(place) = place.filter(|place| place.state != State::Rotating) else {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                continue;
            };
            let (file, start) = self.find(client, &place, read).await?;
            let from = read.max(start);
            let found = self.part(client, &file, from - start, PART_BYTES).await?;
            // What was read meanwhile is no part of the file that it was taken for.
            if self.place(client).await? != Some(place) {
                continue;
            }
            let Ok(found) = found else { return Ok(Part::Nothing) };
            let ended = place.state == State::Ended;
            if !found.data.is_empty() {
                let read = from.saturating_add(found.data.len() as u64);
                self.files = Files::Several { read, ended: false, looks: 0 };
                return Ok(Part::Bytes(found.data));
            }
            let looks = looks + u32::from(found.ended);
            self.files = Files::Several { read: from, ended, looks };
            let over = found.ended && (ended || looks > LOOKS_AT_END_MAX);
            return Ok(if over { Part::End } else { Part::Nothing });
        }
        Ok(Part::Nothing)
    }

    /// In which file the next bytes are, and after how many of all it begins. The oldest that is there, if theirs is gone.
    async fn find(
        &self,
        client: &Client,
        place: &Place,
        read: u64,
    ) -> Result<(String, u64), ClientError> {
        let mut found = (self.question.file.clone(), place.before);
        for n in 1.. {
            if read >= found.1 {
                break;
            }
            let older = format!("{}.{n}", self.question.file);
            let Ok(part) = self.part(client, &older, 0, 0).await? else { break };
            let Some(start) = found.1.checked_sub(part.size) else { break };
            found = (older, start);
        }
        Ok(found)
    }

    /// Where the file is in all that was printed; `None`: it is one file, or none.
    async fn place(&self, client: &Client) -> Result<Option<Place>, ClientError> {
        let file = place_file(&self.question.file);
        let found = self.part(client, &file, 0, PLACE_BYTES).await?;
        let text = found.ok().and_then(|found| String::from_utf8(found.data).ok());
        Ok(text.and_then(|text| text.parse().ok()))
    }

    async fn part(
        &self,
        client: &Client,
        file: &str,
        offset: u64,
        length: u32,
    ) -> Result<Result<Found, String>, ClientError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let question = ReadSandbox { file: file.into(), offset, length, ..self.question.clone() };
        self.ask(client, question).await
    }

    async fn ask(
        &self,
        client: &Client,
        question: ReadSandbox,
    ) -> Result<Result<Found, String>, ClientError> {
        Ok(match client.sandbox(&self.agent, question).await? {
            SandboxAnswer::Part { offset, data, size, ended } => {
                Ok(Found { offset, data, size, ended })
            }
            SandboxAnswer::Refused(why) => Err(why),
        })
    }
}
