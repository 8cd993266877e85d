//! The root of a file system, made of layers: laid over one another by the kernel, a single one as it is, or copied. Layers
//! are folders in which overlayfs's marks say what is not there any more; they are never written to.

mod copy;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use serde::{Deserialize, Serialize};

use super::mounts::copy_of;
use super::{ConfineError, Tried};
use crate::system::{self, MountChange, NO_DEVICES, READ_ONLY};

/// What a root is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Folders, the bottom first; at least one, at most [`LAYERS_MAX`].
    pub layers: Vec<PathBuf>,
    /// How they are made one.
    pub back_end: BackEnd,
    /// Nothing can be written into it.
    pub read_only: bool,
}

/// How layers are made one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackEnd {
    /// By overlayfs; where the kernel cannot, by copying.
    #[default]
    Auto,
    /// By overlayfs.
    Overlay,
    /// A single layer as it is, to be read only.
    Bind,
    /// One after the other is copied into a folder.
    Copy,
}

/// Below the folder of what is written into a root: what overlayfs has of that.
pub(crate) const UPPER: &str = "upper";
/// As overlayfs has it; an image of Docker's has at most 127.
pub const LAYERS_MAX: usize = 500;
/// A longer value is none to the kernel.
const OPTION_BYTES_MAX: usize = 255;
/// The same, of all options of the older call, with room for the others.
const OPTIONS_BYTES_MAX: usize = 4096 - 256;

impl Root {
    /// The root as a mount that is nowhere yet. What is written into it goes below `scratch`, which is on the host.
    pub(super) fn mount(&self, scratch: &Path) -> Result<OwnedFd, ConfineError> {
        self.check()?;
        let made = self.made(scratch)?;
        // Devices of an image are nobody's here; those of the container are in `/dev`.
        let change = MountChange { set: NO_DEVICES, ..MountChange::default() };
        system::change_mount(&made, change).tried(|| "have no devices in the root".into())?;
        Ok(made)
    }

    fn made(&self, scratch: &Path) -> Result<OwnedFd, ConfineError> {
        match self.back_end {
            BackEnd::Bind => self.bind(),
            BackEnd::Copy => self.copied(scratch),
            BackEnd::Overlay => self.overlay(scratch).tried(|| self.over(scratch)),
            BackEnd::Auto => match self.overlay(scratch) {
                // No overlayfs, not for this user, or not on this file system.
                Err(
                    Errno::NODEV | Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP,
                ) => self.copied(scratch),
                made => made.tried(|| self.over(scratch)),
            },
        }
    }

    fn check(&self) -> Result<(), ConfineError> {
        let count = self.layers.len();
        let words = match self.back_end {
            _ if count == 0 => "an image without layers has no root".to_owned(),
            _ if count > LAYERS_MAX => {
                format!("an image of {count} layers is too much; {LAYERS_MAX} are the most")
            }
            BackEnd::Bind if count > 1 || !self.read_only => {
                "only a single layer that is to be read only can be used as it is".to_owned()
            }
            BackEnd::Auto | BackEnd::Overlay | BackEnd::Bind | BackEnd::Copy => return Ok(()),
        };
        Err(ConfineError::Refused(words))
    }

    fn over(&self, scratch: &Path) -> String {
        let lowest = self.layers.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let (count, lowest) = (self.layers.len(), lowest.display());
        format!("lay {} over {count} layers, the lowest of them {lowest}", scratch.display())
    }

    fn bind(&self) -> Result<OwnedFd, ConfineError> {
        let [layer] = self.layers.as_slice() else {
            return Err(ConfineError::Refused("no single layer".into()));
        };
        let shown = || format!("use {} as the root", layer.display());
        let made = copy_of(CWD, layer).tried(shown)?;
        let change = MountChange {
            set: READ_ONLY,
            propagation: MsFlags::MS_PRIVATE.bits(),
            recursive: true,
        };
        system::change_mount(&made, change).tried(shown)?;
        Ok(made)
    }

