//! What a URI means: where the file comes from, what it is called in the sandbox, and whether it is unpacked there. The rules are
//! those of Mesos's fetcher (`docs/fetcher.md` there), but for the schemes that are not fetched.

use serde::{Deserialize, Serialize};

/// A name in a sandbox is no longer, with its folders.
const NAME_BYTES_MAX: usize = 1024;
/// Nor is an address.
const URI_BYTES_MAX: usize = 8192;

/// A URI as a command names it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain<'a> {
    /// The address.
    pub value: &'a str,
    /// How it is to be called in the sandbox; with folders, if it has any.
    pub output_file: Option<&'a str>,
    /// Whether it may be run. Then it is not unpacked.
    pub executable: bool,
    /// Whether it is unpacked, if it is an archive by its name.
    pub extract: bool,
    /// Whether it is kept for other tasks of the same user.
    pub cache: bool,
}

/// One file to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Its address, as it was said.
    pub uri: String,
    /// The same, understood.
    pub source: Source,
    /// Its name in the sandbox: a relative path without `..`.
    pub name: String,
    /// Whether it may be run.
    pub executable: bool,
    /// How it is unpacked, if at all.
    pub unpack: Option<Unpack>,
    /// Whether it is kept for other tasks of the same user.
    pub cache: bool,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// An absolute path on the agent's machine.
    File(String),
    /// An address of `http` or `https`.
    Http(String),
    /// An address that Hadoop's client knows.
    Hadoop(String),
}

/// What an archive is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unpack {
    /// A tar; how it is compressed its first bytes say.
    Tar,
    /// One file, compressed.
    Gzip,
    /// A zip.
    Zip,
}

/// The endings by which archives are known. `.gz` after those that end so as well.
const ARCHIVES: [(&str, Unpack); 9] = [
    (".tar", Unpack::Tar),
    (".tar.gz", Unpack::Tar),
    (".tgz", Unpack::Tar),
    (".tar.bz2", Unpack::Tar),
    (".tbz2", Unpack::Tar),
    (".tar.xz", Unpack::Tar),
    (".txz", Unpack::Tar),
    (".zip", Unpack::Zip),
    (".gz", Unpack::Gzip),
];

/// Schemes of Hadoop's client: those of Mesos, and the one that has come in the place of `s3` and `s3n`.
const HADOOP: [&str; 5] = ["hdfs", "hftp", "s3", "s3n", "s3a"];
/// Schemes for which Mesos has a library.
const ELSEWHERE: [&str; 2] = ["ftp", "ftps"];

impl Fetch {
    /// In words, why it cannot be had.
    pub fn of(plain: &Plain<'_>) -> Result<Self, String> {
        let uri = plain.value.trim();
        let bad = |why: String| {
            let shown: String = uri.chars().take(256).collect();
            format!("cannot fetch '{}': {why}", shown.escape_debug())
        };
        if uri.len() > URI_BYTES_MAX {
            return Err(bad(format!("its {} bytes are more than {URI_BYTES_MAX}", uri.len())));
        }
        let (source, last) = source(uri).map_err(bad)?;
        let name = plain.output_file.unwrap_or(last);
        check_name(name).map_err(bad)?;
        let ending = ARCHIVES.iter().find(|(ending, _)| name.ends_with(ending));
        let unpack = ending.filter(|_| plain.extract && !plain.executable);
        Ok(Self {
            uri: uri.to_owned(),
            source,
            name: name.to_owned(),
            executable: plain.executable,
            unpack: unpack.map(|(_, unpack)| *unpack),
            cache: plain.cache,
        })
    }
}

/// With the last part of its path, by which the file is called if nothing else is said.
fn source(uri: &str) -> Result<(Source, &str), String> {
    let last = |path: &'_ str| path.rfind('/').map_or(0, |at| at + 1);
    if uri.contains('\0') {
        return Err("it has a zero byte".to_owned());
    }
    if uri.starts_with('/') {
        return Ok((Source::File(uri.to_owned()), &uri[last(uri)..]));
    }
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Err(
            "a path must be absolute: it would have to be below a folder, and an agent has none for that".to_owned(),
        );
    };
    let scheme = scheme.to_ascii_lowercase();
    let name = rest.split_once('/').map_or("", |(_, path)| &path[last(path)..]);
    match scheme.as_str() {
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if path.starts_with('/') {
                Ok((Source::File(path.to_owned()), &path[last(path)..]))
            } else {
                Err("file:// is followed by an absolute path of the agent's own machine".to_owned())
            }
        }
        "http" | "https" => Ok((Source::Http(format!("{scheme}://{rest}")), name)),
        _ if HADOOP.contains(&scheme.as_str()) => {
            Ok((Source::Hadoop(format!("{scheme}://{rest}")), name))
        }
        "docker" => Err(
            "it is an image, and no file; name it as the image of a container, which is pulled for it".to_owned(),
        ),
        _ if ELSEWHERE.contains(&scheme.as_str()) => Err(format!(
            "{scheme}:// is not fetched; serve it by http:// or https://, or let the command fetch it"
        )),
        _ => Err(format!(
            "nothing is known of '{}://'; file://, http:// and https:// are fetched, absolute paths, and by Hadoop's client hdfs:// and s3a://",
            scheme.escape_debug()
        )),
    }
}

