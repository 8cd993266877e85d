//! Many who want the same: one pull for all who ask at once, layers that images share, what is cached, and what goes when
//! room is wanted.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use images::{Phase, PullOptions, Store};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::fake::{Ending, Fake, settings};
use crate::made::{Image, gzip, layer, leftovers, noise, pull, reopen};

/// Whatever is waited for here comes within this, or the test has failed.
const DEADLINE: Duration = Duration::from_secs(30);

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings()).unwrap();
    (folder, store)
}

fn image(text: &str) -> Image {
    Image::of(&[layer(&[("base", b"base")]), layer(&[("text", text.as_bytes())])])
}

#[tokio::test]
async fn img_01_layers_come_with_gzip_zstd_or_plain_and_this_machines_image_out_of_a_list() {
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let plain = |bytes: &[u8]| bytes.to_vec();
    let fake = Fake::honest().await;
    for (tag, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd), ("plain", plain)] {
        let (_folder, store) = store();
        let here = images::Platform::here().architecture;
        let ours = Image::packed(&[layer(&[("text", tag.as_bytes())])], pack, &here);
        let other = Image::packed(&[layer(&[("text", b"other")])], pack, "s390x");
        let list = Image::list(&[("s390x", other), (here.as_str(), ours.clone())]);
        let pulled = pull(&store, &fake.push("app", tag, &list)).await.unwrap();
        assert_eq!(fs::read_to_string(pulled.layers[0].join("text")).unwrap(), tag);
        assert_eq!(pulled.digest, Some(images::Digest::of(ours.manifest())));
        assert_eq!(
            (pulled.config.command, pulled.config.environment),
            (vec!["sh".into()], vec!["A=b".into()])
        );
    }
}

#[tokio::test]
async fn img_03_a_second_pull_asks_nobody() {
    let fake = Fake::honest().await;
    let (folder, store) = store();
    let reference = fake.push("app", "v1", &image("one"));
    let first = pull(&store, &reference).await.unwrap();
    let asked = fake.asked("").len();
    let second = pull(&store, &reference).await.unwrap();
    assert_eq!((&second.layers, &second.config), (&first.layers, &first.config));
    let layers = first.layers.clone();
    // They keep the store's folder for this process.
    drop((first, second, store));
    let store = reopen(folder.path());
    assert_eq!(pull(&store, &reference).await.unwrap().layers, layers);
    assert_eq!(fake.asked("").len(), asked);
}

#[tokio::test]
async fn img_03_what_is_not_to_be_cached_is_looked_up_again_and_layers_are_shared() {
    let fake = Fake::honest().await;
    let (_folder, store) = store();
    let reference = fake.push("app", "v1", &image("one"));
    let one = pull(&store, &reference).await.unwrap();
    fake.push("app", "v1", &image("two"));
    assert_eq!(pull(&store, &reference).await.unwrap().digest, one.digest);
    let anew = PullOptions { cached: false, ..PullOptions::default() };
    let two = store.pull(&reference, &anew).wait().await.unwrap();
    assert_ne!(two.digest, one.digest);
    assert_eq!(two.layers[0], one.layers[0]);
    assert_eq!(fs::read_to_string(two.layers[1].join("text")).unwrap(), "two");
    let base = image("one").layer_digest().to_string();
    assert_eq!(fake.asked(&base).len(), 1, "a layer that is there is not fetched again");
}

#[tokio::test]
async fn img_03_all_who_ask_at_once_share_one_pull() {
    let fake = Fake::honest().await;
    let (_folder, store) = store();
    let reference = fake.push("app", "v1", &image("one"));
    let pulls: Vec<_> = (0..20).map(|_| store.pull(&reference, &PullOptions::default())).collect();
    for pull in pulls {
        pull.wait().await.unwrap();
    }
    assert_eq!(fake.asked("manifests").len(), 1);
    assert_eq!(fake.asked("blobs").len(), 3);
}

