//! Sending signed calls, and waiting until they are in a block.

use alloy_primitives::Address;
use alloy_primitives::aliases::U160;
use keyfold_protocol::client_api::WireCall;
use keyfold_protocol::config::publication;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{RelayState, Relayed, WalletOnChain};

use crate::client::Client;
use crate::config::{ConfigRefused, History};
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
    /// [`ClientError`]; after [`ClientError::NotMined`] and [`ClientError::Unconfirmed`] ask with
    /// [`Client::transaction`].
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
        self.send_from(session, wallet, (chain_id, &state), calls, limit)
            .await
    }

    /// Sends calls from what is known of the wallet on a chain.
    async fn send_from(
        &self,
        session: &Session,
        wallet: &Wallet,
        (chain_id, state): (u64, &WalletOnChain),
        calls: Vec<WireCall>,
        limit: WaitLimit,
    ) -> Result<Sent, ClientError> {
        let wallet = wallet.as_known(state);
        let transaction = self
            .sign_transaction(session, &wallet, chain_id, U160::ZERO, state.nonce, calls)
            .await?;
        let relayed = self.relay_and_wait(&transaction, limit).await?;
        Ok(Sent {
            transaction,
            relayed,
        })
    }

    /// Tells a chain of a wallet's latest root, unless it knows it. `None` where it did.
    ///
    /// From then on the chain refuses whoever is not in that configuration; what a chain was not
    /// told of it cannot refuse. Signatures for this chain become shorter.
    ///
    /// # Errors
    ///
    /// [`ClientError`] as of [`Client::send`]; `config_stale` where the history is not the latest
    /// any more.
    pub async fn publish_config(
        &self,
        session: &Session,
        wallet: &Wallet,
        history: &History,
        chain_id: u64,
        limit: WaitLimit,
    ) -> Result<Option<Sent>, ClientError> {
        if history.wallet() != wallet.address() {
            return Err(ConfigRefused::OtherWallet.into());
        }
        // Every chain knows the first, which the address comes from.
        if history.links().is_empty() {
            return Ok(None);
        }
        let root = history.latest_root();
        let state = self.wallet_on_chain(chain_id, &wallet.address()).await?;
        if state.image_hash == Some(root) {
            return Ok(None);
        }
        let calls = vec![publication(wallet.address(), &root)];
        let sent = self.send_from(session, wallet, (chain_id, &state), calls, limit);
        sent.await.map(Some)
    }

    /// Hands a signed transaction to the relayer and waits until it is in a block.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; after [`ClientError::NotMined`] and [`ClientError::Unconfirmed`] ask with
    /// [`Client::transaction`], or call this again with the same transaction.
    pub async fn relay_and_wait(
        &self,
        transaction: &SignedTransaction,
        limit: WaitLimit,
    ) -> Result<Relayed, ClientError> {
        let Relayed { id, hash, .. } = self.relay(transaction).await?;
        match self.wait(transaction, limit).await {
            Err(
                error @ (ClientError::NotMined { .. }
                | ClientError::Reverted { .. }
                | ClientError::Lost { .. }),
            ) => Err(error),
            Err(error) => Err(ClientError::Unconfirmed {
                id,
                hash: Some(hash),
                source: Box::new(error),
            }),
            Ok(relayed) => Ok(relayed),
        }
    }

    /// Hands a signed transaction to the relayer; again, where no answer came: under its id it is
    /// sent once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::Unconfirmed`] where the relayer may have taken it over.
    pub async fn relay(&self, transaction: &SignedTransaction) -> Result<Relayed, ClientError> {
        let mut pause = FIRST_PAUSE_MS;
        let mut tries = 1;
        let mut may_be_there = false;
        loop {
            let outcome = outer::post(
                &self.transport,
                path::TRANSACTIONS.to_owned(),
                &transaction.relay,
                Some(transaction.id),
                "a transaction",
            )
            .await;
            may_be_there |= outcome.as_ref().is_err_and(may_have_arrived);
            match outcome {
                Err(error) if tries < HAND_OVERS && may_pass(&error) => {
                    tries += 1;
                    self.environment.sleep_ms(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(source) if may_be_there => {
                    return Err(ClientError::Unconfirmed {
                        id: transaction.id,
                        hash: None,
                        source: Box::new(source),
                    });
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
    /// [`ClientError::Reverted`], [`ClientError::Lost`], [`ClientError::NotMined`] after the limit,
    /// and the others.
    pub async fn wait(
        &self,
        transaction: &SignedTransaction,
        limit: WaitLimit,
    ) -> Result<Relayed, ClientError> {
        let relayed = self.wait_for(transaction.id, limit).await?;
        same(transaction.id, transaction.relay.chain_id, relayed)
    }

    /// Waits until the transaction of an id is in a block, as [`Client::wait`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::wait`].
    pub async fn wait_for(&self, id: RequestId, limit: WaitLimit) -> Result<Relayed, ClientError> {
        let started = self.environment.now_unix_ms();
        let mut pause = FIRST_PAUSE_MS;
        loop {
            let outcome = self.transaction(id).await;
            let waited = self.environment.now_unix_ms().saturating_sub(started);
            match outcome {
                Ok(relayed) => match relayed.state {
                    RelayState::Mined => return Ok(relayed),
                    RelayState::Reverted => {
                        let Relayed { hash, block, .. } = relayed;
                        return Err(ClientError::Reverted { hash, block });
                    }
                    RelayState::Lost => {
                        let Relayed { id, hash, .. } = relayed;
                        return Err(ClientError::Lost { id, hash });
                    }
                    RelayState::Sent if waited >= limit.milliseconds => {
                        let Relayed { id, hash, .. } = relayed;
                        return Err(ClientError::NotMined { id, hash });
                    }
                    RelayState::Sent => {}
                },
                Err(error)
                    if waited < limit.milliseconds
                        && (may_pass(&error) || error.is(Code::RateLimited)) => {}
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

/// Tells whether the relayer may have taken a transaction over although it did not say so.
fn may_have_arrived(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(error) => error.may_have_been_sent,
        ClientError::Gateway(problem) => problem.status >= 500,
        ClientError::UnexpectedReply(_) => true,
        _ => false,
    }
}

fn same(id: RequestId, chain_id: u64, relayed: Relayed) -> Result<Relayed, ClientError> {
    if relayed.id == id && relayed.chain_id == chain_id {
        Ok(relayed)
    } else {
        Err(ClientError::OtherTransaction)
    }
}
