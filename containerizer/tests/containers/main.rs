//! Containers on the real kernel, as root, in a root of busybox: what runs in them, what they cannot reach, and that nothing
//! is left of them.

#![allow(clippy::unwrap_used)] // all of this is a test

mod cell;
mod cycles;
mod escapes;
mod isolators;
mod lives;
mod recorder;

use cell::Cell;
use containerizer::confinement::identity::{Limit, LimitOf};
use containerizer::confinement::mounts::Propagation;
use containerizer::confinement::{Mount, UserSpec};
use containerizer::namespaces::Namespaces;
use containerizer::runtime::Exit;

#[test]
fn codes_and_signals_come_back() {
    let mut cell = Cell::new();
    assert_eq!(cell.sh("exit 7").exit, Some(Exit::Code(7)));
    assert_eq!(cell.sh("kill -TERM $$").exit, Some(Exit::Signal(15)));
    assert_eq!(cell.sh("kill -9 $$").exit, Some(Exit::Signal(9)));
}

#[test]
fn a_program_that_is_not_there_or_does_not_start_is_told_in_words() {
    let mut cell = Cell::new();
    let missing = cell.run(&["/no/such"], |_| {});
    assert_eq!(missing.not_started.as_ref().map(|error| error.code), Some(127));
    let folder = cell.run(&["/etc"], |_| {});
    assert_eq!(folder.not_started.as_ref().map(|error| error.code), Some(126));
    let user = cell.run(&["/bin/true"], |container| {
        container.confinement.identity.user = Some(UserSpec::Named("nobody-here".into()));
    });
    let words = user.not_started.expect("it did not start").words;
    assert!(words.contains("'nobody-here' is unknown"), "{words}");
}

#[test]
fn a_process_that_exits_at_once_is_never_lost() {
    let mut cell = Cell::new();
    for round in 0..1000 {
        let ended = cell.run(&["/bin/true"], |container| container.confinement.mounts.clear());
        assert_eq!(ended.exit, Some(Exit::Code(0)), "round {round}: {ended:?}");
    }
    cell.is_bare();
}

#[test]
fn iso_18_the_program_sees_its_own_processes_names_and_memory_only() {
    let mut cell = Cell::new();
    let ended = cell.sh("echo $$; ls /proc | grep -c '^[0-9]'; hostname; df -k /dev/shm | tail -1");
    let lines: Vec<_> = ended.output.lines().collect();
    assert_eq!(lines[0], "2", "its init is 1: {ended:?}");
    assert!(lines[1].parse::<u32>().unwrap() < 8, "{ended:?}");
    assert_eq!(lines[2], "inside");
    assert!(lines[3].contains("65536"), "{ended:?}");
    for kind in ["pid", "ipc", "uts"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let inside = cell.sh(&format!("readlink /proc/self/ns/{kind}"));
        assert!(inside.output.starts_with(kind), "{inside:?}");
        assert_ne!(inside.output.trim(), own.display().to_string(), "{kind}");
    }
}

#[test]
fn iso_02_limits_of_resources_hold_in_the_program() {
    let mut cell = Cell::new();
    let ended = cell.run(&["/bin/sh", "-c", "ulimit -n; ulimit -c"], |container| {
        let limit = |of, value| Limit { of, soft: Some(value), hard: Some(value) };
        container.confinement.identity.limits =
            vec![limit(LimitOf::OpenFiles, 77), limit(LimitOf::Core, 0)];
    });
    assert_eq!(ended.output, "77\n0\n", "{ended:?}");
}

#[test]
fn iso_19_capabilities_are_the_usual_ones_and_bound_whatever_is_started() {
    let mut cell = Cell::new();
    let ended = cell.sh("grep -E 'CapEff|CapBnd|CapAmb|Seccomp:' /proc/self/status");
    // AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, NET_RAW, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT.
    let usual = "00000000a00425fb";
    for line in ["CapEff", "CapBnd"] {
        let found = ended.output.lines().find(|found| found.starts_with(line)).unwrap();
        assert!(found.ends_with(usual), "{ended:?}");
    }
    assert!(ended.output.contains("Seccomp:\t2"), "{ended:?}");
}

