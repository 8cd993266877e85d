//! References: how people name images. Pure. Docker's short names are made whole here (`busybox` is
//! `docker.io/library/busybox:latest`), so that one image has one name in the store.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{BadDigest, Digest};

#[cfg(test)]
mod tests;

/// The registry of names that say none, and whose one-word names are below `library/`.
pub const DOCKER_HUB: &str = "docker.io";

const TAG_DEFAULT: &str = "latest";

/// As Docker has it.
const NAME_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

/// Where an image is, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reference {
    /// `registry:port/name:tag@digest`, each part but the name left out at will; `docker://` may stand before it.
    Registry(RegistryReference),
    /// `oci:PATH[:tag]`: a folder that is an OCI image layout.
    Layout {
        /// The folder with `oci-layout` and `index.json`.
        path: PathBuf,
        /// Which of its images; may be left out where there is one.
        tag: Option<String>,
    },
    /// `docker-archive:PATH[:name:tag]`: a file as `docker save` writes it.
    Archive {
        /// The file, plain or compressed.
        path: PathBuf,
        /// Which of its images, as the archive says it; may be left out where there is one.
        name: Option<String>,
    },
    /// `dir:PATH`: a folder that is the root of a file system. It is used where it is.
    Directory {
        /// The folder.
        path: PathBuf,
    },
}

/// An image of a registry. What was left out is filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegistryReference {
    /// `host` or `host:port`.
    pub registry: String,
    /// The name within the registry, with slashes.
    pub repository: String,
    /// What the registry is asked for.
    pub version: Version,
}

/// Which image of a repository. A digest is stronger than a tag; a tag beside it is only for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// May name another image tomorrow.
    Tag(String),
    /// Names one image for ever.
    Digest {
        /// Said beside the digest, and not looked at.
        tag: Option<String>,
        /// Of the manifest, or of a list of manifests.
        digest: Digest,
    },
}

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Nothing at all, or nothing behind `oci:`.
    #[error(
        "image reference {text:?} names nothing; write registry:port/name:tag, oci:PATH, docker-archive:PATH or dir:PATH"
    )]
    Empty {
        /// As given.
        text: String,
    },
    /// A part of the name breaks the rules.
    #[error(
        "image reference {text:?}: the name {name:?} may have small letters, digits, single separators . _ - within parts, and / between them"
    )]
    Name {
        /// As given.
        text: String,
        /// The name in it.
        name: String,
    },
    /// Too long.
    #[error("image reference {text:?}: the name is longer than 255 bytes")]
    TooLong {
        /// As given, cut.
        text: String,
    },
    /// No tag.
    #[error(
        "image reference {text:?}: the tag {tag:?} may have up to 128 letters, digits, _ . - and begins with none of . -"
    )]
    Tag {
        /// As given.
        text: String,
        /// The tag in it.
        tag: String,
    },
    /// No digest behind the `@`.
    #[error("image reference {text:?} has a bad digest behind @")]
    Digest {
        /// As given.
        text: String,
        /// How it is bad.
        source: BadDigest,
    },
    /// What stands before the first slash is no host.
    #[error("image reference {text:?}: {registry:?} is no host or host:port")]
    Registry {
        /// As given.
        text: String,
        /// The host in it.
        registry: String,
    },
}

impl Reference {
    /// Reads what a person wrote. `default_registry` stands in where none is named.
    ///
    /// # Errors
    /// What is wrong with it, and with which part.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, BadReference> {
        let empty = || BadReference::Empty { text: shown(text) };
        if let Some(rest) = text.strip_prefix("dir:") {
            return Ok(Self::Directory { path: path(rest).ok_or_else(empty)? });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (file, name) = split_path(rest);
            let name = name.map(|name| archive_name(text, name)).transpose()?;
            return Ok(Self::Archive { path: path(file).ok_or_else(empty)?, name });
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (folder, tag) = split_path(rest);
            if let Some(tag) = tag.filter(|tag| !is_layout_tag(tag)) {
                return Err(BadReference::Tag { text: shown(text), tag: tag.into() });
            }
            let tag = tag.map(str::to_owned);
            return Ok(Self::Layout { path: path(folder).ok_or_else(empty)?, tag });
        }
        // As other programs write it; `docker:tag` is an image of that name.
        let name = text.strip_prefix("docker://").unwrap_or(text);
        RegistryReference::parse(name, default_registry).map(Self::Registry)
    }

    /// For clusters whose images lie in a folder of `docker save` files, one for each: `name:tag.tar`. As Mesos has it where
    /// the registry is a folder.
    ///
    /// # Errors
    /// If `text` is no name of an image.
    pub fn in_folder_of_archives(text: &str, folder: &Path) -> Result<Self, BadReference> {
        let image = RegistryReference::parse(text, DOCKER_HUB)?;
        let name = match image.repository.strip_prefix("library/") {
            Some(short) if !text.contains("library/") => short,
            _ => &image.repository,
        };
        let name = format!("{name}:{}", image.asked_for());
        Ok(Self::Archive { path: folder.join(format!("{name}.tar")), name: Some(name) })
    }

    /// Whether the same reference may name another image later.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self {
            Self::Registry(image) => matches!(image.version, Version::Tag(_)),
            Self::Layout { .. } | Self::Archive { .. } | Self::Directory { .. } => true,
        }
    }
}

