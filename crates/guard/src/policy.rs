//! A project's rules: typed, versioned, closed. A field that is not known is an error, not a hint.

use std::collections::BTreeSet;

use alloy_primitives::Address;
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
    /// Contracts that may be called.
    #[serde(default)]
    pub allow: Vec<AllowedContract>,
    /// Addresses that may not be touched in any way; wins over everything else.
    #[serde(default)]
    pub deny: Vec<Address>,
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
}

/// A policy that was checked, in the form that decisions use.
#[derive(Debug, Clone)]
pub struct ValidPolicy {
    source: Policy,
    deny: BTreeSet<Address>,
}

impl TryFrom<Policy> for ValidPolicy {
    type Error = PolicyError;

    fn try_from(source: Policy) -> Result<Self, PolicyError> {
        if source.version != POLICY_VERSION {
            return Err(PolicyError::UnknownVersion);
        }
        let recipients: &[Address] = match &source.native {
            Recipients::Only(list) => list,
            Recipients::Nobody | Recipients::Anybody => &[],
        };
        let allowed: Vec<Address> = source.allow.iter().map(|entry| entry.address).collect();
        for list in [allowed.as_slice(), recipients, source.deny.as_slice()] {
            if list.len() > MAX_ENTRIES {
                return Err(PolicyError::TooLong);
            }
            if list.iter().collect::<BTreeSet<_>>().len() != list.len() {
                return Err(PolicyError::Duplicate);
            }
        }
        if allowed
            .iter()
            .chain(recipients)
            .any(|address| address.is_zero())
        {
            return Err(PolicyError::ZeroAddress);
        }
        let deny = source.deny.iter().copied().collect();
        Ok(Self { source, deny })
    }
}

impl ValidPolicy {
    /// Returns the count of changes.
    pub fn revision(&self) -> u32 {
        self.source.revision
    }

    /// Tells whether an address may not be touched.
    pub fn denies(&self, address: &Address) -> bool {
        self.deny.contains(address)
    }

    /// Returns what may be called on a contract.
    pub fn allowed_calls(&self, contract: &Address) -> Option<AllowedCalls> {
        let entry = self
            .source
            .allow
            .iter()
            .find(|entry| entry.address == *contract);
        entry.map(|entry| entry.calls)
    }

    /// Tells whether an address may receive native coin.
    pub fn may_receive_native(&self, address: &Address) -> bool {
        match &self.source.native {
            Recipients::Nobody => false,
            Recipients::Only(list) => list.contains(address),
            Recipients::Anybody => true,
        }
    }

    /// Tells whether texts may be signed.
    pub fn messages(&self) -> Messages {
        self.source.messages
    }
}
