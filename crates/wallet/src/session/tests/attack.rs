//! What a session key, or a thief of a session signature, tries (attack cases, group D).

use alloy_primitives::aliases::U160;

use super::world::{By, IDENTITY, KEY, MANAGER, OTHER_KEY, World, pay, refused, transfer};
use super::*;
use crate::payload::{BehaviorOnError, Payload, PayloadBody};

fn open_call(to: Address) -> Call {
    Call::new(to, U256::ZERO, Bytes::new())
}

/// A world where [`OTHER_KEY`] may call B with anything and counts nothing.
fn open_world() -> World {
    let mut world = World::new();
    let mut open = session(owner(OTHER_KEY));
    open.permissions = vec![Permission {
        target: B,
        rules: Vec::new(),
    }];
    world.topology = world.topology.with_session(open).unwrap();
    world
}

const OPEN: By = By::Explicit(OTHER_KEY, 0);

fn with_first(change: impl FnOnce(&mut Call)) -> Result<B256, SessionError> {
    let mut call = open_call(B);
    change(&mut call);
    open_world().run(vec![call], &[OPEN])
}

#[test]
fn delegate_call_wallet_call_and_abort_are_refused() {
    assert!(with_first(|_| {}).is_ok());
    assert_eq!(
        with_first(|call| call.delegate_call = true),
        refused(0, CallRule::DelegateCall)
    );
    assert_eq!(
        with_first(|call| call.to = WALLET),
        refused(0, CallRule::SelfCall)
    );
    assert_eq!(
        with_first(|call| call.behavior_on_error = BehaviorOnError::Abort),
        refused(0, CallRule::AbortOnError)
    );
}

#[test]
fn a_signature_for_another_wallet_or_chain_is_refused() {
    for (wallet, chain) in [(A, 1), (WALLET, 10), (WALLET, 0)] {
        let mut world = open_world();
        world.signed_wallet = wallet;
        world.signed_chain = chain;
        let result = world.run(vec![open_call(B)], &[OPEN]);
        // Another hash yields another key, which has no session.
        assert!(
            matches!(
                result,
                Err(SessionError::Call {
                    index: 0,
                    reason: CallRule::UnknownSigner(_)
                })
            ),
            "{result:?}"
        );
    }
}

#[test]
fn a_call_signature_counts_at_its_place_only() {
    let world = open_world();
    let payload = world.payload(vec![open_call(B), open_call(B)]);
    let mut signature = world.sign(&payload, &[OPEN, OPEN]);
    signature.calls.swap(0, 1);
    assert!(matches!(
        world.verify(&payload, &signature),
        Err(SessionError::Call { index: 0, .. })
    ));
}

#[test]
fn a_session_of_another_chain_and_an_expired_one_are_refused() {
    let mut world = World::new();
    world.chain_id = 10;
    assert_eq!(
        world.run_counted(vec![transfer(1)]),
        refused(1, CallRule::WrongChain)
    );
    let mut world = World::new();
    world.now = 2_000_000_000;
    assert!(world.run_counted(vec![transfer(1)]).is_ok());
    world.now += 1;
    assert_eq!(
        world.run_counted(vec![transfer(1)]),
        refused(1, CallRule::SessionExpired)
    );
}

#[test]
fn a_space_beyond_the_limit_is_refused() {
    let limit = (U160::from(1) << 80) - U160::from(2);
    let mut world = open_world();
    world.space = limit;
    assert!(world.run(vec![open_call(B)], &[OPEN]).is_ok());
    world.space = limit + U160::from(1);
    assert_eq!(
        world.run(vec![open_call(B)], &[OPEN]),
        Err(SessionError::Space)
    );
}

#[test]
fn sessions_sign_no_messages_and_no_empty_batches() {
    let world = open_world();
    let signature = world.sign(&world.payload(Vec::new()), &[]);
    for body in [
        PayloadBody::Message(Bytes::new()),
        PayloadBody::ConfigUpdate(B256::ZERO),
        PayloadBody::Digest(B256::ZERO),
    ] {
        assert_eq!(
            world.verify(&Payload::from(body), &signature),
            Err(SessionError::NotCalls)
        );
    }
    assert_eq!(
        world.verify(&world.payload(Vec::new()), &signature),
        Err(SessionError::CallCount)
    );
}

