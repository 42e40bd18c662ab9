//! Taking a request over: its key, its nonce, its share of the money, all or none.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_chain::SignedTransaction;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{RelayState, Relayed};
use keyfold_storage::{StorageError, from_i64, to_i64};
use sqlx::SqliteConnection;

use super::{Account, Store, Taken, find};
use crate::config::SpendBounds;
use crate::error::RelayError;

const WEI_PER_GWEI: u64 = 1_000_000_000;

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

/// What has to be so for a request to be taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How many of the sender's transactions are in blocks, as the node says.
    pub(crate) in_blocks: u64,
    /// The same with those that wait.
    pub(crate) with_waiting: u64,
    /// The sender's coin after the newest block, wei.
    pub(crate) balance: U256,
    /// What the transaction costs at most, wei.
    pub(crate) cost: U256,
    /// Unix time, seconds.
    pub(crate) now: u64,
    /// What strangers may spend; `None` for the operator.
    pub(crate) spending: Option<SpendBounds>,
}

/// What became of an attempt to take a request over.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// It is taken over: these bytes are to be sent.
    New(Taken, Bytes),
    /// Its key was used before, for this or another request.
    Known(Taken),
    /// A transaction with the same nonce of the same wallet waits: one of them would revert.
    Waiting,
}

impl Store {
    /// Takes a request over: its key, the sender's next nonce, and the transaction signed for it,
    /// all or none, durable when this returns.
    pub(crate) async fn reserve(
        &self,
        request: NewRequest,
        terms: Terms,
        sign: impl FnOnce(u64) -> Result<SignedTransaction, RelayError> + Send,
    ) -> Result<Reserved, RelayError> {
        let Account { chain_id, sender } = request.account;
        let mut tx = self
            .db
            .writer()
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(StorageError::from)?;
        if let Some(taken) = find(&mut *tx, request.id).await? {
            return Ok(Reserved::Known(taken));
        }
        if waits(&mut tx, &request).await? {
            return Ok(Reserved::Waiting);
        }
        let cost = gwei_up(terms.cost);
        affordable(&mut tx, &request, &terms, cost).await?;
        let next: i64 = sqlx::query_scalar(
            "SELECT coalesce(max(nonce) + 1, 0) FROM requests WHERE chain_id = ? AND sender = ?",
        )
        .bind(to_i64(chain_id)?)
        .bind(sender.to_vec())
        .fetch_one(&mut *tx)
        .await
        .map_err(StorageError::from)?;
        let nonce = place(from_i64(next)?, &terms).ok_or_else(|| {
            let Terms {
                in_blocks,
                with_waiting,
                ..
            } = terms;
            tracing::error!(
                chain = chain_id,
                next,
                in_blocks,
                with_waiting,
                "the node counts transactions that are not known here"
            );
            RelayError::from(Code::ChainUnavailable)
        })?;
        let signed = sign(nonce)?;
        insert(&mut tx, &request, nonce, &terms, cost, &signed).await?;
        tx.commit().await.map_err(StorageError::from)?;
        let taken = Taken {
            request_hash: request.hash,
            nonce,
            refusals: 0,
            missing_since: None,
            relayed: Relayed {
                id: request.id,
                chain_id,
                hash: signed.hash,
                state: RelayState::Sent,
                block: None,
                gas_used: None,
                deployed: request.deployed,
            },
        };
        Ok(Reserved::New(taken, signed.raw))
    }
}

/// Finds the nonce after all that are in the table; after those in blocks, where the table has lost
/// some.
///
/// A nonce that is too high leaves a gap, behind which nothing is ever taken. So one answer of a
/// node does not move it: what is in blocks and what waits on top must be the same.
const fn place(next: u64, terms: &Terms) -> Option<u64> {
    if terms.in_blocks <= next && terms.with_waiting <= next {
        Some(next)
    } else if terms.in_blocks > next && terms.in_blocks == terms.with_waiting {
        Some(terms.in_blocks)
    } else {
        None
    }
}

async fn waits(tx: &mut SqliteConnection, request: &NewRequest) -> Result<bool, StorageError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM requests WHERE chain_id = ? AND sender = ? AND state = 0
         AND wallet = ? AND space = ? AND wallet_nonce = ?)",
    )
    .bind(to_i64(request.account.chain_id)?)
    .bind(request.account.sender.to_vec())
    .bind(request.wallet.to_vec())
    .bind(request.space.to_be_bytes_vec())
    .bind(to_i64(request.wallet_nonce)?)
    .fetch_one(tx)
    .await?)
}

