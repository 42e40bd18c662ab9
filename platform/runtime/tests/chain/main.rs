//! Contracts that sign in, asked of a real node over TLS that ends where it does in an enclave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod host;
mod node;

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_enclave::web::{MAX_NODES, Node, check_contract, look_up_farcaster};
use keyfold_identity::farcaster::{RegistryAnswer, RegistryQuestion};
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_identity::siwe::{ContractAnswer, ContractQuestion, EthereumAddress};
use keyfold_wallet::config::default_tree;
use keyfold_wallet::signature::{Header, Parts, encode};
use keyfold_wallet::{
    ContextName, EcdsaSignature, Payload, PayloadBody, SignaturePart, ValidConfig, abi,
    wallet_address,
};
use serde_json::Value;

use crate::host::Host;

const CHAIN: u64 = 31_337;
const OPTIMISM: u64 = 10;
const HASH: B256 = B256::repeat_byte(0x5a);
const DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

fn question(address: Address, signature: &[u8]) -> ContractQuestion {
    ContractQuestion {
        chain_id: CHAIN,
        address: EthereumAddress::from_bytes(address.into_array()),
        hash: HASH.0,
        signature: signature.to_vec(),
    }
}

/// What the deterministic deployer is given to make Keyfold's factory and wallets: its salt, zero, and
/// the code with its arguments.
fn creations() -> Vec<Vec<u8>> {
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let deployments: Value =
        serde_json::from_str(include_str!("../../../../contracts/deployments.json")).unwrap();
    let creation = |(name, artifact): (&str, &str)| {
        let artifact: Value = serde_json::from_str(artifact).unwrap();
        let contracts = deployments["contracts"].as_array().unwrap();
        let contract = contracts.iter().find(|contract| contract["name"] == name);
        let arguments = bytes(&contract.unwrap()["constructorArguments"]);
        let code = bytes(&artifact["bytecode"]);
        [B256::ZERO.to_vec(), code, arguments].concat()
    };
    [
        (
            "Factory",
            include_str!("../../../../contracts/artifacts/Factory.json"),
        ),
        (
            "Stage2",
            include_str!("../../../../contracts/artifacts/Stage2.json"),
        ),
        (
            "Stage1",
            include_str!("../../../../contracts/artifacts/Stage1.json"),
        ),
    ]
    .map(creation)
    .to_vec()
}

async fn check(host: &Host, question: ContractQuestion) -> ContractAnswer {
    is_send(check_contract(&*host.machine, &host.nodes, &question)).await
}

/// Whoever serves many at once moves what they wait for between threads.
fn is_send<T: Send>(future: T) -> T {
    future
}

/// A wallet of Keyfold's own contracts, with one owner.
struct Wallet {
    key: SigningKey,
    config: ValidConfig,
    address: Address,
}

impl Wallet {
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap();
        let config = default_tree(Address::from(key.address()), None).unwrap();
        let context = ContextName::Keyfold.context();
        let address = wallet_address(&config.image_hash(), &context);
        Self {
            key,
            config,
            address,
        }
    }

    fn sign(&self, hash: B256) -> Bytes {
        let digest = Payload::from(PayloadBody::Digest(hash)).op_hash(&self.address, CHAIN);
        let signed = self.key.sign_prehash(&digest.0);
        let part = EcdsaSignature::new(signed.r.into(), signed.s.into(), signed.y_parity).unwrap();
        let parts = Parts::from([(
            Address::from(self.key.address()),
            SignaturePart::EcdsaHash(part),
        )]);
        encode(&self.config, &parts, &Header::default()).unwrap()
    }

    fn wrapped(&self, signature: &[u8]) -> Bytes {
        let context = ContextName::Keyfold.context();
        abi::erc6492_wrap(&context, &self.config.image_hash(), signature)
    }
}

