//! What attackers change in a request, and what they get.

use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path as holder_path;
use keyfold_protocol::ids::{AddressId, Digest32, KeyId, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_protocol::sign_in::{Proof, SignInFinish, SignInStarted};

use crate::app::{ANNA, APP, App, OTHER, assert_refused, message, payment};

pub(crate) fn set(request: &mut InnerRequest, name: &str, value: &str) {
    let header = request.headers.iter_mut().find(|(n, _)| n == name).unwrap();
    header.1 = value.to_owned();
}

#[tokio::test]
async fn whatever_is_altered_after_signing_is_refused_and_no_share_is_asked_for() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let other_realm = "00".repeat(32);
    let other_session = "11".repeat(32);
    type Alter<'a> = Box<dyn Fn(&mut InnerRequest) + 'a>;
    let alterations: Vec<(Alter<'_>, Code)> = vec![
        (
            Box::new(|r| *r.body.last_mut().unwrap() = b' '),
            Code::MalformedRequest,
        ),
        (
            Box::new(|r| {
                let text = String::from_utf8(r.body.to_vec()).unwrap();
                *r.body = text.replace("\"0x1\"", "\"0x2\"").into_bytes();
            }),
            Code::DigestMismatch,
        ),
        (
            Box::new(|r| r.path_and_query = path::SIGN_MESSAGE.into()),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| r.path_and_query.push_str("?x=1")),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| r.authority = "00".repeat(16)),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| r.method = "PUT".into()),
            Code::MethodNotAllowed,
        ),
        (
            Box::new(|r| set(r, header::REALM, &other_realm)),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| set(r, header::PROJECT, OTHER)),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| set(r, header::SESSION, &other_session)),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| {
                let other = device.plain(Operation::Renew).to_field();
                set(r, header::INTENT, &other);
            }),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| {
                let digest = keyfold_protocol::signed_request::content_digest(b"{}");
                set(r, header::CONTENT_DIGEST, &digest);
            }),
            Code::SignatureInvalid,
        ),
        (
            Box::new(|r| r.headers.retain(|(n, _)| n != header::SIGNATURE)),
            Code::SignatureMissing,
        ),
        (
            Box::new(|r| r.headers.retain(|(n, _)| n != header::DEVICE)),
            Code::SignatureMissing,
        ),
        (
            Box::new(|r| r.headers.retain(|(n, _)| n != header::ATTESTATION)),
            Code::SessionMissing,
        ),
    ];
    for (at, (alter, code)) in alterations.iter().enumerate() {
        let mut request = device.order(&wallet, &payment(&wallet, 1));
        alter(&mut request);
        let reply = device.send(&request).await;
        assert_eq!(reply.code(), Some(*code), "alteration {at}: {reply:?}");
    }
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
    // The next good request works.
    let _: Signed = device.sign_with(&wallet, &payment(&wallet, 1)).await.ok();
}

#[tokio::test]
async fn one_nonce_in_parallel_passes_exactly_once_and_a_replay_never() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let request = device.order(&wallet, &payment(&wallet, 1));
    let replies = futures_util::future::join_all((0..8).map(|_| device.send(&request))).await;
    let passed = replies.iter().filter(|reply| reply.status == 200).count();
    let refused = replies
        .iter()
        .filter(|r| r.code() == Some(Code::NonceReused))
        .count();
    assert_eq!((passed, refused), (1, 7));
    assert_refused(&device.send(&request).await, Code::NonceReused);
    app.world.pass(60);
    assert_refused(&device.send(&request).await, Code::SignatureExpired);
}

#[tokio::test]
async fn signatures_from_the_future_and_past_their_end_are_refused() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    app.world.pass(31);
    let early = device.sign(
        path::WALLET_LIST,
        &device.plain(Operation::ListWallets),
        &Nothing {},
    );
    app.world
        .now_ms
        .fetch_sub(31_000, std::sync::atomic::Ordering::SeqCst);
    assert_refused(&device.send(&early).await, Code::SignatureExpired);
}

#[tokio::test]
async fn an_attestation_of_another_device_project_or_hour_is_refused() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    // Another device with the stolen attestation.
    let mut thief = app.device(APP);
    thief.attestation = device.attestation.clone();
    assert_refused(
        &thief.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::SessionInvalid,
    );
    // The same device in another project.
    let mut elsewhere = app.device(OTHER);
    let key = device.key.to_secret_bytes().expose(<[u8]>::to_vec);
    elsewhere.key = keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes(&key).unwrap();
    elsewhere.attestation = device.attestation.clone();
    assert_refused(&elsewhere.wallets().await, Code::SessionInvalid);
    // A signature over one attestation, shown with another.
    let mut other = app.device(APP);
    other.sign_in("someone@mail.example").await;
    let mut swapped = device.order(&wallet, &payment(&wallet, 1));
    set(&mut swapped, header::ATTESTATION, &other.attestation);
    assert_refused(&device.send(&swapped).await, Code::SessionInvalid);
    // Somebody else's key in the header.
    let mut swapped = device.order(&wallet, &payment(&wallet, 1));
    set(
        &mut swapped,
        header::DEVICE,
        &serde_json::to_string(&other.jwk()).unwrap(),
    );
    assert_refused(&device.send(&swapped).await, Code::SignatureInvalid);
    // One second too late.
    app.world.pass(3_599);
    let _: Wallets = device.wallets().await.ok();
    app.world.pass(1);
    assert_refused(&device.wallets().await, Code::SessionExpired);
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
}

