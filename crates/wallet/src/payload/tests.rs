//! Vectors of the format description (section 12), and properties of packing.

use alloy_primitives::{address, b256, bytes, hex, keccak256};
use proptest::prelude::*;

use super::*;
use crate::Encoding;

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const WALLET: Address = address!("9216f3b1ab1a872bed72da41d0832e285f8a7de6");

mod package;

fn erc20_call() -> Call {
    let data = bytes!(
        "a9059cbb"
        "0000000000000000000000003333333333333333333333333333333333333333"
        "0000000000000000000000000000000000000000000000000000000000000064"
    );
    Call::new(B, U256::ZERO, data)
}

fn erc20(nonce: u64) -> Payload {
    Payload::calls(U160::ZERO, nonce, vec![erc20_call()])
}

#[test]
fn call_struct_hash_matches_published_vector() {
    assert_eq!(
        erc20_call().struct_hash(),
        b256!("b345da98fcde253a6f6a9d9580b7a4f691e689991789216cd74890e954863710")
    );
}

#[test]
fn op_hashes_match_published_vectors() {
    let payload = erc20(0);
    for (wallet, chain, expected) in [
        (
            WALLET,
            1,
            b256!("810944a35254a18e4ddf0250a16637dcd17ea7c92dfe67c58c93bfc7a10b92cb"),
        ),
        (
            WALLET,
            0,
            b256!("b58a691dd1b932f686345a2a8c2baeab5901927fba3f45b4bb96e0486b686629"),
        ),
        (
            Address::ZERO,
            1,
            b256!("28168800d747afb2e917b5d918ce292b663961043c1752a05796116aa5320155"),
        ),
    ] {
        assert_eq!(payload.op_hash(&wallet, chain), expected);
    }
    let nested = Payload {
        parent_wallets: vec![A, B],
        ..payload
    };
    assert_eq!(
        nested.op_hash(&WALLET, 1),
        b256!("a73e78d2c252b549dec85d88c33e331778a53cd119bc39ca082f4e38ff821b42")
    );
}

#[test]
fn other_kinds_match_published_vectors() {
    let message = Payload::from(PayloadBody::Message(Bytes::from_static(b"hello")));
    let expected = b256!("95e9179151426b85e6ce98174d1b37e2712b5d821ca4f9013a27e9deb4d00c01");
    assert_eq!(message.op_hash(&WALLET, 1), expected);
    let digest = Payload::from(PayloadBody::Digest(keccak256(b"hello")));
    assert_eq!(digest.op_hash(&WALLET, 1), expected);
    let update = Payload::from(PayloadBody::ConfigUpdate(B256::repeat_byte(0xab)));
    assert_eq!(
        update.op_hash(&WALLET, ANY_CHAIN),
        b256!("399369c4669f4b7301cac5dd5c624c5edd4db3b59c925228a2cda3d7b2300876")
    );
}

#[test]
fn eip191_counts_bytes_not_characters() {
    assert_eq!(
        eip191("é".as_bytes()).as_ref(),
        b"\x19Ethereum Signed Message:\n2\xc3\xa9"
    );
}

#[test]
fn npm_packing_matches_published_vectors() {
    for (nonce, head) in [(0, "130044"), (1, "130144")] {
        let packed = pack(&erc20(nonce), None, Encoding::Npm).unwrap();
        assert_eq!(packed.len(), 94);
        assert!(hex::encode(&packed).starts_with(&format!("{head}{}000044", hex::encode(B))));
        assert_eq!(unpack(&packed, &WALLET).unwrap(), erc20(nonce));
    }
}

#[test]
fn shortest_native_transfer_is_54_bytes() {
    let payload = Payload::calls(
        U160::ZERO,
        0,
        vec![Call::new(B, U256::from(1), Bytes::new())],
    );
    let packed = pack(&payload, None, Encoding::Shortest).unwrap();
    assert_eq!(packed.len(), 54);
    assert_eq!(packed[..2], [0x11, 0x42]);
}

#[test]
fn trailing_bytes_are_refused() {
    let mut packed = pack(&erc20(0), None, Encoding::Shortest).unwrap();
    packed.push(0);
    assert_eq!(unpack(&packed, &WALLET), Err(UnpackError::TrailingBytes));
}

