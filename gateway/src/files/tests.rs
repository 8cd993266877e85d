//! What may be read, and what may not.

use std::os::unix::fs::symlink;

use super::*;

/// A folder with a place `logs` in it, and something beside that.
fn stage() -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("logs");
    std::fs::create_dir_all(root.join("deep/er")).unwrap();
    std::fs::write(root.join("out"), "0123456789").unwrap();
    std::fs::write(root.join("deep/er/x"), "x").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    symlink("deep/er/x", root.join("inside")).unwrap();
    symlink("../secret", root.join("outside")).unwrap();
    symlink("/etc", root.join("absolute")).unwrap();
    symlink("/proc/self", root.join("magic")).unwrap();
    symlink("circle", root.join("circle")).unwrap();
    let files = Files::default();
    files.attach("/logs/", root);
    files.attach("/master/log", folder.path().join("secret"));
    (folder, files)
}

#[tokio::test]
async fn a_part_of_a_file_is_read_from_where_one_says_to_where_it_ends() {
    let (_folder, files) = stage();
    let read = async |path: &str, offset, length| {
        let part = files.read(path, offset, length).await.unwrap();
        (part.offset, part.size, String::from_utf8(part.data).unwrap())
    };
    assert_eq!(read("/logs/out", Some(0), None).await, (0, 10, "0123456789".into()));
    assert_eq!(read("/logs/out", Some(4), Some(3)).await, (4, 10, "456".into()));
    assert_eq!(read("/logs/out", Some(99), None).await, (99, 10, String::new()), "behind the end");
    assert_eq!(read("/logs/out", None, Some(3)).await, (10, 10, String::new()), "how long it is");
    assert_eq!(read("/master/log", Some(0), None).await.2, "secret", "a place may be a file");
    assert_eq!(read("/logs/inside", Some(0), None).await.2, "x", "a link to what is in the place");
}

#[tokio::test]
async fn of_a_long_file_no_more_is_read_at_once_than_may_be() {
    let (folder, files) = stage();
    std::fs::write(folder.path().join("logs/long"), vec![b'x'; READ_MAX + 7]).unwrap();
    let part = files.read("/logs/long", Some(0), Some(u64::MAX)).await.unwrap();
    assert_eq!((part.data.len(), part.size), (READ_MAX, READ_MAX as u64 + 7));
    let rest = files.read("/logs/long", Some(READ_MAX as u64), None).await.unwrap();
    assert_eq!(rest.data.len(), 7);
}

#[tokio::test]
async fn nothing_leads_out_of_a_place() {
    let (folder, files) = stage();
    for path in [
        "/logs/../secret",
        "/logs/deep/../../secret",
        "/logs/outside",
        "/logs/absolute/passwd",
        "/logs/magic/environ",
        "/logs/circle",
        "/logs/nothing",
        "/logs/out/of",
        "/logs\0",
        "/logs/\0",
        "/logsecret",
        "/",
        "",
        "logs/out",
        "/etc/passwd",
    ] {
        let read = files.read(path, Some(0), None).await;
        assert!(matches!(read, Err(FileError::NotFound(_))), "{path:?}: {read:?}");
        let browsed = files.browse(path).await;
        assert!(matches!(browsed, Err(FileError::NotFound(_))), "{path:?}: {browsed:?}");
    }
    let real = folder.path().join("logs/out").display().to_string();
    assert!(files.read(&real, Some(0), None).await.is_err(), "by its real path nobody attached it");
}

#[tokio::test]
async fn a_folder_is_no_file_and_a_pipe_keeps_nobody_waiting() {
    let (folder, files) = stage();
    let pipe = folder.path().join("logs/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, words) in
        [("/logs", "Cannot read a directory.\n"), ("/logs/pipe", "'/logs/pipe' is no plain file")]
    {
        assert_eq!(files.read(path, Some(0), None).await.unwrap_err().to_string(), words);
    }
    let browsed = files.browse("/logs/out").await.unwrap_err();
    assert_eq!(browsed.to_string(), "'/logs/out' is no folder");
}

#[tokio::test]
async fn a_folder_is_listed_by_path_and_links_as_what_they_are() {
    let (_folder, files) = stage();
    let entries = files.browse("/logs/").await.unwrap();
    let seen: Vec<(&str, String)> =
        entries.iter().map(|e| (e.path.as_str(), e.mode_text()[..1].to_owned())).collect();
    let expected = [
        ("/logs/absolute", "l"),
        ("/logs/circle", "l"),
        ("/logs/deep", "d"),
        ("/logs/inside", "l"),
        ("/logs/magic", "l"),
        ("/logs/out", "-"),
        ("/logs/outside", "l"),
    ];
    assert_eq!(seen, expected.map(|(path, kind)| (path, kind.to_owned())));
    let out = &entries[5];
    assert_eq!((out.size, out.nlink), (10, 1));
    let read = Entry { mode: 0o100_640, ..out.clone() };
    assert_eq!(read.mode_text(), "-rw-r-----");
}

/// As sandboxes are.
struct Sandboxes(PathBuf);

impl Places for Sandboxes {
    fn find(&self, path: &str) -> Option<Place> {
        let below = path.strip_prefix("/run/latest/")?.to_owned();
        Some(Place { root: self.0.clone(), below })
    }

    fn all(&self) -> Vec<(String, PathBuf)> {
        vec![("/run/latest".to_owned(), self.0.clone())]
    }
}

#[tokio::test]
async fn places_that_come_and_go_are_found_by_whoever_knows_them() {
    let (folder, files) = stage();
    files.come_from(Sandboxes(folder.path().join("logs")));
    let part = files.read("/run/latest/out", Some(8), None).await.unwrap();
    assert_eq!(part.data, b"89");
    let all: Vec<String> = files.all().await.into_keys().collect();
    assert_eq!(all, ["/logs", "/master/log", "/run/latest"]);
}
