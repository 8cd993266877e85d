//! Which media types a call has and takes. Calls that stream have a media type of their own, and say in another header what their
//! records are.

use std::borrow::Cow;

use api::v1::agent::call::Type;
use gateway::{Call, Encoding, Refused, allows};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const RECORDIO: &str = "application/recordio";

/// Of streams: what their records are.
const MESSAGE_CONTENT: &str = "Message-Content-Type";
const MESSAGE_ACCEPT: &str = "Message-Accept";

/// What one call says of itself and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// How its messages are written.
    pub(super) content: Encoding,
    /// Whether its body is a stream of them.
    pub(super) is_stream: bool,
    /// How messages of the answer are written.
    pub(super) accept: Encoding,
    /// Whether the answer is to be a stream in records.
    pub(super) wants_stream: bool,
}

fn refused(status: u16, words: impl Into<Cow<'static, str>>) -> Refused {
    Refused::new(status, words)
}

fn encoding(media_type: Option<&str>) -> Option<Encoding> {
    match media_type? {
        JSON => Some(Encoding::Json),
        PROTOBUF => Some(Encoding::Protobuf),
        _ => None,
    }
}

impl Media {
    /// What a call's headers say.
    pub(super) fn of(call: &Call) -> Result<Self, Refused> {
        let (content, is_stream) =
            content(call.header("Content-Type"), call.header(MESSAGE_CONTENT))?;
        let takes = |media_type: &str| allows(call, "Accept", media_type);
        let of_message = |media_type: &str| allows(call, MESSAGE_ACCEPT, media_type);
        let has = call.request.headers().contains_key(MESSAGE_ACCEPT);
        let (accept, wants_stream) = accept(takes, has, of_message)?;
        Ok(Self { content, is_stream, accept, wants_stream })
    }

