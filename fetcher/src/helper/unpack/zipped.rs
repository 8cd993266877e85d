//! Zips.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;

use super::{Into, MODE, Metered, ZIP_ENTRY_BYTES};

/// Where a link leads is no longer.
const LINK_BYTES_MAX: u64 = 4096;

pub(super) fn unpack(file: File, into: &mut Into<'_>) -> Result<(), String> {
    let (reader, left) = Metered::new(BufReader::new(file));
    left.set(into.limits.entries.saturating_mul(ZIP_ENTRY_BYTES).saturating_add(1 << 20));
    let archive = ZipArchive::new(reader);
    left.set(u64::MAX);
    let mut archive = archive.map_err(|error| format!("it is no zip, or damaged: {error}"))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let Some(name) = into.entry(entry.name_raw())? else { continue };
        if entry.is_dir() {
            into.folder.make_folders(&name)?;
        } else if entry.is_symlink() {
            let mut to = String::new();
            let read = (&mut entry).take(LINK_BYTES_MAX).read_to_string(&mut to);
            read.map_err(|error| super::damaged(&name, &error))?;
            into.folder.link(&name, &to)?;
        } else {
            let mode = entry.unix_mode().map_or(0o644, |mode| mode & MODE);
            // Some programs write none at all.
            let mode = if mode == 0 { 0o644 } else { mode };
            into.file(&name, mode, &mut entry)?;
        }
    }
    Ok(())
}
