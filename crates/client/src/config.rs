//! A wallet's configurations: histories that were replayed and verified here, and changes.

use alloy_primitives::{Address, B256};
use keyfold_protocol::client_api::path;
use keyfold_protocol::config::{
    AttestedRoot, ConfigChange, ConfigLink, ConfigState, OfWallet, PreparedOwner, ReplayError,
    Replayed, StoredTree, UpdateConfig, WalletConfig,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::path as gateway_path;
use keyfold_protocol::ids::{AddressId, Digest32};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_wallet::checkpointer::RootStatement;

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::outer;
use crate::session::Session;
use crate::signing::address_of;
use crate::wallet::Wallet;

/// Says why a wallet's configurations were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigRefused {
    /// They are another wallet's.
    #[error("they are another wallet's")]
    OtherWallet,
    /// They do not lead from the wallet's first configuration to the latest.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// What was asked for is not what was done.
    #[error("the change that was made is not the one that was asked for")]
    OtherChange,
    /// A tree is not the one whose root it was asked by.
    #[error("the store's tree of {0} has another root")]
    Tree(B256),
    /// The store has no tree of a root.
    #[error("the store has no tree of {0}")]
    NoTree(B256),
    /// The key machine says that another root is the latest: the end was left out.
    #[error("the key machine says that another root is the latest")]
    NotLatest,
    /// The word about the latest root is not the realm's, or about something else.
    #[error("the word about the latest root is not the realm's")]
    Attestation,
}

/// A wallet's configurations, replayed from the first: every root was computed and every signature
/// recovered here.
///
/// Only [`History::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    told: WalletConfig,
    replayed: Replayed,
}

impl History {
    /// Replays what was told of a wallet.
    ///
    /// # Errors
    ///
    /// [`ConfigRefused`].
    ///
    /// # Security
    ///
    /// Whether there is a later update that was not told cannot be seen from here; a checkpointer
    /// and [`Client::attested_root`] are for that.
    pub fn verify(wallet: &Wallet, told: WalletConfig) -> Result<Self, ConfigRefused> {
        if told.wallet != wallet.address() {
            return Err(ConfigRefused::OtherWallet);
        }
        let replayed = Replayed::of(&told)?;
        let (first, root) = &replayed.states().next().ok_or(ReplayError::First)?;
        if *root != wallet.image_hash() || first.context != wallet.info().context {
            return Err(ReplayError::First.into());
        }
        Ok(Self { told, replayed })
    }

    /// Returns the wallet.
    pub fn wallet(&self) -> Address {
        self.told.wallet
    }

    /// Returns every configuration with its root, oldest first.
    pub fn states(&self) -> impl Iterator<Item = &(ConfigState, B256)> {
        self.replayed.states()
    }

    /// Returns the updates, oldest first.
    pub fn links(&self) -> &[ConfigLink] {
        &self.told.updates
    }

    /// Returns the latest configuration.
    pub fn latest(&self) -> &ConfigState {
        self.replayed.latest()
    }

    /// Returns the latest root.
    pub fn latest_root(&self) -> B256 {
        self.replayed.latest_root()
    }

