//! Isolators of whoever uses the agent's crate: asked of real executors' containers, and heard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use containerizer::container::ContainerName;
use containerizer::isolator::watch::{Teller, told};
use containerizer::isolator::{
    Allowance, ContainerPath, Entry, Isolator, Known, Launch, Limitation, Watch,
};
use nix::unistd::Pid;
use protocol::resources::Resources;
use protocol::task::{Reason, TaskState};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::stage::{SOON, Stage};

/// Written against what is public: it says what it is asked, and does as the story wants.
#[derive(Debug)]
struct Guard {
    name: &'static str,
    asked: UnboundedSender<String>,
    fails: Option<&'static str>,
    /// Whom it knows of that nobody else does.
    orphan: Option<ContainerPath>,
    tellers: Mutex<BTreeMap<ContainerPath, Teller>>,
}

impl Guard {
    fn new(name: &'static str, asked: &UnboundedSender<String>) -> Self {
        let (asked, tellers) = (asked.clone(), Mutex::default());
        Self { name, asked, fails: None, orphan: None, tellers }
    }

    fn is_asked(&self, what: &'static str) -> Result<(), String> {
        // A story that has heard enough is no failure.
        let _ = self.asked.send(format!("{}: {what}", self.name));
        match self.fails == Some(what) {
            true => Err(format!("cannot {what}")),
            false => Ok(()),
        }
    }

    /// Of the only container that it watches.
    fn tell(&self, limitation: Limitation) {
        self.tellers.lock().unwrap().values().next().unwrap().tell(limitation);
    }
}

impl Isolator for Guard {
    fn name(&self) -> &str {
        self.name
    }

    fn recover(&self, known: &[Known]) -> Result<Vec<ContainerPath>, String> {
        for known in known {
            assert!(known.process.is_some() && known.allowance.holds.mem().as_f64() >= 1.0);
            self.is_asked("recover")?;
        }
        Ok(self.orphan.iter().cloned().collect())
    }

    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        self.is_asked("prepare")?;
        let pair = format!("FROM_{}={}", self.name, launch.allowance.holds.cpus().as_f64());
        launch.container.confinement.environment.push(std::ffi::CString::new(pair).unwrap());
        Ok(())
    }

    fn hand(&self, _: &ContainerPath, entry: &mut Entry<'_>) -> Result<(), String> {
        assert!(matches!(entry, Entry::Joins(_)));
        self.is_asked("hand")
    }

    fn isolate(&self, _: &ContainerPath, process: Pid) -> Result<(), String> {
        assert!(process.as_raw() > 1);
        self.is_asked("isolate")
    }

    fn watch(&self, id: &ContainerPath) -> Result<Option<Box<dyn Watch>>, String> {
        self.is_asked("watch")?;
        let (teller, watch) = told().map_err(|error| error.to_string())?;
        self.tellers.lock().unwrap().insert(id.clone(), teller);
        Ok(Some(watch))
    }

    fn update(&self, _: &ContainerPath, _: &Allowance) -> Result<(), String> {
        self.is_asked("update")
    }

    fn kill(&self, id: &ContainerPath) -> Result<(), String> {
        match self.orphan.as_ref() == Some(id) {
            true => self.is_asked("kill an orphan"),
            false => self.is_asked("kill"),
        }
    }

    fn clean_up(&self, _: &ContainerPath) -> Result<(), String> {
        self.is_asked("clean_up")
    }
}

fn too_much() -> Limitation {
    Limitation {
        reason: Reason::ContainerLimitation,
        resources: Resources::none().with_scalar("gpus", protocol::resources::Milli::whole(1)),
        words: "it took more than it paid for".into(),
    }
}

/// What was asked up to this, and that.
async fn until(asked: &mut UnboundedReceiver<String>, last: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        let next = tokio::time::timeout(SOON, asked.recv()).await;
        lines.push(next.unwrap_or_else(|_| panic!("no {last} after {lines:?}")).unwrap());
    }
    lines
}

async fn stage_with(isolators: Vec<Arc<dyn Isolator>>) -> Stage {
    let mut stage = Stage::empty().await;
    stage.isolators = isolators;
    stage.start_agent().await;
    stage.hears("Register").await;
    stage
}

