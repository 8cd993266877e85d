//! Whole lives of containers: through the death of whoever cares for them, from the command line, with an executor of a framework's
//! own; and nothing left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::cluster::eventually;
use tests::http;

use super::{Harbour, finishes, in_image, mounts_now, processes_of, runs};
use crate::stage::task;
use crate::started::{end_of, read, sandbox};

#[test]
fn cont_03_a_container_goes_on_while_its_agent_is_killed_and_is_undone_when_it_is_over() {
    let mut harbour = Harbour::new();
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "trap 'echo told; exit 3' TERM; touch up; while true; do sleep 0.1; done";
    framework
        .launches(&offer, &[in_image(task("long", &offer, line), &harbour.layout.image("bare"))]);
    runs(&mut framework);
    let up = sandbox(&harbour.stage, &framework.id, "long").join("up");
    eventually("the task is up", || up.exists());
    let before = processes_of(&harbour.stage.home.path("a").display().to_string());
    harbour.stage.kills_agent();
    let [records] = &harbour.records()[..] else { panic!("{:?}", harbour.records()) };
    for file in ["inside", "box/task/config", "box/task/process", "box/task/phase"] {
        assert!(records.join(file).exists(), "{file}");
    }
    harbour.stage.agent_is_back();
    harbour.stage.has_agents(1);
    let after = processes_of(&harbour.stage.home.path("a").display().to_string());
    assert_eq!(before, after, "the very same go on");
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "long" } } }));
    let mut end = framework.update();
    while end["state"] != "TASK_KILLED" {
        assert!(end["state"] == "TASK_RUNNING" || end["state"] == "TASK_KILLING", "{end}");
        end = framework.update();
    }
    assert_eq!(harbour.printed(&framework, "long"), "told\n", "once");
    harbour.is_clear(&mounts);
}

/// A folder among a container's things that nobody may remove, not even root, as long as this is there.
struct Held(PathBuf);

impl Held {
    #[track_caller]
    fn made(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        change(&folder, "+i");
        Self(folder)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        change(&self.0, "-i");
    }
}

#[track_caller]
fn change(folder: &Path, attribute: &str) {
    let changed = Command::new("chattr").arg(attribute).arg(folder).output().unwrap();
    assert!(changed.status.success(), "{changed:?}");
}

#[test]
fn cont_15_a_container_of_which_something_is_left_is_counted_and_the_next_life_of_its_agent_clears_it()
 {
    let mut harbour = Harbour::new();
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let image = harbour.layout.image("bare");
    framework.launches(&offer, &[in_image(task("long", &offer, "sleep 1000"), &image)]);
    runs(&mut framework);
    let errors = |harbour: &Harbour| {
        let at = harbour.stage.agent_at();
        let numbers = http::ask(at, "GET /metrics/snapshot", &[], b"").json();
        numbers["containerizer/mesos/container_destroy_errors"].as_f64()
    };
    assert_eq!(errors(&harbour), Some(0.0));
    let [records] = &harbour.records()[..] else { panic!("{:?}", harbour.records()) };
    eventually("the container is there", || records.join("box/task/process").exists());
    let held = Held::made(records.join("box/task/scratch/held"));
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "long" } } }));
    assert_eq!(end_of(&mut framework)["state"], "TASK_KILLED");
    eventually("it is counted", || errors(&harbour) == Some(1.0));
    let offer = framework.offer();
    framework.launches(&offer, &[in_image(task("next", &offer, "true"), &image)]);
    finishes(&mut framework);
    eventually("the next one leaves nothing", || harbour.records().len() == 1);
    drop(held);
    harbour.stage.kills_agent();
    harbour.stage.agent_is_back();
    harbour.is_clear(&mounts);
}

#[test]
fn cont_03_of_a_container_whose_agent_and_executor_are_killed_the_next_life_leaves_nothing() {
    let mut harbour = Harbour::new();
    let mounts = mounts_now();
    let data = harbour.stage.home.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("kept"), "x").unwrap();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line =
        "dd if=/dev/zero of=/root-file bs=1M count=4; touch up; setsid sleep 1000 & sleep 1000";
    let mut long = in_image(task("long", &offer, line), &harbour.layout.image("bare"));
    long["container"]["volumes"] = json!([{ "container_path": "/data", "host_path": data.display().to_string(), "mode": "RW" }]);
    framework.launches(&offer, &[long]);
    let running = runs(&mut framework);
    let up = sandbox(&harbour.stage, &framework.id, "long").join("up");
    eventually("the task is up", || up.exists());
    let executor = running["container_status"]["executor_pid"].as_i64().unwrap();
    harbour.stage.kills_agent();
    kill(Pid::from_raw(executor.try_into().unwrap()), Signal::SIGKILL).unwrap();
    harbour.stage.agent_is_back();
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FAILED", "{end}");
    harbour.is_clear(&mounts);
    assert_eq!(read(&data.join("kept")), "x");
}

