//! What is to lie in a sandbox before its command starts. Pure; what a URI means is in [`fetcher::logic`], fetching in
//! [`crate::actors`].

use api::v1::command_info::Uri;
use fetcher::logic::{Fetch, Plain};
use protocol::task::CommandSpec;

/// As many files as one command may have fetched.
const FILES_MAX: usize = 64;

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
    Fetch::of(&Plain {
        value: &uri.value,
        output_file: uri.output_file.as_deref(),
        executable: uri.executable.unwrap_or(false),
        extract: uri.extract(),
        cache: uri.cache.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use api::v1::CommandInfo;
    use fetcher::logic::Unpack;
    use protocol::carried::Carried;

    use super::*;

    fn command(uris: Vec<Uri>) -> CommandSpec {
        let carried = Carried::new(&CommandInfo { uris, ..Default::default() });
        CommandSpec { carried, ..Default::default() }
    }

    fn uri(value: &str) -> Uri {
        Uri { value: value.into(), ..Default::default() }
    }

    #[test]
    fn what_a_command_names_is_fetched_as_it_says() {
        let named = Uri { output_file: Some("bin/run".into()), ..uri("http://h:1/a/b.py?x=1") };
        let runs = Uri { executable: Some(true), ..uri("/data/x.tar") };
        let kept = Uri { extract: Some(false), cache: Some(true), ..uri("http://h/x.zip") };
        let all = vec![named, runs, kept, uri("http://h/x.tar.gz")];
        let all = of(&command(all)).unwrap();
        let said = all.iter().map(|one| (one.name.as_str(), one.executable, one.unpack, one.cache));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                ("bin/run", false, None, false),
                ("x.tar", true, None, false),
                ("x.zip", false, None, true),
                ("x.tar.gz", false, Some(Unpack::Tar), false),
            ]
        );
        assert_eq!(of(&CommandSpec::default()), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_had_is_said_in_words() {
        let words = of(&command(vec![uri("/a"), uri("ftp://h/x")])).unwrap_err();
        assert!(words.starts_with("cannot fetch 'ftp://h/x': ftp:// is not fetched"), "{words}");
        let many = of(&command(vec![uri("http://h/x"); FILES_MAX + 1])).unwrap_err();
        assert!(many.contains("65 URIs to fetch, more than 64"), "{many}");
    }
}