#[tokio::test]
async fn two_images_with_a_layer_in_common_fetch_it_once() {
    let fake = Fake::honest().await;
    let (_folder, store) = store();
    let references = [fake.push("app", "v1", &image("one")), fake.push("app", "v2", &image("two"))];
    let pulls =
        references.each_ref().map(|reference| store.pull(reference, &PullOptions::default()));
    for pull in pulls {
        pull.wait().await.unwrap();
    }
    assert_eq!(fake.asked(&image("one").layer_digest().to_string()).len(), 1);
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_is_given_up_and_gone_on_with_by_the_next() {
    let image = Image::of(&[layer(&[("noise", &noise(300_000))])]);
    let name = image.layer_digest().to_string();
    let of = name.clone();
    let reached = Arc::new(Notify::new());
    let reaching = Arc::clone(&reached);
    let fake = Fake::with(move |request, reply| {
        if !request.path.contains(&of) || request.before > 0 {
            return reply;
        }
        reaching.notify_one();
        reply.cut(100_000, Ending::Hang)
    })
    .await;
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings()).unwrap();
    let reference = fake.push("app", "v1", &image);
    let first = store.pull(&reference, &PullOptions::default());
    let second = store.pull(&reference, &PullOptions::default());
    let mut progress = second.progress();
    tokio::time::timeout(DEADLINE, reached.notified()).await.unwrap();
    let came = progress.wait_for(|progress| progress.bytes_done >= 100_000);
    let total = tokio::time::timeout(DEADLINE, came).await.unwrap().unwrap().bytes_total;
    assert_eq!(total, image.blobs[0].1.len() as u64);
    drop(first);
    assert_eq!(progress.borrow().phase, Phase::Fetching, "one still waits");
    drop(second);
    // The end of the pull is the end of its progress.
    while tokio::time::timeout(DEADLINE, progress.changed()).await.unwrap().is_ok() {}
    let pulled = tokio::time::timeout(DEADLINE, pull(&store, &reference)).await.unwrap().unwrap();
    assert_eq!(fs::read(pulled.layers[0].join("noise")).unwrap(), noise(300_000));
    let asked = fake.asked(&name);
    assert_eq!(asked[1].headers.get("range").map(String::as_str), Some("bytes=100000-"));
}

#[tokio::test]
async fn a_half_fetched_layer_that_was_damaged_is_fetched_from_the_start() {
    let fake = Fake::honest().await;
    let (folder, store) = store();
    let image = image("one");
    let reference = fake.push("app", "v1", &image);
    let diff_id = images::Digest::of(&layer(&[("base", b"base")]));
    let name = format!("{}-{}", image.layer_digest().hex(), diff_id.hex());
    fs::write(folder.path().join("partial").join(&name), b"garbage").unwrap();
    let pulled = pull(&store, &reference).await.unwrap();
    assert_eq!(fs::read_to_string(pulled.layers[0].join("base")).unwrap(), "base");
    assert!(!folder.path().join("partial").join(name).exists());
}

#[tokio::test]
async fn img_08_pruning_leaves_what_is_used_excluded_or_under_way() {
    let fake = Fake::honest().await;
    let (folder, store) = store();
    let references = ["one", "two", "three"].map(|text| fake.push("app", text, &image(text)));
    let mut pulled = Vec::new();
    for reference in &references {
        pulled.push(pull(&store, reference).await.unwrap());
    }
    let none = BTreeSet::new();
    assert_eq!(store.prune(&[], &none).unwrap().images.len(), 0, "all are held");
    let in_use: BTreeSet<_> = pulled[0].layer_ids.iter().copied().collect();
    pulled.clear();
    let collected = store.prune(&references[1..2], &in_use).unwrap();
    assert_eq!(collected.images, [references[2].clone()]);
    assert_eq!(collected.layers, 1, "its base is shared");
    assert_eq!(leftovers(folder.path()).len(), 3, "{:?}", leftovers(folder.path()));
    let all = store.prune(&[], &none).unwrap();
    assert_eq!((all.images.len(), all.layers), (2, 3));
    assert!(leftovers(folder.path()).is_empty() && store.images().is_empty());
    // And it can be had again.
    pull(&store, &references[0]).await.unwrap();
}

#[tokio::test]
async fn img_08_room_is_made_only_where_it_is_wanted() {
    let fake = Fake::honest().await;
    let (_folder, store) = store();
    pull(&store, &fake.push("app", "v1", &image("one"))).await.unwrap();
    let none = BTreeSet::new();
    assert_eq!(store.collect_garbage(0.0, &[], &none).unwrap().images.len(), 0);
    assert_eq!(store.collect_garbage(1.0, &[], &none).unwrap().images.len(), 1);
}