    /// Returns the history as it is told, to be kept: with it and the trees, a recovery signer needs
    /// nobody's help to bring the latest configuration to a chain.
    pub fn to_told(&self) -> WalletConfig {
        self.told.clone()
    }
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Asks for a wallet's configurations and verifies them.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn history(
        &self,
        session: &Session,
        wallet: &Wallet,
    ) -> Result<History, ClientError> {
        let intent = self.plain(Operation::ShowConfig)?;
        let body = json(&OfWallet {
            wallet: wallet.address(),
        })?;
        let told: WalletConfig = self
            .call_in_session(session, path::CONFIG_SHOW, intent, body)
            .await?;
        Ok(History::verify(wallet, told)?)
    }

    /// Changes a wallet's configuration. Costs nothing on chain: from now on the wallet's signatures
    /// lead from its first configuration to the latest.
    ///
    /// After a rotation of the owner ask for the wallet again: another key signs for it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `config_stale` where the history is not the latest any more.
    pub async fn change_config(
        &self,
        session: &Session,
        wallet: &Wallet,
        history: &History,
        change: ConfigChange,
    ) -> Result<History, ClientError> {
        let update = UpdateConfig::new(wallet.address(), history.latest(), change)?;
        self.attest_wallet(session, wallet.address()).await?;
        let intent = Intent::UpdateConfig {
            id: self.request_id()?,
            key_use: KeyUse {
                wallet: AddressId::from_bytes(wallet.address().into_array()),
                key: wallet.key(),
                digest: update.digest(),
            },
            previous: Digest32::from_bytes(update.previous.0),
            next: Digest32::from_bytes(update.next.0),
        };
        let told: WalletConfig = self
            .call_in_session(session, path::CONFIG_UPDATE, intent, json(&update)?)
            .await?;
        let changed = History::verify(wallet, told)?;
        let continued = changed.links().split_last().is_some_and(|(last, before)| {
            before == history.links() && last.change == update.change
        });
        if !continued || changed.latest_root() != update.next {
            return Err(ConfigRefused::OtherChange.into());
        }
        Ok(changed)
    }

    /// Has the key made that is to be a wallet's next owner; [`ConfigChange::RotateOwner`] makes it
    /// that.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn prepare_owner(
        &self,
        session: &Session,
        wallet: &Wallet,
    ) -> Result<Address, ClientError> {
        let intent = self.plain(Operation::PrepareOwner)?;
        let body = json(&OfWallet {
            wallet: wallet.address(),
        })?;
        let prepared: PreparedOwner = self
            .call_in_session(session, path::OWNER_PREPARE, intent, body)
            .await?;
        if prepared.wallet != wallet.address() {
            return Err(ConfigRefused::OtherWallet.into());
        }
        Ok(prepared.owner)
    }

    /// Asks for the key machine's word about a wallet's latest root, as its checkpointer takes it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `config_invalid` where the wallet has no checkpointer.
    pub async fn attested_root(
        &self,
        session: &Session,
        wallet: &Wallet,
    ) -> Result<AttestedRoot, ClientError> {
        let intent = self.plain(Operation::AttestConfig)?;
        let body = json(&OfWallet {
            wallet: wallet.address(),
        })?;
        let told: AttestedRoot = self
            .call_in_session(session, path::CONFIG_ATTEST, intent, body)
            .await?;
        let key = self.realm().await?.record().checkpointer;
        verify_attested(wallet, &told, &key)?;
        Ok(told)
    }

    /// Asks the key machine whether a history is the latest, as it says it to the wallet's checkpointer.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `config_invalid` where the wallet has no checkpointer,
    /// [`ConfigRefused::NotLatest`].
    pub async fn verify_latest(
        &self,
        session: &Session,
        wallet: &Wallet,
        history: &History,
    ) -> Result<AttestedRoot, ClientError> {
        let attested = self.attested_root(session, wallet).await?;
        if attested.image_hash != history.latest_root() {
            return Err(ConfigRefused::NotLatest.into());
        }
        Ok(attested)
    }

    /// Asks the public store for the tree of a root, without an account.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ConfigRefused::NoTree`], and [`ConfigRefused::Tree`] where the root that
    /// follows is another.
    pub async fn tree(&self, root: &B256) -> Result<StoredTree, ClientError> {
        let path = gateway_path::TREE.replace("{root}", &root.to_string());
        let told: Result<StoredTree, _> = outer::get(&self.transport, path, "a tree").await;
        let tree = match told {
            Err(error) if error.is(Code::NotFound) => {
                return Err(ConfigRefused::NoTree(*root).into());
            }
            told => told?,
        };
        if tree.root().ok() != Some(*root) {
            return Err(ConfigRefused::Tree(*root).into());
        }
        Ok(tree)
    }

    /// Compares the public store with a history: each configuration, and everything that its
    /// leaves name. Returns how many trees there are.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn verify_trees(&self, history: &History) -> Result<usize, ClientError> {
        let mut seen: Vec<B256> = Vec::new();
        for (state, _) in history.states() {
            for expected in StoredTree::all_of(state)? {
                let root = expected.root()?;
                if seen.contains(&root) {
                    continue;
                }
                if self.tree(&root).await? != expected {
                    return Err(ConfigRefused::Tree(root).into());
                }
                seen.push(root);
            }
        }
        Ok(seen.len())
    }
}

pub(crate) fn verify_attested(
    wallet: &Wallet,
    told: &AttestedRoot,
    key: &AddressId,
) -> Result<(), ConfigRefused> {
    let wrong = ConfigRefused::Attestation;
    let (statement, signature) =
        RootStatement::from_proof(wallet.address(), &told.proof).map_err(|_| wrong)?;
    let said = RootStatement {
        wallet: told.wallet,
        image_hash: told.image_hash,
        checkpoint: told.checkpoint,
        issued: told.issued,
        expires: told.expires,
    };
    let signer = address_of(&statement.hash(&told.checkpointer), &signature);
    let right = said == statement
        && wallet.info().config.checkpointer == Some(told.checkpointer)
        && signer == Some(Address::from(*key.as_bytes()));
    if right { Ok(()) } else { Err(wrong) }
}