#[test]
fn permissions_are_kept_to() {
    let world = open_world();
    assert_eq!(
        world.run(vec![open_call(C)], &[OPEN]),
        refused(0, CallRule::Target)
    );
    assert_eq!(
        world.run(vec![open_call(B)], &[By::Explicit(OTHER_KEY, 1)]),
        refused(0, CallRule::MissingPermission)
    );
    assert_eq!(
        world.run(vec![open_call(B)], &[By::Explicit(5, 0)]),
        refused(0, CallRule::UnknownSigner(owner(5)))
    );
    assert_eq!(
        World::new().run_counted(vec![transfer(60), transfer(41)]),
        refused(2, CallRule::Rule { index: 0 })
    );
    assert_eq!(
        World::new().run_counted(vec![pay(1001)]),
        refused(1, CallRule::Value)
    );
}

#[test]
fn a_rule_beyond_the_calldata_is_refused() {
    let short = Call::new(C, U256::ZERO, hex!("a9059cbb").to_vec());
    assert_eq!(
        World::new().run_counted(vec![short]),
        refused(1, CallRule::Rule { index: 0 })
    );
}

#[test]
fn a_total_that_wraps_is_refused() {
    let mut world = World::new();
    let session = session(owner(KEY));
    let rule = rule_usage_hash(&owner(KEY), &session.permissions[0], 0);
    world.usage.insert(rule, U256::MAX);
    assert_eq!(
        world.run_counted(vec![transfer(1)]),
        refused(1, CallRule::Rule { index: 0 })
    );
}

#[test]
fn the_increment_call_must_be_exact() {
    let world = World::new();
    let by = [By::Explicit(KEY, 0), By::Explicit(KEY, 0)];
    assert_eq!(
        world.run(vec![transfer(10)], &by[..1]),
        refused(0, CallRule::Uncounted)
    );
    let rule = rule_usage_hash(&owner(KEY), &session(owner(KEY)).permissions[0], 0);
    let total = |amount: u64| UsageLimit {
        usage_hash: rule,
        amount: U256::from(amount),
    };
    let increment = |totals: &[UsageLimit]| Call::new(MANAGER, U256::ZERO, increment_data(totals));
    let good = increment(&[total(10)]);
    assert!(world.run(vec![good.clone(), transfer(10)], &by).is_ok());
    for bad in [
        increment(&[total(9)]),
        increment(&[total(10), total(10)]),
        increment(&[]),
        Call {
            behavior_on_error: BehaviorOnError::Ignore,
            ..good.clone()
        },
        Call {
            only_fallback: true,
            ..good.clone()
        },
        Call {
            data: [&good.data[..], &[0]].concat().into(),
            ..good.clone()
        },
    ] {
        assert_eq!(
            world.run(vec![bad, transfer(10)], &by),
            Err(SessionError::WrongIncrement)
        );
    }
    let paid = Call {
        value: U256::from(1),
        ..good.clone()
    };
    assert_eq!(
        world.run(vec![paid, transfer(10)], &by),
        refused(0, CallRule::Value)
    );
    assert_eq!(
        world.run(vec![transfer(10), good], &by),
        refused(0, CallRule::Uncounted)
    );
    let by = [By::Explicit(OTHER_KEY, 0), OPEN];
    assert_eq!(
        open_world().run(vec![increment(&[]), open_call(B)], &by),
        Err(SessionError::NeedlessIncrement)
    );
}

