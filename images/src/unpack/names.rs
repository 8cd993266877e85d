//! Names in archives: what a layer means by them, and which are refused. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::BadLayer;

/// Whatever begins so is no file but says something of the layers below.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What AUFS keeps for itself.
const AUFS: &[u8] = b".wh..wh.";

/// Of the kernel, for what it can still remove in one go; and so that removing needs few open files.
pub(super) const DEPTH_MAX: usize = 128;

/// A name below the layer's root: parts that are no `.`, no `..` and not empty, joined by one `/`. The root itself is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPath(Vec<u8>);

/// What an entry with a name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The layer's root.
    Root,
    /// A file, folder or link.
    Is(EntryPath),
    /// Layers below have this no more.
    Deletes(EntryPath),
    /// Whatever layers below have in this folder is hidden.
    Hides(EntryPath),
    /// Something of AUFS's own.
    Nothing,
}

impl Meaning {
    pub(super) fn of(name: &[u8]) -> Result<Self, BadLayer> {
        let path = EntryPath::read(name)?;
        let (folder, last) = path.split();
        if path.0.is_empty() {
            return Ok(Self::Root);
        }
        if last == OPAQUE {
            return Ok(Self::Hides(folder.to_entry()));
        }
        if last.starts_with(AUFS) {
            return Ok(Self::Nothing);
        }
        match last.strip_prefix(WHITEOUT) {
            None if folder.parts().any(|part| part.starts_with(WHITEOUT)) => {
                Err(unsafe_path(name, "it is below a deletion"))
            }
            None => Ok(Self::Is(path)),
            Some(b"" | b"." | b"..") => Err(unsafe_path(name, "it deletes no name")),
            Some(deleted) => Ok(Self::Deletes(folder.join(deleted))),
        }
    }
}

/// The folder part of an [`EntryPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderPath<'a>(&'a [u8]);

impl<'a> FolderPath<'a> {
    pub(super) fn root() -> Self {
        Self(b"")
    }

    /// Of parts that came from an [`EntryPath`].
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    fn to_entry(self) -> EntryPath {
        EntryPath(self.0.to_vec())
    }

    fn join(self, name: &[u8]) -> EntryPath {
        let parts = self.parts().chain([name]);
        EntryPath(parts.collect::<Vec<_>>().join(&b'/'))
    }
}

impl EntryPath {
    pub(super) fn root() -> Self {
        Self(Vec::new())
    }

    fn read(name: &[u8]) -> Result<Self, BadLayer> {
        if name.contains(&0) {
            return Err(unsafe_path(name, "it has a zero byte"));
        }
        let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        let parts: Vec<_> = parts.collect();
        if parts.contains(&&b".."[..]) {
            return Err(unsafe_path(name, "it has .."));
        }
        if parts.len() > DEPTH_MAX {
            return Err(unsafe_path(name, "it is more than 128 folders deep"));
        }
        Ok(Self(parts.join(&b'/')))
    }

    /// Its folder and its last part.
    pub(super) fn split(&self) -> (FolderPath<'_>, &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (FolderPath(&self.0[..at]), &self.0[at + 1..]),
            None => (FolderPath(b""), &self.0),
        }
    }

    pub(super) fn as_folder(&self) -> FolderPath<'_> {
        FolderPath(&self.0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn to_path(&self) -> PathBuf {
        Path::new(OsStr::from_bytes(&self.0)).to_owned()
    }

    pub(super) fn unwritten(&self, error: Errno) -> BadLayer {
        BadLayer::Write { path: self.to_path(), source: error.into() }
    }

    pub(super) fn refused(&self, why: &'static str) -> BadLayer {
        unsafe_path(&self.0, why)
    }

    pub(super) fn without_target(&self, target: &[u8]) -> BadLayer {
        BadLayer::NoLinkTarget { path: shown(&self.0), target: shown(target) }
    }

    pub(super) fn shown(&self) -> &[u8] {
        &self.0
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(300)]).into_owned()
}

fn unsafe_path(name: &[u8], why: &'static str) -> BadLayer {
    BadLayer::UnsafePath { path: shown(name), why }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath(text.as_bytes().to_vec())
    }

    #[track_caller]
    fn means(name: &str, meaning: Meaning) {
        assert_eq!(Meaning::of(name.as_bytes()).unwrap(), meaning);
    }

    #[test]
    fn img_04_names_of_deletions_are_understood() {
        means("a/b", Meaning::Is(path("a/b")));
        means("./a//b/", Meaning::Is(path("a/b")));
        means("/etc/passwd", Meaning::Is(path("etc/passwd")));
        means("./", Meaning::Root);
        means("a/.wh.b", Meaning::Deletes(path("a/b")));
        means(".wh.b", Meaning::Deletes(path("b")));
        means("a/.wh..wh..opq", Meaning::Hides(path("a")));
        means(".wh..wh..opq", Meaning::Hides(path("")));
        means(".wh..wh.plnk", Meaning::Nothing);
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in
            ["..", "../a", "a/../../b", "a/..", "a/.wh...", "a/.wh.", "a/.wh..", "x\0y", ".wh.a/b"]
        {
            let error = Meaning::of(name.as_bytes());
            assert!(matches!(error, Err(BadLayer::UnsafePath { .. })), "{name}: {error:?}");
        }
        assert!(Meaning::of("a/".repeat(129).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_name_that_is_taken_can_lead_out(name in "[a./wh]{0,30}") {
            let paths = match Meaning::of(name.as_bytes()) {
                Ok(Meaning::Is(path) | Meaning::Deletes(path) | Meaning::Hides(path)) => vec![path],
                Ok(Meaning::Root | Meaning::Nothing) | Err(_) => vec![],
            };
            for path in paths {
                let (_, last) = path.split();
                prop_assert!(!path.0.starts_with(b"/") && !path.0.ends_with(b"/"));
                prop_assert!(path.as_folder().parts().all(|part| !matches!(part, b"." | b".." | b"")));
                prop_assert!(!last.contains(&b'/'));
            }
        }
    }
}
