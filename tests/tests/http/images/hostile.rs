//! Tasks that mean harm, to whoever looks after them, to those beside them, and to whoever reads what they write.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http;
use tests::images::Layout;

use super::{Harbour, ISOLATION, PROVIDERS, in_image, mounts_now, runs};
use crate::stage::{Framework, Stage, task};
use crate::started::{end_of, read, sandbox};
use tests::groups::Groups;

/// The next news of this task that is its end; of the one beside it there is none.
#[track_caller]
fn end_beside(framework: &mut Framework, task: &str) -> Value {
    let end = end_of(framework);
    assert_eq!(end["task_id"]["value"], task, "its neighbour is undisturbed: {end}");
    end
}

/// Ends the neighbour, which had run all the time.
#[track_caller]
fn neighbour_is_well(framework: &mut Framework) {
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "beside" } } }));
    let end = end_of(framework);
    assert_eq!(
        (&end["task_id"]["value"], &end["state"]),
        (&json!("beside"), &json!("TASK_KILLED"))
    );
}

#[test]
fn a_task_that_ignores_its_end_and_leaves_daemons_and_busy_mounts_is_gone_when_it_is_killed() {
    let harbour = Harbour::new();
    let mounts = mounts_now();
    let data = harbour.stage.home.path("data");
    std::fs::create_dir(&data).unwrap();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let line = "trap '' TERM INT HUP; cd /data; exec 3> /data/held; \
                (setsid sh -c 'trap \"\" TERM; cd /data; while true; do sleep 1; done' &); \
                touch up; while true; do sleep 1; done";
    let image = harbour.layout.image("bare");
    let mut deaf = in_image(task("deaf", &offer, line), &image);
    let place = data.display().to_string();
    deaf["container"]["volumes"] =
        json!([{ "container_path": "/data", "host_path": place, "mode": "RW" }]);
    deaf["kill_policy"] = json!({ "grace_period": { "nanoseconds": 100_000_000 } });
    framework.launches(&offer, &[deaf, in_image(task("beside", &offer, "sleep 1000"), &image)]);
    runs(&mut framework);
    runs(&mut framework);
    eventually("it holds on to its volume", || data.join("up").exists());
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "deaf" } } }));
    let end = end_beside(&mut framework, "deaf");
    assert_eq!(end["state"], "TASK_KILLED", "{end}");
    eventually("one container is left", || harbour.records().len() == 1);
    std::fs::rename(&data, harbour.stage.home.path("free")).unwrap();
    neighbour_is_well(&mut framework);
    harbour.is_clear(&mounts);
}