#[test]
fn without_the_increment_call_nothing_with_a_limit_is_used() {
    let mut world = World::new();
    let sent = value_usage_hash(&owner(KEY));
    let by = [By::Explicit(KEY, 1), By::Explicit(KEY, 1)];
    let pay = |wei: u64| Call {
        value: U256::from(wei),
        ..open_call(B)
    };
    let increment = |amount: u64| {
        let total = UsageLimit {
            usage_hash: sent,
            amount: U256::from(amount),
        };
        Call::new(MANAGER, U256::ZERO, increment_data(&[total]))
    };
    let mut open = session(owner(KEY));
    open.permissions.push(Permission {
        target: B,
        rules: Vec::new(),
    });
    world.topology = world
        .topology
        .without_session(&owner(KEY))
        .and_then(|tree| tree.with_session(open))
        .unwrap();
    world.usage.insert(sent, U256::from(600));
    // Below, at and above what is left of 1000, and what the limit is by itself.
    for wei in [1, 399, 400, 401, 1000, 1001] {
        let uncounted = |index| refused(index, CallRule::Uncounted);
        assert_eq!(world.run(vec![pay(wei)], &by[..1]), uncounted(0));
        assert_eq!(world.run(vec![pay(0), pay(wei)], &by), uncounted(1));
        let late = vec![pay(wei), increment(600 + wei)];
        assert_eq!(world.run(late, &by), uncounted(0));
    }
    assert_eq!(
        world.run(vec![pay(0), increment(600)], &by),
        refused(1, CallRule::IncrementNotFirst)
    );
    // A rule about a total, also where it adds nothing.
    for amount in [0, 10] {
        assert_eq!(
            world.run(vec![transfer(amount)], &[By::Explicit(KEY, 0)]),
            refused(0, CallRule::Uncounted)
        );
    }
    // Nothing is sent: the old total may stand there or not, but no other.
    assert!(world.run(vec![pay(0)], &by[..1]).is_ok());
    assert!(world.run(vec![increment(600), pay(0)], &by).is_ok());
    assert_eq!(
        world.run(vec![increment(599), pay(0)], &by),
        Err(SessionError::WrongIncrement)
    );
    let fallback = Call {
        only_fallback: true,
        ..increment(700)
    };
    assert_eq!(
        world.run(vec![fallback, pay(100)], &by),
        Err(SessionError::WrongIncrement)
    );
}

#[test]
fn of_two_sessions_each_is_counted() {
    let mut world = open_world();
    let keys = [KEY, OTHER_KEY].map(|key| value_usage_hash(&owner(key)));
    for key in keys {
        world.usage.insert(key, U256::from(5));
    }
    let by = [By::Explicit(KEY, 0), OPEN];
    let paid = Call {
        value: U256::from(1),
        ..open_call(B)
    };
    let increment = |amounts: &[(B256, u64)]| {
        let totals: Vec<UsageLimit> = amounts
            .iter()
            .map(|(usage_hash, amount)| UsageLimit {
                usage_hash: *usage_hash,
                amount: U256::from(*amount),
            })
            .collect();
        Call::new(MANAGER, U256::ZERO, increment_data(&totals))
    };
    // The first key counts, and so is asked what it has sent before.
    let all = increment(&[(keys[0], 5), (keys[1], 6)]);
    assert!(world.run(vec![all, paid.clone()], &by).is_ok());
    for wrong in [
        increment(&[(keys[1], 6)]),
        increment(&[(keys[0], 6)]),
        increment(&[(keys[1], 6), (keys[0], 5)]),
    ] {
        assert_eq!(
            world.run(vec![wrong, paid.clone()], &by),
            Err(SessionError::WrongIncrement)
        );
    }
    assert_eq!(
        world.run(vec![open_call(B), paid], &[OPEN, OPEN]),
        refused(1, CallRule::Uncounted)
    );
}

fn implicit(world: &World, key: u8, identity: u8, call: Call) -> Result<B256, SessionError> {
    world.run(vec![call], &[By::Implicit(key, identity)])
}

#[test]
fn implicit_calls_need_identity_acceptance_and_no_value() {
    let mut world = World::new();
    assert_eq!(
        implicit(&world, OTHER_KEY, IDENTITY, open_call(B)),
        refused(0, CallRule::NotAccepted)
    );
    world.accepting = vec![B];
    assert!(implicit(&world, OTHER_KEY, IDENTITY, open_call(B)).is_ok());
    assert_eq!(
        implicit(&world, OTHER_KEY, OTHER_KEY, open_call(B)),
        Err(SessionError::Attestation { index: 0 })
    );
    let paid = Call {
        value: U256::from(1),
        ..open_call(B)
    };
    assert_eq!(
        implicit(&world, OTHER_KEY, IDENTITY, paid),
        refused(0, CallRule::Value)
    );
}

