//! Tars, however they are compressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use tar::Archive;

use super::super::sandbox::set_modified;
use super::{ENTRY_BYTES_MAX, Into, MODE, Metered, below};

/// What unpacking an xz may take, in KiB: four times what its highest level takes.
const XZ_MEMORY_KIB: u32 = 256 << 10;

pub(super) fn unpack(file: File, into: &mut Into<'_>) -> Result<(), String> {
    let (reader, left) = Metered::new(decompressed(BufReader::new(file))?);
    let mut archive = Archive::new(reader);
    let mut folders = Vec::new();
    let mut entries = archive.entries().map_err(|error| error.to_string())?;
    loop {
        left.set(ENTRY_BYTES_MAX);
        let next = entries.next();
        left.set(u64::MAX);
        let Some(entry) = next else { break };
        let mut entry = entry.map_err(|error| format!("it is damaged: {error}"))?;
        let path = entry.path_bytes().into_owned();
        let header = entry.header();
        let mode = header.mode().unwrap_or(0o644) & MODE;
        let (kind, modified) = (header.entry_type(), header.mtime().unwrap_or(0));
        let Some(name) = into.entry(&path)? else { continue };
        // The oldest tars know folders by their names alone.
        if kind.is_dir() || (kind.is_file() && path.ends_with(b"/")) {
            into.folder.make_folders(&name)?;
            folders.push((name, mode));
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let file = into.file(&name, mode, &mut entry)?;
            set_modified(&file, modified);
        } else if kind.is_symlink() || kind.is_hard_link() {
            let to = entry.link_name_bytes().unwrap_or_default().into_owned();
            link(into, &name, to, kind.is_symlink())?;
        } else if !kind.is_pax_global_extensions() {
            return Err(format!(
                "'{}' in it is a device, a pipe or something else that tasks do not get",
                name.escape_debug()
            ));
        }
        // What is not read of an entry is not to count as the next one's.
        std::io::copy(&mut entry, &mut std::io::sink())
            .map_err(|error| format!("it is damaged: {error}"))?;
    }
    // The deepest first: one that may not be entered keeps those below it.
    folders.sort();
    folders.iter().rev().try_for_each(|(name, mode)| into.folder.set_mode(name, *mode))
}

fn link(into: &Into<'_>, name: &str, to: Vec<u8>, is_symlink: bool) -> Result<(), String> {
    let to = String::from_utf8(to)
        .map_err(|_| format!("the link '{}' leads to no UTF-8", name.escape_debug()))?;
    if is_symlink {
        return into.folder.link(name, &to);
    }
    let of = below(to.as_bytes())?.unwrap_or_default();
    into.folder.hard_link(name, &of)
}

/// By its first bytes, whatever its name says.
fn decompressed(mut file: BufReader<File>) -> Result<Box<dyn Read>, String> {
    let begins = file.fill_buf().map_err(|error| error.to_string())?;
    let begins = begins[..begins.len().min(6)].to_vec();
    Ok(match begins.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [b'B', b'Z', b'h', ..] => Box::new(MultiBzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return Err("it is compressed by zstd; gzip, bzip2 and xz are known".to_owned());
        }
        _ => Box::new(file),
    })
}
