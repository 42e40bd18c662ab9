//! What a guard is told, and the folder it works in.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_attest::{MeasurementPolicy, TrustRoot};
use keyfold_net::Confinement;
use keyfold_net::tls::{ServerTls, SpkiPin, TlsError};
use keyfold_protocol::ids::RealmId;
use keyfold_storage::{MasterKey, MasterKeyError};
use serde::{Deserialize, Serialize};

/// Most realms that one guard serves: each has places for instances of its own.
const MAX_REALMS: usize = 64;

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
    /// The realms whose enclaves are answered, at most 64; while there is none, nobody
    /// is. A realm's id is known after its genesis.
    ///
    /// # Security
    ///
    /// Approved code vouches for what it shows the guard only within its realm: in a realm of their
    /// own anybody can say whose wallet and which user it is about.
    #[serde(default)]
    pub realms: Vec<RealmId>,
    /// Connections at once from one address (in IPv6, one network of 64 bits). All instances behind
    /// one host are one address.
    #[serde(default = "connections_per_address")]
    pub connections_per_address: usize,
}

const fn connections_per_address() -> usize {
    256
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
    /// A value is out of bounds.
    #[error("{field}: {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
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

impl GuardConfig {
    /// Makes the configuration of a guard that serves no realm yet.
    pub fn new(listen: SocketAddr, names: Vec<String>, data: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            names,
            data: data.into(),
            realms: Vec::new(),
            connections_per_address: connections_per_address(),
        }
    }

    /// Returns what a guard's process needs to touch.
    pub fn confinement(&self) -> Confinement {
        Confinement::new().writes_beneath(&self.data)
    }

    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), GuardError> {
        let bad = |field, problem| Err(GuardError::Config { field, problem });
        if self.realms.len() > MAX_REALMS {
            return bad("realms", "at most 64");
        }
        if self.connections_per_address == 0 {
            return bad("connections_per_address", "at least 1");
        }
        Ok(())
    }
}

pub(crate) fn master_key_path(data: &Path) -> PathBuf {
    data.join("master.key")
}

pub(crate) fn policies_path(data: &Path) -> PathBuf {
    data.join("policies")
}

/// Makes the folders, the master key, the TLS key; what exists is kept.
///
/// Returns the pin of the TLS key, which projects name in their settings.
///
/// # Errors
///
/// [`GuardError`].
pub fn init(config: &GuardConfig) -> Result<SpkiPin, GuardError> {
    config.check()?;
    let policies = policies_path(&config.data);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&policies)
        .map_err(GuardError::io(format!(
            "cannot make {}",
            policies.display()
        )))?;
    match MasterKey::init(&master_key_path(&config.data), &mut UnwrapErr(SysRng)) {
        Ok(_) | Err(MasterKeyError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(ServerTls::from_pem_or_generate(&config.data, &config.names)?.pin())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_looks_into_the_folders() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("guard");
        let config = GuardConfig::new("127.0.0.1:0".parse().unwrap(), Vec::new(), &data);
        init(&config).unwrap();
        for folder in [policies_path(&data), data] {
            let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700, "{}", folder.display());
        }
    }
}
