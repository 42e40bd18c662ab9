//! What a session key may do: targets, rules over their calldata, limits.

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

use super::SessionTreeError;
use crate::bytes::{Reader, push_uint};
use crate::json;

/// Most permissions of one session: the index has seven bits.
pub const MAX_PERMISSIONS: usize = 0x7f;
/// Most rules of one permission.
pub const MAX_RULES: usize = 0xff;

const CUMULATIVE: u8 = 0x01;

/// How a rule compares the value in the calldata with its own. Both count as unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Comparison {
    /// The value must be the same.
    Equal = 0,
    /// The value must differ.
    NotEqual = 1,
    /// The value must not be smaller.
    AtLeast = 2,
    /// The value must not be greater.
    AtMost = 3,
}

impl Comparison {
    /// The operation of that number, 0 to 3.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Equal),
            1 => Some(Self::NotEqual),
            2 => Some(Self::AtLeast),
            3 => Some(Self::AtMost),
            _ => None,
        }
    }

    pub(crate) fn holds(self, found: U256, limit: U256) -> bool {
        match self {
            Self::Equal => found == limit,
            Self::NotEqual => found != limit,
            Self::AtLeast => found >= limit,
            Self::AtMost => found <= limit,
        }
    }
}

impl Serialize for Comparison {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Comparison {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        Self::from_number(number)
            .ok_or_else(|| serde::de::Error::custom("unknown comparison in a rule"))
    }
}

/// A condition on 32 bytes of a call's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whether the values of all calls of the session add up, for ever.
    pub cumulative: bool,
    /// How the value found is compared.
    #[serde(rename = "operation")]
    pub comparison: Comparison,
    /// What it is compared with.
    #[serde(with = "json::word")]
    pub value: B256,
    /// Where in the calldata the 32 bytes begin.
    #[serde(with = "json::decimal")]
    pub offset: U256,
    /// Which of the bits count.
    #[serde(with = "json::word")]
    pub mask: B256,
}

impl Rule {
    /// Reads what the rule looks at. `None` if a byte that counts is beyond the calldata.
    ///
    /// Bytes that the mask leaves out need not be there, so a rule on a selector works for a
    /// function without arguments. What lies beyond the calldata never has a say.
    #[must_use]
    pub fn value_in(&self, data: &[u8]) -> Option<U256> {
        let mut word = [0u8; 32];
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        for (index, (byte, mask)) in word.iter_mut().zip(self.mask).enumerate() {
            if mask != 0 {
                *byte = data.get(start.checked_add(index)?)? & mask;
            }
        }
        Some(U256::from_be_bytes(word))
    }
}

/// A contract that a session key may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The contract.
    #[serde(with = "json::address")]
    pub target: Address,
    /// All of these must hold. None: the target may be called with anything.
    pub rules: Vec<Rule>,
}

/// A session key with its limits: a leaf of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPermissions {
    /// Address of the session key.
    #[serde(with = "json::address")]
    pub signer: Address,
    /// The chain it counts on, or 0 for every chain.
    #[serde(with = "json::decimal")]
    pub chain_id: u64,
    /// Wei that all its calls may send together, on each chain.
    #[serde(with = "json::decimal")]
    pub value_limit: U256,
    /// Last second, in Unix time, at which it counts. 0: no end.
    #[serde(with = "json::decimal")]
    pub deadline: u64,
    /// What it may call; a call names one of them by index.
    pub permissions: Vec<Permission>,
}

