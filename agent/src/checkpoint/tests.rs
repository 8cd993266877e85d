//! What the checkpoint survives, and what it refuses to guess.

use std::os::unix::fs::PermissionsExt;

use prost::Message;
use protocol::agent::{AgentAddress, AgentInfo};
use protocol::carried::Carried;
use protocol::executor::Token;
use protocol::framework::FrameworkInfo;
use protocol::ids::*;
use protocol::resources::Resources;
use protocol::task::*;
use protocol::wishes::FaultDomain;

use super::form::{Kind, Stored};
use super::*;
use crate::logic::{ExecutorLaunch, ProcessIdentity, Program, TaskTaken};

/// All kinds of records, as a life writes them.
fn records() -> Vec<Record> {
    let process = ProcessIdentity { process: 7, started: 8, boot: "b".into() };
    let (c1, task) = (ContainerId::new("c1"), TaskId::new("t"));
    let launch = ExecutorLaunch {
        framework: framework(),
        spec: executor_of_ours(),
        role: Role::everybody(),
        program: Program::Custom(command()),
        user: Some("ann".into()),
        token: Token::new("secret"),
    };
    let taken = TaskTaken {
        container: c1.clone(),
        framework: framework(),
        spec: task_spec().into(),
        role: Role::everybody(),
        executor: ExecutorId::new("E"),
        state: TaskState::Staging,
        heard: None,
    };
    let update = |sequence| UpdateId { source: 9, sequence };
    let news = |sequence, state| Record::Updated {
        status: Box::new(status(update(sequence), state)),
        replaces: false,
    };
    let framework = FrameworkId::new("F");
    let acknowledged = Record::Acknowledged {
        framework: framework.clone(),
        task: task.clone(),
        update: update(1),
    };
    vec![
        Record::Booted("b".into()),
        Record::Configured { info: Box::new(info()), domain: Some(domain()) },
        Record::Registering { nonce: u64::MAX },
        Record::Joined { agent: AgentId::new("S1"), cluster: ClusterId::new("C"), epoch: 3 },
        Record::ExecutorStarting(ContainerId::new("c0")),
        Record::ExecutorLaunching { container: c1.clone(), launch: Box::new(launch) },
        Record::TaskTaken(Box::new(taken)),
        Record::ExecutorStarted { container: c1.clone(), process },
        news(1, TaskState::Running),
        acknowledged,
        news(2, TaskState::Finished),
        Record::FrameworkUpdated(Box::new(FrameworkInfo {
            name: "other".into(),
            ..FrameworkInfo::plain(framework.clone())
        })),
        Record::TaskForgotten { framework: framework.clone(), task: task.clone() },
        Record::Heard { container: c1, task, update: update(2) },
        Record::ExecutorEnded(ContainerId::new("c0")),
        Record::FrameworkRemoved(framework),
        Record::Left,
        Record::Joined { agent: AgentId::new("S2"), cluster: ClusterId::new("C"), epoch: 4 },
    ]
}

fn domain() -> FaultDomain {
    FaultDomain { region: "eu".into(), zone: "1".into() }
}

fn info() -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: "here".into(), listens: "127.0.0.1:5051".into() }.into(),
        resources: Resources::cpus_mem(4.0, 1000.0),
        attributes: Vec::new(),
        version: "0".into(),
        boot: "b".into(),
    }
}

fn command() -> CommandSpec {
    CommandSpec { value: "./run".into(), shell: true, ..CommandSpec::default() }
}

fn executor_of_ours() -> ExecutorSpec {
    ExecutorSpec {
        executor: ExecutorId::new("E"),
        name: "e".into(),
        command: command(),
        resources: Resources::cpus_mem(0.5, 32.0),
        shutdown_grace: None,
    }
}

fn task_spec() -> TaskSpec {
    TaskSpec {
        task: TaskId::new("t"),
        name: "t".into(),
        resources: Resources::cpus_mem(1.0, 100.0),
        run: Run::Executor { executor: executor_of_ours(), data: vec![1, 2, 3] },
        kill_grace: None,
        carried: Carried::default(),
    }
}

fn framework() -> FrameworkInfo {
    FrameworkInfo { user: "ann".into(), ..FrameworkInfo::plain(FrameworkId::new("F")) }
}

fn status(update: UpdateId, state: TaskState) -> TaskStatus {
    TaskStatus {
        update: Some(update),
        ..TaskStatus::plain(FrameworkId::new("F"), TaskId::new("t"), state, Source::Executor)
    }
}

/// The first so many of them, applied.
fn after(records: &[Record]) -> Checkpoint {
    let mut state = Checkpoint::default();
    records.iter().for_each(|record| state.apply(record.clone()));
    state
}

fn whole_file() -> Vec<u8> {
    MAGIC.iter().copied().chain(records().iter().flat_map(frame)).collect()
}

/// Where each record begins, and where the last ends.
fn begins() -> Vec<usize> {
    let mut begins = vec![MAGIC.len()];
    records().iter().for_each(|record| begins.push(begins[begins.len() - 1] + frame(record).len()));
    begins
}

