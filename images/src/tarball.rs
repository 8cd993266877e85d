//! Reads archives entry by entry: ustar, GNU's long names and PAX. The header blocks' fields are read by the `tar` crate; its
//! own walk over entries is not used, since it takes names of any length into memory and cuts PAX records, which may be
//! binary, at line ends.

use std::io::{self, Read};

use tar::Header;

#[cfg(test)]
mod tests;

const BLOCK: usize = 512;

/// Of a long name, or of all PAX records of one entry.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// Of such things one behind the other, which only a hostile archive has.
const EXTENSIONS_IN_A_ROW_MAX: usize = 8;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Hardlink,
    Fifo,
    Device,
}

/// Keys and values; either may hold anything.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// One entry. Names are as the archive has them, not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permissions with the set-id and sticky bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
    /// Of links: where they lead.
    pub(crate) link: Vec<u8>,
    pub(crate) size_bytes: u64,
    /// Name and value.
    pub(crate) attributes: Records,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadArchive {
    /// What brings its bytes failed.
    #[error("the archive cannot be read further")]
    Read {
        /// How.
        source: io::Error,
    },
    /// It ends in the middle.
    #[error("the archive ends in the middle of an entry")]
    Truncated,
    /// A header does not add up.
    #[error("the archive has a damaged header")]
    Checksum,
    /// A number in a header.
    #[error("the archive has a bad {field} in the header of {path:?}")]
    Number {
        /// Which.
        field: &'static str,
        /// Of what.
        path: String,
    },
    /// Names or attributes without end.
    #[error("the archive has an entry whose names and attributes take more than 1 MiB")]
    Extension,
    /// Records that are none.
    #[error("the archive has damaged PAX records")]
    Pax,
    /// A kind of entry that images have no use for.
    #[error("the archive's entry {path:?} is of type {kind:?}, which is not supported")]
    Unsupported {
        /// Which.
        path: String,
        /// Its letter.
        kind: char,
    },
}

/// What precedes an entry and changes it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Records,
}

/// An archive that is being read.
pub(crate) struct Tarball<R> {
    input: R,
    /// Of the current entry: bytes not yet read, and what follows them up to the next block.
    body: u64,
    padding: u64,
    position: u64,
    /// PAX records for all further entries.
    global: Records,
}