#[tokio::test]
async fn a_wallet_signs_in_before_it_is_deployed_and_after() {
    let host = Host::start(CHAIN, 1).await;
    for creation in creations() {
        host.send(DEPLOYER, &creation).await;
    }
    let ask = async |question| check(&host, question).await;
    let (wallet, other) = (Wallet::new(1), Wallet::new(2));
    let signature = wallet.sign(HASH);
    let (address, wrapped) = (wallet.address, wallet.wrapped(&signature));
    let of_another_hash = wallet.wrapped(&wallet.sign(B256::repeat_byte(1)));
    let by_another = wallet.wrapped(&other.sign(HASH));
    let in_anothers_name = other.wrapped(&signature);
    let mut cut = wrapped.to_vec();
    cut.drain(..32);

    assert_eq!(
        ask(question(address, &wrapped)).await,
        ContractAnswer::Valid
    );
    // The question left nothing behind.
    assert_eq!(host.code(address).await, "0x");
    assert_eq!(
        ask(question(address, &signature)).await,
        ContractAnswer::Invalid
    );
    let refused = [
        &of_another_hash,
        &by_another,
        &cut.into(),
        &in_anothers_name,
    ];
    for signature in refused {
        assert_eq!(
            ask(question(address, signature)).await,
            ContractAnswer::Invalid
        );
    }

    let context = ContextName::Keyfold.context();
    let deploy = abi::deploy(&context.stage1, &wallet.config.image_hash());
    host.send(context.factory, &deploy).await;
    assert_ne!(host.code(address).await, "0x");
    for signature in [&signature, &wrapped] {
        assert_eq!(
            ask(question(address, signature)).await,
            ContractAnswer::Valid
        );
    }
    // Now that it is there, whose factory call came along does not matter.
    for signature in &refused[..3] {
        assert_eq!(
            ask(question(address, signature)).await,
            ContractAnswer::Invalid
        );
    }
}

#[tokio::test]
async fn a_contract_that_answers_with_anything_else_accepts_nothing() {
    let host = Host::start(CHAIN, 1).await;
    for code in [
        // Nothing.
        "00",
        // The question itself, which begins with the right bytes.
        "365f5f37365ff3",
        // The right bytes at the wrong end of the word.
        "631626ba7e5f5260205ff3",
        // Half a word.
        "631626ba7e60e01b5f5260105ff3",
        // A failure.
        "631626ba7e60e01b5f5260205ffd",
        // No end.
        "5b5f56",
    ] {
        let address = Address::repeat_byte(0x77);
        host.set_code(0, address, code).await;
        let answer = check(&host, question(address, b"any")).await;
        assert_ne!(answer, ContractAnswer::Valid, "{code}");
    }
    // The right word: the measure of the others.
    let address = Address::repeat_byte(0x78);
    host.set_code(0, address, "631626ba7e60e01b5f5260205ff3")
        .await;
    let answer = check(&host, question(address, b"any")).await;
    assert_eq!(answer, ContractAnswer::Valid);
}

#[tokio::test]
async fn only_nodes_of_the_chain_that_all_agree_are_believed() {
    let host = Host::start(CHAIN, 2).await;
    let address = Address::repeat_byte(0x78);
    let accepts = "631626ba7e60e01b5f5260205ff3";
    host.set_code(0, address, accepts).await;
    let asked = question(address, b"any");
    let ask = async |nodes: &[Node]| check_contract(&*host.machine, nodes, &asked).await;
    let (first, second) = (&host.nodes[..1], &host.nodes[1..]);
    assert_eq!(ask(first).await, ContractAnswer::Valid);
    assert_eq!(ask(second).await, ContractAnswer::Invalid);
    assert_eq!(ask(&host.nodes).await, ContractAnswer::Unavailable);
    host.set_code(1, address, accepts).await;
    assert_eq!(ask(&host.nodes).await, ContractAnswer::Valid);
    assert_eq!(ask(&[]).await, ContractAnswer::Unavailable);
    let many = |count| vec![host.nodes[0].clone(); count];
    assert_eq!(ask(&many(MAX_NODES)).await, ContractAnswer::Valid);
    let before = host.connections();
    assert_eq!(ask(&many(MAX_NODES + 1)).await, ContractAnswer::Unavailable);
    assert_eq!(host.connections(), before);

    let mut silent = host.nodes.clone();
    silent[1].url = HttpsUrl::parse("https://unlisted.example/").unwrap();
    assert_eq!(ask(&silent).await, ContractAnswer::Unavailable);

    let elsewhere = ContractQuestion {
        chain_id: 1,
        ..asked.clone()
    };
    let answer = check_contract(&*host.machine, &host.nodes, &elsewhere).await;
    assert_eq!(answer, ContractAnswer::Unavailable);
}

/// A contract that answers one question with these words, and any other with as many zeros.
fn registry(question: &[u8], answer: &[u64]) -> String {
    let mut code = String::new();
    for (index, word) in answer.iter().enumerate() {
        // The word, if the question's hash is the one; else zero: mstore(index, word * (hash == ..)).
        let hash = keccak256(question);
        code += &format!("365f5f37365f207f{hash:x}14");
        code += &format!("67{word:016x}0261{:04x}52", 0x100 + index * 32);
    }
    code + &format!("60{:02x}610100f3", answer.len() * 32)
}

