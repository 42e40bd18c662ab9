use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_wallet::payload::{NONCE_LIMIT, abi_decode, abi_encode, pack, unpack};
use keyfold_wallet::{BehaviorOnError, Call, Encoding, Payload, PayloadBody};
use serde_json::{Value, json};

use crate::{A, B, C, NODE, Vectors, WALLET, hex, some_bytes, unhex};

/// `transfer(C, 100)` on B, the payload of format section 12.
pub(crate) fn transfer() -> Payload {
    let (to, amount) = (C.into_word(), B256::from(U256::from(100)));
    let data = [&unhex("a9059cbb")[..], to.as_slice(), amount.as_slice()];
    Payload::calls(U160::ZERO, 0, vec![Call::new(B, U256::ZERO, data.concat())])
}

fn payloads() -> Vec<(&'static str, Payload)> {
    let every_flag = Call {
        value: U256::MAX,
        gas_limit: U256::from(1),
        delegate_call: true,
        only_fallback: true,
        behavior_on_error: BehaviorOnError::Abort,
        ..Call::new(WALLET, U256::ZERO, some_bytes(33))
    };
    let ignored = Call {
        behavior_on_error: BehaviorOnError::Ignore,
        ..Call::new(A, U256::from(1), Bytes::new())
    };
    let calls = vec![
        every_flag,
        ignored.clone(),
        Call::new(Address::ZERO, U256::ZERO, Bytes::new()),
    ];
    let message = PayloadBody::Message(Bytes::from_static(b"hello"));
    vec![
        ("transfer", transfer()),
        (
            "every_flag",
            Payload::calls(U160::MAX, NONCE_LIMIT - 1, calls),
        ),
        ("no_calls", Payload::calls(U160::from(1), 1, Vec::new())),
        (
            "many_calls",
            Payload::calls(U160::ZERO, 256, vec![ignored; 256]),
        ),
        ("message", message.clone().into()),
        ("empty_message", PayloadBody::Message(Bytes::new()).into()),
        ("config_update", PayloadBody::ConfigUpdate(NODE).into()),
        ("digest", PayloadBody::Digest(NODE).into()),
        (
            "message_for_parents",
            Payload {
                body: message,
                parent_wallets: vec![A, B],
            },
        ),
    ]
}

#[test]
fn payloads_of_every_kind() {
    let mut vectors = Vectors::new(
        "Payloads for the wallet 0x77…77: ABI form, hash for two chains and for every chain (0), packed \
         form of calls. The package and Solidity's abi.encode make the same; of a digest the package \
         has another hash",
    );
    for (name, payload) in payloads() {
        let packed = match payload.body {
            PayloadBody::Calls { .. } => json!({
                "npm": hex(pack(&payload, Some(&WALLET), Encoding::Npm).unwrap()),
                "shortest": hex(pack(&payload, Some(&WALLET), Encoding::Shortest).unwrap()),
            }),
            _ => Value::Null,
        };
        let hash = |chain| payload.op_hash(&WALLET, chain).to_string();
        vectors.valid(
            name,
            json!({
                "payload": payload,
                "wallet": WALLET.to_string(),
                "abi": hex(abi_encode(&payload, false)),
                "hashes": { "0": hash(0), "1": hash(1), "8453": hash(8453) },
                "recoveryHash": payload.recovery_hash(&WALLET, 1),
                "packed": packed,
            }),
        );
    }

    let to = "22".repeat(20);
    for (name, packed) in [
        ("empty", String::new()),
        ("space_cut_off", "10 0000".into()),
        ("nonce_cut_off", "17 0000".into()),
        ("call_missing", "11".into()),
        ("address_cut_off", "11 40 2222".into()),
        ("value_cut_off", format!("11 42 {to} 00")),
        ("data_cut_off", format!("11 44 {to} 000002 00")),
        ("gas_limit_cut_off", format!("11 48 {to} 00")),
        ("second_call_missing", format!("01 02 40 {to}")),
        ("trailing_byte", format!("11 40 {to} 00")),
        ("unknown_flag_40", format!("51 40 {to}")),
        ("unknown_flag_80", format!("91 40 {to}")),
        ("count_of_a_single_call", format!("31 40 {to}")),
        ("behavior_3", format!("11 c0 {to}")),
    ] {
        let bytes = unhex(&packed);
        vectors.invalid(
            name,
            json!({ "packed": hex(&bytes) }),
            unpack(&bytes, &WALLET),
        );
    }
    let abi = abi_encode(&transfer(), false);
    for (name, word, value) in [
        ("unknown_kind", 1, U256::from(4)),
        ("flag_not_bool", 2, U256::from(2)),
        ("calls_beyond_the_end", 3, U256::MAX),
        ("space_too_large", 4, U256::from(1) << 160),
        ("nonce_too_large", 5, U256::from(NONCE_LIMIT)),
    ] {
        let mut abi = abi.clone();
        abi[word * 32..][..32].copy_from_slice(&value.to_be_bytes::<32>());
        vectors.invalid(name, json!({ "abi": hex(&abi) }), abi_decode(&abi));
    }
    vectors.check("payload");
}
