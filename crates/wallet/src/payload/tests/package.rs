//! What the npm package hashes and packs, and the ABI form (`vectors/payloads.json`).

use alloy_sol_types::{SolValue, sol};
use serde::Deserialize;

use super::*;
use crate::payload::{AbiDecodeError, abi_decode, abi_encode, effective_chain_id};

sol! {
    struct SolCall {
        address to;
        uint256 value;
        bytes data;
        uint256 gasLimit;
        bool delegateCall;
        bool onlyFallback;
        uint256 behaviorOnError;
    }
    struct SolDecoded {
        uint8 kind;
        bool noChainId;
        SolCall[] calls;
        uint256 space;
        uint256 nonce;
        bytes message;
        bytes32 imageHash;
        bytes32 digest;
        address[] parentWallets;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    wallet: Address,
    chain_id: u64,
    payload: Payload,
    abi: Bytes,
    hash: B256,
    recovery_hash: B256,
    packed: Option<Bytes>,
    packed_self: Option<Bytes>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../vectors/payloads.json")).unwrap()
}

#[test]
fn payloads_are_those_of_the_package() {
    for case in cases() {
        assert_eq!(
            case.payload.npm_hash(&case.wallet, case.chain_id),
            case.hash
        );
        let ours = case.payload.op_hash(&case.wallet, case.chain_id);
        let digest = matches!(case.payload.body, PayloadBody::Digest(_));
        assert_eq!(ours == case.hash, !digest);
        if !digest {
            assert_eq!(
                case.payload.recovery_hash(&case.wallet, case.chain_id),
                case.recovery_hash
            );
        }
        assert_eq!(
            hex::encode(abi_encode(&case.payload, case.chain_id == 0)),
            hex::encode(&case.abi)
        );
        let (decoded, no_chain_id) = abi_decode(&case.abi).unwrap();
        assert_eq!(decoded, case.payload);
        assert_eq!(
            effective_chain_id(case.chain_id, no_chain_id),
            case.chain_id
        );
        let packed = pack(&case.payload, None, Encoding::Npm).ok();
        assert_eq!(packed.map(Bytes::from), case.packed);
        if let (PayloadBody::Calls { calls, .. }, Some(expected)) =
            (&case.payload.body, case.packed_self)
        {
            let wallet = calls.first().map(|call| call.to);
            let packed = pack(&case.payload, wallet.as_ref(), Encoding::Npm).unwrap();
            assert_eq!(Bytes::from(packed), expected);
        }
        let text = serde_json::to_string(&case.payload).unwrap();
        assert_eq!(
            serde_json::from_str::<Payload>(&text).unwrap(),
            case.payload
        );
    }
}

fn second(payload: &Payload, no_chain_id: bool) -> SolDecoded {
    let mut out = SolDecoded {
        kind: 0,
        noChainId: no_chain_id,
        calls: Vec::new(),
        space: U256::ZERO,
        nonce: U256::ZERO,
        message: Bytes::new(),
        imageHash: B256::ZERO,
        digest: B256::ZERO,
        parentWallets: payload.parent_wallets.clone(),
    };
    match &payload.body {
        PayloadBody::Calls {
            space,
            nonce,
            calls,
        } => {
            out.space = U256::from(*space);
            out.nonce = U256::from(*nonce);
            out.calls = calls
                .iter()
                .map(|call| SolCall {
                    to: call.to,
                    value: call.value,
                    data: call.data.clone(),
                    gasLimit: call.gas_limit,
                    delegateCall: call.delegate_call,
                    onlyFallback: call.only_fallback,
                    behaviorOnError: U256::from(call.behavior_on_error as u8),
                })
                .collect();
        }
        PayloadBody::Message(message) => (out.kind, out.message) = (1, message.clone()),
        PayloadBody::ConfigUpdate(hash) => (out.kind, out.imageHash) = (2, *hash),
        PayloadBody::Digest(hash) => (out.kind, out.digest) = (3, *hash),
    }
    out
}

proptest! {
    #[test]
    fn abi_form_matches_a_second_encoder(
        calls in prop::collection::vec(any_call(), 0..5),
        message in prop::collection::vec(any::<u8>(), 0..100),
        hash in any::<[u8; 32]>(),
        kind in 0u8..4,
        parents in prop::collection::vec(any::<u8>(), 0..4),
        no_chain_id in any::<bool>(),
    ) {
        let body = match kind {
            0 => PayloadBody::Calls { space: U160::from(7), nonce: 9, calls },
            1 => PayloadBody::Message(message.into()),
            2 => PayloadBody::ConfigUpdate(hash.into()),
            _ => PayloadBody::Digest(hash.into()),
        };
        let parent_wallets = parents.into_iter().map(Address::repeat_byte).collect();
        let payload = Payload { body, parent_wallets };
        let bytes = abi_encode(&payload, no_chain_id);
        prop_assert_eq!(&bytes, &second(&payload, no_chain_id).abi_encode());
        prop_assert_eq!(abi_decode(&bytes), Ok((payload.clone(), no_chain_id)));
        let text = serde_json::to_string(&payload).unwrap();
        prop_assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
    }

    #[test]
    fn reading_changed_abi_bytes_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let call = Call::new(Address::repeat_byte(1), U256::from(5), vec![7; 40]);
        let payload = Payload::calls(U160::from(1), 2, vec![call.clone(), call]);
        let mut bytes = abi_encode(&payload, false);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = abi_decode(&bytes);
        let _ = abi_decode(&bytes[..at]);
    }
}

#[test]
fn abi_values_out_of_range_are_refused() {
    let call = Call::new(Address::repeat_byte(1), U256::from(5), vec![7; 40]);
    let payload = Payload::calls(U160::from(1), 2, vec![call]);
    let good = abi_encode(&payload, false);
    let with = |index: usize, value: U256| {
        let mut bytes = good.clone();
        bytes[index * 32..][..32].copy_from_slice(&value.to_be_bytes::<32>());
        abi_decode(&bytes).map(|_| ())
    };
    // Words: offset, then the struct's nine, the calls' count and offset, the call's seven.
    assert_eq!(
        with(1, U256::from(4)),
        Err(AbiDecodeError::UnknownKind(U256::from(4)))
    );
    assert_eq!(
        with(2, U256::from(2)),
        Err(AbiDecodeError::OutOfRange("noChainId"))
    );
    assert_eq!(with(4, U256::MAX), Err(AbiDecodeError::OutOfRange("space")));
    assert_eq!(
        with(5, U256::from(NONCE_LIMIT)),
        Err(AbiDecodeError::OutOfRange("nonce"))
    );
    assert_eq!(with(12, U256::MAX), Err(AbiDecodeError::OutOfRange("to")));
    assert_eq!(
        with(18, U256::from(3)),
        Err(AbiDecodeError::OutOfRange("behaviorOnError"))
    );
    assert_eq!(with(0, U256::MAX), Err(AbiDecodeError::Truncated));
    assert_eq!(with(3, U256::MAX), Err(AbiDecodeError::Truncated));
    assert_eq!(with(10, U256::from(3)), Err(AbiDecodeError::Truncated));
    assert_eq!(with(10, U256::from(70_000)), Err(AbiDecodeError::TooLong));
}
