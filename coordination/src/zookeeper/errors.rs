//! What the client's errors mean: only a few say for certain that nothing happened. All others may have happened.

use zookeeper_client::Error;

use super::logic::Answer;
use super::url::Url;

/// Whether nothing happened, for certain, and nothing will.
pub(super) fn is_definite(error: &Error) -> bool {
    matches!(
        error,
        Error::NoNode
            | Error::NoAuth
            | Error::BadVersion
            | Error::NodeExists
            | Error::NotEmpty
            | Error::NoChildrenForEphemerals
            | Error::InvalidAcl
            | Error::QuotaExceeded
            | Error::MarshallingError
            | Error::Unimplemented
            | Error::BadArguments(_)
    )
}

/// In words, with what to do, if there is something.
pub(super) fn words(url: &Url, what: &str, path: &str, error: &Error) -> String {
    let advice = match (error, url.user()) {
        (Error::NoAuth, None) => {
            "; the path was made by somebody with credentials: put them into the URL, zk://user:password@…"
        }
        (Error::NoAuth, Some(_)) => {
            "; the path was made with other credentials than those of the URL: use the same ones for all that use it"
        }
        (Error::InvalidAcl, Some(_)) => "; the servers did not take the URL's credentials",
        (Error::Timeout, _) => {
            ": its servers keep the session alive and do not answer in it, and it may have been done or not; look which of them hangs, and try again"
        }
        (Error::Unimplemented, _) => "; ZooKeeper 3.5 or later is needed",
        (Error::QuotaExceeded, _) => "; raise the quota of the path, or remove it",
        (_, _) => "",
    };
    format!("cannot {what} {path} of {url}: {error}{advice}")
}

/// What an error of a request of the election means.
pub(super) fn answer(url: &Url, what: &str, path: &str, error: &Error) -> Answer {
    if is_definite(error) {
        Answer::Refused(words(url, what, path, error))
    } else {
        Answer::Unknown(error.to_string())
    }
}
