//! Speaks to registries: manifests and configurations whole, layers as streams that can begin anywhere. Who one is is said
//! when asked for (`registry/login.rs`); what failed in passing is tried again (`crate::retry`). Mirrors come first.

mod answer;
mod login;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::Failure;
use crate::manifest::{Descriptor, MEDIA_TYPES};
use crate::progress::Teller;
use crate::reference::{DOCKER_HUB, RegistryReference};
use crate::settings::Settings;
use answer::{broken, refusal};
use login::Authorisation;

/// Where Docker's registry really is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// What no proxy is asked for.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// Registries send layers from elsewhere, but not round and round.
const REDIRECTS_MAX: usize = 10;

/// Why no registry can be spoken to at all.
#[derive(Debug, thiserror::Error)]
pub enum BadClient {
    /// A file with certificates.
    #[error("cannot read the certificates in {path}", path = .path.display())]
    Authority {
        /// Which.
        path: std::path::PathBuf,
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The rest.
    #[error("cannot set up TLS, or the proxy, for registries")]
    Client {
        /// How.
        source: reqwest::Error,
    },
}

/// All registries, as one client sees them.
pub(crate) struct Registries {
    client: Client,
    settings: Arc<Settings>,
    /// By host of this machine: whether it speaks TLS. Others must.
    plain: Mutex<BTreeMap<String, bool>>,
}

/// One image's registry, during one pull: who we are there, and where it was found.
pub(crate) struct Session {
    registries: Arc<Registries>,
    image: RegistryReference,
    /// Mirrors, then the registry.
    hosts: Vec<String>,
    credentials: Credentials,
    authorised: Mutex<BTreeMap<String, Authorisation>>,
    teller: Teller,
}

/// A body from some byte on.
pub(crate) struct Body {
    response: Response,
    /// How many bytes come before those that were asked for: a registry may not know how to begin in the middle.
    pub(crate) skip: u64,
    host: String,
}

impl Registries {
    pub(crate) fn new(settings: Arc<Settings>) -> Result<Self, BadClient> {
        let mut authorities = Vec::new();
        for path in &settings.authorities {
            let bad = |source| BadClient::Authority { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(|error| bad(error.into()))?;
            let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| bad(e.into()))?;
            if found.is_empty() {
                return Err(bad("there is no certificate in it".into()));
            }
            authorities.extend(found);
        }
        let for_policy = Arc::clone(&settings);
        let policy = Policy::custom(move |attempt| {
            let url = attempt.url();
            let is_plain = url.scheme() != "https" && !may_be_plain(&for_policy, &host_of(url));
            if is_plain {
                attempt.error(WithoutTls)
            } else if attempt.previous().len() > REDIRECTS_MAX {
                attempt.stop()
            } else {
                attempt.follow()
            }
        });
        let client_error = |source| BadClient::Client { source };
        let mut builder = Client::builder().no_proxy();
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(client_error)?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(THIS_MACHINE)));
        }
        let client = builder
            .tls_certs_merge(authorities)
            .redirect(policy)
            .referer(false)
            .user_agent(concat!("airside/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.stall_timeout)
            .build()
            .map_err(client_error)?;
        Ok(Self { client, settings, plain: Mutex::default() })
    }

    /// For images of one registry, said to be `credentials`, or those of the settings.
    pub(crate) fn session(
        self: &Arc<Self>,
        image: &RegistryReference,
        credentials: Option<&Credentials>,
        teller: Teller,
    ) -> Session {
        Session {
            registries: Arc::clone(self),
            hosts: self.settings.hosts(&image.registry),
            image: image.clone(),
            credentials: credentials.cloned().unwrap_or_default(),
            authorised: Mutex::default(),
            teller,
        }
    }

    /// `http://host` or `https://host`. Hosts that may be spoken to without TLS are first tried with, since one that has
    /// it is not to hear credentials in the clear; nothing is said in the trial.
    async fn base(&self, name: &str) -> Result<String, Failure> {
        let host = if name == DOCKER_HUB { DOCKER_HUB_HOST } else { name };
        if !may_be_plain(&self.settings, host) {
            return Ok(format!("https://{host}"));
        }
        let known = self.schemes().get(host).copied();
        let is_plain = match known {
            Some(is_plain) => is_plain,
            None => self.find_scheme(host).await?,
        };
        self.schemes().insert(host.to_owned(), is_plain);
        let scheme = if is_plain { "http" } else { "https" };
        Ok(format!("{scheme}://{host}"))
    }

    fn schemes(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find_scheme(&self, host: &str) -> Result<bool, Failure> {
        let trial = |scheme| {
            let request = self.client.get(format!("{scheme}://{host}/v2/"));
            self.in_time(request.send(), host, "its version", 0)
        };
        let (with_tls, what) = (trial("https").await?, "its version");
        let Err(refused) = with_tls else { return Ok(false) };
        match trial("http").await? {
            // A server with TLS says 400 to those who come without.
            Ok(answer) if answer.status() == StatusCode::BAD_REQUEST => {
                Err(broken(host, what, 0, refused))
            }
            Ok(_) => Ok(true),
            Err(error) => Err(broken(host, what, 0, error)),
        }
    }

    /// What comes within the stall time-out.
    async fn in_time<T>(
        &self,
        future: impl Future<Output = T>,
        host: &str,
        what: &str,
        at: u64,
    ) -> Result<T, Failure> {
        let after = self.settings.stall_timeout;
        let stalled = |_| Failure::Stalled { host: host.into(), what: what.into(), at, after };
        tokio::time::timeout(after, future).await.map_err(stalled)
    }
}

impl Session {
    /// The manifest or list of manifests that the reference names, with its digest.
    pub(crate) async fn manifest(&self) -> Result<(Digest, Bytes), Failure> {
        let (headers, bytes) = self.document("manifests", &self.image.asked_for()).await?;
        let found = Digest::of(&bytes);
        let said = headers
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let expected = match &self.image.version {
            crate::reference::Version::Digest { digest, .. } => *digest,
            crate::reference::Version::Tag(_) => said.unwrap_or(found),
        };
        check_digest("the manifest", expected, found)?;
        Ok((found, bytes))
    }

    /// A manifest of a list.
    pub(crate) async fn manifest_of(&self, descriptor: &Descriptor) -> Result<Bytes, Failure> {
        self.whole("the manifest", "manifests", descriptor).await
    }

    /// A configuration.
    pub(crate) async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Failure> {
        self.whole("the configuration", "blobs", descriptor).await
    }

    async fn whole(&self, what: &str, kind: &str, of: &Descriptor) -> Result<Bytes, Failure> {
        let most = self.registries.settings.limits.manifest_bytes as u64;
        if of.size_bytes > most {
            return Err(Failure::TooLarge { what: what.into(), found: of.size_bytes, most });
        }
        let (_, bytes) = self.document(kind, &of.digest.to_string()).await?;
        check_digest(what, of.digest, Digest::of(&bytes))?;
        let found = bytes.len() as u64;
        if found != of.size_bytes {
            return Err(Failure::SizeMismatch {
                what: what.into(),
                expected: of.size_bytes,
                found,
            });
        }
        Ok(bytes)
    }

    /// Something small, read whole, from the first host that has it.
    async fn document(&self, kind: &str, name: &str) -> Result<(HeaderMap, Bytes), Failure> {
        let what = format!("{} {name} of {}", kind.trim_end_matches('s'), self.image.repository);
        let mut hosts = self.hosts.iter().peekable();
        loop {
            let Some(host) = hosts.next() else { return Err(Failure::Abandoned) };
            match self.document_from(host, kind, name, &what).await {
                Err(failure) if hosts.peek().is_some() => self.pass_over(host, &failure),
                result => return result,
            }
        }
    }

    fn pass_over(&self, host: &str, failure: &Failure) {
        let image = self.image.to_string();
        tracing::warn!(host, image, %failure, "a mirror does not have what is asked of it; asking the next");
    }

    async fn document_from(
        &self,
        host: &str,
        kind: &str,
        name: &str,
        what: &str,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let mut failures = 0;
        loop {
            match self.document_once(host, kind, name, what).await {
                Err(failure) => self.wait_out(failure, false, &mut failures).await?,
                result => return result,
            }
        }
    }

    /// Waits before another try, or gives the failure back. `moved` says that something came before it: a registry that
    /// then hangs may go on, one that hangs from the start will not.
    pub(crate) async fn wait_out(
        &self,
        failure: Failure,
        moved: bool,
        failures: &mut u32,
    ) -> Result<(), Failure> {
        let (asked, may_pass) = (failure.asked_wait(), failure.may_pass(moved));
        let patience = &self.registries.settings.patience;
        match patience.wait_before(*failures, asked) {
            Some(wait) if may_pass => {
                tracing::debug!(%failure, ?wait, "trying again");
                *failures += 1;
                self.teller.tell(|progress| progress.retries += 1);
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Some(_) | None => Err(failure),
        }
    }

    async fn document_once(
        &self,
        host: &str,
        kind: &str,
        name: &str,
        what: &str,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let mut headers = HeaderMap::new();
        let accepted = if kind == "manifests" { MEDIA_TYPES.join(", ") } else { "*/*".into() };
        headers.extend(accepted.parse().map(|value| (ACCEPT, value)));
        let mut response = self.get(host, kind, name, what, &headers).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(host, what, &response));
        }
        let most = self.registries.settings.limits.manifest_bytes as u64;
        let too_large = |found| Failure::TooLarge { what: what.into(), found, most };
        if let Some(length) = length(&response).filter(|length| *length > most) {
            return Err(too_large(length));
        }
        let mut bytes = Vec::new();
        loop {
            let at = bytes.len() as u64;
            let chunk = self.registries.in_time(response.chunk(), host, what, at).await?;
            match chunk.map_err(|error| broken(host, what, at, error))? {
                Some(chunk) if at + chunk.len() as u64 > most => return Err(too_large(most + 1)),
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => return Ok((std::mem::take(response.headers_mut()), bytes.into())),
            }
        }
    }

    pub(crate) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// A layer from byte `at` on.
    pub(crate) async fn layer(
        &self,
        host: &str,
        layer: &Descriptor,
        at: u64,
    ) -> Result<Body, Failure> {
        let what = layer_name(layer);
        let mut headers = HeaderMap::new();
        if at > 0 {
            headers.extend(format!("bytes={at}-").parse().map(|value| (RANGE, value)));
        }
        let name = layer.digest.to_string();
        let response = self.get(host, "blobs", &name, &what, &headers).await?;
        let begins_at = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_begin(&response) == Some(at) => at,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Failure::SizeMismatch { what, expected: layer.size_bytes, found: at });
            }
            _ => return Err(refusal(host, &what, &response)),
        };
        if let Some(length) = length(&response) {
            let found = begins_at + length;
            if found != layer.size_bytes {
                return Err(Failure::SizeMismatch { what, expected: layer.size_bytes, found });
            }
        }
        Ok(Body { response, skip: at - begins_at, host: host.to_owned() })
    }

    /// The next bytes of a layer, of which `at` are here; `None` at the end.
    pub(crate) async fn chunk(
        &self,
        body: &mut Body,
        layer: &Descriptor,
        at: u64,
    ) -> Result<Option<Bytes>, Failure> {
        let what = layer_name(layer);
        let chunk = self.registries.in_time(body.response.chunk(), &body.host, &what, at).await?;
        chunk.map_err(|error| broken(&body.host, &what, at, error))
    }

    /// One request, made again with what the registry wants to see if it wants to see something.
    async fn get(
        &self,
        host: &str,
        kind: &str,
        name: &str,
        what: &str,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let base = self.registries.base(host).await?;
        let url = format!("{base}/v2/{}/{kind}/{name}", self.image.repository);
        let mut asked = false;
        loop {
            let known =
                self.authorised.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
            let mut request = self.registries.client.get(&url).headers(headers.clone());
            if let Some(known) = &known {
                request = known.show(request);
            }
            let response = self.registries.in_time(request.send(), host, what, 0).await?;
            // Whether it speaks TLS is found out anew where it may have changed.
            if response.as_ref().map_or(true, |answer| answer.status() == StatusCode::BAD_REQUEST) {
                self.registries.schemes().remove(host);
            }
            let response = response.map_err(|error| broken(host, what, 0, error))?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            if asked {
                return Err(self.not_taken(host, what));
            }
            asked = true;
            let authorisation = self.authorise(host, what, &response, known.as_ref()).await?;
            self.authorised
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(host.to_owned(), authorisation);
        }
    }
}

pub(crate) fn layer_name(layer: &Descriptor) -> String {
    format!("layer {}", layer.digest)
}

pub(crate) fn check_digest(what: &str, expected: Digest, found: Digest) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    Err(Failure::DigestMismatch { what: what.to_owned(), expected, found })
}

fn length(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `bytes 5-9/10` begins at 5.
fn range_begin(response: &Response) -> Option<u64> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// This machine itself, and what the settings allow.
fn may_be_plain(settings: &Settings, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = name == "localhost" || address.is_ok_and(|address| address.is_loopback());
    is_here || settings.plain_http.iter().any(|allowed| allowed == host || allowed == name)
}

/// `host` or `host:port`, as references have it.
fn host_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A way that leads from TLS to none.
#[derive(Debug, thiserror::Error)]
#[error("it leads to a host without TLS")]
struct WithoutTls;

/// As long as a wait may be that a registry's `Retry-After` asks for in one answer.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?;
    crate::retry::read_retry_after(value.to_str().ok()?)
}
