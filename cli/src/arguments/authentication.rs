//! Who has to show who it is, over HTTP. Names of Mesos.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use gateway::{BadCredentials, Credentials, Realm, Realms};

/// Why a process cannot guard its pages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRealms {
    #[error(
        "--{flag} needs --{file}: a file with the principals and secrets of those who are let in"
    )]
    NobodyCouldEnter { flag: &'static str, file: &'static str },
    #[error(transparent)]
    Credentials(#[from] BadCredentials),
}

#[derive(Debug, Args)]
pub(crate) struct MasterAuthentication {
    /// Whether callers who only look must show who they are, by HTTP's basic authentication
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    authenticate_http_readonly: bool,
    /// Whether callers who may change something must
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(alias = "authenticate-http")]
    authenticate_http_readwrite: bool,
    /// Whether frameworks that come over HTTP must
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    authenticate_http_frameworks: bool,
    /// File with the principals and secrets of those who are let in: `{"credentials": [{"principal": …, "secret": …}]}`, or a line
    /// `principal secret` for each
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentAuthentication {
    /// Whether callers who only look must show who they are, by HTTP's basic authentication
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    authenticate_http_readonly: bool,
    /// Whether callers who may change something must
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(alias = "authenticate-http")]
    authenticate_http_readwrite: bool,
    /// File with the principals and secrets of those who are let in: `{"credentials": [{"principal": …, "secret": …}]}`, or a line
    /// `principal secret` for each
    #[arg(long, value_name = "FILE")]
    http_credentials: Option<PathBuf>,
}

impl MasterAuthentication {
    /// Its realms, with their guards.
    pub(crate) fn realms(&self) -> Result<Realms, NoRealms> {
        let guards = [
            (self.authenticate_http_readonly, Realm::ReadOnly, "authenticate_http_readonly"),
            (self.authenticate_http_readwrite, Realm::ReadWrite, "authenticate_http_readwrite"),
            (self.authenticate_http_frameworks, Realm::Scheduler, "authenticate_http_frameworks"),
        ];
        realms("master", &guards, self.credentials.as_ref(), "credentials")
    }
}

impl AgentAuthentication {
    /// Its realms, with their guards.
    pub(crate) fn realms(&self) -> Result<Realms, NoRealms> {
        let guards = [
            (self.authenticate_http_readonly, Realm::ReadOnly, "authenticate_http_readonly"),
            (self.authenticate_http_readwrite, Realm::ReadWrite, "authenticate_http_readwrite"),
        ];
        realms("agent", &guards, self.http_credentials.as_ref(), "http_credentials")
    }
}

fn realms(
    component: &'static str,
    guards: &[(bool, Realm, &'static str)],
    path: Option<&PathBuf>,
    file: &'static str,
) -> Result<Realms, NoRealms> {
    let wanted = || guards.iter().filter(|(wanted, _, _)| *wanted);
    // A file that makes no sense is refused even if nobody asks for it.
    let credentials = path.map(|path| Credentials::read(path)).transpose()?.map(Arc::new);
    let mut realms = Realms::of(component);
    for (_, realm, flag) in wanted() {
        let by = credentials.clone().ok_or(NoRealms::NobodyCouldEnter { flag, file })?;
        realms = realms.guarded(*realm, by);
    }
    Ok(realms)
}
