//! Signatures that are not what was asked for, and transactions that are sent once.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, U256};
use keyfold_protocol::client_api::{SignRequest, Signed, WireCall, WirePayload};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::relayer_api::RelayState;
use keyfold_wallet::abi::{self, erc6492_unwrap};
use keyfold_wallet::config::default_tree;
use keyfold_wallet::payload::{ANY_CHAIN, unpack};
use keyfold_wallet::signature::Header;
use keyfold_wallet::{Context, ContextName, ValidConfig};

use super::world::*;
use crate::{ClientError, SignatureRefused, WaitLimit, Wallet, WalletRules, verify_signature};

fn call() -> WireCall {
    WireCall {
        to: Address::repeat_byte(0x42),
        value: U256::from(5),
        data: Default::default(),
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

#[test]
fn a_message_is_signed_and_the_signature_is_the_wallets() {
    let (_host, client, session, wallet) = ready();
    let signed = run(client.sign_message(&session, &wallet, CHAIN, b"hello")).unwrap();
    let request = SignRequest {
        wallet: wallet.address(),
        chain_id: CHAIN,
        payload: WirePayload::Message {
            message: b"hello".to_vec().into(),
        },
        on_chain: None,
    };
    let (payload, digest) = request.digest().unwrap();
    assert_eq!(signed.digest, digest);
    verify_signature(&wallet, CHAIN, &payload, &signed.signature).unwrap();
    let wrapped = erc6492_unwrap(&signed.counterfactual).unwrap();
    assert_eq!(wrapped.factory, Context::keyfold().factory);
    assert_eq!(wrapped.signature, signed.signature);
    // Another chain, another text: not this signature.
    assert!(verify_signature(&wallet, CHAIN + 1, &payload, &signed.signature).is_err());
}

#[test]
fn before_deployment_a_signature_names_the_contracts_of_its_wallet() {
    for contracts in ContextName::CHOICES {
        let (host, pin) = world();
        let client = client(&host, &pin).with_wallet_rules(WalletRules {
            contracts,
            ..WalletRules::default()
        });
        let told = info_with("main", &config(1), contracts);
        host.with(|state| state.wallets = vec![told.clone()]);
        let session = sign_in(&client).unwrap();
        let wallet = run(client.create_wallet(&session, "main")).unwrap();
        let signed = run(client.sign_message(&session, &wallet, CHAIN, b"hello")).unwrap();
        let wrapped = erc6492_unwrap(&signed.counterfactual).unwrap();
        let context = contracts.context();
        assert_eq!(wrapped.factory, context.factory);
        let deploy = abi::deploy(&context.stage1, &wallet.image_hash());
        assert_eq!(wrapped.deploy_data, deploy);
        let payload = WirePayload::Message {
            message: b"hello".to_vec().into(),
        };
        let payload = payload.to_payload().unwrap();
        verify_signature(&wallet, CHAIN, &payload, &signed.signature).unwrap();
        // The digest names the wallet, so the same owner's wallet of other contracts refuses it.
        let other = ContextName::CHOICES.into_iter().find(|o| *o != contracts);
        let rules = WalletRules {
            contracts: other.unwrap(),
            ..WalletRules::default()
        };
        let sibling = info_with("main", &config(1), rules.contracts);
        let sibling = Wallet::verify(sibling, &rules).unwrap();
        assert!(verify_signature(&sibling, CHAIN, &payload, &signed.signature).is_err());
    }
}

/// Asks for a signature that the enclave then changes.
fn altered(change: impl Fn(&mut Signed) + Send + 'static) -> SignatureRefused {
    let (host, client, session, wallet) = ready();
    host.with(|state| state.alter_signed = Some(Box::new(change)));
    match run(client.send(&session, &wallet, CHAIN, vec![call()], WaitLimit::default())) {
        Err(ClientError::Signature(refused)) => {
            assert!(
                host.with(|state| state.relayed.is_empty()),
                "it was relayed"
            );
            refused
        }
        other => panic!("{other:?}"),
    }
}

fn config(owner_seed: u8) -> ValidConfig {
    default_tree(Address::from(owner(owner_seed).address()), None).unwrap()
}

#[test]
fn a_signature_that_is_not_the_wallets_is_never_relayed() {
    // Over another digest than was asked.
    let other = Digest32::from_bytes([9; 32]);
    assert_eq!(
        altered(move |s| s.digest = other),
        SignatureRefused::OtherDigest
    );
    // By another owner, in that owner's own configuration.
    let refused = altered(|s| s.signature = sign(&config(2), 2, B256::from(*s.digest.as_bytes())));
    assert_eq!(refused, SignatureRefused::OtherWallet);
    // Over something else: it recovers to some other owner.
    let refused = altered(|s| s.signature = sign(&config(1), 1, B256::repeat_byte(1)));
    assert_eq!(refused, SignatureRefused::OtherWallet);
    // Cut short, and with bytes after it.
    let refused = altered(|s| s.signature = s.signature.slice(..s.signature.len() - 1));
    assert!(matches!(refused, SignatureRefused::Decode(_)));
    let refused = altered(|s| s.signature = [&s.signature[..], &[0]].concat().into());
    assert!(matches!(refused, SignatureRefused::Decode(_)));
}

#[test]
fn a_signature_without_enough_weight_is_refused() {
    // What the owner signs alone, in a wallet that has a guard.
    let owner_address = Address::from(owner(1).address());
    let guarded = default_tree(owner_address, Some(Address::repeat_byte(7))).unwrap();
    let (host, client, session, _) = ready();
    host.with(|state| state.wallets.push(info("guarded", &guarded)));
    let wallets = run(client.wallets(&session)).unwrap();
    let error = run(client.sign_message(&session, &wallets[1], CHAIN, b"x")).unwrap_err();
    assert!(
        matches!(error, ClientError::Signature(SignatureRefused::Recover(_))),
        "{error}"
    );
}

#[test]
fn a_signature_for_every_chain_is_refused_where_one_was_asked_for() {
    let (host, client, session, wallet) = ready();
    let request = WirePayload::Message {
        message: b"x".to_vec().into(),
    };
    let everywhere = request
        .to_payload()
        .unwrap()
        .op_hash(&wallet.address(), ANY_CHAIN);
    let header = Header {
        no_chain_id: true,
        ..Header::default()
    };
    let signature = sign_with(&config(1), 1, everywhere, &header);
    host.with(|state| {
        state.alter_signed = Some(Box::new(move |signed| {
            signed.signature = signature.clone();
        }));
    });
    let error = run(client.sign_message(&session, &wallet, CHAIN, b"x")).unwrap_err();
    assert!(
        matches!(error, ClientError::Signature(SignatureRefused::OtherDigest)),
        "{error}"
    );
}

#[test]
fn a_transaction_is_sent_with_the_chains_nonce_and_waited_for() {
    let (host, client, session, wallet) = ready();
    for nonce in 0..2 {
        let sent =
            run(client.send(&session, &wallet, CHAIN, vec![call()], WaitLimit::default())).unwrap();
        assert_eq!(sent.relayed.state, RelayState::Mined);
        assert_eq!(sent.relayed.block, Some(12));
        let relay = &sent.transaction.relay;
        let payload = unpack(&relay.payload, &wallet.address()).unwrap();
        let expected = WirePayload::Transaction {
            space: U160::ZERO,
            nonce,
            calls: vec![call()],
        };
        assert_eq!(payload, expected.to_payload().unwrap());
        assert_eq!(relay.image_hash, wallet.image_hash());
        verify_signature(&wallet, CHAIN, &payload, &relay.signature).unwrap();
    }
    assert_eq!(host.with(|state| state.relayed.len()), 2);
}

#[test]
fn a_lost_answer_does_not_send_twice() {
    let (host, client, session, wallet) = ready();
    host.with(|state| state.lose_answers = 2);
    let sent =
        run(client.send(&session, &wallet, CHAIN, vec![call()], WaitLimit::default())).unwrap();
    host.with(|state| {
        assert_eq!(state.relayed.len(), 1);
        assert!(state.relayed.contains_key(&sent.transaction.id));
    });
    // Without end it is told, and the id is that of the signed request.
    host.with(|state| state.lose_answers = usize::MAX);
    let error = run(client.relay(&sent.transaction)).unwrap_err();
    let ClientError::Unconfirmed { id, hash, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((id, hash), (sent.transaction.id, None));
    assert_eq!(host.with(|state| state.relayed.len()), 1);
}

#[test]
fn what_was_not_handed_over_is_told_apart_from_what_may_have_been() {
    let (host, client, session, wallet) = ready();
    let sent =
        run(client.send(&session, &wallet, CHAIN, vec![call()], WaitLimit::default())).unwrap();
    for (code, unconfirmed) in [
        (Code::CallReverts, false),
        (Code::RateLimited, false),
        (Code::Unavailable, true),
        (Code::Timeout, true),
    ] {
        host.with(|state| state.refuse_relay = Some(code));
        let error = run(client.relay(&sent.transaction)).unwrap_err();
        let found = matches!(error, ClientError::Unconfirmed { .. });
        assert_eq!(found, unconfirmed, "{code}");
        // A refusal is believed only of the first attempt: an earlier one may have got through.
        host.with(|state| state.lose_answers = 1);
        let error = run(client.relay(&sent.transaction)).unwrap_err();
        assert!(matches!(error, ClientError::Unconfirmed { .. }), "{code}");
    }
}

#[test]
fn who_loses_the_gateway_after_the_hand_over_learns_id_and_hash() {
    let (host, client, session, wallet) = ready();
    host.with(|state| state.lose_looks = true);
    let limit = WaitLimit { milliseconds: 500 };
    let error = run(client.send(&session, &wallet, CHAIN, vec![call()], limit)).unwrap_err();
    let ClientError::Unconfirmed { id, hash, .. } = error else {
        panic!("{error}")
    };
    host.with(|state| state.lose_looks = false);
    let relayed = run(client.wait_for(id, limit)).unwrap();
    assert_eq!(Some(relayed.hash), hash);
}

#[test]
fn a_transaction_that_reverts_or_does_not_come_is_told_apart() {
    let (host, client, session, wallet) = ready();
    host.with(|state| state.outcome = RelayState::Reverted);
    let limit = WaitLimit {
        milliseconds: 1_000,
    };
    let error = run(client.send(&session, &wallet, CHAIN, vec![call()], limit)).unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Reverted {
                block: Some(12),
                ..
            }
        ),
        "{error}"
    );
    host.with(|state| state.outcome = RelayState::Lost);
    let error = run(client.send(&session, &wallet, CHAIN, vec![call()], limit)).unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    host.with(|state| state.looks_until_mined = usize::MAX);
    let error = run(client.send(&session, &wallet, CHAIN, vec![call()], limit)).unwrap_err();
    let ClientError::NotMined { id, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(run(client.transaction(id)).unwrap().state, RelayState::Sent);
}

#[test]
fn what_cannot_be_signed_is_not_sent() {
    let (host, client, session, wallet) = ready();
    let sealed = host.with(|state| state.sealed_requests.len());
    let space = U160::ZERO;
    let none = client.sign_transaction(&session, &wallet, CHAIN, space, 0, Vec::new());
    assert!(matches!(run(none), Err(ClientError::Payload(_))));
    let chain = client.sign_transaction(&session, &wallet, 0, space, 0, vec![call()]);
    assert!(matches!(run(chain), Err(ClientError::Payload(_))));
    let long = vec![0; 16 * 1024 + 1];
    let message = client.sign_message(&session, &wallet, CHAIN, &long);
    assert!(matches!(run(message), Err(ClientError::Payload(_))));
    assert_eq!(host.with(|state| state.sealed_requests.len()), sealed);
}
