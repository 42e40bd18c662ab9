//! Sign or refuse, with reasons a person can read.

use alloy_primitives::Address;
use keyfold_protocol::config::{ChangeKind, ConfigChange};
use keyfold_wallet::{Payload, PayloadBody};
use serde::Serialize;

use crate::policy::{AllowedCalls, ChainRules, Messages, ValidPolicy};
use crate::reading::{Reading, read};

/// Most reasons of a refusal that are printed: who asks chooses how many there are.
const MAX_SHOWN: usize = 8;

/// The payload may be signed.
///
/// Only a decision of this module makes one, so the guard's key cannot be used without a decision.
#[derive(Debug, Clone)]
#[expect(
    clippy::manual_non_exhaustive,
    reason = "only a decision makes one, in this crate too"
)]
pub struct Approval {
    /// What each call does, in order; empty for a message.
    pub readings: Vec<Reading>,
    /// Revision of the policy that decided.
    pub revision: u32,
    _decided: (),
}

/// The payload may not be signed. Prints as its reasons, or the first few of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Every reason, not only the first.
    pub reasons: Vec<Reason>,
    /// Revision of the policy that decided.
    pub revision: u32,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, reason) in self.reasons.iter().take(MAX_SHOWN).enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        match self.reasons.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Why a payload may not be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// An address is on the deny-list.
    #[error("call {call} touches {address}, which is on the deny-list")]
    Denied {
        /// Position in the batch, from 0.
        call: usize,
        /// The address.
        address: Address,
    },
    /// The contract is not on the allow-list.
    #[error("call {call} goes to {address}, which is not on the allow-list")]
    NotAllowed {
        /// Position in the batch, from 0.
        call: usize,
        /// The address.
        address: Address,
    },
    /// The contract may be called, but not like this.
    #[error("call {call} does something to {address} that the policy does not name")]
    NotUnderstood {
        /// Position in the batch, from 0.
        call: usize,
        /// The address.
        address: Address,
    },
    /// The receiver of native coin is not allowed.
    #[error("call {call} sends native coin to {address}, who may not receive it")]
    RecipientNotAllowed {
        /// Position in the batch, from 0.
        call: usize,
        /// The receiver.
        address: Address,
    },
    /// The wallet calls itself, which can change who owns it.
    #[error("call {call} changes the wallet itself")]
    SelfCall {
        /// Position in the batch, from 0.
        call: usize,
    },
    /// The call would run somebody else's code as the wallet.
    #[error("call {call} would run code as the wallet, which can change who owns it")]
    DelegateCall {
        /// Position in the batch, from 0.
        call: usize,
    },
    /// The policy has no rules for the chain, or the chain is 0, which means every chain.
    #[error("the policy allows nothing on chain {chain_id}")]
    ChainNotAllowed {
        /// The chain.
        chain_id: u64,
    },
    /// Messages are not allowed by the policy.
    #[error("the policy does not let messages be signed")]
    MessagesDenied,
    /// The message is not a text under the EIP-191 prefix.
    #[error("the message is not an EIP-191 text")]
    NotText,
    /// Bare digests, and configuration changes of which only the root is known, are never signed.
    #[error("this kind of payload is not signed by the guard")]
    KindDenied,
    /// The policy does not name this kind of change.
    #[error("the policy does not let a configuration be changed by {kind}")]
    ChangeDenied {
        /// What the change does.
        kind: ChangeKind,
    },
    /// The change gives a say to an address on the deny-list, or lets a session call it.
    #[error("the change names {address}, which is on the deny-list")]
    ChangeNamesDenied {
        /// The address.
        address: Address,
    },
    /// There is nothing to decide on.
    #[error("the payload is empty")]
    Empty,
}

/// Decides whether a chain may be told of a root that the guard agreed to before.
///
/// # Errors
///
/// [`Refusal`]: the policy has no rules for the chain.
///
/// # Security
///
/// That the guard agreed to this very root is for the caller to verify.
pub fn decide_publication(policy: &ValidPolicy, chain_id: u64) -> Result<Approval, Refusal> {
    let reasons = match policy.on(chain_id) {
        Some(_) => Vec::new(),
        None => vec![Reason::ChainNotAllowed { chain_id }],
    };
    conclude(policy, Vec::new(), reasons)
}

