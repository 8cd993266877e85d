//! Each scheme with what brings it: copies, our own client of HTTP, and Hadoop's client, which is a script here.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fetcher::logic::{Fetch, Plain};
use fetcher::{Hadoop, Limits};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{SOON, Server, Stage, Then, ok};

fn file(uri: &str) -> Fetch {
    Fetch::of(&Plain { value: uri, extract: true, ..Plain::default() }).unwrap()
}

#[tokio::test]
async fn img_09_absolute_paths_and_file_uris_are_copied() {
    let stage = Stage::new(|_| ());
    let path = stage.dir.path().join("data");
    fs::write(&path, "data").unwrap();
    for (sandbox, uri) in [
        ("path", path.display().to_string()),
        ("uri", format!("file://{}", path.display())),
        ("host", format!("file://localhost{}", path.display())),
    ] {
        stage.fetch(sandbox, file(&uri)).await.unwrap();
        assert_eq!(stage.read(&format!("{sandbox}/data")), "data");
    }
}

#[tokio::test]
async fn img_09_http_is_downloaded_without_any_program() {
    let server = Server::start(|_| (ok(4, "data"), Then::Close));
    let stage = Stage::new(|_| ());
    stage.fetch("s", server.file("data", false)).await.unwrap();
    assert_eq!(stage.read("s/data"), "data");
}

/// A server whose certificate nobody vouches for but the one whose certificate is returned, as PEM, beside where it is.
fn server_of_tls() -> (String, String) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut stream);
            // Who does not trust it asks for nothing.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(ok(4, "data").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (at, authority.pem())
}

#[tokio::test]
async fn img_09_https_is_downloaded_from_who_is_vouched_for_only() {
    let (at, authority) = server_of_tls();
    let url = format!("https://{at}/data");
    let strangers = Stage::new(|_| ());
    let words = strangers.fetch("s", file(&url)).await.unwrap_err();
    assert!(words.to_lowercase().contains("certificate"), "{words}");
    let friends = Stage::new(|config| config.authorities = Some(authority));
    friends.fetch("s", file(&url)).await.unwrap();
    assert_eq!(friends.read("s/data"), "data");
}

/// A client that knows some files. Of each, it notes its process and, where it has one, its child.
const CLIENT: &str = r#"#!/bin/sh
case "$1 $2" in
"version ") echo "Hadoop 3"; exit 0 ;;
"fs -copyToLocal") ;;
*) echo "what is $*?" >&2; exit 2 ;;
esac
from=$3; to=$4
case "$from" in
*/data) printf data > "$to._COPYING_" && mv "$to._COPYING_" "$to" ;;
*/nothing) exit 0 ;;
*/folder) mkdir "$to" ;;
*/link) ln -s /etc/hostname "$to" ;;
*/stalls)
    printf begins > "$to._COPYING_"
    sleep 1000 &
    echo $$ $! > "$HADOOP_HOME/processes"
    wait ;;
*/endless)
    while :; do echo 0123456789012345678901234567890123456789; done > "$to._COPYING_" &
    echo $$ $! > "$HADOOP_HOME/processes"
    wait ;;
*) echo "log4j: no appenders" >&2; echo "copyToLocal: \`$from': No such file or directory" >&2; exit 1 ;;
esac
"#;

fn with_client(home: &Path, script: &str) -> Hadoop {
    fs::create_dir_all(home.join("bin")).unwrap();
    let program = home.join("bin/hadoop");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let home = home.display().to_string();
    let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let environment = [("PATH".into(), path), ("HADOOP_HOME".into(), home.clone())].into();
    Hadoop { home: Some(home), environment }
}

/// A stage with a client.
fn of_hadoop(stall: Duration) -> (Stage, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let stage = Stage::new(|config| {
        config.hadoop = with_client(home.path(), CLIENT);
        config.stall_timeout = stall;
        config.limits = Limits { bytes: 1 << 20, ..Limits::default() };
    });
    (stage, home)
}

/// The client's processes are gone, or wait for somebody to look.
#[track_caller]
fn are_gone(home: &Path) {
    let text = fs::read_to_string(home.join("processes")).unwrap();
    let until = Instant::now() + SOON;
    for number in text.split_whitespace() {
        loop {
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
            if matches!(state, None | Some('Z' | 'X')) {
                break;
            }
            assert!(Instant::now() < until, "{number} is still there: {stat}");
            std::thread::yield_now();
        }
    }
}

