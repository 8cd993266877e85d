//! Containers that control groups limit: real groups of this machine's kernel, below a folder of each story's own.

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::groups::Groups;

use crate::executors::{Executor, FIRST, WAITS, launched, task_of};
use crate::stage::{Framework, Stage, task};
use crate::started::end_of;

fn stage(groups: &Groups, isolation: &str) -> Stage {
    Stage::of_master().with_agent_of(&[isolation, &groups.flag()])
}

fn framework(stage: &Stage) -> Framework {
    let info =
        json!({ "user": "root", "name": "limits", "failover_timeout": 600.0, "checkpoint": true });
    stage.subscribes(&info).once_subscribed()
}

fn runs(framework: &mut Framework) {
    while framework.update()["state"] != "TASK_RUNNING" {}
}

#[test]
fn iso_04_a_task_that_takes_more_memory_than_it_holds_fails_with_that_reason() {
    let groups = Groups::own();
    let stage = stage(&groups, "--isolation=cgroups/mem");
    let mut framework = framework(&stage);
    let offer = framework.offer();
    // One line without end, which `tail` keeps.
    framework.launches(&offer, &[task("greedy", &offer, "head -c 300m /dev/zero | tail")]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FAILED", "{end}");
    assert_eq!(end["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{end}");
    assert_eq!(end["source"], "SOURCE_AGENT", "{end}");
    let words = end["message"].as_str().unwrap();
    assert!(words.starts_with("Memory limit exceeded: "), "{words}");
    let limited = &end["limitation"]["resources"][0];
    assert_eq!(
        (&limited["name"], &limited["scalar"]["value"]),
        (&json!("mem"), &json!(32.0)),
        "{end}"
    );
    eventually("its groups are gone", || groups.count() == 0);
    let offer = framework.offer();
    framework.launches(&offer, &[task("modest", &offer, "true")]);
    assert_eq!(end_of(&mut framework)["state"], "TASK_FINISHED", "the next is undisturbed");
}

#[test]
fn iso_16_a_sandbox_that_takes_more_of_the_disk_than_its_task_holds_ends_it_where_that_is_enforced()
{
    let flags = ["--isolation=disk/du", "--container_disk_watch_interval=50ms"];
    let large = |offer: &Value| {
        let mut large = task("large", offer, "head -c 20m /dev/zero > large; sleep 600");
        let disk = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": 10.0 } });
        large["resources"].as_array_mut().unwrap().push(disk);
        large
    };
    let watched = Stage::of_master().with_agent_of(&flags);
    let mut first = framework(&watched);
    let offer = first.offer();
    first.launches(&offer, &[large(&offer)]);
    runs(&mut first);
    let mut shown = Value::Null;
    eventually("it is counted", || {
        let all = tests::http::ask(watched.agent_at(), "GET /monitor/statistics", &[], &[]).json();
        shown = all[0]["statistics"].clone();
        shown["disk_used_bytes"].as_u64().is_some_and(|bytes| bytes >= 20 << 20)
    });
    assert_eq!(shown["disk_limit_bytes"], 10 << 20, "{shown}");
    first.says("TEARDOWN", json!({}));

    let enforced = [&flags[..], &["--enforce_container_disk_quota=true"]].concat();
    let stage = Stage::of_master().with_agent_of(&enforced);
    let mut framework = framework(&stage);
    let offer = framework.offer();
    let small = task("small", &offer, "head -c 20m /dev/zero > small; sleep 600");
    framework.launches(&offer, &[large(&offer), small]);
    let end = end_of(&mut framework);
    assert_eq!((&end["task_id"]["value"], &end["state"]), (&json!("large"), &json!("TASK_FAILED")));
    assert_eq!(end["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{end}");
    assert!(end["message"].as_str().unwrap().starts_with("Disk usage ("), "{end}");
    let limited = &end["limitation"]["resources"][0];
    assert_eq!(
        (&limited["name"], &limited["scalar"]["value"]),
        (&json!("disk"), &json!(10.0)),
        "{end}"
    );
    // Who holds no disk has no limit, and is undisturbed.
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "small" } } }));
    assert_eq!(end_of(&mut framework)["state"], "TASK_KILLED");
}

#[test]
fn iso_03_a_container_has_its_share_of_the_processors_and_no_more_where_that_is_said() {
    let groups = Groups::own();
    let flags = ["--isolation=cgroups/cpu", &groups.flag(), "--cgroups_enable_cfs=true"];
    let stage = Stage::of_master().with_agent_of(&flags);
    let mut framework = framework(&stage);
    let offer = framework.offer();
    framework.launches(&offer, &[task("busy", &offer, "while :; do :; done")]);
    runs(&mut framework);
    // A tenth of a processor.
    let said = |file: &str| groups.file(file).map(|text| text.trim().to_owned());
    let is_v1 = said("cpu.shares").is_some();
    if is_v1 {
        assert_eq!(said("cpu.shares").as_deref(), Some("102"));
        assert_eq!(said("cpu.cfs_quota_us").as_deref(), Some("10000"));
    } else {
        assert_eq!(said("cpu.max").as_deref(), Some("10000 100000"));
    }
    eventually("it is held back", || {
        let stat = groups.file("cpu.stat").unwrap_or_default();
        let held_back = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        held_back.is_some_and(|times| times != "0")
    });
    let all = tests::http::ask(stage.agent_at(), "GET /monitor/statistics", &[], &[]).json();
    let used = &all[0]["statistics"];
    assert!(used["cpus_nr_throttled"].as_u64().is_some_and(|times| times > 0), "{used}");
    assert!(used["mem_rss_bytes"].as_u64().is_some(), "what the agent sees itself: {used}");
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "busy" } } }));
    assert_eq!(end_of(&mut framework)["state"], "TASK_KILLED");
    eventually("its groups are gone", || groups.count() == 0);
}

