//! The container that a task of `airside run` asks for, and what that may take at most, in the words of the v1 API.

use std::path::Path;

use api::v1;
use api::v1::container_info::{MesosInfo, Type};
use protocol::carried::Carried;
use protocol::limits::TaskLimits;

use crate::arguments::RunArguments;

/// Of an image that lies on this machine: its path counts from where this runs, and agents run elsewhere.
const LOCAL: [&str; 3] = ["oci:", "docker-archive:", "dir:"];

/// What its task carries; nothing, if it asks for nothing.
pub(super) fn carried(arguments: &RunArguments) -> Carried<v1::TaskInfo> {
    let container = container(arguments);
    let limits = TaskLimits { cpus: arguments.cpus_limit, mem: arguments.mem_limit }.to_v1();
    if container.is_none() && limits.is_empty() {
        return Carried::default();
    }
    Carried::new(&v1::TaskInfo { container, limits, ..Default::default() })
}

fn container(arguments: &RunArguments) -> Option<v1::ContainerInfo> {
    if arguments.image.is_none() && arguments.volume.is_empty() {
        return None;
    }
    let image = arguments.image.as_deref().map(|name| v1::Image {
        r#type: v1::image::Type::Docker.into(),
        docker: Some(v1::image::Docker { name: absolute(name), ..Default::default() }),
        ..Default::default()
    });
    let volume = |(host, target, read_only): &(String, String, bool)| {
        let mode = if *read_only { v1::volume::Mode::Ro } else { v1::volume::Mode::Rw };
        v1::Volume {
            mode: mode.into(),
            container_path: target.clone(),
            host_path: Some(host.clone()),
            ..Default::default()
        }
    };
    Some(v1::ContainerInfo {
        r#type: Type::Mesos.into(),
        volumes: arguments.volume.iter().map(volume).collect(),
        mesos: Some(MesosInfo { image }),
        ..Default::default()
    })
}

fn absolute(name: &str) -> String {
    let cut = LOCAL.iter().find_map(|kind| Some((*kind, name.strip_prefix(kind)?)));
    let Some((kind, rest)) = cut else { return name.to_owned() };
    match std::path::absolute(Path::new(rest)) {
        // Without the dots that people write.
        Ok(path) => format!("{kind}{}", path.components().as_path().display()),
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_on_this_machine_is_named_from_its_root() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("oci:./a:tag"), format!("oci:{}/a:tag", here.display()));
        assert_eq!(absolute("docker-archive:/srv/a.tar"), "docker-archive:/srv/a.tar");
        assert_eq!(absolute("busybox:1"), "busybox:1");
    }

    #[test]
    fn a_volume_is_a_path_of_the_machine_and_where_the_task_sees_it() {
        let read = |text: &str| crate::units::volume(text);
        assert_eq!(read("/srv:/data"), Ok(("/srv".into(), "/data".into(), false)));
        assert_eq!(read("/srv:data:ro"), Ok(("/srv".into(), "data".into(), true)));
        for text in ["/srv", "srv:/data", "/srv:", "/srv:/data:rw:ro"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
