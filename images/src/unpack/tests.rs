//! Layers unpacked: what honest ones come to, and what hostile ones cannot do. As root, since owners are kept.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{CWD, getxattr, mknodat};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

/// An archive that may say anything: names are written into the header as they are.
#[derive(Default)]
struct Made(Vec<u8>);

impl Made {
    fn entry(mut self, kind: EntryType, name: &str, link: &str, body: &[u8], mode: u32) -> Self {
        let mut header = Header::new_old();
        let bytes = header.as_old_mut();
        bytes.name[..name.len()].copy_from_slice(name.as_bytes());
        bytes.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(body.len() as u64);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, body: &str) -> Self {
        self.entry(EntryType::Regular, name, "", body.as_bytes(), 0o644)
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"", 0o755)
    }

    fn symlink(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, b"", 0o777)
    }

    fn hardlink(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Link, name, to, b"", 0o644)
    }
}

/// A folder to unpack into, beside one that nothing may touch.
struct Place {
    above: TempDir,
}

impl Place {
    fn new() -> Self {
        let above = TempDir::new().unwrap();
        fs::create_dir(above.path().join("layer")).unwrap();
        fs::create_dir(above.path().join("outside")).unwrap();
        fs::write(above.path().join("outside/secret"), "secret").unwrap();
        Self { above }
    }

    fn layer(&self) -> PathBuf {
        self.above.path().join("layer")
    }

    fn outside(&self) -> String {
        self.above.path().join("outside").to_str().unwrap().to_owned()
    }

    fn unpack(&self, archive: &Made) -> Result<Report, BadLayer> {
        self.unpack_within(archive, &Budget::new(1 << 20, 1000))
    }

    fn unpack_within(&self, archive: &Made, budget: &Budget) -> Result<Report, BadLayer> {
        let folder = File::open(self.layer()).unwrap();
        let result = unpack(archive.0.as_slice(), folder.as_fd(), Form::Privileged, budget);
        let outside: Vec<_> =
            fs::read_dir(self.outside()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(outside, ["secret"], "nothing outside was touched");
        let secret = fs::metadata(self.above.path().join("outside/secret")).unwrap();
        assert_eq!((secret.len(), secret.nlink()), (6, 1), "nothing outside was touched");
        result
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.layer().join(name)).unwrap()
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let found = fs::symlink_metadata(self.layer().join(name)).unwrap();
        found.file_type().is_char_device() && found.rdev() == 0
    }

    fn is_opaque(&self, name: &str) -> bool {
        let mut value = [0; 1];
        getxattr(self.layer().join(name), "trusted.overlay.opaque", &mut value).is_ok()
            && value == *b"y"
    }
}

#[test]
fn files_folders_and_links_come_out_as_they_went_in() {
    let place = Place::new();
    let archive = Made::default()
        .entry(EntryType::Directory, "./", "", b"", 0o755)
        .entry(EntryType::Directory, "d/", "", b"", 0o1555)
        .file("d/f", "text")
        .entry(EntryType::Regular, "d/su", "", b"x", 0o4755)
        .hardlink("h", "d/f")
        .symlink("s", "../../outside/secret")
        .entry(EntryType::Fifo, "p", "", b"", 0o640)
        .file("made/on/the/way", "x");
    let report = place.unpack(&archive).unwrap();
    assert_eq!(report.entries, 8);
    assert_eq!((place.text("d/f"), place.text("h")), ("text".into(), "text".into()));
    let found = |name: &str| fs::symlink_metadata(place.layer().join(name)).unwrap();
    assert_eq!(found("d").mode() & 0o7777, 0o1555);
    assert_eq!(found("d/su").mode() & 0o7777, 0o4755, "set-id bits are kept as data");
    assert_eq!(found("p").mode() & 0o7777, 0o640);
    assert_eq!(found("h").ino(), found("d/f").ino());
    for name in ["", "d", "d/f", "s", "p"] {
        assert_eq!(found(name).mtime(), 1_000_000_000, "{name}");
    }
    assert_eq!(fs::read_link(place.layer().join("s")).unwrap(), Path::new("../../outside/secret"));
}

#[test]
fn owners_and_capabilities_are_kept_and_attributes_of_overlayfs_are_not() {
    let place = Place::new();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut builder = Builder::new(Vec::new());
    builder
        .append_pax_extensions([
            ("SCHILY.xattr.security.capability", &capability[..]),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/../outside"),
            ("SCHILY.xattr.user.note", b"n"),
            ("uid", b"100000"),
        ])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o755);
    header.set_gid(33);
    builder.append_data(&mut header, "ping", &b""[..]).unwrap();
    let report = place.unpack(&Made(builder.into_inner().unwrap())).unwrap();
    let path = place.layer().join("ping");
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid()), (100_000, 33));
    let mut value = [0; 64];
    assert_eq!(getxattr(&path, "security.capability", &mut value), Ok(capability.len()));
    assert_eq!(getxattr(&path, "user.note", &mut value), Ok(1));
    assert!(getxattr(&path, "trusted.overlay.redirect", &mut value).is_err());
    assert_eq!(report.attributes_skipped, 1);
}

