//! Random sessions, and calls that mostly keep to them.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use keyfold_wallet::payload::{ANY_CHAIN, BehaviorOnError, Call, Payload, PayloadBody};
use keyfold_wallet::session::{
    Attestation, Comparison, Permission, PlannedCall, Rule, SessionPermissions, SessionSignature,
    SessionTopology, SignedAttestation, SignedCall, call_hash, increment_call, rule_usage_hash,
    value_usage_hash,
};
use keyfold_wallet::{EcdsaSignature, Encoding};

use super::World;
use crate::chain::{CHAIN_ID, NOW};
use crate::keys::Keys;
use crate::mocks::{self, WELCOMING};
use crate::rng::Rng;

/// The key that attests implicit sessions.
const IDENTITY: usize = 7;
/// How many keys may have sessions.
const SESSION_KEYS: usize = 4;

pub(super) struct Made {
    pub(super) payload: Payload,
    pub(super) no_chain_id: bool,
    pub(super) world: World,
    pub(super) bytes: Vec<u8>,
    /// A part of another tree.
    pub(super) donor: Vec<u8>,
}

/// Who signs a call, and with what.
enum By {
    Explicit { key: usize, permission: u8 },
    Implicit { key: usize },
}

fn small(rng: &mut Rng) -> U256 {
    if rng.chance(90) {
        U256::from(rng.below(50))
    } else {
        rng.number()
    }
}

/// Calldata, and what may be done with it.
fn template(rng: &mut Rng) -> Vec<u8> {
    let mut data = rng.bytes(4);
    for _ in 0..rng.below(4) {
        data.extend(small(rng).to_be_bytes::<32>());
    }
    if rng.chance(4) {
        data.truncate(rng.below(data.len() + 1));
    }
    data
}

fn rule(rng: &mut Rng, data: &[u8]) -> Rule {
    let selector = rng.chance(30);
    let mut mask = [0xff; 32];
    if selector {
        mask[4..].fill(0);
    } else if rng.chance(20) {
        let from = 1 + rng.below(31);
        mask[from..].fill(0);
    }
    if rng.below(2000) == 0 {
        mask = [0; 32];
    }
    let words = data.len().saturating_sub(4) / 32;
    let offset = match rng.below(12) {
        0 if rng.chance(20) => rng.number(),
        1 if rng.chance(30) => U256::from(rng.below(data.len() + 2)),
        _ if selector || words == 0 => U256::ZERO,
        _ => U256::from(4 + 32 * rng.below(words)),
    };
    let mut rule = Rule {
        cumulative: rng.chance(30),
        comparison: rng.pick(&[
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::AtLeast,
            Comparison::AtMost,
        ]),
        value: small(rng).into(),
        offset,
        mask: mask.into(),
    };
    // Mostly one that holds.
    if let (true, Some(found)) = (rng.chance(96), rule.value_in(data)) {
        rule.value = match rule.comparison {
            Comparison::Equal => found,
            Comparison::NotEqual => found.wrapping_add(U256::from(1)),
            Comparison::AtLeast => found.saturating_sub(U256::from(rng.below(3))),
            Comparison::AtMost => found.saturating_mul(U256::from(1 + rng.below(20))),
        }
        .into();
        if rule.comparison == Comparison::Equal {
            rule.cumulative = rule.cumulative && rng.chance(20);
        }
    }
    rule
}

/// A session, and calldata for each of its permissions.
fn session(rng: &mut Rng, signer: Address, manager: Address) -> (SessionPermissions, Vec<Vec<u8>>) {
    let mut permissions = Vec::new();
    let mut data = Vec::new();
    for _ in 0..(if rng.chance(90) {
        1 + rng.below(3)
    } else {
        rng.below(128)
    }) {
        let template = template(rng);
        let target = match rng.below(20) {
            0 => manager,
            1..=5 => WELCOMING,
            _ => rng.pick(&[Address::repeat_byte(0x71), Address::repeat_byte(0x72)]),
        };
        let rules = (0..rng.below(4)).map(|_| rule(rng, &template)).collect();
        permissions.push(Permission { target, rules });
        data.push(template);
    }
    let session = SessionPermissions {
        signer,
        chain_id: if rng.chance(1) {
            rng.next()
        } else {
            rng.pick(&[0, CHAIN_ID])
        },
        value_limit: if rng.chance(50) {
            U256::from(200)
        } else {
            rng.number()
        },
        deadline: if rng.chance(1) {
            NOW - 1
        } else {
            rng.pick(&[0, NOW, NOW + 1, u64::MAX])
        },
        permissions,
    };
    (session, data)
}

