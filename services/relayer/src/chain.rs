//! One chain: its node, and what a call would cost there.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, Bytes};
use keyfold_chain::node::At;
use keyfold_chain::{CallRequest, Deployments, Fees, Node, RpcError, Transaction, revert};
use keyfold_protocol::error_code::Code;
use tokio::sync::Notify;

use crate::config::{ChainConfig, RelayerError};
use crate::error::RelayError;
use crate::rpc::HttpRpc;

/// Added to an estimate, in parts of a quarter: state moves between estimate and block.
const MARGIN_DIVISOR: u64 = 4;

/// A chain that is served.
#[derive(Debug)]
pub(crate) struct Chain {
    config: ChainConfig,
    node: Node<HttpRpc>,
    /// Whether the node was asked which chain it is, since it last failed.
    verified: AtomicBool,
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
    /// The sender's next nonce as the node sees it.
    pub(crate) lowest_nonce: u64,
}

impl Chain {
    pub(crate) fn new(config: ChainConfig) -> Result<Self, RelayerError> {
        let node = Node::new(HttpRpc::new(&config)?);
        Ok(Self {
            config,
            node,
            verified: AtomicBool::new(false),
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

    /// The node, once it has said that it is of this chain.
    pub(crate) async fn node(&self) -> Result<&Node<HttpRpc>, RelayError> {
        if !self.verified.load(Ordering::Acquire) {
            let found = self.node.chain_id().await?;
            if found != self.id() {
                tracing::error!(expected = self.id(), found, "a node is of another chain");
                return Err(Code::ChainUnavailable.into());
            }
            self.verified.store(true, Ordering::Release);
        }
        Ok(&self.node)
    }

    /// Forgets what was known of the node where it did not answer: another may answer next.
    pub(crate) fn noticed<T>(&self, result: Result<T, RelayError>) -> Result<T, RelayError> {
        if let Err(RelayError::Node(RpcError::Unreachable(_) | RpcError::Malformed(_))) = &result {
            self.verified.store(false, Ordering::Release);
        }
        result
    }

    /// Refuses where the contracts that deploy wallets are missing: a call to an address without
    /// code succeeds and does nothing.
    pub(crate) async fn has_contracts(&self, deployments: &Deployments) -> Result<(), RelayError> {
        for call in deployments.calls() {
            if !self.node.has_code(call.address).await? {
                tracing::error!(
                    chain = self.id(),
                    contract = call.name,
                    "a contract is missing"
                );
                return Err(RelayError::refused(
                    Code::ChainUnavailable,
                    "The wallet contracts are not on this chain yet; its operator deploys them.",
                ));
            }
        }
        Ok(())
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
        let (gas_limit, history, lowest_nonce, balance) = tokio::try_join!(
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
            async { Ok(self.node.transaction_count(from, At::Pending).await?) },
            async { Ok(self.node.balance(from).await?) },
        )?;
        let quote = Quote {
            gas_limit,
            fees: self.config.fees.choose(&history)?,
            lowest_nonce,
        };
        let cost = quote.transaction(self.id(), 0, to, Bytes::new()).max_cost();
        if cost > balance {
            tracing::error!(chain = self.id(), %from, %balance, needed = %cost, "fund the relayer");
            return Err(RelayError::refused(
                Code::Unavailable,
                "The relayer has too little coin for gas on this chain; its operator was told.",
            ));
        }
        Ok(quote)
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
            value: alloy_primitives::U256::ZERO,
            data,
        }
    }
}
