//! Certificates for an ensemble that speaks TLS: an authority of its own, the servers' and a client's, all for this machine.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::EnsembleError;

/// Where they are, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's.
    pub ca: PathBuf,
    /// A client's.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The servers', and its key, in one file.
    pub(crate) server: PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Result<Self, EnsembleError> {
        let [ca, cert, key, server] =
            ["ca.pem", "client.pem", "client.key", "server.pem"].map(|name| folder.join(name));
        let signed = Signed::make().map_err(|source| EnsembleError::Certificates { source })?;
        let Signed {
            authority,
            server: (of_server, of_server_key),
            client: (of_client, of_client_key),
        } = signed;
        for (path, text) in [
            (&ca, authority),
            (&server, of_server_key + &of_server),
            (&cert, of_client),
            (&key, of_client_key),
        ] {
            let file = |source| EnsembleError::File { path: path.clone(), source };
            fs::write(path, text).map_err(file)?;
        }
        Ok(Self { ca, cert, key, server })
    }
}

/// As text.
struct Signed {
    authority: String,
    server: (String, String),
    client: (String, String),
}

impl Signed {
    fn make() -> Result<Self, rcgen::Error> {
        let mut of_authority = CertificateParams::new(Vec::new())?;
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(of_authority, KeyPair::generate()?)?;
        let signed = |name: &str| {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()])?;
            let certificate = params.signed_by(&key, &authority)?;
            Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
        };
        let (server, client) = (signed("localhost")?, signed("client")?);
        Ok(Self { authority: authority.pem(), server, client })
    }
}