/// Decides whether a payload of `wallet` may be signed for a chain under a policy.
///
/// # Errors
///
/// [`Refusal`] with every reason.
///
/// # Security
///
/// What is decided on must be the value whose hash is then signed, wallet and chain included. A
/// batch is approved only when each of its calls is. The deny-list wins over every other rule.
pub fn decide(
    policy: &ValidPolicy,
    wallet: Address,
    chain_id: u64,
    payload: &Payload,
) -> Result<Approval, Refusal> {
    let mut reasons = Vec::new();
    let mut readings = Vec::new();
    // Messages too: their hash names the chain on which the wallet answers for them.
    let rules = policy.on(chain_id);
    if rules.is_none() {
        reasons.push(Reason::ChainNotAllowed { chain_id });
    }
    match &payload.body {
        _ if !payload.parent_wallets.is_empty() => reasons.push(Reason::KindDenied),
        PayloadBody::Calls { calls, .. } if calls.is_empty() => reasons.push(Reason::Empty),
        PayloadBody::Calls { calls, .. } => {
            for (at, call) in calls.iter().enumerate() {
                let reading = read(call);
                let touched = reading.addresses();
                let denied = touched.iter().filter(|address| policy.denies(address));
                reasons.extend(denied.map(|address| Reason::Denied {
                    call: at,
                    address: *address,
                }));
                // Whatever the policy says of the target: its code would run with the wallet's
                // storage, so it would decide on everything.
                if call.delegate_call {
                    reasons.push(Reason::DelegateCall { call: at });
                }
                if call.to == wallet {
                    reasons.push(Reason::SelfCall { call: at });
                } else if let Some(rules) = rules {
                    reasons.extend(judge(rules, at, &reading));
                }
                readings.push(reading);
            }
        }
        PayloadBody::Message(message) => match rules.map(|rules| rules.messages) {
            None => {}
            Some(Messages::Deny) => reasons.push(Reason::MessagesDenied),
            Some(Messages::Text) if !is_eip191_text(message) => reasons.push(Reason::NotText),
            Some(Messages::Text) => {}
        },
        PayloadBody::ConfigUpdate(_) | PayloadBody::Digest(_) => reasons.push(Reason::KindDenied),
    }
    conclude(policy, readings, reasons)
}

/// Decides whether a wallet's configuration may be changed under a policy.
///
/// # Errors
///
/// [`Refusal`] with every reason.
///
/// # Security
///
/// The caller has computed the root that is signed from the configuration before and this very
/// change; a root alone says nothing of what it does.
pub fn decide_change(policy: &ValidPolicy, change: &ConfigChange) -> Result<Approval, Refusal> {
    let kind = change.kind();
    let mut reasons = Vec::new();
    if !policy.allows_change(kind) {
        reasons.push(Reason::ChangeDenied { kind });
    }
    let named = change.addresses().into_iter();
    let denied = named.filter(|address| policy.denies(address));
    reasons.extend(denied.map(|address| Reason::ChangeNamesDenied { address }));
    conclude(policy, Vec::new(), reasons)
}

fn conclude(
    policy: &ValidPolicy,
    readings: Vec<Reading>,
    reasons: Vec<Reason>,
) -> Result<Approval, Refusal> {
    let revision = policy.revision();
    if reasons.is_empty() {
        Ok(Approval {
            readings,
            revision,
            _decided: (),
        })
    } else {
        Err(Refusal { reasons, revision })
    }
}

/// Finds what the rules of the chain have against a call.
fn judge(rules: &ChainRules, call: usize, reading: &Reading) -> Option<Reason> {
    if let Reading::NativeTransfer { to, .. } = reading {
        let allowed = rules.may_receive_native(to);
        return (!allowed).then_some(Reason::RecipientNotAllowed { call, address: *to });
    }
    let address = reading.target();
    let understood = match (rules.allowed_calls(&address), reading) {
        (None, _) => return Some(Reason::NotAllowed { call, address }),
        (Some(AllowedCalls::Any), _) => true,
        (Some(AllowedCalls::Erc20), Reading::Unknown { .. }) => false,
        (Some(AllowedCalls::Erc20), _) => true,
        (Some(AllowedCalls::Erc20Transfer), reading) => {
            matches!(reading, Reading::Erc20Transfer { .. })
        }
    };
    (!understood).then_some(Reason::NotUnderstood { call, address })
}

/// Checks the EIP-191 prefix and that the length in it is the length of the rest, in UTF-8.
///
/// The prefix keeps a message from being a typed structure such as a token permit, whose hash
/// begins with 0x1901.
fn is_eip191_text(message: &[u8]) -> bool {
    let Some(rest) = message.strip_prefix(b"\x19Ethereum Signed Message:\n") else {
        return false;
    };
    let text = (1..=rest.len().min(8)).find_map(|digits| {
        let (length, text) = rest.split_at(digits);
        (length == text.len().to_string().as_bytes()).then_some(text)
    });
    text.is_some_and(|text| core::str::from_utf8(text).is_ok())
}

#[cfg(test)]
mod tests;
