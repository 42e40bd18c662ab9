//! What the relayer is for: deploy on first use, execute, once each.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, U256};
use keyfold_chain::Deployments;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::relayer_api::RelayState;
use keyfold_relayer_service::deploy_contracts;
use keyfold_wallet::payload::pack;
use keyfold_wallet::{BehaviorOnError, Call, ContextName, Encoding, Payload, abi};

use crate::anvil::CHAIN;
use crate::wallet::TestWallet;
use crate::world::{COIN, World, id, refused};

const FRIEND: Address = Address::repeat_byte(0x77);

#[tokio::test]
async fn the_first_call_deploys_the_wallet_and_the_second_goes_to_it() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let before = world.relayer.wallet(CHAIN, wallet.address).await.unwrap();
    assert_eq!((before.deployed, before.nonce), (false, 0));
    assert_eq!(before.balance, U256::from(10 * COIN));

    let first = wallet.transfer(0, FRIEND, 3);
    let taken = world.relayer.relay(id(1), &first).await.unwrap();
    assert!(taken.deployed && taken.id == id(1) && taken.chain_id == CHAIN);
    let mined = world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(mined.hash, taken.hash);
    assert!(mined.block.is_some() && mined.gas_used > Some(21_000));
    assert_eq!(world.balance(FRIEND).await, U256::from(3));

    let second = world
        .relayer
        .relay_and_wait(id(2), &wallet.transfer(1, FRIEND, 4))
        .await;
    assert!(!second.deployed && second.gas_used < mined.gas_used);
    assert_eq!(world.balance(FRIEND).await, U256::from(7));
    let after = world.relayer.wallet(CHAIN, wallet.address).await.unwrap();
    assert_eq!((after.deployed, after.nonce), (true, 2));
}

#[tokio::test]
async fn asking_twice_sends_once() {
    let mut world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent_before = world.sent_on_chain().await;
    let request = wallet.transfer(0, FRIEND, 5);

    let mined = world.relayer.relay_and_wait(id(1), &request).await;
    assert_eq!(world.relayer.relay(id(1), &request).await.unwrap(), mined);
    world.restart().await;
    assert_eq!(world.relayer.relay(id(1), &request).await.unwrap(), mined);

    assert_eq!(world.sent_on_chain().await, sent_before + 1);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn the_same_request_many_times_in_parallel_sends_once() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent_before = world.sent_on_chain().await;
    let request = wallet.transfer(0, FRIEND, 5);
    let attempts: Vec<_> = (0..12)
        .map(|_| world.relayer.relay(id(1), &request))
        .collect();
    let mut hashes = Vec::new();
    for answer in join_all(attempts).await {
        hashes.push(answer.unwrap().hash);
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(world.sent_on_chain().await, sent_before + 1);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn different_wallets_in_parallel_leave_no_gap_between_nonces() {
    let world = World::start().await;
    let sent_before = world.sent_on_chain().await;
    let mut requests = Vec::new();
    for number in 1..=8 {
        requests.push((
            id(number),
            world.wallet(number).await.transfer(0, FRIEND, 1),
        ));
    }
    let attempts: Vec<_> = requests
        .iter()
        .map(|(id, request)| world.relayer.relay(*id, request))
        .collect();
    for answer in join_all(attempts).await {
        answer.unwrap();
    }
    for (id, _) in &requests {
        world.relayer.wait_for(*id, RelayState::Mined).await;
    }
    assert_eq!(world.sent_on_chain().await, sent_before + 8);
    assert_eq!(world.balance(FRIEND).await, U256::from(8));
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 5))
        .await;
    let sent = world.sent_on_chain().await;
    let other = wallet.transfer(1, FRIEND, 5);
    refused(
        world.relayer.relay(id(1), &other).await,
        Code::IdempotencyConflict,
    );
    assert_eq!(world.sent_on_chain().await, sent);
    // The other request is good under a key of its own.
    world.relayer.relay_and_wait(id(2), &other).await;
}

#[tokio::test]
async fn what_reverts_is_not_sent_and_its_key_can_be_used_again() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;

    let too_much = wallet.transfer(0, FRIEND, 11 * COIN);
    refused(
        world.relayer.relay(id(1), &too_much).await,
        Code::CallReverts,
    );
    let mut forged = wallet.transfer(0, FRIEND, 5);
    forged.signature = TestWallet::new(9).transfer(0, FRIEND, 5).signature;
    refused(world.relayer.relay(id(1), &forged).await, Code::CallReverts);
    let problem = refused(
        world
            .relayer
            .relay(id(1), &wallet.transfer(4, FRIEND, 5))
            .await,
        Code::CallReverts,
    );
    assert!(
        problem.detail.contains("nonce 4, the wallet is at 0"),
        "{problem}"
    );

    assert_eq!(world.sent_on_chain().await, sent);
    assert_eq!(
        world.node.passed("eth_sendRawTransaction"),
        usize::try_from(sent).unwrap()
    );
    refused(world.relayer.status(id(1)).await, Code::TransactionUnknown);
    world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 5))
        .await;
    assert_eq!(world.sent_on_chain().await, sent + 1);
}

#[tokio::test]
async fn the_same_signed_call_under_many_keys_does_not_burn_gas_on_reverts() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    let sent = world.sent_on_chain().await;
    world.automine(false).await;
    let request = wallet.transfer(0, FRIEND, 5);
    world.relayer.relay(id(1), &request).await.unwrap();
    for number in 2..6 {
        refused(
            world.relayer.relay(id(number), &request).await,
            Code::CallReverts,
        );
    }
    world.mine().await;
    world.relayer.wait_for(id(1), RelayState::Mined).await;
    assert_eq!(world.sent_on_chain().await, sent + 1);
}

