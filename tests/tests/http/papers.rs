//! What `docs/http.md` says to type does what it says.

use std::process::Command;

use crate::stage::Stage;

const PAGE: &str = include_str!("../../../docs/http.md");

#[test]
fn the_commands_of_the_page_on_http_run_one_after_the_other() {
    let stage = Stage::of_one_agent();
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect();
    assert!(script.contains("TEARDOWN"), "the page has commands");
    let mut shell = Command::new("timeout");
    shell.args(["60", "bash", "-euxc", &script]).env("MASTER", &stage.at);
    let ran = stage.home.run(shell.current_dir(stage.home.path("")));
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let events = std::fs::read_to_string(stage.home.path("events")).unwrap();
    assert!(events.contains("TASK_FINISHED"), "{events}");
    let frameworks =
        stage.home.airside(&["frameworks", "--json", &format!("--master={}", stage.at)]);
    assert!(frameworks.stdout.contains("removed"), "{frameworks:#?}");
}
