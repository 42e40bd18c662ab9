//! What the contracts accept, whoever has which key.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use common::keys::{guard_key, owner_key, parts};
use common::{refused, told};
use keyfold_client::relayer_api::Relay;
use keyfold_client::{SignedTransaction, Wallet};
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_testkit::system::{CHAIN_ID, System};
use keyfold_wallet::config::default_tree;
use keyfold_wallet::payload::{eip191, pack};
use keyfold_wallet::signature::{Header, encode};
use keyfold_wallet::{Call, Encoding, Payload, PayloadBody, abi};
use serde_json::Value;

use super::{OTHER_CHAIN, World, anybody, balance, common, next_nonce};

/// A signature that a wallet takes for its own (ERC-1271).
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

pub(super) async fn owner_or_guard_alone_move_nothing_on_chain(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let owner = owner_key(system, alice, wallet).await;
    let guard = guard_key(system, alice);
    assert_eq!(Address::from(owner.address()), wallet.owner());
    assert_eq!(Some(Address::from(guard.address())), wallet.guard());
    let config = default_tree(wallet.owner(), wallet.guard()).unwrap();
    let nonce = next_nonce(world, wallet).await;
    let thief = anybody();
    let calls = vec![Call::new(thief, U256::from(7), Bytes::new())];
    let payload = Payload::calls(U160::ZERO, nonce, calls);
    let digest = payload.op_hash(&wallet.address(), CHAIN_ID);
    let packed: Bytes = pack(&payload, Some(&wallet.address()), Encoding::Shortest)
        .unwrap()
        .into();
    let sign_hash = |keys: &[&SigningKey], hash: B256| {
        encode(&config, &parts(keys, &hash), &Header::default()).unwrap()
    };
    let sign = |keys: &[&SigningKey]| sign_hash(keys, digest);
    let message = keccak256(eip191(b"stolen"));
    let said = Payload {
        body: PayloadBody::Message(eip191(b"stolen")),
        parent_wallets: Vec::new(),
    };
    let said = said.op_hash(&wallet.address(), CHAIN_ID);
    for (who, keys) in [
        ("nobody", vec![]),
        ("the owner", vec![&owner]),
        ("the guard", vec![&guard]),
    ] {
        let signature = sign(&keys);
        let ran = system
            .chain()
            .view(wallet.address(), abi::execute(&packed, &signature))
            .await;
        assert!(ran.is_err(), "{who} alone moved the wallet");
        let transaction = SignedTransaction {
            id: common::channel::request_id(),
            digest: keyfold_client::ids::Digest32::from_bytes(digest.0),
            relay: Relay {
                chain_id: CHAIN_ID,
                wallet: wallet.address(),
                image_hash: wallet.image_hash(),
                payload: packed.clone(),
                signature,
            },
        };
        refused(alice.device.relay(&transaction).await, "call_reverts");
        assert!(
            !is_valid(system, wallet, message, &sign_hash(&keys, said)).await,
            "{who}"
        );
    }
    assert_eq!(balance(world, thief).await, U256::ZERO);
    // Together they do, so it is not something else that failed.
    let both = [&owner, &guard];
    let ran = system
        .chain()
        .view(wallet.address(), abi::execute(&packed, &sign(&both)))
        .await;
    assert!(ran.is_ok(), "{ran:?}");
    assert!(is_valid(system, wallet, message, &sign_hash(&both, said)).await);
}

pub(super) async fn a_signed_message_is_its_wallets_alone(world: &World) {
    let World {
        system,
        alice,
        wallet,
        sibling,
    } = world;
    let text = b"this wallet and no other";
    let hash = keccak256(eip191(text));
    let of = async |wallet: &Wallet, chain| {
        let signed = alice
            .device
            .sign_message(&alice.session, wallet, chain, text)
            .await;
        signed.unwrap_or_else(|error| panic!("{}", told(&error)))
    };
    let signed = of(wallet, CHAIN_ID).await;
    assert!(
        is_valid(system, wallet, hash, &signed.signature).await,
        "its own wallet refuses it"
    );
    // The other program's word for it.
    let said: Value = system
        .chain()
        .cast(&[
            "call",
            &wallet.address().to_string(),
            "isValidSignature(bytes32,bytes)(bytes4)",
            &hash.to_string(),
            &signed.signature.to_string(),
        ])
        .await
        .unwrap();
    assert!(said.to_string().contains("1626ba7e"), "{said}");

    assert!(
        !is_valid(system, sibling, hash, &signed.signature).await,
        "a sibling takes it"
    );
    let other_text = keccak256(eip191(b"another text"));
    assert!(
        !is_valid(system, wallet, other_text, &signed.signature).await,
        "another text"
    );
    // The bare hash of the text, without the prefix that keeps it from being a transaction.
    assert!(
        !is_valid(system, wallet, keccak256(text), &signed.signature).await,
        "no prefix"
    );
    let elsewhere = of(wallet, OTHER_CHAIN).await;
    assert!(
        !is_valid(system, wallet, hash, &elsewhere.signature).await,
        "another chain's"
    );
    let siblings = of(sibling, CHAIN_ID).await;
    assert!(is_valid(system, sibling, hash, &siblings.signature).await);
    assert!(
        !is_valid(system, wallet, hash, &siblings.signature).await,
        "the sibling's"
    );
    for at in 0..signed.signature.len() {
        let mut altered = signed.signature.to_vec();
        altered[at] ^= 1;
        assert!(
            !is_valid(system, wallet, hash, &altered).await,
            "altered at {at}"
        );
    }
    let longer = [&signed.signature[..], &[0]].concat();
    assert!(
        !is_valid(system, wallet, hash, &longer).await,
        "a byte more"
    );
}
async fn is_valid(system: &System, wallet: &Wallet, hash: B256, signature: &[u8]) -> bool {
    let asked = abi::is_valid_signature(&hash, signature);
    // A revert is a refusal as good as any other value.
    let said = system
        .chain()
        .view(wallet.address(), asked)
        .await
        .unwrap_or_default();
    said.get(..4) == Some(&MAGIC)
}
