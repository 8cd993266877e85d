//! Each scheme, servers that misbehave, and many who want the same: the agent's half with the real process, on loopback.

#![allow(clippy::unwrap_used)] // a test fails by panicking

#[path = "hostile/schemes.rs"]
mod schemes;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetcher::logic::{Fetch, Plain};
use fetcher::{Fetcher, FetcherConfig, ForSandbox, Limits};

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Answers each request as a function of its path says; keeps open what it is to keep.
struct Server {
    at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What is written, and then: close, keep open, or write again and again.
enum Then {
    Close,
    Hang,
    Endless,
}

impl Server {
    fn start(answers: fn(&str) -> (String, Then)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                let path = path_of(&stream);
                notes.lock().unwrap().push(path.clone());
                let (answer, then) = answers(&path);
                let mut stream = stream;
                let _ = stream.write_all(answer.as_bytes());
                match then {
                    Then::Close => {}
                    Then::Hang => open.push(stream),
                    Then::Endless => {
                        std::thread::spawn(move || while stream.write_all(&[0; 4096]).is_ok() {});
                    }
                }
            }
        });
        Self { at, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn file(&self, path: &str, cache: bool) -> Fetch {
        let value = format!("http://{}/{path}", self.at);
        Fetch::of(&Plain { value: &value, extract: true, cache, ..Plain::default() }).unwrap()
    }
}

fn path_of(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while lines.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
    head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned()
}