#[test]
fn a_task_of_the_command_line_runs_in_an_image_and_ends_this_as_it_ended() {
    let harbour = Harbour::new();
    let mounts = mounts_now();
    harbour.stage.has_agents(1);
    let master = format!("--master={}", harbour.stage.at);
    let archive = harbour.stage.home.path("image.tar");
    let to = format!("docker-archive:{}:busybox:says", archive.display());
    tests::images::run(
        "skopeo",
        &["--insecure-policy", "copy", &harbour.layout.image("says"), &to],
    );
    let archive = format!("docker-archive:{}", archive.display());
    let says = harbour.layout.image("says");
    for (image, command, printed, code) in [
        (
            says.as_str(),
            &["sh", "-c", "cat /etc/os-release; id -u; exit 5"][..],
            "NAME=story\n0\n",
            5,
        ),
        (&archive, &[], "NAME=story\n", 0),
    ] {
        let mut line = vec!["run", &master, "--quiet", "--image", image];
        line.extend((!command.is_empty()).then_some("--"));
        line.extend(command);
        let output = harbour.stage.home.command(&line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{errors}");
        assert_eq!(output.status.code(), Some(code), "{errors}");
    }
    harbour.is_clear(&mounts);
}

#[test]
fn an_executor_of_a_frameworks_own_runs_wholly_in_its_image() {
    let harbour = Harbour::new();
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let mut own = task("own", &offer, "");
    own.as_object_mut().unwrap().remove("command");
    let line = "cat /etc/os-release; ps -o pid,comm; pwd; echo $MESOS_SANDBOX";
    own["data"] = json!(base64::engine::general_purpose::STANDARD.encode(line));
    let executor = env!("CARGO_BIN_EXE_own-executor-for-tests");
    let of_host = |path: &str| json!({ "container_path": path, "host_path": path, "mode": "RO" });
    // What it is linked with.
    let mut volumes: Vec<_> = ["/lib", "/lib64", "/usr"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(of_host)
        .collect();
    volumes.push(json!({ "container_path": "/own", "host_path": executor, "mode": "RO" }));
    own["executor"] = json!({
        "type": "CUSTOM", "executor_id": { "value": "within" },
        "command": { "shell": false, "value": "/own", "arguments": ["own"] },
        "container": in_image(json!({}), &harbour.layout.image("bare"))["container"],
    });
    own["executor"]["container"]["volumes"] = json!(volumes);
    framework.launches(&offer, &[own]);
    finishes(&mut framework);
    let said = harbour.printed(&framework, "within");
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    assert_eq!(lines[0], "NAME=story", "{said}");
    assert!(lines.iter().any(|line| line.starts_with("2 ") && line.contains("own")), "{said}");
    assert_eq!(lines[lines.len() - 2..], ["/mnt/mesos/sandbox"; 2], "{said}");
    framework.says("TEARDOWN", json!({}));
    harbour.is_clear(&mounts);
}

#[test]
fn img_08_what_a_container_uses_is_not_collected_in_this_life_of_its_agent_nor_in_the_next() {
    let often =
        r#"{"image_disk_headroom":1.0,"image_disk_watch_interval":{"nanoseconds":50000000}}"#;
    let mut harbour = Harbour::with(&[&format!("--image_gc_config={often}")]);
    let store = harbour.stage.home.path("mesos/store/docker");
    let layers = || {
        let agents = std::fs::read_dir(&store).into_iter().flatten().flatten();
        let layers = agents.flat_map(|agent| std::fs::read_dir(agent.path().join("layers")));
        layers.flatten().flatten().count()
    };
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "trap 'cat /etc/os-release; exit 0' TERM; touch up; while true; do sleep 0.1; done";
    framework
        .launches(&offer, &[in_image(task("long", &offer, line), &harbour.layout.image("bare"))]);
    runs(&mut framework);
    let up = sandbox(&harbour.stage, &framework.id, "long").join("up");
    eventually("the task is up", || up.exists());
    // Of two layers, one of which the other task has in common with it.
    let offer = framework.offer();
    framework.launches(
        &offer,
        &[in_image(task("short", &offer, "true"), &harbour.layout.image("enters"))],
    );
    finishes(&mut framework);
    eventually("what nobody uses is collected", || layers() == 1);
    harbour.stage.kills_agent();
    harbour.stage.agent_is_back();
    harbour.stage.has_agents(1);
    // Of another life: its store is empty but for what is in use. Offers of the former are not valid any more.
    let mut end = json!({ "reason": "REASON_INVALID_OFFERS" });
    while end["reason"] == "REASON_INVALID_OFFERS" {
        let offer = framework.offer();
        let again = in_image(task("again", &offer, "true"), &harbour.layout.image("enters"));
        framework.launches(&offer, &[again]);
        end = end_of(&mut framework);
    }
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    eventually("what nobody uses is collected again", || layers() == 1);
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "long" } } }));
    let mut end = framework.update();
    while end["task_id"]["value"] != "long" || end["state"] != "TASK_KILLED" {
        end = framework.update();
    }
    assert_eq!(harbour.printed(&framework, "long"), "NAME=story\n");
    eventually("then nothing is kept", || layers() == 0);
}

