//! Taking a request over, and telling what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_chain::{
    CallRequest, Deployments, SignedTransaction, Transaction, WalletCall, WalletCallError,
};
use keyfold_crypto::Encoder;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{Relay, Relayed, WalletOnChain};
use keyfold_storage::MasterKey;
use keyfold_wallet::{ContextName, abi};

use crate::chain::{Chain, Outgoing};
use crate::config::{RelayerConfig, RelayerError, SpendBounds, database_path, master_key_path};
use crate::error::RelayError;
use crate::keys::RelayerKey;
use crate::store::{Account, NewRequest, Reserved, Store, Taken, Terms};

/// Gas for reading a wallet's nonce.
const READ_GAS: u64 = 200_000;

/// Everything a request needs.
#[derive(Debug)]
pub(crate) struct Relayer {
    pub(crate) chains: BTreeMap<u64, Arc<Chain>>,
    pub(crate) store: Store,
    pub(crate) deployments: Deployments,
    /// The contracts whose wallets are served.
    contracts: Vec<ContextName>,
    key: RelayerKey,
    max_gas: u64,
}

impl Relayer {
    /// Reads the key, opens the database and prepares the chains. Talks to no node yet.
    pub(crate) async fn open(config: &RelayerConfig) -> Result<Self, RelayerError> {
        let master = MasterKey::load(&master_key_path(&config.data))?;
        if config.contracts.is_empty() || !config.contracts.iter().all(|name| name.is_choice()) {
            let known = ContextName::CHOICES.map(ContextName::as_str).join(", ");
            return Err(RelayerError::Config(format!(
                "contracts: name at least one of {known}, and no other"
            )));
        }
        let mut chains = BTreeMap::new();
        for chain in &config.chains {
            let id = chain.chain_id;
            if id == 0 || i64::try_from(id).is_err() || chain.confirmations == 0 {
                return Err(RelayerError::Config(format!(
                    "chain {id}: the id must be between 1 and 2^63 - 1, confirmations at least 1"
                )));
            }
            if chains
                .insert(id, Arc::new(Chain::new(chain.clone())?))
                .is_some()
            {
                return Err(RelayerError::Config(format!("chain {id} is there twice")));
            }
        }
        Ok(Self {
            chains,
            store: Store::open(&database_path(&config.data)).await?,
            deployments: Deployments::embedded()?,
            contracts: config.contracts.clone(),
            key: RelayerKey::derive(&master),
            max_gas: config.limits.max_gas,
        })
    }

    pub(crate) const fn address(&self) -> Address {
        self.key.address()
    }

    pub(crate) fn account(&self, chain_id: u64) -> Account {
        Account {
            chain_id,
            sender: self.address(),
        }
    }

    pub(crate) fn chain(&self, id: u64) -> Result<&Arc<Chain>, RelayError> {
        self.chains
            .get(&id)
            .ok_or_else(|| Code::ChainUnknown.into())
    }

    /// Takes a wallet's call over and sends it, or tells what became of it if that was done before.
    pub(crate) async fn relay(&self, id: RequestId, relay: Relay) -> Result<Relayed, RelayError> {
        let hash = request_hash(&relay);
        if let Some(taken) = self.store.find(id).await? {
            return same(taken, hash);
        }
        let chain = self.chain(relay.chain_id)?;
        let call = WalletCall::parse(
            &self.contracts,
            relay.wallet,
            relay.image_hash,
            relay.payload,
            relay.signature,
        )
        .map_err(refused)?;
        match self.try_relay(chain, id, hash, &call).await {
            // The same request in parallel may have been faster, and what it did makes this fail.
            Err(error) => match self.store.find(id).await? {
                Some(taken) => same(taken, hash),
                None => Err(error),
            },
            relayed => relayed,
        }
    }

    async fn try_relay(
        &self,
        chain: &Chain,
        id: RequestId,
        hash: B256,
        call: &WalletCall,
    ) -> Result<Relayed, RelayError> {
        let has_code = chain.node().await?.has_code(call.wallet()).await?;
        if !has_code {
            chain.has_contracts(call.contracts()).await?;
        }
        let relayed = call
            .relayed(has_code)
            .map_err(|error| RelayError::refused(Code::PayloadInvalid, error.to_string()))?;
        let (space, wallet_nonce) = call.space_and_nonce();
        let request = NewRequest {
            id,
            hash,
            account: self.account(chain.id()),
            wallet: call.wallet(),
            space,
            wallet_nonce,
            deployed: relayed.deploys,
        };
        let outgoing = Outgoing {
            from: self.address(),
            to: relayed.to,
            data: &relayed.data,
            max_gas: self.max_gas,
            all_gas: call.tolerates_failure(),
        };
        let spending = Some(chain.spending());
        match self.take_over(chain, request, outgoing, spending).await? {
            Reserved::New(taken, raw) => {
                let Relayed { id, hash, .. } = &taken.relayed;
                tracing::info!(chain = chain.id(), request = %id, tx = %hash, nonce = taken.nonce, "taken over");
                chain.send(&raw).await;
                Ok(taken.relayed)
            }
            Reserved::Known(taken) => same(taken, hash),
            Reserved::Waiting => Err(RelayError::refused(
                Code::CallReverts,
                "Another transaction with this nonce of the wallet is on its way, so this one would revert.",
            )),
        }
    }

