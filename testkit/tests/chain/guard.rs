//! What the guard refuses, and what its absence stops.

use alloy_primitives::aliases::U160;
use alloy_primitives::{B256, Bytes, U256};
use common::storage::all_uses;
use common::{Part, refused};
use keyfold_client::client_api::WireCall;
use keyfold_testkit::system::CHAIN_ID;
use keyfold_wallet::abi;

use super::{OTHER_CHAIN, World, anybody, common, pay, signed};

pub(super) async fn what_the_guard_denies_gets_no_share(world: &World) {
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
                data: abi::self_execute(&[]),
                ..pay(world.wallet.address(), 0)
            }],
            world.wallet.address(),
        ),
        (
            "another root for the wallet, beside something else",
            vec![
                WireCall {
                    data: abi::update_image_hash(&B256::ZERO),
                    ..pay(world.wallet.address(), 0)
                },
                pay(anybody(), 1),
            ],
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
    // A root that the wallet never had gets no further than the enclave.
    let root = vec![WireCall {
        data: abi::update_image_hash(&B256::ZERO),
        ..pay(world.wallet.address(), 0)
    }];
    refused(signed(world, &world.wallet, root).await, "config_invalid");
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

pub(super) async fn without_the_guard_nothing_is_signed_until_it_is_back(world: &World) {
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