#[test]
fn an_implicit_call_to_the_manager_is_refused_whatever_it_answers() {
    let mut world = World::new();
    world.accepting = vec![MANAGER];
    assert_eq!(
        implicit(&world, OTHER_KEY, IDENTITY, open_call(MANAGER)),
        refused(0, CallRule::ImplicitIncrement)
    );
}

#[test]
fn blacklisted_keys_and_targets_are_refused() {
    for listed in [owner(OTHER_KEY), B] {
        let mut world = World::new();
        world.accepting = vec![B];
        world.topology = world.topology.with_blacklisted(listed).unwrap();
        assert_eq!(
            implicit(&world, OTHER_KEY, IDENTITY, open_call(B)),
            refused(0, CallRule::Blacklisted(listed))
        );
    }
}

#[test]
fn an_attestation_of_another_key_is_refused() {
    let mut world = World::new();
    world.accepting = vec![B];
    let payload = world.payload(vec![open_call(B)]);
    let mut signature = world.sign(&payload, &[By::Implicit(OTHER_KEY, IDENTITY)]);
    let hash = payload.op_hash(&WALLET, 1);
    signature.calls[0] = CallSignature::Implicit {
        attestation: 0,
        signature: sign(KEY, &call_hash(&hash, 0)),
    };
    assert_eq!(
        world.verify(&payload, &signature),
        refused(0, CallRule::UnknownSigner(owner(KEY)))
    );
}

#[test]
fn a_hidden_blacklist_is_refused() {
    let mut world = World::new();
    world.accepting = vec![B];
    let payload = world.payload(vec![open_call(B)]);
    let mut signature = world.sign(&payload, &[By::Implicit(OTHER_KEY, IDENTITY)]);
    signature.topology = signature
        .topology
        .minimised(&[], false, &owner(IDENTITY), Encoding::Npm)
        .unwrap();
    assert_eq!(
        world.verify(&payload, &signature),
        Err(SessionError::Malformed(
            SessionDecodeError::AttestationWithoutBlacklist
        ))
    );
}

fn decode_hex(text: &str) -> Result<SessionTopology, SessionDecodeError> {
    SessionTopology::decode(&hex::decode(text).unwrap())
}

#[test]
fn malformed_trees_are_refused() {
    use SessionDecodeError as D;
    use SessionTreeError as T;
    let a = "11".repeat(20);
    let b = "22".repeat(20);
    let identity = format!("40{a}");
    for (text, expected) in [
        (String::new(), D::Tree(T::MalformedTree)),
        ("30".into(), D::Tree(T::NoIdentitySigner)),
        (
            format!("{identity}{identity}"),
            D::Tree(T::ManyIdentitySigners),
        ),
        (format!("{identity}3030"), D::Tree(T::ManyBlacklists)),
        (format!("{identity}32{b}{a}"), D::Tree(T::BlacklistUnsorted)),
        (format!("{identity}32{a}{a}"), D::Tree(T::BlacklistUnsorted)),
        (
            format!("{identity}31{}", "00".repeat(20)),
            D::Tree(T::BlacklistUnsorted),
        ),
        (
            format!("40{}", "00".repeat(20)),
            D::Tree(T::ZeroIdentitySigner),
        ),
        (
            format!("{identity}10{}", "00".repeat(32)),
            D::Tree(T::MalformedTree),
        ),
        (format!("{identity}50"), D::UnknownFlag(0x50)),
        (format!("{identity}11"), D::UnknownFlag(0x11)),
        (format!("{identity}01"), D::UnknownFlag(0x01)),
        (format!("{identity}33{a}"), D::Truncated),
        (format!("{identity}3fffff"), D::Truncated),
        (format!("{identity}2105"), D::Truncated),
        (format!("{identity}00{b}"), D::MalformedSession),
        (format!("{identity}2100"), D::Tree(T::MalformedTree)),
    ] {
        assert_eq!(decode_hex(&text), Err(expected), "{text}");
    }
    let mut deep = hex::decode(&identity).unwrap();
    for _ in 0..200 {
        deep = [&[0x24][..], &(deep.len() as u32).to_be_bytes(), &deep].concat();
    }
    assert_eq!(SessionTopology::decode(&deep), Err(D::Tree(T::TooDeep)));
}