#[test]
fn without_rights_owners_are_ignored_and_counted() {
    let place = Place::new();
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o755);
    header.set_uid(5);
    builder.append_data(&mut header, "f", &b""[..]).unwrap();
    builder.append_data(&mut header, "d/.wh..wh..opq", &b""[..]).unwrap();
    let folder = File::open(place.layer()).unwrap();
    let bytes = builder.into_inner().unwrap();
    let budget = Budget::new(1 << 20, 10);
    let report = unpack(bytes.as_slice(), folder.as_fd(), Form::Unprivileged, &budget).unwrap();
    assert_eq!(report.owners_ignored, 1);
    assert_ne!(fs::metadata(place.layer().join("f")).unwrap().uid(), 5);
    let mut value = [0; 1];
    assert_eq!(getxattr(place.layer().join("d"), "user.overlay.opaque", &mut value), Ok(1));
}

#[test]
fn img_04_deletions_become_those_of_overlayfs() {
    let place = Place::new();
    let archive = Made::default()
        .file(".wh.gone", "")
        .folder("d/")
        .file("d/.wh..wh..opq", "")
        .file("d/new", "x")
        .file("e/.wh.deep", "")
        .file(".wh..wh.plnk", "");
    place.unpack(&archive).unwrap();
    assert!(place.is_whiteout("gone") && place.is_whiteout("e/deep"));
    assert!(place.is_opaque("d") && !place.is_opaque("e"));
    assert_eq!(place.text("d/new"), "x");
    assert!(!place.layer().join(".wh..wh.plnk").exists());
}

#[test]
fn img_04_what_a_layer_deletes_and_makes_anew_is_there_in_either_order() {
    for deleted_first in [true, false] {
        let place = Place::new();
        let delete = |made: Made| made.file(".wh.d", "").file(".wh.f", "");
        let make = |made: Made| made.folder("d/").file("d/x", "new").file("f", "new");
        let empty = Made::default();
        place
            .unpack(&if deleted_first { make(delete(empty)) } else { delete(make(empty)) })
            .unwrap();
        assert_eq!((place.text("d/x"), place.text("f")), ("new".into(), "new".into()));
        assert!(place.is_opaque("d"), "what was below is hidden");
    }
}

#[test]
fn a_later_entry_takes_the_place_of_an_earlier_one() {
    let place = Place::new();
    let archive = Made::default()
        .file("a", "1")
        .file("a", "2")
        .file("b/x/y", "1")
        .file("b", "2")
        .symlink("c", "a")
        .file("c", "3")
        .file("d", "1")
        .folder("d/")
        .file("d/x", "4")
        .symlink("e", "b")
        .folder("e/")
        .file("e/x", "5");
    place.unpack(&archive).unwrap();
    assert_eq!([place.text("a"), place.text("b"), place.text("c")], ["2", "2", "3"]);
    assert_eq!([place.text("d/x"), place.text("e/x")], ["4", "5"]);
    assert!(!fs::symlink_metadata(place.layer().join("e")).unwrap().is_symlink());
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../outside/x", "a/../../outside/x", "..", "/../outside/x"] {
        let place = Place::new();
        for archive in [
            Made::default().file(name, "x"),
            Made::default().folder(name),
            Made::default().symlink(name, "x"),
            Made::default().hardlink("h", name),
        ] {
            let error = place.unpack(&archive.file("after", "x")).unwrap_err();
            assert!(matches!(error, BadLayer::UnsafePath { .. }), "{name}: {error}");
        }
    }
}

#[test]
fn absolute_names_are_below_the_root_of_the_layer() {
    let place = Place::new();
    let outside = place.outside();
    place.unpack(&Made::default().file(&format!("{outside}/secret"), "mine")).unwrap();
    assert_eq!(place.text(&format!("{}/secret", &outside[1..])), "mine");
}

#[test]
fn nothing_is_written_through_links_out_of_the_layer() {
    let outside = |place: &Place| place.outside();
    for up in [false, true] {
        let place = Place::new();
        let target = if up { "../outside".into() } else { outside(&place) };
        let archive = Made::default()
            .symlink("l", &target)
            .file("l/secret", "mine")
            .file("l/.wh.x", "")
            .folder("l/d/")
            .symlink("f", &format!("{target}/secret"))
            .file("f", "mine");
        // Links are resolved with the layer as root: what they name is made in there, or cannot be.
        let result = place.unpack(&archive);
        assert!(result.is_ok() || matches!(result, Err(BadLayer::UnsafePath { .. })), "{result:?}");
    }
}

