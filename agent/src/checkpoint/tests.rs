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
