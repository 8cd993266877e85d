//! crun and runc, on a bundle that each makes itself, with the same limits and namespaces. The root is a folder as it is: they make no
//! overlay, which is in their favour.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::place::{GROUPS, Place};

pub(crate) fn run(program: &str, place: &Place) -> Result<(), Box<dyn Error>> {
    let bundle = place.path().join(program);
    if !bundle.exists() {
        prepare(program, place)?;
    }
    let mut command = Command::new(program);
    command.arg("--root").arg(place.path().join(format!("{program}-state")));
    command.args(["run", "--bundle"]).arg(&bundle).arg(format!("bench-{program}"));
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

fn prepare(program: &str, place: &Place) -> Result<(), Box<dyn Error>> {
    let bundle = place.path().join(program);
    fs::create_dir(&bundle)?;
    Command::new(program).arg("spec").current_dir(&bundle).status()?;
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/true"]);
    config["root"] = json!({"path": place.root(), "readonly": false});
    config["linux"]["cgroupsPath"] = json!(format!("/{GROUPS}/{program}"));
    config["linux"]["namespaces"] = json!([
        {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
    ]);
    config["linux"]["resources"] = json!({
        "cpu": {"shares": 512, "quota": 50000, "period": 100_000},
        "memory": {"limit": 67_108_864, "reservation": 67_108_864},
        "pids": {"limit": 100},
    });
    // The tree of groups as a mount of theirs needs one of the second version, or all of the first.
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["type"] != "cgroup");
    }
    fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
    Ok(())
}