impl RegistryReference {
    fn parse(text: &str, default_registry: &str) -> Result<Self, BadReference> {
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                let bad = |source| BadReference::Digest { text: shown(text), source };
                (rest, Some(digest.parse().map_err(bad)?))
            }
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((host, rest)) if says_host(host) => (host, rest),
            _ => (default_registry, rest),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(BadReference::Empty { text: shown(text) });
        }
        if !is_host(registry) {
            return Err(BadReference::Registry { text: shown(text), registry: shown(registry) });
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(BadReference::Tag { text: shown(text), tag: shown(tag) });
        }
        if registry.len() + 1 + name.len() > NAME_BYTES_MAX {
            return Err(BadReference::TooLong { text: shown(text) });
        }
        if !name.split('/').all(is_name_part) {
            return Err(BadReference::Name { text: shown(text), name: name.into() });
        }
        let is_short = registry == DOCKER_HUB && !name.contains('/');
        let repository = if is_short { format!("library/{name}") } else { name.to_owned() };
        let tag = tag.map(str::to_owned);
        let version = match digest {
            Some(digest) => Version::Digest { tag, digest },
            None => Version::Tag(tag.unwrap_or_else(|| TAG_DEFAULT.into())),
        };
        Ok(Self { registry: registry.to_owned(), repository, version })
    }

    /// What stands behind `manifests/` in the registry's API: the digest if there is one, else the tag.
    #[must_use]
    pub fn asked_for(&self) -> String {
        match &self.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest { digest, .. } => digest.to_string(),
        }
    }
}

/// Errors repeat what was given, but not pages of it.
fn shown(text: &str) -> String {
    text.chars().take(300).collect()
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| Path::new(text).to_owned())
}

/// `PATH[:more]`, cut at the first colon behind the last slash of the path: `more` of an archive may have slashes of
/// its own, which is why the first colon counts.
fn split_path(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((path, more)) => (path, Some(more)),
        None => (text, None),
    }
}

/// `name[:tag]` in an archive, with the tag filled in. Archives write names as people know them: no `docker.io/library/`.
fn archive_name(text: &str, name: &str) -> Result<String, BadReference> {
    let (host, rest) = match name.split_once('/') {
        Some((host, rest)) if says_host(host) => (Some(host), rest),
        _ => (None, name),
    };
    let (plain, tag) = rest.split_once(':').unwrap_or((rest, TAG_DEFAULT));
    if let Some(host) = host.filter(|host| !is_host(host)) {
        return Err(BadReference::Registry { text: shown(text), registry: shown(host) });
    }
    if !plain.split('/').all(is_name_part) {
        return Err(BadReference::Name { text: shown(text), name: shown(name) });
    }
    if !is_tag(tag) {
        return Err(BadReference::Tag { text: shown(text), tag: shown(tag) });
    }
    let host = host.map(|host| format!("{host}/")).unwrap_or_default();
    Ok(format!("{host}{plain}:{tag}"))
}

/// Docker's rule: the first part is a host if it could not be a part of a name, or is `localhost`.
fn says_host(part: &str) -> bool {
    part.contains(['.', ':', '[']) || part == "localhost" || part.chars().any(char::is_uppercase)
}

/// `host`, `host:port`, `[::1]:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_ok = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_ok = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_host_part),
    };
    port_ok && host_ok
}

fn is_host_part(part: &str) -> bool {
    let inner = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
}

/// Runs of small letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_name_part(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let allowed =
        |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    let ends = [part.bytes().next(), part.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(is_plain)) && separators.into_iter().all(allowed)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = tag.bytes().next().is_some_and(is_word);
    begins
        && tag.len() <= TAG_BYTES_MAX
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// In a layout a tag is an annotation, with fewer rules.
fn is_layout_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@/+".contains(&byte);
    !tag.is_empty() && tag.len() <= NAME_BYTES_MAX && tag.bytes().all(is_word)
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.version {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest { tag: None, digest } => write!(f, "@{digest}"),
            Version::Digest { tag: Some(tag), digest } => write!(f, ":{tag}@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => image.fmt(f),
            Self::Layout { path, tag: None } => write!(f, "oci:{}", path.display()),
            Self::Layout { path, tag: Some(tag) } => write!(f, "oci:{}:{tag}", path.display()),
            Self::Archive { path, name: None } => write!(f, "docker-archive:{}", path.display()),
            Self::Archive { path, name: Some(name) } => {
                write!(f, "docker-archive:{}:{name}", path.display())
            }
            Self::Directory { path } => write!(f, "dir:{}", path.display()),
        }
    }
}
