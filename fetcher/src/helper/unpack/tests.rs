//! Archives of all kinds, good and hostile, beside a file that none of them may touch.

use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use zip::write::SimpleFileOptions;

use super::*;

const FEW: Limits = Limits { bytes: 1 << 20, unpacked_bytes: 1 << 20, entries: 100 };

/// A sandbox with a neighbour.
struct Stage {
    outer: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        std::fs::create_dir(outer.path().join("sandbox")).unwrap();
        std::fs::write(outer.path().join("victim"), "as it was").unwrap();
        Self { outer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join("sandbox").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn unpack(&self, how: Unpack, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.unpack_within(how, name, bytes, FEW)
    }

    fn unpack_within(
        &self,
        how: Unpack,
        name: &str,
        bytes: &[u8],
        limits: Limits,
    ) -> Result<(), String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let folder = Folder::open(self.path("").to_str().unwrap()).unwrap();
        unpack(how, file, name, &folder, limits, &Moved::default())
    }

    /// Nothing beside the sandbox has changed.
    #[track_caller]
    fn is_contained(&self) {
        let mut there: Vec<_> =
            self.outer.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        there.sort();
        assert_eq!(there, ["sandbox", "victim"]);
        let victim = self.outer.path().join("victim");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "as it was");
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&victim.metadata().unwrap()), 1);
    }
}

/// An entry, with whatever name.
fn entry(tar: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, link: &str, data: &[u8]) {
    let mut header = Header::new_gnu();
    let put = |field: &mut [u8], text: &str| {
        let length = text.len().min(field.len() - 1);
        field[..length].copy_from_slice(&text.as_bytes()[..length]);
    };
    let old = header.as_old_mut();
    put(&mut old.name, name);
    put(&mut old.linkname, link);
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o555 } else { 0o4750 });
    header.set_mtime(1_000_000_000);
    header.set_size(data.len() as u64);
    header.set_cksum();
    tar.append(&header, data).unwrap();
}

type Entry<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, link, data) in entries {
        entry(&mut tar, name, *kind, link, data);
    }
    tar.into_inner().unwrap()
}

