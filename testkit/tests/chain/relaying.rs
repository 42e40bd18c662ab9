//! What is sent, it is sent once, whatever dies in between.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use common::{Part, refused, told};
use keyfold_client::SignedTransaction;
use keyfold_client::relayer_api::RelayState;
use keyfold_testkit::system::CHAIN_ID;
use serde_json::json;

use super::{World, anybody, balance, common, mined, next_nonce, pay, signed};

pub(super) async fn one_idempotency_key_sends_once(world: &World) {
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

pub(super) async fn without_a_chain_node_the_error_says_so_and_nothing_is_lost(world: &World) {
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
    refused(
        alice.device.relay(&transaction).await,
        "transaction_unconfirmed",
    );
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

pub(super) async fn a_relayer_killed_before_the_block_sends_exactly_once(world: &World) {
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

pub(super) async fn a_relayer_killed_at_any_moment_sends_exactly_once(world: &World) {
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
