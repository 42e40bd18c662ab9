//! A wallet with sessions on a chain of test values.

use std::collections::BTreeMap;

use alloy_primitives::aliases::U160;

use super::*;
use crate::EcdsaSignature;
use crate::payload::Payload;
use crate::signature::tests::ecrecover;

pub(super) const MANAGER: Address = Address::repeat_byte(0x5e);
pub(super) const IDENTITY: u8 = 9;
pub(super) const KEY: u8 = 1;
pub(super) const OTHER_KEY: u8 = 2;

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) chain_id: u64,
    pub(super) usage: BTreeMap<B256, U256>,
    /// Targets that accept implicit calls.
    pub(super) accepting: Vec<Address>,
    pub(super) topology: SessionTopology,
    pub(super) space: U160,
    /// The wallet that the keys sign for.
    pub(super) signed_wallet: Address,
    pub(super) signed_chain: u64,
}

impl SessionReader for World {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        ecrecover(hash, signature)
    }

    fn now_unix_seconds(&self) -> u64 {
        self.now
    }

    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn limit_usage(&self, wallet: &Address, usage_hash: &B256) -> Option<U256> {
        assert_eq!(wallet, &WALLET);
        Some(self.usage.get(usage_hash).copied().unwrap_or_default())
    }

    fn accept_implicit_request(
        &self,
        target: &Address,
        wallet: &Address,
        attestation: &Attestation,
        call: &Call,
    ) -> Option<B256> {
        assert_eq!(target, &call.to);
        self.accepting
            .contains(target)
            .then(|| attestation.magic(wallet))
    }
}

/// How a call is signed in these tests.
#[derive(Clone, Copy)]
pub(super) enum By {
    /// Key and permission.
    Explicit(u8, u8),
    /// Key, and the key that signs the attestation.
    Implicit(u8, u8),
}

impl World {
    pub(super) fn new() -> Self {
        let topology = SessionTopology::empty(owner(IDENTITY))
            .unwrap()
            .with_session(session(owner(KEY)))
            .unwrap();
        Self {
            now: 1_800_000_000,
            chain_id: 1,
            usage: BTreeMap::new(),
            accepting: Vec::new(),
            topology,
            space: U160::from(7),
            signed_wallet: WALLET,
            signed_chain: 1,
        }
    }

    pub(super) fn payload(&self, calls: Vec<Call>) -> Payload {
        Payload::calls(self.space, 0, calls)
    }

    pub(super) fn sign(&self, payload: &Payload, by: &[By]) -> SessionSignature {
        let hash = payload.op_hash(&self.signed_wallet, self.signed_chain);
        let calls: Vec<SignedCall> = by
            .iter()
            .enumerate()
            .map(|(index, by)| match *by {
                By::Explicit(key, permission) => SignedCall::Explicit {
                    permission,
                    signature: sign(key, &call_hash(&hash, index)),
                },
                By::Implicit(key, identity) => {
                    let attestation = attestation(owner(key));
                    let signature = sign(identity, &attestation.hash().unwrap());
                    SignedCall::Implicit {
                        attestation: Box::new(SignedAttestation {
                            attestation,
                            signature,
                        }),
                        signature: sign(key, &call_hash(&hash, index)),
                    }
                }
            })
            .collect();
        let explicit: Vec<Address> = by
            .iter()
            .filter_map(|by| match by {
                By::Explicit(key, _) => Some(owner(*key)),
                By::Implicit(..) => None,
            })
            .collect();
        let identity = owner(IDENTITY);
        SessionSignature::new(
            &self.topology,
            &calls,
            &explicit,
            &identity,
            Encoding::Shortest,
        )
        .unwrap()
    }

    pub(super) fn verify(
        &self,
        payload: &Payload,
        signature: &SessionSignature,
    ) -> Result<B256, SessionError> {
        let request = SessionRequest {
            payload,
            wallet: WALLET,
            chain_id: 1,
            manager: MANAGER,
        };
        let direct = recover(&request, signature, self);
        for encoding in [Encoding::Shortest, Encoding::Npm] {
            if let Ok(bytes) = signature.encode(encoding) {
                assert_eq!(recover_encoded(&request, &bytes, self), direct);
            }
        }
        direct
    }