fn attestation(rng: &mut Rng, approved_signer: Address) -> Attestation {
    Attestation {
        approved_signer,
        identity_type: FixedBytes::from_slice(&rng.bytes(4)),
        issuer_hash: rng.hash(),
        audience_hash: rng.hash(),
        application_data: rng.some_bytes(40).into(),
        redirect_url: Bytes::from_static(b"https://app.example/after"),
        issued_at: rng.next(),
    }
}

fn blacklist(rng: &mut Rng, keys: &Keys) -> Vec<Address> {
    let count = if rng.chance(90) {
        rng.below(5)
    } else {
        rng.below(40)
    };
    let mut list: Vec<Address> = (0..count).map(|_| rng.address()).collect();
    if rng.chance(2) {
        list.push(WELCOMING);
    }
    if rng.chance(2) {
        list.push(keys.address(0));
    }
    list.sort();
    list.dedup();
    list
}

fn tree(rng: &mut Rng, mut leaves: Vec<SessionTopology>) -> SessionTopology {
    if leaves.len() < 2 {
        return leaves.pop().unwrap();
    }
    if rng.chance(30) {
        return SessionTopology::Branch(leaves);
    }
    let right = leaves.split_off(1 + rng.below(leaves.len() - 1));
    SessionTopology::Branch(vec![tree(rng, leaves), tree(rng, right)])
}

pub(super) fn signature(rng: &mut Rng, keys: &Keys, wallet: Address, manager: Address) -> Made {
    let sessions: Vec<_> = (0..SESSION_KEYS)
        .map(|key| session(rng, keys.address(key), manager))
        .collect();
    let shown = 1 + rng.below(SESSION_KEYS);
    let mut leaves: Vec<SessionTopology> = sessions[..shown]
        .iter()
        .map(|(one, _)| SessionTopology::Session(one.clone()))
        .collect();
    leaves.push(SessionTopology::IdentitySigner(keys.address(IDENTITY)));
    if rng.chance(90) {
        leaves.push(SessionTopology::Blacklist(blacklist(rng, keys)));
    }
    for _ in 0..rng.below(3) {
        leaves.push(SessionTopology::Node(rng.hash()));
    }
    // In any order.
    for index in (1..leaves.len()).rev() {
        leaves.swap(index, rng.below(index + 1));
    }
    let topology = tree(rng, leaves);

    let world = world(rng, &sessions);
    let (mut calls, mut by) = calls(rng, &sessions);
    count(
        rng,
        (wallet, manager),
        &sessions,
        &world,
        (&mut calls, &mut by),
    );
    for call in &mut calls {
        spoil(rng, call, wallet, manager);
    }
    let space = match rng.below(30) {
        0 => (U160::from(1) << 80) - U160::from(1 + rng.below(3)),
        _ => U160::from(rng.next()),
    };
    let mut payload = Payload::calls(space, rng.next() >> 8, calls);
    if rng.chance(1) {
        payload = PayloadBody::Digest(rng.hash()).into();
    }
    if rng.chance(10) {
        payload.parent_wallets.push(rng.address());
    }
    let no_chain_id = rng.chance(20);
    let hash = payload.op_hash(&wallet, if no_chain_id { ANY_CHAIN } else { CHAIN_ID });
    let attested: Vec<SignedAttestation> = (0..SESSION_KEYS)
        .map(|key| {
            let attestation = attestation(rng, keys.address(key));
            let by = if rng.chance(97) { IDENTITY } else { 0 };
            let signature = keys.sign(by, &attestation.hash().unwrap());
            SignedAttestation {
                attestation,
                signature,
            }
        })
        .collect();
    let signed: Vec<SignedCall> = by
        .iter()
        .enumerate()
        .map(|(index, by)| sign(keys, &attested, by, &call_hash(&hash, index)))
        .collect();
    let mut explicit: Vec<Address> = (0..shown).map(|key| keys.address(key)).collect();
    explicit.retain(|_| rng.chance(98));
    let bytes = encode(rng, &topology, &signed, &explicit, keys);
    let other = session(rng, keys.address(rng.clone().below(SESSION_KEYS)), manager).0;
    let other = SessionTopology::Branch(vec![
        SessionTopology::IdentitySigner(keys.address(IDENTITY)),
        SessionTopology::Session(other),
        SessionTopology::Blacklist(blacklist(rng, keys)),
    ]);
    Made {
        payload,
        no_chain_id,
        world,
        bytes,
        donor: other.encode(Encoding::Npm).unwrap(),
    }
}

