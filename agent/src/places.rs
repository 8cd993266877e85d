//! Where sandboxes are found over HTTP: at the paths that clients of Mesos know, and where they really are. Each is a place of its
//! own, out of which nothing leads, since whoever runs a task may write there what it likes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gateway::{Place, Places};
use protocol::ids::check_id;

/// What stands for the newest life of an executor.
const LATEST: &str = "latest";

/// Sandboxes that are listed at most.
const LISTED_MAX: usize = 10_000;

/// All sandboxes below a work directory.
#[derive(Clone, Debug)]
pub(crate) struct SandboxPlaces {
    work_dir: PathBuf,
}

/// Which sandbox a path means, and what in it.
#[derive(Debug, PartialEq, Eq)]
struct Meant<'p> {
    framework: &'p str,
    executor: &'p str,
    container: &'p str,
    below: String,
}

/// Parts of a path that may be names of files.
fn plain(parts: &[&str]) -> bool {
    parts.iter().all(|part| check_id(part).is_ok())
}

/// `…/frameworks/<framework>/executors/<executor>/runs/<container>/…`, of any agent or of none; or where it is, below the folder
/// of all sandboxes.
fn meant<'p>(work_dir: &Path, path: &'p str) -> Option<Meant<'p>> {
    let in_work_dir = path.strip_prefix(work_dir.to_str()?).filter(|rest| rest.starts_with('/'));
    let parts: Vec<&str> = in_work_dir.unwrap_or(path).strip_prefix('/')?.split('/').collect();
    let (framework, executor, container, below) = match (&parts[..], in_work_dir.is_some()) {
        (["sandboxes", framework, executor, container, below @ ..], true)
        | (
            [
                "slaves",
                _,
                "frameworks",
                framework,
                "executors",
                executor,
                "runs",
                container,
                below @ ..,
            ],
            true,
        )
        | (
            ["frameworks", framework, "executors", executor, "runs", container, below @ ..],
            false,
        ) => (framework, executor, container, below),
        _ => return None,
    };
    let is_plain = plain(&[framework, executor, container]);
    is_plain.then(|| Meant { framework, executor, container, below: below.join("/") })
}

impl SandboxPlaces {
    /// Those of an agent.
    pub(crate) fn below(work_dir: &Path) -> Self {
        let absolute = std::path::absolute(work_dir);
        Self { work_dir: absolute.unwrap_or_else(|_| work_dir.to_owned()) }
    }

    fn sandboxes(&self) -> PathBuf {
        self.work_dir.join("sandboxes")
    }
}

/// The names below a folder that are folders.
fn folders(path: &Path) -> impl Iterator<Item = (String, PathBuf, SystemTime)> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let metadata = fs::symlink_metadata(entry.path()).ok().filter(fs::Metadata::is_dir)?;
        // What tasks write changes when a folder was changed last, but not when it was made.
        let made = metadata.created().or_else(|_| metadata.modified()).ok()?;
        Some((entry.file_name().into_string().ok()?, entry.path(), made))
    })
}

impl Places for SandboxPlaces {
    fn find(&self, path: &str) -> Option<Place> {
        let Meant { framework, executor, container, below } = meant(&self.work_dir, path)?;
        let runs = self.sandboxes().join(framework).join(executor);
        let root = match container {
            LATEST => folders(&runs).max_by_key(|(_, _, made)| *made)?.1,
            container => runs.join(container),
        };
        Some(Place { root, below })
    }

    fn all(&self) -> Vec<(String, PathBuf)> {
        let all = folders(&self.sandboxes()).flat_map(|(framework, path, _)| {
            let executors = folders(&path).collect::<Vec<_>>();
            executors.into_iter().flat_map(move |(executor, path, _)| {
                let virtual_path =
                    format!("/frameworks/{framework}/executors/{executor}/runs/{LATEST}");
                let runs: Vec<_> = folders(&path).collect();
                let latest =
                    runs.iter().max_by_key(|(_, _, made)| *made).map(|(_, path, _)| path.clone());
                let latest = latest.map(|path| (virtual_path, path));
                let runs = runs.into_iter().map(|(_, path, _)| (path.display().to_string(), path));
                runs.chain(latest).collect::<Vec<_>>()
            })
        });
        all.take(LISTED_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aapi_14_a_sandbox_is_found_by_its_real_path_and_by_those_that_mesos_has() {
        let folder = tempfile::tempdir().unwrap();
        let places = SandboxPlaces::below(folder.path());
        let sandbox = folder.path().join("sandboxes/f/e/c");
        fs::create_dir_all(&sandbox).unwrap();
        let work_dir = folder.path().display();
        for (path, below) in [
            (format!("{work_dir}/sandboxes/f/e/c"), ""),
            (format!("{work_dir}/sandboxes/f/e/c/stdout"), "stdout"),
            (format!("{work_dir}/sandboxes/f/e/latest/a/b"), "a/b"),
            (format!("{work_dir}/slaves/S0/frameworks/f/executors/e/runs/c/stdout"), "stdout"),
            (format!("{work_dir}/slaves/S0/frameworks/f/executors/e/runs/latest"), ""),
            ("/frameworks/f/executors/e/runs/latest/stdout".to_owned(), "stdout"),
            ("/frameworks/f/executors/e/runs/c".to_owned(), ""),
        ] {
            let expected = Place { root: sandbox.clone(), below: below.to_owned() };
            assert_eq!(places.find(&path), Some(expected), "{path}");
        }
        let all: Vec<String> = places.all().into_iter().map(|(path, _)| path).collect();
        let latest = "/frameworks/f/executors/e/runs/latest".to_owned();
        assert_eq!(all, [sandbox.display().to_string(), latest]);
    }

    #[test]
    fn nothing_beside_sandboxes_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let places = SandboxPlaces::below(folder.path());
        let work_dir = folder.path().display();
        for path in [
            format!("{work_dir}/agent.checkpoint"),
            format!("{work_dir}/sandboxes"),
            format!("{work_dir}/sandboxes/f/e"),
            format!("{work_dir}/sandboxes/../../x/y"),
            format!("{work_dir}/sandboxes/f/../../agent.lender"),
            format!("{work_dir}x/sandboxes/f/e/c"),
            "/sandboxes/f/e/c".to_owned(),
            "/frameworks/f/executors/e/runs/".to_owned(),
            "/frameworks/f/executors/../runs/c".to_owned(),
            "/frameworks/none/executors/e/runs/latest".to_owned(),
            String::new(),
            "/".to_owned(),
        ] {
            assert_eq!(places.find(&path), None, "{path}");
        }
    }
}
