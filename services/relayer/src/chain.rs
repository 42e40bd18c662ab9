//! One chain: its node, and what a call would cost there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use keyfold_chain::node::At;
use keyfold_chain::{CallRequest, FeeBounds, Fees, Node, Transaction, lacking, revert};
use keyfold_protocol::error_code::Code;
use keyfold_wallet::ContextName;
use tokio::sync::Notify;

use crate::config::{ChainConfig, RelayerError, SpendBounds};
use crate::error::RelayError;
use crate::rpc::HttpRpc;

/// Added to an estimate, in parts of a quarter: state moves between estimate and block.
const MARGIN_DIVISOR: u64 = 4;
const WEI_PER_GWEI: u128 = 1_000_000_000;
/// Gas of a transaction that does nothing, where a node gives no estimate.
const EMPTY_GAS: u64 = 21_000;
/// Gas allowed for such an estimate: some chains count the bytes that they publish elsewhere.
const EMPTY_GAS_AT_MOST: u64 = 1_000_000;

/// A chain that is served.
#[derive(Debug)]
pub(crate) struct Chain {
    config: ChainConfig,
    node: Node<HttpRpc>,
    /// Whether some transaction did not reach the node.
    unsent: AtomicBool,
    wake: Notify,
}

/// Something to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) data: &'a Bytes,
    pub(crate) max_gas: u64,
    /// Whether to allow all of `max_gas`, because an estimate finds too little.
    pub(crate) all_gas: bool,
}

/// What a transaction will offer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    gas_limit: u64,
    fees: Fees,
    /// How many of the sender's transactions are in blocks.
    pub(crate) in_blocks: u64,
    /// The same with those that wait.
    pub(crate) with_waiting: u64,
    /// The sender's coin, wei.
    pub(crate) balance: U256,
}

impl Chain {
    pub(crate) fn new(config: ChainConfig) -> Result<Self, RelayerError> {
        let node = Node::new(HttpRpc::new(&config)?);
        Ok(Self {
            config,
            node,
            unsent: AtomicBool::new(false),
            wake: Notify::new(),
        })
    }

    pub(crate) const fn id(&self) -> u64 {
        self.config.chain_id
    }

    pub(crate) const fn confirmations(&self) -> u64 {
        self.config.confirmations
    }

    /// In how many blocks nothing changes any more.
    pub(crate) fn finality(&self) -> u64 {
        self.config.finality.max(self.config.confirmations)
    }

    pub(crate) const fn resend_after(&self) -> Duration {
        Duration::from_secs(self.config.resend_seconds)
    }

    pub(crate) const fn spending(&self) -> SpendBounds {
        self.config.spending
    }

    /// What gas may cost in a transaction with so much of it.
    pub(crate) fn fee_bounds(&self, gas_limit: u64) -> FeeBounds {
        let wei = u128::from(self.config.spending.transaction_gwei) * WEI_PER_GWEI;
        self.config.fees.with_cost(wei, gas_limit)
    }

    /// The node, once it has said that it is of this chain. Asked each time: behind one URL may be
    /// many, and tomorrow others.
    pub(crate) async fn node(&self) -> Result<&Node<HttpRpc>, RelayError> {
        let found = self.node.chain_id().await?;
        if found == self.id() {
            Ok(&self.node)
        } else {
            tracing::error!(expected = self.id(), found, "a node is of another chain");
            Err(Code::ChainUnavailable.into())
        }
    }

    /// The node, for those who have just asked which chain it is of.
    pub(crate) const fn unverified(&self) -> &Node<HttpRpc> {
        &self.node
    }

    /// Refuses where the contracts that deploy a wallet are missing.
    pub(crate) async fn has_contracts(&self, contracts: ContextName) -> Result<(), RelayError> {
        let Some((contract, address)) = lacking(&self.node, contracts).await? else {
            return Ok(());
        };
        tracing::error!(chain = self.id(), %contracts, contract, %address, "a contract is missing");
        Err(RelayError::refused(
            Code::ContractsMissing,
            format!(
                "Chain {} lacks {contract} of {contracts} at {address}.",
                self.id()
            ),
        ))
    }

    /// Tries a call out and says what to offer for it.
    pub(crate) async fn quote(&self, outgoing: Outgoing<'_>) -> Result<Quote, RelayError> {
        let Outgoing {
            from,
            to,
            data,
            max_gas,
            all_gas,
        } = outgoing;
        // Which chain it is, is asked beside the nonce that depends on it.
        let (_, gas_limit, history, in_blocks, with_waiting, balance) = tokio::try_join!(
            self.node(),
            self.gas(
                CallRequest {
                    from,
                    to,
                    data,
                    gas_limit: max_gas
                },
                all_gas
            ),
            async { Ok(self.node.fee_history().await?) },
            async { Ok(self.node.transaction_count(from, At::Latest).await?) },
            async { Ok(self.node.transaction_count(from, At::Pending).await?) },
            async { Ok(self.node.balance(from).await?) },
        )?;
        Ok(Quote {
            gas_limit,
            fees: self.fee_bounds(gas_limit).choose(&history)?,
            in_blocks,
            with_waiting,
            balance,
        })
    }

    /// Asks how much gas a transaction needs that does nothing.
    pub(crate) async fn gas_of_nothing(&self, from: Address) -> u64 {
        let nothing = CallRequest {
            from,
            to: from,
            data: &[],
            gas_limit: EMPTY_GAS_AT_MOST,
        };
        let needed = self.node.estimate_gas(nothing).await;
        needed.map_or(EMPTY_GAS, |gas| gas.clamp(EMPTY_GAS, EMPTY_GAS_AT_MOST))
    }

    async fn gas(&self, request: CallRequest<'_>, all_gas: bool) -> Result<u64, RelayError> {
        let max_gas = request.gas_limit;
        let needed = if all_gas {
            self.node.call(request).await.map(|_| max_gas)
        } else {
            self.node.estimate_gas(request).await
        };
        let needed = needed.map_err(|error| match error.reverted() {
            Some(data) => RelayError::refused(
                Code::CallReverts,
                format!(
                    "The call would revert, so it was not sent: {}.",
                    revert::explain(data)
                ),
            ),
            None => error.into(),
        })?;
        if needed > max_gas {
            return Err(RelayError::refused(
                Code::CallReverts,
                format!("The call needs {needed} gas; {max_gas} are allowed here."),
            ));
        }
        Ok(needed.saturating_add(needed / MARGIN_DIVISOR).min(max_gas))
    }

    /// Hands a transaction to the node. It is taken over already: where that fails, it is sent
    /// again later.
    pub(crate) async fn send(&self, raw: &Bytes) {
        if let Err(error) = self.node.send_raw(raw).await {
            tracing::warn!(chain = self.id(), %error, "a transaction is not at the node yet");
            self.unsent.store(true, Ordering::Release);
        }
        self.wake.notify_one();
    }

    /// Tells, once, whether a transaction did not reach the node.
    pub(crate) fn take_unsent(&self) -> bool {
        self.unsent.swap(false, Ordering::AcqRel)
    }

    /// Waits until something was sent.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Quote {
    pub(crate) fn transaction(
        &self,
        chain_id: u64,
        nonce: u64,
        to: Address,
        data: Bytes,
    ) -> Transaction {
        Transaction {
            chain_id,
            nonce,
            max_priority_fee_per_gas: self.fees.max_priority_fee_per_gas,
            max_fee_per_gas: self.fees.max_fee_per_gas,
            gas_limit: self.gas_limit,
            to,
            value: U256::ZERO,
            data,
        }
    }
}
