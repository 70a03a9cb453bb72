//! HTTPS: who proves the server, what proves us to it, and what mends a handshake that fails.
//!
//! The server's name is always checked against its certificate. `http://` addresses pass through without TLS.

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a connection that nobody uses is looked after.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long connecting to one address may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Who proves the server, and what proves us to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the authorities that may have signed the server's (PEM); `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and those between it and its authority (PEM), with the key to it (PEM, not encrypted).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why no connection can be made ready.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why, and what belongs there.
        reason: String,
    },
    /// The system has no authorities.
    #[error(
        "this machine has no certificates of authorities ({0}): install ca-certificates, or name a file with one"
    )]
    NoAuthorities(String),
}

/// What happened to a request; the outer errors of `hyper`'s client say only that something did.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

/// What `hyper`'s client connects with.
pub type Connector = HttpsConnector<HttpConnector>;

/// Makes the connections of one server. Its files were read; another one is needed after they changed.
#[derive(Debug, Clone)]
pub struct Https {
    connector: Connector,
}

impl Https {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error`]: which file is wrong, and what belongs there.
    pub fn new(tls: &Tls) -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        connector.set_keepalive(Some(KEEP_ALIVE));
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.enforce_http(false);
        let config = config(tls)?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        Ok(Self { connector: builder.wrap_connector(connector) })
    }

    /// What `hyper`'s client connects with.
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }
}

fn config(tls: &Tls) -> Result<ClientConfig, Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let roots = match &tls.ca_file {
        Some(path) => authorities(path)?,
        None => system_authorities()?,
    };
    let file = tls.client.as_ref().map_or(Path::new(""), |(certificate, _)| certificate);
    let unusable = |error: rustls::Error| wrong(file, error);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| wrong(key, format!("no private key (PEM, not encrypted): {error}")))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(unusable)
        }
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(path, format!("no certificate of an authority: {error}")))?;
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Some of the system's may be of a kind that nobody uses any more.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().take(1).map(ToString::to_string).collect();
        let reason = reasons.first().map_or("none is installed", String::as_str);
        return Err(Error::NoAuthorities(reason.to_owned()));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| wrong(path, error))?;
    if found.is_empty() { Err(wrong(path, "it holds no certificate (PEM)")) } else { Ok(found) }
}

fn wrong(path: &Path, reason: impl ToString) -> Error {
    Error::File { path: path.display().to_string(), reason: reason.to_string() }
}

/// What mends a handshake that failed with these words; `keys` is what the configuration's keys begin with, as in
/// `clickhouse.ssl`. `None`: the words are not TLS's.
pub fn remedy(said: &str, keys: &str) -> Option<String> {
    let remedies = [
        // Another authority of the same name.
        (
            "BadSignature",
            "set KEYS.ca_file to the certificate (PEM) of the authority that signed the server's",
        ),
        (
            "UnknownIssuer",
            "set KEYS.ca_file to the certificate (PEM) of the authority that signed the server's",
        ),
        ("CaUsedAsEndEntity", "let the server show a certificate of its own, not the authority's"),
        (
            "not valid for name",
            "use a name that the server's certificate bears, or give it one that bears this name",
        ),
        ("certificate expired", "renew the server's certificate, and compare the clocks"),
        ("certificate not valid yet", "compare the clocks of both machines"),
        ("InvalidContentType", "nobody speaks TLS there: use http://, or the port for https://"),
        (
            "CertificateRequired",
            "set KEYS.certificate_file and KEYS.key_file: the server wants a certificate",
        ),
        ("DecryptError", "use a certificate in KEYS.certificate_file whose authority the server knows"),
        ("UnknownCA", "use a certificate in KEYS.certificate_file whose authority the server knows"),
        ("HandshakeFailure", "let the server offer TLS 1.2 or 1.3"),
        ("ProtocolVersion", "let the server offer TLS 1.2 or 1.3"),
    ];
    let found = remedies.iter().find(|(words, _)| said.contains(words));
    found.map(|(_, remedy)| remedy.replace("KEYS", keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tls: Tls) -> String {
        Https::new(&tls).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").unwrap();
        let ca = |path: &Path| Tls { ca_file: Some(path.to_owned()), client: None };
        assert!(refused(ca(&empty)).ends_with("empty.pem: it holds no certificate (PEM)"));
        assert!(refused(ca(&folder.path().join("none.pem"))).contains("none.pem: "));
    }

    #[test]
    fn what_tls_says_is_told_with_what_mends_it() {
        let mends = |said: &str| remedy(said, "clickhouse.ssl").unwrap_or_default();
        assert!(
            mends("invalid peer certificate: UnknownIssuer").starts_with("set clickhouse.ssl.ca_file to")
        );
        assert!(mends("received fatal alert: CertificateRequired").contains("clickhouse.ssl.key_file"));
        assert_eq!(remedy("Code: 60. DB::Exception", "clickhouse.ssl"), None);
    }
}
