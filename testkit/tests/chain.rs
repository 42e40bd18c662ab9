//! Guard, relayer and chain: what is refused, what is sent once, what the contracts accept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use std::time::Duration;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use common::channel::random;
use common::storage::{all_uses, open_share};
use common::{Cases, Part, Person, refused, told};
use keyfold_client::client_api::WireCall;
use keyfold_client::relayer_api::{Relay, RelayState};
use keyfold_client::{ClientError, SignedTransaction, WaitLimit, Wallet};
use keyfold_crypto::Encoder;
use keyfold_crypto::commitment::SharePurpose;
use keyfold_crypto::envelope::MasterKey as EnvelopeKey;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_crypto::shamir::{Threshold, combine};
use keyfold_storage::MasterKey;
use keyfold_testkit::system::{CHAIN_ID, System};
use keyfold_wallet::config::default_tree;
use keyfold_wallet::payload::{eip191, pack};
use keyfold_wallet::signature::{Header, Parts, encode};
use keyfold_wallet::{Call, EcdsaSignature, Encoding, Payload, PayloadBody, SignaturePart, abi};
use serde_json::{Value, json};

/// A chain on which the guard lets texts be signed, and nothing else.
const OTHER_CHAIN: u64 = 1;
const COIN: u128 = 1_000_000_000_000_000_000;
/// A signature that a wallet takes for its own (ERC-1271).
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

