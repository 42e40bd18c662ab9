//! Where everything of a run lies.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keyfold_protocol::ids::ProjectId;
use tempfile::TempDir;

use crate::system::SystemError;

/// Longest path of a Unix socket, with its final zero.
const MAX_SOCKET_PATH: usize = 108;

/// The folder of a run.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    /// Removes the folder at the end, where it is a temporary one.
    temporary: std::sync::Mutex<Option<TempDir>>,
}

impl Files {
    /// Makes a new folder: the one named, which must not exist or be empty, or a temporary one.
    pub(crate) fn create(folder: Option<&Path>) -> Result<Self, SystemError> {
        let (root, temporary) = match folder {
            Some(path) => {
                make(path)?;
                let mut inside = fs::read_dir(path)
                    .map_err(SystemError::io(format!("read {}", path.display())))?;
                if inside.next().is_some() {
                    return Err(SystemError::Step {
                        what: format!("use {}", path.display()),
                        problem: "the folder is not empty; name a new one".to_owned(),
                    });
                }
                let absolute = fs::canonicalize(path)
                    .map_err(SystemError::io(format!("read {}", path.display())))?;
                (absolute, None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("keyfold-")
                    .tempdir()
                    .map_err(SystemError::io("make a temporary folder"))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let files = Self {
            root,
            temporary: std::sync::Mutex::new(temporary),
        };
        if files.outbound_behind().as_os_str().len() >= MAX_SOCKET_PATH {
            return Err(SystemError::PathTooLong { path: files.root });
        }
        for folder in [files.logs(), files.mails(), files.pipes(), files.gateway()] {
            make(&folder)?;
        }
        Ok(files)
    }

    /// Leaves the folder when the system ends, so that somebody can look.
    pub fn keep(&self) {
        let mut temporary = self
            .temporary
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(folder) = temporary.take() {
            let _ = folder.keep();
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Logs, one file for each process.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Received mails, one file each.
    pub fn mails(&self) -> PathBuf {
        self.root.join("mails")
    }

    /// Folder of a holder, counted from 0.
    pub fn holder(&self, number: usize) -> PathBuf {
        self.root.join(format!("holder-{}", number + 1))
    }

    /// Folder of the gateway.
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// Folder of the guard.
    pub fn guard(&self) -> PathBuf {
        self.root.join("guard")
    }

    /// Folder of the relayer.
    pub fn relayer(&self) -> PathBuf {
        self.root.join("relayer")
    }

    /// What `keyfold` needs to know to use a project: a development profile.
    pub fn profile(&self, project: &ProjectId) -> PathBuf {
        self.root.join(format!("{project}.toml"))
    }

    /// What passed the host on its two pipes, where it was recorded.
    pub fn traffic(&self) -> PathBuf {
        self.root.join("traffic")
    }

    pub(crate) fn pipes(&self) -> PathBuf {
        self.root.join("pipes")
    }

    /// The machine's own vsock, where the enclave is an image.
    pub fn machine(&self) -> PathBuf {
        self.pipes().join("vm")
    }

    /// Where the host connects to reach the enclave.
    pub fn inbound(&self) -> PathBuf {
        self.pipes().join("in")
    }

    /// Where the enclave connects to reach the host.
    pub fn outbound(&self) -> PathBuf {
        self.pipes().join("out")
    }

    /// Where the enclave listens, where something records in between.
    pub fn inbound_behind(&self) -> PathBuf {
        self.pipes().join("in-enclave")
    }

    /// Where the host listens, where something records in between.
    pub fn outbound_behind(&self) -> PathBuf {
        self.pipes().join("out-host")
    }

    /// Key and certificate of the development issuer.
    pub fn issuer(&self) -> PathBuf {
        self.root.join("issuer.pem")
    }

    /// Root of attestation documents, DER.
    pub fn root_certificate(&self) -> PathBuf {
        self.root.join("root.der")
    }

    /// What the enclave's documents claim.
    pub fn measured(&self) -> PathBuf {
        self.root.join("measured.json")
    }

    /// The measurements that everybody approved.
    pub fn approved(&self) -> PathBuf {
        self.root.join("measurements.json")
    }

    /// State of a chain's EVM node, between its runs.
    pub(crate) fn chain_state(&self, chain_id: u64) -> PathBuf {
        self.root.join(format!("chain-{chain_id}.json"))
    }
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make(folder: &Path) -> Result<(), SystemError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(SystemError::io(format!("make {}", folder.display())))
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), SystemError> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_ref()))
        .map_err(SystemError::io(format!("write {}", path.display())))
}
