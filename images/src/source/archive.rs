//! Files as `docker save` writes them: an archive with `manifest.json`, configurations and layers. It is read in place; a
//! compressed one is first unpacked into a file without a name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::Deserialize;

use super::{LayerFrom, Resolved, assemble, configuration};
use crate::compression;
use crate::digest::Digest;
use crate::error::Failure;
use crate::manifest::BadManifest;
use crate::reference::{DOCKER_HUB, Reference};
use crate::settings::Settings;
use crate::tarball::{BadArchive, Kind, Tarball};

/// Names in an archive: three for each layer, in the older form.
const NAMES_MAX: usize = 10_000;

/// A link in an archive leads to a layer of another image in it.
const LINKS_MAX: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Clone)]
enum Found {
    /// Where its bytes are, and how many.
    Bytes(u64, u64),
    /// A link to another name.
    Link(String),
}

struct Archive<'a> {
    path: &'a Path,
    file: Arc<File>,
    names: BTreeMap<String, Found>,
}

/// Looks an image up in an archive. It blocks: the whole archive is read once. `scratch` is a folder for what must be unpacked.
pub(crate) fn resolve_archive(
    path: &Path,
    name: Option<&str>,
    scratch: &Path,
    settings: &Settings,
) -> Result<Resolved, Failure> {
    let archive = Archive::open(path, scratch, settings)?;
    let most = settings.limits.manifest_bytes as u64;
    let what = format!("manifest.json in {}", path.display());
    let images: Vec<RawImage> = serde_json::from_slice(&archive.read("manifest.json", most)?)
        .map_err(|source| Failure::BadManifest { what, source: BadManifest::Json { source } })?;
    let image = pick(&images, name).ok_or_else(|| {
        let offered = images.iter().flat_map(|image| image.repo_tags.clone().unwrap_or_default());
        let wanted = name.unwrap_or_default().to_owned();
        Failure::NoSuchImage { path: path.to_owned(), wanted, offered: offered.collect() }
    })?;
    let bytes = archive.read(&image.config, most)?;
    // The digest of its configuration is an image's id, in Docker's words.
    let digest = Digest::of(&bytes);
    let configuration = configuration(digest, &bytes, settings)?;
    let layers = image.layers.iter().flatten();
    let froms = layers.map(|layer| {
        let (offset, size_bytes) = archive.find(layer)?;
        let file = Arc::clone(&archive.file);
        Ok(LayerFrom::Slice { file, path: path.to_owned(), offset, size_bytes })
    });
    assemble(digest, configuration, froms.collect::<Result<_, _>>()?, settings)
}

/// That with the name, however much of it is said; the only one if none is said.
fn pick<'a>(images: &'a [RawImage], name: Option<&str>) -> Option<&'a RawImage> {
    let Some(name) = name else {
        return (images.len() == 1).then(|| &images[0]);
    };
    let whole = |text: &str| Reference::parse(text, DOCKER_HUB).ok();
    let wanted = whole(name)?;
    let has = |image: &&RawImage| {
        image.repo_tags.iter().flatten().any(|tag| whole(tag).as_ref() == Some(&wanted))
    };
    images.iter().find(has)
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path, scratch: &Path, settings: &Settings) -> Result<Self, Failure> {
        let failed = |source| Failure::File { path: path.to_owned(), source };
        let file = plain(path, File::open(path).map_err(failed)?, scratch, settings)?;
        let bad = |source| Failure::Archive { path: path.to_owned(), source };
        let mut tarball = Tarball::new(BufReader::with_capacity(1 << 18, &file));
        let mut names = BTreeMap::new();
        while let Some(entry) = tarball.next_entry().map_err(bad)? {
            let name = clean(&String::from_utf8_lossy(&entry.path));
            let found = match entry.kind {
                Kind::File => Found::Bytes(tarball.position(), entry.size_bytes),
                Kind::Symlink => Found::Link(beside(&name, &String::from_utf8_lossy(&entry.link))),
                Kind::Hardlink => Found::Link(clean(&String::from_utf8_lossy(&entry.link))),
                Kind::Directory | Kind::Fifo | Kind::Device => continue,
            };
            names.insert(name, found);
            if names.len() > NAMES_MAX {
                let why = "it has more than 10,000 files";
                return Err(Failure::NotAnImage { path: path.to_owned(), why });
            }
        }
        Ok(Self { path, file: Arc::new(file), names })
    }

    fn find(&self, name: &str) -> Result<(u64, u64), Failure> {
        let mut name = clean(name);
        for _ in 0..LINKS_MAX {
            match self.names.get(&name) {
                Some(Found::Bytes(offset, size)) => return Ok((*offset, *size)),
                Some(Found::Link(to)) => name.clone_from(to),
                None => break,
            }
        }
        let why = "it lacks a file that its manifest.json names, or that file itself: `docker save` made no such archive";
        Err(Failure::NotAnImage { path: self.path.to_owned(), why })
    }

    fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, Failure> {
        let (offset, found) = self.find(name)?;
        let Some(length) = usize::try_from(found).ok().filter(|_| found <= most) else {
            return Err(Failure::TooLarge { what: name.chars().take(100).collect(), found, most });
        };
        let mut bytes = vec![0; length];
        let failed = |source| Failure::File { path: self.path.to_owned(), source };
        self.file.read_exact_at(&mut bytes, offset).map_err(failed)?;
        Ok(bytes)
    }
}

/// The archive uncompressed.
fn plain(
    path: &Path,
    mut file: File,
    scratch: &Path,
    settings: &Settings,
) -> Result<File, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let most = settings.limits.unpacked_bytes;
    let mut begin = [0; 4];
    let begun = file.read(&mut begin).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    if !compression::is_packed(&begin[..begun]) {
        return Ok(file);
    }
    let unwritable = |source| Failure::store("unpack an archive into", scratch, source);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let nameless = openat(CWD, scratch, flags, Mode::RUSR | Mode::WUSR);
    let mut unpacked = File::from(nameless.map_err(|error| unwritable(error.into()))?);
    let packed = |source| {
        let source = BadArchive::Read { source };
        Failure::Archive { path: path.to_owned(), source }
    };
    let mut input = compression::unpacked(BufReader::new(file)).map_err(packed)?.take(most + 1);
    let mut buffer = vec![0; 1 << 18];
    let mut found = 0;
    loop {
        let count = input.read(&mut buffer).map_err(packed)?;
        found += count as u64;
        if found > most {
            return Err(Failure::TooLarge { what: path.display().to_string(), found, most });
        }
        if count == 0 {
            break;
        }
        unpacked.write_all(&buffer[..count]).map_err(unwritable)?;
    }
    let rewound = unpacked.seek(SeekFrom::Start(0));
    rewound.map_err(|source: io::Error| unwritable(source))?;
    Ok(unpacked)
}

fn clean(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What a link in the same folder as `name` leads to.
fn beside(name: &str, target: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    clean(&format!("{folder}/{target}"))
}
