//! What a registry's answers mean when they are not what was asked for.

use std::error::Error;

use reqwest::{Response, StatusCode};

use super::{WithoutTls, retry_after};
use crate::error::Failure;

/// A status that is no success.
pub(super) fn refusal(host: &str, what: &str, response: &Response) -> Failure {
    let (host, what) = (host.to_owned(), what.to_owned());
    match response.status() {
        StatusCode::NOT_FOUND => Failure::NotFound { host, what },
        StatusCode::UNAUTHORIZED => Failure::Unauthorised { host, what },
        StatusCode::FORBIDDEN => Failure::Forbidden { host, what },
        StatusCode::TOO_MANY_REQUESTS => {
            Failure::RateLimited { host, what, wait: retry_after(response) }
        }
        status if status.is_server_error() => {
            Failure::ServerError { host, what, status: status.as_u16() }
        }
        status => Failure::Unexpected { host, what, status: status.as_u16() },
    }
}

/// A request that brought no answer, or a body that did not come whole. Addresses are left out of the cause: those that
/// registries lead to hold secrets.
pub(super) fn broken(host: &str, what: &str, at: u64, error: reqwest::Error) -> Failure {
    let source = error.without_url();
    let (host, what) = (host.to_owned(), what.to_owned());
    let mut cause: Option<&(dyn Error + 'static)> = Some(&source);
    let mut is_untrusted = false;
    while let Some(error) = cause {
        if error.is::<WithoutTls>() {
            return Failure::PlainHttp { host, what };
        }
        // rustls' own words, which its error type has no other way to tell through the layers above it.
        is_untrusted |= error.to_string().starts_with("invalid peer certificate");
        cause = error.source();
    }
    if is_untrusted {
        Failure::Untrusted { host, source }
    } else if source.is_connect() {
        Failure::Unreachable { host, source }
    } else {
        Failure::Reset { host, what, at, source }
    }
}