/// Refuses what the sender's coin does not cover beside all that is on its way, and what is more
/// than may be spent in a period.
async fn affordable(
    tx: &mut SqliteConnection,
    request: &NewRequest,
    terms: &Terms,
    cost: i64,
) -> Result<(), RelayError> {
    let Account { chain_id, sender } = request.account;
    let chain = to_i64(chain_id)?;
    let on_its_way: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(cost_gwei), 0) FROM requests
         WHERE chain_id = ? AND sender = ? AND state = 0 AND nonce >= ?",
    )
    .bind(chain)
    .bind(sender.to_vec())
    .bind(to_i64(terms.in_blocks)?)
    .fetch_one(&mut *tx)
    .await
    .map_err(StorageError::from)?;
    let balance = gwei_down(terms.balance);
    if on_its_way.saturating_add(cost) > balance {
        tracing::error!(chain = chain_id, %sender, balance_gwei = balance, on_its_way_gwei = on_its_way, needed_gwei = cost, "fund the relayer");
        return Err(RelayError::refused(
            Code::Unavailable,
            "The relayer has too little coin for gas on this chain; its operator was told.",
        ));
    }
    let Some(spending) = terms.spending else {
        return Ok(());
    };
    let since = to_i64(terms.now.saturating_sub(spending.period_seconds))?;
    let by_all: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(cost_gwei), 0) FROM requests
         WHERE chain_id = ? AND sender = ? AND taken_at > ?",
    )
    .bind(chain)
    .bind(sender.to_vec())
    .bind(since)
    .fetch_one(&mut *tx)
    .await
    .map_err(StorageError::from)?;
    if by_all.saturating_add(cost) > within_i64(spending.period_gwei) {
        tracing::error!(
            chain = chain_id,
            spent_gwei = by_all,
            allowed_gwei = spending.period_gwei,
            "the spending of the period is reached"
        );
        return Err(RelayError::refused(
            Code::Unavailable,
            "The relayer has spent on this chain what it may for now; try again later.",
        ));
    }
    let by_wallet: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(cost_gwei), 0) FROM requests
         WHERE chain_id = ? AND wallet = ? AND taken_at > ?",
    )
    .bind(chain)
    .bind(request.wallet.to_vec())
    .bind(since)
    .fetch_one(&mut *tx)
    .await
    .map_err(StorageError::from)?;
    if by_wallet.saturating_add(cost) > within_i64(spending.wallet_gwei) {
        return Err(RelayError::refused(
            Code::Unavailable,
            "The relayer has spent for this wallet what it may for now; try again later.",
        ));
    }
    Ok(())
}

async fn insert(
    tx: &mut SqliteConnection,
    request: &NewRequest,
    nonce: u64,
    terms: &Terms,
    cost: i64,
    signed: &SignedTransaction,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO requests (id, request_hash, chain_id, sender, nonce, wallet, space,
         wallet_nonce, deployed, taken_at, cost_gwei, tx_hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(request.id.as_bytes().to_vec())
    .bind(request.hash.to_vec())
    .bind(to_i64(request.account.chain_id)?)
    .bind(request.account.sender.to_vec())
    .bind(to_i64(nonce)?)
    .bind(request.wallet.to_vec())
    .bind(request.space.to_be_bytes_vec())
    .bind(to_i64(request.wallet_nonce)?)
    .bind(request.deployed)
    .bind(to_i64(terms.now)?)
    .bind(cost)
    .bind(signed.hash.to_vec())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO versions (request, number, tx_hash, raw, empty) VALUES (?, 0, ?, ?, 0)",
    )
    .bind(request.id.as_bytes().to_vec())
    .bind(signed.hash.to_vec())
    .bind(signed.raw.to_vec())
    .execute(tx)
    .await?;
    Ok(())
}

/// Rounds up to gwei, which 64 bits hold for all the coin there is.
pub(super) fn gwei_up(wei: U256) -> i64 {
    gwei_down(wei.saturating_add(U256::from(WEI_PER_GWEI - 1)))
}

fn gwei_down(wei: U256) -> i64 {
    i64::try_from(wei / U256::from(WEI_PER_GWEI)).unwrap_or(i64::MAX)
}

fn within_i64(gwei: u64) -> i64 {
    i64::try_from(gwei).unwrap_or(i64::MAX)
}