    /// Signs and verifies calls.
    pub(super) fn run(&self, calls: Vec<Call>, by: &[By]) -> Result<B256, SessionError> {
        let payload = self.payload(calls);
        let signature = self.sign(&payload, by);
        self.verify(&payload, &signature)
    }

    /// As [`World::run`] for explicit calls of [`KEY`], with the increment call they need.
    pub(super) fn run_counted(&self, calls: Vec<Call>) -> Result<B256, SessionError> {
        let session = self.topology.session(&owner(KEY)).unwrap();
        let planned: Vec<PlannedCall<'_>> = calls
            .iter()
            .map(|call| PlannedCall {
                call,
                session,
                permission: 0,
            })
            .collect();
        let increment = increment_call(&WALLET, &MANAGER, &planned, self)?;
        let all: Vec<Call> = increment.into_iter().chain(calls).collect();
        let by = vec![By::Explicit(KEY, 0); all.len()];
        self.run(all, &by)
    }
}

/// A token transfer whose amount the session's rule counts.
pub(super) fn transfer(amount: u64) -> Call {
    let mut data = hex!("a9059cbb").to_vec();
    data.extend_from_slice(B256::repeat_byte(0x44).as_slice());
    data.extend_from_slice(&U256::from(amount).to_be_bytes::<32>());
    Call::new(C, U256::ZERO, data)
}

/// A call that fits the session's rule and sends value.
pub(super) fn pay(wei: u64) -> Call {
    Call {
        value: U256::from(wei),
        ..transfer(0)
    }
}

pub(super) fn refused(index: usize, reason: CallRule) -> Result<B256, SessionError> {
    Err(SessionError::Call { index, reason })
}

#[test]
fn explicit_calls_within_their_limits_prove_the_root() {
    let world = World::new();
    let root = world.topology.hash();
    assert_eq!(world.run_counted(vec![transfer(100)]), Ok(root.unwrap()));
    assert_eq!(
        world.run_counted(vec![transfer(40), pay(400), transfer(60), pay(600)]),
        Ok(root.unwrap())
    );
}

#[test]
fn implicit_calls_that_are_accepted_prove_the_root() {
    let mut world = World::new();
    world.accepting = vec![B, C];
    let calls = vec![
        Call::new(B, U256::ZERO, Bytes::new()),
        Call::new(C, U256::ZERO, Bytes::new()),
    ];
    let by = [
        By::Implicit(OTHER_KEY, IDENTITY),
        By::Implicit(OTHER_KEY, IDENTITY),
    ];
    assert_eq!(
        world.run(calls.clone(), &by),
        Ok(world.topology.hash().unwrap())
    );
    // One attestation serves both calls.
    let payload = world.payload(calls);
    assert_eq!(world.sign(&payload, &by).attestations.len(), 1);
}

#[test]
fn totals_go_on_where_the_chain_stands() {
    let mut world = World::new();
    let session = session(owner(KEY));
    let rule = rule_usage_hash(&owner(KEY), &session.permissions[0], 0);
    world.usage.insert(rule, U256::from(90));
    assert!(world.run_counted(vec![transfer(10)]).is_ok());
    assert_eq!(
        world.run_counted(vec![transfer(11)]),
        refused(1, CallRule::Rule { index: 0 })
    );
    world
        .usage
        .insert(value_usage_hash(&owner(KEY)), U256::from(999));
    assert!(world.run_counted(vec![pay(1)]).is_ok());
    assert_eq!(world.run_counted(vec![pay(2)]), refused(1, CallRule::Value));
}

#[test]
fn a_session_without_limits_used_needs_no_increment() {
    let mut world = World::new();
    let mut open = session(owner(OTHER_KEY));
    open.permissions = vec![Permission {
        target: B,
        rules: Vec::new(),
    }];
    world.topology = world.topology.with_session(open).unwrap();
    let call = Call::new(B, U256::ZERO, Bytes::new());
    assert!(world.run(vec![call], &[By::Explicit(OTHER_KEY, 0)]).is_ok());
}
