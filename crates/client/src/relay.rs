//! Sending signed calls, and waiting until they are in a block.

use alloy_primitives::Address;
use alloy_primitives::aliases::U160;
use keyfold_protocol::client_api::WireCall;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{RelayState, Relayed, WalletOnChain};

use crate::client::Client;
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::outer;
use crate::session::Session;
use crate::signing::SignedTransaction;
use crate::wallet::Wallet;

/// How often a transaction is handed over before the client gives up.
const HAND_OVERS: u32 = 3;
const FIRST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// How long to wait for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitLimit {
    /// Milliseconds.
    pub milliseconds: u64,
}

impl Default for WaitLimit {
    fn default() -> Self {
        Self {
            milliseconds: 120_000,
        }
    }
}

/// A transaction that is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What was signed.
    pub transaction: SignedTransaction,
    /// What the relayer says became of it.
    pub relayed: Relayed,
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Asks what a chain knows of a wallet.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    ///
    /// # Security
    ///
    /// The relayer's word.
    pub async fn wallet_on_chain(
        &self,
        chain_id: u64,
        wallet: &Address,
    ) -> Result<WalletOnChain, ClientError> {
        let path = path::WALLET
            .replace("{chain}", &chain_id.to_string())
            .replace("{address}", &wallet.to_checksum(None));
        outer::get(&self.transport, path, "the state of a wallet").await
    }

    /// Signs calls with the next nonce, hands them to the relayer, and waits for the block.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; after [`ClientError::NotMined`] ask with [`Client::transaction`].
    ///
    /// # Security
    ///
    /// The nonce is the relayer's word. A relayer that lies about it can keep a signed call and
    /// send it later, when its nonce has come; it cannot change it or send it twice. Whoever repeats
    /// a payment that did not arrive looks at the chain first, or signs with the nonce of the first
    /// ([`Client::sign_transaction`]), so that only one of the two can ever count.
    pub async fn send(
        &self,
        session: &Session,
        wallet: &Wallet,
        chain_id: u64,
        calls: Vec<WireCall>,
        limit: WaitLimit,
    ) -> Result<Sent, ClientError> {
        let state = self.wallet_on_chain(chain_id, &wallet.address()).await?;
        let transaction = self
            .sign_transaction(session, wallet, chain_id, U160::ZERO, state.nonce, calls)
            .await?;
        self.relay(&transaction).await?;
        let relayed = self.wait(&transaction, limit).await?;
        Ok(Sent {
            transaction,
            relayed,
        })
    }

    /// Hands a signed transaction to the relayer; again, where no answer came: under its id it is
    /// sent once.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn relay(&self, transaction: &SignedTransaction) -> Result<Relayed, ClientError> {
        let mut pause = FIRST_PAUSE_MS;
        let mut tries = 1;
        loop {
            let outcome = outer::post(
                &self.transport,
                path::TRANSACTIONS.to_owned(),
                &transaction.relay,
                Some(transaction.id),
                "a transaction",
            )
            .await;
            match outcome {
                Err(error) if tries < HAND_OVERS && may_pass(&error) => {
                    tries += 1;
                    self.environment.sleep_ms(pause).await;
                    pause = pause.saturating_mul(2);
                }
                outcome => return same(transaction.id, transaction.relay.chain_id, outcome?),
            }
        }
    }

    /// Asks what became of a transaction.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn transaction(&self, id: RequestId) -> Result<Relayed, ClientError> {
        let path = path::TRANSACTION.replace("{id}", &id.to_string());
        let relayed: Relayed = outer::get(&self.transport, path, "a transaction").await?;
        let chain_id = relayed.chain_id;
        same(id, chain_id, relayed)
    }

    /// Waits until a transaction is in a block.
    ///
    /// # Errors
    ///
    /// [`ClientError::Reverted`], [`ClientError::NotMined`] after the limit, and the others.
    pub async fn wait(
        &self,
        transaction: &SignedTransaction,
        limit: WaitLimit,
    ) -> Result<Relayed, ClientError> {
        let started = self.environment.now_unix_ms();
        let mut pause = FIRST_PAUSE_MS;
        loop {
            let outcome = self.transaction(transaction.id).await;
            let waited = self.environment.now_unix_ms().saturating_sub(started);
            match outcome {
                Ok(relayed) => match relayed.state {
                    RelayState::Mined => {
                        return same(transaction.id, transaction.relay.chain_id, relayed);
                    }
                    RelayState::Reverted => {
                        let Relayed { hash, block, .. } = relayed;
                        return Err(ClientError::Reverted { hash, block });
                    }
                    RelayState::Sent if waited >= limit.milliseconds => {
                        let Relayed { id, hash, .. } = relayed;
                        return Err(ClientError::NotMined { id, hash });
                    }
                    RelayState::Sent => {}
                },
                Err(error) if waited < limit.milliseconds && may_pass(&error) => {}
                Err(error) => return Err(error),
            }
            self.environment.sleep_ms(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE_MS);
        }
    }
}

/// Tells whether the same request may succeed in a moment.
fn may_pass(error: &ClientError) -> bool {
    matches!(error, ClientError::Transport(_))
        || [
            Code::Unavailable,
            Code::NotReady,
            Code::Timeout,
            Code::ChainUnavailable,
        ]
        .into_iter()
        .any(|code| error.is(code))
}

fn same(id: RequestId, chain_id: u64, relayed: Relayed) -> Result<Relayed, ClientError> {
    if relayed.id == id && relayed.chain_id == chain_id {
        Ok(relayed)
    } else {
        Err(ClientError::OtherTransaction)
    }
}
