//! What an operator wants to know of a holder, read from its database.

use keyfold_log::Checkpoint;
use keyfold_protocol::ids::RealmId;
use keyfold_protocol::realm::HolderCard;
use keyfold_storage::{Database, LogStore, StorageError};
use serde::Serialize;

use crate::config::HolderConfig;
use crate::holder::HolderOpenError;
use crate::keys::{HolderKeys, KeysError};
use crate::store;

/// Why the status could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Keys or configuration are not usable.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database is not usable.
    #[error(transparent)]
    Open(#[from] HolderOpenError),
    /// The holder never ran.
    #[error("the holder has no database yet; start it once with: keyfold-holder run")]
    NeverRan,
}

/// The state of a holder.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The holder's card.
    pub card: HolderCard,
    /// The realm it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<RealmId>,
    /// Entries in its log, all checked against the signed checkpoint.
    pub log_entries: u64,
    /// Accounts with a device.
    pub accounts: u64,
    /// Devices.
    pub devices: u64,
    /// Keys it holds a share of.
    pub keys: u64,
}

/// Reads the state, and checks the whole log against its checkpoint.
///
/// # Errors
///
/// [`StatusError`].
pub async fn status(config: &HolderConfig) -> Result<Status, StatusError> {
    let keys = HolderKeys::load(config)?;
    if !config.database_path().exists() {
        return Err(StatusError::NeverRan);
    }
    let database = Database::open(config.database_path())
        .await
        .map_err(HolderOpenError::from)?;
    let read = read(config, &keys, &database).await;
    database.close().await;
    Ok(read?)
}

async fn read(
    config: &HolderConfig,
    keys: &HolderKeys,
    database: &Database,
) -> Result<Status, HolderOpenError> {
    let verifier = keys.log_signer(config.log_origin())?.verifier()?;
    let head: Checkpoint = LogStore::new(database.clone()).audit(&verifier).await?;
    let mut connection = database
        .readers()
        .acquire()
        .await
        .map_err(StorageError::from)?;
    let realm = store::realm::id(&mut connection).await?;
    let mut counts = [0; 3];
    let questions = [
        "SELECT count(*) FROM (SELECT DISTINCT project, account FROM devices)",
        "SELECT count(*) FROM devices",
        "SELECT count(*) FROM keys",
    ];
    for (count, question) in counts.iter_mut().zip(questions) {
        let found: i64 = sqlx::query_scalar(question)
            .fetch_one(&mut *connection)
            .await
            .map_err(StorageError::from)?;
        *count = keyfold_storage::from_i64(found)?;
    }
    let [accounts, devices, keys_held] = counts;
    Ok(Status {
        card: keys.card(config),
        realm,
        log_entries: head.size(),
        accounts,
        devices,
        keys: keys_held,
    })
}
