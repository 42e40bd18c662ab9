//! A project's rules: typed, versioned, closed. A field that is not known is an error, not a hint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::Address;
use keyfold_protocol::config::ChangeKind;
use serde::{Deserialize, Serialize};

/// The version of the format that this release reads.
pub const POLICY_VERSION: u32 = 1;
/// Most entries in any list.
pub const MAX_ENTRIES: usize = 4096;

/// A policy as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// [`POLICY_VERSION`].
    pub version: u32,
    /// Counts the changes; returned with every decision.
    pub revision: u32,
    /// Addresses that may not be touched in any way, on any chain; wins over everything else.
    #[serde(default)]
    pub deny: Vec<Address>,
    /// Which changes of a wallet's configuration may be signed; none where absent. They hold on
    /// every chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_changes: Vec<ChangeKind>,
    /// What may be done, by chain. Nothing may be done on a chain that is not named.
    pub chains: Vec<ChainRules>,
}

/// What may be done on some chains.
///
/// There are no rules for all chains: one address is another contract, or another person's, on
/// another chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainRules {
    /// The chains' ids (EIP-155). Not 0: what is signed for it holds on every chain.
    pub ids: Vec<u64>,
    /// Contracts that may be called.
    #[serde(default)]
    pub allow: Vec<AllowedContract>,
    /// Who may receive native coin.
    #[serde(default)]
    pub native: Recipients,
    /// Whether messages may be signed.
    #[serde(default)]
    pub messages: Messages,
}

/// A contract that may be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedContract {
    /// Its address.
    pub address: Address,
    /// What may be called on it.
    pub calls: AllowedCalls,
}

/// What may be called on a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedCalls {
    /// Nothing but ERC-20 `transfer`.
    Erc20Transfer,
    /// ERC-20 `transfer`, `approve` and `transferFrom`.
    Erc20,
    /// Any function, with any value: only for contracts that cannot harm the wallet.
    Any,
}

/// Who may receive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipients {
    /// Nobody.
    #[default]
    Nobody,
    /// These.
    Only(Vec<Address>),
    /// Anybody who is not denied.
    Anybody,
}

/// Whether messages may be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Messages {
    /// They may not. A signed message can be a permit that moves tokens.
    #[default]
    Deny,
    /// EIP-191 texts may be signed.
    Text,
}

/// Says why a policy was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The version is not one this release reads.
    #[error("the policy has an unknown version")]
    UnknownVersion,
    /// A list is too long.
    #[error("a list of the policy is too long")]
    TooLong,
    /// An address stands twice in one list.
    #[error("an address stands twice in one list")]
    Duplicate,
    /// The zero address is allowed.
    #[error("the zero address cannot be allowed")]
    ZeroAddress,
    /// Rules that are for no chain.
    #[error("rules name no chain")]
    NoChain,
    /// Two rules, or one twice, for one chain.
    #[error("a chain stands twice in the policy")]
    DuplicateChain,
    /// A kind of change stands twice.
    #[error("a kind of change stands twice in the policy")]
    DuplicateChange,
    /// Rules for chain 0.
    #[error("what is signed for chain 0 holds on every chain, so nothing is allowed there")]
    ChainZero,
}

/// A policy that was checked, in the form that decisions use.
#[derive(Debug, Clone)]
pub struct ValidPolicy {
    revision: u32,
    deny: BTreeSet<Address>,
    config_changes: BTreeSet<ChangeKind>,
    chains: BTreeMap<u64, Arc<ChainRules>>,
}

impl TryFrom<Policy> for ValidPolicy {
    type Error = PolicyError;

    fn try_from(source: Policy) -> Result<Self, PolicyError> {
        if source.version != POLICY_VERSION {
            return Err(PolicyError::UnknownVersion);
        }
        let deny = distinct(source.deny.iter())?;
        let config_changes: BTreeSet<ChangeKind> = source.config_changes.iter().copied().collect();
        if config_changes.len() != source.config_changes.len() {
            return Err(PolicyError::DuplicateChange);
        }
        let mut chains = BTreeMap::new();
        for rules in source.chains {
            check(&rules)?;
            let rules = Arc::new(rules);
            for id in &rules.ids {
                if chains.insert(*id, Arc::clone(&rules)).is_some() {
                    return Err(PolicyError::DuplicateChain);
                }
                if chains.len() > MAX_ENTRIES {
                    return Err(PolicyError::TooLong);
                }
            }
        }
        Ok(Self {
            revision: source.revision,
            deny,
            config_changes,
            chains,
        })
    }
}

fn check(rules: &ChainRules) -> Result<(), PolicyError> {
    if rules.ids.is_empty() {
        return Err(PolicyError::NoChain);
    }
    if rules.ids.contains(&0) {
        return Err(PolicyError::ChainZero);
    }
    let recipients: &[Address] = match &rules.native {
        Recipients::Only(list) => list,
        Recipients::Nobody | Recipients::Anybody => &[],
    };
    let contracts = distinct(rules.allow.iter().map(|entry| &entry.address))?;
    let recipients = distinct(recipients.iter())?;
    if contracts.contains(&Address::ZERO) || recipients.contains(&Address::ZERO) {
        return Err(PolicyError::ZeroAddress);
    }
    Ok(())
}

/// Returns the addresses of a list that is not too long and names none twice.
fn distinct<'a>(
    list: impl ExactSizeIterator<Item = &'a Address>,
) -> Result<BTreeSet<Address>, PolicyError> {
    let length = list.len();
    if length > MAX_ENTRIES {
        return Err(PolicyError::TooLong);
    }
    let set: BTreeSet<Address> = list.copied().collect();
    if set.len() == length {
        Ok(set)
    } else {
        Err(PolicyError::Duplicate)
    }
}

impl ValidPolicy {
    /// Returns the count of changes.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Tells whether an address may not be touched, on any chain.
    pub fn denies(&self, address: &Address) -> bool {
        self.deny.contains(address)
    }

    /// Tells whether changes of a kind may be signed.
    pub fn allows_change(&self, kind: ChangeKind) -> bool {
        self.config_changes.contains(&kind)
    }

    /// Returns the rules for a chain; without any, nothing may be done there.
    pub fn on(&self, chain_id: u64) -> Option<&ChainRules> {
        self.chains.get(&chain_id).map(Arc::as_ref)
    }
}

impl ChainRules {
    /// Returns what may be called on a contract.
    pub fn allowed_calls(&self, contract: &Address) -> Option<AllowedCalls> {
        let mut entries = self.allow.iter();
        let entry = entries.find(|entry| entry.address == *contract);
        entry.map(|entry| entry.calls)
    }

    /// Tells whether an address may receive native coin.
    pub fn may_receive_native(&self, address: &Address) -> bool {
        match &self.native {
            Recipients::Nobody => false,
            Recipients::Only(list) => list.contains(address),
            Recipients::Anybody => true,
        }
    }
}