/// What was used before.
fn world(rng: &mut Rng, sessions: &[(SessionPermissions, Vec<Vec<u8>>)]) -> World {
    let mut world = World::default();
    if rng.chance(60) {
        return world;
    }
    for (session, _) in sessions {
        if rng.chance(30) {
            world
                .usage
                .insert(value_usage_hash(&session.signer), small(rng));
        }
        for permission in &session.permissions {
            for index in 0..permission.rules.len() {
                if rng.chance(30) {
                    let key = rule_usage_hash(&session.signer, permission, index);
                    world.usage.insert(key, small(rng));
                }
            }
        }
    }
    world
}

fn calls(rng: &mut Rng, sessions: &[(SessionPermissions, Vec<Vec<u8>>)]) -> (Vec<Call>, Vec<By>) {
    let mut calls = Vec::new();
    let mut all_by = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let key = if rng.chance(85) {
            0
        } else {
            rng.below(SESSION_KEYS)
        };
        let (session, data) = &sessions[key];
        let explicit = rng.chance(70) && !session.permissions.is_empty();
        let mut call = if explicit {
            let permission = rng.below(session.permissions.len());
            all_by.push(By::Explicit {
                key,
                permission: permission as u8,
            });
            let to = session.permissions[permission].target;
            Call::new(to, U256::ZERO, data[permission].clone())
        } else {
            all_by.push(By::Implicit { key });
            let to = if rng.chance(90) {
                WELCOMING
            } else {
                rng.pick(&mocks::ALL)
            };
            Call::new(to, U256::ZERO, rng.some_bytes(40))
        };
        if explicit && rng.chance(30) {
            call.value = small(rng);
        }
        if rng.chance(30) {
            call.behavior_on_error = BehaviorOnError::Ignore;
        }
        call.only_fallback = rng.chance(10);
        calls.push(call);
    }
    (calls, all_by)
}

/// Puts before the explicit calls what counts them, if anything has to be.
fn count(
    rng: &mut Rng,
    (wallet, manager): (Address, Address),
    sessions: &[(SessionPermissions, Vec<Vec<u8>>)],
    world: &World,
    (calls, by): (&mut Vec<Call>, &mut Vec<By>),
) {
    let planned: Vec<PlannedCall<'_>> = calls
        .iter()
        .zip(by.iter())
        .filter_map(|(call, by)| match by {
            By::Explicit { key, permission } => Some(PlannedCall {
                call,
                session: &sessions[*key].0,
                permission: *permission,
            }),
            By::Implicit { .. } => None,
        })
        .collect();
    let increment = increment_call(&wallet, &manager, &planned, world);
    let first = by.iter().find_map(|by| match by {
        By::Explicit { key, .. } => Some(*key),
        By::Implicit { .. } => None,
    });
    if let (Ok(Some(call)), Some(key), true) = (increment, first, rng.chance(97)) {
        calls.insert(0, call);
        by.insert(
            0,
            By::Explicit {
                key,
                permission: rng.byte() & 0x7f,
            },
        );
    }
}

/// What sessions may not do, or may not do here.
fn spoil(rng: &mut Rng, call: &mut Call, wallet: Address, manager: Address) {
    if !rng.chance(4) {
        return;
    }
    match rng.below(8) {
        0 => call.delegate_call = true,
        1 => call.to = wallet,
        2 => call.behavior_on_error = BehaviorOnError::Abort,
        3 => call.to = manager,
        4 => call.value = rng.number(),
        5 => call.data = rng.some_bytes(80).into(),
        6 => call.only_fallback = !call.only_fallback,
        _ => call.gas_limit = rng.number(),
    }
}

fn sign(keys: &Keys, attested: &[SignedAttestation], by: &By, hash: &B256) -> SignedCall {
    let signature = |key: usize| -> EcdsaSignature { keys.sign(key, hash) };
    match by {
        By::Explicit { key, permission } => SignedCall::Explicit {
            permission: *permission,
            signature: signature(*key),
        },
        By::Implicit { key } => SignedCall::Implicit {
            attestation: Box::new(attested[*key].clone()),
            signature: signature(*key),
        },
    }
}

fn encode(
    rng: &mut Rng,
    topology: &SessionTopology,
    signed: &[SignedCall],
    explicit: &[Address],
    keys: &Keys,
) -> Vec<u8> {
    let implicit = signed
        .iter()
        .any(|call| matches!(call, SignedCall::Implicit { .. }));
    let shown = implicit || rng.chance(20);
    let identity = keys.address(IDENTITY);
    let encoding = rng.pick(&[Encoding::Shortest, Encoding::Npm]);
    let shown = (explicit, shown);
    let signature =
        SessionSignature::with_visible(topology, signed, shown, &identity, encoding).unwrap();
    // Shortest judges the tree; what it refuses is written all the same.
    signature
        .encode(encoding)
        .or_else(|_| signature.encode(Encoding::Npm))
        .unwrap()
}
