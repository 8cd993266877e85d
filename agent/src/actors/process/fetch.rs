//! Fetching what is to lie in a sandbox, before anything runs there. On a thread that may wait.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::User;

use crate::logic::{Fetch, Unpack};

/// What one file may take, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    bytes: u64,
    connect: Duration,
    whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 30, connect: Duration::from_secs(10), whole: Duration::from_secs(600) }
    }
}

/// Of what an unpacking program complains.
const COMPLAINT_MAX: usize = 512;

/// All of them, one after the other; in words, what could not be had.
pub(super) fn fetch(
    all: &[Fetch],
    sandbox: &Path,
    owner: Option<&User>,
    limits: Limits,
) -> Result<(), String> {
    let client: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(limits.connect))
        .timeout_global(Some(limits.whole))
        .user_agent(concat!("airside/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    for one in all {
        let failed = |why: &str| format!("cannot fetch '{}': {why}", one.from);
        load(&client, one, sandbox, owner, limits.bytes).map_err(|error| failed(&error))?;
        if let Some(by) = one.unpack {
            unpack(by, &one.name, sandbox, owner).map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

fn load(
    client: &ureq::Agent,
    one: &Fetch,
    sandbox: &Path,
    owner: Option<&User>,
    bytes_max: u64,
) -> Result<(), String> {
    let mut response = client.get(&one.from).call().map_err(|error| error.to_string())?;
    let mode = if one.executable { 0o755 } else { 0o644 };
    let path = sandbox.join(&one.name);
    let writes = |error: io::Error| format!("write {}: {error}", path.display());
    // Only a new file: what lies there already may be a link that somebody has laid.
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
    let mut file: File = file.map_err(writes)?;
    if let Some(user) = owner {
        fchown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(writes)?;
    }
    // Above the agent's own mask.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    file.set_permissions(permissions).map_err(writes)?;
    let mut body = response.body_mut().as_reader().take(bytes_max + 1);
    let copied = io::copy(&mut body, &mut file).map_err(|error| error.to_string())?;
    if copied > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    file.flush().map_err(writes)
}

/// As the sandbox's owner: what an archive says lies where that user may write, and nowhere else.
fn unpack(by: Unpack, name: &str, sandbox: &Path, owner: Option<&User>) -> Result<(), String> {
    let file = Path::new(".").join(name);
    let (program, arguments): (&str, &[&str]) = match by {
        Unpack::Tar => ("tar", &["--extract", "--no-same-owner", "--file"]),
        Unpack::Zip => ("unzip", &["-o", "-q"]),
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(file).current_dir(sandbox);
    command.env_clear().env("PATH", super::launch::PATH);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(user) = owner {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let done = command.output().map_err(|error| format!("unpack it by {program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let mut words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    words.truncate(words.floor_char_boundary(COMPLAINT_MAX));
    Err(format!("unpack it by {program}: {}: {words}", done.status))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Answers each connection so, and then no more.
    fn serves(answers: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        at
    }

    fn ok(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn file(at: &str, name: &str, executable: bool) -> Fetch {
        Fetch { from: format!("http://{at}/x"), name: name.into(), executable, unpack: None }
    }

    #[test]
    fn files_are_fetched_with_their_names_and_modes() {
        let at = serves(&[&ok("#!/bin/sh\n"), &ok("data")]);
        let sandbox = tempfile::tempdir().unwrap();
        let all = [file(&at, "run", true), file(&at, "data.txt", false)];
        fetch(&all, sandbox.path(), None, Limits::default()).unwrap();
        let read = |name: &str| {
            let path = sandbox.path().join(name);
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            (std::fs::read_to_string(path).unwrap(), mode)
        };
        assert_eq!(read("run"), ("#!/bin/sh\n".into(), 0o755));
        assert_eq!(read("data.txt"), ("data".into(), 0o644));
    }

    #[test]
    fn what_cannot_be_had_is_said_and_nothing_is_written_over() {
        let sandbox = tempfile::tempdir().unwrap();
        let fails = |fetch_one: Fetch, limits: Limits| {
            fetch(&[fetch_one], sandbox.path(), None, limits).unwrap_err()
        };
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let words = fails(file(&serves(&[missing]), "a", false), Limits::default());
        assert!(
            words.starts_with("cannot fetch 'http://127.0.0.1:") && words.contains("404"),
            "{words}"
        );
        let few = Limits { bytes: 3, ..Limits::default() };
        let words = fails(file(&serves(&[&ok("four")]), "b", false), few);
        assert!(words.ends_with("it is longer than 3 bytes"), "{words}");
        let victim = sandbox.path().join("victim");
        std::os::unix::fs::symlink(&victim, sandbox.path().join("c")).unwrap();
        let words = fails(file(&serves(&[&ok("evil")]), "c", false), Limits::default());
        assert!(words.contains("File exists") && !victim.exists(), "{words}");
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf";
        let words = fails(file(&serves(&[short]), "d", false), Limits::default());
        assert!(words.starts_with("cannot fetch"), "{words}");
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let words = fails(file(&nobody, "e", false), Limits::default());
        assert!(words.to_lowercase().contains("refused"), "{words}");
    }
}
