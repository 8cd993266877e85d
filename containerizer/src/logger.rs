//! What keeps what a container prints to a bound: a process of its own for each of its two streams, between the container and the
//! file. It reads a pipe until nobody is left who could write, so that it outlives the agent that started it, and begins the file
//! anew when that is full: `stdout` becomes `stdout.1`, that `stdout.2`, and what is one too many goes. No program for this is
//! needed on the machine. Beside the file stands how many bytes have gone before it ([`logic::Place`]), for whoever reads on.

pub mod logic;

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, remove_file, rename};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use tokio::process::{Child, Command};

use logic::{Place, Rotation, State, place_file};

/// Read at a time, if a file may be that long.
const CHUNK_BYTES: u64 = 64 << 10;
/// What the files of a sandbox may be read by.
const MODE: u32 = 0o640;
/// How often a name is cleared that somebody else takes again and again.
const AGAIN: u32 = 8;

/// Puts a process between whoever gets the writing end that comes back and the file of this name in the folder, which is open as
/// `file`. The words of `program` come before those that are for [`main`], and `variable` is all of its environment.
///
/// # Errors
/// The process cannot be started, or the place of the file not be noted.
pub fn start(
    program: &[OsString],
    variable: (&str, &str),
    folder: &Path,
    name: &str,
    file: File,
    rotation: Rotation,
) -> io::Result<(File, Child)> {
    let Some((first, words)) = program.split_first() else {
        return Err(io::Error::other("it was not said which program keeps logs to a bound"));
    };
    let log = Log::open(folder.to_owned(), name, file.try_clone()?, rotation)?;
    log.note(State::Open)?;
    let (reader, writer) = io::pipe()?;
    // Whoever opens `/dev/stdout` opens the pipe anew, which its owner may.
    let owner = folder.metadata()?;
    let _ = fchown(&writer, Some(owner.uid()), Some(owner.gid()));
    // A signal of the agent's terminal is not for it, nor is anything that looks for processes of the container.
    let keeper = Command::new(first)
        .args(words)
        .arg(name)
        .arg(rotation.bytes_max.to_string())
        .arg(rotation.files.to_string())
        .env_clear()
        .env(variable.0, variable.1)
        .current_dir(folder)
        .stdin(Stdio::from(OwnedFd::from(reader)))
        .stdout(Stdio::from(file))
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((File::from(OwnedFd::from(writer)), keeper))
}

/// The process, by what it is told behind its name: which file, how many bytes of it, how many files before it. The file is open as
/// standard output, and its folder is the working directory, whatever that is called by then.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
    let [name, bytes_max, files] = words.as_slice() else { return ExitCode::FAILURE };
    let (Ok(bytes_max), Ok(files)) = (bytes_max.parse(), files.parse()) else {
        return ExitCode::FAILURE;
    };
    let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let log = output
        .and_then(|file| Log::open(PathBuf::from("."), name, file, Rotation { bytes_max, files }));
    match log.and_then(|log| log.keep(io::stdin().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// One file and those before it.
struct Log {
    folder: PathBuf,
    name: String,
    file: File,
    rotation: Rotation,
    /// Of the file.
    bytes: u64,
    /// Of all files before it, of those too that have gone.
    before: u64,
    /// Since it was last tried to begin another.
    grown: u64,
}

impl Log {
    fn open(folder: PathBuf, name: &str, file: File, rotation: Rotation) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { folder, name: name.to_owned(), file, rotation, bytes, before: 0, grown: bytes })
    }

    /// Until nobody is left who could write.
    fn keep(mut self, mut from: impl Read) -> io::Result<()> {
        let chunk = usize::try_from(CHUNK_BYTES.min(self.rotation.bytes_max)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; chunk];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.write(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.note(State::Ended)
    }

    fn write(&mut self, chunk: &[u8]) {
        let length = chunk.len() as u64;
        if self.grown > 0 && self.grown + length > self.rotation.bytes_max {
            // What cannot be renamed grows on: a log that is too long is better than none. It is tried again when as much has come.
            if self.rotate().is_err() {
                let _ = self.note(State::Open);
            }
            self.grown = 0;
        }
        // On a disk that is full bytes are lost here, as they would be without this process; whoever writes is not held up.
        let written = self.file.write_all(chunk).map_or(0, |()| length);
        self.bytes += written;
        self.grown += length;
    }

    /// Readers see by the note that names and bytes do not go together for a moment.
    fn rotate(&mut self) -> io::Result<()> {
        self.note(State::Rotating)?;
        for n in (1..self.rotation.files).rev() {
            move_file(&self.numbered(n), &self.numbered(n + 1))?;
        }
        let current = self.folder.join(&self.name);
        match self.rotation.files {
            0 => gone(remove_file(&current))?,
            _ => move_file(&current, &self.numbered(1))?,
        }
        self.file = self.made(&current)?;
        self.before += self.bytes;
        self.bytes = 0;
        self.note(State::Open)
    }

    fn numbered(&self, n: u32) -> PathBuf {
        self.folder.join(format!("{}.{n}", self.name))
    }

    /// Whoever owns the sandbox may put there what it likes meanwhile: nothing that is there is written through.
    fn made(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(MODE);
        let mut again = 0..AGAIN;
        let file = loop {
            match options.open(path) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && again.next().is_some() =>
                {
                    gone(remove_file(path))?;
                }
                opened => break opened?,
            }
        };
        let owner = self.folder.metadata()?;
        // Without the right to give files away this process is the owner's anyway.
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(file)
    }

    fn note(&self, state: State) -> io::Result<()> {
        let path = self.folder.join(place_file(&self.name));
        let new = self.folder.join(format!("{}.new", self.name));
        let mut file = self.made(&new)?;
        file.write_all(Place { before: self.before, state }.to_string().as_bytes())?;
        rename(&new, &path)
    }
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    gone(rename(from, to))
}

