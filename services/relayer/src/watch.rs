//! Looking after transactions until they are in a block, and noticing when they fall out of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfold_chain::node::At;
use keyfold_net::Shutdown;
use keyfold_protocol::relayer_api::RelayState;

use crate::chain::Chain;
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::store::Taken;

/// First wait after something was sent: development chains make a block at once.
const FIRST_WAIT: Duration = Duration::from_millis(25);
/// Longest wait while something is on its way.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// Wait while nothing is: for blocks that a reorganisation drops.
const IDLE_WAIT: Duration = Duration::from_secs(30);
/// After how long a transaction that is in no block is sent again: nodes forget.
const SEND_AGAIN: Duration = Duration::from_secs(15);

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
    let mut wait = FIRST_WAIT;
    // What was sent before a restart may not have arrived.
    let mut last_sent: Option<Instant> = None;
    loop {
        let again = chain.take_unsent() || last_sent.is_none_or(|at| at.elapsed() >= SEND_AGAIN);
        if again {
            last_sent = Some(Instant::now());
        }
        let next = match chain.noticed(round(&relayer, &chain, again).await) {
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
        wait = (next * 3 / 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        tokio::select! {
            () = shutdown.wait() => return,
            () = chain.woken() => wait = FIRST_WAIT,
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// Asks once about everything that is on its way; sends it again if `again`.
pub(crate) async fn round(
    relayer: &Relayer,
    chain: &Chain,
    again: bool,
) -> Result<Round, RelayError> {
    let node = chain.node().await?;
    let account = relayer.account(chain.id());
    let next_nonce = node.transaction_count(account.sender, At::Latest).await?;
    let open = relayer.store.open_transactions(account, next_nonce).await?;
    if open.is_empty() {
        return Ok(Round::Idle);
    }
    let head = node.block_number().await?;
    let mut moved = false;
    for taken in &open {
        match node.receipt(taken.relayed.hash).await? {
            Some(receipt) => {
                let depth = head.saturating_sub(receipt.block).saturating_add(1);
                if head >= receipt.block && depth >= chain.confirmations() {
                    let news = relayer.store.settle(taken.relayed.id, &receipt).await?;
                    if news {
                        report(chain, taken, receipt.succeeded, receipt.block);
                    }
                    moved |= news;
                }
            }
            None if taken.nonce >= next_nonce => {
                let dropped = taken.relayed.state != RelayState::Sent
                    && relayer.store.reopen(taken.relayed.id).await?;
                if dropped {
                    tracing::warn!(chain = chain.id(), request = %taken.relayed.id, "dropped from its block");
                }
                if again || dropped {
                    chain_send(chain, taken).await?;
                }
                moved |= dropped;
            }
            // Its nonce is used up and no receipt is known: the node lags, or somebody else has
            // the key. Never called mined or reverted.
            None => {
                tracing::debug!(chain = chain.id(), request = %taken.relayed.id, "no receipt yet");
            }
        }
    }
    Ok(if moved { Round::Moved } else { Round::Waiting })
}

fn report(chain: &Chain, taken: &Taken, succeeded: bool, block: u64) {
    let (request, tx) = (taken.relayed.id, taken.relayed.hash);
    tracing::info!(chain = chain.id(), %request, %tx, block, succeeded, "in a block");
}

/// Sends the stored bytes. A node refuses what it has, which is no failure.
async fn chain_send(chain: &Chain, taken: &Taken) -> Result<(), RelayError> {
    match chain.node().await?.send_raw(&taken.raw).await {
        Err(error @ keyfold_chain::RpcError::Refused { .. }) => {
            tracing::info!(chain = chain.id(), request = %taken.relayed.id, %error, "not taken again");
            Ok(())
        }
        sent => Ok(sent?),
    }
}