#[tokio::test]
async fn a_farcaster_account_is_who_the_registries_say_now() {
    let host = Host::start(OPTIMISM, 1).await;
    let (id_registry, key_registry) = (
        address!("00000000Fc6c5F01Fc30151999387Bb99A9f489b"),
        address!("00000000Fc1237824fb747aBDE0FF18990E59b7e"),
    );
    let custody = Address::left_padding_from(&0x00c0_ffee_u64.to_be_bytes());
    let approved = Address::repeat_byte(0x22);
    let fid = U256::from(8_531).to_be_bytes::<32>();
    let custody_of = [&hex!("65269e47")[..], &fid].concat();
    let key_data_of = [
        &hex!("ac34cc5a")[..],
        &fid,
        B256::left_padding_from(&[64]).as_slice(),
        B256::left_padding_from(&[32]).as_slice(),
        approved.into_word().as_slice(),
    ]
    .concat();
    let ask = async |fid: u64, address: Address| {
        let question = RegistryQuestion {
            fid,
            address: EthereumAddress::from_bytes(address.into_array()),
        };
        is_send(look_up_farcaster(&*host.machine, &host.nodes, &question)).await
    };
    // No registry: not this chain's, or a chain that was cut off.
    assert_eq!(ask(8_531, custody).await, RegistryAnswer::Unavailable);
    host.set_code(0, id_registry, &registry(&custody_of, &[0x00c0_ffee]))
        .await;
    assert_eq!(ask(8_531, custody).await, RegistryAnswer::Unavailable);

    for (key_data, answer) in [
        ([1, 2], RegistryAnswer::AuthAddress),
        // Removed; a key of another type; never there.
        ([2, 2], RegistryAnswer::No),
        ([1, 1], RegistryAnswer::No),
        ([0, 0], RegistryAnswer::No),
    ] {
        host.set_code(0, key_registry, &registry(&key_data_of, &key_data))
            .await;
        assert_eq!(ask(8_531, approved).await, answer, "{key_data:?}");
        assert_eq!(ask(8_531, custody).await, RegistryAnswer::Custody);
        assert_eq!(ask(8_532, approved).await, RegistryAnswer::No);
        assert_eq!(ask(8_532, custody).await, RegistryAnswer::No);
        assert_eq!(ask(8_531, Address::ZERO).await, RegistryAnswer::No);
        assert_eq!(ask(8_532, Address::ZERO).await, RegistryAnswer::No);
    }
}

#[tokio::test]
async fn registries_of_another_chain_are_not_believed() {
    let host = Host::start(CHAIN, 1).await;
    let address = Address::left_padding_from(&[9]);
    let fid = U256::from(1).to_be_bytes::<32>();
    let custody_of = [&hex!("65269e47")[..], &fid].concat();
    for (at, answer) in [
        (
            address!("00000000Fc6c5F01Fc30151999387Bb99A9f489b"),
            &[9][..],
        ),
        (
            address!("00000000Fc1237824fb747aBDE0FF18990E59b7e"),
            &[0, 0],
        ),
    ] {
        host.set_code(0, at, &registry(&custody_of, answer)).await;
    }
    let question = RegistryQuestion {
        fid: 1,
        address: EthereumAddress::from_bytes(address.into_array()),
    };
    let answer = is_send(look_up_farcaster(&*host.machine, &host.nodes, &question)).await;
    assert_eq!(answer, RegistryAnswer::Unavailable);
}

#[tokio::test]
async fn a_deterministic_deployer_serves_as_a_factory() {
    let host = Host::start(CHAIN, 1).await;
    // Its creation code returns a contract that accepts everything.
    let runtime = hex!("631626ba7e60e01b5f5260205ff3");
    let create = [&hex!("6d")[..], &runtime, &hex!("5f52600e6012f3")].concat();
    let address = DEPLOYER.create2(B256::ZERO, keccak256(&create));
    let make = Bytes::from([B256::ZERO.as_slice(), &create].concat());
    let word = |n: usize| B256::from(U256::from(n));
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    };
    let made = padded(&make);
    let wrapped = [
        DEPLOYER.into_word().as_slice(),
        word(96).as_slice(),
        word(96 + 32 + made.len()).as_slice(),
        word(make.len()).as_slice(),
        &made,
        word(3).as_slice(),
        &padded(b"any"),
        abi::ERC6492_SUFFIX.as_slice(),
    ]
    .concat();
    let answer = check(&host, question(address, &wrapped)).await;
    assert_eq!(answer, ContractAnswer::Valid);
    let elsewhere = Address::repeat_byte(3);
    let answer = check(&host, question(elsewhere, &wrapped)).await;
    assert_eq!(answer, ContractAnswer::Invalid);
}
