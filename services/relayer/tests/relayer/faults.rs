//! Nodes that fail, lie and forget; relayers that die in between (attack case 41).

use alloy_primitives::{Address, U256};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::relayer_api::RelayState;
use serde_json::json;

use crate::anvil::{Anvil, CHAIN};
use crate::proxy::Proxy;
use crate::world::{COIN, Running, World, config, id, refused, until};

const FRIEND: Address = Address::repeat_byte(0x77);

#[tokio::test]
async fn a_node_that_is_down_is_named_and_comes_back_by_itself() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    world.node.set_down(true);
    let request = wallet.transfer(0, FRIEND, 5);
    refused(
        world.relayer.relay(id(1), &request).await,
        Code::ChainUnavailable,
    );
    refused(
        world.relayer.wallet(CHAIN, wallet.address).await,
        Code::ChainUnavailable,
    );
    world.node.set_down(false);
    world.relayer.relay_and_wait(id(1), &request).await;
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn a_relayer_starts_before_its_node() {
    let dir = tempfile::tempdir().unwrap();
    // A port on which nobody listens yet.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = config(dir.path(), address);
    let identity = keyfold_relayer_service::init(&config).unwrap();
    let relayer = Running::start(&config, identity).await;
    refused(relayer.wallet(CHAIN, FRIEND).await, Code::ChainUnavailable);

    let anvil = Anvil::start();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let (_node, _) = Proxy::on(listener, anvil.port);
    assert!(!relayer.wallet(CHAIN, FRIEND).await.unwrap().deployed);
    relayer.stop().await;
}

#[tokio::test]
async fn a_transaction_that_was_stored_but_not_sent_goes_out_when_the_node_is_back() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    world.node.breaks("eth_sendRawTransaction", true);
    let taken = world
        .relayer
        .relay(id(1), &wallet.transfer(0, FRIEND, 5))
        .await
        .unwrap();
    assert_eq!(taken.state, RelayState::Sent);
    assert_eq!(world.sent_on_chain().await, sent);
    world.node.breaks("eth_sendRawTransaction", false);
    let mined = world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(mined.hash, taken.hash);
    assert_eq!(world.sent_on_chain().await, sent + 1);
}

#[tokio::test]
async fn a_relayer_that_died_before_sending_sends_the_same_bytes_after_a_restart() {
    let mut world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    let request = wallet.transfer(0, FRIEND, 5);
    world.node.breaks("eth_sendRawTransaction", true);
    let taken = world.relayer.relay(id(1), &request).await.unwrap();
    world
        .restart_after(async |node| node.breaks("eth_sendRawTransaction", false))
        .await;
    // Asked again as after a lost answer.
    assert_eq!(
        world.relayer.relay(id(1), &request).await.unwrap().hash,
        taken.hash
    );
    let mined = world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(mined.hash, taken.hash);
    assert_eq!(world.sent_on_chain().await, sent + 1);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn a_lost_answer_of_the_node_does_not_send_twice() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    world.node.loses_answer("eth_sendRawTransaction");
    let request = wallet.transfer(0, FRIEND, 5);
    world.relayer.relay_and_wait(id(1), &request).await;
    world.relayer.relay_and_wait(id(1), &request).await;
    assert_eq!(world.sent_on_chain().await, sent + 1);
}

#[tokio::test]
async fn what_a_node_forgot_is_sent_again_and_keeps_its_place() {
    let mut world = World::start().await;
    let (first, second) = (world.wallet(1).await, world.wallet(2).await);
    let sent = world.sent_on_chain().await;
    world.automine(false).await;
    world
        .relayer
        .relay(id(1), &first.transfer(0, FRIEND, 5))
        .await
        .unwrap();
    world
        .restart_after(async |node| {
            node.ask("anvil_dropAllTransactions", json!([])).await;
        })
        .await;
    // The node believes that the first nonce is free; the relayer knows better.
    world
        .relayer
        .relay(id(2), &second.transfer(0, FRIEND, 6))
        .await
        .unwrap();
    world.automine(true).await;
    world.mine().await;
    for number in [1, 2] {
        world.relayer.wait_for(id(number), RelayState::Mined).await;
    }
    assert_eq!(world.sent_on_chain().await, sent + 2);
    assert_eq!(world.balance(FRIEND).await, U256::from(11));
}