/// What is not there any more need not be moved or removed.
fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn log(folder: &Path, bytes_max: u64, files: u32) -> Log {
        let file = File::create_new(folder.join("stdout")).unwrap();
        Log::open(folder.to_owned(), "stdout", file, Rotation { bytes_max, files }).unwrap()
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    /// One chunk a line.
    struct Lines<'t>(std::str::SplitInclusive<'t, char>);

    impl Read for Lines<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(line) = self.0.next() else { return Ok(0) };
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    fn keep(log: Log, text: &str) {
        log.keep(Lines(text.split_inclusive('\n'))).unwrap();
    }

    #[test]
    fn cont_09_a_file_that_is_full_is_begun_anew_and_so_many_before_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        keep(log(folder, 8, 2), "one\ntwo\nthree\nfour\nfive\nsix\n");
        let all = ["stdout.2", "stdout.1", "stdout"].map(|name| read(folder, name));
        assert_eq!(all, ["four\n", "five\n", "six\n"].map(str::to_owned));
        assert!(!folder.join("stdout.3").exists());
        assert_eq!(read(folder, "stdout.place"), "24 ended\n", "of what came before");
    }

    #[test]
    fn cont_09_no_byte_is_lost_between_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let text: String = (0..20_000).map(|n| format!("{n}\n")).collect();
        log(folder, 4096, 100).keep(text.as_bytes()).unwrap();
        let mut all = String::new();
        for n in (1..100).rev() {
            let path = folder.join(format!("stdout.{n}"));
            if let Ok(part) = fs::read_to_string(path) {
                assert!(part.len() <= 4096);
                all.push_str(&part);
            }
        }
        assert_eq!(all + &read(folder, "stdout"), text);
    }

    #[test]
    fn cont_09_links_that_a_task_puts_there_are_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let outside = folder.join("outside");
        fs::write(&outside, "safe").unwrap();
        let log = log(folder, 4, 1);
        for name in ["stdout.1", "stdout.new", "stdout.place"] {
            std::os::unix::fs::symlink(&outside, folder.join(name)).unwrap();
        }
        keep(log, "one\ntwo\n");
        assert_eq!(read(folder, "outside"), "safe");
        assert_eq!(
            (read(folder, "stdout.1"), read(folder, "stdout")),
            ("one\n".into(), "two\n".into())
        );
    }

    #[test]
    fn cont_09_what_cannot_be_renamed_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir_all(folder.join("stdout.1/full")).unwrap();
        keep(log(folder, 4, 1), "one\ntwo\n");
        assert_eq!(read(folder, "stdout"), "one\ntwo\n");
        assert_eq!(read(folder, "stdout.place"), "0 ended\n");
    }
}
