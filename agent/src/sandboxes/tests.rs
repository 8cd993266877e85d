//! What a sandbox keeps in, what it lets out, and when it goes.

use std::io::Write;

use super::*;

fn question(file: &str, offset: i64, length: u32) -> ReadSandbox {
    let (framework, executor) = (FrameworkId::new("F"), ExecutorId::new("E"));
    ReadSandbox { framework, executor, container: None, file: file.into(), offset, length }
}

fn with_sandbox() -> (tempfile::TempDir, Sandboxes, Sandbox) {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::below(dir.path());
    let ids = (FrameworkId::new("F"), ExecutorId::new("E"), ContainerId::new("c1"));
    let sandbox = sandboxes.make(sandboxes.path(&ids.0, &ids.1, &ids.2), None).unwrap();
    (dir, sandboxes, sandbox)
}

fn refused(sandboxes: &Sandboxes, question: &ReadSandbox) -> String {
    match sandboxes.read(question, |_| false) {
        SandboxAnswer::Refused(words) => words,
        SandboxAnswer::Part { data, .. } => panic!("was given {} bytes", data.len()),
    }
}

#[test]
fn output_is_read_in_parts_from_either_end() {
    let (_dir, sandboxes, mut sandbox) = with_sandbox();
    sandbox.stdout.write_all(b"0123456789").unwrap();
    for (offset, length, from, expected) in [
        (0, 4, 0, "0123"),
        (4, 100, 4, "456789"),
        (-3, 100, 7, "789"),
        (-99, 2, 0, "01"),
        (50, 5, 10, ""),
    ] {
        let answer = sandboxes.read(&question("stdout", offset, length), |_| true);
        let data = expected.as_bytes().to_vec();
        assert_eq!(answer, SandboxAnswer::Part { offset: from, data, size: 10, ended: true });
    }
}

#[test]
fn an_answer_is_bounded() {
    let (_dir, sandboxes, mut sandbox) = with_sandbox();
    sandbox.stderr.write_all(&vec![b'x'; 200_000]).unwrap();
    let SandboxAnswer::Part { data, size, ended, .. } =
        sandboxes.read(&question("stderr", 0, u32::MAX), |_| false)
    else {
        panic!("it is there")
    };
    assert_eq!((data.len(), size, ended), (48 * 1024, 200_000, false));
}

#[test]
fn nothing_outside_the_sandbox_can_be_read() {
    let (dir, sandboxes, sandbox) = with_sandbox();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), sandbox.path.join("link")).unwrap();
    std::os::unix::fs::symlink(dir.path(), sandbox.path.join("folder")).unwrap();
    nix::unistd::mkfifo(&sandbox.path.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (file, words) in [
        ("../../../../secret", "leads out"),
        ("/etc/passwd", "leads out"),
        ("", "leads out"),
        ("link", "links are not followed"),
        ("folder/secret", "links are not followed"),
        ("pipe", "not a plain file"),
        (".", "leads out"),
        ("nothing", "no file 'nothing'"),
    ] {
        let said = refused(&sandboxes, &question(file, 0, 10));
        assert!(said.contains(words), "{file}: {said}");
    }
    for id in ["..", "a/b", ""] {
        let bad = ReadSandbox { framework: FrameworkId::new(id), ..question("stdout", 0, 1) };
        assert!(refused(&sandboxes, &bad).contains("id"), "{id}");
        let container = Some(ContainerId::new(id));
        let bad = ReadSandbox { container, ..question("stdout", 0, 1) };
        assert!(refused(&sandboxes, &bad).contains("id"), "{id}");
    }
}

#[test]
fn the_newest_life_is_meant_when_none_is_named() {
    let (_dir, sandboxes, _first) = with_sandbox();
    let ids = (FrameworkId::new("F"), ExecutorId::new("E"), ContainerId::new("c0"));
    let path = sandboxes.path(&ids.0, &ids.1, &ids.2);
    let mut second = sandboxes.make(path.clone(), None).unwrap();
    second.stdout.write_all(b"second").unwrap();
    let SandboxAnswer::Part { data, .. } = sandboxes.read(&question("stdout", 0, 10), |_| true)
    else {
        panic!("it is there")
    };
    assert_eq!(data, b"second");
    // A container's id is never used twice; if it were, nobody's files are overwritten.
    assert!(sandboxes.make(path, None).is_err());
}

