//! An executor of a framework's own: each task's data is a line for the shell, which it runs below itself.

use std::process::{Command, ExitCode};
use std::time::Duration;

use protocol::ids::TaskId;
use protocol::task::{TaskSpec, TaskState};
use sdk::executor::{Executor, ExecutorCalls, run_executor, task_data};

struct Shell;

impl Executor for Shell {
    fn launch(&mut self, calls: &mut ExecutorCalls, task: &TaskSpec) {
        let line = String::from_utf8_lossy(task_data(task)).into_owned();
        let (id, reporter) = (task.task.clone(), calls.reporter());
        let child = Command::new("sh").args(["-c", &line]).spawn();
        calls.update(&id, TaskState::Running, "", Vec::new());
        std::thread::spawn(move || {
            let ended = child.and_then(|mut child| child.wait());
            let well = ended.is_ok_and(|status| status.success());
            let state = if well { TaskState::Finished } else { TaskState::Failed };
            // Nobody listens to an executor that has ended.
            let _ = reporter.update(&id, state, "", Vec::new());
        });
    }

    fn kill(&mut self, _: &mut ExecutorCalls, _: &TaskId, _: Duration) {}

    fn shutdown(&mut self, _: &mut ExecutorCalls) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run_executor(Shell).await {
        Ok(ending) => {
            eprintln!("{ending}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