    /// Only some calls stream.
    pub(super) fn fits(self, r#type: Type) -> Result<(), Refused> {
        let name = r#type.as_str_name();
        match (self.is_stream, r#type == Type::AttachContainerInput) {
            (true, false) => {
                let words =
                    format!("Streaming 'Content-Type' {RECORDIO} is not supported for {name} call");
                return Err(refused(415, words));
            }
            (false, true) => {
                let words = format!("Expecting 'Content-Type' to be {RECORDIO} for {name} call");
                return Err(refused(415, words));
            }
            (true, true) | (false, false) => (),
        }
        let streams =
            [Type::AttachContainerOutput, Type::LaunchNestedContainerSession].contains(&r#type);
        match self.wants_stream && !streams {
            true => {
                let words = format!("Streaming response is not supported for {name} call");
                Err(refused(406, words))
            }
            false => Ok(()),
        }
    }
}

fn content(body: Option<&str>, message: Option<&str>) -> Result<(Encoding, bool), Refused> {
    let Some(body) = body else {
        return Err(refused(400, "Expecting 'Content-Type' to be present"));
    };
    if body == RECORDIO {
        if message.is_none() {
            let words = format!("Expecting '{MESSAGE_CONTENT}' to be set for streaming requests");
            return Err(refused(400, words));
        }
        let words = || format!("Expecting '{MESSAGE_CONTENT}' of {JSON} or {PROTOBUF}");
        let encoding = encoding(message).ok_or_else(|| refused(415, words()))?;
        return Ok((encoding, true));
    }
    let words = || format!("Expecting 'Content-Type' of {JSON} or {PROTOBUF} or {RECORDIO}");
    let encoding = encoding(Some(body)).ok_or_else(|| refused(415, words()))?;
    match message {
        None => Ok((encoding, false)),
        Some(_) => {
            let words =
                format!("Expecting '{MESSAGE_CONTENT}' to be not set for non-streaming requests");
            Err(refused(415, words))
        }
    }
}

/// `of_message` is of the records' own header, which may not be there unless the answer is to be a stream.
fn accept(
    takes: impl Fn(&str) -> bool,
    has_message_accept: bool,
    of_message: impl Fn(&str) -> bool,
) -> Result<(Encoding, bool), Refused> {
    let one_of = |takes: &dyn Fn(&str) -> bool| match (takes(JSON), takes(PROTOBUF)) {
        (true, _) => Some(Encoding::Json),
        (false, true) => Some(Encoding::Protobuf),
        (false, false) => None,
    };
    match (one_of(&takes), takes(RECORDIO)) {
        (Some(_), _) if has_message_accept => {
            let words =
                format!("Expecting '{MESSAGE_ACCEPT}' to be not set for non-streaming responses");
            Err(refused(406, words))
        }
        (Some(encoding), _) => Ok((encoding, false)),
        (None, true) => match one_of(&of_message) {
            Some(encoding) => Ok((encoding, true)),
            None => {
                let words = format!("Expecting '{MESSAGE_ACCEPT}' to allow {JSON} or {PROTOBUF}");
                Err(refused(406, words))
            }
        },
        (None, false) => {
            let words = format!("Expecting 'Accept' to allow {JSON} or {PROTOBUF} or {RECORDIO}");
            Err(refused(406, words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aapi_01_a_body_says_what_it_is_and_a_stream_what_its_records_are() {
        assert_eq!(content(Some(JSON), None), Ok((Encoding::Json, false)));
        assert_eq!(content(Some(PROTOBUF), None), Ok((Encoding::Protobuf, false)));
        assert_eq!(content(Some(RECORDIO), Some(JSON)), Ok((Encoding::Json, true)));
        assert_eq!(content(Some(RECORDIO), Some(PROTOBUF)), Ok((Encoding::Protobuf, true)));
        for (body, message, status) in [
            (None, None, 400),
            (Some("text/plain"), None, 415),
            (Some("application/json; charset=utf-8"), None, 415),
            (Some(RECORDIO), None, 400),
            (Some(RECORDIO), Some("text/plain"), 415),
            (Some(JSON), Some(JSON), 415),
        ] {
            let refused = content(body, message).unwrap_err();
            assert_eq!(refused.status, status, "{body:?} {message:?}");
        }
    }

    #[test]
    fn aapi_01_an_answer_is_json_if_that_will_do_and_a_stream_only_if_nothing_else_does() {
        let asked = |types: &'static [&'static str], message: Option<&'static [&'static str]>| {
            let takes = move |of: &str| types.contains(&of);
            let of_message = move |of: &str| message.is_none_or(|types| types.contains(&of));
            accept(takes, message.is_some(), of_message).map_err(|refused| refused.status)
        };
        assert_eq!(asked(&[JSON, PROTOBUF, RECORDIO], None), Ok((Encoding::Json, false)));
        assert_eq!(asked(&[PROTOBUF, RECORDIO], None), Ok((Encoding::Protobuf, false)));
        assert_eq!(asked(&[RECORDIO], None), Ok((Encoding::Json, true)));
        assert_eq!(asked(&[RECORDIO], Some(&[PROTOBUF])), Ok((Encoding::Protobuf, true)));
        assert_eq!(asked(&[RECORDIO], Some(&["text/plain"])), Err(406));
        assert_eq!(asked(&[JSON], Some(&[JSON])), Err(406));
        assert_eq!(asked(&["text/plain"], None), Err(406));
    }

    #[test]
    fn aapi_01_only_some_calls_stream() {
        let media = |is_stream, wants_stream| Media {
            content: Encoding::Json,
            is_stream,
            accept: Encoding::Json,
            wants_stream,
        };
        let fits = |media: Media, r#type| media.fits(r#type).map_err(|refused| refused.status);
        assert_eq!(fits(media(true, false), Type::AttachContainerInput), Ok(()));
        assert_eq!(fits(media(false, false), Type::AttachContainerInput), Err(415));
        assert_eq!(fits(media(true, false), Type::GetState), Err(415));
        assert_eq!(fits(media(false, true), Type::GetState), Err(406));
        assert_eq!(fits(media(false, true), Type::AttachContainerOutput), Ok(()));
        assert_eq!(fits(media(false, true), Type::LaunchNestedContainerSession), Ok(()));
    }
}
