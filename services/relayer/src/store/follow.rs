//! Following what was taken over until it is settled for good.

use alloy_primitives::U256;
use keyfold_chain::{Receipt, SignedTransaction};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::RelayState;
use keyfold_storage::{StorageError, changed_if, to_i64};

use super::reserve::gwei_up;
use super::{Account, Row, Store, Taken, Version, select, state_number, taken};

/// Most transactions that are read at once.
const PAGE: i64 = 256;

/// Which transactions are looked after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The first nonce that is in no block: the chain has forgotten what is settled from there on.
    pub(crate) next_nonce: u64,
    /// Also those that were settled after this block.
    pub(crate) settled_after: Option<u64>,
    /// From this nonce on.
    pub(crate) from: u64,
}

impl Store {
    /// Returns a part of the transactions that are not settled or no longer, in order of their
    /// nonces. Where there may be more, the nonce to go on from.
    pub(crate) async fn open_transactions(
        &self,
        account: Account,
        part: Part,
    ) -> Result<(Vec<Taken>, Option<u64>), StorageError> {
        let settled_after = part.settled_after.map_or(Ok(i64::MAX), to_i64)?;
        let rows: Vec<Row> = sqlx::query_as(select!(
            "WHERE id IN (
                 SELECT id FROM requests WHERE chain_id = ?1 AND sender = ?2 AND nonce >= ?3 AND state = 0
                 UNION
                 SELECT id FROM requests WHERE chain_id = ?1 AND sender = ?2 AND nonce >= max(?3, ?4)
                 UNION
                 SELECT id FROM requests WHERE chain_id = ?1 AND sender = ?2 AND nonce >= ?3 AND block > ?5
             ) ORDER BY nonce LIMIT ?6"
        ))
        .bind(to_i64(account.chain_id)?)
        .bind(account.sender.to_vec())
        .bind(to_i64(part.from)?)
        .bind(to_i64(part.next_nonce)?)
        .bind(settled_after)
        .bind(PAGE)
        .fetch_all(self.db.readers())
        .await?;
        let full = i64::try_from(rows.len()) == Ok(PAGE);
        let open = rows.into_iter().map(taken).collect::<Result<Vec<_>, _>>()?;
        let last = open.last().map(|taken| taken.nonce.saturating_add(1));
        Ok((open, last.filter(|_| full)))
    }

    /// Notes what became of a transaction, and which of its versions is in the block. Tells whether
    /// that was news.
    pub(crate) async fn settle(
        &self,
        id: RequestId,
        version: &Version,
        receipt: &Receipt,
    ) -> Result<bool, StorageError> {
        let state = match (version.empty, receipt.succeeded) {
            (true, _) => RelayState::Lost,
            (false, true) => RelayState::Mined,
            (false, false) => RelayState::Reverted,
        };
        let result = sqlx::query(
            "UPDATE requests SET state = ?1, block = ?2, gas_used = ?3, tx_hash = ?4, missing_since = NULL
             WHERE id = ?5 AND (state <> ?1 OR block IS NOT ?2 OR gas_used IS NOT ?3 OR tx_hash <> ?4)",
        )
        .bind(state_number(state))
        .bind(to_i64(receipt.block)?)
        .bind(to_i64(receipt.gas_used)?)
        .bind(version.hash.to_vec())
        .bind(id.as_bytes().to_vec())
        .execute(self.db.writer())
        .await?;
        changed_if(&result)
    }

    /// Notes that a transaction is in no block any more.
    pub(crate) async fn reopen(&self, id: RequestId) -> Result<bool, StorageError> {
        let result = sqlx::query(
            "UPDATE requests SET state = 0, block = NULL, gas_used = NULL, missing_since = NULL,
             tx_hash = (SELECT tx_hash FROM versions WHERE request = ?1 ORDER BY number DESC LIMIT 1)
             WHERE id = ?1 AND (state <> 0 OR missing_since IS NOT NULL)",
        )
        .bind(id.as_bytes().to_vec())
        .execute(self.db.writer())
        .await?;
        changed_if(&result)
    }

    /// Notes since when the nonce of a transaction is used and no receipt is there.
    pub(crate) async fn missing(&self, id: RequestId, head: u64) -> Result<(), StorageError> {
        sqlx::query("UPDATE requests SET missing_since = ? WHERE id = ? AND missing_since IS NULL")
            .bind(to_i64(head)?)
            .bind(id.as_bytes().to_vec())
            .execute(self.db.writer())
            .await?;
        Ok(())
    }

    /// Gives up looking for a transaction.
    pub(crate) async fn lose(&self, id: RequestId, head: u64) -> Result<bool, StorageError> {
        let result =
            sqlx::query("UPDATE requests SET state = 3, block = ? WHERE id = ? AND state = 0")
                .bind(to_i64(head)?)
                .bind(id.as_bytes().to_vec())
                .execute(self.db.writer())
                .await?;
        changed_if(&result)
    }

    /// Counts a node's refusals of the newest version in a row: one more, or none.
    pub(crate) async fn refused(&self, id: RequestId, refused: bool) -> Result<(), StorageError> {
        sqlx::query("UPDATE requests SET refusals = iif(?, refusals + 1, 0) WHERE id = ?")
            .bind(refused)
            .bind(id.as_bytes().to_vec())
            .execute(self.db.writer())
            .await?;
        Ok(())
    }

    /// Takes a further version over, if nothing happened since `newest` was read: it is durable
    /// when this returns, and is the newest then.
    pub(crate) async fn replace(
        &self,
        id: RequestId,
        newest: &Version,
        signed: &SignedTransaction,
        empty: bool,
        cost: U256,
    ) -> Result<bool, StorageError> {
        let mut tx = self.db.writer().begin_with("BEGIN IMMEDIATE").await?;
        let result = sqlx::query(
            "UPDATE requests SET tx_hash = ?1, cost_gwei = max(cost_gwei, ?2),
             refusals = iif(?5, 0, refusals)
             WHERE id = ?3 AND state = 0 AND tx_hash = ?4",
        )
        .bind(signed.hash.to_vec())
        .bind(gwei_up(cost))
        .bind(id.as_bytes().to_vec())
        .bind(newest.hash.to_vec())
        .bind(empty)
        .execute(&mut *tx)
        .await?;
        if !changed_if(&result)? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO versions (request, number, tx_hash, raw, empty)
             SELECT ?1, max(number) + 1, ?2, ?3, ?4 FROM versions WHERE request = ?1",
        )
        .bind(id.as_bytes().to_vec())
        .bind(signed.hash.to_vec())
        .bind(signed.raw.to_vec())
        .bind(empty)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}