#[test]
fn agent_16_a_container_may_take_more_when_another_task_comes_and_less_when_it_ends() {
    let groups = Groups::own();
    let stage = stage(&groups, "--isolation=cgroups/mem");
    let says = |files: [&str; 2], mib: u64| {
        let said = files.into_iter().find_map(|file| groups.file(file));
        said.is_some_and(|text| text.trim() == (mib << 20).to_string())
    };
    let holds = |mib| says(["memory.soft_limit_in_bytes", "memory.low"], mib);
    let may_take = |mib| says(["memory.limit_in_bytes", "memory.max"], mib);
    let (mut framework, _) = launched(&stage, "limits");
    eventually("it may take what the first holds", || holds(32) && may_take(32));
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    let offer = framework.offer();
    framework.launches(&offer, &[task_of("b", &offer, "e", WAITS)]);
    executor.events.event("LAUNCH");
    eventually("it may take what both hold", || holds(64) && may_take(64));
    executor.tells("t", "TASK_FINISHED", FIRST);
    // What is in memory already is not taken away.
    eventually("it holds what the second does", || holds(32) && may_take(64));
}

#[test]
fn op_15_a_task_may_take_more_than_it_holds_as_far_as_it_says_and_its_group_is_told_both() {
    let groups = Groups::own();
    let stage = stage(&groups, "--isolation=cgroups/cpu,cgroups/mem");
    let mut framework = framework(&stage);
    let offer = framework.offer();
    let with = |name: &str, offer: &Value, limits: Value| {
        let mut task = task(name, offer, "head -c 40m /dev/zero | tail | wc -c; sleep 600");
        task["limits"] = limits;
        task
    };
    let below = with("below", &offer, json!({ "mem": { "value": 31.0 } }));
    let other = with("other", &offer, json!({ "disk": { "value": 31.0 } }));
    let good = json!({ "cpus": { "value": 0.5 }, "mem": { "value": 256.0 } });
    framework.launches(&offer, &[below, other, with("good", &offer, good)]);
    for words in ["Task's limit of mem is 31, less than the 32", "Only cpus and mem may be"] {
        let end = end_of(&mut framework);
        assert_eq!(
            (&end["state"], &end["reason"]),
            (&json!("TASK_ERROR"), &json!("REASON_TASK_INVALID"))
        );
        assert!(end["message"].as_str().unwrap().contains(words), "{end}");
    }
    runs(&mut framework);
    let said = |files: [&str; 2]| {
        let text = files.into_iter().find_map(|file| groups.file(file));
        text.unwrap_or_default().trim().to_owned()
    };
    let is_v1 = groups.file("cpu.shares").is_some();
    assert_eq!(said(["cpu.shares", "cpu.weight"]), if is_v1 { "102" } else { "10" });
    let quota = said(["cpu.cfs_quota_us", "cpu.max"]);
    assert_eq!(quota, if is_v1 { "50000" } else { "50000 100000" });
    let mib = |mib: u64| (mib << 20).to_string();
    assert_eq!(said(["memory.soft_limit_in_bytes", "memory.low"]), mib(32));
    assert_eq!(said(["memory.limit_in_bytes", "memory.max"]), mib(256));
    let shown = stage.get("/tasks").json();
    let shown = shown["tasks"].as_array().unwrap().iter().find(|task| task["id"] == "good");
    assert_eq!(shown.unwrap()["limits"], json!({ "cpus": 0.5, "mem": 256.0 }));
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "good" } } }));
    assert_eq!(
        end_of(&mut framework)["state"],
        "TASK_KILLED",
        "it took more than it held, and ran"
    );
    eventually("its groups are gone", || groups.count() == 0);
}

#[test]
fn op_15_a_task_without_a_limit_takes_all_that_there_is_also_where_others_are_held_back() {
    let groups = Groups::own();
    let flags =
        ["--isolation=cgroups/cpu,cgroups/mem", &groups.flag(), "--cgroups_enable_cfs=true"];
    let stage = Stage::of_master().with_agent_of(&flags);
    let mut framework = framework(&stage);
    let offer = framework.offer();
    let mut free = task("free", &offer, "head -c 100m /dev/zero | tail | wc -c");
    free["limits"] = json!({ "cpus": { "value": "Infinity" }, "mem": { "value": "Infinity" } });
    framework.launches(&offer, &[free]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let shown = stage.get("/tasks").json();
    assert_eq!(shown["tasks"][0]["limits"], json!({ "cpus": "Infinity", "mem": "Infinity" }));
}
