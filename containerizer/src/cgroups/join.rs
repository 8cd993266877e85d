//! How a process joins groups that another made for it, before it does anything else.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use super::group::Group;

/// Moves this process, with all its threads, into the groups whose files of processes these are, with colons between. What it
/// starts from then on is in them too.
///
/// # Errors
///
/// It may be in some of them then.
pub fn join(files: &OsStr) -> io::Result<()> {
    // To the kernel, 0 is whoever writes.
    std::env::split_paths(files).try_for_each(|file| std::fs::write(file, "0"))
}

impl Group {
    /// For [`join`]: the files by which a process comes into it, one a tree.
    pub fn process_files(&self) -> Vec<PathBuf> {
        let file = |tree: &super::hierarchies::Tree| {
            tree.path.join(self.path.as_str()).join(self.processes_file())
        };
        self.hierarchies.trees().iter().map(file).collect()
    }
}