impl SessionPermissions {
    /// Appends the leaf's body, which is hashed and sent alike (format section 5.1).
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), SessionTreeError> {
        if self.permissions.len() > MAX_PERMISSIONS {
            return Err(SessionTreeError::TooManyPermissions);
        }
        out.extend_from_slice(self.signer.as_slice());
        out.extend_from_slice(crate::bytes::word(self.chain_id).as_slice());
        out.extend_from_slice(&self.value_limit.to_be_bytes::<32>());
        push_uint(out, self.deadline, 8);
        out.push(self.permissions.len() as u8);
        for permission in &self.permissions {
            if permission.rules.len() > MAX_RULES {
                return Err(SessionTreeError::TooManyRules);
            }
            out.extend_from_slice(permission.target.as_slice());
            out.push(permission.rules.len() as u8);
            for rule in &permission.rules {
                let cumulative = if rule.cumulative { CUMULATIVE } else { 0 };
                out.push(((rule.comparison as u8) << 1) | cumulative);
                out.extend_from_slice(rule.value.as_slice());
                out.extend_from_slice(&rule.offset.to_be_bytes::<32>());
                out.extend_from_slice(rule.mask.as_slice());
            }
        }
        Ok(())
    }

    /// Reads a leaf's body. `None` if it is cut off or a field has no meaning.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let signer = reader.address()?;
        let chain_id = u64::try_from(U256::from_be_bytes(reader.hash()?.0)).ok()?;
        let value_limit = U256::from_be_bytes(reader.hash()?.0);
        let deadline = reader.uint(8)?;
        let count = reader.byte()?;
        if usize::from(count) > MAX_PERMISSIONS {
            return None;
        }
        let mut permissions = Vec::new();
        for _ in 0..count {
            let target = reader.address()?;
            let mut rules = Vec::new();
            for _ in 0..reader.byte()? {
                let flags = reader.byte()?;
                rules.push(Rule {
                    cumulative: flags & CUMULATIVE != 0,
                    comparison: Comparison::from_number(flags >> 1)?,
                    value: reader.hash()?,
                    offset: U256::from_be_bytes(reader.hash()?.0),
                    mask: reader.hash()?,
                });
            }
            permissions.push(Permission { target, rules });
        }
        Some(Self {
            signer,
            chain_id,
            value_limit,
            deadline,
            permissions,
        })
    }

    /// Judges the leaf: what no encoder of ours emits and no contract of ours accepts.
    pub(super) fn check(&self) -> Result<(), SessionTreeError> {
        if self.signer.is_zero() {
            return Err(SessionTreeError::ZeroSigner);
        }
        if self.permissions.len() > MAX_PERMISSIONS {
            return Err(SessionTreeError::TooManyPermissions);
        }
        for permission in &self.permissions {
            if permission.rules.len() > MAX_RULES {
                return Err(SessionTreeError::TooManyRules);
            }
            if permission.rules.iter().any(|rule| rule.mask.is_zero()) {
                return Err(SessionTreeError::EmptyMask);
            }
        }
        Ok(())
    }
}

/// What the native value of a session is counted under, in place of a permission.
const NATIVE_VALUE: Address = Address::repeat_byte(0xee);

/// Computes the key under which a cumulative rule's total is stored (format section 5.4).
///
/// It covers the whole permission: changing a permission starts its counts anew.
#[must_use]
pub fn rule_usage_hash(signer: &Address, permission: &Permission, rule_index: usize) -> B256 {
    let mut out = Vec::with_capacity((6 + permission.rules.len() * 5) * 32);
    let mut word = |value: B256| out.extend_from_slice(value.as_slice());
    word(signer.into_word());
    word(crate::bytes::word(96u8));
    word(crate::bytes::word(rule_index as u64));
    word(permission.target.into_word());
    word(crate::bytes::word(64u8));
    word(crate::bytes::word(permission.rules.len() as u64));
    for rule in &permission.rules {
        word(crate::bytes::word(u8::from(rule.cumulative)));
        word(crate::bytes::word(rule.comparison as u8));
        word(rule.value);
        word(rule.offset.into());
        word(rule.mask);
    }
    keccak256(out)
}

/// Computes the key under which the native value that a session sent is stored.
#[must_use]
pub fn value_usage_hash(signer: &Address) -> B256 {
    crate::bytes::hash_pair(&signer.into_word(), &NATIVE_VALUE.into_word())
}