#[test]
fn a_rule_that_looks_at_nothing_is_refused_by_encoder_and_decoder() {
    let mut bad = session(B);
    bad.permissions[0].rules[0].mask = B256::ZERO;
    let tree = SessionTopology::empty(A)
        .unwrap()
        .with_session(bad)
        .unwrap();
    assert_eq!(
        tree.encode(Encoding::Shortest),
        Err(SessionTreeError::EmptyMask)
    );
    let bytes = tree.encode(Encoding::Npm).unwrap();
    assert_eq!(
        SessionTopology::decode(&bytes),
        Err(SessionDecodeError::Tree(SessionTreeError::EmptyMask))
    );
}

#[test]
fn a_session_of_address_zero_is_refused() {
    let tree = SessionTopology::empty(A)
        .unwrap()
        .with_session(session(Address::ZERO))
        .unwrap();
    assert_eq!(tree.check(), Err(SessionTreeError::ZeroSigner));
    let bytes = tree.encode(Encoding::Npm).unwrap();
    assert_eq!(
        SessionTopology::decode(&bytes),
        Err(SessionDecodeError::Tree(SessionTreeError::ZeroSigner))
    );
    assert_eq!(
        SessionTopology::empty(Address::ZERO),
        Err(SessionTreeError::ZeroIdentitySigner)
    );
}

#[test]
fn signatures_of_the_wrong_length_are_refused() {
    let world = open_world();
    let payload = world.payload(vec![open_call(B)]);
    let bytes = world
        .sign(&payload, &[OPEN])
        .encode(Encoding::Shortest)
        .unwrap();
    assert!(SessionSignature::decode(&bytes, 1).is_ok());
    for length in 0..bytes.len() {
        assert!(SessionSignature::decode(&bytes[..length], 1).is_err());
    }
    assert_eq!(
        SessionSignature::decode(&[&bytes[..], &[0]].concat(), 1),
        Err(SessionDecodeError::TrailingBytes)
    );
    assert!(SessionSignature::decode(&bytes, 0).is_err());
    assert!(SessionSignature::decode(&bytes, 2).is_err());
}

#[test]
fn too_many_permissions_are_refused() {
    let mut many = session(B);
    many.permissions = vec![many.permissions[0].clone(); 128];
    let tree = SessionTopology::empty(A)
        .unwrap()
        .with_session(many)
        .unwrap();
    assert_eq!(tree.hash(), Err(SessionTreeError::TooManyPermissions));
    assert_eq!(
        tree.encode(Encoding::Npm),
        Err(SessionTreeError::TooManyPermissions)
    );
}

#[test]
fn a_branch_of_one_or_without_a_length_is_refused_as_on_chain() {
    let identity = SessionTopology::IdentitySigner(A)
        .encode(Encoding::Npm)
        .unwrap();
    let node = [&[0x10][..], &[7; 32]].concat();
    let branch = |inner: &[u8]| [&[0x21, inner.len() as u8][..], inner].concat();
    let tree = |last: &[u8]| SessionTopology::decode(&[&identity, last].concat());
    assert!(tree(&branch(&[node.clone(), node.clone()].concat())).is_ok());
    let malformed = SessionDecodeError::Tree(SessionTreeError::MalformedTree);
    assert_eq!(tree(&branch(&node)), Err(malformed));
    assert_eq!(tree(&branch(&[])), Err(malformed));
    assert_eq!(tree(&[0x20]), Err(SessionDecodeError::UnknownFlag(0x20)));
}
