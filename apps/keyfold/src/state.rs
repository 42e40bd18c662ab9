//! What a device keeps between commands: its key, its session, and what it knows of its accounts
//! beyond the session, in files of mode 0600.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_client::ids::{Digest32, RequestId};
use keyfold_client::{KnownWallets, Session};
use keyfold_crypto::jwk::DeviceSigningKey;
use zeroize::Zeroizing;

use crate::outbox::Outgoing;

const KEY_FILE: &str = "device.key";
const SESSION_FILE: &str = "session.json";
const KNOWN_FILE: &str = "known-wallets.json";
const MAX_FILE: u64 = 64 * 1024;
const TRANSACTION_FILE: &str = "transaction-";
/// What a relayer takes, and as much again for the calls as they were asked for.
const MAX_TRANSACTION: u64 = 512 * 1024;
/// Transactions that are kept. Beyond, the oldest of those go that are settled.
const MAX_TRANSACTIONS: usize = 500;
/// Some hundred accounts.
const MAX_KNOWN: u64 = 1024 * 1024;

/// The folder of a profile's state.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// Says why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may open it.
    #[error("{} can be opened by others than its owner", .0.display())]
    NotPrivate(PathBuf),
    /// It would become larger than it may be.
    #[error("{} is full", .0.display())]
    Full(PathBuf),
    /// It is not what was written there.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
}

impl StateDir {
    /// Names the folder that a file is in, and the file in it.
    pub(crate) fn around(file: &Path) -> Option<(Self, &str)> {
        let name = file.file_name()?.to_str()?;
        let folder = file.parent()?;
        let here = folder.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { folder };
        Some((Self::new(folder), name))
    }

    /// Names the folder; it is made when something is stored.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the device's key, and draws one where there is none yet.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    ///
    /// # Security
    ///
    /// The key lies in a file: whoever reads the files of this user is this device.
    pub fn device_key(&self) -> Result<DeviceSigningKey, StateError> {
        self.key(KEY_FILE)
    }

