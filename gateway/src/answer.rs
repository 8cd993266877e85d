//! Calls, and answers in the words that Mesos's clients know.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Upload;
use crate::gzip;
use crate::line::Line;
use crate::serve::Limits;

/// The media type of texts for people.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// One request.
pub struct Call {
    /// Its head.
    pub request: HttpRequest,
    /// The path as it was written, with the actor's name in it.
    pub location: String,
    /// What follows the route's own path.
    pub rest: String,
    /// Who its client proved to be; nobody, where the realm of its page is not guarded.
    pub principal: Option<String>,
    pub(crate) payload: Upload,
    pub(crate) limits: Limits,
    /// What all bodies share.
    pub(crate) bodies: Arc<Semaphore>,
    /// Its part of that.
    pub(crate) held: Vec<OwnedSemaphorePermit>,
    /// Bytes of it that came, and that it was unzipped to.
    pub(crate) taken: usize,
}

impl Call {
    /// Ends its connection: its client hears what it would of a process that has ended, and no answer.
    pub fn cut(&self) {
        self.request.conn_data::<Line>().into_iter().for_each(Line::cut);
    }

    /// A header's text; `None` if it is not there or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// The first value of a key of the query, decoded.
    pub fn query(&self, key: &str) -> Option<String> {
        pairs(self.request.query_string()).find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Refuses all methods but one.
    ///
    /// # Errors
    ///
    /// 405, with the methods that are allowed.
    pub fn insist_on(&self, method: &'static str) -> Result<(), Refused> {
        self.insist_on_one(&[method]).map(drop)
    }

    /// The method, which must be one of these.
    ///
    /// # Errors
    ///
    /// 405, with the methods that are allowed.
    pub fn insist_on_one(&self, methods: &[&'static str]) -> Result<&'static str, Refused> {
        let has = self.request.method().as_str();
        if let Some(method) = methods.iter().find(|method| **method == has) {
            return Ok(method);
        }
        let words = format!(
            "405 Method Not Allowed. Expecting one of {{ '{}' }}, but received '{has}'.",
            methods.join("', '")
        );
        Err(Refused { allow: Some(methods.join(", ")), ..Refused::new(405, words) })
    }

    /// A browser that a page of somebody else's leads by the nose may change nothing: what it sends bears the user's credentials
    /// and none of his will. The node's own pages may.
    ///
    /// # Errors
    ///
    /// 403.
    pub fn refuse_other_pages(&self) -> Result<(), Refused> {
        let own = self.header("host").unwrap_or_default();
        let is_own = |origin: &str| {
            origin.split_once("://").is_some_and(|(_, host)| !own.is_empty() && host == own)
        };
        match self.request.headers().get(header::ORIGIN) {
            None => Ok(()),
            Some(origin) if origin.to_str().is_ok_and(is_own) => Ok(()),
            Some(_) => Err(Refused::new(403, "pages of other sites may change nothing here")),
        }
    }

    /// Whether the client takes a gzip.
    fn takes_gzip(&self) -> bool {
        let accepted = self.request.headers().get_all(header::ACCEPT_ENCODING);
        let mut parts =
            accepted.filter_map(|text| text.to_str().ok()).flat_map(|text| text.split(','));
        parts.any(|part| {
            let (name, quality) = part.split_once(';').unwrap_or((part, ""));
            let never = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            matches!(name.trim(), "gzip" | "*") && !never
        })
    }
}

/// The keys and values of a query or a form, decoded.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value)))
}

/// As in a query: `+` is a space.
fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// A request that is not served, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// For people, and for clients that compare it.
    pub words: Cow<'static, str>,
    pub(crate) allow: Option<String>,
    /// Where it is served.
    location: Option<String>,
    /// What the client has to show.
    challenge: Option<String>,
}

impl Refused {
    /// With these words.
    pub fn new(status: u16, words: impl Into<Cow<'static, str>>) -> Self {
        Self { status, words: words.into(), allow: None, location: None, challenge: None }
    }

    /// It is served elsewhere.
    pub fn to(location: String) -> Self {
        Self { location: Some(location), ..Self::new(307, "") }
    }

    /// The same, saying what the client has to show.
    pub(crate) fn challenged(self, challenge: String) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// With the words that Mesos has for this status.
    pub fn plainly(status: u16) -> Self {
        let reason = code(status).canonical_reason().unwrap_or_default();
        Self::new(status, format!("{status} {reason}."))
    }
}

impl From<Refused> for HttpResponse {
    fn from(refused: Refused) -> Self {
        let mut response = builder(refused.status);
        if let Some(methods) = refused.allow {
            response.insert_header((header::ALLOW, methods));
        }
        if let Some(challenge) = refused.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(location) = refused.location {
            return response.insert_header((header::LOCATION, location)).finish();
        }
        response.content_type(TEXT).body(refused.words.into_owned())
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn builder(status: u16) -> HttpResponseBuilder {
    HttpResponseBuilder::new(code(status))
}

/// No.
pub fn refuse(status: u16, words: impl Into<Cow<'static, str>>) -> HttpResponse {
    Refused::new(status, words).into()
}

/// An answer that says all by its status.
pub fn empty(status: u16) -> HttpResponse {
    let mut response = builder(status);
    response.finish()
}

/// A whole body, compressed if it is long and the client takes that.
pub fn plain(call: &Call, content_type: &str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = builder(200).content_type(content_type).body(body.into());
    if call.takes_gzip() {
        gzip::mark(&mut response);
    }
    response
}

/// JSON; within a call of the function that `?jsonp=` names, if it names one.
pub fn json(call: &Call, body: impl Into<Bytes>) -> HttpResponse {
    let body = body.into();
    match call.query("jsonp") {
        None => plain(call, "application/json", body),
        Some(function) => {
            let body = [function.as_bytes(), b"(", &body, b");"].concat();
            plain(call, "text/javascript", body)
        }
    }
}
