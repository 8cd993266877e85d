//! Tasks in images, and with volumes: real images of a real registry, real agents that are killed, and nothing left behind.

mod chaos;
mod client;
mod hostile;
mod lives;
mod rootless;
mod secrets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http;
use tests::images::{Layout, Registry};

use crate::stage::{Framework, Stage, task};
use crate::started::{end_of, read, sandbox};

const ISOLATION: &str = "--isolation=filesystem/linux,docker/runtime";
const PROVIDERS: &str = "--image_providers=docker";

/// An agent that runs images, and where they come from.
struct Harbour {
    stage: Stage,
    layout: Arc<Layout>,
}

impl Harbour {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(flags: &[&str]) -> Self {
        let all = [&[ISOLATION, PROVIDERS][..], flags].concat();
        Self { stage: Stage::of_master().with_agent_of(&all), layout: Layout::made() }
    }

    fn framework(&self) -> Framework {
        self.framework_of("root")
    }

    fn framework_of(&self, user: &str) -> Framework {
        let info = json!({ "user": user, "name": "images", "failover_timeout": 600.0, "checkpoint": true });
        self.stage.subscribes(&info).once_subscribed()
    }

    /// What the agent counts.
    fn numbers(&self) -> Value {
        http::ask(self.stage.agent_at(), "GET /metrics/snapshot", &[], b"").json()
    }

    fn printed(&self, framework: &Framework, task: &str) -> String {
        read(&sandbox(&self.stage, &framework.id, task).join("stdout"))
    }

    /// Waits until the master knows that the agent is there, or that it is not.
    #[track_caller]
    fn agent_is(&self, there: bool) {
        eventually("the master knows how the agent is", || {
            self.stage.get("/slaves").json()["slaves"][0]["active"] == there
        });
    }