#[test]
fn the_records_of_these_tests_are_of_all_kinds() {
    let mut kinds: Vec<i32> = records().iter().map(|record| Stored::of(record).kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let all: Vec<i32> = (1..).take_while(|kind| Kind::try_from(*kind).is_ok()).collect();
    assert_eq!(kinds, all);
}

fn written(dir: &Path) -> Checkpoint {
    let (_, mut file) = CheckpointFile::open(dir, true).unwrap();
    records().iter().for_each(|record| file.write(record).unwrap());
    file.state.clone()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = written(dir.path());
    let (again, file) = CheckpointFile::open(dir.path(), true).unwrap();
    assert_eq!(again, state);
    drop(file);
    // And the shortest form says the same.
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
}

#[test]
fn a_tail_torn_anywhere_loses_its_last_record_and_nothing_else() {
    let (whole, begins) = (whole_file(), begins());
    for cut in 0..=whole.len() {
        let survived = begins.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        let expected = Whole { state: after(&records()[..survived]), damage: None };
        assert_eq!(read_all(Path::new("f"), &whole[..cut]).unwrap(), expected, "cut at {cut}");
        // A disk that lost power may have made the file longer before it had all of it.
        let mut zeroes = whole[..cut].to_vec();
        zeroes.resize(whole.len() + 100, 0);
        if cut >= MAGIC.len() && whole[cut..].first() != Some(&0) {
            assert_eq!(read_all(Path::new("f"), &zeroes).unwrap(), expected, "zeroes from {cut}");
        }
    }
    // And so is the file.
    let dir = tempfile::tempdir().unwrap();
    for cut in [0, 5, MAGIC.len(), MAGIC.len() + 3, begins[4] + 40, whole.len() - 1] {
        std::fs::write(dir.path().join("agent.checkpoint"), &whole[..cut]).unwrap();
        let survived = begins.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        let (state, _) = CheckpointFile::open(dir.path(), true).unwrap();
        assert_eq!(state, after(&records()[..survived]), "cut at {cut}");
    }
}

#[test]
fn no_bit_that_is_turned_makes_it_say_something_else() {
    let (whole, begins) = (whole_file(), begins());
    let last = begins[begins.len() - 2];
    let torn = after(&records()[..records().len() - 1]);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match read_all(Path::new("f"), &bytes) {
            // What stands in the last record may as well have been torn.
            Ok(read) if bit / 8 >= last => assert_eq!(read.state, torn, "bit {bit}"),
            Ok(read) => assert!(read.damage.is_some(), "bit {bit}"),
            Err(error) => assert_eq!(bit / 8, MAGIC.len() - 1, "bit {bit}: {error}"),
        }
    }
}

/// AGENT-09: what cannot be read is left out, and all else is taken.
#[test]
fn agent_09_without_strictness_what_is_damaged_is_left_out_and_the_file_is_kept() {
    let (whole, begins) = (whole_file(), begins());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.checkpoint");
    for damaged in 0..records().len() - 1 {
        let mut bytes = whole.clone();
        bytes[begins[damaged] + 12] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = CheckpointFile::open(dir.path(), true).unwrap_err().to_string();
        assert!(error.contains("--strict=false"), "{error}");
        let (state, file) = CheckpointFile::open(dir.path(), false).unwrap();
        let mut rest = records();
        rest.remove(damaged);
        assert_eq!(state, after(&rest), "record {damaged}");
        let kept = dir.path().join("agent.damaged");
        assert_eq!(std::fs::read(&kept).unwrap(), bytes);
        let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds what tasks' environments hold");
        drop(file);
        // It is whole again.
        assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
    }
    // Behind a head that is damaged nothing is believed: a task's data might look like a record.
    let mut bytes = whole.clone();
    bytes[begins[3]] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (state, _) = CheckpointFile::open(dir.path(), false).unwrap();
    assert_eq!(state, after(&records()[..3]));
    // What is no checkpoint at all, or none that this version knows.
    std::fs::write(&path, "something else").unwrap();
    assert_eq!(CheckpointFile::open(dir.path(), false).unwrap().0, Checkpoint::default());
    bytes[MAGIC.len() - 1] = 99;
    std::fs::write(&path, &bytes).unwrap();
    let error = CheckpointFile::open(dir.path(), false).unwrap_err().to_string();
    assert!(error.contains("was written by a newer version"), "{error}");
}

#[test]
fn a_checkpoint_of_the_first_form_is_read_and_written_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.checkpoint");
    let mut bytes = b"airsagt\x01".to_vec();
    for record in records() {
        let record = frame(&record);
        bytes.extend(&record[..8]);
        bytes.extend(&record[12..]);
    }
    std::fs::write(&path, bytes).unwrap();
    let (state, _) = CheckpointFile::open(dir.path(), true).unwrap();
    assert_eq!(state, after(&records()));
    assert!(std::fs::read(&path).unwrap().starts_with(MAGIC));
}

#[test]
fn zeroes_behind_the_last_record_are_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let state = written(dir.path());
    let path = dir.path().join("agent.checkpoint");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0; 100]);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
}