#[test]
fn cont_06_the_program_is_who_it_is_to_be_by_its_roots_own_names() {
    let mut cell = Cell::new();
    let script = "id; pwd; umask; echo $GREETING; grep NoNewPrivs /proc/self/status";
    let ended = cell.run(&["/bin/sh", "-c", script], |container| {
        let confinement = &mut container.confinement;
        confinement.identity.user = Some(UserSpec::Named("app".into()));
        confinement.identity.umask = Some(0o027);
        confinement.identity.no_new_privileges = true;
        confinement.work_dir = Some("/tmp".into());
        confinement.environment.push(c"GREETING=hello".into());
    });
    let expected = ["uid=1000(app)", "/tmp", "0027", "hello", "NoNewPrivs:\t1"];
    for word in expected {
        assert!(ended.output.contains(word), "{word}: {ended:?}");
    }
}

#[test]
fn vol_08_a_read_only_volume_cannot_be_written_and_cleaning_up_leaves_all_of_it() {
    let mut cell = Cell::new();
    let volume = cell.folder("volume");
    std::fs::write(volume.join("kept"), "x").unwrap();
    for read_only in [true, false] {
        let ended = cell.run(
            &["/bin/sh", "-c", "cat /data/deep/kept; echo y > /data/deep/new"],
            |container| {
                let source = volume.clone();
                let target = "/data/deep".into();
                let propagation = Propagation::Private;
                container.confinement.mounts.push(Mount::Bind {
                    source,
                    target,
                    read_only,
                    propagation,
                });
            },
        );
        assert!(ended.output.starts_with('x'), "{ended:?}");
        assert_eq!(ended.exit == Some(Exit::Code(0)), !read_only, "{ended:?}");
    }
    cell.is_bare();
    assert_eq!(std::fs::read(volume.join("kept")).unwrap(), b"x");
    assert_eq!(std::fs::read(volume.join("new")).unwrap(), b"y\n");
}

#[test]
fn iso_15_mounts_are_in_a_namespace_of_their_own_and_the_roots_folder_is_not_written_to() {
    let mut cell = Cell::new();
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ended = cell.sh("echo gone > /new; mv /etc/passwd /etc/moved; cat /proc/self/mountinfo");
    assert!(ended.output.contains(" / / rw"), "{ended:?}");
    assert!(!ended.output.contains("/work/"), "no mount of the host's is there: {ended:?}");
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    assert!(!cell.root().join("new").exists() && cell.root().join("etc/passwd").exists());
}

#[test]
fn a_secret_is_in_memory_and_read_only() {
    let mut cell = Cell::new();
    let ended = cell.run(
        &["/bin/sh", "-c", "cat /run/key; stat -c %a /run/key; echo x > /run/key"],
        |container| {
            container.confinement.mounts.push(Mount::Secret {
                target: "/run/key".into(),
                value: b"sesame\n".to_vec(),
                mode: 0o400,
                owner: (0, 0),
            });
        },
    );
    assert!(ended.output.starts_with("sesame\n400\n"), "{ended:?}");
    assert_ne!(ended.exit, Some(Exit::Code(0)));
}

#[test]
fn many_layers_lie_over_one_another_and_the_upper_ones_win() {
    let mut cell = Cell::new();
    let layers: Vec<_> = (0..100)
        .map(|number| {
            let layer = cell.folder(&format!("a-layer-with-quite-a-long-name-{number}"));
            std::fs::write(layer.join("top"), format!("{number}\n")).unwrap();
            layer
        })
        .collect();
    for back_end in
        [containerizer::confinement::BackEnd::Overlay, containerizer::confinement::BackEnd::Copy]
    {
        let ended = cell.run(&["/bin/cat", "/top"], |container| {
            let root = container.confinement.root.as_mut().unwrap();
            root.back_end = back_end;
            root.layers.extend(layers.clone());
        });
        assert_eq!(ended.output, "99\n", "{back_end:?}: {ended:?}");
    }
    cell.is_bare();
}

#[test]
fn net_01_its_own_network_has_a_loopback_that_is_up_and_the_hosts_is_the_hosts() {
    let mut cell = Cell::new();
    let own = cell.sh("cat /sys/class/net/lo/flags; ls /sys/class/net");
    assert_eq!(own.output, "0x9\nlo\n", "{own:?}");
    let hosts = cell.run(&["/bin/sh", "-c", "readlink /proc/self/ns/net"], |container| {
        container.namespaces = Namespaces { network: false, ..Namespaces::all() };
    });
    let here = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(hosts.output.trim(), here.to_str().unwrap());
}
