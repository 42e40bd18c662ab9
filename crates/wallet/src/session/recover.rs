//! From a session signature to the root of its tree, by the rules of the session manager
//! (format sections 5.3 to 5.5).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, aliases::U160};

use super::limits::Usage;
use super::{
    Attestation, CallSignature, SessionDecodeError, SessionPermissions, SessionSignature,
    SessionTreeError, SignedAttestation, call_hash,
};
use crate::EcdsaSignature;
use crate::payload::{BehaviorOnError, Call, Payload, PayloadBody};

/// What the session manager reads of the chain it is on.
pub trait SessionReader {
    /// Returns the address whose key made the signature over `hash`.
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address>;

    /// Time of the block, in Unix seconds.
    fn now_unix_seconds(&self) -> u64;

    /// Number of the chain, whether or not the payload names it.
    fn chain_id(&self) -> u64;

    /// The stored total of a limit; zero if there is none. `None` if it cannot be read.
    fn limit_usage(&self, wallet: &Address, usage_hash: &B256) -> Option<U256>;

    /// What the target's `acceptImplicitRequest` answers. `None` if it cannot be asked or refuses.
    fn accept_implicit_request(
        &self,
        target: &Address,
        wallet: &Address,
        attestation: &Attestation,
        call: &Call,
    ) -> Option<B256>;
}

/// What sessions are asked to approve.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest<'a> {
    /// The payload of the wallet.
    pub payload: &'a Payload,
    /// The wallet that asks.
    pub wallet: Address,
    /// The chain the payload is hashed for, or [`crate::payload::ANY_CHAIN`].
    pub chain_id: u64,
    /// The session manager that is asked.
    pub manager: Address,
}

/// Why one call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallRule {
    /// Sessions cannot change the wallet.
    #[error("it calls the wallet itself")]
    SelfCall,
    /// Sessions run no foreign code in the wallet.
    #[error("it is a delegate call")]
    DelegateCall,
    /// Stopping early would leave limits counted and calls not made.
    #[error("it stops the batch when it fails")]
    AbortOnError,
    /// The signature yields no address.
    #[error("its signature yields no address")]
    InvalidEcdsa,
    /// The key has no session in the visible tree, or is not the attested one.
    #[error("{0} has no session")]
    UnknownSigner(Address),
    /// Signer or target are on the blacklist.
    #[error("{0} is on the blacklist")]
    Blacklisted(Address),
    /// More native value than allowed; implicit calls and increments may send none.
    #[error("it sends more native value than is allowed")]
    Value,
    /// The target did not answer with the magic value.
    #[error("its target does not accept implicit calls of this wallet")]
    NotAccepted,
    /// The session belongs to another chain.
    #[error("its session counts on another chain")]
    WrongChain,
    /// The deadline has passed.
    #[error("its session has expired")]
    SessionExpired,
    /// The permission index is beyond the session's permissions.
    #[error("its session has no permission of that number")]
    MissingPermission,
    /// Another target than the permission's.
    #[error("its target is not that of the permission")]
    Target,
    /// A rule does not hold, looks beyond the calldata, looks at nothing, or its total overflows.
    #[error("rule {index} of the permission does not hold")]
    Rule {
        /// Index of the rule.
        index: usize,
    },
    /// The session manager is called elsewhere than at index 0.
    #[error("it calls the session manager, and is not the first")]
    IncrementNotFirst,
    /// An implicit session calls the session manager.
    #[error("it calls the session manager in an implicit session")]
    ImplicitIncrement,
    /// It sends coin or has a rule about a total, and the first call of the payload does not count.
    #[error("it uses what has a limit, and the first call does not count it")]
    Uncounted,
    /// The stored totals cannot be read here.
    #[error("what was used before cannot be read")]
    UsageUnknown,
}

