//! Groups of a former life, on the real kernel.

use super::*;
use crate::cgroups::hierarchies;
use crate::cgroups::logic::controller::Controller;
use crate::container::Container;

fn hierarchies(test: &str) -> Hierarchies {
    let settings = hierarchies::Settings {
        root: "airside-tests".into(),
        agent: format!("{test}-{}", std::process::id()),
        below_own: false,
        controllers: [Controller::Cpu, Controller::Freezer].into(),
    };
    Hierarchies::open(&hierarchies::look().unwrap(), &settings).unwrap()
}

fn id(name: &str) -> ContainerPath {
    ContainerPath::of_executor(ContainerName::new(name).unwrap())
}

fn prepare(groups: &ControlGroups, id: &ContainerPath) {
    let (mut container, allowance) = (Container::default(), Allowance::default());
    let (container, allowance) = (&mut container, &allowance);
    let mut launch = Launch { id, container, allowance, folders: &[] };
    groups.prepare(&mut launch).unwrap();
}

#[test]
fn a_group_that_a_former_life_made_for_a_container_that_it_never_knew_is_made_anew() {
    let hierarchies = hierarchies("anew");
    let held = Held { cpu: true, ..Held::default() };
    let life = || ControlGroups::held(&hierarchies, held).unwrap();
    let id = id("0123456789abcdef0123456789abcdef");
    let former = life();
    prepare(&former, &id);
    let mut forgotten = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let group = || hierarchies.group(&path(&id).unwrap()).unwrap();
    group().attach(Pid::from_raw(forgotten.id().cast_signed())).unwrap();
    drop(former);
    let next = life();
    prepare(&next, &id);
    assert!(!forgotten.wait().unwrap().success(), "it was killed");
    assert_eq!(group().processes().unwrap(), []);
    next.clean_up(&id).unwrap();
    drop(next);
    hierarchies.remove().unwrap();
}

#[test]
fn groups_of_containers_that_nobody_knows_are_named_and_go() {
    let hierarchies = hierarchies("orphans");
    let held = Held { cpu: true, ..Held::default() };
    let life = || ControlGroups::held(&hierarchies, held).unwrap();
    let former = life();
    prepare(&former, &id("known"));
    prepare(&former, &id("lost"));
    drop(former);
    let next = life();
    let known = |name| Known {
        id: id(name),
        process: None,
        allowance: Allowance::default(),
        folders: Vec::new(),
    };
    assert_eq!(next.recover(&[known("known"), known("gone")]), Ok(vec![id("lost")]));
    for left in ["lost", "known"] {
        next.kill(&id(left)).unwrap();
        next.clean_up(&id(left)).unwrap();
    }
    drop(next);
    assert!(hierarchies.list().unwrap().is_empty());
    hierarchies.remove().unwrap();
}
