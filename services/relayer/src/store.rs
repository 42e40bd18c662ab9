//! The requests that were taken over: the memory that makes "once" true.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes};
use keyfold_chain::{Receipt, SignedTransaction};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{RelayState, Relayed};
use keyfold_storage::{
    Database, Migration, StorageError, changed_if, fixed, from_i64, migrate, to_i64,
};
use sqlx::SqliteExecutor;

use crate::config::RelayerError;
use crate::error::RelayError;

const MIGRATIONS: &[Migration] = &[Migration {
    name: "requests",
    sql: include_str!("schema.sql"),
}];

/// Most transactions that are looked after in one round.
const MAX_OPEN: i64 = 256;

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

/// A request about to be taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRequest {
    pub(crate) id: RequestId,
    pub(crate) hash: B256,
    pub(crate) account: Account,
    pub(crate) wallet: Address,
    pub(crate) space: U160,
    pub(crate) wallet_nonce: u64,
    pub(crate) deployed: bool,
}

/// A request that was taken over.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) request_hash: B256,
    pub(crate) nonce: u64,
    pub(crate) raw: Bytes,
    pub(crate) relayed: Relayed,
}

/// What became of an attempt to take a request over.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// It is taken over: this transaction, and no other, is to be sent.
    New(Taken),
    /// Its key was used before, for this or another request.
    Known(Taken),
    /// A transaction with the same nonce of the same wallet waits: one of them would revert.
    Waiting,
}

type Row = (
    Vec<u8>,
    Vec<u8>,
    i64,
    i64,
    Vec<u8>,
    Vec<u8>,
    bool,
    i64,
    Option<i64>,
    Option<i64>,
);

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, request_hash, chain_id, nonce, tx_hash, raw, deployed, state, block, gas_used FROM requests ",
            $rest
        )
    };
}

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

    /// Takes a request over: its key, the sender's next nonce, and the transaction signed for it,
    /// all or none, durable when this returns.
    ///
    /// The nonce is at least `lowest_nonce`: what the chain has seen of a sender counts, should the
    /// table have lost it.
    pub(crate) async fn reserve(
        &self,
        request: NewRequest,
        lowest_nonce: u64,
        sign: impl FnOnce(u64) -> Result<SignedTransaction, RelayError> + Send,
    ) -> Result<Reserved, RelayError> {
        let Account { chain_id, sender } = request.account;
        let chain = to_i64(chain_id)?;
        let mut tx = self
            .db
            .writer()
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(StorageError::from)?;
        if let Some(taken) = find(&mut *tx, request.id).await? {
            return Ok(Reserved::Known(taken));
        }
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM requests WHERE chain_id = ? AND sender = ? AND state = 0
             AND wallet = ? AND space = ? AND wallet_nonce = ?)",
        )
        .bind(chain)
        .bind(sender.to_vec())
        .bind(request.wallet.to_vec())
        .bind(request.space.to_be_bytes_vec())
        .bind(to_i64(request.wallet_nonce)?)
        .fetch_one(&mut *tx)
        .await
        .map_err(StorageError::from)?;
        if waiting {
            return Ok(Reserved::Waiting);
        }
        let next: i64 = sqlx::query_scalar(
            "SELECT coalesce(max(nonce) + 1, 0) FROM requests WHERE chain_id = ? AND sender = ?",
        )
        .bind(chain)
        .bind(sender.to_vec())
        .fetch_one(&mut *tx)
        .await
        .map_err(StorageError::from)?;
        let nonce = from_i64(next)?.max(lowest_nonce);
        let signed = sign(nonce)?;
        sqlx::query(
            "INSERT INTO requests (id, request_hash, chain_id, sender, nonce, wallet, space,
             wallet_nonce, tx_hash, raw, deployed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(request.id.as_bytes().to_vec())
        .bind(request.hash.to_vec())
        .bind(chain)
        .bind(sender.to_vec())
        .bind(to_i64(nonce)?)
        .bind(request.wallet.to_vec())
        .bind(request.space.to_be_bytes_vec())
        .bind(to_i64(request.wallet_nonce)?)
        .bind(signed.hash.to_vec())
        .bind(signed.raw.to_vec())
        .bind(request.deployed)
        .execute(&mut *tx)
        .await
        .map_err(StorageError::from)?;
        tx.commit().await.map_err(StorageError::from)?;
        Ok(Reserved::New(Taken {
            request_hash: request.hash,
            nonce,
            raw: signed.raw,
            relayed: Relayed {
                id: request.id,
                chain_id,
                hash: signed.hash,
                state: RelayState::Sent,
                block: None,
                gas_used: None,
                deployed: request.deployed,
            },
        }))
    }

    /// Returns the transactions that are not known to be in a block, and those that the chain has
    /// forgotten: their nonce is `next_nonce` or later. In order of their nonces.
    pub(crate) async fn open_transactions(
        &self,
        account: Account,
        next_nonce: u64,
    ) -> Result<Vec<Taken>, StorageError> {
        let rows: Vec<Row> = sqlx::query_as(select!(
            "WHERE chain_id = ?1 AND sender = ?2 AND (state = 0 OR nonce >= ?3)
             ORDER BY nonce LIMIT ?4"
        ))
        .bind(to_i64(account.chain_id)?)
        .bind(account.sender.to_vec())
        .bind(to_i64(next_nonce)?)
        .bind(MAX_OPEN)
        .fetch_all(self.db.readers())
        .await?;
        rows.into_iter().map(taken).collect()
    }

    /// Notes what became of a transaction. Tells whether that was news.
    pub(crate) async fn settle(
        &self,
        id: RequestId,
        receipt: &Receipt,
    ) -> Result<bool, StorageError> {
        let state = if receipt.succeeded {
            RelayState::Mined
        } else {
            RelayState::Reverted
        };
        let result = sqlx::query(
            "UPDATE requests SET state = ?1, block = ?2, gas_used = ?3
             WHERE id = ?4 AND (state <> ?1 OR block IS NOT ?2)",
        )
        .bind(state_number(state))
        .bind(to_i64(receipt.block)?)
        .bind(to_i64(receipt.gas_used)?)
        .bind(id.as_bytes().to_vec())
        .execute(self.db.writer())
        .await?;
        changed_if(&result)
    }

    /// Notes that a transaction is in no block any more.
    pub(crate) async fn reopen(&self, id: RequestId) -> Result<bool, StorageError> {
        let result = sqlx::query(
            "UPDATE requests SET state = 0, block = NULL, gas_used = NULL WHERE id = ? AND state <> 0",
        )
        .bind(id.as_bytes().to_vec())
        .execute(self.db.writer())
        .await?;
        changed_if(&result)
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
    }
}

fn taken(row: Row) -> Result<Taken, StorageError> {
    let (id, request_hash, chain_id, nonce, tx_hash, raw, deployed, state, block, gas_used) = row;
    let state = match state {
        0 => RelayState::Sent,
        1 => RelayState::Mined,
        2 => RelayState::Reverted,
        _ => return Err(StorageError::Inconsistent("a request has no state")),
    };
    Ok(Taken {
        request_hash: B256::from(fixed(&request_hash)?),
        nonce: from_i64(nonce)?,
        raw: raw.into(),
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

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
