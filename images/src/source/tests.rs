//! Layouts and archives that are not as they should be. Good ones, made by others' tools, are in `tests/pulls/real.rs`.

use std::fs;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::settings::Settings;

const CONFIG: &str = r#"{"rootfs":{"diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
const MANIFEST: &str = r#"[{"Config":"c.json","RepoTags":["app:v1"],"Layers":["1/layer.tar"]}]"#;

/// Files and, with a target, links.
fn archive(entries: &[(&str, &str, Option<&str>)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, body, link) in entries {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        match link {
            Some(link) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, link).unwrap();
            }
            None => {
                header.set_size(body.len() as u64);
                builder.append_data(&mut header, name, body.as_bytes()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn resolve(bytes: &[u8], name: Option<&str>) -> Result<Resolved, Failure> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    resolve_archive(&path, name, folder.path(), &Settings::default())
}

fn fails(entries: &[(&str, &str, Option<&str>)]) -> Failure {
    resolve(&archive(entries), None).err().expect("it is refused")
}

#[test]
fn img_02_a_layer_may_be_a_link_to_that_of_another_image() {
    let entries = [
        ("2/layer.tar", "body", None),
        ("1/layer.tar", "", Some("../2/layer.tar")),
        ("c.json", CONFIG, None),
        ("manifest.json", MANIFEST, None),
    ];
    let resolved = resolve(&archive(&entries), Some("docker.io/library/app:v1")).unwrap();
    assert_eq!(resolved.layers.len(), 1);
    assert_eq!(resolved.layers[0].from.size_bytes(), 4);
    assert_eq!(resolved.digest, Digest::of(CONFIG.as_bytes()));
}

#[test]
fn archives_that_are_not_as_they_should_be_say_how() {
    assert!(matches!(fails(&[]), Failure::NotAnImage { .. }));
    assert!(matches!(fails(&[("manifest.json", "{", None)]), Failure::BadManifest { .. }));
    let manifest = ("manifest.json", MANIFEST, None);
    assert!(matches!(fails(&[manifest]), Failure::NotAnImage { .. }));
    let circle = [("c.json", CONFIG, None), manifest, ("1/layer.tar", "", Some("layer.tar"))];
    assert!(matches!(fails(&circle), Failure::NotAnImage { .. }));
    let none =
        [("c.json", r#"{"rootfs":{"diff_ids":[]}}"#, None), manifest, ("1/layer.tar", "", None)];
    assert!(matches!(fails(&none), Failure::BadManifest { .. }));
    let other = [("c.json", r#"{"os":"linux","architecture":"s390x"}"#, None), manifest];
    assert!(matches!(fails(&other), Failure::NoSuchPlatform { .. }));
    assert!(matches!(resolve(b"no archive at all", None), Err(Failure::Archive { .. })));
    assert!(matches!(resolve(&[0x1f, 0x8b, 0, 0, 0, 0], None), Err(Failure::Archive { .. })));
}

async fn find(files: &[(&str, &str)], tag: Option<&str>) -> Result<Resolved, Failure> {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Source::Layout(folder.path(), tag).resolve(&Settings::default()).await
}

#[tokio::test]
async fn layouts_that_are_not_as_they_should_be_say_how() {
    let digest = Digest::of(b"x");
    let entry = format!(
        r#"{{"digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}"#
    );
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
    let blob = format!("blobs/sha256/{}", digest.hex());
    assert!(matches!(find(&[], None).await, Err(Failure::File { .. })));
    assert!(matches!(find(&[("index.json", "[")], None).await, Err(Failure::BadManifest { .. })));
    assert!(matches!(
        find(&[("index.json", &index)], Some("v2")).await,
        Err(Failure::NoSuchImage { .. })
    ));
    assert!(matches!(find(&[("index.json", &index)], None).await, Err(Failure::File { .. })));
    let wrong = find(&[("index.json", &index), (&blob, "y")], Some("v1")).await;
    assert!(matches!(wrong, Err(Failure::DigestMismatch { .. })));
    let huge = " ".repeat(5 << 20);
    assert!(matches!(find(&[("index.json", &huge)], None).await, Err(Failure::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_damaged_archive_panics(at in 0_usize..10_000, byte: u8) {
        let entries = [("1/layer.tar", "body", None), ("c.json", CONFIG, None), ("manifest.json", MANIFEST, None)];
        let mut bytes = archive(&entries);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = resolve(&bytes, None);
    }
}
