//! Images run by an agent that is not root, in namespaces of users.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tests::cluster::eventually;
use tests::images::{Layout, Registry};

use super::{ISOLATION, PROVIDERS, in_image, runs};
use crate::stage::{Stage, task};
use crate::started::end_of;
use crate::used::without_rights;

/// It is root there, and the agent's user outside; there is nobody else.
#[test]
fn an_agent_that_is_not_root_runs_images_as_its_own_user() {
    let stage = Stage::of_master();
    let registry = Registry::start(&Layout::made());
    let logins = stage.home.path("logins");
    fs::copy(registry.logins(), &logins).unwrap();
    fs::set_permissions(&logins, Permissions::from_mode(0o644)).unwrap();
    let config = format!("--docker_config={}", logins.display());
    let store = format!("--docker_store_dir={}", stage.home.path("w/store").display());
    let flags = [ISOLATION, PROVIDERS, &config, &store];
    let (mut agent, work, user) = without_rights(&stage, &flags);
    agent.says("agent@");
    let info = json!({ "user": user.name, "name": "rootless", "failover_timeout": 600.0 });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let line = "id -u; cat /etc/os-release; stat -c %u /etc/passwd; echo mine > $MESOS_SANDBOX/made; \
                mknod /tmp/x b 8 0 || echo no device; cat /proc/self/uid_map; ls -d /proc/[0-9]* | wc -l";
    framework.launches(&offer, &[in_image(task("in", &offer, line), &registry.image("enters"))]);
    let running = runs(&mut framework);
    let image = registry.image("enters");
    assert_eq!(
        running["message"],
        format!(
            "in the image {image}, in namespaces of its own, as root of them and the agent's user outside"
        )
    );
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let lives = fs::read_dir(work.join("sandboxes").join(&framework.id).join("in")).unwrap();
    let sandbox = lives.flatten().next().unwrap().path();
    let read = |name: &str| fs::read_to_string(sandbox.join(name)).unwrap();
    let said = read("stdout");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..4], ["0", "NAME=enters", "0", "no device"], "{said}");
    let map: Vec<_> = lines[4].split_whitespace().collect();
    assert_eq!(map, ["0", &user.uid.to_string(), "1"], "{said}");
    assert!(lines[5].trim().parse::<u32>().unwrap() <= 6, "it sees its own processes: {said}");
    assert!(read("stderr").contains("the image's user 'app' is ignored"), "{}", read("stderr"));
    let made = fs::metadata(sandbox.join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), user.uid.as_raw());
    let records = work.join("containers");
    eventually("nothing of it is left", || fs::read_dir(&records).unwrap().next().is_none());
}
