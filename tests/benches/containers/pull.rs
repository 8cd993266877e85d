//! An image of 200 MiB in four layers, from a registry on this machine until it is unpacked: by our store, and by `skopeo copy` to an OCI
//! layout with `umoci unpack` after it, in turns.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use images::{Credentials, DOCKER_HUB, PullOptions, Reference, Settings, Store};
use measure::{Measured, Row};
use tempfile::TempDir;
use tests::images::{Registry, run};

const LAYERS: usize = 4;
const FILES: usize = 50;
const FILE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 5;

/// Half of it cannot be compressed, half is as text is.
fn file(seed: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    while bytes.len() < FILE_BYTES {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (*seed >> 24).to_le_bytes();
        bytes.extend_from_slice(&word);
        bytes.extend_from_slice(b"of words");
    }
    bytes
}

/// An OCI layout with the image, as `layout:big`.
fn make(folder: &Path) -> Result<String, Box<dyn Error>> {
    let layout = folder.join("layout").display().to_string();
    let image = format!("{layout}:big");
    run("umoci", &["init", "--layout", &layout]);
    run("umoci", &["new", "--image", &image]);
    let mut seed = 7;
    for layer in 0..LAYERS {
        let of = folder.join(format!("layer-{layer}"));
        fs::create_dir(&of)?;
        for number in 0..FILES {
            fs::write(of.join(format!("file-{number}")), file(&mut seed))?;
        }
        let (from, to) = (of.display().to_string(), format!("/layer-{layer}"));
        run("umoci", &["insert", "--image", &image, &from, &to]);
    }
    Ok(format!("oci:{image}"))
}

async fn ours(image: &str, logins: &Path) -> Result<Duration, Box<dyn Error>> {
    let folder = TempDir::new()?;
    let settings = Settings {
        credentials: Credentials::from_docker_config(&fs::read_to_string(logins)?)?,
        ..Settings::default()
    };
    let reference = Reference::parse(image, DOCKER_HUB)?;
    let started = Instant::now();
    let store = Store::open(folder.path(), settings)?;
    let pulled = store.pull(&reference, &PullOptions::default()).wait().await?;
    let took = started.elapsed();
    let least = u64::try_from(LAYERS * FILES * FILE_BYTES)?;
    if pulled.report.bytes < least {
        return Err(format!("{} bytes are no {least}", pulled.report.bytes).into());
    }
    Ok(took)
}

fn others(image: &str) -> Result<Duration, Box<dyn Error>> {
    let folder = TempDir::new()?;
    let layout = folder.path().join("layout").display().to_string();
    let bundle = folder.path().join("bundle").display().to_string();
    let started = Instant::now();
    let from = format!("docker://{image}");
    let flags = ["--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds", "me:secret"];
    run("skopeo", &[&flags[..], &[&from, &format!("oci:{layout}:big")]].concat());
    run("umoci", &["unpack", "--image", &format!("{layout}:big"), &bundle]);
    Ok(started.elapsed())
}

pub(crate) async fn beside_others() -> Measured {
    let made = TempDir::new()?;
    let registry = Registry::empty();
    registry.push(&make(made.path())?, "big");
    let (image, logins) = (registry.image("big"), registry.logins());
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (one, other) = (ours(&image, &logins).await?, others(&image)?);
        // The first of each finds nothing in any cache.
        if round > 0 {
            mine.push(one);
            theirs.push(other);
        }
    }
    mine.sort_unstable();
    theirs.sort_unstable();
    let middle = |all: &[Duration]| all[all.len() / 2].as_secs_f64();
    let (mine, theirs) = (middle(&mine), middle(&theirs));
    Ok(vec![
        Row::of("pull_200mib_took", mine, "s").beside("skopeo and umoci", theirs),
        Row::of("pull_200mib", mine / theirs, "ratio"),
    ])
}