fn ok(length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

struct Stage {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Stage {
    fn new(set: impl FnOnce(&mut FetcherConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = vec![env!("CARGO_BIN_EXE_fetch-for-tests").into()];
        let mut config = FetcherConfig::new(program, dir.path().join("cache"));
        set(&mut config);
        Self { fetcher: Fetcher::new(config), dir }
    }

    fn sandbox(&self, name: &str) -> (ForSandbox, PathBuf) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let mut options = OpenOptions::new();
        let stderr = options.append(true).create(true).open(path.join("stderr")).unwrap();
        (ForSandbox { path: path.clone(), stderr, user: None }, path)
    }

    async fn fetch(&self, name: &str, file: Fetch) -> Result<(), String> {
        let (sandbox, _) = self.sandbox(name);
        let files = [file];
        let done = self.fetcher.fetch(&sandbox, &files);
        tokio::time::timeout(SOON, done).await.expect("it does not end")
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap()
    }
}

#[tokio::test]
async fn fetch_03_what_a_server_does_wrong_is_said_with_the_address() {
    let server = Server::start(|path| {
        match path {
        "missing" => (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            Then::Close,
        ),
        "short" => (ok(10, "half"), Then::Close),
        "loop" => (
            "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            Then::Close,
        ),
        "long" => (ok(5000, ""), Then::Hang),
        "endless" => ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into(), Then::Endless),
        "noise" => ("what do you want\r\n\r\n".into(), Then::Close),
        "stalls" => (ok(10, "half"), Then::Hang),
        _ => (String::new(), Then::Close),
    }
    });
    let stage = Stage::new(|config| {
        config.stall_timeout = Duration::from_secs(2);
        config.limits = Limits { bytes: 4096, ..Limits::default() };
    });
    for (path, wanted) in [
        ("missing", "the server answered 404 Not Found"),
        ("short", ""),
        ("loop", "the server sends elsewhere more than 10 times"),
        ("long", "its 5000 bytes are more than 4096"),
        ("endless", "it is longer than 4096 bytes"),
        ("noise", ""),
        ("closes", ""),
        ("stalls", "nothing came for 2s, so it is given up"),
    ] {
        for cache in [false, true] {
            let words = stage.fetch(path, server.file(path, cache)).await.unwrap_err();
            let begins = format!("cannot fetch 'http://{}/{path}': ", server.at);
            assert!(words.starts_with(&begins) && words.contains(wanted), "{path}: {words}");
            assert!(words.len() > begins.len(), "{path}: it says why");
            let said = stage.read(&format!("{path}/stderr"));
            assert!(said.contains(&words), "{path}: {said}");
        }
    }
    let counts = stage.fetcher.counts();
    assert_eq!((counts.failed, counts.succeeded, counts.cache_used), (16, 0, 0));
    assert!(stage.fetcher.processes().is_empty());
    assert_eq!(stage.dir.path().join("cache").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn fetch_02_many_at_once_download_once_and_what_has_no_room_is_fetched_by_each() {
    let server = Server::start(|path| match path {
        "small" => (ok(5, "small"), Then::Close),
        path => (ok(path.len() * 100, &path.repeat(100)), Then::Close),
    });
    let stage = Stage::new(|config| config.cache_size = 1000);
    let (a, b, c, d) = tokio::join!(
        stage.fetch("a", server.file("small", true)),
        stage.fetch("b", server.file("small", true)),
        stage.fetch("c", server.file("small", true)),
        stage.fetch("d", server.file("small", true)),
    );
    assert_eq!((a, b, c, d), (Ok(()), Ok(()), Ok(()), Ok(())));
    assert_eq!(server.asked(), 1);
    assert_eq!(stage.read("d/small"), "small");
    let large = "larger-than-all";
    for sandbox in ["e", "f"] {
        stage.fetch(sandbox, server.file(large, true)).await.unwrap();
        assert_eq!(stage.read(&format!("{sandbox}/{large}")).len(), 1500);
    }
    let counts = stage.fetcher.counts();
    assert_eq!((counts.succeeded, counts.cache_used, counts.cache_total), (6, 5, 1000));
    // Those that were not wanted for longest have to go.
    stage.fetch("g", server.file("sixhun", true)).await.unwrap();
    stage.fetch("h", server.file("fives", true)).await.unwrap();
    assert_eq!(stage.fetcher.counts().cache_used, 500, "600 and 500 do not go together");
    let asked = server.asked();
    stage.fetch("i", server.file("fives", true)).await.unwrap();
    assert_eq!(server.asked(), asked);
}

#[tokio::test]
async fn one_who_gives_up_leaves_the_download_to_the_next() {
    let server = Server::start(|_| (ok(10, "half"), Then::Hang));
    let stage = Stage::new(|_| ());
    let (first, _) = stage.sandbox("first");
    let (second, _) = stage.sandbox("second");
    let file = server.file("stalls", true);
    let mut one = Box::pin(stage.fetcher.fetch(&first, std::slice::from_ref(&file)));
    let mut two = Box::pin(stage.fetcher.fetch(&second, std::slice::from_ref(&file)));
    let both = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while server.asked() < 1 {
            tokio::select! {
                // It begins.
                biased;
                _ = &mut one => panic!("nothing more comes"),
                _ = &mut two => panic!("nothing more comes"),
                _ = looks.tick() => {}
            }
        }
        drop(one);
        while server.asked() < 2 {
            tokio::select! {
                _ = &mut two => panic!("nothing more comes"),
                _ = looks.tick() => {}
            }
        }
        assert_eq!(stage.fetcher.processes().len(), 1, "the first one's is gone");
        drop(two);
    };
    tokio::time::timeout(SOON, both).await.unwrap();
    assert!(stage.fetcher.processes().is_empty());
    assert_eq!(stage.fetcher.counts().cache_used, 0);
}

#[tokio::test]
async fn a_cache_that_others_could_fill_is_not_used() {
    let server = Server::start(|_| (ok(5, "small"), Then::Close));
    let stage = Stage::new(|config| config.cache_dir = config.cache_dir.join("of-this-agent"));
    let open = stage.dir.path().join("cache");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    for sandbox in ["a", "b"] {
        stage.fetch(sandbox, server.file("small", true)).await.unwrap();
        assert_eq!(stage.read(&format!("{sandbox}/small")), "small");
    }
    assert_eq!((server.asked(), stage.fetcher.counts().cache_used), (2, 0));
}

#[tokio::test]
async fn what_is_no_file_is_not_read() {
    let stage = Stage::new(|_| ());
    let fifo = stage.dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, wanted) in [
        ("/dev/zero".into(), "it is no file but a pipe, a socket or a device"),
        (fifo.display().to_string(), "it is no file but a pipe, a socket or a device"),
        (stage.dir.path().display().to_string(), "it is a folder; put it into an archive"),
        ("/no/such/file".into(), "No such file or directory"),
    ] {
        let file = Fetch::of(&Plain { value: &path, ..Plain::default() }).unwrap();
        let words = stage.fetch("s", file).await.unwrap_err();
        assert!(words.contains(wanted), "{words}");
    }
}
