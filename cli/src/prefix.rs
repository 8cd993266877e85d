//! Ids may be given by their beginning, as long as only one begins so.

/// Candidates named in an error at most.
const NAMED_MAX: usize = 8;

/// Why the beginning of an id names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrefixError {
    #[error("no {what} begins with '{prefix}'; `airside {list}` lists them")]
    None { what: &'static str, list: &'static str, prefix: String },
    #[error("{count} {list} begin with '{prefix}': {named}; give more of the one you mean")]
    Several { list: &'static str, prefix: String, count: usize, named: String },
    #[error("{count} {list} are named '{name}': {ids}; say by its id which you mean")]
    SeveralNamed { list: &'static str, name: String, count: usize, ids: String },
}

impl PrefixError {
    /// `ids` are of all that have the name.
    pub(crate) fn several_named<'a>(
        list: &'static str,
        name: &str,
        ids: impl ExactSizeIterator<Item = &'a str>,
    ) -> Self {
        let count = ids.len();
        Self::SeveralNamed { list, name: name.into(), count, ids: few(ids) }
    }
}

/// As many as one can look at.
fn few<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = ids.len() > NAMED_MAX;
    let ids: Vec<&str> = ids.take(NAMED_MAX).chain(more.then_some("…")).collect();
    ids.join(", ")
}

/// The one of `all` whose id is `prefix`, or else the only one whose id begins with it.
pub(crate) fn find<'a, T>(
    prefix: &str,
    (what, list): (&'static str, &'static str),
    all: &'a [T],
    id: impl Fn(&T) -> &str,
) -> Result<&'a T, PrefixError> {
    let whole: Vec<&T> = all.iter().filter(|one| id(one) == prefix).collect();
    if let [one] = whole[..] {
        return Ok(one);
    }
    let begun: Vec<&T> = all.iter().filter(|one| id(one).starts_with(prefix)).collect();
    match begun[..] {
        [] => Err(PrefixError::None { what, list, prefix: prefix.into() }),
        [one] => Ok(one),
        _ => Err(PrefixError::Several {
            list,
            prefix: prefix.into(),
            count: begun.len(),
            named: few(begun.iter().map(|one| id(one))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: (&str, &str) = ("task", "tasks");

    fn found(prefix: &str) -> Result<&'static str, String> {
        const ALL: [&str; 4] = ["web", "web-1", "web-2", "db"];
        find(prefix, TASKS, &ALL, |id| id).copied().map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_id_wins_and_a_beginning_must_be_the_only_one() {
        assert_eq!(found("web"), Ok("web"));
        assert_eq!(found("d"), Ok("db"));
        assert_eq!(
            found("web-"),
            Err("2 tasks begin with 'web-': web-1, web-2; give more of the one you mean".into())
        );
        assert_eq!(found("x"), Err("no task begins with 'x'; `airside tasks` lists them".into()));
    }

    #[test]
    fn not_every_candidate_of_thousands_is_named() {
        let all: Vec<String> = (0..1000).map(|n| format!("task-{n}")).collect();
        let error = find("task", TASKS, &all, |id| id).unwrap_err().to_string();
        assert!(error.starts_with("1000 tasks begin with 'task': task-0, "), "{error}");
        assert!(error.ends_with("task-7, …; give more of the one you mean"), "{error}");
    }
}