#[test]
fn a_hard_link_names_only_what_the_layer_has() {
    let place = Place::new();
    let outside = place.outside();
    let error =
        place.unpack(&Made::default().hardlink("h", &format!("{outside}/secret"))).unwrap_err();
    assert!(matches!(error, BadLayer::NoLinkTarget { .. }), "{error}");
    let through = Made::default().symlink("l", "../outside").hardlink("h", "l/secret");
    assert!(place.unpack(&through).is_err());
    // A hard link to a link is a second name of the link, not of what it leads to.
    let place = Place::new();
    let link = Made::default().symlink("l", "/etc/passwd").hardlink("h", "l");
    place.unpack(&link).unwrap();
    assert!(fs::symlink_metadata(place.layer().join("h")).unwrap().is_symlink());
    let folder = Made::default().folder("d/").hardlink("h2", "d");
    assert!(matches!(place.unpack(&folder), Err(BadLayer::UnsafePath { .. })));
}

#[test]
fn device_nodes_are_not_made() {
    let place = Place::new();
    let archive = Made::default()
        .entry(EntryType::Char, "null", "", b"", 0o666)
        .entry(EntryType::Block, "sda", "", b"", 0o666)
        .file("f", "x");
    assert_eq!(place.unpack(&archive).unwrap().devices_skipped, 2);
    assert!(!place.layer().join("null").exists() && !place.layer().join("sda").exists());
}

#[test]
fn links_in_circles_and_deep_trees_end() {
    let place = Place::new();
    let circle = Made::default().symlink("a", "b").symlink("b", "a").file("a/f", "x");
    assert!(place.unpack(&circle).is_err());
    // Each round goes further down through a link to where the last one ended.
    let place = Place::new();
    let mut chain = Made::default().folder(&"d/".repeat(40)).symlink("l0", &"d/".repeat(40));
    for round in 0..5 {
        let name = format!("l{round}/{}", "d/".repeat(30));
        chain = chain.folder(&name).symlink(&format!("l{}", round + 1), &name);
    }
    assert!(place.unpack(&chain).is_err(), "more than 128 folders deep");
    fs::remove_dir_all(place.layer()).unwrap();
}

#[test]
fn limits_hold_for_all_layers_together() {
    let place = Place::new();
    let budget = Budget::new(3000, 3);
    place.unpack_within(&Made::default().file("a", &"x".repeat(1000)), &budget).unwrap();
    let error =
        place.unpack_within(&Made::default().file("b", &"x".repeat(1000)), &budget).unwrap_err();
    assert!(matches!(error, BadLayer::TooManyBytes { most: 3000 }), "{error}");
    let budget = Budget::new(1 << 20, 3);
    let error = place.unpack_within(
        &Made::default().file("a", "").file("b", "").file("c", "").file("d", ""),
        &budget,
    );
    assert!(matches!(error, Err(BadLayer::TooManyEntries { most: 3 })), "{error:?}");
}

#[test]
fn a_whiteout_is_told_from_other_devices() {
    let place = Place::new();
    let make = |name: &str, minor| {
        let device = rustix::fs::makedev(0, minor);
        let path = place.layer().join(name);
        mknodat(CWD, &path, rustix::fs::FileType::CharacterDevice, Mode::empty(), device).unwrap();
        is_whiteout(&rustix::fs::lstat(&path).unwrap())
    };
    assert!(make("a", 0) && !make("b", 1));
}

/// Mostly such as lead somewhere: an archive ends at the first name that is refused.
fn part() -> impl Strategy<Value = String> {
    let parts =
        [(8, "a"), (8, "b"), (1, ".."), (1, "."), (1, ".wh.a"), (1, ".wh..wh..opq"), (1, "")];
    proptest::strategy::Union::new_weighted(
        parts.map(|(weight, part)| (weight, Just(part.to_owned()))).to_vec(),
    )
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(part(), 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever an archive says, nothing outside of the layer is touched; `Place` looks.
    #[test]
    fn no_archive_reaches_out(
        entries in proptest::collection::vec((0_u8..6, name(), name(), any::<bool>()), 1..12)
    ) {
        let place = Place::new();
        let mut archive = Made::default();
        for (kind, name, link, outside) in entries {
            let link = if outside { place.outside() } else { link };
            archive = match kind {
                0 => archive.file(&name, "x"),
                1 => archive.folder(&name),
                2 | 3 => archive.symlink(&name, &link),
                4 => archive.hardlink(&name, &format!("{link}/secret")),
                _ => archive.hardlink(&name, &link),
            };
        }
        let _ = place.unpack(&archive);
        let below = fs::read_dir(place.above.path()).unwrap().count();
        prop_assert_eq!(below, 2);
    }
}
