//! Sandboxes that are full or cannot be written. The disks are real.

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use protocol::task::*;
use tests::disks::{small_disk, with_own_mounts};

use crate::stage::*;

/// Runs a story whose mounts nobody else sees. It returns its folder, which can only be removed when it is over.
fn with_own_disks<F: Future<Output = PathBuf>>(story: impl FnOnce() -> F + Send + 'static) {
    let folder = with_own_mounts(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story())
    });
    folder.into_iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
}

const FULL: &str =
    "exited with status 3; the disk of its sandbox is full, so its output may be cut off";

#[test]
fn a_task_that_fills_its_disk_hears_of_it_and_the_agent_goes_on() {
    with_own_disks(|| async {
        let mut stage = Stage::prepared(|dir| small_disk(dir, 4, MsFlags::empty())).await;
        stage.launch("fills", "head -c 100000000 /dev/zero > big || exit 3");
        let failed = stage.hears_state("fills", TaskState::Failed).await;
        assert_eq!(failed.message, FULL);
        for n in 0..100 {
            let task = format!("next-{n}");
            stage.launch(&task, "echo lost; exit 3");
            let failed = stage.hears_state(&task, TaskState::Failed).await;
            assert_eq!(failed.message, FULL, "{task}");
        }
        let sandbox = stage.dir.path().join("agent/sandboxes/F/fills");
        std::fs::remove_dir_all(sandbox).unwrap();
        stage.launch("fine", "echo written");
        stage.hears_state("fine", TaskState::Finished).await;
        assert_eq!(stage.output("fine").await, "written\n");
        let folder = stage.dir.path().to_path_buf();
        stage.end().await;
        folder
    });
}

#[test]
fn a_sandbox_that_cannot_be_written_fails_its_task_in_words() {
    with_own_disks(|| async {
        let sandboxes = |dir: &Path| dir.join("agent/sandboxes");
        let mut stage = Stage::prepared(|dir| {
            std::fs::create_dir_all(sandboxes(dir)).unwrap();
            small_disk(&sandboxes(dir), 4, MsFlags::MS_RDONLY);
        })
        .await;
        stage.launch("t", "true");
        let failed = stage.hears_state("t", TaskState::Failed).await;
        let folder = sandboxes(stage.dir.path()).join("F/t");
        let words = format!(
            "cannot make {}: Read-only file system (os error 30); make room on the agent's disk or fix the rights of its --work_dir",
            folder.display()
        );
        assert_eq!((failed.reason, failed.message), (Some(Reason::ContainerLaunchFailed), words));
        let folder = stage.dir.path().to_path_buf();
        stage.end().await;
        folder
    });
}
