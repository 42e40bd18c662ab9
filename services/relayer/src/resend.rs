//! Sending again what is in no block: as it is, at a better price, or nothing in its place.

use alloy_primitives::{Address, Bytes, U256};
use keyfold_chain::{FeeHistory, Fees, Refusal, RpcError, Transaction};
use keyfold_storage::StorageError;
use tokio::sync::OnceCell;

use crate::chain::Chain;
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::store::{Taken, Version};

/// How often in a row nodes may refuse a transaction as it is, until an empty one takes its place:
/// nothing after it is ever taken before its nonce is used.
const MAX_REFUSALS: u32 = 12;

/// One round of sending again.
pub(crate) struct Resending<'a> {
    relayer: &'a Relayer,
    chain: &'a Chain,
    history: OnceCell<FeeHistory>,
}

impl<'a> Resending<'a> {
    pub(crate) const fn new(relayer: &'a Relayer, chain: &'a Chain) -> Self {
        Self {
            relayer,
            chain,
            history: OnceCell::const_new(),
        }
    }

    /// Sends the newest version of a transaction, or a better one.
    pub(crate) async fn send(&self, taken: &Taken) -> Result<(), RelayError> {
        let newest = self.newest(taken).await?;
        let newest = self.priced(taken, newest).await?;
        let Some(refusal) = self.try_send(taken, &newest).await? else {
            return self.count(taken, false).await;
        };
        match refusal {
            Refusal::Known | Refusal::NonceUsed => self.count(taken, false).await,
            Refusal::ForNow => Ok(()),
            Refusal::Underpriced | Refusal::AsItIs => {
                self.count(taken, true).await?;
                if taken.refusals.saturating_add(1) >= MAX_REFUSALS && !newest.empty {
                    self.give_up(taken, &newest).await
                } else if refusal == Refusal::Underpriced {
                    // It goes out next time.
                    self.outbid(taken, &newest).await
                } else {
                    Ok(())
                }
            }
        }
    }

    async fn newest(&self, taken: &Taken) -> Result<Version, StorageError> {
        let versions = self.relayer.store.versions(taken.relayed.id).await?;
        let none = StorageError::Inconsistent("a request without a transaction");
        versions.into_iter().next_back().ok_or(none)
    }

    async fn try_send(
        &self,
        taken: &Taken,
        version: &Version,
    ) -> Result<Option<Refusal>, RelayError> {
        let Err(error) = self.chain.unverified().send_raw(&version.raw).await else {
            return Ok(None);
        };
        match error.refusal() {
            Some(refusal) => {
                tracing::info!(chain = self.chain.id(), request = %taken.relayed.id, %error, ?refusal, "not taken");
                Ok(Some(refusal))
            }
            None => Err(error.into()),
        }
    }

    async fn count(&self, taken: &Taken, refused: bool) -> Result<(), RelayError> {
        if refused || taken.refusals > 0 {
            self.relayer
                .store
                .refused(taken.relayed.id, refused)
                .await?;
        }
        Ok(())
    }

    /// Signs a version at a better price, where the newest is priced out of the next block.
    async fn priced(&self, taken: &Taken, newest: Version) -> Result<Version, RelayError> {
        let transaction = decoded(&newest)?;
        let bounds = self.chain.fee_bounds(transaction.gas_limit);
        let raised = match self.history().await {
            Ok(history) => bounds.raise(fees(&transaction), history),
            Err(error) => {
                tracing::warn!(chain = self.chain.id(), %error, "prices are unknown");
                return Ok(newest);
            }
        };
        match raised {
            Ok(None) => Ok(newest),
            Ok(Some(fees)) => {
                let better = with_fees(transaction, fees);
                self.replace(taken, newest, better).await
            }
            Err(error) => {
                tracing::warn!(chain = self.chain.id(), request = %taken.relayed.id, %error, "waits for a lower price");
                Ok(newest)
            }
        }
    }

    /// Signs a version at a better price, because a node says that the newest offers too little.
    async fn outbid(&self, taken: &Taken, newest: &Version) -> Result<(), RelayError> {
        let transaction = decoded(newest)?;
        let bounds = self.chain.fee_bounds(transaction.gas_limit);
        match bounds.replace(fees(&transaction), self.history().await?) {
            Ok(fees) => {
                let better = with_fees(transaction, fees);
                self.replace(taken, newest.clone(), better).await.map(drop)
            }
            Err(error) => {
                tracing::warn!(chain = self.chain.id(), request = %taken.relayed.id, %error, "waits for a lower price");
                Ok(())
            }
        }
    }

    /// Puts an empty transaction in a call's place.
    async fn give_up(&self, taken: &Taken, newest: &Version) -> Result<(), RelayError> {
        let sender = self.relayer.address();
        let refused = decoded(newest)?;
        let gas_limit = self.chain.gas_of_nothing(sender).await;
        let bounds = self.chain.fee_bounds(gas_limit);
        let offered = fees(&refused);
        let history = self.history().await?;
        // Some node may have the call, though this one refuses it; then it has to be outbid.
        let fees = match bounds.replace(offered, history) {
            Ok(fees) => fees,
            Err(_) => bounds.choose(history)?,
        };
        let nothing = Transaction {
            gas_limit,
            to: sender,
            value: U256::ZERO,
            data: Bytes::new(),
            ..with_fees(refused, fees)
        };
        tracing::error!(chain = self.chain.id(), request = %taken.relayed.id, nonce = taken.nonce, "nodes refuse it for good; an empty transaction takes its place");
        let empty = self.replace(taken, newest.clone(), nothing).await?;
        self.try_send(taken, &empty).await.map(drop)
    }

    /// Takes a version over in place of the newest. Returns the one to send.
    async fn replace(
        &self,
        taken: &Taken,
        newest: Version,
        transaction: Transaction,
    ) -> Result<Version, RelayError> {
        let empty = is_empty(&transaction, self.relayer.address());
        let signed = self.relayer.sign(&transaction)?;
        let id = taken.relayed.id;
        let cost = transaction.max_cost();
        let store = &self.relayer.store;
        if !store.replace(id, &newest, &signed, empty, cost).await? {
            return Ok(newest);
        }
        tracing::info!(
            chain = self.chain.id(), request = %id, nonce = taken.nonce, old = %newest.hash, new = %signed.hash,
            max_fee_per_gas = transaction.max_fee_per_gas, empty, "replaced"
        );
        Ok(Version {
            hash: signed.hash,
            raw: signed.raw,
            empty,
        })
    }

    async fn history(&self) -> Result<&FeeHistory, RpcError> {
        self.history
            .get_or_try_init(|| self.chain.unverified().fee_history())
            .await
    }
}

fn decoded(version: &Version) -> Result<Transaction, StorageError> {
    let not_ours = StorageError::Inconsistent("bytes that are no transaction");
    Transaction::decode(&version.raw).ok_or(not_ours)
}

const fn fees(transaction: &Transaction) -> Fees {
    Fees {
        max_fee_per_gas: transaction.max_fee_per_gas,
        max_priority_fee_per_gas: transaction.max_priority_fee_per_gas,
    }
}

fn with_fees(transaction: Transaction, fees: Fees) -> Transaction {
    Transaction {
        max_fee_per_gas: fees.max_fee_per_gas,
        max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
        ..transaction
    }
}

/// Wallets' calls never go to the relayer itself, which has no code.
fn is_empty(transaction: &Transaction, sender: Address) -> bool {
    transaction.to == sender && transaction.data.is_empty()
}