/// Why a session signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Sessions approve calls, nothing else.
    #[error("sessions approve calls only")]
    NotCalls,
    /// The nonce space is beyond 2^80 - 2.
    #[error("the nonce space is too large for sessions")]
    Space,
    /// The payload is of another wallet, whose signer this one is. What is spent would be counted
    /// there, and never here.
    #[error("sessions do not sign for the wallets above their own")]
    ParentWallets,
    /// No call, or not one signature for each.
    #[error("there are no calls, or not one signature for each")]
    CallCount,
    /// The bytes are no session signature.
    #[error(transparent)]
    Malformed(#[from] SessionDecodeError),
    /// The tree is refused.
    #[error(transparent)]
    Tree(#[from] SessionTreeError),
    /// An attestation is not by the tree's identity signer.
    #[error("attestation {index} is not by the identity signer")]
    Attestation {
        /// Index of the attestation.
        index: usize,
    },
    /// A call is refused.
    #[error("call {index}: {reason}")]
    Call {
        /// Index of the call.
        index: usize,
        /// The rule that is broken.
        reason: CallRule,
    },
    /// The first call counts, but not exactly what is used up.
    #[error("the first call does not write down what is used up")]
    WrongIncrement,
    /// Nothing is used up, yet the first call goes to the session manager.
    #[error("the first call goes to the session manager though nothing is used up")]
    NeedlessIncrement,
}

/// The largest nonce space of sessions: 2^80 - 2.
fn max_space() -> U160 {
    (U160::from(1) << 80) - U160::from(2)
}

/// Reads and verifies a session signature; see [`recover`].
///
/// # Errors
/// [`SessionError`].
pub fn recover_encoded(
    request: &SessionRequest<'_>,
    bytes: &[u8],
    reader: &impl SessionReader,
) -> Result<B256, SessionError> {
    let calls = calls_of(request.payload)?;
    let signature = SessionSignature::decode(bytes, calls.len())?;
    recover(request, &signature, reader)
}

/// Verifies a session signature and returns the root of its tree.
///
/// # Security
/// The caller must compare the root with the wallet's sapient leaf: anybody can make a tree of
/// their own. Stricter than the deployed manager: rules never look beyond the calldata, totals
/// never wrap, high-s signatures and zero addresses are refused.
///
/// # Errors
/// [`SessionError`] names the first rule that is broken.
pub fn recover(
    request: &SessionRequest<'_>,
    signature: &SessionSignature,
    reader: &impl SessionReader,
) -> Result<B256, SessionError> {
    let calls = calls_of(request.payload)?;
    if calls.len() != signature.calls.len() {
        return Err(SessionError::CallCount);
    }
    let first = calls.first().ok_or(SessionError::CallCount)?;
    signature.topology.check_proof()?;
    check_attestations(signature, reader)?;

    let payload_hash = request.payload.op_hash(&request.wallet, request.chain_id);
    // What was used before is asked for only where the first call counts. The format asks always, and
    // wants a session that has ever sent coin to repeat its total with every payload.
    let counting = first.to == request.manager;
    let mut usage = Usage::new(request.wallet, request.manager, counting, reader);
    let shown = Shown::of(signature);
    for (index, (call, signed)) in calls.iter().zip(&signature.calls).enumerate() {
        let hash = call_hash(&payload_hash, index);
        check_call(
            request,
            &shown,
            reader,
            &mut usage,
            (index, call),
            (&hash, signed),
        )
        .map_err(|reason| SessionError::Call { index, reason })?;
    }
    usage.check_increment(first)?;
    Ok(signature.topology.hash()?)
}

/// What a signature shows, looked up for each call: a tree can have many leaves, and a payload many
/// calls.
struct Shown<'a> {
    sessions: BTreeMap<Address, &'a SessionPermissions>,
    blacklist: &'a [Address],
    attestations: &'a [SignedAttestation],
}

impl<'a> Shown<'a> {
    fn of(signature: &'a SessionSignature) -> Self {
        let mut sessions = BTreeMap::new();
        for session in signature.topology.sessions() {
            // The first is the one that the chain uses.
            sessions.entry(session.signer).or_insert(session);
        }
        Self {
            sessions,
            blacklist: signature.topology.blacklist().unwrap_or_default(),
            attestations: &signature.attestations,
        }
    }
}

