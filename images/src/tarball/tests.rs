//! Archives as the `tar` crate writes them, damaged ones, and any bytes.

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(9);
    header
}

fn all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, BadArchive> {
    let mut tarball = Tarball::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = tarball.next_entry()? {
        let mut body = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match tarball.read_body(&mut buffer)? {
                0 => break,
                count => body.extend_from_slice(&buffer[..count]),
            }
        }
        found.push((entry, body));
    }
    Ok(found)
}

#[test]
fn entries_are_read_with_all_that_is_said_of_them() {
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header(EntryType::Regular, 5), "a/b", &b"hello"[..]).unwrap();
    builder.append_link(&mut header(EntryType::Symlink, 0), "l", "/etc/x").unwrap();
    let long = "d/".repeat(150) + "end";
    let mut gnu = Header::new_gnu();
    gnu.set_size(1);
    gnu.set_mode(0o644);
    builder.append_data(&mut gnu, &long, &b"x"[..]).unwrap();
    let found = all(&builder.into_inner().unwrap()).unwrap();
    let (file, body) = &found[0];
    assert_eq!((file.path.as_slice(), body.as_slice()), (&b"a/b"[..], &b"hello"[..]));
    assert_eq!((file.mode, file.uid, file.gid, file.modified), (0o4755, 7, 8, (9, 0)));
    assert_eq!((found[1].0.kind, found[1].0.link.as_slice()), (Kind::Symlink, &b"/etc/x"[..]));
    assert_eq!(found[2].0.path, long.as_bytes());
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length =
        (1..9).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).unwrap();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn with_pax(records: &[u8], size: u64, body: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    builder
        .append_data(&mut header(EntryType::XHeader, records.len() as u64), "pax", records)
        .unwrap();
    let mut bytes = builder.into_inner().unwrap();
    bytes.truncate(bytes.len() - 1024);
    let mut builder = Builder::new(bytes);
    builder.append_data(&mut header(EntryType::Regular, size), "short", body).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn pax_records_may_hold_line_ends_and_change_everything() {
    let records = [
        record("path", "é/long".as_bytes()),
        record("mtime", b"12.5"),
        record("uid", b"3000000"),
        record("SCHILY.xattr.security.capability", b"\x01\n\x00=\n"),
    ]
    .concat();
    let found = all(&with_pax(&records, 2, b"hi")).unwrap();
    let entry = &found[0].0;
    assert_eq!(entry.path, "é/long".as_bytes());
    assert_eq!((entry.modified, entry.uid), ((12, 500_000_000), 3_000_000));
    assert_eq!(entry.attributes, [(b"security.capability".to_vec(), b"\x01\n\x00=\n".to_vec())]);
    assert_eq!(found[0].1, b"hi");
}

#[test]
fn each_defect_has_its_own_words() {
    let good = with_pax(&record("path", b"p"), 600, &[1; 600]);
    let case = |bytes: &[u8], words: &str| {
        let error = all(bytes).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    case(&good[..good.len() - 1700], "ends in the middle");
    case(&good[..700], "ends in the middle");
    let mut damaged = good.clone();
    damaged[3] ^= 1;
    case(&damaged, "damaged header");
    case(&with_pax(b"99 path=x\n", 0, b""), "PAX");
    case(&with_pax(b"nothing", 0, b""), "PAX");
    case(&with_pax(&record("uid", b"4294967295"), 0, b""), "bad uid");
    case(&with_pax(&record("size", b"many"), 0, b""), "bad size");
    case(&with_pax(&record("GNU.sparse.major", b"1"), 0, b""), "not supported");
    case(&with_pax(&vec![b' '; 2 << 20], 0, b""), "1 MiB");
}

#[test]
fn an_archive_without_its_last_blocks_ends_where_it_ends() {
    let good = with_pax(b"", 512, &[1; 512]);
    assert_eq!(all(&good[..good.len() - 1024]).unwrap().len(), 1);
    assert!(all(b"").unwrap().is_empty());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = all(&bytes);
    }

    #[test]
    fn no_damaged_archive_panics_or_grows(changes in proptest::collection::vec((0_usize..3000, any::<u8>()), 1..8)) {
        let mut bytes = with_pax(&[record("path", b"p"), record("size", b"3")].concat(), 3, b"abc");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
            // Damage that its header vouches for.
            for block in bytes.as_chunks_mut::<512>().0 {
                let mut header = Header::from_byte_slice(block).clone();
                if header.as_bytes().iter().any(|byte| *byte != 0) {
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
        }
        if let Ok(found) = all(&bytes) {
            prop_assert!(found.iter().map(|(_, body)| body.len()).sum::<usize>() <= bytes.len());
        }
    }
}
