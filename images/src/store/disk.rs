//! The store's folder. Whatever is there under its final name is whole: it was made elsewhere and renamed. What a crash
//! leaves is removed at the next start, but for layers half fetched, which are gone on with.
//!
//! ```text
//! lock                   whoever has it locked has the store
//! images/HEX.image       one record for each reference, named by its digest
//! layers/HEX/layer       one record for each layer, and
//! layers/HEX/diff        what it unpacked to
//! partial/HEX-HEX        fetched so far, named by digest and diff id
//! unpacking/N            layers that are being made
//! removing/N             layers that are being removed
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, XattrFlags, chown, flock, setxattr};
use rustix::process::{Gid, Uid};

use super::record::{self, ImageRecord, LayerRecord, Record};
use crate::digest::Digest;
use crate::error::Failure;
use crate::reference::Reference;
use crate::unpack::Form;

/// Set-id programs in layers are nobody's to run from here.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const FOLDERS: [&str; 5] = ["images", "layers", "partial", "unpacking", "removing"];

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder.
    #[error("cannot {what} {path}, which the image store needs")]
    Folder {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("another process uses the image store {path}; end it, or choose another folder")]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// A setting.
    #[error("the settings of the image store {path} cannot be")]
    Settings {
        /// Which store.
        path: PathBuf,
        /// What is wrong.
        source: crate::settings::BadSettings,
    },
    /// The client for registries.
    #[error("the image store {path} cannot speak to registries")]
    Client {
        /// Which store.
        path: PathBuf,
        /// What is wrong.
        source: crate::registry::BadClient,
    },
}

/// What a store has.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) images: BTreeMap<Reference, ImageRecord>,
    pub(super) layers: BTreeMap<Digest, LayerRecord>,
}

/// The open folder.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    pub(super) form: Form,
    boot: String,
    numbers: AtomicU64,
    _lock: File,
}

/// A layer that is being made. Gone when dropped.
pub(crate) struct Unpacking {
    folder: PathBuf,
}