fn good_tar() -> Vec<u8> {
    tar_of(&[
        ("d/", EntryType::Directory, "", b""),
        ("d/file", EntryType::Regular, "", b"data"),
        ("/rooted", EntryType::Regular, "", b"rooted"),
        ("link", EntryType::Symlink, "d", b""),
        ("link/through", EntryType::Regular, "", b"through"),
        ("hard", EntryType::Link, "d/file", b""),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut to =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(6)).unwrap();
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn zip_of(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, data) in entries {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*name, options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn fetch_01_tars_are_unpacked_however_they_are_compressed() {
    let good = good_tar();
    for (kind, bytes) in
        [("tar", good.clone()), ("gz", gzip(&good)), ("bz2", bzip2(&good)), ("xz", xz(&good))]
    {
        let stage = Stage::new();
        stage
            .unpack(Unpack::Tar, "a.tar", &bytes)
            .unwrap_or_else(|words| panic!("{kind}: {words}"));
        assert_eq!(stage.read("d/file"), "data", "{kind}");
        assert_eq!(stage.read("rooted"), "rooted", "a path from the root is one of the sandbox");
        assert_eq!(stage.read("d/through"), "through", "a link within the sandbox is followed");
        assert_eq!(stage.read("hard"), "data");
        let metadata = stage.path("d/file").metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o750, "nobody becomes another user");
        let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_secs(), 1_000_000_000);
        assert_eq!(stage.path("d").metadata().unwrap().permissions().mode() & 0o777, 0o555);
        stage.is_contained();
    }
}

#[test]
fn fetch_01_a_gz_is_unpacked_beside_itself_and_a_zip_into_the_sandbox() {
    let stage = Stage::new();
    stage.unpack(Unpack::Gzip, "data/words.txt.gz", &gzip(b"words")).unwrap();
    assert_eq!(stage.read("data/words.txt"), "words");
    let zip = zip_of(&[("bin/run", 0o755, b"#!/bin/sh"), ("data.txt", 0o640, b"zipped")]);
    stage.unpack(Unpack::Zip, "a.zip", &zip).unwrap();
    assert_eq!(stage.read("data.txt"), "zipped");
    let mode = |name: &str| stage.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/run"), mode("data.txt")), (0o755, 0o640));
    let mut linked = zip::ZipWriter::new(Cursor::new(Vec::new()));
    linked.add_symlink("link", "data.txt", SimpleFileOptions::default()).unwrap();
    linked.add_directory("empty/", SimpleFileOptions::default()).unwrap();
    let linked = linked.finish().unwrap().into_inner();
    stage.unpack(Unpack::Zip, "a.zip", &linked).unwrap();
    assert_eq!(stage.read("link"), "zipped");
    assert!(stage.path("empty").is_dir());
}

#[test]
fn what_would_lie_outside_of_the_sandbox_is_refused() {
    use EntryType::{Link, Regular, Symlink};
    let out: &[&[Entry<'_>]] = &[
        &[("../victim", Regular, "", b"evil")],
        &[("a/../../victim", Regular, "", b"evil")],
        &[("out", Symlink, "..", b""), ("out/victim", Regular, "", b"evil")],
        &[("out", Symlink, "..", b""), ("out/more/victim", Regular, "", b"evil")],
        &[("out", Symlink, "..", b""), ("stolen", Link, "out/victim", b"")],
        &[("stolen", Link, "../victim", b"")],
        &[("a", Symlink, "/tmp", b""), ("a/evil", Regular, "", b"evil")],
    ];
    for entries in out {
        let stage = Stage::new();
        let words = stage.unpack(Unpack::Tar, "a.tar", &tar_of(entries)).unwrap_err();
        assert!(words.contains("would lie outside of the sandbox"), "{entries:?}: {words}");
        stage.is_contained();
    }
    // What is in the way is replaced, never written through.
    let stage = Stage::new();
    let replaced: &[Entry<'_>] =
        &[("v", Symlink, "../victim", b""), ("v", Regular, "", b"a file of its own")];
    stage.unpack(Unpack::Tar, "a.tar", &tar_of(replaced)).unwrap();
    assert_eq!(stage.read("v"), "a file of its own");
    stage.is_contained();
    let zip = zip_of(&[("../victim", 0o644, b"evil")]);
    let words = stage.unpack(Unpack::Zip, "a.zip", &zip).unwrap_err();
    assert!(words.contains("would lie outside of the sandbox"), "{words}");
    stage.is_contained();
}

#[test]
fn devices_and_what_is_no_archive_are_refused_in_words() {
    let stage = Stage::new();
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let tar = tar_of(&[("null", kind, "", b"")]);
        let words = stage.unpack(Unpack::Tar, "a.tar", &tar).unwrap_err();
        assert!(words.contains("'null' in it is a device"), "{words}");
        assert!(!stage.path("null").exists());
    }
    let noise = b"<html>please log in</html>".repeat(100);
    for (how, wanted) in [
        (Unpack::Tar, "unpack it: it is damaged"),
        (Unpack::Zip, "unpack it: it is no zip, or damaged"),
        (Unpack::Gzip, "unpack it: 'a' in it is damaged"),
    ] {
        let words = stage.unpack(how, "a.gz", &noise).unwrap_err();
        assert!(words.starts_with(wanted), "{words}");
    }
    let words = stage.unpack(Unpack::Tar, "a.tar", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).unwrap_err();
    assert!(words.contains("compressed by zstd; gzip, bzip2 and xz are known"), "{words}");
}

#[test]
fn small_archives_that_hold_too_much_stop_at_their_limits() {
    let much = vec![0; usize::try_from(FEW.unpacked_bytes).unwrap() + 1];
    let bytes = format!("it holds more than {} bytes", FEW.unpacked_bytes);
    let entries = "it holds more than 100 files and folders";
    let many: Vec<String> = (0..101).map(|n| format!("f{n}")).collect();
    let many_in_tar: Vec<Entry<'_>> =
        many.iter().map(|name| (name.as_str(), EntryType::Regular, "", &b""[..])).collect();
    let many_in_zip: Vec<_> = many.iter().map(|name| (name.as_str(), 0o644, &b""[..])).collect();
    // A name of so many bytes that whoever keeps it in mind has none left.
    let long = tar_of(&[("././@LongLink", EntryType::GNULongName, "", &vec![b'a'; 2 << 20])]);
    for (how, archive, wanted) in [
        (Unpack::Tar, xz(&tar_of(&[("big", EntryType::Regular, "", &much)])), bytes.as_str()),
        (Unpack::Zip, zip_of(&[("big", 0o644, &much)]), &bytes),
        (Unpack::Gzip, gzip(&much), &bytes),
        (Unpack::Tar, gzip(&tar_of(&many_in_tar)), entries),
        (Unpack::Zip, zip_of(&many_in_zip), entries),
        (Unpack::Tar, gzip(&long), "what it says about its files is too much"),
    ] {
        let stage = Stage::new();
        let words = stage.unpack(how, "a.gz", &archive).unwrap_err();
        assert!(words.contains(wanted), "{words}");
    }
    let none = Limits { entries: 0, ..FEW };
    let stage = Stage::new();
    let listed: Vec<_> = (0..9000).map(|n| (format!("{n:0200}"), 0o644)).collect();
    let listed: Vec<_> =
        listed.iter().map(|(name, mode)| (name.as_str(), *mode, &b""[..])).collect();
    let words = stage.unpack_within(Unpack::Zip, "a", &zip_of(&listed), none).unwrap_err();
    assert!(words.contains("what it says about its files is too much"), "{words}");
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "..", ".", "", "/", "victim", "sandbox", "c/d"])
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 1..5).prop_map(|parts| parts.join("/"))
}

fn kind() -> impl Strategy<Value = EntryType> {
    use EntryType::{Directory, Link, Regular, Symlink};
    prop::sample::select(vec![Directory, Link, Regular, Symlink])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever names and links an archive has.
    #[test]
    fn no_archive_gets_out(entries in prop::collection::vec((name(), kind(), name()), 1..12)) {
        let stage = Stage::new();
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(name, kind, link)| (name.as_str(), *kind, link.as_str(), &b""[..]))
            .collect();
        // Whether it may be unpacked does not matter here.
        let _ = stage.unpack(Unpack::Tar, "a.tar", &tar_of(&entries));
        stage.is_contained();
    }

    /// Whatever is broken of an archive: words or files, and never a panic.
    #[test]
    fn no_damage_breaks_more_than_the_archive(
        kind in 0..5_usize,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let good = good_tar();
        let zip = zip_of(&[("a", 0o755, b"data"), ("b/c", 0o644, b"more")]);
        let kinds = [(Unpack::Tar, good.clone()), (Unpack::Tar, gzip(&good)), (Unpack::Tar, bzip2(&good)),
            (Unpack::Tar, xz(&good)), (Unpack::Zip, zip)];
        let (how, mut bytes) = kinds[kind].clone();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let stage = Stage::new();
        let _ = stage.unpack(how, "a.tar", &bytes);
        stage.is_contained();
    }
}