/// Six sandboxes, whose executors ended at 1000 s, 1001 s and so on.
fn six() -> (tempfile::TempDir, Sandboxes) {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::below(dir.path());
    for n in 0..6 {
        let (framework, executor) = (FrameworkId::new("F"), ExecutorId::new(format!("E{n}")));
        let path = sandboxes.path(&framework, &executor, &ContainerId::new(format!("c{n}")));
        sandboxes.make(path.clone(), None).unwrap();
        sandboxes.begins_to_age(&path, at(1000 + n));
    }
    (dir, sandboxes)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn limits(count_max: usize, delay: u64) -> SandboxLimits {
    let delay = Duration::from_secs(delay);
    SandboxLimits { count_max, delay, headroom: 0.0, ..SandboxLimits::default() }
}

fn collected(removed: u64, kept: u64) -> Collected {
    Collected { removed, failed: 0, kept }
}

#[test]
fn old_and_surplus_sandboxes_go_and_living_ones_stay() {
    let (dir, sandboxes) = six();
    let living = BTreeSet::from([ContainerId::new("c0")]);
    let collect = |living, limits, now| {
        sandboxes.collect(living, limits, 0.0, at(now), &mut Unremoved::default())
    };
    // A clock that was set back: nothing is old.
    assert_eq!(collect(&living, limits(100, 5), 0), collected(0, 5));
    assert_eq!(collect(&living, limits(3, 100), 1010), collected(2, 3));
    assert_eq!(folders(&dir.path().join("sandboxes/F")).count(), 4, "three and the living one");
    assert_eq!(collect(&living, limits(3, 5), 1010), collected(2, 1));
    assert_eq!(collect(&BTreeSet::new(), limits(3, 5), 1010), collected(1, 1));
    assert_eq!(folders(&dir.path().join("sandboxes/F")).count(), 1);
}

#[test]
fn gc_01_the_fuller_the_disk_the_sooner_a_sandbox_goes() {
    let default = SandboxLimits::default();
    assert_eq!((default.headroom, default.delay), (0.1, Duration::from_secs(7 * 24 * 3600)));
    assert_eq!(default.watch_every, Duration::from_secs(60));
    let limits = SandboxLimits { headroom: 0.1, ..limits(100, 100) };
    for (usage, seconds) in [(0.0, 90), (0.4, 50), (0.85, 5), (0.9, 0), (0.95, 0), (1.0, 0)] {
        let (age, expected) = (limits.age_max(usage), Duration::from_secs(seconds));
        assert!(age.abs_diff(expected) < Duration::from_millis(1), "{usage}: {age:?}");
    }
    // The oldest of the six is 50 s old, the newest 45 s.
    for (usage, removed) in [(0.3, 0), (0.415, 2), (0.445, 5), (0.9, 6)] {
        let (_dir, sandboxes) = six();
        let found =
            sandboxes.collect(&BTreeSet::new(), limits, usage, at(1050), &mut Unremoved::default());
        assert_eq!(found, collected(removed, 6 - removed), "{usage}");
    }
    // The newest ended just now, or began just now, which nobody had seen yet.
    let (_dir, sandboxes) = six();
    let found =
        sandboxes.collect(&BTreeSet::new(), limits, 1.0, at(1005), &mut Unremoved::default());
    assert_eq!(found, collected(5, 1));
    assert!((0.0..=1.0).contains(&sandboxes.usage()));
}

/// Somebody who may look at all folders, and change none.
fn as_nobody<T: Send>(work: impl Fn() -> T + Send + Sync) -> T {
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let on_its_own = || {
        // Of this thread only; it can do nothing unless this is root.
        nix::unistd::setfsuid(nobody.uid);
        work()
    };
    std::thread::scope(|scope| scope.spawn(on_its_own).join().unwrap())
}

#[test]
fn gc_03_a_sandbox_that_cannot_be_removed_is_counted_and_does_not_hold_up_the_others() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, sandboxes) = six();
    let may = |path: &str, mode| {
        std::fs::set_permissions(dir.path().join(path), PermissionsExt::from_mode(mode)).unwrap();
    };
    for folder in ["", "sandboxes", "sandboxes/F", "sandboxes/F/E0"] {
        may(folder, 0o755);
    }
    for n in 1..6 {
        may(&format!("sandboxes/F/E{n}"), 0o777);
        may(&format!("sandboxes/F/E{n}/c{n}"), 0o777);
    }
    may("sandboxes/F/E0/c0", 0o555);
    // Three are too old, and the first of them stays.
    let collect = || {
        sandboxes.collect(
            &BTreeSet::new(),
            limits(100, 6),
            0.0,
            at(1009),
            &mut Unremoved::default(),
        )
    };
    assert_eq!(as_nobody(collect), Collected { removed: 2, failed: 1, kept: 3 });
    assert_eq!(as_nobody(collect), Collected { removed: 0, failed: 1, kept: 3 });
    may("sandboxes/F/E0/c0", 0o755);
    assert_eq!(collect(), collected(1, 3));
}

#[test]
fn a_sandbox_that_cannot_be_made_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::below(dir.path());
    std::fs::write(dir.path().join("sandboxes"), "in the way").unwrap();
    let path = dir.path().join("sandboxes/F/E/c");
    let Err(StartFailure::Sandbox(words)) = sandboxes.make(path, None) else {
        panic!("a file is in the way")
    };
    assert!(words.contains("fix the rights of its --work_dir"), "{words}");
}

#[test]
fn a_sandbox_is_made_although_the_folders_above_it_are_removed_in_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandboxes/F/E/c");
    let mut times = 0;
    let result = make_folder(&path, || {
        times += 1;
        if times < 3 {
            for above in path.ancestors().skip(1).take(2) {
                std::fs::remove_dir(above).unwrap();
            }
        }
    });
    result.unwrap();
    assert!(path.is_dir());
    let path = dir.path().join("G/E/c");
    let never = make_folder(&path, || {
        std::fs::remove_dir(dir.path().join("G/E")).unwrap();
    });
    assert_eq!(never.unwrap_err().1.kind(), io::ErrorKind::NotFound, "it ends");
}

#[test]
fn a_sandbox_that_cannot_be_removed_is_mentioned_seldom() {
    let mut unremoved = Unremoved::default();
    let (this, that) = (Path::new("/s/F/E/c1"), Path::new("/s/F/E/c2"));
    let said: Vec<_> = (0..20).filter_map(|_| unremoved.failed(this)).collect();
    assert_eq!(said, [1, 2, 4, 8, 16]);
    assert_eq!(unremoved.failed(that), Some(1), "each for itself");
    unremoved.forget_all_but(&BTreeSet::from([that.to_owned()]));
    assert_eq!(unremoved.failed(this), Some(1), "it was gone meanwhile");
    assert_eq!(unremoved.failed(that), Some(2));
}
