//! Wallets whose address and configuration were recomputed here.

use alloy_primitives::{Address, B256};
use keyfold_protocol::client_api::{CreateWallet, Nothing, WalletInfo, Wallets, path};
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::relayer_api::WalletOnChain;
use keyfold_protocol::text::is_name;
use keyfold_wallet::config::Members;
use keyfold_wallet::{ContextName, wallet_address};

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;

/// What a program knows of its project's guard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GuardRule {
    /// Nothing: wallets may have a guard or none.
    #[default]
    Any,
    /// The project has none.
    Without,
    /// Every wallet has this one.
    Exactly(Address),
}

/// What wallets must be, besides being of the default shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalletRules {
    /// The guard.
    pub guard: GuardRule,
    /// The checkpointer that wallets may have; none where absent.
    pub checkpointer: Option<Address>,
    /// The contracts that addresses come from. What the service says has no part in it: whoever runs
    /// it could otherwise have coins sent to addresses of contracts that nobody chose.
    pub contracts: ContextName,
}

/// Says why a wallet was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalletRefused {
    /// Its contracts are not the ones that the program expects.
    #[error("its contracts are {told}, and {expected} was expected")]
    Context {
        /// What was told.
        told: ContextName,
        /// What the program expects.
        expected: ContextName,
    },
    /// The configuration is not the default one: another threshold, further signers, a checkpointer.
    #[error("its configuration is not the one a new wallet has")]
    Shape,
    /// The guard is not the project's.
    #[error("its guard is not the project's")]
    Guard,
    /// The root does not follow from the configuration.
    #[error("its root does not follow from its configuration")]
    ImageHash,
    /// The address does not follow from the root: the wallet belongs to another configuration.
    #[error("its address does not follow from its configuration")]
    Address,
    /// The label is not the one asked for, or not one.
    #[error("its label is not the one asked for")]
    Label,
    /// The label named another wallet before.
    #[error("its label was {before}'s before and is {now}'s now")]
    Changed {
        /// The wallet known by that label.
        before: Address,
        /// What is said now.
        now: Address,
    },
    /// The account has more wallets than any has.
    #[error("the account has too many wallets")]
    TooMany,
}

/// A wallet that was checked: its address is that of the default configuration of its owner, and
/// guard where it has one.
///
/// Only [`Wallet::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Wallet {
    info: WalletInfo,
    owner: Address,
    guard: Option<Address>,
    /// The root that the chain knows for which is signed, if it was told of one.
    on_chain: Option<B256>,
}

impl Wallet {
    /// Recomputes a wallet's configuration, root and address from what was told.
    ///
    /// # Errors
    ///
    /// [`WalletRefused`].
    ///
    /// # Security
    ///
    /// The owner's key is known to nobody but key holders, by shares; that it is the enclave's word
    /// is vouched for by the channel. What is checked here is that nobody else can move the wallet,
    /// and that coins sent to the address are sent to this configuration.
    pub fn verify(info: WalletInfo, rules: &WalletRules) -> Result<Self, WalletRefused> {
        if info.context != rules.contracts {
            return Err(WalletRefused::Context {
                told: info.context,
                expected: rules.contracts,
            });
        }
        let members = Members::of_new_wallet(&info.config).ok_or(WalletRefused::Shape)?;
        let (owner, guard) = (members.owner, members.guard);
        let checkpointer = info.config.checkpointer;
        if info.config.checkpoint != 0
            || (checkpointer.is_some() && checkpointer != rules.checkpointer)
        {
            return Err(WalletRefused::Shape);
        }
        match rules.guard {
            GuardRule::Any => {}
            GuardRule::Without if guard.is_none() => {}
            GuardRule::Exactly(address) if guard == Some(address) => {}
            _ => return Err(WalletRefused::Guard),
        }
        if info.config.image_hash() != info.image_hash {
            return Err(WalletRefused::ImageHash);
        }
        if wallet_address(&info.image_hash, &rules.contracts.context()) != info.address {
            return Err(WalletRefused::Address);
        }
        if !is_name(&info.label) {
            return Err(WalletRefused::Label);
        }
        Ok(Self {
            info,
            owner,
            guard,
            on_chain: None,
        })
    }

    /// Returns everything that was told.
    pub fn info(&self) -> &WalletInfo {
        &self.info
    }

    /// Returns the label.
    pub fn label(&self) -> &str {
        &self.info.label
    }

    /// Returns the address, the same on every EVM chain.
    pub fn address(&self) -> Address {
        self.info.address
    }

    /// Returns the owner's key that signs for it now.
    pub fn key(&self) -> KeyId {
        self.info.key
    }

    /// Returns the owner's signer in the first configuration.
    pub fn owner(&self) -> Address {
        self.owner
    }

    /// Returns the guard's signer, where there is one.
    pub fn guard(&self) -> Option<Address> {
        self.guard
    }

    /// Returns the root of its first configuration, which the address comes from.
    pub fn image_hash(&self) -> B256 {
        self.info.image_hash
    }

    /// Returns the wallet as a chain knows it, to sign for that chain: where the chain was told of a
    /// later root ([`Client::publish_config`]), signatures lead from there.
    ///
    /// # Security
    ///
    /// What a chain knows is the relayer's word. With a false one the chain refuses the signature;
    /// nothing else can come of it.
    #[must_use]
    pub fn as_known(&self, state: &WalletOnChain) -> Self {
        Self {
            on_chain: state.image_hash.filter(|root| *root != self.image_hash()),
            ..self.clone()
        }
    }

    /// Returns the root that the chain was told of, for which is signed.
    pub(crate) fn on_chain(&self) -> Option<B256> {
        self.on_chain
    }

    /// Returns the name of the contracts that the address comes from.
    pub fn contracts(&self) -> ContextName {
        self.info.context
    }
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Makes a wallet, or returns the one that has this label already.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn create_wallet(
        &self,
        session: &Session,
        label: &str,
    ) -> Result<Wallet, ClientError> {
        if !is_name(label) {
            return Err(ClientError::Unsendable(
                "a label that is empty, long or unprintable",
            ));
        }
        let intent = self.plain(Operation::CreateWallet)?;
        let body = json(&CreateWallet {
            label: label.to_owned(),
        })?;
        let info: WalletInfo = self
            .call_in_session(session, path::WALLET_CREATE, intent, body)
            .await?;
        if info.label != label {
            return Err(WalletRefused::Label.into());
        }
        let wallet = Wallet::verify(info, &self.rules)?;
        self.remember(session, &wallet)?;
        Ok(wallet)
    }

    /// Lists the account's wallets, oldest first.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a single wallet that is not as it should be refuses the list.
    pub async fn wallets(&self, session: &Session) -> Result<Vec<Wallet>, ClientError> {
        let intent = self.plain(Operation::ListWallets)?;
        let Wallets { wallets } = self
            .call_in_session(session, path::WALLET_LIST, intent, json(&Nothing {})?)
            .await?;
        let checked = wallets.into_iter().map(|info| {
            let wallet = Wallet::verify(info, &self.rules)?;
            self.remember(session, &wallet)?;
            Ok(wallet)
        });
        checked.collect()
    }
}
