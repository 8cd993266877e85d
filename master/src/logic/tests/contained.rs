//! Tasks that ask for containers.

use api::v1;
use protocol::carried::Carried;
use protocol::task::{CommandSpec, Run, TaskSpec};

use super::offers::{offered, refused};
use super::scenario::task;

/// What a task carries that asks for a container of Mesos's kind, with this image.
pub(super) fn contained(image: Option<&str>) -> Carried<v1::TaskInfo> {
    let image = image.map(|name| v1::Image {
        r#type: v1::image::Type::Docker.into(),
        docker: Some(v1::image::Docker { name: name.into(), ..Default::default() }),
        ..Default::default()
    });
    let container = v1::ContainerInfo {
        r#type: v1::container_info::Type::Mesos.into(),
        mesos: Some(v1::container_info::MesosInfo { image }),
        ..Default::default()
    };
    Carried::new(&v1::TaskInfo { container: Some(container), ..Default::default() })
}

#[test]
fn iso_24_an_image_says_what_to_run_unless_that_is_to_be_a_line_for_the_shell() {
    let command = |shell| Run::Command(CommandSpec { shell, ..CommandSpec::default() });
    refused(
        |t| (t.run, t.carried) = (command(true), contained(Some("busybox"))),
        "the task's command is empty",
    );
    refused(|t| (t.run, t.carried) = (command(false), contained(None)), "command is empty");
    let mut t = offered();
    let with_image =
        TaskSpec { run: command(false), carried: contained(Some("busybox")), ..task("image", 1.0) };
    t.launches(1, 1, vec![with_image]);
    t.did(["to agent-1: Launch image"]);
}