#[test]
fn a_task_that_forks_without_end_is_ended_by_its_memory_and_nothing_of_it_goes_on() {
    let groups = Groups::own();
    let isolation = format!("{ISOLATION},cgroups/cpu,cgroups/mem");
    let flags = [&isolation, PROVIDERS, &groups.flag()];
    let harbour =
        Harbour { stage: Stage::of_master().with_agent_of(&flags), layout: Layout::made() };
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let image = harbour.layout.image("bare");
    let bomb = "bomb() { bomb | bomb & }; bomb; while true; do bomb; done";
    framework.launches(
        &offer,
        &[
            in_image(task("beside", &offer, "sleep 1000"), &image),
            in_image(task("bomb", &offer, bomb), &image),
        ],
    );
    let end = end_beside(&mut framework, "bomb");
    assert_eq!(end["state"], "TASK_FAILED", "{end}");
    assert_eq!(end["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{end}");
    eventually("one container is left", || harbour.records().len() == 1);
    neighbour_is_well(&mut framework);
    harbour.is_clear(&mounts);
    eventually("its groups are gone", || groups.count() == 0);
}

#[test]
fn a_task_that_fills_its_sandbox_with_empty_files_takes_more_of_the_disk_than_it_holds() {
    let stage = Stage::of_master().with_agent_of(&[
        "--isolation=disk/du",
        "--container_disk_watch_interval=50ms",
        "--enforce_container_disk_quota=true",
    ]);
    let info = json!({ "user": "root", "name": "files", "checkpoint": true });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    // Only their names take anything.
    let line = "x=$(printf '%0200d' 0); n=0; \
                while true; do n=$((n+1)); : > $n-$x; done";
    let mut many = task("many", &offer, line);
    let disk = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": 1.0 } });
    many["resources"].as_array_mut().unwrap().push(disk);
    framework.launches(&offer, &[task("beside", &offer, "sleep 1000"), many]);
    let end = end_beside(&mut framework, "many");
    assert_eq!(end["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{end}");
    let made = std::fs::read_dir(sandbox(&stage, &framework.id, "many")).unwrap().count();
    assert!(made > 1000, "{made}");
    neighbour_is_well(&mut framework);
}

#[test]
fn links_that_a_task_puts_into_its_sandbox_while_that_is_read_lead_nowhere() {
    let harbour = Harbour::new();
    let secret = harbour.stage.home.path("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("log"), "SECRET").unwrap();
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let secret = secret.display();
    let line = format!(
        "cd $MESOS_SANDBOX; mkdir own; echo mine > own/log; touch up; \
         while true; do ln -s {secret}/log new; mv -f new log; ln -s {secret} aside; mv own kept; mv aside below; \
         echo mine > new; mv -f new log; rm below; mv kept below; mv below own; done"
    );
    framework
        .launches(&offer, &[in_image(task("links", &offer, &line), &harbour.layout.image("bare"))]);
    runs(&mut framework);
    let place = sandbox(&harbour.stage, &framework.id, "links");
    eventually("it has begun", || place.join("up").exists());
    let (mut mine, mut refused) = (0, 0);
    eventually("it is read in all its states", || {
        for file in ["log", "below/log", "own/log"] {
            let path = place.join(file).display().to_string();
            for line in [
                format!("GET /files/read?path={path}&offset=0&length=100"),
                format!("GET /files/download?path={path}"),
            ] {
                let answer = http::ask(harbour.stage.agent_at(), &line, &[], b"");
                assert!(!answer.text().contains("SECRET"), "{line}: {answer:?}");
                match answer.text().contains("mine") {
                    true => mine += 1,
                    false => refused += 1,
                }
            }
        }
        mine > 100 && refused > 100
    });
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "links" } } }));
    assert_eq!(end_of(&mut framework)["state"], "TASK_KILLED");
}

#[test]
fn without_the_clusters_secret_a_task_in_an_image_finds_its_agents_port_shut_and_no_secret_lying_about()
 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let value = "secret-of-the-cluster".repeat(2);
    std::fs::write(&file, &value).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let secret = format!("--cluster-secret-file={}", file.display());
    let stage = Stage::of_master_with(&[&secret]).with_agent_of(&[ISOLATION, PROVIDERS, &secret]);
    let (host, port) = stage.agent_at().rsplit_once(':').unwrap();
    let script = format!(
        r#"ask() {{ printf "$1 HTTP/1.1\r\nHost: it\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${{#2}}\r\n\r\n%s" "$2" |
               nc {host} {port} | head -1 | cut -d' ' -f2; }}
           ask "GET /health"
           ask "GET /files/browse?path=/"
           ask "GET /files/read?path=/slave/log"
           ask "GET /flags"
           ask "GET /state"
           ask "POST /api/v1" '{{"type":"GET_FLAGS"}}'
           ask "POST /api/v1" '{{"type":"LAUNCH_CONTAINER","launch_container":{{"container_id":{{"value":"c"}}}}}}'
           ask "POST /api/v1/executor" '{{"type":"SUBSCRIBE","framework_id":{{"value":"f"}},"executor_id":{{"value":"e"}},"subscribe":{{}}}}'
           head -c 4096 /dev/zero | nc {host} {port} | head -1 | cut -d' ' -f2
           cat /proc/[0-9]*/environ 2> /dev/null | tr '\0' '\n' | grep -i -E 'TOKEN|SECRET'
           find / -xdev -name 'agent.*' -o -xdev -name inside -o -xdev -name secret | grep -v ^/proc
           echo done"#
    );
    let layout = Layout::made();
    let (master, image) = (format!("--master={}", stage.at), layout.image("bare"));
    let line = ["run", &master, &secret, "--image", &image, "--", "sh", "-c", &script];
    let outcome = stage.home.airside(&line);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let refused = ["403"; 7];
    assert_eq!(lines.first(), Some(&"200"), "anybody may ask how it is: {outcome:?}");
    assert_eq!(lines[1..8], refused, "{outcome:?}");
    assert_eq!(lines[8..], ["400", "done"], "{outcome:?}");
    assert!(!read(&file).is_empty());
}
