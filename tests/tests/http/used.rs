//! What containers use of their machine and what they have of their own, as operators see it; and what an agent can do without
//! rights.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use serde_json::{Value, json};
use tests::cluster::{Process, airside, eventually};
use tests::http;

use crate::stage::{OPERATOR, Stage, task};
use crate::started::subscribes;

/// What the only container uses.
fn statistics(stage: &Stage) -> Value {
    let all = http::ask(stage.agent_at(), "GET /monitor/statistics", &[], &[]).json();
    all[0]["statistics"].clone()
}

#[test]
fn iso_01_cont_11_time_memory_and_disk_that_a_task_takes_are_counted_with_nothing_limited() {
    let watched =
        ["--isolation=posix/cpu,posix/mem,disk/du", "--container_disk_watch_interval=50ms"];
    let stage = Stage::of_master().with_agent_of(&watched);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    // One line without end, which `tail` keeps, is more than it holds.
    let takes = "head -c 5m /dev/zero > taken; (head -c 60m /dev/zero; cat fifo) | tail & while :; do :; done";
    framework.launches(&offer, &[task("takes", &offer, &format!("mkfifo fifo; {takes}"))]);
    let number = |used: &Value, key: &str| used[key].as_f64().unwrap_or_default();
    let mut first = Value::Null;
    eventually("all that it takes is counted", || {
        first = statistics(&stage);
        number(&first, "mem_rss_bytes") > f64::from(60 << 20)
            && number(&first, "disk_used_bytes") >= f64::from(5 << 20)
            && number(&first, "cpus_user_time_secs") > 0.0
    });
    assert_eq!(first["mem_limit_bytes"], 64 << 20, "{first}");
    assert!(number(&first, "processes") >= 4.0, "{first}");
    eventually("time goes on", || {
        number(&statistics(&stage), "cpus_user_time_secs") > number(&first, "cpus_user_time_secs")
    });
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "takes" } } }));
    assert_eq!(
        crate::started::end_of(&mut framework)["state"],
        "TASK_KILLED",
        "and not for what it took"
    );
}

#[test]
fn cont_12_a_container_is_shown_with_its_address_and_its_process() {
    let stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    framework.launches(&offer, &[task("shown", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let call = json!({ "type": "GET_CONTAINERS" });
    let all = http::call(stage.agent_at(), OPERATOR, &[], &call).json();
    let status = all["get_containers"]["containers"][0]["container_status"].clone();
    let address = &status["network_infos"][0]["ip_addresses"][0];
    assert_eq!(address, &json!({ "protocol": "IPv4", "ip_address": "127.0.0.1" }), "{status}");
    let process = status["executor_pid"].as_u64().unwrap();
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let id = status["container_id"]["value"].as_str().unwrap();
    assert!(environment.contains(id), "it is the process of {id}: {environment}");
}

/// An agent that is not root, with its folder and its user.
pub(crate) fn without_rights(stage: &Stage, flags: &[&str]) -> (Process, PathBuf, User) {
    let (program, work) = (stage.home.path("airside"), stage.home.path("w"));
    // Wherever it was built, others may not reach it.
    fs::copy(airside(), &program).unwrap();
    fs::create_dir(&work).unwrap();
    let usual = ["agent", "--port=0", "--resources=cpus:2;mem:512", "--master", &stage.at];
    let mut command = stage.home.command_of(&program, &[&usual[..], flags].concat());
    command.arg("--work-dir").arg(&work);
    let user = User::from_uid(geteuid()).unwrap().unwrap();
    let user = match user.uid.is_root() {
        true => User::from_name("nobody").unwrap().unwrap(),
        false => user,
    };
    if geteuid().is_root() {
        fs::set_permissions(stage.home.path(""), Permissions::from_mode(0o711)).unwrap();
        chown(&work, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    (Process::start("agent", &mut command), work, user)
}

#[test]
fn cont_04_an_agent_without_rights_runs_tasks_and_ends_all_that_they_started() {
    let stage = Stage::of_master();
    let (mut agent, work, user) = without_rights(&stage, &[]);
    agent.says("agent@");
    let info = json!({ "user": user.name, "name": "plain", "failover_timeout": 600.0 });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let leaves = "setsid sleep 3600 & echo $! >> left; (trap '' TERM; sleep 3600; sleep 3600) & echo $! >> left; \
        id -u >> left; wait";
    framework.launches(&offer, &[task("leaves", &offer, leaves)]);
    let lives = work.join("sandboxes").join(&framework.id).join("leaves");
    let mut left = Vec::new();
    eventually("all of it runs", || {
        let life = fs::read_dir(&lives).ok().and_then(|mut lives| lives.next()?.ok());
        let said = life.and_then(|life| fs::read_to_string(life.path().join("left")).ok());
        left = said.unwrap_or_default().lines().map(str::to_owned).collect();
        left.len() == 3
    });
    assert_eq!(left.pop(), Some(user.uid.to_string()));
    let runs = |process: &String| Path::new("/proc").join(process).exists();
    assert!(left.iter().all(runs), "{left:?}");
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "leaves" } } }));
    assert_eq!(crate::started::end_of(&mut framework)["state"], "TASK_KILLED");
    eventually("nothing of it is left", || !left.iter().any(runs));
}