    fn copied(&self, scratch: &Path) -> Result<OwnedFd, ConfineError> {
        let folder = scratch.join("copy");
        make_folder(&folder).tried(|| format!("make {}", folder.display()))?;
        for layer in &self.layers {
            copy::apply(layer, &folder)?;
        }
        let shown = || format!("use {} as the root", folder.display());
        let made = copy_of(CWD, &folder).tried(shown)?;
        let propagation = MsFlags::MS_PRIVATE.bits();
        system::change_mount(&made, MountChange { set: 0, propagation, recursive: true })
            .tried(shown)?;
        Ok(made)
    }

    fn overlay(&self, scratch: &Path) -> rustix::io::Result<OwnedFd> {
        let (upper, work) = (scratch.join(UPPER), scratch.join("work"));
        for folder in [&upper, &work] {
            make_folder(folder)?;
        }
        let open = |path: &Path| {
            rustix::fs::open(
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
        };
        let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let set =
            |name: &str, value: &str| rustix::mount::fsconfig_set_string(&context, name, value);
        // A path that is too long, or holds what the kernel takes for the end of one, is named by its descriptor.
        let mut held = Vec::new();
        let mut word = |path: &Path| -> rustix::io::Result<String> {
            match path.to_str() {
                Some(text)
                    if text.len() <= OPTION_BYTES_MAX && !text.contains([':', ',', '\\', '"']) =>
                {
                    Ok(text.to_owned())
                }
                _ => {
                    let file = open(path)?;
                    let word = format!("/proc/self/fd/{}", file.as_raw_fd());
                    held.push(file);
                    Ok(word)
                }
            }
        };
        let (upper, work) = (word(&upper)?, word(&work)?);
        let mut one_by_one = true;
        for (index, layer) in self.layers.iter().rev().enumerate() {
            match set("lowerdir+", &word(layer)?) {
                // Linux before 6.8.
                Err(Errno::INVAL) if index == 0 => {
                    one_by_one = false;
                    break;
                }
                done => done?,
            }
        }
        if !one_by_one {
            let mut all = Vec::new();
            for layer in self.layers.iter().rev() {
                let file = open(layer)?;
                all.push(format!("/proc/self/fd/{}", file.as_raw_fd()));
                held.push(file);
            }
            return older(&all.join(":"), &upper, &work, scratch);
        }
        set("upperdir", &upper)?;
        set("workdir", &work)?;
        if !rustix::process::geteuid().is_root() || in_user_namespace() {
            rustix::mount::fsconfig_set_flag(&context, "userxattr")?;
        }
        rustix::mount::fsconfig_create(&context)?;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    }
}

/// By the call that takes all options in one page, and mounts somewhere: on `scratch`, and then nowhere again.
fn older(lower: &str, upper: &str, work: &str, scratch: &Path) -> rustix::io::Result<OwnedFd> {
    let own = if in_user_namespace() { ",userxattr" } else { "" };
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}{own}");
    let options = match std::ffi::CString::new(options) {
        Ok(options) if options.as_bytes().len() <= OPTIONS_BYTES_MAX => options,
        Ok(_) | Err(_) => return Err(Errno::TOOBIG),
    };
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("overlay", scratch, "overlay", flags, Some(options.as_c_str()))?;
    let made = copy_of(CWD, scratch)?;
    rustix::mount::unmount(scratch, rustix::mount::UnmountFlags::DETACH)?;
    Ok(made)
}

fn make_folder(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether root here is somebody else outside.
pub(super) fn in_user_namespace() -> bool {
    let whole = |text: String| {
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>() == ["0", "0", "4294967295"]
    };
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|text| !whole(text))
}

impl From<copy::CopyError> for ConfineError {
    fn from(error: copy::CopyError) -> Self {
        let copy::CopyError { path, source } = error;
        Self::Step { what: format!("copy {}", path.display()), source: io::Error::other(source) }
    }
}