#[tokio::test]
async fn iso_27_an_agents_own_isolators_are_asked_in_order_and_clean_up_in_reverse() {
    let (sender, mut asked) = unbounded_channel();
    let guards = ["A", "B"].map(|name| Arc::new(Guard::new(name, &sender)) as Arc<dyn Isolator>);
    let mut stage = stage_with(guards.into()).await;
    stage.launch("t", "echo $FROM_A $FROM_B > said; test -n \"$FROM_B\"");
    assert_eq!(stage.hears_end("t").await.state, TaskState::Finished);
    let lines = until(&mut asked, "A: clean_up").await;
    let began = ["A: prepare", "B: prepare", "A: hand", "B: hand"];
    let ran = ["A: isolate", "B: isolate", "A: watch", "B: watch"];
    let ended = ["A: kill", "B: kill", "B: clean_up", "A: clean_up"];
    assert_eq!(lines, [began, ran, ended].concat());
    stage.end().await;
}

#[tokio::test]
async fn iso_27_what_an_isolator_says_went_beyond_its_limit_fails_with_that_reason() {
    let (sender, mut asked) = unbounded_channel();
    let guard = Arc::new(Guard::new("A", &sender));
    let mut stage = stage_with(vec![guard.clone()]).await;
    stage.launch("t", "sleep 1000");
    stage.hears_state("t", TaskState::Running).await;
    guard.tell(too_much());
    let status = stage.hears_end("t").await;
    assert_eq!(status.state, TaskState::Failed);
    assert_eq!(status.reason, Some(Reason::ContainerLimitation));
    assert_eq!(status.message, "it took more than it paid for");
    let limitation = status.to_v1().unwrap().limitation.unwrap();
    assert_eq!(Resources::from_v1(&limitation.resources).unwrap(), too_much().resources);
    until(&mut asked, "A: clean_up").await;
    stage.end().await;
}

#[tokio::test]
async fn iso_27_whichever_step_of_an_isolator_fails_its_task_does_not_start_and_says_so() {
    for step in ["prepare", "hand", "isolate", "watch"] {
        let (sender, mut asked) = unbounded_channel();
        let fails = Guard { fails: Some(step), ..Guard::new("B", &sender) };
        let first = Arc::new(Guard::new("A", &sender));
        let mut stage = stage_with(vec![first, Arc::new(fails)]).await;
        stage.launch("t", "echo ran > ran");
        let status = stage.hears_end("t").await;
        let words = format!("cannot make its container: isolator B: cannot {step}");
        assert!(status.message.contains(&words), "{status:?}");
        let lines = until(&mut asked, "A: clean_up").await;
        assert!(lines.iter().any(|line| line == "B: clean_up"), "{lines:?}");
        assert!(!stage.updates().any(|status| status.state == TaskState::Running), "{step}");
        stage.end().await;
    }
}

#[tokio::test]
async fn iso_27_an_agents_next_life_tells_isolators_what_it_knows_and_ends_what_they_know_beside() {
    let (sender, mut asked) = unbounded_channel();
    let mut stage = stage_with(vec![Arc::new(Guard::new("A", &sender))]).await;
    stage.launch("t", "sleep 1000");
    stage.hears_state("t", TaskState::Running).await;
    stage.lose_agent().await;
    until(&mut asked, "A: watch").await;
    let orphan = ContainerPath::of_executor(ContainerName::new("nobodys").unwrap());
    let next = Arc::new(Guard { orphan: Some(orphan), ..Guard::new("A", &sender) });
    stage.isolators = vec![next.clone()];
    stage.start_agent().await;
    stage.hears_registration().await;
    let lines = until(&mut asked, "A: watch").await;
    assert_eq!(lines, ["A: recover", "A: kill an orphan", "A: clean_up", "A: watch"]);
    next.tell(too_much());
    let status = stage.hears_end("t").await;
    assert_eq!(
        (status.state, status.reason),
        (TaskState::Failed, Some(Reason::ContainerLimitation))
    );
    until(&mut asked, "A: clean_up").await;
    stage.end().await;
}