/// The mounts that are there, by where they are.
fn mounted(table: &str) -> Vec<&str> {
    table.lines().filter_map(|line| line.split(' ').nth(4)).collect()
}

#[test]
fn iso_15_what_is_mounted_for_a_task_the_machine_never_sees_and_others_share_its_mounts() {
    if !geteuid().is_root() {
        return tests::skipped("only root may mount");
    }
    let stage = Stage::of_master().with_agent_of(&["--isolation=filesystem/linux"]);
    let shared = stage.home.path("shared");
    fs::create_dir(&shared).unwrap();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let looks = "readlink /proc/self/ns/mnt > ns; cat /proc/self/mountinfo > mounts; echo > ready; sleep 600";
    let mut apart = task("apart", &offer, looks);
    apart["container"] = json!({ "type": "MESOS", "mesos": {}, "volumes": [
        { "container_path": "here", "host_path": shared.display().to_string(), "mode": "RW" } ] });
    framework.launches(&offer, &[apart, task("plain", &offer, looks)]);
    let own = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    let host = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    for (id, is_apart) in [("apart", true), ("plain", false)] {
        let lives = stage.home.path("a").join("sandboxes").join(&framework.id).join(id);
        let life =
            || fs::read_dir(&lives).ok().and_then(|mut lives| Some(lives.next()?.ok()?.path()));
        eventually("it has looked", || life().is_some_and(|life| life.join("ready").exists()));
        let life = life().unwrap();
        let said = |file: &str| fs::read_to_string(life.join(file)).unwrap();
        assert_eq!(said("ns").trim() != own, is_apart, "{id}");
        let place = life.join("here").display().to_string();
        assert_eq!(mounted(&said("mounts")).contains(&place.as_str()), is_apart, "{id}");
        assert!(!mounted(&host()).contains(&place.as_str()), "{id}");
    }
    for id in ["apart", "plain"] {
        framework.says("KILL", json!({ "kill": { "task_id": { "value": id } } }));
        assert_eq!(crate::started::end_of(&mut framework)["state"], "TASK_KILLED");
    }
    assert!(shared.exists(), "what belongs to a volume stays");
}

#[test]
fn iso_15_a_folder_of_the_machine_may_be_another_one_for_a_task() {
    if !geteuid().is_root() {
        return tests::skipped("only root may mount");
    }
    let stage = Stage::of_master().with_agent_of(&["--isolation=filesystem/shared"]);
    let shared = stage.home.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("of-the-machine"), "").unwrap();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let place = shared.display().to_string();
    let mut own = task("own", &offer, &format!("ls {place} > seen; echo x > {place}/of-the-task"));
    own["container"] = json!({ "type": "MESOS", "mesos": {}, "volumes": [
        { "container_path": place, "host_path": "own", "mode": "RW" } ] });
    framework.launches(&offer, &[own]);
    let end = crate::started::end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let sandbox = crate::started::sandbox(&stage, &framework.id, "own");
    assert_eq!(fs::read_to_string(sandbox.join("seen")).unwrap(), "");
    assert!(sandbox.join("own/of-the-task").exists());
    assert!(!shared.join("of-the-task").exists() && shared.join("of-the-machine").exists());
}