fn calls_of(payload: &Payload) -> Result<&[Call], SessionError> {
    match &payload.body {
        PayloadBody::Calls { space, .. } if *space > max_space() => Err(SessionError::Space),
        PayloadBody::Calls { .. } if !payload.parent_wallets.is_empty() => {
            Err(SessionError::ParentWallets)
        }
        PayloadBody::Calls { calls, .. } if calls.is_empty() => Err(SessionError::CallCount),
        PayloadBody::Calls { calls, .. } => Ok(calls),
        _ => Err(SessionError::NotCalls),
    }
}

fn check_attestations(
    signature: &SessionSignature,
    reader: &impl SessionReader,
) -> Result<(), SessionError> {
    if signature.attestations.is_empty() {
        return Ok(());
    }
    if signature.topology.blacklist().is_none() {
        return Err(SessionDecodeError::AttestationWithoutBlacklist.into());
    }
    let identities = signature.topology.identity_signers();
    for (index, signed) in signature.attestations.iter().enumerate() {
        let signer = signed
            .attestation
            .hash()
            .and_then(|hash| reader.ecrecover(&hash, &signed.signature))
            .filter(|signer| !signer.is_zero());
        if signer.is_none() || signer.as_ref() != identities.first() {
            return Err(SessionError::Attestation { index });
        }
    }
    Ok(())
}

fn check_call<R: SessionReader>(
    request: &SessionRequest<'_>,
    shown: &Shown<'_>,
    reader: &R,
    usage: &mut Usage<'_, R>,
    (index, call): (usize, &Call),
    (hash, signed): (&B256, &CallSignature),
) -> Result<(), CallRule> {
    if call.delegate_call {
        return Err(CallRule::DelegateCall);
    }
    if call.to == request.wallet {
        return Err(CallRule::SelfCall);
    }
    if call.behavior_on_error == BehaviorOnError::Abort {
        return Err(CallRule::AbortOnError);
    }
    let key = |by: &EcdsaSignature| {
        reader
            .ecrecover(hash, by)
            .filter(|signer| !signer.is_zero())
            .ok_or(CallRule::InvalidEcdsa)
    };
    match signed {
        CallSignature::Explicit {
            permission,
            signature: by,
        } => {
            let signer = key(by)?;
            let session = shown
                .sessions
                .get(&signer)
                .ok_or(CallRule::UnknownSigner(signer))?;
            usage.explicit(index, call, session, *permission)
        }
        CallSignature::Implicit {
            attestation,
            signature: by,
        } => {
            let signer = key(by)?;
            let attested = shown
                .attestations
                .get(usize::from(*attestation))
                .map(|signed| &signed.attestation)
                .filter(|attestation| attestation.approved_signer == signer)
                .ok_or(CallRule::UnknownSigner(signer))?;
            check_implicit(request, reader, attested, call, shown.blacklist)
        }
    }
}

fn check_implicit(
    request: &SessionRequest<'_>,
    reader: &impl SessionReader,
    attestation: &Attestation,
    call: &Call,
    blacklist: &[Address],
) -> Result<(), CallRule> {
    for address in [attestation.approved_signer, call.to] {
        if blacklist.binary_search(&address).is_ok() {
            return Err(CallRule::Blacklisted(address));
        }
    }
    if !call.value.is_zero() {
        return Err(CallRule::Value);
    }
    // Nobody's implicit session may touch the counters.
    if call.to == request.manager {
        return Err(CallRule::ImplicitIncrement);
    }
    let answer = reader.accept_implicit_request(&call.to, &request.wallet, attestation, call);
    if answer == Some(attestation.magic(&request.wallet)) {
        Ok(())
    } else {
        Err(CallRule::NotAccepted)
    }
}