#[tokio::test]
async fn img_09_what_hadoop_knows_is_brought_by_its_client() {
    let (stage, _home) = of_hadoop(SOON);
    for (sandbox, uri) in
        [("hdfs", "hdfs://h:8020/a/data"), ("s3", "S3N://bucket/data"), ("hftp", "hftp://h/data")]
    {
        stage.fetch(sandbox, file(uri)).await.unwrap();
        assert_eq!(stage.read(&format!("{sandbox}/data")), "data");
        let left = fs::read_dir(stage.dir.path().join(sandbox)).unwrap().count();
        assert_eq!(left, 2, "the file and what was said");
    }
    // Kept as others are.
    let kept = Plain { value: "hdfs:///data", cache: true, ..Plain::default() };
    for sandbox in ["first", "second"] {
        stage.fetch(sandbox, Fetch::of(&kept).unwrap()).await.unwrap();
        assert_eq!(stage.read(&format!("{sandbox}/data")), "data");
    }
    assert!(stage.read("second/stderr").contains("is in the agent's cache"));
}

#[tokio::test]
async fn img_09_what_hadoops_client_complains_of_is_said() {
    let (stage, _home) = of_hadoop(SOON);
    let uri = "hdfs://h/missing";
    let words = stage.fetch("s", file(uri)).await.unwrap_err();
    let wanted = "fs -copyToLocal` ended with exit status: 1: log4j: no appenders; copyToLocal: `hdfs://h/missing': No such file or directory";
    assert!(words.starts_with("cannot fetch 'hdfs://h/missing': `"), "{words}");
    assert!(words.ends_with(wanted), "{words}");
    assert!(stage.read("s/stderr").contains(&words));
    for (what, wanted) in [
        ("nothing", "ended well, but what it brought cannot be opened: No such file"),
        ("folder", "it is a folder; put it into an archive"),
        ("link", "cannot be opened: Too many levels of symbolic links"),
    ] {
        let words = stage.fetch(what, file(&format!("hdfs://h/{what}"))).await.unwrap_err();
        assert!(words.contains(wanted), "{words}");
        let left = fs::read_dir(stage.dir.path().join(what)).unwrap().count();
        assert_eq!(left, 1, "what was said");
    }
}

#[tokio::test]
async fn img_09_without_a_client_of_hadoops_it_is_said_what_to_do() {
    let stage = Stage::new(|config| {
        config.hadoop.environment = [("PATH".into(), "/no/such/folder".into())].into();
    });
    let words = stage.fetch("s", file("hdfs://h/data")).await.unwrap_err();
    for part in ["hadoop cannot be started: No such file", "--hadoop_home, HADOOP_HOME or PATH"] {
        assert!(words.contains(part), "{words}");
    }
    // Something else is called so.
    let home = tempfile::tempdir().unwrap();
    let stage = Stage::new(|config| {
        config.hadoop = with_client(home.path(), "#!/bin/sh\necho no >&2\nexit 3\n");
    });
    let words = stage.fetch("s", file("hdfs://h/data")).await.unwrap_err();
    assert!(words.ends_with("bin/hadoop version` ended with exit status: 3: no"), "{words}");
}

#[tokio::test]
async fn img_09_a_client_of_hadoops_that_stalls_or_goes_on_for_ever_is_killed_with_its_children() {
    let (stage, home) = of_hadoop(Duration::from_secs(2));
    for (what, wanted) in [
        ("stalls", "nothing came for 2s, so it is given up (--fetcher_stall_timeout)"),
        ("endless", "it is longer than 1048576 bytes"),
    ] {
        let words = stage.fetch(what, file(&format!("hdfs://h/{what}"))).await.unwrap_err();
        assert!(words.contains(wanted), "{words}");
        are_gone(home.path());
    }
}

#[tokio::test]
async fn img_09_a_client_of_hadoops_ends_with_its_children_when_nobody_wants_the_file_any_more() {
    let (stage, home) = of_hadoop(SOON);
    let (sandbox, _) = stage.sandbox("s");
    let files = [file("hdfs://h/stalls")];
    let mut fetch = Box::pin(stage.fetcher.fetch(&sandbox, &files));
    let noted = home.path().join("processes");
    let begins = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while !fs::read_to_string(&noted).is_ok_and(|text| text.ends_with('\n')) {
            tokio::select! {
                _ = &mut fetch => panic!("nothing more comes"),
                _ = looks.tick() => {}
            }
        }
    };
    tokio::time::timeout(SOON, begins).await.unwrap();
    drop(fetch);
    are_gone(home.path());
}
