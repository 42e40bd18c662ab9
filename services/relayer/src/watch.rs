//! Looking after transactions until they are in a block for good, and noticing when they fall out
//! of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use keyfold_chain::node::At;
use keyfold_chain::{Receipt, RpcError};
use keyfold_net::Shutdown;
use keyfold_protocol::relayer_api::RelayState;

use crate::chain::Chain;
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::resend::Resending;
use crate::store::{Part, Taken, Version};

/// First wait after something was sent: development chains make a block at once.
const FIRST_WAIT: Duration = Duration::from_millis(25);
/// Longest wait while something is on its way.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Wait while nothing is: for blocks that a reorganisation drops.
const IDLE_WAIT: Duration = Duration::from_secs(30);

/// What a round looks at, beside what is on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// What is in no block is sent again: nodes forget.
    pub(crate) again: bool,
    /// What is settled, but not for good, is looked at again.
    pub(crate) settled: bool,
}

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Nothing is on its way.
    Idle,
    /// Something is, and nothing new is known.
    Waiting,
    /// Something changed.
    Moved,
}

/// Looks after one chain until the shutdown.
pub(crate) async fn watch(relayer: Arc<Relayer>, chain: Arc<Chain>, shutdown: Shutdown) {
    tokio::select! {
        // Whatever is interrupted is taken up again after a restart.
        () = shutdown.wait() => {}
        () = rounds(&relayer, &chain) => {}
    }
}

