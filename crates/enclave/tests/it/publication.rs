//! Telling a chain of the latest root, and signing for a chain that was told.

use keyfold_protocol::client_api::{SignRequest, Signed, WalletInfo, WirePayload};
use keyfold_protocol::config::{WalletConfig, publication};
use keyfold_protocol::error_code::Code;
use keyfold_wallet::signature::{Decoded, decode};

use crate::app::{App, assert_refused, message, payment};
use crate::config::{Judge, add_key, judged, latest, remove_key};

fn publish(wallet: &WalletInfo, root: &alloy_primitives::B256) -> SignRequest {
    let payload = WirePayload::Transaction {
        space: Default::default(),
        nonce: 0,
        calls: vec![publication(wallet.address, root)],
    };
    SignRequest {
        payload,
        ..payment(wallet, 0)
    }
}

#[tokio::test]
async fn a_chain_is_told_of_the_latest_root_and_signatures_for_it_lead_from_there() {
    for app in [App::new().await, App::guarded().await] {
        let (device, wallet) = app.with_wallet().await;
        let mut roots = vec![wallet.image_hash];
        for change in [add_key(8), add_key(9), remove_key(8)] {
            let told: WalletConfig = device.change(&wallet, change).await.ok();
            roots.push(latest(&told).config().unwrap().image_hash());
        }
        let last = *roots.last().unwrap();
        let request = publish(&wallet, &last);
        let signed: Signed = device.sign_with(&wallet, &request).await.ok();
        let recovered = judged(&request, &signed.signature, &Judge::silent()).unwrap();
        assert_eq!(recovered.image_hash, wallet.image_hash);
        // A chain may know any root that the wallet ever had.
        for (at, root) in roots.iter().enumerate() {
            for request in [payment(&wallet, 1), message(&wallet, "hello")] {
                let request = SignRequest {
                    on_chain: Some(*root),
                    ..request
                };
                let signed: Signed = device.sign_with(&wallet, &request).await.ok();
                let recovered = judged(&request, &signed.signature, &Judge::silent()).unwrap();
                assert_eq!(recovered.image_hash, *root);
                let links = match decode(&signed.signature).unwrap() {
                    Decoded::Chained { chunks, .. } => chunks.len(),
                    _ => 1,
                };
                assert_eq!(links, roots.len() - at);
            }
        }
    }
}

#[tokio::test]
async fn a_root_that_is_not_the_latest_is_told_to_no_chain() {
    for app in [App::new().await, App::guarded().await] {
        let (device, wallet) = app.with_wallet().await;
        let first = publish(&wallet, &wallet.image_hash);
        assert_refused(
            &device.sign_with(&wallet, &first).await,
            Code::ConfigInvalid,
        );
        let told: WalletConfig = device.change(&wallet, add_key(8)).await.ok();
        let replaced = latest(&told).config().unwrap().image_hash();
        let _: WalletConfig = device.change(&wallet, remove_key(8)).await.ok();
        let foreign = alloy_primitives::B256::repeat_byte(7);
        for root in [wallet.image_hash, replaced, foreign] {
            let request = publish(&wallet, &root);
            assert_refused(
                &device.sign_with(&wallet, &request).await,
                Code::ConfigStale,
            );
        }
        // Nor is anything signed as if a chain knew what the wallet never had.
        let request = SignRequest {
            on_chain: Some(foreign),
            ..payment(&wallet, 1)
        };
        assert_refused(
            &device.sign_with(&wallet, &request).await,
            Code::ConfigInvalid,
        );
    }
}