#[test]
fn damage_before_the_tail_is_said_and_nothing_is_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.checkpoint");
    let whole = whole_file();
    for (at, words) in [(0, "not an agent's checkpoint"), (24, "checksum is wrong"), (11, "head")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x7f;
        std::fs::write(&path, &bytes).unwrap();
        let error = CheckpointFile::open(dir.path(), true).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is overwritten");
    }
}

#[test]
fn two_agents_do_not_share_a_work_dir() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _first) = CheckpointFile::open(dir.path(), true).unwrap();
    let error = CheckpointFile::open(dir.path(), true).unwrap_err().to_string();
    assert!(error.contains("another agent uses the work directory"), "{error}");
}

#[test]
fn a_work_dir_that_is_no_folder_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = CheckpointFile::open(&file, true).unwrap_err().to_string();
    assert!(error.contains("choose another with --work_dir"), "{error}");
}

#[test]
fn a_long_life_does_not_grow_the_file_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
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
    let mut record = Stored::default();
    record.kind = 99;
    let record = record.encode_to_vec();
    unknown_record.extend(form::framed(&record));
    let mut unknown_form = std::fs::read(&path).unwrap();
    unknown_form[MAGIC.len() - 1] += 1;
    for bytes in [unknown_record, unknown_form] {
        std::fs::write(&path, &bytes).unwrap();
        let error = CheckpointFile::open(dir.path(), true).unwrap_err().to_string();
        assert!(error.contains("was written by a newer version of the agent"), "{error}");
        assert!(error.contains("start that version again"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is lost");
    }
}

#[test]
fn what_is_written_after_the_file_was_replaced_is_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
    live_long(&mut file);
    assert!(file.replaced, "it was written anew");
    // The folder cannot be synced, so a crash may bring the old file back: nothing may be promised that is only in the new.
    let joined = &records()[3];
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
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
}

#[test]
fn a_file_that_cannot_be_shortened_goes_on_in_its_long_form() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
    // Where the short form is to be written stands a folder.
    std::fs::create_dir(beside(&file.path)).unwrap();
    live_long(&mut file);
    records().iter().for_each(|record| file.write(record).unwrap());
    let state = file.state.clone();
    assert!(std::fs::metadata(&file.path).unwrap().len() > 100_000, "it is long");
    drop(file);
    std::fs::remove_dir(dir.path().join("agent.new")).unwrap();
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
}

#[test]
fn a_record_that_could_not_be_cut_off_is_before_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
    // As a write leaves it that failed in the middle, on a disk that refused to take the half back.
    file.file.write_all(&frame(&records()[0])[..5]).unwrap();
    file.torn = true;
    records().iter().for_each(|record| file.write(record).unwrap());
    let state = file.state.clone();
    drop(file);
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0, state);
}

/// What a former life wrote is read, and what is particular about resources is there after a restart.
#[test]
fn the_record_of_what_an_agent_has_keeps_its_bytes_and_its_terms() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let configured = |info: &AgentInfo, domain| {
        let info = Box::new(info.clone());
        Record::Configured { info, domain }
    };
    let of = |info: AgentInfo| Stored::of(&configured(&info, None)).encode_to_vec();
    assert_eq!(hex(&of(info())), PLAIN);
    let placed = Stored::of(&configured(&info(), Some(domain()))).encode_to_vec();
    assert_eq!(hex(&placed), format!("{PLAIN}8201026575{}", "8a010131"));
    let mut reserved = info();
    reserved.resources.add(&"cpus(eng/web):2;disks(eng):{a}".parse().unwrap());
    assert_eq!(hex(&of(reserved.clone())), RESERVED);
    let dir = tempfile::tempdir().unwrap();
    let (_, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
    file.write(&configured(&reserved, Some(domain()))).unwrap();
    drop(file);
    let (state, mut file) = CheckpointFile::open(dir.path(), true).unwrap();
    assert_eq!((state.info.as_deref(), state.domain), (Some(&reserved), Some(domain())));
    // Where it was is not where it is.
    file.write(&configured(&reserved, None)).unwrap();
    drop(file);
    assert_eq!(CheckpointFile::open(dir.path(), true).unwrap().0.domain, None);
}

const PLAIN: &str = "080f7a7b0400000000000000686572650e000000000000003132372e302e302e313a3530353102000000000000\
    000400000000000000637075730000000000000000a00f00000000000003000000000000006d656d0000000000\
    00000040420f00000000000000000000000000010000000000000030010000000000000062";
const RESERVED: &str = "080f7a89020400000000000000686572650e000000000000003132372e302e302e313a35303531040000000000\
    00000400000000000000637075730000000000000000a00f000000000000040000000000000063707573010000\
    0001000000000000000700000000000000656e672f776562000000000000000000000000000000000000000000\
    d00700000000000005000000000000006469736b730100000001000000000000000300000000000000656e6700\
    000000000000000000000000000000000200000001000000000000000100000000000000610300000000000000\
    6d656d000000000000000040420f00000000000000000000000000010000000000000030010000000000000062";