async fn rounds(relayer: &Relayer, chain: &Chain) {
    let mut wait = FIRST_WAIT;
    // What was sent before a restart may not have arrived, what was settled may have changed.
    let mut last_sent: Option<Instant> = None;
    let mut last_settled: Option<Instant> = None;
    loop {
        let due = |last: Option<Instant>, after| last.is_none_or(|at| at.elapsed() >= after);
        let look = Look {
            again: chain.take_unsent() || due(last_sent, chain.resend_after()),
            settled: due(last_settled, IDLE_WAIT),
        };
        if look.again {
            last_sent = Some(Instant::now());
        }
        if look.settled {
            last_settled = Some(Instant::now());
        }
        let next = match round(relayer, chain, look).await {
            Ok(Round::Idle) => IDLE_WAIT,
            Ok(Round::Moved) => FIRST_WAIT,
            Ok(Round::Waiting) => wait,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(chain = chain.id(), %error, cause, "cannot look after transactions");
                // When the node is back it may know nothing.
                last_sent = None;
                wait
            }
        };
        let longest = chain.resend_after().clamp(FIRST_WAIT, LONGEST_WAIT);
        wait = (next * 3 / 2).clamp(FIRST_WAIT, longest);
        tokio::select! {
            () = chain.woken() => wait = FIRST_WAIT,
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// Asks once about everything that is on its way.
///
/// One transaction that the node has no good answer for is no reason not to look at the next: its
/// receipt is as long as a stranger's call makes it.
pub(crate) async fn round(
    relayer: &Relayer,
    chain: &Chain,
    look: Look,
) -> Result<Round, RelayError> {
    let node = chain.node().await?;
    let account = relayer.account(chain.id());
    let next_nonce = node.transaction_count(account.sender, At::Latest).await?;
    let head = node.block_number().await?;
    let on = On {
        relayer,
        chain,
        next_nonce,
        head,
        again: look.again,
        resending: Resending::new(relayer, chain),
    };
    let mut found = Round::Idle;
    let mut from = Some(0);
    while let Some(nonce) = from {
        let part = Part {
            next_nonce,
            settled_after: look.settled.then(|| head.saturating_sub(chain.finality())),
            from: nonce,
        };
        let (page, next) = relayer.store.open_transactions(account, part).await?;
        from = next;
        for taken in page {
            match on.look_at(&taken).await {
                Ok(true) => found = Round::Moved,
                Ok(false) if found == Round::Idle && on.is_open(&taken) => found = Round::Waiting,
                Ok(false) => {}
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(chain = chain.id(), request = %taken.relayed.id, %error, cause, "cannot look after this transaction");
                    if found == Round::Idle {
                        found = Round::Waiting;
                    }
                    // Unless the node is gone, the next one may be luckier.
                    if matches!(error, RelayError::Node(RpcError::Unreachable(_))) {
                        node.block_number().await?;
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Where a round stands.
struct On<'a> {
    relayer: &'a Relayer,
    chain: &'a Chain,
    next_nonce: u64,
    head: u64,
    again: bool,
    resending: Resending<'a>,
}

impl On<'_> {
    fn is_used(&self, taken: &Taken) -> bool {
        taken.nonce < self.next_nonce
    }

    fn is_open(&self, taken: &Taken) -> bool {
        taken.relayed.state == RelayState::Sent || !self.is_used(taken)
    }

    /// Looks after one transaction. Tells whether something is new.
    async fn look_at(&self, taken: &Taken) -> Result<bool, RelayError> {
        let id = taken.relayed.id;
        let store = &self.relayer.store;
        let sent = taken.relayed.state == RelayState::Sent;
        if sent && !self.is_used(taken) {
            if taken.missing_since.is_some() {
                store.reopen(id).await?;
            }
            if self.again {
                self.resending.send(taken).await?;
            }
            return Ok(false);
        }
        let versions = store.versions(id).await?;
        match self.receipt(&versions).await {
            Ok(Some((version, receipt))) => {
                let depth = self.head.saturating_sub(receipt.block).saturating_add(1);
                let deep = self.head >= receipt.block && depth >= self.chain.confirmations();
                let news = deep && store.settle(id, version, &receipt).await?;
                if news {
                    report(self.chain, taken, version, receipt);
                }
                Ok(news)
            }
            Ok(None) if !self.is_used(taken) => {
                let dropped = store.reopen(id).await?;
                if dropped {
                    tracing::warn!(chain = self.chain.id(), request = %id, "dropped from its block");
                }
                self.resending.send(taken).await?;
                Ok(dropped)
            }
            // The node lags, or answers for another.
            Ok(None) if !sent => Ok(false),
            Ok(None) => self.missing(taken).await,
            Err(error @ RpcError::Malformed(_)) if sent && self.is_used(taken) => {
                self.missing(taken).await?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the version that is in a block.
    async fn receipt<'v>(
        &self,
        versions: &'v [Version],
    ) -> Result<Option<(&'v Version, Receipt)>, RpcError> {
        let mut failed = None;
        for version in versions.iter().rev() {
            match self.chain.unverified().receipt(version.hash).await {
                Ok(Some(receipt)) => return Ok(Some((version, receipt))),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Its nonce is used up and no receipt is known: the node lags, or somebody else has the key.
    /// Never called mined or reverted; given up where nothing changes any more.
    async fn missing(&self, taken: &Taken) -> Result<bool, RelayError> {
        let id = taken.relayed.id;
        let store = &self.relayer.store;
        let Some(since) = taken.missing_since else {
            tracing::debug!(chain = self.chain.id(), request = %id, "no receipt yet");
            store.missing(id, self.head).await?;
            return Ok(false);
        };
        if self.head < since.saturating_add(self.chain.finality()) {
            return Ok(false);
        }
        tracing::error!(chain = self.chain.id(), request = %id, nonce = taken.nonce, "its nonce is used and no receipt is found");
        Ok(store.lose(id, self.head).await?)
    }
}

fn report(chain: &Chain, taken: &Taken, version: &Version, receipt: Receipt) {
    let (request, tx): (_, B256) = (taken.relayed.id, version.hash);
    let Receipt {
        succeeded, block, ..
    } = receipt;
    tracing::info!(chain = chain.id(), %request, %tx, block, succeeded, empty = version.empty, "in a block");
}