    /// Returns the key in a file of this folder, and draws one where there is no such file yet.
    pub(crate) fn key(&self, file: &str) -> Result<DeviceSigningKey, StateError> {
        let path = self.path.join(file);
        if let Some(bytes) = read_private(&path, MAX_FILE)? {
            return DeviceSigningKey::from_secret_bytes(&bytes)
                .map_err(|_| StateError::Damaged(path));
        }
        let key = DeviceSigningKey::generate_p256(&mut UnwrapErr(SysRng));
        let temporary = self.temporary(file)?;
        key.to_secret_bytes()
            .expose(|bytes| write_private(&temporary, bytes))
            .map_err(io_at(&temporary))?;
        // A link fails where another command was faster; then its key counts.
        let linked = std::fs::hard_link(&temporary, &path);
        let _ = std::fs::remove_file(&temporary);
        match linked {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.key(file),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Puts the device's key aside, under its thumbprint, with the session that it had: the next
    /// command draws a new one.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn set_device_key_aside(&self) -> Result<(), StateError> {
        let path = self.path.join(KEY_FILE);
        if read_private(&path, MAX_FILE)?.is_none() {
            return Ok(());
        }
        let thumbprint = self.device_key()?.public_jwk().thumbprint();
        self.forget_session()?;
        let aside = self.path.join(format!("{KEY_FILE}.{thumbprint}"));
        std::fs::rename(&path, &aside).map_err(io_at(&path))
    }

    /// Returns the session, where somebody is signed in.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn session(&self) -> Result<Option<Session>, StateError> {
        let path = self.path.join(SESSION_FILE);
        match read_private(&path, MAX_FILE)? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|_| StateError::Damaged(path)),
            None => Ok(None),
        }
    }

    /// Stores the session, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn store_session(&self, session: &Session) -> Result<(), StateError> {
        let path = self.path.join(SESSION_FILE);
        let bytes = Zeroizing::new(
            serde_json::to_vec(session).map_err(|_| StateError::Damaged(path.clone()))?,
        );
        self.replace(SESSION_FILE, &bytes)
    }

    /// Returns what this device was told of its accounts.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn known_wallets(&self) -> Result<KnownWallets, StateError> {
        let path = self.path.join(KNOWN_FILE);
        match read_private(&path, MAX_KNOWN)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| StateError::Damaged(path)),
            None => Ok(KnownWallets::default()),
        }
    }

    /// Adds what this device was told of its accounts. No sign-out forgets it.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn store_known_wallets(&self, told: &KnownWallets) -> Result<(), StateError> {
        let path = self.path.join(KNOWN_FILE);
        // Another command may have learned something since this one began.
        let before = self.known_wallets()?;
        let mut known = before.clone();
        known.merge(told);
        if known == before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&known).map_err(|_| StateError::Damaged(path.clone()))?;
        if bytes.len() as u64 > MAX_KNOWN {
            return Err(StateError::Full(path));
        }
        self.replace(KNOWN_FILE, &bytes)
    }

    /// Writes a file, all of it or nothing.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        let temporary = self.temporary(name)?;
        let written = write_private(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(io_at(&path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    /// Returns a transaction that was signed here.
    pub(crate) fn transaction(&self, id: RequestId) -> Result<Option<Outgoing>, StateError> {
        read_transaction(&self.path.join(transaction_file(id)))
    }

    /// Stores a transaction.
    pub(crate) fn store_transaction(&self, transaction: &Outgoing) -> Result<(), StateError> {
        let name = transaction_file(transaction.id);
        let bytes = serde_json::to_vec(transaction)
            .map_err(|_| StateError::Damaged(self.path.join(&name)))?;
        if bytes.len() as u64 > MAX_TRANSACTION {
            return Err(StateError::Full(self.path.join(&name)));
        }
        self.replace(&name, &bytes)?;
        let mut others = self.transactions().unwrap_or_default();
        others.retain(|other| other.id != transaction.id);
        for old in others.iter().skip(MAX_TRANSACTIONS - 1) {
            if old.is_settled() {
                let _ = std::fs::remove_file(self.path.join(transaction_file(old.id)));
            }
        }
        Ok(())
    }

    /// Returns the transactions that were signed here, newest first.
    pub(crate) fn transactions(&self) -> Result<Vec<Outgoing>, StateError> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_at(&self.path)(source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_at(&self.path))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(TRANSACTION_FILE)) {
                found.extend(read_transaction(&path)?);
            }
        }
        found.sort_by_key(|transaction| std::cmp::Reverse(transaction.at));
        Ok(found)
    }

    /// Stores what hides a project's secret until the command about it is submitted.
    pub(crate) fn store_salt(&self, command: &Digest32, salt: &Digest32) -> Result<(), StateError> {
        self.replace(&salt_file(command), salt.to_string().as_bytes())
    }

    /// Returns what hides the secret of a command, where this device made the command.
    pub(crate) fn salt(&self, command: &Digest32) -> Result<Option<Digest32>, StateError> {
        let path = self.path.join(salt_file(command));
        let Some(bytes) = read_private(&path, MAX_FILE)? else {
            return Ok(None);
        };
        let text = core::str::from_utf8(&bytes).unwrap_or_default();
        let salt = text.parse().map_err(|_| StateError::Damaged(path))?;
        Ok(Some(salt))
    }

    /// Forgets what hid a secret, once that is where it belongs.
    pub(crate) fn forget_salt(&self, command: &Digest32) {
        let _ = std::fs::remove_file(self.path.join(salt_file(command)));
    }

    /// Forgets the session. What the device knows of its accounts stays.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn forget_session(&self) -> Result<(), StateError> {
        let path = self.path.join(SESSION_FILE);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Makes the folder and names a file in it that nobody else uses.
    fn temporary(&self, name: &str) -> Result<PathBuf, StateError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(io_at(&self.path))?;
        let mut unique = [0; 8];
        getrandom::fill(&mut unique)
            .map_err(|error| io_at(&self.path)(io::Error::other(error.to_string())))?;
        Ok(self.path.join(format!(".{name}.{}", hex::encode(unique))))
    }
}

fn salt_file(command: &Digest32) -> String {
    format!("secret-{command}.salt")
}

fn transaction_file(id: RequestId) -> String {
    format!("{TRANSACTION_FILE}{id}.json")
}

fn read_transaction(path: &Path) -> Result<Option<Outgoing>, StateError> {
    match read_private(path, MAX_TRANSACTION)? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| StateError::Damaged(path.to_owned())),
        None => Ok(None),
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { path, source }
}