#[tokio::test]
async fn an_intent_that_says_something_else_than_the_body_is_refused() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let request = payment(&wallet, 1);
    let digest = request.digest().unwrap().1;
    let right = KeyUse {
        wallet: AddressId::from_bytes(wallet.address.into()),
        key: wallet.key,
        digest,
    };
    let id = RequestId::from_bytes([9; 16]);
    let operation = Operation::SignTransaction;
    let wrong = [
        KeyUse {
            digest: Digest32::from_bytes([1; 32]),
            ..right
        },
        KeyUse {
            digest: payment(&wallet, 2).digest().unwrap().1,
            ..right
        },
        KeyUse {
            wallet: AddressId::from_bytes([1; 20]),
            ..right
        },
        KeyUse {
            key: KeyId::from_bytes([1; 16]),
            ..right
        },
    ];
    for key_use in wrong {
        let intent = Intent::Sign {
            operation,
            id,
            key_use,
        };
        let signed = device.sign(path::SIGN_TRANSACTION, &intent, &request);
        assert_refused(&device.send(&signed).await, Code::IntentMismatch);
    }
    // Another operation's intent on this path, and a message on the path of transactions.
    let intent = Intent::Sign {
        operation: Operation::SignMessage,
        id,
        key_use: right,
    };
    let signed = device.sign(path::SIGN_TRANSACTION, &intent, &request);
    assert_refused(&device.send(&signed).await, Code::IntentMismatch);
    let text = message(&wallet, "hi");
    let key_use = KeyUse {
        digest: text.digest().unwrap().1,
        ..right
    };
    let intent = Intent::Sign {
        operation,
        id,
        key_use,
    };
    let signed = device.sign(path::SIGN_TRANSACTION, &intent, &text);
    assert_refused(&device.send(&signed).await, Code::PayloadInvalid);
    assert_eq!(app.world.calls(holder_path::SHARE_RELEASE), 0);
}

#[tokio::test]
async fn chain_zero_and_empty_transactions_are_refused() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    let good = payment(&wallet, 1);
    let any_chain = SignRequest {
        chain_id: 0,
        ..good.clone()
    };
    let empty = SignRequest {
        payload: WirePayload::Transaction {
            space: Default::default(),
            nonce: 0,
            calls: vec![],
        },
        ..good.clone()
    };
    for bad in [any_chain, empty] {
        let intent = Intent::Sign {
            operation: Operation::SignTransaction,
            id: RequestId::from_bytes([9; 16]),
            key_use: KeyUse {
                wallet: AddressId::from_bytes(wallet.address.into()),
                key: wallet.key,
                digest: good.digest().unwrap().1,
            },
        };
        let signed = device.sign(path::SIGN_TRANSACTION, &intent, &bad);
        assert_refused(&device.send(&signed).await, Code::PayloadInvalid);
    }
}

#[tokio::test]
async fn a_device_that_no_holder_knows_gets_no_share() {
    let app = App::new().await;
    let (device, wallet) = app.with_wallet().await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.devices.clear());
    }
    assert_refused(
        &device.sign_with(&wallet, &payment(&wallet, 1)).await,
        Code::DeviceUnknown,
    );
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_are_refused() {
    let app = App::new().await;
    let device = app.signed_in(APP, ANNA).await;
    let intent = device.plain(Operation::ListWallets).to_field();
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "{\"a\":1}",
        "{}{}",
        "\u{0}",
        &"[".repeat(30_000),
    ] {
        let request = device.sign_bytes(path::WALLET_LIST, &intent, false, bad.as_bytes().to_vec());
        assert_refused(&device.send(&request).await, Code::MalformedRequest);
    }
    let long = vec![b' '; MAX_BODY + 1];
    let request = device.sign_bytes(path::WALLET_LIST, &intent, false, long);
    assert_refused(&device.send(&request).await, Code::BodyTooLarge);
    let request = device.sign_bytes("/v1/nothing", &intent, false, b"{}".to_vec());
    assert_refused(&device.send(&request).await, Code::NotFound);
    let _: Wallets = device.wallets().await.ok();
}

#[tokio::test]
async fn a_sign_in_that_names_another_proof_than_it_shows_is_refused() {
    let app = App::new().await;
    let device = app.device(APP);
    let started: SignInStarted = device.start(ANNA).await.ok();
    let proof = |code: String| Proof::EmailCode {
        code: code.into(),
        new_password: None,
    };
    let shown = proof(app.world.code());
    let body = SignInFinish {
        sign_in: started.sign_in,
        proof: shown.clone(),
        device: device.jwk(),
        device_name: String::new(),
        delivery: Default::default(),
    };
    let named = |proof: &Proof| Intent::FinishSignIn {
        id: RequestId::from_bytes([9; 16]),
        proof: proof.digest(),
    };
    let other = named(&proof("00000000".to_owned()));
    let signed = device.sign(path::SIGN_IN_FINISH, &other, &body);
    assert_refused(&device.send(&signed).await, Code::IntentMismatch);
    let signed = device.sign(path::SIGN_IN_FINISH, &named(&shown), &body);
    let _: SignedIn = device.send(&signed).await.ok();
}