#[test]
fn every_truncation_is_refused() {
    let packed = pack(&erc20(7), None, Encoding::Shortest).unwrap();
    for length in 0..packed.len() {
        assert_eq!(
            unpack(&packed[..length], &WALLET),
            Err(UnpackError::Truncated)
        );
    }
}

#[test]
fn behavior_three_is_refused() {
    let mut packed = pack(&erc20(0), None, Encoding::Shortest).unwrap();
    packed[1] |= 0xc0;
    assert_eq!(unpack(&packed, &WALLET), Err(UnpackError::UnknownBehavior));
}

#[test]
fn unknown_global_flags_are_refused() {
    for flag in [0x40, 0x80, 0x20] {
        let mut packed = pack(&erc20(0), None, Encoding::Shortest).unwrap();
        packed[0] |= flag;
        assert_eq!(unpack(&packed, &WALLET), Err(UnpackError::UnknownFlag));
    }
}

#[test]
fn what_the_format_cannot_express_is_refused() {
    let pack = |payload: Payload| pack(&payload, None, Encoding::Shortest);
    assert_eq!(pack(erc20(NONCE_LIMIT)), Err(PackError::NonceTooLarge));
    assert_eq!(
        pack(PayloadBody::Digest(B256::ZERO).into()),
        Err(PackError::NotCalls)
    );
    let many = vec![Call::new(A, U256::ZERO, Bytes::new()); MAX_CALLS + 1];
    assert_eq!(
        pack(Payload::calls(U160::ZERO, 0, many)),
        Err(PackError::TooManyCalls)
    );
    let long = Call::new(A, U256::ZERO, vec![0; MAX_CALL_DATA + 1]);
    assert_eq!(
        pack(Payload::calls(U160::ZERO, 0, vec![long])),
        Err(PackError::CallDataTooLong)
    );
}

fn any_call() -> impl Strategy<Value = Call> {
    let behavior = prop_oneof![
        Just(BehaviorOnError::Ignore),
        Just(BehaviorOnError::Revert),
        Just(BehaviorOnError::Abort)
    ];
    let to = prop_oneof![Just(WALLET), any::<[u8; 20]>().prop_map(Address::from)];
    let word = prop_oneof![
        Just(U256::ZERO),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes)
    ];
    let data = prop::collection::vec(any::<u8>(), 0..80);
    (
        to,
        word.clone(),
        data,
        word,
        any::<(bool, bool)>(),
        behavior,
    )
        .prop_map(
            |(to, value, data, gas_limit, (delegate_call, only_fallback), behavior_on_error)| {
                Call {
                    to,
                    value,
                    data: data.into(),
                    gas_limit,
                    delegate_call,
                    only_fallback,
                    behavior_on_error,
                }
            },
        )
}

proptest! {
    #[test]
    fn unpack_undoes_pack(
        space in prop_oneof![Just([0u8; 20]), any::<[u8; 20]>()],
        nonce in 0..NONCE_LIMIT,
        shift in 0u32..56,
        calls in prop::collection::vec(any_call(), 0..5),
        own in any::<bool>(),
        npm in any::<bool>(),
    ) {
        let payload = Payload::calls(U160::from_be_bytes(space), nonce >> shift, calls);
        let encoding = if npm { Encoding::Npm } else { Encoding::Shortest };
        let packed = pack(&payload, own.then_some(&WALLET), encoding).unwrap();
        prop_assert_eq!(unpack(&packed, &WALLET).unwrap(), payload);
    }

    #[test]
    fn unpack_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(payload) = unpack(&bytes, &WALLET) {
            // Whatever is accepted has one meaning that survives being written again.
            let again = pack(&payload, None, Encoding::Shortest).unwrap();
            prop_assert_eq!(unpack(&again, &WALLET).unwrap(), payload);
        }
    }
}

#[test]
fn three_hundred_calls_need_a_wide_count() {
    let calls = vec![Call::new(A, U256::ZERO, Bytes::new()); 300];
    let payload = Payload::calls(U160::from(5), 1, calls);
    let packed = pack(&payload, None, Encoding::Shortest).unwrap();
    assert_eq!(packed[0], 0x22);
    assert_eq!(unpack(&packed, &WALLET).unwrap(), payload);
}
