//! A process that pulls is killed at any moment, or its disk is full: whoever opens the store next finds whole things only,
//! and goes on. The process is this test program, started once more.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use images::{PullOptions, Reference, Store};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::fake::{Fake, settings};
use crate::made::{Image, layer, leftovers, noise, pull, reopen, words};

/// Set for the process that pulls and is killed.
const PULLS: &str = "IMAGES_TEST_PULLS";
const NAME: &str =
    "crash::img_08_after_a_kill_at_any_moment_the_store_has_whole_things_only_and_goes_on";

/// What this process is to do is said on its standard input: a store, and an image. It says how far it is, a line each.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
async fn be_the_one_that_pulls() {
    let lines: Vec<_> = std::io::stdin().lines().map(Result::unwrap).collect();
    let [folder, reference] = lines.as_slice() else { panic!("a store and an image: {lines:?}") };
    let store = Store::open(Path::new(folder), settings()).unwrap();
    let reference = Reference::parse(reference, images::DOCKER_HUB).unwrap();
    let pulling = store.pull(&reference, &PullOptions { cached: false, ..PullOptions::default() });
    let mut progress: watch::Receiver<_> = pulling.progress();
    let telling = tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            println!("progress {:?}", progress.borrow_and_update());
        }
    });
    let result = pulling.wait().await;
    telling.await.unwrap();
    match result {
        Ok(pulled) => {
            let lower: Vec<_> =
                pulled.layers.iter().rev().map(|layer| layer.to_str().unwrap()).collect();
            println!("form {:?}, owners ignored {}", pulled.form, pulled.report.owners_ignored);
            println!("lower {}", lower.join(":"));
            println!("ended well");
        }
        Err(error) => println!("ended {}", words(&error)),
    }
}

fn start(mut command: Command, folder: &Path, reference: &Reference) -> Child {
    command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(PULLS, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    write!(child.stdin.take().unwrap(), "{}\n{reference}\n", folder.display()).unwrap();
    child
}

/// Lets it say so many lines, then kills it. Whether it came to its end before.
fn kill_after(lines: usize, folder: &Path, reference: &Reference) -> bool {
    let mut child = start(Command::new(std::env::current_exe().unwrap()), folder, reference);
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<_> = said
        .filter(|line| line.contains("progress ") || line.starts_with("ended "))
        .take(lines)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    said.iter().any(|line| line.starts_with("ended "))
}

fn image() -> Image {
    let noise = noise(700_000);
    let names: Vec<_> = (0..40).map(|number| format!("d/f{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &noise[..10_000])).collect();
    Image::of(&[
        layer(&[("noise", &noise)]),
        layer(&many),
        layer(&[("d/.wh.f1", b""), ("e", b"e")]),
    ])
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test(flavor = "current_thread")]
async fn img_08_after_a_kill_at_any_moment_the_store_has_whole_things_only_and_goes_on() {
    if std::env::var_os(PULLS).is_some() {
        return be_the_one_that_pulls().await;
    }
    let image = image();
    let fake = Fake::honest().await;
    let reference = fake.push("app", "v1", &image);
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    let (mut ends, mut rounds) = (0, 0);
    for lines in 1.. {
        let (at, of) = (path.clone(), reference.clone());
        // The registry lives in this thread, and goes on while another waits.
        let ended = tokio::task::spawn_blocking(move || kill_after(lines, &at, &of)).await.unwrap();
        let store = reopen(&path);
        let left = leftovers(&path);
        assert!(
            !left.iter().any(|name| name.starts_with("unpacking") || name.starts_with("removing")),
            "{left:?}"
        );
        for layer in fs::read_dir(path.join("layers")).unwrap() {
            let diff = layer.unwrap().path().join("diff");
            let is_whole = fs::read(diff.join("noise")).is_ok_and(|found| found == noise(700_000))
                || diff.join("d").exists() && count(&diff.join("d")) == 40
                || diff.join("e").exists();
            assert!(is_whole, "{}", diff.display());
        }
        assert!(store.images().iter().all(|image| image.layers.len() == 3));
        ends += usize::from(ended);
        rounds += 1;
        // Now and then from the start, so that all of it is killed in different states.
        if lines % 3 == 1 || ended {
            store.prune(&[], &BTreeSet::new()).unwrap();
            assert!(leftovers(&path).is_empty());
        }
        if ends == 3 {
            break;
        }
    }
    let store = reopen(&path);
    assert_eq!(pull(&store, &reference).await.unwrap().layers.len(), 3);
    assert!(rounds > 3, "it was killed in the middle");
}

#[tokio::test]
async fn a_full_disk_has_its_own_words_and_nothing_stays() {
    let fake = Fake::honest().await;
    let reference = fake.push("app", "v1", &image());
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    // A small disk that only the other process sees.
    let script =
        r#"mount -t tmpfs -o size=400k tmpfs "$0" && "$@"; ls -A "$0/unpacking" "$0/layers""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&path).arg(std::env::current_exe().unwrap());
    let ended =
        tokio::task::spawn_blocking(move || start(command, &path, &reference).wait_with_output());
    let said = String::from_utf8(ended.await.unwrap().unwrap().stdout).unwrap();
    assert!(said.contains("the disk of") && said.contains("is full; make room"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    let listed = said.rsplit_once("unpacking:").unwrap().1;
    assert!(listed.lines().filter(|line| line.len() == 64).count() <= 1, "{listed}");
}

/// Without rights there is one user, in a namespace of its own, and all files are that one's.
#[tokio::test]
async fn img_04_with_one_user_owners_are_ignored_and_said_and_deletions_are_still_told() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(0);
    header.set_uid(5);
    builder.append_data(&mut header, "theirs", &b""[..]).unwrap();
    let base = layer(&[("gone", b""), ("d/gone", b"")]);
    let top = layer(&[(".wh.gone", b""), ("d/.wh..wh..opq", b""), ("d/new", b"")]);
    let fake = Fake::honest().await;
    let reference = fake.push("app", "v1", &Image::of(&[base, builder.into_inner().unwrap(), top]));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let script = r#"mkdir "$0" && said=$("$@" | tee /dev/stderr) && lower=$(echo "$said" | sed -n 's/^lower //p') &&
        mkdir "$0/merged" && mount -t overlay -o "userxattr,lowerdir=$lower" overlay "$0/merged" && cd "$0/merged" && find . | sort >&2"#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&path);
    command.arg(std::env::current_exe().unwrap());
    let ended =
        tokio::task::spawn_blocking(move || start(command, &path, &reference).wait_with_output());
    let said = String::from_utf8(ended.await.unwrap().unwrap().stderr).unwrap();
    assert!(said.contains("form Unprivileged, owners ignored 1\n"), "{said}");
    assert!(said.ends_with("\n.\n./d\n./d/new\n./theirs\n"), "{said}");
}

#[tokio::test]
async fn a_store_has_one_process_at_a_time() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings()).unwrap();
    let error = Store::open(folder.path(), settings()).err().unwrap();
    assert!(error.to_string().contains("another process uses the image store"), "{error}");
    drop(store);
    reopen(folder.path());
}
