//! Layers laid over one another by copying. As root: deletions are devices, owners are kept.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use rustix::fs::{makedev, setxattr};
use tempfile::TempDir;

use super::*;

struct Layers {
    above: TempDir,
}

impl Layers {
    fn new() -> Self {
        let above = TempDir::new().unwrap();
        for name in ["base", "top", "root", "outside"] {
            fs::create_dir(above.path().join(name)).unwrap();
        }
        fs::write(above.path().join("outside/secret"), "secret").unwrap();
        Self { above }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.above.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn deletion(&self, name: &str) {
        mknodat(CWD, self.path(name), FileType::CharacterDevice, Mode::empty(), makedev(0, 0))
            .unwrap();
    }

    fn apply(&self) -> Result<(), ApplyError> {
        apply_layer(&self.path("base"), &self.path("root"), Form::Privileged)?;
        apply_layer(&self.path("top"), &self.path("root"), Form::Privileged)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("root").join(name)).ok()
    }
}

#[test]
fn img_04_a_deleted_file_is_absent_and_an_opaque_folder_hides_what_was_below() {
    let layers = Layers::new();
    for name in ["gone", "stays", "folder/gone", "tree/a/b", "opaque/old"] {
        layers.file(&format!("base/{name}"), "old");
    }
    layers.deletion("top/gone");
    layers.deletion("top/tree");
    layers.file("top/folder/new", "new");
    layers.deletion("top/folder/gone");
    layers.file("top/opaque/new", "new");
    let opaque = Form::Privileged.opaque_attribute();
    setxattr(layers.path("top/opaque"), opaque, b"y", XattrFlags::empty()).unwrap();
    layers.apply().unwrap();
    for gone in ["gone", "tree/a/b", "tree", "folder/gone", "opaque/old"] {
        assert!(!layers.path("root").join(gone).exists(), "{gone}");
    }
    assert_eq!(layers.text("stays").as_deref(), Some("old"));
    assert_eq!(layers.text("folder/new").as_deref(), Some("new"));
    assert_eq!(layers.text("opaque/new").as_deref(), Some("new"));
    let mut value = [0; 8];
    assert!(rustix::fs::getxattr(layers.path("root/opaque"), opaque, &mut value).is_err());
}

#[test]
fn kinds_change_and_all_that_is_said_of_files_is_copied() {
    let layers = Layers::new();
    layers.file("base/file_to_folder", "x");
    layers.file("base/folder_to_file/x", "x");
    layers.file("top/file_to_folder/x", "new");
    layers.file("top/folder_to_file", "new");
    layers.file("top/program", "x");
    chown(layers.path("top/program"), Some(7), Some(8)).unwrap();
    fs::set_permissions(layers.path("top/program"), fs::Permissions::from_mode(0o4711)).unwrap();
    setxattr(layers.path("top/program"), "user.note", b"n", XattrFlags::empty()).unwrap();
    fs::hard_link(layers.path("top/program"), layers.path("top/same")).unwrap();
    symlink("program", layers.path("top/link")).unwrap();
    layers.apply().unwrap();
    assert_eq!(layers.text("file_to_folder/x").as_deref(), Some("new"));
    assert_eq!(layers.text("folder_to_file").as_deref(), Some("new"));
    let found = |name: &str| fs::symlink_metadata(layers.path("root").join(name)).unwrap();
    let program = found("program");
    assert_eq!((program.uid(), program.gid(), program.mode() & 0o7777), (7, 8, 0o4711));
    assert_eq!(program.ino(), found("same").ino());
    let from = fs::symlink_metadata(layers.path("top/program")).unwrap();
    assert_eq!((program.mtime(), program.mtime_nsec()), (from.mtime(), from.mtime_nsec()));
    assert!(found("link").is_symlink());
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(layers.path("root/program"), "user.note", &mut value), Ok(1));
}

#[test]
fn links_of_a_layer_below_are_replaced_and_not_followed() {
    let layers = Layers::new();
    symlink(layers.path("outside"), layers.path("base/folder")).unwrap();
    symlink(layers.path("outside/secret"), layers.path("base/file")).unwrap();
    symlink(layers.path("outside/secret"), layers.path("base/deleted")).unwrap();
    layers.file("top/folder/secret", "mine");
    layers.file("top/file", "mine");
    layers.deletion("top/deleted");
    layers.apply().unwrap();
    assert_eq!(fs::read_to_string(layers.path("outside/secret")).unwrap(), "secret");
    assert_eq!(layers.text("folder/secret").as_deref(), Some("mine"));
    assert_eq!(layers.text("file").as_deref(), Some("mine"));
}

#[test]
fn what_no_layer_has_is_refused() {
    let layers = Layers::new();
    let device = makedev(1, 3);
    mknodat(CWD, layers.path("top/null"), FileType::CharacterDevice, Mode::empty(), device)
        .unwrap();
    let error = layers.apply().unwrap_err();
    assert!(error.to_string().contains("null"), "{error}");
    assert_eq!(error.cause().raw_os_error(), Some(Errno::NOTSUP.raw_os_error()));
}
