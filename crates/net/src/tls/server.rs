//! A server's key and certificate: read from a folder, or made there on first use.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ServerConfig, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{SpkiPin, TlsError, provider};

const KEY_FILE: &str = "tls-key.pem";
const CERTIFICATE_FILE: &str = "tls-cert.pem";
/// More than any chain of certificates or key needs.
const MAX_PEM_BYTES: u64 = 256 * 1024;

/// What a server shows and proves in a handshake.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    pin: SpkiPin,
}

impl ServerTls {
    /// Reads `tls-cert.pem` and `tls-key.pem` from a folder; makes a P-256 key and a self-signed
    /// certificate for `names` there if neither exists.
    ///
    /// To use a certificate of one's own, put both files there. The pin is of the key: a renewed
    /// certificate over the same key keeps it.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; where only one of the two exists, [`TlsError::Incomplete`], and nothing is
    /// written; a key file that is wider than mode 0600, or another user's, is refused.
    pub fn from_pem_or_generate(dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        match Self::load(dir) {
            Err(TlsError::Missing { .. }) => {
                generate(dir, names)?;
                Self::load(dir)
            }
            loaded => loaded,
        }
    }

    /// Reads `tls-cert.pem` and `tls-key.pem` from a folder.
    ///
    /// # Errors
    ///
    /// As [`ServerTls::from_pem_or_generate`]; [`TlsError::Missing`] if neither exists.
    pub fn load(dir: &Path) -> Result<Self, TlsError> {
        let (key, certificate) = (dir.join(KEY_FILE), dir.join(CERTIFICATE_FILE));
        match (exists(&key)?, exists(&certificate)?) {
            (true, true) => Self::from_pem(&read(&certificate, false)?, &read(&key, true)?),
            (false, false) => Err(TlsError::Missing { path: key }),
            (true, false) => Err(TlsError::Incomplete {
                present: key,
                absent: certificate,
            }),
            (false, true) => Err(TlsError::Incomplete {
                present: certificate,
                absent: key,
            }),
        }
    }

    /// Takes a certificate chain, the server's own first, and its private key, both PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError::Malformed`], or [`TlsError::Config`] if they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsError::Malformed)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Malformed)?;
        let certificate = chain.first().ok_or(TlsError::Malformed)?.clone();
        let pin = SpkiPin::of_certificate(&certificate)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(TlsError::Config)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Config)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Early data can be replayed by anybody on the path.
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            certificate,
            pin,
        })
    }

    /// Returns the configuration for an acceptor.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Returns the pin by which clients know this server's key.
    pub const fn pin(&self) -> SpkiPin {
        self.pin
    }

    /// Returns the server's own certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls")
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

fn io(path: &Path) -> impl Fn(io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Io {
        path: path.clone(),
        source,
    }
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io(path)(error)),
    }
}

/// Makes both durable before either has its name. Killed between the two names, it leaves a
/// certificate alone, which the operator is told of; never a key whose certificate is lost.
fn generate(dir: &Path, names: &[String]) -> Result<(), TlsError> {
    let key =
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(TlsError::Generate)?;
    let certificate = rcgen::CertificateParams::new(names.to_vec())
        .and_then(|params| params.self_signed(&key))
        .map_err(TlsError::Generate)?;
    let files = [
        write_beside(
            dir.join(CERTIFICATE_FILE),
            certificate.pem().as_bytes(),
            0o644,
        )?,
        write_beside(dir.join(KEY_FILE), key.serialize_pem().as_bytes(), 0o600)?,
    ];
    for (beside, path) in files {
        fs::rename(&beside, &path).map_err(io(&path))?;
    }
    // The names are as durable as what is in the files.
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io(dir))
}

/// Writes what is to be the file `path` under another name; returns both.
fn write_beside(path: PathBuf, content: &[u8], mode: u32) -> Result<(PathBuf, PathBuf), TlsError> {
    let beside = path.with_extension("new");
    // Left over from a run that was killed here; it was never in use.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&beside)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(io(&beside))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io(&beside))?;
    Ok((beside, path))
}

fn read(path: &Path, private: bool) -> Result<Vec<u8>, TlsError> {
    let not_private = || TlsError::KeyNotPrivate {
        path: path.to_owned(),
    };
    let mut options = OpenOptions::new();
    options.read(true);
    if private {
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|error| {
        if private && error.raw_os_error() == Some(libc::ELOOP) {
            not_private()
        } else {
            io(path)(error)
        }
    })?;
    let metadata = file.metadata().map_err(io(path))?;
    if private && (!metadata.is_file() || metadata.mode() & 0o077 != 0) {
        return Err(not_private());
    }
    // Whoever owns the file can read it whatever its mode; root can anyway.
    let owner = metadata.uid();
    if private && owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(TlsError::KeyNotOurs {
            path: path.to_owned(),
            owner,
        });
    }
    let mut content = Vec::new();
    file.take(MAX_PEM_BYTES)
        .read_to_end(&mut content)
        .map_err(io(path))?;
    Ok(content)
}
