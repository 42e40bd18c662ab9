//! Receipts that are long, missing, or of another block than before (attack case 41).

use alloy_primitives::{Address, U256};
use keyfold_protocol::relayer_api::RelayState;
use serde_json::json;

use crate::world::{World, id, until};

const FRIEND: Address = Address::repeat_byte(0x77);
const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_long_receipt_is_read_and_one_that_is_too_long_stops_nobody_else() {
    let world = World::start().await;
    world.automine(false).await;
    let mut hashes = Vec::new();
    for number in 1..=3 {
        let wallet = world.wallet_unmined(number).await;
        let relay = wallet.transfer(0, FRIEND, 1);
        hashes.push(world.relayer.relay(id(number), &relay).await.unwrap().hash);
    }
    let [long, too_long] = [hashes[0], hashes[1]].map(|hash| json!(hash));
    world.node.pads("eth_getTransactionReceipt", move |params| {
        match &params[0] {
            hash if *hash == long => 3 * MIB,
            hash if *hash == too_long => 17 * MIB,
            _ => 0,
        }
    });
    world.mine().await;
    world.relayer.wait_for(id(3), RelayState::Mined).await;
    world.relayer.wait_for(id(1), RelayState::Mined).await;
    let stuck = world.relayer.status(id(2)).await.unwrap();
    assert_eq!(stuck.state, RelayState::Sent);
    world.node.pads("eth_getTransactionReceipt", |_| 0);
    world.relayer.wait_for(id(2), RelayState::Mined).await;
}

#[tokio::test]
async fn what_is_nowhere_is_given_up_when_nothing_changes_any_more() {
    let mut world = World::start().await;
    for chain in &mut world.config.chains {
        chain.finality = 3;
    }
    world.restart().await;
    let wallet = world.wallet(1).await;
    world
        .node
        .lies("eth_getTransactionReceipt", serde_json::Value::Null);
    world
        .relayer
        .relay(id(1), &wallet.transfer(0, FRIEND, 5))
        .await
        .unwrap();
    let receipts = world.node.passed("eth_getTransactionReceipt");
    until(async || (world.node.passed("eth_getTransactionReceipt") >= receipts + 3).then_some(()))
        .await;
    let young = world.relayer.status(id(1)).await.unwrap();
    assert_eq!(young.state, RelayState::Sent);
    for _ in 0..3 {
        world.mine().await;
    }
    world.relayer.wait_for(id(1), RelayState::Lost).await;
}

#[tokio::test]
async fn a_reorganisation_that_settles_it_otherwise_is_noticed() {
    let mut world = World::start().await;
    let wallet = world.wallet(1).await;
    let mined = world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 5))
        .await;
    let raw = world
        .node
        .ask("debug_getRawTransaction", json!([mined.hash]))
        .await;
    let address = wallet.address;
    world
        .restart_after(async |node| {
            node.ask("anvil_rollback", json!([1])).await;
            // The same bytes, in a block of the same number, on another state.
            node.ask("anvil_setBalance", json!([address, "0x0"])).await;
            let known = node
                .ask("eth_getTransactionReceipt", json!([mined.hash]))
                .await;
            assert!(known.is_null());
            node.ask("eth_sendRawTransaction", json!([raw])).await;
            node.ask("evm_mine", json!([])).await;
        })
        .await;
    let reverted = world.relayer.wait_for(id(1), RelayState::Reverted).await;
    assert_eq!(reverted.hash, mined.hash);
    assert_eq!(world.balance(FRIEND).await, U256::ZERO);
}
