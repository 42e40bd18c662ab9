//! What a guard is told, and the folder it works in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_attest::{MeasurementPolicy, TrustRoot};
use keyfold_net::tls::{ServerTls, SpkiPin, TlsError};
use keyfold_storage::{MasterKey, MasterKeyError};
use serde::{Deserialize, Serialize};

/// Configuration of a guard.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Names in the TLS certificate, and the only ones (besides the address listened on) under which
    /// enclaves' signed questions are answered.
    pub names: Vec<String>,
    /// Folder with the master key, TLS key and `policies/<project>.json`.
    pub data: PathBuf,
}

/// Whom a guard accepts as an enclave.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Root of attestation documents.
    pub root: TrustRoot,
    /// Which measured code.
    pub policy: MeasurementPolicy,
}

/// Says why a guard cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The TLS key.
    #[error("the TLS key cannot be used")]
    Tls(#[from] TlsError),
    /// A file or socket.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl GuardError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

pub(crate) fn master_key_path(data: &Path) -> PathBuf {
    data.join("master.key")
}

/// Makes the folder, the master key, the TLS key; what exists is kept.
///
/// Returns the pin of the TLS key, which projects name in their settings.
///
/// # Errors
///
/// [`GuardError`].
pub fn init(config: &GuardConfig) -> Result<SpkiPin, GuardError> {
    let policies = config.data.join("policies");
    std::fs::create_dir_all(&policies).map_err(GuardError::io(format!(
        "cannot make {}",
        policies.display()
    )))?;
    match MasterKey::init(&master_key_path(&config.data), &mut UnwrapErr(SysRng)) {
        Ok(_) | Err(MasterKeyError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(ServerTls::from_pem_or_generate(&config.data, &config.names)?.pin())
}
