//! Where processes are in the one tree, and what is done to all of a group at once.

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Limits};
use nix::errno::Errno;

use crate::place::{Program, SOON, eventually};
use crate::place_of_v2;

#[test]
fn iso_13_processes_are_in_leaves_and_groups_that_give_controllers_have_none() {
    let Some(place) = place_of_v2() else { return };
    let limits = Limits { pids: Some(Bound::At(64)), ..Limits::default() };
    let outer = place.create("a", &limits);
    let mut outer_program = Program::start(&outer, "exec sleep 1000");
    // Made beside the leaf although the outer one has processes already.
    let path = outer.path().nested("b").unwrap();
    let inner = place.trees.create(&path, &limits).unwrap();
    let mut inner_program = Program::start(&inner, "exec sleep 1000");
    for (group, program) in [(&outer, &outer_program), (&inner, &inner_program)] {
        let read = |file| place.read(Controller::Pids, group, file);
        assert_eq!(read("cgroup.procs"), "");
        assert_eq!(read("leaf/cgroup.procs"), program.pid().to_string());
        assert_eq!(read("leaf/cgroup.controllers"), read("cgroup.subtree_control"));
    }
    assert!(place.read(Controller::Pids, &outer, "cgroup.subtree_control").contains("pids"));
    assert_eq!(place.read(Controller::Pids, &inner, "cgroup.subtree_control"), "");
    // The kernel holds to it, too.
    let folder = place.trees.folders().next().unwrap();
    let procs = folder.join(outer.path().as_str()).join("cgroup.procs");
    let refused = std::fs::write(procs, outer_program.pid().to_string()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::EBUSY as i32));
    outer.destroy(SOON).unwrap();
    assert!(!outer_program.wait().success() && !inner_program.wait().success());
    assert!(!inner.is_there());
}

#[test]
fn iso_13_a_group_is_frozen_and_killed_at_once_with_what_is_nested_in_it() {
    let Some(place) = place_of_v2() else { return };
    let outer = place.create("a", &Limits::default());
    let path = outer.path().nested("b").unwrap();
    let inner = place.trees.create(&path, &Limits::default()).unwrap();
    let mut program = Program::waiting("exit 7");
    inner.attach(program.pid()).unwrap();
    eventually("all of it stands still", || outer.freeze().unwrap());
    let events = |group| place.read(Controller::Freezer, group, "cgroup.events");
    assert!(events(&inner).contains("frozen 1"), "{}", events(&inner));
    program.go();
    assert!(program.is_running());
    outer.thaw().unwrap();
    assert_eq!(program.wait().code(), Some(7));

    let mut forks = Program::start(&inner, "while :; do sleep 0.01 & done");
    assert!(events(&outer).contains("populated 1"), "{}", events(&outer));
    outer.kill().unwrap();
    assert!(!forks.wait().success());
    eventually("nothing runs", || events(&outer).contains("populated 0"));
}
