//! How a body is written: as JSON or as protobuf, by the exact rules of Mesos's v1 APIs.

use actix_web::http::header;
use bytes::Bytes;

use crate::answer::{Call, Refused};

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Encoding {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }
}

/// How the body of a call is written. The text must be exactly one of the two: not even a charset may follow.
///
/// # Errors
///
/// 400 if nothing is said, 415 if it is something else.
pub fn content(call: &Call) -> Result<Encoding, Refused> {
    match call.header("content-type") {
        None => Err(Refused::new(400, "Expecting 'Content-Type' to be present")),
        Some("application/json") => Ok(Encoding::Json),
        Some("application/x-protobuf") => Ok(Encoding::Protobuf),
        Some(_) => Err(Refused::new(
            415,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        )),
    }
}

/// How the answer is to be written. JSON if nothing is said, or if both would do.
///
/// # Errors
///
/// 406 if neither would do.
pub fn accepted(call: &Call) -> Result<Encoding, Refused> {
    let takes = |media_type| allows(call, header::ACCEPT.as_str(), media_type);
    match (takes("application/json"), takes("application/x-protobuf")) {
        (true, _) => Ok(Encoding::Json),
        (false, true) => Ok(Encoding::Protobuf),
        (false, false) => Err(Refused::new(
            406,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        )),
    }
}

/// Whether a header such as `Accept` allows a media type. Who does not send it allows all.
pub fn allows(call: &Call, header: &str, media_type: &str) -> bool {
    let all = call.request.headers().get_all(header);
    let texts: Vec<&str> = all.filter_map(|text| text.to_str().ok()).collect();
    takes(&texts, media_type)
}

/// Bytes of a body that is read where its connection is served; a longer one would keep others waiting.
const READ_HERE: usize = 64 << 10;

/// A message, as its client wrote it.
///
/// # Errors
///
/// 400, in Mesos's words.
pub async fn read<M: prost::Message + prost::Name + Default + 'static>(
    encoding: Encoding,
    body: Bytes,
) -> Result<M, Refused> {
    if body.len() <= READ_HERE {
        return read_here(encoding, &body);
    }
    let read = tokio::task::spawn_blocking(move || read_here(encoding, &body)).await;
    read.map_err(|error| Refused::new(500, format!("the body was not read: {error}")))?
}

fn read_here<M: prost::Message + prost::Name + Default>(
    encoding: Encoding,
    body: &[u8],
) -> Result<M, Refused> {
    match encoding {
        Encoding::Json => {
            api::json::read(body).map_err(|error| Refused::new(400, shortened(error.to_string())))
        }
        Encoding::Protobuf => api::wire::read(body)
            .map_err(|_| Refused::new(400, "Failed to parse body into Call protobuf")),
    }
}

/// A message, as its client takes it.
pub fn written<M: prost::Message + prost::Name>(encoding: Encoding, message: &M) -> Vec<u8> {
    match encoding {
        Encoding::Json => api::json::write(message).into_bytes(),
        Encoding::Protobuf => api::wire::write(message),
    }
}

/// What is wrong may be wrong very often.
fn shortened(mut words: String) -> String {
    const WORDS_MAX: usize = 2048;
    if words.len() > WORDS_MAX {
        words.truncate(words.floor_char_boundary(WORDS_MAX));
        words += "…";
    }
    words
}

/// Whether a media type is among those of a client's `Accept` headers. Whoever says nothing takes anything.
fn takes(texts: &[&str], media_type: &str) -> bool {
    let group = media_type.split_once('/').map_or(media_type, |(group, _)| group);
    let all = || texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    if all().all(str::is_empty) {
        return true;
    }
    // What is said of the type itself counts more than what is said of its group, and that more than what is said of all.
    let said = |of: &str| {
        let mut those = all().filter_map(|range| {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            name.trim().eq_ignore_ascii_case(of).then(|| !is_excluded(parameters))
        });
        those.next()
    };
    said(media_type)
        .or_else(|| said(&format!("{group}/*")))
        .or_else(|| said("*/*"))
        .unwrap_or(false)
}

/// Whether the quality is zero.
fn is_excluded(parameters: &str) -> bool {
    let quality = parameters.split(';').filter_map(|one| one.trim().strip_prefix("q=")).next();
    quality.and_then(|text| text.trim().parse::<f64>().ok()) == Some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_wins_when_both_would_do_and_nothing_excluded_is_taken() {
        for (accept, json, protobuf) in [
            (&[][..], true, true),
            (&[""], true, true),
            (&["*/*"], true, true),
            (&["application/*"], true, true),
            (&["application/json"], true, false),
            (&["application/x-protobuf"], false, true),
            (&["application/x-protobuf, application/json;q=0"], false, true),
            (&["application/json;q=0, */*"], false, true),
            (&["text/html", "application/json; q=0.5"], true, false),
            (&["text/html"], false, false),
            (&["application/*;q=0.0"], false, false),
        ] {
            let takes = |media_type| takes(accept, media_type);
            assert_eq!(takes("application/json"), json, "{accept:?}");
            assert_eq!(takes("application/x-protobuf"), protobuf, "{accept:?}");
        }
    }
}
