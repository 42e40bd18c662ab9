//! The requests that were taken over: the memory that makes "once" true.

mod follow;
mod reserve;
#[cfg(test)]
mod tests;

use alloy_primitives::{Address, B256, Bytes};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{RelayState, Relayed};
use keyfold_storage::{Database, Migration, StorageError, fixed, from_i64, migrate};
use sqlx::SqliteExecutor;

use crate::config::RelayerError;
pub(crate) use follow::Part;
pub(crate) use reserve::{NewRequest, Reserved, Terms};

const MIGRATIONS: &[Migration] = &[Migration {
    name: "requests",
    sql: include_str!("schema.sql"),
}];

/// The requests' table.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    db: Database,
}

/// Who sends, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) chain_id: u64,
    pub(crate) sender: Address,
}

/// A request that was taken over.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) request_hash: B256,
    pub(crate) nonce: u64,
    /// How often in a row nodes refused the newest version as it is.
    pub(crate) refusals: u32,
    /// Since which block its nonce is used and no receipt is there.
    pub(crate) missing_since: Option<u64>,
    pub(crate) relayed: Relayed,
}

/// One of the transactions signed for a request; all have its nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) hash: B256,
    pub(crate) raw: Bytes,
    /// Whether it only uses up the nonce, in place of the call.
    pub(crate) empty: bool,
}

type Row = (
    Vec<u8>,
    Vec<u8>,
    i64,
    i64,
    Vec<u8>,
    bool,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
);

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, request_hash, chain_id, nonce, tx_hash, deployed, state, block, gas_used,
             refusals, missing_since FROM requests ",
            $rest
        )
    };
}
use select;

impl Store {
    /// Opens the database.
    pub(crate) async fn open(path: &std::path::Path) -> Result<Self, RelayerError> {
        let db = Database::open(path).await?;
        migrate(&db, MIGRATIONS).await?;
        Ok(Self { db })
    }

    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    /// Finds the request of a key.
    pub(crate) async fn find(&self, id: RequestId) -> Result<Option<Taken>, StorageError> {
        find(self.db.readers(), id).await
    }

    /// Returns what was signed for a request, the newest last.
    pub(crate) async fn versions(&self, id: RequestId) -> Result<Vec<Version>, StorageError> {
        let rows: Vec<(Vec<u8>, Vec<u8>, bool)> = sqlx::query_as(
            "SELECT tx_hash, raw, empty FROM versions WHERE request = ? ORDER BY number",
        )
        .bind(id.as_bytes().to_vec())
        .fetch_all(self.db.readers())
        .await?;
        rows.into_iter()
            .map(|(hash, raw, empty)| {
                Ok(Version {
                    hash: B256::from(fixed(&hash)?),
                    raw: raw.into(),
                    empty,
                })
            })
            .collect()
    }
}

async fn find(
    executor: impl SqliteExecutor<'_>,
    id: RequestId,
) -> Result<Option<Taken>, StorageError> {
    let row: Option<Row> = sqlx::query_as(select!("WHERE id = ?"))
        .bind(id.as_bytes().to_vec())
        .fetch_optional(executor)
        .await?;
    row.map(taken).transpose()
}

const fn state_number(state: RelayState) -> i64 {
    match state {
        RelayState::Sent => 0,
        RelayState::Mined => 1,
        RelayState::Reverted => 2,
        RelayState::Lost => 3,
    }
}

fn taken(row: Row) -> Result<Taken, StorageError> {
    let (
        id,
        request_hash,
        chain_id,
        nonce,
        tx_hash,
        deployed,
        state,
        block,
        gas_used,
        refusals,
        missing_since,
    ) = row;
    let state = match state {
        0 => RelayState::Sent,
        1 => RelayState::Mined,
        2 => RelayState::Reverted,
        3 => RelayState::Lost,
        _ => return Err(StorageError::Inconsistent("a request has no state")),
    };
    Ok(Taken {
        request_hash: B256::from(fixed(&request_hash)?),
        nonce: from_i64(nonce)?,
        refusals: u32::try_from(refusals).unwrap_or(u32::MAX),
        missing_since: missing_since.map(from_i64).transpose()?,
        relayed: Relayed {
            id: RequestId::from_bytes(fixed(&id)?),
            chain_id: from_i64(chain_id)?,
            hash: B256::from(fixed(&tx_hash)?),
            state,
            block: block.map(from_i64).transpose()?,
            gas_used: gas_used.map(from_i64).transpose()?,
            deployed,
        },
    })
}
