//! Guard, relayer and chain: what is refused, what is sent once, what the contracts accept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;
#[path = "chain/contracts.rs"]
mod contracts;
#[path = "chain/guard.rs"]
mod guard;
#[path = "chain/relaying.rs"]
mod relaying;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use common::channel::random;
use common::{Cases, Person, told};
use contracts::{
    a_signed_message_is_its_wallets_alone, owner_or_guard_alone_move_nothing_on_chain,
};
use guard::{
    what_the_guard_denies_gets_no_share, without_the_guard_nothing_is_signed_until_it_is_back,
};
use keyfold_client::client_api::WireCall;
use keyfold_client::{ClientError, SignedTransaction, WaitLimit, Wallet};
use keyfold_testkit::system::{CHAIN_ID, System};
use relaying::{
    a_relayer_killed_at_any_moment_sends_exactly_once,
    a_relayer_killed_before_the_block_sends_exactly_once, one_idempotency_key_sends_once,
    without_a_chain_node_the_error_says_so_and_nothing_is_lost,
};

/// A chain on which the guard lets texts be signed, and nothing else.
const OTHER_CHAIN: u64 = 1;
const COIN: u128 = 1_000_000_000_000_000_000;

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
