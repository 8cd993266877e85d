//! What a former life left and nobody knows any more: groups, mounts and processes of containers that are not among those that
//! run. What is decided here is done by others, processes first: they keep groups and mounts busy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::path::GroupPath;

/// All that was found on the machine below what is this agent's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Groups below the agent's folder.
    pub groups: BTreeSet<GroupPath>,
    /// Mount points below the agent's runtime folder, in the order of `/proc/self/mountinfo`: later ones may be on earlier.
    pub mounts: Vec<PathBuf>,
    /// Processes that carry the mark of a container, by number.
    pub processes: BTreeMap<i32, GroupPath>,
}

/// What is to be removed, each in the order in which it can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// To be killed.
    pub processes: Vec<i32>,
    /// To be removed, with all that is nested in them: the outermost only.
    pub groups: Vec<GroupPath>,
    /// To be unmounted: the last first.
    pub mounts: Vec<PathBuf>,
}

/// What belongs to none of the containers that are known. `folder` has a folder for each of them, named as its outermost
/// container is; what else is mounted in it is nobody's. A nested container is known by its own path, and with it all that it is
/// nested in.
pub fn orphans(known: &BTreeSet<GroupPath>, folder: &Path, remains: &Remains) -> Orphans {
    let kept = with_parents(known);
    let is_orphan = |group: &GroupPath| !kept.contains(group);
    let has_parent_that_goes = |group: &GroupPath| group.parent().is_some_and(|p| is_orphan(&p));
    let outermost = |group: &&GroupPath| is_orphan(group) && !has_parent_that_goes(group);
    let tops: BTreeSet<&str> = kept.iter().filter_map(|group| group.names().next()).collect();
    let of_nobody = |mount: &&PathBuf| {
        let Ok(below) = mount.strip_prefix(folder) else {
            return false;
        };
        let owner = below.components().next().and_then(|part| part.as_os_str().to_str());
        // The folder itself may be a mount of the agent's.
        !below.as_os_str().is_empty() && owner.is_none_or(|owner| !tops.contains(owner))
    };
    let processes = remains.processes.iter().filter(|(_, group)| is_orphan(group));
    Orphans {
        processes: processes.map(|(number, _)| *number).collect(),
        groups: remains.groups.iter().filter(outermost).cloned().collect(),
        mounts: remains.mounts.iter().rev().filter(of_nobody).cloned().collect(),
    }
}

fn with_parents(known: &BTreeSet<GroupPath>) -> BTreeSet<GroupPath> {
    let mut all = known.clone();
    for group in known {
        let mut next = group.parent();
        while let Some(parent) = next {
            next = parent.parent();
            all.insert(parent);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(texts: &[&str]) -> BTreeSet<GroupPath> {
        texts.iter().map(|text| GroupPath::parse(text).unwrap()).collect()
    }

    fn names(groups: &[GroupPath]) -> Vec<&str> {
        groups.iter().map(GroupPath::as_str).collect()
    }

    fn found() -> Remains {
        Remains {
            groups: groups(&["a", "a/nested/b", "a/nested/c", "d", "d/nested/e"]),
            mounts: ["/run/a/rootfs", "/run/d/rootfs", "/run/d/rootfs/proc", "/run", "/x/d"]
                .map(PathBuf::from)
                .into(),
            processes: groups(&["a/nested/b", "d"])
                .into_iter()
                .zip([7, 8])
                .map(|(g, n)| (n, g))
                .collect(),
        }
    }

    #[test]
    fn what_is_of_no_known_container_goes_and_the_outermost_group_takes_the_others_along() {
        let orphans = orphans(&groups(&["a"]), Path::new("/run"), &found());
        assert_eq!(names(&orphans.groups), ["a/nested/b", "a/nested/c", "d"]);
        assert_eq!(orphans.processes, [7, 8]);
        let mounts = ["/run/d/rootfs/proc", "/run/d/rootfs"].map(PathBuf::from);
        assert_eq!(orphans.mounts, mounts, "the last first, and nothing that is not the agent's");
    }

    #[test]
    fn a_known_nested_container_keeps_what_it_is_in() {
        let orphans = orphans(&groups(&["a/nested/b"]), Path::new("/run"), &found());
        assert_eq!(names(&orphans.groups), ["a/nested/c", "d"]);
        assert_eq!(orphans.processes, [8]);
    }

    #[test]
    fn a_container_whose_name_begins_like_a_known_one_is_another() {
        let mut remains = Remains::default();
        remains.mounts.push("/run/ab/rootfs".into());
        remains.groups = groups(&["ab"]);
        let orphans = orphans(&groups(&["a"]), Path::new("/run"), &remains);
        assert_eq!(orphans.mounts, ["/run/ab/rootfs"].map(PathBuf::from));
        assert_eq!(names(&orphans.groups), ["ab"]);
    }

    #[test]
    fn when_all_is_known_nothing_goes_and_when_nothing_is_known_all_goes() {
        let found = found();
        let none = orphans(&found.groups, Path::new("/run"), &found);
        assert_eq!(none, Orphans::default());
        let all = orphans(&BTreeSet::new(), Path::new("/run"), &found);
        assert_eq!(names(&all.groups), ["a", "d"]);
        assert_eq!((all.processes.len(), all.mounts.len()), (2, 3));
    }
}