impl Disk {
    /// Takes the folder for this process, removes what a crash left and reads the rest.
    pub(super) fn open(root: &Path) -> Result<(Self, Contents), OpenError> {
        let fail = |what, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { what, path, source }
        };
        let root = std::path::absolute(root).map_err(fail("find", root))?;
        for folder in FOLDERS.iter().map(|name| root.join(name)) {
            let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&folder);
            made.map_err(fail("make", &folder))?;
        }
        fs::set_permissions(&root, Permissions::from_mode(FOLDER_MODE))
            .map_err(fail("close", &root))?;
        let path = root.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(FILE_MODE).open(&path);
        let lock = lock.map_err(fail("open", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Taken { path: root }),
            Err(error) => return Err(fail("lock", &path)(error.into())),
        }
        let boot = fs::read_to_string(BOOT_ID)
            .map_err(fail("read", Path::new(BOOT_ID)))?
            .trim()
            .to_owned();
        let form = find_form(&root).map_err(fail("write", &root))?;
        let disk = Self { root, form, boot, numbers: AtomicU64::new(0), _lock: lock };
        let contents = disk.recover().map_err(fail("read", &disk.root))?;
        Ok((disk, contents))
    }

    fn recover(&self) -> io::Result<Contents> {
        for folder in ["unpacking", "removing"] {
            for entry in fs::read_dir(self.root.join(folder))? {
                remove_tree(&entry?.path())?;
            }
        }
        let mut contents = Contents::default();
        for entry in fs::read_dir(self.root.join("layers"))? {
            let entry = entry?;
            match self.usable_layer(&entry.file_name(), &entry.path()) {
                Some(record) => drop(contents.layers.insert(record.diff_id, record)),
                None => remove_tree(&entry.path())?,
            }
        }
        for entry in fs::read_dir(self.root.join("images"))? {
            let path = entry?.path();
            let record: Option<ImageRecord> =
                fs::read(&path).ok().and_then(|bytes| record::read(&bytes));
            let is_whole = |record: &ImageRecord| {
                let there = record.layers.iter().all(|layer| contents.layers.contains_key(layer));
                there && self.image_path(&record.reference) == path
            };
            match record.filter(is_whole) {
                Some(record) => drop(contents.images.insert(record.reference.clone(), record)),
                None => {
                    tracing::warn!(path = %path.display(), "an image's record is damaged or lacks layers; it will be pulled again");
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(contents)
    }

    /// A layer that is whole for sure and of the form that this process makes.
    fn usable_layer(&self, name: &OsStr, path: &Path) -> Option<LayerRecord> {
        let record: LayerRecord = record::read(&fs::read(path.join("layer")).ok()?)?;
        let is_settled = record.unsettled_in.as_ref().is_none_or(|boot| *boot == self.boot);
        let is_here = record.diff_id.hex().as_str() == name && path.join("diff").is_dir();
        (is_settled && is_here && record.form == self.form).then_some(record)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a layer's files are.
    pub(super) fn layer_path(&self, diff_id: Digest) -> PathBuf {
        self.layer_folder(diff_id).join("diff")
    }

    fn layer_folder(&self, diff_id: Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    fn image_path(&self, reference: &Reference) -> PathBuf {
        let name = serde_json::to_vec(reference).unwrap_or_default();
        self.root.join("images").join(format!("{}.image", Digest::of(&name).hex()))
    }

    fn number(&self) -> String {
        self.numbers.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Where files without names may lie.
    pub(super) fn scratch(&self) -> PathBuf {
        self.root.join("unpacking")
    }

    /// The file with what was fetched of a layer, and how much that is. More than `most` is not of that layer.
    pub(crate) fn partial(
        &self,
        digest: Digest,
        diff_id: Digest,
        most: u64,
    ) -> Result<(File, PathBuf, u64), Failure> {
        let path = self.partial_path(digest, diff_id);
        let failed = |source| Failure::store("open", &path, source);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(FILE_MODE);
        let file = options.open(&path).map_err(failed)?;
        let mut kept = file.metadata().map_err(failed)?.len();
        if kept > most {
            file.set_len(0).map_err(failed)?;
            kept = 0;
        }
        Ok((file, path, kept))
    }

    pub(crate) fn partial_path(&self, digest: Digest, diff_id: Digest) -> PathBuf {
        self.root.join("partial").join(format!("{}-{}", digest.hex(), diff_id.hex()))
    }

    /// Layers half fetched that nobody fetches now, by file name.
    pub(super) fn partials(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.root.join("partial"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }

    /// An empty folder for a layer.
    pub(crate) fn unpacking(&self) -> Result<Unpacking, Failure> {
        let folder = self.root.join("unpacking").join(self.number());
        let unpacking = Unpacking { folder };
        let path = unpacking.diff();
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path);
        made.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .map_err(|source| Failure::store("make", &path, source))?;
        Ok(unpacking)
    }

    /// Gives a layer its place. From here on it is there.
    pub(super) fn keep_layer(
        &self,
        unpacking: &Unpacking,
        record: &mut LayerRecord,
    ) -> Result<(), Failure> {
        record.unsettled_in = Some(self.boot.clone());
        let path = unpacking.folder.join("layer");
        write_whole(&path, &record::write(record))
            .map_err(|source| Failure::store("write", &path, source))?;
        let folder = self.layer_folder(record.diff_id);
        let renamed = fs::rename(&unpacking.folder, &folder);
        renamed.map_err(|source| Failure::store("make", &folder, source))
    }

    /// Writes an image's record; it is used now.
    pub(super) fn keep_image(&self, record: &ImageRecord) -> Result<(), Failure> {
        let path = self.image_path(&record.reference);
        self.replace(&path, record).map_err(|source| Failure::store("write", &path, source))
    }

    fn replace<R: Record>(&self, path: &Path, record: &R) -> io::Result<()> {
        let new = self.root.join("unpacking").join(self.number());
        write_whole(&new, &record::write(record))?;
        fs::rename(&new, path)
    }

    /// Notes that an image is used now.
    pub(super) fn touch(&self, reference: &Reference) {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        let path = self.image_path(reference);
        let touched =
            rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty());
        if let Err(error) = touched {
            tracing::warn!(path = %path.display(), %error, "cannot note that an image is used");
        }
    }

    /// When an image was used last. One of which that cannot be told has not been used for long.
    pub(super) fn used_at(&self, reference: &Reference) -> (i64, i64) {
        let found = fs::metadata(self.image_path(reference));
        found.map_or((0, 0), |found| (found.mtime(), found.mtime_nsec()))
    }

    pub(super) fn forget_image(&self, reference: &Reference) -> io::Result<()> {
        match fs::remove_file(self.image_path(reference)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Takes a layer's place away; what is returned is to be removed with [`remove_tree`].
    pub(super) fn forget_layer(&self, diff_id: Digest) -> io::Result<PathBuf> {
        let going = self.root.join("removing").join(self.number());
        fs::rename(self.layer_folder(diff_id), &going)?;
        Ok(going)
    }

    /// Waits until the disk has all that was written so far, and notes so for `layers`.
    pub(super) fn settle(&self, layers: &[LayerRecord]) -> io::Result<()> {
        rustix::fs::syncfs(File::open(&self.root)?)?;
        for layer in layers {
            let path = self.layer_folder(layer.diff_id).join("layer");
            self.replace(&path, &LayerRecord { unsettled_in: None, ..layer.clone() })?;
        }
        Ok(())
    }

    /// Bytes of the disk: all, and those that are free for us.
    pub(super) fn room(&self) -> io::Result<(u64, u64)> {
        let found = rustix::fs::statvfs(&self.root)?;
        Ok((found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize))
    }
}

impl Unpacking {
    pub(crate) fn diff(&self) -> PathBuf {
        self.folder.join("diff")
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        match remove_tree(&self.folder) {
            Ok(()) => (),
            // It has got its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => {
                let path = self.folder.display();
                tracing::warn!(%path, %error, "what is left of a layer is removed at the next start");
            }
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(FILE_MODE);
    options.open(path)?.write_all(bytes)
}

/// Whether this process may give files away and tell overlayfs as root does, found by trying both.
fn find_form(root: &Path) -> io::Result<Form> {
    let probe = root.join("unpacking").join("probe");
    fs::create_dir_all(&probe)?;
    let told = setxattr(&probe, Form::Privileged.opaque_attribute(), b"y", XattrFlags::empty());
    // A user namespace with one id has a root that can give nothing away.
    let given = chown(&probe, Some(Uid::from_raw(1)), Some(Gid::from_raw(1)));
    fs::remove_dir(&probe)?;
    Ok(if told.is_ok() && given.is_ok() { Form::Privileged } else { Form::Unprivileged })
}

/// Removes a file or a folder with all in it, also where rights of folders in it are in the way.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn open_folders(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}