    /// The folders in which it is noted what containers are.
    fn records(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.stage.home.path("a").join("containers"));
        all.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// Nothing of any container is left: no process, no mount, no folder.
    #[track_caller]
    fn is_clear(&self, mounts: &BTreeSet<String>) {
        let place = self.stage.home.path("a").display().to_string();
        eventually("nothing of the containers is noted any more", || self.records().is_empty());
        eventually("nothing runs that the agent started", || processes_of(&place).is_empty());
        let left: Vec<_> = mounts_now().difference(mounts).cloned().collect();
        let left: Vec<_> = left.iter().filter(|line| line.contains(&place)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn mounts_now() -> BTreeSet<String> {
    read(Path::new("/proc/self/mountinfo")).lines().map(str::to_owned).collect()
}

/// Those in whose environment or root the agent's folder is named.
fn processes_of(place: &str) -> Vec<i32> {
    let all = procfs::process::all_processes().unwrap().flatten();
    let is_of = |process: &procfs::process::Process| {
        let environment = process.environ().unwrap_or_default();
        let mut values = environment.iter().filter(|(name, _)| *name == "AIRSIDE_INSIDE");
        let alive = process.stat().is_ok_and(|stat| stat.state != 'Z');
        alive && values.any(|(_, value)| value.to_string_lossy().starts_with(place))
    };
    all.filter(is_of).map(|process| process.pid()).collect()
}

/// The same task, in an image.
fn in_image(mut task: Value, image: &str) -> Value {
    task["container"] = json!({
        "type": "MESOS",
        "mesos": { "image": { "type": "DOCKER", "docker": { "name": image } } },
    });
    task
}

/// What an image says is run.
fn says_nothing(mut task: Value, arguments: &[&str]) -> Value {
    task["command"] = json!({ "shell": false, "arguments": arguments });
    task
}

#[track_caller]
fn finishes(framework: &mut Framework) {
    let end = end_of(framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
}

#[track_caller]
fn runs(framework: &mut Framework) -> Value {
    loop {
        let status = framework.update();
        match status["state"].as_str() {
            Some("TASK_STARTING") => {}
            _ => {
                assert_eq!(status["state"], "TASK_RUNNING", "{status}");
                return status;
            }
        }
    }
}

#[test]
fn exec_03_img_01_a_task_runs_in_an_image_of_a_registry_with_a_password_and_its_executor_outside() {
    let layout = Layout::made();
    let registry = Registry::start(&layout);
    let harbour = Harbour::with(&[&format!("--docker_config={}", registry.logins().display())]);
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "cat /etc/os-release; id -u; ps -o pid,comm; ls -d /proc/[0-9]* | wc -l; \
                until [ -e $MESOS_SANDBOX/go ]; do sleep 0.05; done; exit 7";
    framework.launches(&offer, &[in_image(task("in", &offer, line), &registry.image("bare"))]);
    let running = runs(&mut framework);
    let words = format!("in the image {}, in namespaces of its own", registry.image("bare"));
    assert_eq!(running["message"], words, "{running}");
    let executor = running["container_status"]["executor_pid"].as_u64().unwrap();
    let roots = "containerizer/mesos/filesystem/containers_new_rootfs";
    assert_eq!(harbour.numbers()[roots], 1.0);
    std::fs::write(sandbox(&harbour.stage, &framework.id, "in").join("go"), "").unwrap();
    let end = end_of(&mut framework);
    assert_eq!(
        (&end["state"], &end["message"]),
        (&json!("TASK_FAILED"), &json!("Command exited with status 7")),
        "{end}"
    );
    let said = harbour.printed(&framework, "in");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["NAME=story", "0"], "{said}");
    // The first of its processes is what keeps it; the executor, of which the host knows, is not seen.
    assert!(lines[3].trim().starts_with("1 "), "{said}");
    assert!(!said.contains(&executor.to_string()), "{said}");
    assert!(lines.last().unwrap().trim().parse::<u32>().unwrap() <= 6, "{said}");
    harbour.is_clear(&mounts);
    let numbers = harbour.numbers();
    assert_eq!(numbers[roots], 0.0, "{numbers}");
    let pulls = "containerizer/mesos/provisioner/docker_store/image_pull_ms";
    assert_eq!(numbers[format!("{pulls}/count")], 1.0, "{numbers}");
    assert!(numbers[pulls].as_f64().is_some_and(|took| took > 0.0), "{numbers}");
}

#[test]
fn iso_24_entry_point_command_environment_user_and_folder_are_the_images_unless_the_task_says() {
    let harbour = Harbour::new();
    let (says, enters) = (harbour.layout.image("says"), harbour.layout.image("enters"));
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let plain = |id: &str| task(id, &offer, "");
    let mut mine = in_image(task("mine", &offer, "echo $STORY; pwd; echo $MINE"), &says);
    mine["command"]["environment"] = json!({ "variables": [{ "name": "STORY", "value": "of the task" }, { "name": "MINE", "value": "1" }] });
    framework.launches(
        &offer,
        &[
            in_image(says_nothing(plain("cmd"), &[]), &says),
            in_image(says_nothing(plain("arguments"), &["/etc/group"]), &says),
            in_image(says_nothing(plain("entry"), &[]), &enters),
            in_image(
                says_nothing(plain("both"), &["echo $STORY; pwd; touch $MESOS_SANDBOX/mine"]),
                &enters,
            ),
            mine,
        ],
    );
    (0..5).for_each(|_| finishes(&mut framework));
    let printed = |task: &str| harbour.printed(&framework, task);
    assert_eq!(printed("cmd"), "NAME=story\n");
    assert_eq!(printed("arguments"), "root:x:0:\napp:x:1234:\n");
    assert_eq!(printed("entry"), "uid=1234(app) gid=1234(app)\n");
    assert_eq!(printed("both"), "of the image\n/srv\n");
    assert_eq!(printed("mine"), "of the task\n/srv\n1\n");
    // It may write into its sandbox, though nobody outside knows its user.
    assert!(sandbox(&harbour.stage, &framework.id, "both").join("mine").exists());
}

#[test]
fn vol_02_net_01_volumes_sandbox_and_names_are_where_the_task_looks_for_them() {
    let harbour = Harbour::new();
    let mounts = mounts_now();
    let data = harbour.stage.home.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("given"), "by the host\n").unwrap();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let volume = |at: &str, host: &str, mode: &str| json!({ "container_path": at, "host_path": host, "mode": mode });
    let path = data.display().to_string();
    let line = "cat /not/there/yet/given ro/given && echo new > /not/there/yet/new; touch ro/no || echo read-only; \
                echo kept > own/kept; echo $MESOS_SANDBOX; pwd; cat /etc/hosts /etc/hostname /etc/resolv.conf; hostname";
    let mut inside = in_image(task("inside", &offer, line), &harbour.layout.image("bare"));
    inside["container"]["volumes"] = json!([
        volume("/not/there/yet", &path, "RW"),
        volume("ro", &path, "RO"),
        volume("own", "mine", "RW")
    ]);
    let line = "cat below/given; touch below/no || echo read-only; cat /mnt/given; pwd";
    let mut outside = task("outside", &offer, line);
    outside["container"] = json!({ "type": "MESOS", "volumes": [volume("below", &path, "RO"), volume("/mnt", &path, "RW")] });
    let mut missing = task("missing", &offer, "true");
    missing["container"] =
        json!({ "type": "MESOS", "volumes": [volume("x", "/no/such/path", "RW")] });
    framework.launches(&offer, &[inside]);
    finishes(&mut framework);
    let offer = framework.offer();
    outside["agent_id"] = offer["agent_id"].clone();
    framework.launches(&offer, &[outside]);
    finishes(&mut framework);
    let said = harbour.printed(&framework, "inside");
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hostname = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let expected = format!(
        "by the host\nby the host\nread-only\n/mnt/mesos/sandbox\n/mnt/mesos/sandbox\n{}{}{}{hostname}\n",
        text("/etc/hosts"),
        text("/etc/hostname"),
        text("/etc/resolv.conf")
    );
    assert_eq!(said, expected);
    let inside = sandbox(&harbour.stage, &framework.id, "inside");
    assert_eq!(read(&inside.join("mine/kept")), "kept\n", "a folder of the sandbox's own");
    let outside = sandbox(&harbour.stage, &framework.id, "outside");
    let expected = format!("by the host\nread-only\nby the host\n{}\n", outside.display());
    assert_eq!(harbour.printed(&framework, "outside"), expected);
    let offer = framework.offer();
    missing["agent_id"] = offer["agent_id"].clone();
    framework.launches(&offer, &[missing]);
    let end = end_of(&mut framework);
    let words = end["message"].as_str().unwrap();
    assert!(words.contains("/no/such/path of the machine: No such file"), "{words}");
    // What is the host's outlives all that was made for containers.
    harbour.is_clear(&mounts);
    assert_eq!(read(&data.join("new")), "new\n");
    assert_eq!(read(&data.join("given")), "by the host\n");
}

#[test]
fn cont_06_iso_18_iso_19_a_task_in_an_image_is_shut_in_and_may_little() {
    let harbour = Harbour::new();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
                for kind in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done; \
                mount -t tmpfs none /tmp || echo no mount; mknod /tmp/x b 8 0 || echo no device; \
                echo b > /proc/sysrq-trigger || echo no sysrq; df /dev/shm | tail -1; hostname; cat /etc/hostname";
    let mut shut = in_image(task("shut", &offer, line), &harbour.layout.image("bare"));
    shut["container"]["hostname"] = json!("boxed");
    shut["container"]["linux_info"] = json!({ "shm_size": 8 });
    let line = "grep -E '^(CapBnd|CapEff):' /proc/self/status";
    let mut little = in_image(task("little", &offer, line), &harbour.layout.image("bare"));
    let names = json!({ "capabilities": ["CHOWN", "KILL"] });
    little["container"]["linux_info"] = json!({ "effective_capabilities": names });
    framework.launches(&offer, &[shut, little]);
    (0..2).for_each(|_| finishes(&mut framework));
    let said = harbour.printed(&framework, "shut");
    // Those of Docker but MKNOD.
    let usual = "00000000a80425fb";
    let usual = u64::from_str_radix(usual, 16).unwrap() & !(1 << 27);
    assert!(said.contains(&format!("CapBnd:\t{usual:016x}")), "{said}");
    assert!(said.contains(&format!("CapEff:\t{usual:016x}")), "{said}");
    assert!(said.contains("Seccomp:\t2"), "{said}");
    for kind in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let own = own.to_string_lossy().into_owned();
        assert!(said.contains(&format!("{kind}:[")) && !said.contains(&own), "{own}: {said}");
    }
    for words in ["no mount", "no device", "no sysrq", " 8192 ", "\nboxed\nboxed\n"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = harbour.printed(&framework, "little");
    assert_eq!(said, "CapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n");
}

#[test]
fn iso_19_iso_21_what_a_task_may_its_operator_says() {
    let all = r#"--bounding_capabilities={"capabilities":["NET_ADMIN","KILL"]}"#;
    let stage = Stage::of_master().with_agent_of(&[
        "--isolation=filesystem/linux,linux/capabilities,linux/nnp,namespaces/pid",
        all,
    ]);
    let info = json!({ "user": "root", "name": "capabilities" });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let line =
        "grep -E '^(CapBnd|CapEff|NoNewPrivs):' /proc/self/status; ls -d /proc/[0-9]* | wc -l";
    let with = |id: &str, names: &[&str]| {
        let mut task = task(id, &offer, line);
        let names = json!({ "capabilities": names });
        task["container"] =
            json!({ "type": "MESOS", "linux_info": { "effective_capabilities": names } });
        task
    };
    framework.launches(&offer, &[with("some", &["NET_ADMIN"]), with("more", &["SYS_ADMIN"])]);
    let mut ends = [end_of(&mut framework), end_of(&mut framework)];
    ends.sort_by_key(|end| end["task_id"]["value"].to_string());
    let words = ends[0]["message"].as_str().unwrap();
    assert!(words.contains("asks for the capability SYS_ADMIN, which is more"), "{words}");
    assert_eq!(ends[1]["state"], "TASK_FINISHED", "{}", ends[1]);
    let said = read(&sandbox(&stage, &framework.id, "some").join("stdout"));
    let lines: Vec<_> = said.lines().collect();
    let little = ["CapEff:\t0000000000001000", "CapBnd:\t0000000000001000", "NoNewPrivs:\t1"];
    assert_eq!(lines[..3], little, "{said}");
    // In no image, and yet alone: ISO-18.
    assert!(lines[3].trim().parse::<u32>().unwrap() <= 6, "{said}");
}

#[test]
fn iso_20_calls_of_the_system_are_filtered_by_the_profile_of_the_agent_or_the_task() {
    let profiles = tempfile::tempdir().unwrap();
    let refuses = |call: &str| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": [call, format!("{call}at")], "action": "SCMP_ACT_ERRNO" }] });
    for (name, call) in [("no-folders", "mkdir"), ("no-links", "symlink")] {
        std::fs::write(profiles.path().join(name), refuses(call).to_string()).unwrap();
    }
    let layout = Layout::made();
    let stage = Stage::of_master().with_agent_of(&[
        &format!("{ISOLATION},linux/seccomp"),
        PROVIDERS,
        &format!("--seccomp_config_dir={}", profiles.path().display()),
        "--seccomp_profile_name=no-folders",
    ]);
    let harbour = Harbour { stage, layout };
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "mkdir folder && echo folder; ln -s to link && echo link; true";
    let with = |id: &str, calls: Value| {
        let mut task = task(id, &offer, line);
        task["container"] = json!({ "type": "MESOS", "linux_info": { "seccomp": calls } });
        task
    };
    let tasks = [
        with("agents", json!({})),
        with("own", json!({ "profile_name": "no-links" })),
        with("free", json!({ "unconfined": true })),
        with("none", json!({ "profile_name": "../no-links" })),
        in_image(task("image", &offer, line), &harbour.layout.image("bare")),
    ];
    framework.launches(&offer, &tasks);
    let ends = tasks.iter().map(|_| end_of(&mut framework)).collect::<Vec<_>>();
    for end in ends {
        let id = end["task_id"]["value"].as_str().unwrap();
        let printed = match id {
            "agents" | "image" => "link\n",
            "own" => "folder\n",
            "free" => "folder\nlink\n",
            _ => {
                let words =
                    "cannot have the seccomp profile '../no-links': it is not the name of a file";
                assert!(end["message"].as_str().unwrap().contains(words), "{end}");
                assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{end}");
                continue;
            }
        };
        assert_eq!(end["state"], "TASK_FINISHED", "{end}");
        assert_eq!(harbour.printed(&framework, id), printed, "{id}");
    }
}

#[test]
fn img_05_a_root_is_laid_over_its_layers_or_copied_of_them() {
    for (back_end, is_overlay) in [("overlay", true), ("copy", false)] {
        let harbour = Harbour::with(&[&format!("--image_provisioner_backend={back_end}")]);
        let mounts = mounts_now();
        let mut framework = harbour.framework();
        let offer = framework.offer();
        let line = "cat /etc/os-release; ls /etc/gone; echo x > /etc/new; grep ' / / ' /proc/self/mountinfo; \
                    cut -d' ' -f5,9 /proc/self/mountinfo | grep '^/ '";
        let layered = in_image(task("layered", &offer, line), &harbour.layout.image("enters"));
        framework.launches(&offer, &[layered]);
        finishes(&mut framework);
        let said = harbour.printed(&framework, "layered");
        assert!(said.starts_with("NAME=enters\n"), "{said}");
        assert_eq!(said.contains("overlay"), is_overlay, "{back_end}: {said}");
        let errors = read(&sandbox(&harbour.stage, &framework.id, "layered").join("stderr"));
        assert!(errors.contains("/etc/gone: No such file"), "{errors}");
        harbour.is_clear(&mounts);
    }
}

#[test]
fn iso_16_what_a_task_writes_over_its_image_counts_as_what_it_writes_into_its_sandbox() {
    let isolation = "--isolation=filesystem/linux,docker/runtime,disk/du";
    let watch = ["--container_disk_watch_interval=50ms", "--enforce_container_disk_quota=true"];
    let flags = [&[isolation, PROVIDERS][..], &watch].concat();
    let stage = Stage::of_master().with_agent_of(&flags);
    let harbour = Harbour { stage, layout: Layout::made() };
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let disk = |megabytes: f64| json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": megabytes } });
    let writes = |id: &str, megabytes: f64| {
        let line = "head -c 20m /dev/zero > /srv/large; until [ -e $MESOS_SANDBOX/go ]; do sleep 0.05; done";
        let mut task = in_image(task(id, &offer, line), &harbour.layout.image("bare"));
        task["resources"].as_array_mut().unwrap().push(disk(megabytes));
        task
    };
    // The image itself is nobody's.
    framework.launches(&offer, &[writes("much", 10.0), writes("enough", 21.0)]);
    let end = end_of(&mut framework);
    assert_eq!((&end["task_id"]["value"], &end["state"]), (&json!("much"), &json!("TASK_FAILED")));
    assert_eq!(end["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{end}");
    eventually("it is counted", || {
        let all = http::ask(harbour.stage.agent_at(), "GET /monitor/statistics", &[], &[]).json();
        let of = |one: &Value| one["executor_id"] == "enough";
        let shown = all.as_array().unwrap().iter().find(|one| of(one)).cloned();
        let used = shown.and_then(|one| one["statistics"]["disk_used_bytes"].as_u64());
        used.is_some_and(|bytes| (20 << 20..21 << 20).contains(&bytes))
    });
    std::fs::write(sandbox(&harbour.stage, &framework.id, "enough").join("go"), "").unwrap();
    finishes(&mut framework);
}

#[test]
fn what_cannot_be_pulled_fails_with_the_reason_that_mesos_has_for_it_and_words() {
    let layout = Layout::made();
    let registry = Registry::start(&layout);
    let harbour = Harbour::new();
    let mut framework = harbour.framework();
    for (image, said) in [
        (registry.image("bare"), "there are no credentials for it"),
        (format!("oci:{}:none", layout.path().display()), "has no image \"none\""),
        ("oci:".into(), "names nothing"),
    ] {
        let offer = framework.offer();
        framework.launches(&offer, &[in_image(task("none", &offer, "true"), &image)]);
        let end = end_of(&mut framework);
        assert_eq!(end["state"], "TASK_FAILED", "{end}");
        assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{end}");
        assert!(end["message"].as_str().unwrap().contains(said), "{said}: {end}");
    }
    let without = Stage::of_one_agent();
    let info = json!({ "user": "root", "name": "images" });
    let mut framework = without.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[in_image(task("none", &offer, "true"), "busybox")]);
    let end = end_of(&mut framework);
    assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{end}");
    assert!(end["message"].as_str().unwrap().contains("--image_providers=docker"), "{end}");
}

#[test]
fn whoever_is_not_root_names_no_image_by_its_path_and_gains_nothing_by_one() {
    let layout = Layout::made();
    let registry = Registry::start(&layout);
    let harbour = Harbour::with(&[&format!("--docker_config={}", registry.logins().display())]);
    let secret = harbour.stage.home.path("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(secret.join("file"), "x").unwrap();
    let mut framework = harbour.framework_of("nobody");
    let offer = framework.offer();
    let by_path = in_image(task("1-path", &offer, "true"), &layout.image("bare"));
    let plain = in_image(
        task("2-plain", &offer, "id -u; grep NoNewPrivs /proc/self/status; touch x"),
        &registry.image("bare"),
    );
    let mut reaches = in_image(task("3-reaches", &offer, "cat /x"), &registry.image("bare"));
    let path = secret.join("file").display().to_string();
    reaches["container"]["volumes"] =
        json!([{ "container_path": "/x", "host_path": path, "mode": "RO" }]);
    framework.launches(&offer, &[by_path, plain, reaches]);
    let mut ends = [end_of(&mut framework), end_of(&mut framework), end_of(&mut framework)];
    ends.sort_by_key(|end| end["task_id"]["value"].to_string());
    let words = |end: &Value| end["message"].as_str().unwrap().to_owned();
    assert!(words(&ends[0]).contains("lies on the agent's machine"), "{}", ends[0]);
    assert_eq!(ends[1]["state"], "TASK_FINISHED", "{}", ends[1]);
    let uid = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    assert_eq!(harbour.printed(&framework, "2-plain"), format!("{uid}\nNoNewPrivs:\t1\n"));
    assert!(words(&ends[2]).contains("user 'nobody' may not reach"), "{}", ends[2]);
}
