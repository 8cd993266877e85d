//! What a store makes of what it finds: after a loss of power, damage, and for a process with fewer rights.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::source::{LayerFrom, LayerSource};

/// A store with one image, of one layer, put there without a pull.
fn stocked() -> (TempDir, Reference, Digest) {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let (reference, layer) = (Reference::parse("app", "docker.io").unwrap(), Digest::of(b"layer"));
    let unpacking = store.inner.unpacking().unwrap();
    fs::write(unpacking.diff().join("f"), "x").unwrap();
    store.inner.keep_layer(unpacking, layer, Report { bytes: 7, ..Report::default() }).unwrap();
    let configuration = crate::image_config::Configuration::read(b"{}").unwrap();
    let path = PathBuf::new();
    let from = LayerFrom::Slice {
        file: Arc::new(File::open("/dev/null").unwrap()),
        path,
        offset: 0,
        size_bytes: 0,
    };
    let layers = vec![LayerSource { diff_id: layer, from }];
    let resolved = Resolved { digest: Digest::of(b"manifest"), configuration, layers };
    let lease = Inner::lease(&store.inner, &[layer]);
    store.inner.keep(reference.clone(), &resolved, lease).unwrap();
    (folder, reference, layer)
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path(), Settings::default()).unwrap()
}

fn record_path(folder: &TempDir, layer: Digest) -> PathBuf {
    folder.path().join("layers").join(layer.hex()).join("layer")
}

#[test]
fn img_08_a_new_process_finds_the_images_of_the_last_one() {
    let (folder, reference, layer) = stocked();
    let store = open(&folder);
    let images = store.images();
    assert_eq!((images.len(), images[0].bytes, &images[0].layers), (1, 7, &vec![layer]));
    assert_eq!(images[0].reference, reference);
    let pulled = Inner::cached(&store.inner, &reference).unwrap();
    assert_eq!(fs::read_to_string(pulled.layers[0].join("f")).unwrap(), "x");
}

#[test]
fn after_a_loss_of_power_only_what_was_settled_is_believed() {
    let in_another_boot = |folder: &TempDir, layer| {
        let path = record_path(folder, layer);
        let mut record: LayerRecord = record::read(&fs::read(&path).unwrap()).unwrap();
        record.unsettled_in = record.unsettled_in.map(|_| "another boot".into());
        fs::write(&path, record::write(&record)).unwrap();
    };
    let (folder, _, layer) = stocked();
    in_another_boot(&folder, layer);
    assert!(open(&folder).images().is_empty());
    assert!(!record_path(&folder, layer).exists());
    let (folder, _, layer) = stocked();
    open(&folder).settle().unwrap();
    in_another_boot(&folder, layer);
    assert_eq!(open(&folder).images().len(), 1);
}

#[test]
fn a_damaged_record_costs_its_image_and_nothing_else() {
    let (folder, _, layer) = stocked();
    let image = fs::read_dir(folder.path().join("images")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() - 1]).unwrap();
    let store = open(&folder);
    assert!(store.images().is_empty() && !image.exists());
    assert!(store.inner.has_layer(layer), "the layer is still of use");
    drop(store);
    fs::write(record_path(&folder, layer), "").unwrap();
    assert!(!open(&folder).inner.has_layer(layer));
}

#[test]
fn what_a_crash_left_is_removed_whatever_its_rights() {
    let (folder, ..) = stocked();
    let left = folder.path().join("unpacking/9/diff/closed");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("f"), "x").unwrap();
    fs::set_permissions(&left, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    fs::create_dir_all(folder.path().join("removing/3/diff")).unwrap();
    fs::create_dir_all(folder.path().join("layers/garbage")).unwrap();
    fs::write(folder.path().join("images/garbage"), "x").unwrap();
    let store = open(&folder);
    assert_eq!(store.images().len(), 1);
    for gone in ["unpacking/9", "removing/3", "layers/garbage", "images/garbage"] {
        assert!(!folder.path().join(gone).exists(), "{gone}");
    }
}

#[test]
fn nobody_else_gets_at_what_is_in_a_store() {
    let (folder, ..) = stocked();
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(folder.path()).unwrap());
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |settings| {
        Store::open(folder.path(), settings).err().map(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_default()
        })
    };
    let settings = Settings { pulls_max: 0, ..Settings::default() };
    assert_eq!(refused(settings).as_deref(), Some("pulls_max is 0; at least 1 is needed"));
    let authorities = vec![folder.path().join("none.pem")];
    let settings = Settings { authorities, ..Settings::default() };
    assert!(refused(settings).unwrap().contains("none.pem"));
}

#[test]
fn head_room_is_a_share_of_the_disk() {
    assert_eq!(wanted_bytes(10_000, 500, 0.1), 500);
    assert_eq!(wanted_bytes(10_000, 1000, 0.1), 0);
    assert_eq!(wanted_bytes(10_000, 0, 1.5), 10_000);
    assert_eq!(wanted_bytes(10_000, 0, -1.0), 0);
    assert_eq!(wanted_bytes(10_000, 0, f64::NAN), 0);
}

#[test]
fn a_layer_that_lies_above_itself_is_used_once() {
    let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
    assert_eq!(topmost(&[a, b, a]), [b, a]);
    assert_eq!(topmost(&[]), []);
}
