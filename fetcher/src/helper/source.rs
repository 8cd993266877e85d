//! Where bytes come from: a file that the task's user may read, a server, or Hadoop's client.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use rustix::fs::OFlags;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::{Moved, hadoop};
use crate::logic::Source;
use crate::order::Order;

/// So often a server may send elsewhere.
const REDIRECTS_MAX: u32 = 10;

/// What is read.
pub(super) struct Input {
    pub(super) reader: Box<dyn Read>,
    /// How long it says it is.
    pub(super) length: Option<u64>,
    /// Whether it may not have another length.
    pub(super) is_exact: bool,
    /// The file itself, if it is one.
    pub(super) file: Option<File>,
}

impl Input {
    pub(super) fn words(&self, error: &io::Error) -> String {
        match (&self.file, error.kind()) {
            (Some(_), _) => format!("read it: {error}"),
            (None, io::ErrorKind::UnexpectedEof) => {
                "the server ended the connection before all of it had come".to_owned()
            }
            (None, _) => format!("download it: {error}"),
        }
    }
}

/// What the agent has opened.
pub(super) fn given(file: File) -> Result<Input, String> {
    of_file(file)
}

pub(super) fn open(source: &Source, order: &Order, moved: &Moved) -> Result<Input, String> {
    match source {
        Source::File(path) => {
            // One that nobody writes to would be waited for.
            let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
            let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
            of_file(file.map_err(|error| match (&order.user, error.kind()) {
                (Some(user), io::ErrorKind::PermissionDenied) => {
                    format!("user '{user}' may not read it: {error}")
                }
                (_, _) => error.to_string(),
            })?)
        }
        Source::Http(url) => download(url, order),
        Source::Hadoop(url) => of_file(hadoop::get(url, order, moved)?),
    }
}

fn of_file(file: File) -> Result<Input, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder; put it into an archive".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is no file but a pipe, a socket or a device".to_owned());
    }
    let reader = file.try_clone().map_err(|error| error.to_string())?;
    // The kernel's own files say that they are empty.
    let length = Some(metadata.len()).filter(|length| *length > 0);
    Ok(Input { reader: Box::new(reader), length, is_exact: false, file: Some(file) })
}

fn download(url: &str, order: &Order) -> Result<Input, String> {
    let trusted = trusted(order)?;
    let none_trusted = trusted.is_empty();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .build();
    let client: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(REDIRECTS_MAX)
        .http_status_as_error(false)
        .proxy(None)
        .tls_config(tls)
        .user_agent(concat!("airside/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let response = client.get(url).call().map_err(|error| {
        if let ureq::Error::TooManyRedirects = error {
            format!("the server sends elsewhere more than {REDIRECTS_MAX} times")
        } else if none_trusted && url.starts_with("https") {
            format!(
                "{error}; this machine trusts nobody: install its certificates, such as Debian's package ca-certificates, or name them by --fetcher_ca_file"
            )
        } else {
            error.to_string()
        }
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("the server answered {status}"));
    }
    let body = response.into_body();
    let length = body.content_length();
    let reader = Box::new(body.into_reader());
    Ok(Input { reader, length, is_exact: true, file: None })
}

/// Who vouches for servers.
fn trusted(order: &Order) -> Result<Vec<Certificate<'static>>, String> {
    let Some(pem) = &order.authorities else {
        // What of them cannot be read is not needed for every server.
        let known = rustls_native_certs::load_native_certs().certs;
        return Ok(known.iter().map(|one| Certificate::from_der(one).to_owned()).collect());
    };
    let mut all = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(one)) => all.push(one),
            Ok(_) => {}
            Err(error) => return Err(format!("read --fetcher_ca_file: {error}")),
        }
    }
    Ok(all)
}