/// The sandbox's own logs are not written over.
fn check_name(name: &str) -> Result<(), String> {
    let is_inside = !name.is_empty()
        && !name.ends_with('/')
        && !name.contains('\0')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_inside {
        return Err(format!(
            "'{}' is not the name of a file in the sandbox; say one as output_file, such as 'data/file'",
            name.chars().take(256).collect::<String>().escape_debug()
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("its name has {} bytes, more than {NAME_BYTES_MAX}", name.len()));
    }
    if matches!(name, "stdout" | "stderr") {
        return Err(format!(
            "in the sandbox {name} is what the task says; say another name as output_file"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(value: &str) -> Plain<'_> {
        Plain { value, extract: true, ..Plain::default() }
    }

    #[track_caller]
    fn refused(plain: &Plain<'_>) -> String {
        Fetch::of(plain).expect_err("it cannot be had")
    }

    #[test]
    fn a_file_is_named_by_its_address_unless_it_is_said_and_unpacked_by_its_name() {
        for (plain, name, unpack) in [
            (uri("http://h:1/a/b.py"), "b.py", None),
            (uri("HTTPS://h/a/x.tar.gz"), "x.tar.gz", Some(Unpack::Tar)),
            (uri("/data/x.gz"), "x.gz", Some(Unpack::Gzip)),
            (uri("file:///data/x.zip"), "x.zip", Some(Unpack::Zip)),
            (uri("file://localhost/x.txz"), "x.txz", Some(Unpack::Tar)),
            (Plain { output_file: Some("a/b/run"), ..uri("http://h/x.tar") }, "a/b/run", None),
            (Plain { executable: true, ..uri("http://h/x.tar") }, "x.tar", None),
            (Plain { extract: false, ..uri("http://h/x.zip") }, "x.zip", None),
        ] {
            let fetch = Fetch::of(&plain).unwrap();
            assert_eq!((fetch.name.as_str(), fetch.unpack), (name, unpack), "{plain:?}");
        }
        let file = Fetch::of(&uri("file://localhost/x")).unwrap();
        assert_eq!(file.source, Source::File("/x".into()));
        let http = Fetch::of(&uri(" HTTP://h/X ")).unwrap();
        assert_eq!(http.source, Source::Http("http://h/X".into()));
    }

    #[test]
    fn what_hadoop_knows_is_left_to_its_client_and_named_by_its_address() {
        for scheme in HADOOP {
            let fetch = Fetch::of(&uri(&format!("{}://h:8020/a/x.tgz", scheme.to_uppercase())));
            let fetch = fetch.unwrap();
            assert_eq!(fetch.source, Source::Hadoop(format!("{scheme}://h:8020/a/x.tgz")));
            assert_eq!((fetch.name.as_str(), fetch.unpack), ("x.tgz", Some(Unpack::Tar)));
        }
        // Without a host it is the one that the client is set up for.
        assert_eq!(Fetch::of(&uri("hdfs:///a/b")).unwrap().name, "b");
    }

    #[test]
    fn fetch_01_schemes_that_are_not_fetched_are_refused_in_words() {
        for scheme in ELSEWHERE {
            let words = refused(&uri(&format!("{scheme}://h/x")));
            assert!(words.contains(&format!("{scheme}:// is not fetched; serve it")), "{words}");
        }
        for (from, wanted) in [
            ("gopher://h/x", "nothing is known of 'gopher://'"),
            ("docker://h/x", "it is an image, and no file"),
            ("relative/path", "a path must be absolute"),
            ("", "a path must be absolute"),
            ("file://other-host/x", "an absolute path of the agent's own machine"),
        ] {
            let words = refused(&uri(from));
            assert!(words.contains(wanted), "{words}");
        }
    }

    #[test]
    fn what_would_lie_outside_of_the_sandbox_is_refused_in_words() {
        for from in ["http://h", "http://h/", "http://h/a/..", "http://h/.", "/", "/a/.."] {
            let words = refused(&uri(from));
            assert!(words.contains("say one as output_file"), "{words}");
        }
        for name in ["/etc/passwd", "../x", "a/../b", "a//b", "a/", "", "..", "./a", "a\0b"] {
            let words = refused(&Plain { output_file: Some(name), ..uri("http://h/x") });
            assert!(words.contains("is not the name of a file in the sandbox"), "{words}");
        }
        let words = refused(&uri("http://h/stdout"));
        assert!(words.contains("stdout is what the task says"), "{words}");
        let long = "x".repeat(9000);
        assert!(refused(&uri(&format!("http://h/{long}"))).contains("more than 8192"));
        assert!(
            refused(&Plain { output_file: Some(&long), ..uri("http://h/x") })
                .contains("9000 bytes, more than 1024")
        );
    }
}