#[test]
fn a_pull_is_given_up_with_its_task_and_is_no_reason_to_kill_an_executor() {
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = registry.local_addr().unwrap();
    // Much less than the pull takes.
    let harbour = Harbour::with(&["--executor_registration_timeout=1ms"]);
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let image = format!("{at}/library/slow:1");
    framework.launches(&offer, &[in_image(task("slow", &offer, "true"), &image)]);
    // It asks, and is not answered.
    let (mut asked, _) = registry.accept().unwrap();
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "slow" } } }));
    let end = end_of(&mut framework);
    assert_ne!(end["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{end}");
    assert!(["TASK_KILLED", "TASK_FAILED"].contains(&end["state"].as_str().unwrap()), "{end}");
    // Whoever asked has hung up, though it would wait a minute for an answer.
    let mut rest = Vec::new();
    asked.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    std::io::Read::read_to_end(&mut asked, &mut rest).unwrap();
    harbour.is_clear(&mounts);
}

#[test]
fn cont_01_a_container_whose_agent_dies_in_any_phase_of_its_life_runs_once_and_leaves_nothing() {
    let mut harbour = Harbour::new();
    let mounts = mounts_now();
    let data = harbour.stage.home.path("data");
    std::fs::create_dir(&data).unwrap();
    let (ran, goes_on) = (data.join("ran"), data.join("goes-on"));
    // What is there once the phase has begun: its records, what it is, its folder, its first process, the program; and its end.
    for phase in ["", "inside", "box/task/phase", "box/task/process", "ran", "end"] {
        let _ = std::fs::remove_file(&ran);
        std::fs::write(&goes_on, "").unwrap();
        // Offers of the agent's former life are not valid any more, and its own are all of this one.
        let mut framework = harbour.framework();
        let offer = framework.offer();
        let line =
            "echo once >> /data/ran; while test -e /data/goes-on; do sleep 0.02; done; exit 3";
        let mut one = in_image(task("one", &offer, line), &harbour.layout.image("bare"));
        let at = data.display().to_string();
        one["container"]["volumes"] =
            json!([{ "container_path": "/data", "host_path": at, "mode": "RW" }]);
        framework.launches(&offer, &[one]);
        eventually("the phase has begun", || match phase {
            "ran" | "end" => ran.exists(),
            file => harbour.records().iter().any(|records| records.join(file).exists()),
        });
        if phase == "end" {
            std::fs::remove_file(&goes_on).unwrap();
        }
        harbour.stage.kills_agent();
        harbour.agent_is(false);
        harbour.stage.agent_is_back();
        // What is acknowledged while it is away, it says again, and takes its time.
        harbour.agent_is(true);
        let _ = std::fs::remove_file(&goes_on);
        let end = end_of(&mut framework);
        assert_eq!(end["message"], "Command exited with status 3", "{phase}: {end}");
        assert_eq!(read(&ran), "once\n", "{phase}");
        framework.says("TEARDOWN", json!({}));
        harbour.is_clear(&mounts);
    }
}