impl<R: Read> Tarball<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, body: 0, padding: 0, position: 0, global: Vec::new() }
    }

    /// The next entry; `None` at the end. What was not read of the one before is passed over.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, BadArchive> {
        let mut extensions = Extensions { pax: self.global.clone(), ..Extensions::default() };
        for before in 0..=EXTENSIONS_IN_A_ROW_MAX {
            let Some(header) = self.header()? else {
                return if before == 0 { Ok(None) } else { Err(BadArchive::Truncated) };
            };
            let size = header.entry_size().map_err(|_| number("size", &header.path_bytes()))?;
            self.begin_body(size);
            match header.entry_type().as_byte() {
                b'L' => extensions.path = Some(self.text()?),
                b'K' => extensions.link = Some(self.text()?),
                b'x' => extensions.pax.extend(pax_records(&self.extension()?)?),
                b'g' => {
                    self.global = pax_records(&self.extension()?)?;
                    extensions.pax.splice(0..0, self.global.iter().cloned());
                }
                letter => return self.entry(&header, letter, extensions).map(Some),
            }
        }
        Err(BadArchive::Extension)
    }

    /// Reads on in the current entry; 0 at its end.
    pub(crate) fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, BadArchive> {
        let most = usize::try_from(self.body).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count =
            self.input.read(&mut buffer[..most]).map_err(|source| BadArchive::Read { source })?;
        if count == 0 {
            return Err(BadArchive::Truncated);
        }
        self.body -= count as u64;
        self.position += count as u64;
        Ok(count)
    }

    /// Where in the input the current entry's bytes begin, if none of them was read yet.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What stands behind the archive.
    pub(crate) fn into_rest(self) -> R {
        self.input
    }

    fn begin_body(&mut self, size: u64) {
        self.body = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<(), BadArchive> {
        let (body, padding) = (std::mem::take(&mut self.body), std::mem::take(&mut self.padding));
        let most = body.checked_add(padding).ok_or(BadArchive::Truncated)?;
        let skipped = io::copy(&mut self.input.by_ref().take(most), &mut io::sink())
            .map_err(|source| BadArchive::Read { source })?;
        self.position += skipped;
        // Some writers leave out the last padding.
        if skipped < body { Err(BadArchive::Truncated) } else { Ok(()) }
    }

    /// The next block that is not empty; `None` at the end, with or without the empty blocks that belong there.
    fn header(&mut self) -> Result<Option<Header>, BadArchive> {
        self.skip()?;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(BadArchive::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(source) => return Err(BadArchive::Read { source }),
            }
        }
        self.position += BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum = |value: fn(u8) -> i64| -> i64 {
            let blank = |at: usize| if (148..156).contains(&at) { b' ' } else { block[at] };
            (0..BLOCK).map(|at| value(blank(at))).sum()
        };
        let said = header.cksum().map_err(|_| BadArchive::Checksum)?;
        // Very old writers added signed bytes.
        let sums = [sum(i64::from), sum(|byte| i64::from(byte.cast_signed()))];
        if sums.contains(&i64::from(said)) { Ok(Some(header)) } else { Err(BadArchive::Checksum) }
    }

    fn extension(&mut self) -> Result<Vec<u8>, BadArchive> {
        if self.body > EXTENSION_BYTES_MAX {
            return Err(BadArchive::Extension);
        }
        let mut bytes = Vec::new();
        let mut buffer = [0; BLOCK];
        loop {
            match self.read_body(&mut buffer)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// A long name ends with a zero byte.
    fn text(&mut self) -> Result<Vec<u8>, BadArchive> {
        let mut bytes = self.extension()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    fn entry(
        &mut self,
        header: &Header,
        letter: u8,
        extensions: Extensions,
    ) -> Result<Entry, BadArchive> {
        let path = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            extensions.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
        let seconds = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok());
        let mut entry = Entry {
            kind: kind_of(letter, &path)?,
            mode: header.mode().map_err(|_| number("mode", &path))? & 0o7777,
            uid: id(header.uid().ok()).unwrap_or_default(),
            gid: id(header.gid().ok()).unwrap_or_default(),
            modified: (seconds.unwrap_or_default(), 0),
            link: link.unwrap_or_default(),
            size_bytes: self.body,
            attributes: Vec::new(),
            path,
        };
        for (key, value) in extensions.pax {
            entry.change(&key, value)?;
        }
        if entry.size_bytes != self.body {
            self.begin_body(entry.size_bytes);
        }
        if entry.kind != Kind::File {
            // Links may say the size of what they lead to, and bring none of it.
            entry.size_bytes = 0;
            if matches!(entry.kind, Kind::Hardlink | Kind::Symlink) {
                self.begin_body(0);
            }
        }
        Ok(entry)
    }
}

impl Entry {
    /// One PAX record.
    fn change(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), BadArchive> {
        let bad = |field| number(field, &self.path);
        let text = || std::str::from_utf8(&value).ok();
        match key {
            b"path" => self.path = value,
            b"linkpath" => self.link = value,
            b"size" => {
                self.size_bytes = text().and_then(|t| t.parse().ok()).ok_or_else(|| bad("size"))?;
            }
            b"uid" => {
                self.uid = id(text().and_then(|t| t.parse().ok())).ok_or_else(|| bad("uid"))?
            }
            b"gid" => {
                self.gid = id(text().and_then(|t| t.parse().ok())).ok_or_else(|| bad("gid"))?
            }
            b"mtime" => self.modified = text().and_then(time).ok_or_else(|| bad("mtime"))?,
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(unsupported(&self.path, 'S'));
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.retain(|(other, _)| other != name);
                    self.attributes.push((name.to_vec(), value));
                }
            }
        }
        Ok(())
    }
}

/// The last number means "leave as it is" to the kernel, so that it is nobody's.
fn id(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok()).filter(|id| *id != u32::MAX)
}

/// `12`, `12.5`, `-1`.
fn time(text: &str) -> Option<(i64, u32)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
    Some((whole.parse().ok()?, digits.parse().ok()?))
}

fn number(field: &'static str, path: &[u8]) -> BadArchive {
    BadArchive::Number { field, path: String::from_utf8_lossy(path).into_owned() }
}

fn unsupported(path: &[u8], kind: char) -> BadArchive {
    BadArchive::Unsupported { path: String::from_utf8_lossy(path).into_owned(), kind }
}

fn kind_of(letter: u8, path: &[u8]) -> Result<Kind, BadArchive> {
    Ok(match letter {
        // Before there was a letter for folders, they were told by their name's end.
        b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' | b'4' => Kind::Device,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(unsupported(path, char::from(other))),
    })
}

/// `length key=value\n`, one behind the other; values may hold anything.
fn pax_records(mut bytes: &[u8]) -> Result<Records, BadArchive> {
    let mut records = Vec::new();
    while !bytes.is_empty() && bytes[0] != 0 {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or(BadArchive::Pax)?;
        let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok());
        let length: usize = length.ok_or(BadArchive::Pax)?;
        let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
        let record = record.ok_or(BadArchive::Pax)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(BadArchive::Pax)?;
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        bytes = &bytes[length..];
    }
    Ok(records)
}
