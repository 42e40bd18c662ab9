//! Requests that are signed as they should be and ask for what cannot be.

use common::channel::{Channel, key_use, random, request_id};
use keyfold_client::ids::{AddressId, Digest32};
use keyfold_protocol::client_api::{MAX_BODY, SignRequest, WirePayload, path};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_testkit::system::CHAIN_ID;
use serde_json::{Value, json};

use super::{CANARY, World, all_refused, common};

pub(super) async fn an_intent_that_does_not_say_what_the_body_asks_is_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let World {
        alice,
        wallet,
        second,
        bobs,
        ..
    } = world;
    let text = "what the body says";
    let body = SignRequest {
        wallet: wallet.address(),
        chain_id: CHAIN_ID,
        payload: WirePayload::Message {
            message: text.as_bytes().to_vec().into(),
        },
        on_chain: None,
    };
    let right = key_use(wallet, &body);
    let other_body = SignRequest {
        payload: WirePayload::Message {
            message: b"what the intent says".to_vec().into(),
        },
        ..body.clone()
    };
    let sign = |operation, key_use| {
        Intent::Sign {
            operation,
            id: request_id(),
            key_use,
        }
        .to_field()
    };
    let message = |key_use| sign(Operation::SignMessage, key_use);
    let cases = [
        ("another digest", message(key_use(wallet, &other_body))),
        (
            "another wallet",
            message(KeyUse {
                wallet: key_use(second, &body).wallet,
                ..right
            }),
        ),
        (
            "another key of the account",
            message(KeyUse {
                key: second.key(),
                ..right
            }),
        ),
        (
            "somebody else's key",
            message(KeyUse {
                key: bobs.key(),
                ..right
            }),
        ),
        ("a transaction", sign(Operation::SignTransaction, right)),
        (
            "a list",
            Intent::Plain {
                operation: Operation::ListWallets,
                id: request_id(),
            }
            .to_field(),
        ),
        ("two spaces", message(right).replacen(", ", ",  ", 1)),
        ("something more", format!("{}, more=1", message(right))),
        (
            "an operation that is none",
            message(right).replacen("sign-message", "export", 1),
        ),
        ("nothing", "op=sign-message".to_owned()),
    ];
    let requests = cases.into_iter().map(|(what, intent)| {
        let mut draft = channel.message(alice, wallet, text);
        draft.intent = intent;
        (
            format!("intent of {what}"),
            draft.signed(&alice.key),
            "intent_mismatch",
        )
    });
    let mut requests: Vec<_> = requests.collect();
    // Approving one device while the signed intent names another.
    let intent = Intent::ApproveDevice {
        id: request_id(),
        device: alice.session.device(),
    };
    let body = json!({ "device": world.bob.session.device() });
    let draft = channel.draft(alice, path::DEVICE_APPROVE, &intent, &body);
    let approve = draft.signed(&alice.key);
    requests.push((
        "intent of another device".to_owned(),
        approve,
        "intent_mismatch",
    ));
    all_refused(world, &channel, requests).await;
}

pub(super) async fn malformed_requests_inside_the_channel_are_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let World { alice, wallet, .. } = world;
    let genuine: Value =
        serde_json::from_slice(&channel.message(alice, wallet, "shape").body).unwrap();
    let mut more = genuine.clone();
    more["delegate_call"] = json!(true);
    let mut delegate = genuine.clone();
    delegate["payload"]["delegate_call"] = json!(true);
    let mut kind = genuine.clone();
    kind["payload"]["kind"] = json!("digest");
    let bodies: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "malformed_request"),
        ("half", br#"{"wallet":"#.to_vec(), "malformed_request"),
        ("null", b"null".to_vec(), "malformed_request"),
        ("deep", b"[".repeat(60_000), "malformed_request"),
        ("no text", vec![0xff, 0xfe, 0x00], "malformed_request"),
        (
            "CBOR",
            vec![0xa1, 0x61, 0x61, 0x1b, 0xff, 0xff, 0xff, 0xff],
            "malformed_request",
        ),
        ("canary", CANARY.as_bytes().to_vec(), "malformed_request"),
        (
            "a field more",
            more.to_string().into_bytes(),
            "malformed_request",
        ),
        (
            "a delegate call",
            delegate.to_string().into_bytes(),
            "malformed_request",
        ),
        (
            "a bare digest",
            kind.to_string().into_bytes(),
            "malformed_request",
        ),
        (
            "one byte too many",
            vec![b' '; MAX_BODY + 1],
            "body_too_large",
        ),
    ];
    let requests = bodies.into_iter().map(|(what, body, code)| {
        let mut draft = channel.message(alice, wallet, what);
        draft.body = body;
        (format!("a body of {what}"), draft.signed(&alice.key), code)
    });
    all_refused(world, &channel, requests.collect()).await;
}

pub(super) async fn what_is_to_be_signed_must_be_acceptable(world: &World) {
    let channel = Channel::open(&world.system).await;
    let World { alice, wallet, .. } = world;
    let call = json!({ "to": format!("{}", wallet.address()), "value": "0x0", "data": "0x" });
    let transaction = |calls: Value, nonce: Value| json!({ "kind": "transaction", "space": "0x0", "nonce": nonce, "calls": calls });
    let message = json!({ "kind": "message", "message": "0x00" });
    let long = format!("0x{}", "00".repeat(16 * 1024 + 1));
    let cases = [
        ("no chain", path::SIGN_MESSAGE, 0, message.clone()),
        (
            "no call",
            path::SIGN_TRANSACTION,
            1,
            transaction(json!([]), json!(0)),
        ),
        (
            "65 calls",
            path::SIGN_TRANSACTION,
            1,
            transaction(json!(vec![&call; 65]), json!(0)),
        ),
        (
            "a nonce too large",
            path::SIGN_TRANSACTION,
            1,
            transaction(json!([call]), json!(1_u64 << 56)),
        ),
        (
            "a call that may fail, without a gas limit",
            path::SIGN_TRANSACTION,
            1,
            transaction(
                json!([{ "to": wallet.address(), "ignore_error": true }]),
                json!(0),
            ),
        ),
        (
            "a long message",
            path::SIGN_MESSAGE,
            1,
            json!({ "kind": "message", "message": long }),
        ),
    ];
    let mut requests = Vec::new();
    for (what, target, chain, payload) in cases {
        let body = json!({ "wallet": wallet.address(), "chain_id": chain, "payload": payload });
        let operation = match target {
            path::SIGN_MESSAGE => Operation::SignMessage,
            _ => Operation::SignTransaction,
        };
        let intent = Intent::Sign {
            operation,
            id: request_id(),
            key_use: KeyUse {
                wallet: AddressId::from_bytes(wallet.address().into_array()),
                key: wallet.key(),
                digest: Digest32::from_bytes(random()),
            },
        };
        let draft = channel.draft(alice, target, &intent, &body);
        requests.push((
            format!("to sign {what}"),
            draft.signed(&alice.key),
            "payload_invalid",
        ));
    }
    // One kind at the other's path, with an intent that fits path and digest.
    let mut draft = channel.message(alice, wallet, "a message as a transaction");
    draft.path = path::SIGN_TRANSACTION.to_owned();
    draft.intent = draft.intent.replacen("sign-message", "sign-transaction", 1);
    let crossed = draft.signed(&alice.key);
    requests.push((
        "a message as a transaction".to_owned(),
        crossed,
        "payload_invalid",
    ));
    all_refused(world, &channel, requests).await;
}
