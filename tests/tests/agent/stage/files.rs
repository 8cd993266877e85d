//! What tasks leave in their sandboxes.

use std::path::PathBuf;
use std::time::Duration;

use protocol::ids::{ExecutorId, FrameworkId};
use protocol::operator::{ReadSandbox, SandboxAnswer};

use super::{SOON, Stage, number_in};

impl Stage {
    pub(crate) async fn read(&self, task: &str, file: &str) -> SandboxAnswer {
        let question = ReadSandbox {
            framework: FrameworkId::new("F"),
            executor: ExecutorId::new(task),
            container: None,
            file: file.into(),
            offset: 0,
            length: 10_000,
        };
        self.master_node.ask(self.name(), question, SOON).await.unwrap()
    }

    pub(crate) async fn output(&self, task: &str) -> String {
        match self.read(task, "stdout").await {
            SandboxAnswer::Part { data, .. } => String::from_utf8(data).unwrap(),
            SandboxAnswer::Refused(words) => panic!("{words}"),
        }
    }

    /// The executor's process.
    pub(crate) async fn executor(&self, task: &str) -> u32 {
        let question = protocol::operator::ReadExecutors;
        let answer = self.master_node.ask(self.name(), question, SOON).await.unwrap();
        answer.executors.iter().find(|view| view.executor.as_str() == task).unwrap().process
    }

    pub(crate) fn sandbox(&self, task: &str) -> PathBuf {
        let folder = self.dir.path().join("agent/sandboxes/F").join(task);
        folder.read_dir().unwrap().next().unwrap().unwrap().path()
    }

    /// What a task wrote into a file of its sandbox.
    pub(crate) fn file(&self, task: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.sandbox(task).join(file)).unwrap()
    }

    /// The number that a task writes into a file of its sandbox.
    pub(crate) async fn number(&self, task: &str, file: &str) -> u32 {
        let folder = self.dir.path().join("agent/sandboxes/F").join(task);
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let found = async {
            loop {
                looks.tick().await;
                if let Some(number) = number_in(&folder, file) {
                    return number;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("{file} was not written"))
    }

    /// Waits until this is said in a file of a task's sandbox.
    pub(crate) async fn is_said(&self, task: &str, file: &str, words: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let mut text = String::new();
        let said = async {
            while !text.contains(words) {
                looks.tick().await;
                text = String::from_utf8_lossy(&self.file(task, file)).into_owned();
            }
        };
        let said = tokio::time::timeout(SOON, said).await;
        said.unwrap_or_else(|_| panic!("'{words}' was not said, but:\n{text}"));
    }
}
