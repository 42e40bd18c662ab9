//! The holder's keys: one master key in a file, and what is derived from it.

use std::path::Path;

use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::envelope::{KeyRing, MasterKey};
use keyfold_crypto::hpke::{HpkePrivateKey, derive_key_pair};
use keyfold_crypto::{Secret, ed25519};
use keyfold_log::{NoteError, NoteKey, NoteSigner};
use keyfold_net::ServerTls;
use keyfold_net::tls::TlsError;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::HolderCard;
use keyfold_storage::master_key::MasterKeyError;
use rand_core::CryptoRng;

use crate::config::{ConfigError, HolderConfig};

const SIGNING_LABEL: &str = "keyfold/holder-signing-key/v1";
const HPKE_LABEL: &str = "keyfold/holder-hpke-key/v1";
const SUBJECT_LABEL: &str = "keyfold/holder-subject-key/v1";

/// Why keys were not made or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The configuration is not acceptable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The master key file is missing, there already, or not private.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The TLS key or certificate cannot be made or read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder cannot be made.
    #[error("cannot make the folder {path}")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// All keys of a holder.
///
/// # Security
///
/// Signing and HPKE key follow from the master key, which like the TLS key is a file of mode 0600:
/// neither database nor its backup holds a key. `Debug` prints nothing.
pub struct HolderKeys {
    ring: KeyRing,
    signing: SigningKey,
    hpke: HpkePrivateKey,
    subjects: Secret<32>,
    tls: ServerTls,
}

impl HolderKeys {
    /// Makes the data folder (0700), the master key (0600), and the TLS key and certificate.
    ///
    /// # Errors
    ///
    /// [`KeysError`]; a master key that is there already is never replaced.
    pub fn init(config: &HolderConfig, rng: &mut impl CryptoRng) -> Result<Self, KeysError> {
        config.check()?;
        make_folder(&config.data_dir)?;
        let names = [config.host().unwrap_or("localhost").to_owned()];
        let tls = ServerTls::from_pem_or_generate(&config.data_dir, &names)?;
        // Last: once it is there, all is, and this does not run again.
        let file = keyfold_storage::MasterKey::init(&config.master_key_path(), rng)?;
        Ok(Self::derive(&file, tls))
    }

    /// Reads what [`HolderKeys::init`] made.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub fn load(config: &HolderConfig) -> Result<Self, KeysError> {
        config.check()?;
        let file = keyfold_storage::MasterKey::load(&config.master_key_path())?;
        // Not made anew here: the realm record names the key.
        Ok(Self::derive(&file, ServerTls::load(&config.data_dir)?))
    }

    fn derive(file: &keyfold_storage::MasterKey, tls: ServerTls) -> Self {
        let master = MasterKey::new(Secret::init_with(|key| {
            file.expose(|bytes| key.copy_from_slice(bytes))
        }));
        let signing = SigningKey::from_secret(&master.derive(SIGNING_LABEL, b""));
        let hpke = derive_key_pair(&master.derive(HPKE_LABEL, b""));
        let subjects = master.derive(SUBJECT_LABEL, b"");
        Self {
            ring: KeyRing::new(master),
            signing,
            hpke,
            subjects,
            tls,
        }
    }

    /// Describes the holder for the realm record.
    pub fn card(&self, config: &HolderConfig) -> HolderCard {
        HolderCard {
            name: config.name.clone(),
            party: config.party.clone(),
            region: config.region.clone(),
            address: config.address.clone(),
            signing_key: self.signing.verifying_key(),
            hpke_key: self.hpke.public_key(),
            tls_spki_sha256: Digest32::from_bytes(self.tls.pin().0),
        }
    }

    /// Seals and opens what the holder keeps.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Signs records, acks, times.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Opens shares that instances seal to the holder.
    pub(crate) fn hpke(&self) -> &HpkePrivateKey {
        &self.hpke
    }

    /// Hashes whom issuers name.
    pub(crate) fn subjects(&self) -> &Secret<32> {
        &self.subjects
    }

    pub(crate) fn tls(&self) -> &ServerTls {
        &self.tls
    }

    /// Returns the key as the signer of the log's checkpoints.
    pub(crate) fn log_signer(&self, origin: String) -> Result<NoteSigner, NoteError> {
        NoteSigner::new(origin, self.signing.to_secret().expose(NoteKey::from_seed))
    }

    /// Returns the key that verifies what the holder signed.
    pub fn verifying_key(&self) -> ed25519::VerifyingKey {
        self.signing.verifying_key()
    }
}

impl std::fmt::Debug for HolderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HolderKeys(..)")
    }
}

fn make_folder(path: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| KeysError::Folder {
            path: path.to_owned(),
            source,
        })
}
