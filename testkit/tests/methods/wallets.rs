//! Wallets of other kinds: messages of `siwe`, of the Solana wallet standard, of the Farcaster client.

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use keyfold_client::{PendingSignIn, Wallet};
use keyfold_protocol::sign_in::{Method, Next, Proof};
use keyfold_testkit::counterparts::SignedMessage;
use keyfold_testkit::journey::payment;
use keyfold_testkit::system::CHAIN_ID;
use serde_json::{Value, json};

use crate::common::{refused, told};
use crate::world::{HOST, PAGE, World, acr, finish, now, signed_in};

/// Where Farcaster's registries are on OP Mainnet.
const ID_REGISTRY: &str = "0x00000000Fc6c5F01Fc30151999387Bb99A9f489b";
const KEY_REGISTRY: &str = "0x00000000Fc1237824fb747aBDE0FF18990E59b7e";
const FID: u64 = 20_943;

/// RFC 3339, as wallets write it.
fn date_time(unix_seconds: u64) -> String {
    let at =
        time::OffsetDateTime::from_unix_timestamp(i64::try_from(unix_seconds).unwrap()).unwrap();
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

fn fields(pending: &PendingSignIn) -> Value {
    let Next::Message { nonce, issued, .. } = pending.next() else {
        panic!("{:?}", pending.next())
    };
    json!({"domain": HOST, "uri": PAGE, "nonce": nonce, "issuedAt": date_time(*issued)})
}

fn with(fields: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut changed = fields.clone();
    changed[name] = value.into();
    changed
}

fn ethereum(signed: SignedMessage) -> Proof {
    Proof::Ethereum {
        message: signed.message,
        signature: signed.signature.into(),
    }
}

fn solana(signed: SignedMessage) -> Proof {
    Proof::Solana {
        message: signed.message,
        signature: signed.signature.into(),
    }
}

fn farcaster(signed: SignedMessage) -> Proof {
    Proof::Farcaster {
        message: signed.message,
        signature: signed.signature.into(),
    }
}

/// What makes a message one of another page or time.
fn defects() -> [(&'static str, Value); 4] {
    [
        ("domain", json!("evil.example.test")),
        ("uri", json!("https://evil.example.test")),
        ("issuedAt", json!(date_time(now() - 3_600))),
        ("expirationTime", json!(date_time(now() - 60))),
    ]
}

pub(crate) async fn an_ethereum_wallet_signs_in(world: &World) {
    let (wallets, device) = (&world.wallets, world.device());
    let how = || Method::Ethereum {};
    let pending = world.begin(&device, how()).await;
    let good = with(&fields(&pending), "chainId", 1);
    let signed = wallets.ethereum("alice", &good).await.unwrap();
    let thief = world.device();
    let theirs = world.begin(&thief, how()).await;
    refused(
        finish(&thief, &theirs, ethereum(signed.clone())).await,
        "sign_in_refused",
    );
    let elsewhere = world.device_elsewhere();
    let there = elsewhere
        .start_sign_in(&world.other_app().id, how())
        .await
        .unwrap();
    refused(
        finish(&elsewhere, &there, ethereum(signed.clone())).await,
        "sign_in_refused",
    );
    let first = signed_in(finish(&device, &pending, ethereum(signed.clone())).await);
    assert_eq!(acr(&first), "ethereum");
    refused(
        finish(&device, &pending, ethereum(signed)).await,
        "sign_in_refused",
    );

    let wrong_chain = ("chainId", json!(137));
    for (name, value) in defects().into_iter().chain([wrong_chain]) {
        let pending = world.begin(&device, how()).await;
        let bad = with(&with(&fields(&pending), "chainId", 1), name, value);
        let signed = wallets.ethereum("alice", &bad).await.unwrap();
        refused(
            finish(&device, &pending, ethereum(signed)).await,
            "sign_in_refused",
        );
    }
    // A message of this sign-in, shown as another method's.
    let pending = world.begin(&device, how()).await;
    let good = with(&fields(&pending), "chainId", 1);
    let signed = wallets.ethereum("alice", &good).await.unwrap();
    refused(
        finish(&device, &pending, farcaster(signed)).await,
        "sign_in_refused",
    );
    // Somebody else's key under this one's address.
    let address = wallets.address("alice").await.unwrap()["ethereum"].clone();
    let pending = world.begin(&device, how()).await;
    let forged = with(&with(&fields(&pending), "chainId", 1), "address", address);
    let signed = wallets.ethereum("mallory", &forged).await.unwrap();
    refused(
        finish(&device, &pending, ethereum(signed)).await,
        "sign_in_refused",
    );

    let (again, other) = (world.device(), world.device());
    for (device, who, same) in [(again, "alice", true), (other, "bob", false)] {
        let pending = world.begin(&device, how()).await;
        let good = with(&fields(&pending), "chainId", 1);
        let signed = wallets.ethereum(who, &good).await.unwrap();
        let session = signed_in(finish(&device, &pending, ethereum(signed)).await);
        assert_eq!(session.account() == first.account(), same, "{who}");
    }
}

/// A wallet of Keyfold's own contracts: ERC-6492 before it is deployed, ERC-1271 after.
pub(crate) async fn a_contract_wallet_signs_in_before_it_is_deployed_and_after(world: &World) {
    let (owner, session) = world.by_code("annie@mail.example").await;
    let wallet = owner.create_wallet(&session, "signs in").await.unwrap();
    let other = owner.create_wallet(&session, "another").await.unwrap();
    let device = world.device();
    // What `siwe` composes for the wallet's address, signed by a wallet.
    let attempt = async |signer: &Wallet, deployed: bool| {
        let pending = world.begin(&device, Method::Ethereum {}).await;
        let fields = with(&fields(&pending), "chainId", CHAIN_ID);
        let fields = with(&fields, "address", wallet.address().to_checksum(None));
        let composed = world.wallets.ethereum("alice", &fields).await.unwrap();
        let text = composed.message.as_bytes();
        let signed = owner.sign_message(&session, signer, CHAIN_ID, text).await;
        let signed = signed.unwrap_or_else(|error| panic!("{}", told(&error)));
        let proof = Proof::Ethereum {
            message: composed.message,
            signature: if deployed {
                signed.signature
            } else {
                signed.counterfactual
            },
        };
        finish(&device, &pending, proof).await
    };
    refused(attempt(&wallet, true).await, "sign_in_refused");
    refused(attempt(&other, false).await, "sign_in_refused");
    let first = signed_in(attempt(&wallet, false).await);
    let chain = world.system.chain();
    let coins = U256::from(10_u128.pow(18));
    chain.fund(wallet.address(), coins).await.unwrap();
    let limit = keyfold_client::WaitLimit::default();
    let sent = owner.send(&session, &wallet, CHAIN_ID, vec![payment()], limit);
    sent.await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    let again = signed_in(attempt(&wallet, true).await);
    assert_eq!(again.account(), first.account());
    refused(attempt(&other, true).await, "sign_in_refused");
    // The account of the wallet's owner is another one.
    assert_ne!(first.account(), session.account());
}

pub(crate) async fn a_solana_wallet_signs_in(world: &World) {
    let (wallets, device) = (&world.wallets, world.device());
    let how = || Method::Solana {};
    let pending = world.begin(&device, how()).await;
    let good = with(&fields(&pending), "version", "1");
    let signed = wallets.solana("alice", &good).await.unwrap();
    let thief = world.device();
    let theirs = world.begin(&thief, how()).await;
    refused(
        finish(&thief, &theirs, solana(signed.clone())).await,
        "sign_in_refused",
    );
    let elsewhere = world.device_elsewhere();
    let there = elsewhere
        .start_sign_in(&world.other_app().id, how())
        .await
        .unwrap();
    refused(
        finish(&elsewhere, &there, solana(signed.clone())).await,
        "sign_in_refused",
    );
    let first = signed_in(finish(&device, &pending, solana(signed.clone())).await);
    assert_eq!(acr(&first), "solana");
    refused(
        finish(&device, &pending, solana(signed)).await,
        "sign_in_refused",
    );
    for (name, value) in defects() {
        let pending = world.begin(&device, how()).await;
        let bad = with(&with(&fields(&pending), "version", "1"), name, value);
        let signed = wallets.solana("alice", &bad).await.unwrap();
        refused(
            finish(&device, &pending, solana(signed)).await,
            "sign_in_refused",
        );
    }
    let again = world.device();
    let pending = world.begin(&again, how()).await;
    let good = with(&fields(&pending), "version", "1");
    let signed = wallets.solana("alice", &good).await.unwrap();
    let session = signed_in(finish(&again, &pending, solana(signed)).await);
    assert_eq!(session.account(), first.account());
}

/// A contract that answers one question with a word, and any other with zeros: as many words.
fn registry(question: &[u8], answer: &[B256]) -> String {
    let mut code = "0x".to_owned();
    for (index, word) in answer.iter().enumerate() {
        // mstore(index, word * (hash of the question == the one))
        let (hash, at) = (keccak256(question), 0x100 + index * 32);
        code += &format!("365f5f37365f207f{hash:x}147f{word:x}0261{at:04x}52");
    }
    code + &format!("60{:02x}610100f3", answer.len() * 32)
}

pub(crate) async fn a_farcaster_account_signs_in_whom_the_registries_name(world: &World) {
    let (wallets, device) = (&world.wallets, world.device());
    let chain = &world.system.chains()[1];
    let set = async |at: &'static str, code: String| {
        chain
            .call("anvil_setCode", json!([at, code]))
            .await
            .unwrap();
    };
    let how = || Method::Farcaster {};
    let address = wallets.address("alice").await.unwrap()["ethereum"].clone();
    let address: Address = address.as_str().unwrap().parse().unwrap();
    let custody_of = [&hex!("65269e47")[..], &U256::from(FID).to_be_bytes::<32>()].concat();
    let custody = |of: Address| registry(&custody_of, &[of.into_word()]);
    let attempt = async |fid: u64| {
        let pending = world.begin(&device, how()).await;
        let Next::Message { nonce, .. } = pending.next() else {
            panic!("{:?}", pending.next())
        };
        // The client says itself when it is issued.
        let good = json!({"domain": HOST, "uri": PAGE, "nonce": nonce, "fid": fid});
        let signed = wallets.farcaster("alice", &good).await.unwrap();
        (pending, signed)
    };
    let sign_in = async |fid| {
        let (pending, signed) = attempt(fid).await;
        finish(&device, &pending, farcaster(signed)).await
    };
    // No registry there: nobody is believed.
    assert!(sign_in(FID).await.is_err(), "signed in without registries");
    set(KEY_REGISTRY, registry(b"none", &[B256::ZERO; 2])).await;
    set(ID_REGISTRY, custody(address)).await;
    let (pending, signed) = attempt(FID).await;
    let thief = world.device();
    let theirs = world.begin(&thief, how()).await;
    refused(
        finish(&thief, &theirs, farcaster(signed.clone())).await,
        "sign_in_refused",
    );
    let first = signed_in(finish(&device, &pending, farcaster(signed.clone())).await);
    assert_eq!(acr(&first), "farcaster");
    refused(
        finish(&device, &pending, farcaster(signed)).await,
        "sign_in_refused",
    );
    refused(sign_in(FID + 1).await, "sign_in_refused");
    let again = signed_in(sign_in(FID).await);
    assert_eq!(again.account(), first.account());
    // The account was transferred to somebody else.
    set(ID_REGISTRY, custody(Address::repeat_byte(0x22))).await;
    refused(sign_in(FID).await, "sign_in_refused");
}
