//! What the state file survives, and what it refuses to guess.

use super::bytes::{HEAD, MAGIC};
use super::*;

fn entry(key: &str, value: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    vec![(key.to_owned(), Some(value.to_vec()))]
}

/// A file with an id and two entries, of which one was replaced and one removed.
fn filled(directory: &Path) -> Vec<u8> {
    let (mut file, stored) = StateFile::open(directory).unwrap();
    assert_eq!(stored, Stored::default());
    file.remember(&FrameworkId::new("F1")).unwrap();
    file.store(entry("a", b"old")).unwrap();
    file.store(entry("b", b"gone")).unwrap();
    file.store(entry("a", b"new")).unwrap();
    file.store(vec![("b".to_owned(), None)]).unwrap();
    fs::read(directory.join(FILE)).unwrap()
}

#[test]
fn what_was_written_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    for _ in 0..2 {
        let (_, stored) = StateFile::open(directory.path()).unwrap();
        assert_eq!(stored.framework, Some(FrameworkId::new("F1")));
        assert_eq!(stored.entries, BTreeMap::from([("a".to_owned(), b"new".to_vec())]));
    }
    let (mut file, _) = StateFile::open(directory.path()).unwrap();
    file.forget().unwrap();
    drop(file);
    assert_eq!(StateFile::open(directory.path()).unwrap().1, Stored::default());
}

#[test]
fn any_torn_tail_is_cut_and_nothing_before_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let whole = filled(directory.path());
    let path = directory.path().join(FILE);
    let mut seen = Vec::new();
    for cut in MAGIC.len()..whole.len() {
        let stored = read(&path, &whole[..cut]).unwrap();
        let known = (stored.framework.is_some(), stored.entries.get("a").cloned());
        if seen.last() != Some(&known) {
            seen.push(known);
        }
    }
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(seen, [(false, None), (true, None), (true, old), (true, new)]);
}

#[test]
fn zeroes_where_a_record_was_to_be_are_a_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    let whole = filled(directory.path());
    let path = directory.path().join(FILE);
    let stored = read(&path, &whole).unwrap();
    for zeroes in [1, HEAD, HEAD + 1, 4096] {
        let bytes = [&whole[..], &vec![0; zeroes]].concat();
        assert_eq!(read(&path, &bytes).unwrap(), stored);
    }
}

#[test]
fn damage_before_the_tail_is_said_and_not_guessed_around() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = filled(directory.path());
    bytes[MAGIC.len() + HEAD + 6] ^= 1;
    fs::write(directory.path().join(FILE), &bytes).unwrap();
    let error = StateFile::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Damaged { at: 8, .. }), "{error}");
    fs::write(directory.path().join(FILE), b"something else").unwrap();
    assert!(matches!(
        StateFile::open(directory.path()).unwrap_err(),
        StateError::Damaged { at: 0, .. }
    ));
}

#[test]
fn what_a_newer_version_wrote_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let bytes = filled(directory.path());
    let mut other_version = bytes.clone();
    other_version[MAGIC.len() - 1] += 1;
    // A record of a kind that this version has not.
    let mut other_record = bytes.clone();
    let body = 9_u32.to_le_bytes();
    other_record.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    other_record.extend(crc32c::crc32c(&body).to_le_bytes());
    other_record.extend(body);
    for (written, where_) in [(other_version, MAGIC.len() - 1), (other_record, bytes.len())] {
        fs::write(&path, &written).unwrap();
        let error = StateFile::open(directory.path()).unwrap_err();
        assert!(matches!(&error, StateError::Newer { at, .. } if *at == where_), "{error}");
        assert!(error.to_string().contains("start that version again"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), written);
    }
}

#[test]
fn two_schedulers_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _first = StateFile::open(directory.path()).unwrap();
    let second = StateFile::open(directory.path()).unwrap_err();
    assert!(matches!(second, StateError::InUse(_)), "{second}");
}

#[test]
fn an_entry_larger_than_a_record_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = StateFile::open(directory.path()).unwrap();
    let error = file.store(entry("a", &vec![0; RECORD_MAX + 1])).unwrap_err();
    assert!(matches!(error, StateError::TooLarge { .. }), "{error}");
}

#[test]
fn a_file_that_only_replaces_does_not_grow_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = StateFile::open(directory.path()).unwrap();
    file.remember(&FrameworkId::new("F1")).unwrap();
    let value = vec![7; 1 << 20];
    let mut largest = 0;
    for n in 0..10_u8 {
        file.store(entry("kept", &[n])).unwrap();
        file.store(entry("replaced", &value)).unwrap();
        largest = largest.max(fs::metadata(directory.path().join(FILE)).unwrap().len());
    }
    assert!(largest < 6 << 20, "{largest} bytes for one of a mebibyte");
    drop(file);
    let (_, stored) = StateFile::open(directory.path()).unwrap();
    assert_eq!(stored.framework, Some(FrameworkId::new("F1")));
    assert_eq!((&stored.entries["kept"][..], &stored.entries["replaced"]), (&[9_u8][..], &value));
}

#[test]
fn a_file_that_cannot_be_shortened_keeps_all() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = StateFile::open(directory.path()).unwrap();
    // Where the short form is to be written stands a folder.
    let fresh = directory.path().join(format!("{FILE}.new"));
    fs::create_dir(&fresh).unwrap();
    let value = vec![7; 1 << 20];
    (0..6).for_each(|n| file.store(entry(&format!("{n}"), &value)).unwrap());
    file.store(entry("0", b"new")).unwrap();
    drop(file);
    fs::remove_dir(fresh).unwrap();
    let (_, stored) = StateFile::open(directory.path()).unwrap();
    assert_eq!((stored.entries.len(), &stored.entries["0"][..]), (6, &b"new"[..]));
}

#[test]
fn a_folder_that_cannot_be_synced_promises_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, stored) = StateFile::open(directory.path()).unwrap();
    file.store(entry("a", b"old")).unwrap();
    file.write_anew(&Stored { entries: BTreeMap::from([("a".into(), b"old".to_vec())]), ..stored })
        .unwrap();
    let record = |value: &[u8]| [Record::Entry("a".to_owned(), Some(value.to_vec()))];
    let sick = |_: &File| Err(io::Error::other("the disk is sick"));
    assert!(file.append_with(&record(b"refused"), sick).is_err());
    // Nothing of what was refused stands before what is not.
    file.append(&record(b"new")).unwrap();
    assert!(!file.replaced);
    drop(file);
    let (_, stored) = StateFile::open(directory.path()).unwrap();
    assert_eq!(stored.entries["a"], b"new");
}

#[test]
fn a_write_that_failed_in_the_middle_is_cut_off_before_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, _) = StateFile::open(directory.path()).unwrap();
    file.file.write_all(&[1, 2, 3]).unwrap();
    file.torn = true;
    file.store(entry("a", b"value")).unwrap();
    drop(file);
    assert_eq!(StateFile::open(directory.path()).unwrap().1.entries["a"], b"value");
}
