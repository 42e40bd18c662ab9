//! Projects of other contracts than the default ones, through every real process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use common::{Cases, Person, refused, told};
use keyfold_client::client_api::WireCall;
use keyfold_client::config_api::ConfigChange;
use keyfold_client::{WaitLimit, Wallet, WalletRules};
use keyfold_testkit::system::{CHAIN_ID, ProjectOptions, System, open_policy};
use keyfold_wallet::payload::eip191;
use keyfold_wallet::{ContextName, abi, wallet_address};

const COIN: u128 = 1_000_000_000_000_000_000;
/// A signature that a wallet takes for its own (ERC-1271).
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
/// Selector of `getImplementation()`.
const GET_IMPLEMENTATION: [u8; 4] = [0xaa, 0xf1, 0x0f, 0x42];

struct World {
    system: System,
    /// Of a project with ERC-4337.
    alice: Person,
    /// Of a project with contracts that this chain lacks.
    boris: Person,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_chooses_its_contracts() {
    let system = common::start(|options| {
        options.projects[0].contracts = ContextName::KeyfoldErc4337;
        options.projects.push(ProjectOptions {
            contracts: ContextName::SequenceRc5,
            ..ProjectOptions::new("audited.example", Some(open_policy()))
        });
    })
    .await;
    let [first, second] = system.projects() else {
        panic!("not two projects");
    };
    let alice = Person::sign_in(&system, first, "alice@mail.example").await;
    let boris = Person::sign_in(&system, second, "boris@mail.example").await;
    let world = World {
        system,
        alice,
        boris,
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_wallet_with_erc4337_is_deployed_and_sends,
            a_wallet_of_contracts_that_the_chain_lacks_signs_and_is_told_why_nothing_is_sent,
            an_app_that_expects_other_contracts_takes_no_wallet,
        ]
    );
    cases.end(world.system).await;
}

async fn a_wallet_with_erc4337_is_deployed_and_sends(world: &World) {
    let World { system, alice, .. } = world;
    let wallet = alice.wallet("main").await;
    let context = expect(&wallet, ContextName::KeyfoldErc4337);
    let funded = system.chain().fund(wallet.address(), U256::from(COIN));
    funded.await.unwrap();

    let first = Address::repeat_byte(0x51);
    send(alice, &wallet, first).await.unwrap();
    assert_eq!(system.chain().balance(first).await.unwrap(), U256::from(7));
    let asked = Bytes::copy_from_slice(&GET_IMPLEMENTATION);
    let said = system.chain().view(wallet.address(), asked).await.unwrap();
    assert_eq!(said[..], context.stage1.into_word()[..]);

    let text = b"a message";
    let signed = alice
        .device
        .sign_message(&alice.session, &wallet, CHAIN_ID, text);
    let signed = signed.await.unwrap();
    let asked = abi::is_valid_signature(&keccak256(eip191(text)), &signed.signature);
    let said = system.chain().view(wallet.address(), asked).await;
    assert_eq!(said.unwrap().get(..4), Some(&MAGIC[..]));

    // The chain follows a change of the configuration as with any other contracts.
    let history = alice.device.history(&alice.session, &wallet).await.unwrap();
    assert_eq!(history.latest().context, ContextName::KeyfoldErc4337);
    let change = ConfigChange::AddKey {
        key: Address::repeat_byte(0x61),
    };
    let changed = alice
        .device
        .change_config(&alice.session, &wallet, &history, change);
    changed.await.unwrap();
    let second = Address::repeat_byte(0x52);
    send(alice, &wallet, second).await.unwrap();
    assert_eq!(system.chain().balance(second).await.unwrap(), U256::from(7));
}

async fn a_wallet_of_contracts_that_the_chain_lacks_signs_and_is_told_why_nothing_is_sent(
    world: &World,
) {
    let World { system, boris, .. } = world;
    let wallet = boris.wallet("main").await;
    expect(&wallet, ContextName::SequenceRc5);
    let funded = system.chain().fund(wallet.address(), U256::from(COIN));
    funded.await.unwrap();
    boris.must_sign(&wallet, "without a chain").await;
    let sent = send(boris, &wallet, Address::repeat_byte(0x53)).await;
    let why = refused(sent, "contracts_missing");
    assert!(why.contains("sequence-rc5"), "{why}");
    assert_eq!(
        system.chain().balance(wallet.address()).await.unwrap(),
        U256::from(COIN)
    );
}

async fn an_app_that_expects_other_contracts_takes_no_wallet(world: &World) {
    let World { system, boris, .. } = world;
    // The same device and session, in an app that pins nothing else than Keyfold's own.
    let unaware = system.device(&boris.key).unwrap();
    let told = unaware.wallets(&boris.session).await;
    let why = refused(told, "wallet_unverified");
    assert!(why.contains("sequence-rc5"), "{why}");
    let made = unaware.create_wallet(&boris.session, "another").await;
    refused(made, "wallet_unverified");
    let aware = system
        .device(&boris.key)
        .unwrap()
        .with_wallet_rules(WalletRules {
            contracts: ContextName::SequenceRc5,
            ..WalletRules::default()
        });
    aware.wallets(&boris.session).await.unwrap();
}

/// Checks that a wallet is where these contracts put it.
fn expect(wallet: &Wallet, contracts: ContextName) -> keyfold_wallet::Context {
    let context = contracts.context();
    let root: B256 = wallet.image_hash();
    assert_eq!(wallet.contracts(), contracts);
    assert_eq!(wallet.address(), wallet_address(&root, &context));
    context
}

async fn send(
    person: &Person,
    wallet: &Wallet,
    to: Address,
) -> Result<(), keyfold_client::ClientError> {
    let call = WireCall {
        to,
        value: U256::from(7),
        data: Bytes::new(),
        gas_limit: U256::ZERO,
        ignore_error: false,
    };
    let limit = WaitLimit::default();
    let sent = person
        .device
        .send(&person.session, wallet, CHAIN_ID, vec![call], limit)
        .await;
    sent.map(drop)
        .inspect_err(|error| eprintln!("{}", told(error)))
}