#[tokio::test]
async fn a_block_that_a_reorganisation_drops_is_made_good() {
    let mut world = World::start().await;
    let wallet = world.wallet(1).await;
    let before = world.sent_on_chain().await;
    let mined = world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 5))
        .await;
    world
        .restart_after(async |node| {
            node.ask("anvil_rollback", json!([1])).await;
            let balance = node.ask("eth_getBalance", json!([FRIEND, "latest"])).await;
            assert_eq!(balance, json!("0x0"));
        })
        .await;
    until(async || (world.sent_on_chain().await == before + 1).then_some(())).await;
    let again = world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(again.hash, mined.hash);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn with_confirmations_a_young_block_is_not_called_mined() {
    let mut world = World::start().await;
    for chain in &mut world.config.chains {
        chain.confirmations = 3;
    }
    world.restart().await;
    let wallet = world.wallet(1).await;
    world
        .relayer
        .relay(id(1), &wallet.transfer(0, FRIEND, 5))
        .await
        .unwrap();
    world.mine().await;
    let receipts = world.node.passed("eth_getTransactionReceipt");
    until(async || (world.node.passed("eth_getTransactionReceipt") >= receipts + 3).then_some(()))
        .await;
    assert_eq!(
        world.relayer.status(id(1)).await.unwrap().state,
        RelayState::Sent
    );
    world.mine().await;
    world.relayer.wait_for(id(1), RelayState::Mined).await;
}

#[tokio::test]
async fn a_fee_spike_is_not_paid() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    let spike = json!({
        "oldestBlock": "0x1", "baseFeePerGas": ["0x1", "0xe8d4a51000"],
        "gasUsedRatio": [0.5], "reward": [["0x1"]],
    });
    world.node.lies("eth_feeHistory", spike);
    refused(
        world
            .relayer
            .relay(id(1), &wallet.transfer(0, FRIEND, 5))
            .await,
        Code::Unavailable,
    );
    refused(world.relayer.status(id(1)).await, Code::TransactionUnknown);
    assert_eq!(world.sent_on_chain().await, sent);
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_used() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    // It was of the right one when it was asked last.
    world.node.lies("eth_chainId", json!("0x1"));
    refused(
        world
            .relayer
            .relay(id(1), &wallet.transfer(0, FRIEND, 5))
            .await,
        Code::ChainUnavailable,
    );
    assert_eq!(world.sent_on_chain().await, sent);
}

#[tokio::test]
async fn a_receipt_of_another_transaction_settles_nothing() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let forged = json!({
        "transactionHash": format!("0x{}", "ab".repeat(32)), "status": "0x1",
        "blockNumber": "0x1", "gasUsed": "0x5208",
    });
    world.node.lies("eth_getTransactionReceipt", forged);
    world
        .relayer
        .relay(id(1), &wallet.transfer(0, FRIEND, 5))
        .await
        .unwrap();
    until(async || (world.node.passed("eth_getTransactionReceipt") >= 3).then_some(())).await;
    assert_eq!(
        world.relayer.status(id(1)).await.unwrap().state,
        RelayState::Sent
    );
}

#[tokio::test]
async fn a_relayer_without_money_says_so_and_reserves_nothing() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    world
        .node
        .ask("anvil_setBalance", json!([world.identity.address, "0x1"]))
        .await;
    let request = wallet.transfer(0, FRIEND, 5);
    refused(
        world.relayer.relay(id(1), &request).await,
        Code::Unavailable,
    );
    world.fund(world.identity.address, COIN).await;
    world.relayer.relay_and_wait(id(1), &request).await;
}

#[tokio::test]
async fn without_contracts_nothing_is_sent_into_the_void() {
    let world = World::empty().await;
    world.fund(world.identity.address, COIN).await;
    let wallet = world.wallet(1).await;
    refused(
        world
            .relayer
            .relay(id(1), &wallet.transfer(0, FRIEND, 5))
            .await,
        Code::ContractsMissing,
    );
    assert_eq!(world.sent_on_chain().await, 0);
}