#[tokio::test]
async fn a_call_whose_failure_is_ignored_gets_the_gas_it_needs() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 1))
        .await;
    // The call needs so much gas that a 64th of it, which remains when it runs out, is enough to
    // end well: an estimate finds the amount with which it fails and is forgiven.
    let deployments = Deployments::embedded().unwrap();
    let context = deployments.context();
    let others: Vec<_> = (2..18).map(TestWallet::new).collect();
    let deploy = |other: &TestWallet| {
        let data = abi::deploy(&context.stage1, &other.image_hash());
        Call::new(context.factory, U256::ZERO, data)
    };
    let batch = Payload::calls(U160::ZERO, 0, others.iter().map(deploy).collect());
    let batch = pack(&batch, None, Encoding::Shortest).unwrap();
    let lenient = Call {
        behavior_on_error: BehaviorOnError::Ignore,
        ..Call::new(context.guest, U256::ZERO, batch)
    };
    world
        .relayer
        .relay_and_wait(id(2), &wallet.calls(1, vec![lenient]))
        .await;
    for other in others {
        assert!(
            world
                .relayer
                .wallet(CHAIN, other.address)
                .await
                .unwrap()
                .deployed
        );
    }
}

#[tokio::test]
async fn a_call_that_wants_more_gas_than_is_allowed_is_refused() {
    let mut world = World::start().await;
    world.config.limits.max_gas = 60_000;
    world.restart().await;
    let wallet = world.wallet(1).await;
    refused(
        world
            .relayer
            .relay(id(1), &wallet.transfer(0, FRIEND, 1))
            .await,
        Code::CallReverts,
    );
}

#[tokio::test]
async fn somebody_elses_deployment_in_between_does_no_harm() {
    let world = World::start().await;
    let wallet = world.wallet(1).await;
    world.automine(false).await;
    let request = wallet.transfer(0, FRIEND, 5);
    world.relayer.relay(id(1), &request).await.unwrap();
    // A stranger deploys the wallet with a better price, just before.
    let deployments = Deployments::embedded().unwrap();
    let context = deployments.context();
    let data = abi::deploy(&context.stage1, &wallet.image_hash());
    let accounts = world.node.ask("eth_accounts", serde_json::json!([])).await;
    let stranger = serde_json::json!([{
        "from": accounts[1], "to": context.factory, "input": data, "gas": "0x493e0",
        "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x174876e800",
    }]);
    world.node.ask("eth_sendTransaction", stranger).await;
    world.mine().await;
    world.relayer.wait_for(id(1), RelayState::Reverted).await;
    world.automine(true).await;
    let again = world.relayer.relay_and_wait(id(2), &request).await;
    assert!(!again.deployed);
    assert_eq!(world.balance(FRIEND).await, U256::from(5));
}

#[tokio::test]
async fn a_wallet_with_erc4337_is_deployed_by_its_own_stages() {
    let world = World::start().await;
    let wallet = TestWallet::of(1, ContextName::KeyfoldErc4337);
    assert_ne!(wallet.address, TestWallet::new(1).address);
    world.fund(wallet.address, COIN).await;
    let first = world
        .relayer
        .relay_and_wait(id(1), &wallet.transfer(0, FRIEND, 3))
        .await;
    let second = world
        .relayer
        .relay_and_wait(id(2), &wallet.transfer(1, FRIEND, 4))
        .await;
    assert!(first.deployed && !second.deployed);
    assert_eq!(world.balance(FRIEND).await, U256::from(7));
}

#[tokio::test]
async fn a_wallet_whose_contracts_the_chain_lacks_is_refused_by_name() {
    let world = World::start().await;
    let sent = world.sent_on_chain().await;
    for contracts in [ContextName::SequenceRc5, ContextName::SequenceRc5Erc4337] {
        let wallet = TestWallet::of(1, contracts);
        world.fund(wallet.address, COIN).await;
        let problem = refused(
            world
                .relayer
                .relay(id(1), &wallet.transfer(0, FRIEND, 3))
                .await,
            Code::ContractsMissing,
        );
        assert!(problem.detail.contains(contracts.as_str()), "{problem}");
    }
    assert_eq!(world.sent_on_chain().await, sent);
}

#[tokio::test]
async fn a_wallet_of_contracts_that_the_relayer_does_not_serve_is_refused() {
    let mut world = World::start().await;
    world.config.contracts = vec![ContextName::KeyfoldErc4337];
    world.restart().await;
    let sent = world.sent_on_chain().await;
    let (plain, served) = (
        world.wallet(1).await,
        TestWallet::of(1, ContextName::KeyfoldErc4337),
    );
    refused(
        world
            .relayer
            .relay(id(1), &plain.transfer(0, FRIEND, 3))
            .await,
        Code::ContractsMissing,
    );
    assert_eq!(world.sent_on_chain().await, sent);
    world.fund(served.address, COIN).await;
    world
        .relayer
        .relay_and_wait(id(2), &served.transfer(0, FRIEND, 3))
        .await;
}

#[tokio::test]
async fn contracts_are_deployed_once() {
    let world = World::start().await;
    let sent = world.sent_on_chain().await;
    let again = deploy_contracts(&world.config, CHAIN, None).await.unwrap();
    let all = Deployments::embedded().unwrap().calls().len();
    assert!(again.len() == all && again.iter().all(|contract| !contract.new));
    assert_eq!(world.sent_on_chain().await, sent);
}

async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(outputs.iter_mut().map(|o| o.take().unwrap()).collect())
        }
    })
    .await
}
