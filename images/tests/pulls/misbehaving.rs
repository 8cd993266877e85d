//! Registries that hang, break off, lie, refuse or send too much: each has its own words, none has a chance to harm, and
//! nothing of a failed pull is left.

use std::sync::Arc;
use std::time::Duration;

use images::{BadLayer, Failure, Limits, Platform, Settings, Store};
use tempfile::TempDir;

use crate::fake::{Ending, Fake, Reply, Request, impatient, settings};
use crate::made::{Image, failure, layer, leftovers, noise, pull};

fn store(settings: Settings) -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings).unwrap();
    (folder, store)
}

fn image() -> Image {
    Image::of(&[layer(&[("f", b"hello"), ("noise", &noise(200_000))])])
}

async fn fails(
    hook: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> (Arc<Failure>, String) {
    fails_with(hook, settings(), &image()).await
}

async fn fails_with(
    hook: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    settings: Settings,
    image: &Image,
) -> (Arc<Failure>, String) {
    let fake = Fake::with(hook).await;
    let (folder, store) = store(settings);
    let result = pull(&store, &fake.push("app", "v1", image)).await;
    assert!(store.images().is_empty());
    let left: Vec<_> =
        leftovers(folder.path()).into_iter().filter(|name| !name.starts_with("partial/")).collect();
    assert!(left.is_empty(), "{left:?}");
    failure(result)
}

fn if_blob(
    of: &'static str,
    change: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request, Reply) -> Reply + Send + Sync {
    move |request, reply| {
        if request.path.contains(of) && reply.status < 300 { change(reply) } else { reply }
    }
}

#[tokio::test]
async fn img_01_each_refusal_of_a_registry_has_its_own_words() {
    let cases = [
        (401, "wants to know who asks"),
        (403, "forbids us"),
        (404, "has no manifest v1 of app"),
        (429, "has had too many requests"),
        (500, "is broken: it answers manifest v1 of app with status 500"),
        (418, "is it one?"),
    ];
    for (status, expected) in cases {
        let (_, words) = fails(if_blob("manifests", move |_| {
            let reply = Reply::status(status);
            if status == 401 { reply.header("www-authenticate", "Basic realm=x") } else { reply }
        }))
        .await;
        assert!(words.contains(expected), "{status}: {words}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_as_late_as_it_says() {
    let fake =
        Fake::with(|request, reply| match (request.path.contains("blobs"), request.before) {
            (true, 0) => Reply::status(429).header("retry-after", "1"),
            (true, 1) => Reply::status(503),
            _ => reply,
        })
        .await;
    let (_folder, store) = store(settings());
    let started = tokio::time::Instant::now();
    let pulling = store.pull(&fake.push("app", "v1", &image()), &images::PullOptions::default());
    let progress = pulling.progress();
    pulling.wait().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "the wait was kept");
    assert_eq!(progress.borrow().retries, 4, "twice for each of two blobs");
}

#[tokio::test]
async fn a_wait_beyond_reason_is_a_refusal() {
    let hook = if_blob("manifests", |_| Reply::status(429).header("retry-after", "3600"));
    let (failure, words) = fails(hook).await;
    assert!(
        matches!(*failure, Failure::RateLimited { wait: Some(wait), .. } if wait.as_secs() == 3600)
    );
    assert!(words.contains("says to wait 3600 s"), "{words}");
}

#[tokio::test]
async fn a_registry_that_hangs_is_given_up() {
    for (of, at) in [("manifests", 0), ("manifests", 10)] {
        let hook = if_blob(of, move |reply| reply.cut(at, Ending::Hang));
        let (failure, words) = fails_with(hook, impatient(), &image()).await;
        assert!(matches!(*failure, Failure::Stalled { .. }), "{words}");
        assert!(words.contains("hangs: nothing came for 0.3 s"), "{words}");
    }
    let image = image();
    let layer = image.layer_digest().to_string();
    let hook = move |request: &Request, reply: Reply| {
        if request.path.contains(&layer) { reply.cut(1000, Ending::Hang) } else { reply }
    };
    let (_, words) = fails_with(hook, impatient(), &image).await;
    assert!(words.contains("hangs") && words.contains("of layer"), "{words}");
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_with_where_it_broke() {
    let image = image();
    let name = image.layer_digest().to_string();
    let of = name.clone();
    let fake = Fake::with(move |request, reply| {
        let broken = request.path.contains(&of) && request.before < 4;
        if broken { reply.cut(50_000, Ending::Reset) } else { reply }
    })
    .await;
    let (folder, store) = store(settings());
    let pulled = pull(&store, &fake.push("app", "v1", &image)).await.unwrap();
    assert_eq!(std::fs::read(pulled.layers[0].join("noise")).unwrap(), noise(200_000));
    let ranges: Vec<_> =
        fake.asked(&name).iter().map(|r| r.headers.get("range").cloned()).collect();
    assert_eq!(ranges.len(), 5, "more often than it is tried without anything coming: {ranges:?}");
    assert!(ranges[0].is_none());
    assert!(ranges[1..].iter().all(Option::is_some), "{ranges:?}");
    assert!(!leftovers(folder.path()).iter().any(|name| name.starts_with("partial")));
}

#[tokio::test]
async fn a_connection_that_always_breaks_is_given_up() {
    let (failure, words) = fails(if_blob("blobs", |reply| reply.cut(0, Ending::Reset))).await;
    assert!(matches!(*failure, Failure::Reset { .. }), "{words}");
    assert!(words.contains("broke at byte 0"), "{words}");
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_is_read_from_the_start_again() {
    let image = image();
    let (name, whole) = (image.layer_digest().to_string(), image.blobs[0].1.clone());
    let fake = Fake::with(move |request, reply| match request.path.contains(&name) {
        true if request.before == 0 => reply.cut(70_000, Ending::Reset),
        true => Reply::body(&whole),
        false => reply,
    })
    .await;
    let (_folder, store) = store(settings());
    let pulled = pull(&store, &fake.push("app", "v1", &image)).await.unwrap();
    assert_eq!(std::fs::read(pulled.layers[0].join("noise")).unwrap(), noise(200_000));
}

#[tokio::test]
async fn wrong_bytes_are_told_from_a_bad_archive() {
    let image = image();
    let name = image.layer_digest().to_string();
    let hook = move |request: &Request, mut reply: Reply| {
        if request.path.contains(&name) {
            reply.body[5000] ^= 1;
        }
        reply
    };
    let (failure, words) = fails_with(hook, settings(), &image).await;
    assert!(matches!(*failure, Failure::DigestMismatch { .. }), "{words}");
    let hook = if_blob("manifests", |mut reply| {
        reply.body.push(b' ');
        let length = Some(reply.body.len() as u64);
        Reply { length, ..reply }
            .header("docker-content-digest", &images::Digest::of(b"x").to_string())
    });
    let (failure, words) = fails(hook).await;
    assert!(matches!(*failure, Failure::DigestMismatch { .. }), "{words}");
    assert!(words.contains("the manifest does not match its digest"), "{words}");
}

#[tokio::test]
async fn a_layer_that_unpacks_to_something_else_is_refused() {
    let other = images::Digest::of(b"other").to_string();
    let good = image();
    let config = String::from_utf8(good.blobs[1].1.clone()).unwrap();
    let at = config.find("sha256:").unwrap();
    let config = config.replace(&config[at..at + 71], &other).into_bytes();
    let image = Image::from_parts(config, vec![good.blobs[0].1.clone()]);
    let (failure, words) = fails_with(|_, reply| reply, settings(), &image).await;
    assert!(matches!(*failure, Failure::DigestMismatch { .. }), "{words}");
    assert!(words.contains("unpacked"), "{words}");
}

#[tokio::test]
async fn lies_about_sizes_are_found_out() {
    let image = image();
    let size = image.blobs[0].1.len();
    for said in [size - 1, size + 1] {
        let image = image.clone().with(&format!("\"size\":{size}"), &format!("\"size\":{said}"));
        // Said at the start, or only seen at the end.
        for length_is_said in [true, false] {
            let hook = if_blob("blobs", move |reply| Reply {
                length: reply.length.filter(|_| length_is_said),
                ..reply
            });
            let (failure, words) = fails_with(hook, settings(), &image).await;
            assert!(
                matches!(*failure, Failure::SizeMismatch { .. }),
                "{said} {length_is_said}: {words}"
            );
        }
    }
    let (failure, words) =
        fails_with(|_, reply| reply, settings(), &image.with("\"size\":", "\"size\":-")).await;
    assert!(matches!(*failure, Failure::BadManifest { .. }), "{words}");
}

#[tokio::test]
async fn a_manifest_of_a_hundred_mib_is_not_read() {
    let huge = |length_is_said: bool| {
        if_blob("manifests", move |reply| {
            let body = vec![b' '; 100 << 20];
            Reply { length: Some(body.len() as u64).filter(|_| length_is_said), body, ..reply }
        })
    };
    for length_is_said in [true, false] {
        let (failure, words) = fails(huge(length_is_said)).await;
        assert!(matches!(*failure, Failure::TooLarge { .. }), "{words}");
    }
    let size = image().blobs[1].1.len();
    let image = image().with(&format!("\"size\":{size}"), "\"size\":104857600");
    let (failure, words) = fails_with(|_, reply| reply, settings(), &image).await;
    assert!(matches!(*failure, Failure::TooLarge { .. }), "{words}");
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused() {
    let limited = |limits| Settings { limits, ..settings() };
    let limits = Limits { layer_bytes: 1000, ..Limits::default() };
    let (failure, words) = fails_with(|_, reply| reply, limited(limits), &image()).await;
    assert!(matches!(*failure, Failure::TooLarge { .. }), "{words}");
    let bomb = Image::of(&[layer(&[("zeros", &vec![0; 64 << 20])])]);
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let (failure, words) = fails_with(|_, reply| reply, limited(limits), &bomb).await;
    assert!(
        matches!(*failure, Failure::Layer { source: BadLayer::TooManyBytes { .. }, .. }),
        "{words}"
    );
    let names: Vec<_> = (0..1000).map(|number| format!("f{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let (many, two) =
        (Image::of(&[layer(&many)]), Image::of(&[layer(&many[..1]), layer(&many[1..2])]));
    let limits = Limits { entries: 700, ..Limits::default() };
    let (failure, words) = fails_with(|_, reply| reply, limited(limits), &many).await;
    assert!(
        matches!(*failure, Failure::Layer { source: BadLayer::TooManyEntries { .. }, .. }),
        "{words}"
    );
    let limits = Limits { layers: 1, ..Limits::default() };
    let (failure, words) = fails_with(|_, reply| reply, limited(limits), &two).await;
    assert!(matches!(*failure, Failure::BadManifest { .. }), "{words}");
}

#[tokio::test]
async fn img_01_an_image_for_other_machines_says_for_which() {
    let other = |name| (name, Image::packed(&[layer(&[("f", b"x")])], crate::made::gzip, name));
    let list = Image::list(&[other("s390x"), other("riscv64")]);
    let (failure, words) = fails_with(|_, reply| reply, settings(), &list).await;
    assert!(matches!(*failure, Failure::NoSuchPlatform { .. }));
    let here = Platform::here();
    assert!(
        words.contains(&format!("not for {here}; it is for linux/s390x, linux/riscv64")),
        "{words}"
    );
    let (failure, words) = fails_with(|_, reply| reply, settings(), &other("s390x").1).await;
    assert!(matches!(*failure, Failure::NoSuchPlatform { .. }), "{words}");
}

#[tokio::test]
async fn a_redirect_away_from_tls_and_one_without_end_are_refused() {
    let away = if_blob("manifests", |_| {
        Reply::status(307).header("location", "http://registry.invalid/x")
    });
    let (failure, words) = fails(away).await;
    assert!(matches!(*failure, Failure::PlainHttp { .. }), "{words}");
    let round =
        if_blob("manifests", |_| Reply::status(307).header("location", "/v2/app/manifests/v1"));
    let (failure, words) = fails(round).await;
    assert!(matches!(*failure, Failure::Unexpected { status: 307, .. }), "{words}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (_folder, store) = store(settings());
    let reference =
        images::Reference::parse(&format!("{address}/app"), images::DOCKER_HUB).unwrap();
    let (failure, words) = failure(pull(&store, &reference).await);
    assert!(matches!(*failure, Failure::Unreachable { .. }), "{words}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_registries_elsewhere_and_not_for_those_here() {
    let (proxy, here) = (Fake::honest().await, Fake::honest().await);
    let plain_http = vec!["registry.invalid".to_owned()];
    let settings =
        Settings { proxy: Some(format!("http://{}", proxy.address)), plain_http, ..settings() };
    let (_folder, store) = store(settings);
    pull(&store, &here.push("app", "v1", &image())).await.unwrap();
    assert!(proxy.asked("").is_empty());
    let elsewhere = images::Reference::parse("registry.invalid/app", images::DOCKER_HUB).unwrap();
    pull(&store, &elsewhere).await.unwrap_err();
    assert!(!proxy.asked("registry.invalid/v2/app/manifests/latest").is_empty());
}