fn read_private(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_at(path)(source)),
    };
    let metadata = file.metadata().map_err(io_at(path))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(StateError::NotPrivate(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(io_at(path))?;
    Ok(Some(bytes))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn session() -> Session {
        let hex = |byte: &str, times| byte.repeat(times);
        serde_json::from_value(serde_json::json!({
            "realm": hex("01", 32), "project": "app.example", "account": hex("02", 16),
            "session": hex("03", 16), "device": "A".repeat(43), "session_ends": 9,
            "attestation": "jwt", "attestation_expires": 8, "device_state": {"state": "active"},
        }))
        .unwrap()
    }

    #[test]
    fn a_device_keeps_its_key_where_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("state"));
        let first = state.device_key().unwrap().public_jwk();
        assert_eq!(state.device_key().unwrap().public_jwk(), first);
        assert_eq!(mode(&dir.path().join("state")), 0o700);
        assert_eq!(mode(&dir.path().join("state/device.key")), 0o600);
        assert_eq!(
            std::fs::read_dir(dir.path().join("state")).unwrap().count(),
            1
        );
    }

    #[test]
    fn commands_that_start_together_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| StateDir::new(path).device_key().unwrap().public_jwk()))
                .collect();
            started
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_that_others_may_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        state.device_key().unwrap();
        let path = dir.path().join(KEY_FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(state.device_key(), Err(StateError::NotPrivate(_))));
    }

    #[test]
    fn a_damaged_key_is_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        write_private(&dir.path().join(KEY_FILE), b"short").unwrap();
        assert!(matches!(state.device_key(), Err(StateError::Damaged(_))));
        assert_eq!(std::fs::read(dir.path().join(KEY_FILE)).unwrap(), b"short");
    }

    fn known(label: &str, byte: &str) -> KnownWallets {
        let account = byte.repeat(16);
        serde_json::from_value(serde_json::json!({
            "sign_ins": [{ "who": byte.repeat(32), "account": account }],
            "accounts": [{
                "owner": {
                    "realm": "01".repeat(32), "project": "app.example", "account": "02".repeat(16),
                },
                "wallets": [[label, format!("0x{}", byte.repeat(20))]],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_key_that_is_put_aside_is_kept_and_another_one_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("state"));
        state.set_device_key_aside().unwrap();
        let old = state.device_key().unwrap().public_jwk().thumbprint();
        state.set_device_key_aside().unwrap();
        let new = state.device_key().unwrap().public_jwk().thumbprint();
        assert_ne!(new, old);
        assert_eq!(state.device_key().unwrap().public_jwk().thumbprint(), new);
        let aside = dir.path().join("state").join(format!("{KEY_FILE}.{old}"));
        let kept = read_private(&aside, MAX_FILE).unwrap().unwrap();
        let kept = DeviceSigningKey::from_secret_bytes(&kept).unwrap();
        assert_eq!(kept.public_jwk().thumbprint(), old);
    }

    #[test]
    fn what_is_known_of_wallets_outlives_a_sign_out_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        state.store_session(&session()).unwrap();
        state.store_known_wallets(&known("main", "0a")).unwrap();
        state.forget_session().unwrap();
        assert_eq!(state.known_wallets().unwrap(), known("main", "0a"));
        assert_eq!(mode(&dir.path().join(KNOWN_FILE)), 0o600);

        // Two commands that each learned something, and one that was told otherwise.
        state.store_known_wallets(&known("savings", "0a")).unwrap();
        let both = state.known_wallets().unwrap();
        state.store_known_wallets(&known("main", "0b")).unwrap();
        let text = serde_json::to_string(&state.known_wallets().unwrap()).unwrap();
        assert!(text.contains(r#"["main","0x0a0a"#) && text.contains(r#"["savings","0x0a0a"#));
        assert!(!text.contains(r#"["main","0x0b0b"#));
        let mut again = both.clone();
        again.merge(&both);
        assert_eq!(again, both);
    }

    #[test]
    fn a_damaged_list_of_known_wallets_is_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        let path = dir.path().join(KNOWN_FILE);
        write_private(&path, b"{").unwrap();
        let stored = state.store_known_wallets(&known("main", "0a"));
        assert!(matches!(stored, Err(StateError::Damaged(_))));
        assert_eq!(std::fs::read(path).unwrap(), b"{");
    }

    #[test]
    fn a_session_is_stored_replaced_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        assert!(state.session().unwrap().is_none());
        for _ in 0..2 {
            state.store_session(&session()).unwrap();
        }
        assert_eq!(mode(&dir.path().join(SESSION_FILE)), 0o600);
        let stored = state.session().unwrap().unwrap();
        assert_eq!(stored.attestation().as_deref(), Some("jwt"));
        state.forget_session().unwrap();
        state.forget_session().unwrap();
        assert!(state.session().unwrap().is_none());
    }
}