struct World {
    system: System,
    alice: Person,
    /// Deployed, with coins.
    wallet: Wallet,
    /// The same person's, deployed too.
    sibling: Wallet,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guard_relayer_and_contracts_let_nothing_pass() {
    let system = common::start(|options| {
        let policy = options.projects[0].policy.as_mut().unwrap();
        let mut texts_only = policy.chains[0].clone();
        texts_only.ids = vec![OTHER_CHAIN];
        texts_only.native = Default::default();
        policy.chains.push(texts_only);
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let (wallet, sibling) = (alice.wallet("main").await, alice.wallet("sibling").await);
    for each in [&wallet, &sibling] {
        system
            .chain()
            .fund(each.address(), U256::from(COIN))
            .await
            .unwrap();
    }
    let world = World {
        system,
        alice,
        wallet,
        sibling,
    };
    for each in [&world.wallet, &world.sibling] {
        let signed = signed(&world, each, vec![pay(anybody(), 1)]).await.unwrap();
        world.alice.device.relay(&signed).await.unwrap();
        mined(&world, &signed).await;
    }
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            what_the_guard_denies_gets_no_share,
            without_the_guard_nothing_is_signed_until_it_is_back,
            owner_or_guard_alone_move_nothing_on_chain,
            one_idempotency_key_sends_once,
            without_a_chain_node_the_error_says_so_and_nothing_is_lost,
            a_relayer_killed_before_the_block_sends_exactly_once,
            a_relayer_killed_at_any_moment_sends_exactly_once,
            a_signed_message_is_its_wallets_alone,
        ]
    );
    cases.end(world.system).await;
}

fn anybody() -> Address {
    Address::from(random::<20>())
}

fn pay(to: Address, wei: u64) -> WireCall {
    WireCall {
        to,
        value: U256::from(wei),
        data: Bytes::new(),
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

async fn next_nonce(world: &World, wallet: &Wallet) -> u64 {
    let state = world
        .alice
        .device
        .wallet_on_chain(CHAIN_ID, &wallet.address())
        .await;
    state
        .unwrap_or_else(|error| panic!("{}", told(&error)))
        .nonce
}

/// Has a wallet sign calls with its next nonce.
async fn signed(
    world: &World,
    wallet: &Wallet,
    calls: Vec<WireCall>,
) -> Result<SignedTransaction, ClientError> {
    let nonce = next_nonce(world, wallet).await;
    let World { alice, .. } = world;
    alice
        .device
        .sign_transaction(&alice.session, wallet, CHAIN_ID, U160::ZERO, nonce, calls)
        .await
}

async fn mined(world: &World, transaction: &SignedTransaction) -> B256 {
    let relayed = world
        .alice
        .device
        .wait(
            transaction,
            WaitLimit {
                milliseconds: 30_000,
            },
        )
        .await;
    relayed
        .unwrap_or_else(|error| panic!("{}", told(&error)))
        .hash
}

async fn balance(world: &World, address: Address) -> U256 {
    world.system.chain().balance(address).await.unwrap()
}

async fn what_the_guard_denies_gets_no_share(world: &World) {
    let before = all_uses(&world.system).await;
    let contract = anybody();
    let call = WireCall {
        data: Bytes::from_static(&[0xa9, 0x05, 0x9c, 0xbb, 0, 0]),
        ..pay(contract, 0)
    };
    let denied = world.system.denied();
    let cases = [
        ("a denied address", vec![pay(denied, 1)], denied),
        (
            "a denied address behind a good one",
            vec![pay(anybody(), 1), pay(denied, 0)],
            denied,
        ),
        (
            "a contract that nobody allowed",
            vec![call.clone()],
            contract,
        ),
        (
            "the same, allowed to fail",
            vec![
                pay(anybody(), 1),
                WireCall {
                    gas_limit: U256::from(50_000),
                    ignore_error: true,
                    ..call
                },
            ],
            contract,
        ),
        (
            "the wallet itself",
            vec![WireCall {
                data: abi::update_image_hash(&B256::ZERO),
                ..pay(world.wallet.address(), 0)
            }],
            world.wallet.address(),
        ),
    ];
    for (what, calls, named) in cases {
        let error =
            refused(signed(world, &world.wallet, calls).await, "guard_denied").to_lowercase();
        let named = format!("{named:#x}");
        assert!(
            error.contains(&named) || error.contains("wallet"),
            "{what}: no reason in {error:?}"
        );
    }
    let World { alice, wallet, .. } = world;
    let bytes = alice
        .device
        .sign_message(&alice.session, wallet, CHAIN_ID, &[0xff, 0x00, 0xfe]);
    refused(bytes.await, "guard_denied");
    // What may be done here, on a chain where something else may be done, or nothing.
    let calls = vec![pay(anybody(), 1)];
    let elsewhere =
        alice
            .device
            .sign_transaction(&alice.session, wallet, OTHER_CHAIN, U160::ZERO, 0, calls);
    refused(elsewhere.await, "guard_denied");
    let unnamed = alice
        .device
        .sign_message(&alice.session, wallet, CHAIN_ID + 1, b"text");
    refused(unnamed.await, "guard_denied");
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a share was released before the guard agreed"
    );
    signed(world, wallet, vec![pay(anybody(), 1)])
        .await
        .unwrap();
}

async fn without_the_guard_nothing_is_signed_until_it_is_back(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let before = all_uses(system).await;
    system.process(Part::Guard).kill().await;
    refused(
        alice.sign(wallet, "without a guard").await,
        "guard_unavailable",
    );
    refused(
        signed(world, wallet, vec![pay(anybody(), 1)]).await,
        "guard_unavailable",
    );
    assert_eq!(
        all_uses(system).await,
        before,
        "a share was released without the guard"
    );
    system.start_again(Part::Guard).await.unwrap();
    alice.must_sign(wallet, "with the guard").await;
}

/// The owner's key, as t holders who work together have it.
async fn owner_key(world: &World) -> SigningKey {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let one = open_share(system, 0, alice, wallet, SharePurpose::LeafKey)
        .await
        .share;
    let two = open_share(system, 1, alice, wallet, SharePurpose::LeafKey)
        .await
        .share;
    let secret = combine(Threshold::new(2, 3).unwrap(), &[one, two]).unwrap();
    SigningKey::from_secret_bytes(&secret).unwrap()
}

/// The guard's key, as whoever stole its master key has it.
fn guard_key(world: &World) -> SigningKey {
    let master = MasterKey::load(&world.system.files().guard().join("master.key")).unwrap();
    let master: EnvelopeKey = master.to_envelope_key();
    let context = Encoder::new("keyfold/guard-signer-context/v1")
        .str(world.alice.project.id.as_str())
        .u32(0)
        .finish();
    SigningKey::from_secret(&master.derive("keyfold/guard-signer/v1", &context)).unwrap()
}

async fn owner_or_guard_alone_move_nothing_on_chain(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let (owner, guard) = (owner_key(world).await, guard_key(world));
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
    let sign = |keys: &[&SigningKey]| {
        let mut parts = Parts::new();
        for key in keys {
            let made = key.sign_prehash(&digest.0);
            let part = EcdsaSignature::new(made.r.into(), made.s.into(), made.y_parity).unwrap();
            parts.insert(Address::from(key.address()), SignaturePart::EcdsaHash(part));
        }
        encode(&config, &parts, &Header::default()).unwrap()
    };
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
            !is_valid(system, wallet, message, &sign_hash(&config, &keys, said)).await,
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
    assert!(is_valid(system, wallet, message, &sign_hash(&config, &both, said)).await);
}

fn sign_hash(config: &keyfold_wallet::ValidConfig, keys: &[&SigningKey], digest: B256) -> Bytes {
    let mut parts = Parts::new();
    for key in keys {
        let made = key.sign_prehash(&digest.0);
        let part = EcdsaSignature::new(made.r.into(), made.s.into(), made.y_parity).unwrap();
        parts.insert(Address::from(key.address()), SignaturePart::EcdsaHash(part));
    }
    encode(config, &parts, &Header::default()).unwrap()
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

async fn sent_by_the_relayer(world: &World, transaction: B256) -> u64 {
    let chain = world.system.chain();
    let there = chain
        .call("eth_getTransactionByHash", json!([transaction]))
        .await
        .unwrap();
    let count = chain
        .call("eth_getTransactionCount", json!([there["from"], "latest"]))
        .await
        .unwrap();
    let count = count.as_str().unwrap().trim_start_matches("0x").to_owned();
    u64::from_str_radix(&count, 16).unwrap()
}

async fn one_idempotency_key_sends_once(world: &World) {
    let World { alice, wallet, .. } = world;
    let to = anybody();
    let first = signed(world, wallet, vec![pay(to, 11)]).await.unwrap();
    // In parallel, and then again.
    let asked = futures_util::future::join_all((0..6).map(|_| alice.device.relay(&first))).await;
    let hash = mined(world, &first).await;
    for relayed in asked {
        let relayed = relayed.unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_eq!(relayed.hash, hash);
    }
    let count = sent_by_the_relayer(world, hash).await;
    let again = alice.device.relay(&first).await.unwrap();
    assert_eq!((again.hash, again.state), (hash, RelayState::Mined));
    assert_eq!(
        sent_by_the_relayer(world, hash).await,
        count,
        "it was sent again"
    );
    assert_eq!(balance(world, to).await, U256::from(11));

    // The key names that request and no other; and another key does not send it again.
    let second = signed(world, wallet, vec![pay(to, 12)]).await.unwrap();
    let under_the_first = SignedTransaction {
        id: first.id,
        ..second
    };
    refused(
        alice.device.relay(&under_the_first).await,
        "idempotency_conflict",
    );
    let under_another = SignedTransaction {
        id: common::channel::request_id(),
        ..first
    };
    refused(alice.device.relay(&under_another).await, "call_reverts");
    assert_eq!(balance(world, to).await, U256::from(11));
}

async fn without_a_chain_node_the_error_says_so_and_nothing_is_lost(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let to = anybody();
    let transaction = signed(world, wallet, vec![pay(to, 13)]).await.unwrap();
    // It ends properly, so that it writes down the chain; what a node forgets is the relayer's own
    // test.
    system.process(Part::Node).stop().await;
    refused(
        alice
            .device
            .wallet_on_chain(CHAIN_ID, &wallet.address())
            .await,
        "chain_unavailable",
    );
    refused(alice.device.relay(&transaction).await, "chain_unavailable");
    // Keys do not depend on the chain.
    alice.must_sign(wallet, "without a chain").await;
    system.start_again(Part::Node).await.unwrap();
    alice
        .device
        .relay(&transaction)
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    mined(world, &transaction).await;
    assert_eq!(balance(world, to).await, U256::from(13));
}

async fn automine(world: &World, on: bool) {
    world
        .system
        .chain()
        .call("evm_setAutomine", json!([on]))
        .await
        .unwrap();
    if on {
        world
            .system
            .chain()
            .call("evm_mine", json!([]))
            .await
            .unwrap();
    }
}

async fn a_relayer_killed_before_the_block_sends_exactly_once(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let to = anybody();
    let transaction = signed(world, wallet, vec![pay(to, 14)]).await.unwrap();
    automine(world, false).await;
    let taken = alice.device.relay(&transaction).await;
    system.process(Part::Relayer).kill().await;
    let unmined = balance(world, to).await;
    automine(world, true).await;
    let started = system.start_again(Part::Relayer).await;

    let taken = taken.unwrap_or_else(|error| panic!("{}", told(&error)));
    started.unwrap();
    assert_eq!((taken.state, unmined), (RelayState::Sent, U256::ZERO));
    assert_eq!(mined(world, &transaction).await, taken.hash);
    let count = sent_by_the_relayer(world, taken.hash).await;
    let again = alice.device.relay(&transaction).await.unwrap();
    assert_eq!((again.hash, again.state), (taken.hash, RelayState::Mined));
    assert_eq!(
        sent_by_the_relayer(world, taken.hash).await,
        count,
        "it was sent again"
    );
    assert_eq!(balance(world, to).await, U256::from(14));
}

async fn a_relayer_killed_at_any_moment_sends_exactly_once(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let to = anybody();
    let first = next_nonce(world, wallet).await;
    for round in 0..6_u64 {
        let transaction = signed(world, wallet, vec![pay(to, 15)]).await.unwrap();
        let asking = alice.device.relay(&transaction);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(round * 6)).await;
            system.process(Part::Relayer).kill().await;
            system.start_again(Part::Relayer).await.unwrap();
        };
        // Whatever the first asking became.
        let (_, ()) = tokio::join!(asking, killing);
        alice
            .device
            .relay(&transaction)
            .await
            .unwrap_or_else(|error| panic!("round {round}: {}", told(&error)));
        mined(world, &transaction).await;
    }
    assert_eq!(next_nonce(world, wallet).await, first + 6);
    assert_eq!(
        balance(world, to).await,
        U256::from(6 * 15),
        "not exactly once each"
    );
}

async fn a_signed_message_is_its_wallets_alone(world: &World) {
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