    /// Tries a call out, and takes it over if it would succeed. Does not send it.
    pub(crate) async fn take_over(
        &self,
        chain: &Chain,
        request: NewRequest,
        outgoing: Outgoing<'_>,
        spending: Option<SpendBounds>,
    ) -> Result<Reserved, RelayError> {
        let quote = chain.quote(outgoing).await?;
        let transaction = quote.transaction(chain.id(), 0, outgoing.to, outgoing.data.clone());
        let terms = Terms {
            in_blocks: quote.in_blocks,
            with_waiting: quote.with_waiting,
            balance: quote.balance,
            cost: transaction.max_cost(),
            now: now_unix_seconds(),
            spending,
        };
        let sign = |nonce| {
            self.sign(&Transaction {
                nonce,
                ..transaction
            })
        };
        self.store.reserve(request, terms, sign).await
    }

    pub(crate) fn sign(&self, transaction: &Transaction) -> Result<SignedTransaction, RelayError> {
        Ok(self.key.sign(transaction)?)
    }

    /// Tells what became of a request.
    pub(crate) async fn status(&self, id: RequestId) -> Result<Relayed, RelayError> {
        let taken = self.store.find(id).await?;
        taken
            .map(|taken| taken.relayed)
            .ok_or_else(|| Code::TransactionUnknown.into())
    }

    /// Tells what a chain knows of a wallet.
    pub(crate) async fn wallet(
        &self,
        chain_id: u64,
        wallet: Address,
    ) -> Result<WalletOnChain, RelayError> {
        let node = self.chain(chain_id)?.node().await?;
        let (deployed, balance) = tokio::try_join!(node.has_code(wallet), node.balance(wallet))?;
        let (mut nonce, mut image_hash) = (0, None);
        if deployed {
            let question = async |data: Bytes| {
                let request = CallRequest {
                    from: self.address(),
                    to: wallet,
                    data: &data,
                    gas_limit: READ_GAS,
                };
                node.call(request).await
            };
            let (of_nonce, of_root) = tokio::join!(
                question(abi::read_nonce(U160::ZERO)),
                question(abi::IMAGE_HASH.into())
            );
            nonce = read_nonce(of_nonce)?;
            image_hash = read_root(of_root)?;
        }
        Ok(WalletOnChain {
            deployed,
            nonce,
            balance,
            image_hash,
        })
    }
}

fn now_unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The root that a wallet was told of: one that was not has no such function, and answers nothing.
fn read_root(answer: Result<Bytes, keyfold_chain::RpcError>) -> Result<Option<B256>, RelayError> {
    let answer = match answer {
        Err(error) if error.reverted().is_some() => return Ok(None),
        answer => answer?,
    };
    let root = B256::try_from(&answer[..]).ok();
    Ok(root.filter(|root| !root.is_zero()))
}

fn read_nonce(answer: Result<Bytes, keyfold_chain::RpcError>) -> Result<u64, RelayError> {
    let not_a_wallet = || {
        RelayError::refused(
            Code::WalletUnknown,
            "There is no wallet of ours at that address.",
        )
    };
    let word = match answer {
        Err(error) if error.reverted().is_some() => return Err(not_a_wallet()),
        word => word?,
    };
    let word: [u8; 32] = word.as_ref().try_into().map_err(|_| not_a_wallet())?;
    U256::from_be_bytes(word)
        .try_into()
        .map_err(|_| not_a_wallet())
}

fn same(taken: Taken, hash: B256) -> Result<Relayed, RelayError> {
    if taken.request_hash == hash {
        Ok(taken.relayed)
    } else {
        Err(Code::IdempotencyConflict.into())
    }
}

fn refused(error: WalletCallError) -> RelayError {
    let code = match error {
        WalletCallError::OtherWallet { .. } => Code::MalformedRequest,
        WalletCallError::OtherContracts(_) => Code::ContractsMissing,
        WalletCallError::Payload(_) => Code::PayloadInvalid,
    };
    RelayError::refused(code, format!("The request cannot be relayed: {error}."))
}

fn request_hash(relay: &Relay) -> B256 {
    Encoder::new("keyfold/relay-request/v1")
        .u64(relay.chain_id)
        .fixed(&relay.wallet.into_array())
        .fixed(&relay.image_hash.0)
        .bytes(&relay.payload)
        .bytes(&relay.signature)
        .sha256()
        .into()
}
