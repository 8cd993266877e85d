//! What is to lie in a sandbox before its command starts. Pure; fetching is in [`crate::actors`].

use api::v1::command_info::Uri;
use protocol::task::CommandSpec;
use serde::{Deserialize, Serialize};

/// As many files as one command may have fetched.
const FILES_MAX: usize = 64;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Its address.
    pub from: String,
    /// Its name in the sandbox.
    pub name: String,
    /// Whether it may be run.
    pub executable: bool,
    /// By which program it is unpacked, if at all.
    pub unpack: Option<Unpack>,
}

/// What unpacks an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unpack {
    /// `tar`, which sees itself how the archive is compressed.
    Tar,
    /// `unzip`.
    Zip,
}

/// The endings by which archives are known.
const ARCHIVES: [(&str, Unpack); 8] = [
    (".tar", Unpack::Tar),
    (".tar.gz", Unpack::Tar),
    (".tgz", Unpack::Tar),
    (".tar.bz2", Unpack::Tar),
    (".tbz2", Unpack::Tar),
    (".tar.xz", Unpack::Tar),
    (".txz", Unpack::Tar),
    (".zip", Unpack::Zip),
];

/// All that a command needs; in words, what of that cannot be had.
pub(super) fn of(command: &CommandSpec) -> Result<Vec<Fetch>, String> {
    let info = command.carried.decode().map_err(|bad| bad.to_string())?;
    if info.uris.len() > FILES_MAX {
        return Err(format!(
            "its command names {} URIs to fetch, more than {FILES_MAX}; put them into one archive",
            info.uris.len()
        ));
    }
    info.uris.iter().map(one).collect()
}

fn one(uri: &Uri) -> Result<Fetch, String> {
    let from = uri.value.trim();
    let bad = |why: &str| Err(format!("cannot fetch '{}': {why}", from.escape_debug()));
    let Some(rest) = from.strip_prefix("http://") else {
        return bad(
            "only http:// is fetched in this release; serve it there, or let the command fetch it",
        );
    };
    let last = rest.split_once('/').and_then(|(_, path)| path.rsplit('/').next());
    let name = match &uri.output_file {
        Some(name) => name.as_str(),
        None => last.unwrap_or_default(),
    };
    // The agent writes it with its own rights.
    let is_name = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    if !is_name {
        return bad(
            "the name that it is to have in the sandbox must be that of a file in the sandbox itself; say one as output_file",
        );
    }
    let executable = uri.executable.unwrap_or(false);
    let ending = ARCHIVES.iter().find(|(ending, _)| name.ends_with(ending));
    let unpack = ending.filter(|_| uri.extract() && !executable).map(|(_, unpack)| *unpack);
    Ok(Fetch { from: from.to_owned(), name: name.to_owned(), executable, unpack })
}

#[cfg(test)]
mod tests {
    use api::v1::CommandInfo;
    use protocol::carried::Carried;

    use super::*;

    fn command(uris: Vec<Uri>) -> CommandSpec {
        let carried = Carried::new(&CommandInfo { uris, ..Default::default() });
        CommandSpec { carried, ..Default::default() }
    }

    fn uri(value: &str) -> Uri {
        Uri { value: value.into(), ..Default::default() }
    }

    #[track_caller]
    fn refused(uri: Uri) -> String {
        of(&command(vec![uri])).expect_err("it cannot be had")
    }

    #[test]
    fn a_file_is_named_by_its_address_unless_it_is_said() {
        let named = Uri { output_file: Some("run".into()), ..uri("http://h:1/a/b.py?x=1") };
        let runs = Uri { executable: Some(true), ..uri("http://h/x.tar") };
        let kept = Uri { extract: Some(false), ..uri("http://h/x.zip") };
        let all = vec![uri("http://h:1/a/b.py"), named, runs, kept, uri("http://h/x.tar.gz")];
        let all = of(&command(all)).unwrap();
        let names = all.iter().map(|one| (one.name.as_str(), one.executable, one.unpack));
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                ("b.py", false, None),
                ("run", false, None),
                ("x.tar", true, None),
                ("x.zip", false, None),
                ("x.tar.gz", false, Some(Unpack::Tar)),
            ]
        );
        assert_eq!(of(&CommandSpec::default()), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_had_or_would_lie_elsewhere_is_said_in_words() {
        for from in ["https://h/x", "/etc/shadow", "file:///etc/shadow", "hdfs://h/x", ""] {
            let words = refused(uri(from));
            assert!(words.contains("only http:// is fetched in this release"), "{words}");
        }
        for from in ["http://h", "http://h/", "http://h/a/..", "http://h/."] {
            let words = refused(uri(from));
            assert!(words.contains("say one as output_file"), "{words}");
        }
        for name in ["/etc/passwd", "../x", "a/b", "", ".."] {
            let words = refused(Uri { output_file: Some(name.into()), ..uri("http://h/x") });
            assert!(words.contains("of a file in the sandbox itself"), "{words}");
        }
        let many = of(&command(vec![uri("http://h/x"); FILES_MAX + 1])).unwrap_err();
        assert!(many.contains("65 URIs to fetch, more than 64"), "{many}");
    }
}
