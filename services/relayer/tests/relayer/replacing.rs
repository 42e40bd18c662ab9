//! Transactions that stay where they are: too cheap, refused, unaffordable (attack case 41).

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, U256};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::relayer_api::RelayState;
use serde_json::{Value, json};

use crate::world::{World, id, refused, until};

const FRIEND: Address = Address::repeat_byte(0x77);

/// A relayer that tries again soon.
async fn impatient() -> World {
    let mut world = World::start().await;
    for chain in &mut world.config.chains {
        chain.resend_seconds = 1;
    }
    world.restart().await;
    world
}

const HIGH: u64 = 100_000_000_000;
const LOW: u64 = 1_000_000;

/// Sets what the next block takes, wei per gas.
async fn base_fee(world: &World, wei: u64) {
    let wei = format!("{wei:#x}");
    world
        .node
        .ask("anvil_setNextBlockBaseFeePerGas", json!([wei]))
        .await;
}

#[tokio::test]
async fn what_became_too_cheap_is_signed_again_at_its_nonce_and_all_that_follow_go_on() {
    let world = impatient().await;
    let (first, second) = (world.wallet(1).await, world.wallet(2).await);
    let sent = world.sent_on_chain().await;
    world.automine(false).await;
    let mut old = Vec::new();
    for (number, wallet) in [(1, &first), (2, &second)] {
        let relay = wallet.transfer(0, FRIEND, number.into());
        old.push(world.relayer.relay(id(number), &relay).await.unwrap().hash);
    }
    // Far above twice of what it was.
    base_fee(&world, HIGH).await;
    world.mine().await;
    assert_eq!(world.sent_on_chain().await, sent, "it was not too cheap");
    for (number, old) in [(1, old[0]), (2, old[1])] {
        until(async || {
            let now = world.relayer.status(id(number)).await.unwrap();
            (now.hash != old).then_some(())
        })
        .await;
    }
    until(async || {
        world.mine().await;
        (world.sent_on_chain().await == sent + 2).then_some(())
    })
    .await;
    for number in [1, 2] {
        let mined = world.relayer.wait_for(id(number), RelayState::Mined).await;
        let receipt = world
            .node
            .ask("eth_getTransactionReceipt", json!([mined.hash]))
            .await;
        assert_eq!(receipt["status"], "0x1");
    }
    assert_eq!(world.balance(FRIEND).await, U256::from(3));
    assert_eq!(world.sent_on_chain().await, sent + 2);
}

#[tokio::test]
async fn the_first_version_in_a_block_is_found_though_a_second_was_signed() {
    let world = impatient().await;
    let wallet = world.wallet(1).await;
    world.automine(false).await;
    let relay = wallet.transfer(0, FRIEND, 5);
    let old = world.relayer.relay(id(1), &relay).await.unwrap().hash;
    let raw = world
        .node
        .ask("eth_getRawTransactionByHash", json!([old]))
        .await;
    // The node never gets the second, and the price falls again.
    world.node.breaks("eth_sendRawTransaction", true);
    base_fee(&world, HIGH).await;
    world.mine().await;
    until(async || {
        let now = world.relayer.status(id(1)).await.unwrap();
        (now.hash != old).then_some(())
    })
    .await;
    base_fee(&world, LOW).await;
    // It forgot the first when it could not put it into a block; another kept it.
    world.node.ask("eth_sendRawTransaction", json!([raw])).await;
    world.mine().await;
    let mined = world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(mined.hash, old);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn what_a_node_refuses_for_good_makes_room_for_what_follows() {
    let world = impatient().await;
    let (first, second) = (world.wallet(1).await, world.wallet(2).await);
    let sent = world.sent_on_chain().await;
    let unwanted = Arc::new(Mutex::new(None::<Value>));
    world.node.answers(move |call| {
        if call["method"] != "eth_sendRawTransaction" {
            return None;
        }
        let raw = &call["params"][0];
        let mut unwanted = unwanted.lock().unwrap();
        (unwanted.get_or_insert_with(|| raw.clone()) == raw).then(|| {
            let message = "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)";
            json!({"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": message}})
        })
    });
    let relay = first.transfer(0, FRIEND, 5);
    let taken = world.relayer.relay(id(1), &relay).await.unwrap();
    assert_eq!(taken.state, RelayState::Sent);
    world
        .relayer
        .relay(id(2), &second.transfer(0, FRIEND, 6))
        .await
        .unwrap();
    let lost = world.relayer.wait_for(id(1), RelayState::Lost).await;
    assert_ne!(lost.hash, taken.hash);
    world.relayer.wait_for(id(2), RelayState::Mined).await;
    assert_eq!(world.balance(FRIEND).await, U256::from(6));
    assert_eq!(world.sent_on_chain().await, sent + 2);
    // The call itself is as good as before.
    world.relayer.relay_and_wait(id(3), &relay).await;
    assert_eq!(world.balance(FRIEND).await, U256::from(11));
}

#[tokio::test]
async fn more_than_a_transaction_may_cost_is_not_offered() {
    let mut world = World::start().await;
    for chain in &mut world.config.chains {
        chain.spending.transaction_gwei = 1;
    }
    world.restart().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    let relay = wallet.transfer(0, FRIEND, 5);
    refused(world.relayer.relay(id(1), &relay).await, Code::Unavailable);
    assert_eq!(world.sent_on_chain().await, sent);
}

#[tokio::test]
async fn strangers_cannot_spend_more_than_a_period_has() {
    let mut world = World::start().await;
    for chain in &mut world.config.chains {
        chain.spending.period_gwei = 0;
    }
    world.restart().await;
    let wallet = world.wallet(1).await;
    let relay = wallet.transfer(0, FRIEND, 5);
    refused(world.relayer.relay(id(1), &relay).await, Code::Unavailable);
    refused(world.relayer.status(id(1)).await, Code::TransactionUnknown);
    for chain in &mut world.config.chains {
        chain.spending = Default::default();
    }
    world.restart().await;
    world.relayer.relay_and_wait(id(1), &relay).await;
}

#[tokio::test]
async fn a_wrong_count_of_waiting_transactions_is_not_believed() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    world.node.answers(|call| {
        let pending = call["method"] == "eth_getTransactionCount" && call["params"][1] == "pending";
        pending.then(|| json!({"jsonrpc": "2.0", "id": call["id"], "result": "0xffff"}))
    });
    let relay = wallet.transfer(0, FRIEND, 5);
    refused(
        world.relayer.relay(id(1), &relay).await,
        Code::ChainUnavailable,
    );
    world.node.answers(|_| None);
    world.relayer.relay_and_wait(id(1), &relay).await;
    assert_eq!(world.sent_on_chain().await, sent + 1);
}
