//! What the checkpoint survives, and what it refuses to guess.

use super::*;

fn records() -> Vec<Record> {
    let process = ProcessIdentity { process: 7, started: 8, boot: "b".into() };
    vec![
        Record::Joined { agent: AgentId::new("S1"), cluster: ClusterId::new("C"), epoch: 3 },
        Record::ExecutorStarting(ContainerId::new("c1")),
        Record::ExecutorStarted { container: ContainerId::new("c1"), process },
        Record::ExecutorStarting(ContainerId::new("c2")),
        Record::ExecutorEnded(ContainerId::new("c2")),
        Record::Registering { nonce: u64::MAX },
    ]
}

fn written(dir: &Path) -> Checkpoint {
    let (_, mut file) = CheckpointFile::open(dir).unwrap();
    records().iter().for_each(|record| file.write(record).unwrap());
    file.state.clone()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = written(dir.path());
    let (again, file) = CheckpointFile::open(dir.path()).unwrap();
    assert_eq!(again, state);
    drop(file);
    // And the shortest form says the same.
    assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, state);
}

#[test]
fn a_tail_torn_anywhere_loses_its_last_record_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.checkpoint");
    let whole: Vec<u8> = MAGIC.iter().copied().chain(records().iter().flat_map(frame)).collect();
    let mut ends = vec![MAGIC.len()];
    records().iter().for_each(|record| ends.push(ends[ends.len() - 1] + frame(record).len()));
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut expected = Checkpoint::default();
        let survived = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        records().into_iter().take(survived).for_each(|record| expected.apply(record));
        assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, expected, "cut at {cut}");
    }
}

#[test]
fn zeroes_behind_the_last_record_are_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let state = written(dir.path());
    let path = dir.path().join("agent.checkpoint");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0; 100]);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, state);
}

#[test]
fn damage_before_the_tail_is_said_and_nothing_is_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.checkpoint");
    let whole: Vec<u8> = MAGIC.iter().copied().chain(records().iter().flat_map(frame)).collect();
    for (at, words) in [(0, "not an agent's checkpoint"), (20, "checksum is wrong"), (11, "length")]
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x7f;
        std::fs::write(&path, &bytes).unwrap();
        let error = CheckpointFile::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is overwritten");
    }
}

#[test]
fn two_agents_do_not_share_a_work_dir() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _first) = CheckpointFile::open(dir.path()).unwrap();
    let error = CheckpointFile::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("another agent uses the work directory"), "{error}");
}

#[test]
fn a_work_dir_that_is_no_folder_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = CheckpointFile::open(&file).unwrap_err().to_string();
    assert!(error.contains("choose another with --work_dir"), "{error}");
}

#[test]
fn a_long_life_does_not_grow_the_file_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path()).unwrap();
    for n in 0..3 * APPENDED_MAX {
        let container = ContainerId::new(format!("c{}", n / 2));
        let record = if n % 2 == 0 {
            Record::ExecutorStarting(container)
        } else {
            Record::ExecutorEnded(container)
        };
        file.write(&record).unwrap();
    }
    assert!(std::fs::metadata(&file.path).unwrap().len() < 1_000_000);
    assert_eq!(file.state, Checkpoint::default());
}

/// The records of a life that is long enough for the file to be written anew once.
fn live_long(file: &mut CheckpointFile) {
    for n in 0..APPENDED_MAX / 2 {
        let container = ContainerId::new(format!("short-{n}"));
        file.write(&Record::ExecutorStarting(container.clone())).unwrap();
        file.write(&Record::ExecutorEnded(container)).unwrap();
    }
}

#[test]
fn a_checkpoint_of_a_newer_version_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let path = dir.path().join("agent.checkpoint");
    let mut unknown_record = std::fs::read(&path).unwrap();
    let record = Stored { kind: 99, ..Stored::default() }.encode_to_vec();
    unknown_record.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
    unknown_record.extend(crc32c::crc32c(&record).to_le_bytes());
    unknown_record.extend(record);
    let mut unknown_form = std::fs::read(&path).unwrap();
    unknown_form[MAGIC.len() - 1] += 1;
    for bytes in [unknown_record, unknown_form] {
        std::fs::write(&path, &bytes).unwrap();
        let error = CheckpointFile::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("was written by a newer version of the agent"), "{error}");
        assert!(error.contains("start that version again"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is lost");
    }
}

#[test]
fn what_is_written_after_the_file_was_replaced_is_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path()).unwrap();
    live_long(&mut file);
    assert!(file.replaced, "it was written anew");
    // The folder cannot be synced, so a crash may bring the old file back: nothing may be promised that is only in the new.
    let joined = &records()[0];
    let no_sync = |_: &File| Err(io::Error::other("the disk is sick"));
    assert!(file.append(joined, no_sync).is_err());
    assert!(file.replaced);
    // When it can be again, it is, and what was refused left nothing behind.
    let state = {
        records().iter().for_each(|record| file.write(record).unwrap());
        assert!(!file.replaced);
        file.state.clone()
    };
    drop(file);
    assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, state);
}

#[test]
fn a_file_that_cannot_be_shortened_goes_on_in_its_long_form() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path()).unwrap();
    // Where the short form is to be written stands a folder.
    std::fs::create_dir(beside(&file.path)).unwrap();
    live_long(&mut file);
    records().iter().for_each(|record| file.write(record).unwrap());
    let state = file.state.clone();
    assert!(std::fs::metadata(&file.path).unwrap().len() > 100_000, "it is long");
    drop(file);
    std::fs::remove_dir(dir.path().join("agent.new")).unwrap();
    assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, state);
}

#[test]
fn a_record_that_could_not_be_cut_off_is_before_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path()).unwrap();
    // As a write leaves it that failed in the middle, on a disk that refused to take the half back.
    file.file.write_all(&frame(&records()[0])[..5]).unwrap();
    file.torn = true;
    records().iter().for_each(|record| file.write(record).unwrap());
    let state = file.state.clone();
    drop(file);
    assert_eq!(CheckpointFile::open(dir.path()).unwrap().0, state);
}
