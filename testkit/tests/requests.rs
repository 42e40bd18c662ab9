//! Bad input at every edge: a stable code, nothing released, nothing leaked, and the next good
//! request works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use std::sync::Mutex;

use common::channel::{Channel, Draft, key_use, now, random, request_id, set, unset};
use common::edges::{Edge, Reply};
use common::search::{Haystack, Needle};
use common::storage::all_uses;
use common::{Cases, Part, Person};
use futures_util::future::join_all;
use keyfold_client::Wallet;
use keyfold_crypto::b64;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::client_api::{MAX_BODY, SignRequest, WirePayload, header, path};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_protocol::signed_request::Profile;
use keyfold_protocol::{gateway_api, guard_api, holder_api};
use keyfold_testkit::system::{CHAIN_ID, ProjectOptions, System, new_key};
use serde_json::{Value, json};

const OTHER_APP: &str = "other.example";
/// Stands in every malformed body; no log may repeat it.
const CANARY: &str = "canary-of-a-malformed-body";
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

struct World {
    system: System,
    alice: Person,
    wallet: Wallet,
    second: Wallet,
    /// Somebody else, on another device.
    bob: Person,
    bobs: Wallet,
    /// What no log may hold.
    secrets: Mutex<Vec<(String, String)>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_their_code_and_nothing_else() {
    let system = common::start(|options| {
        options.log = "debug".to_owned();
        options.projects.push(ProjectOptions {
            id: OTHER_APP.to_owned(),
            policy: None,
        });
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let bob = Person::sign_in(&system, system.project(), "bob@mail.example").await;
    let wallet = alice.wallet("main").await;
    let second = alice.wallet("second").await;
    let bobs = bob.wallet("main").await;
    let world = World {
        system,
        alice,
        wallet,
        second,
        bob,
        bobs,
        secrets: Mutex::default(),
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_request_altered_after_signing_is_refused,
            a_request_signed_for_elsewhere_or_another_time_is_refused,
            an_intent_that_does_not_say_what_the_body_asks_is_refused,
            an_attestation_of_another_device_or_forged_is_refused,
            a_signed_out_session_opens_nothing,
            the_same_nonce_in_parallel_passes_once,
            a_recorded_request_sent_again_does_nothing,
            malformed_requests_inside_the_channel_are_refused,
            what_is_to_be_signed_must_be_acceptable,
            a_code_works_once_for_its_device_sign_in_and_project,
            three_wrong_codes_end_a_sign_in_and_starting_again_gives_none_back,
            addresses_that_are_none_are_refused,
            bytes_that_are_not_sealed_are_refused,
            bad_bodies_at_the_gateway_get_a_code,
            bad_bodies_at_the_holders_get_a_code,
            bad_bodies_at_the_guard_get_a_code,
            bad_bodies_at_the_relayer_get_a_code,
            a_document_that_answers_another_nonce_or_is_altered_registers_nobody,
            a_request_sealed_to_an_enclave_that_is_gone_is_refused_by_the_next,
            nothing_of_all_this_is_in_a_log,
        ]
    );
    cases.end(world.system).await;
}

/// Sends each request, expects its code, and sees that no holder did anything and that the next
/// good request works.
async fn all_refused(
    world: &World,
    channel: &Channel,
    requests: Vec<(String, InnerRequest, &str)>,
) {
    let before = all_uses(&world.system).await;
    let mut wrong = Vec::new();
    for (what, request, code) in requests {
        let reply = channel.send(&request).await;
        if reply.code != code || !(400..500).contains(&reply.status) {
            wrong.push(format!("{what}: expected {code}, got {}", reply.summary()));
        }
    }
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    world
        .alice
        .must_sign(&world.wallet, "the next good one")
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn a_request_altered_after_signing_is_refused(world: &World) {
    type Alter = Box<dyn Fn(&mut InnerRequest)>;
    let channel = Channel::open(&world.system).await;
    let header = |name: &'static str, value: &str| -> Alter {
        let value = value.to_owned();
        Box::new(move |request| set(request, name, &value))
    };
    let without = |name: &'static str| -> Alter { Box::new(move |request| unset(request, name)) };
    let bobs_jwk = serde_json::to_string(&world.bob.key.public_jwk()).unwrap();
    let other = channel
        .message(&world.alice, &world.wallet, "another")
        .signed(&world.alice.key);
    let digest_of_other = other.header(header::CONTENT_DIGEST).unwrap().to_owned();
    let other_body = other.body.clone();
    let intent_of_other = other.header(header::INTENT).unwrap().to_owned();
    let input_of_other = other.header(header::SIGNATURE_INPUT).unwrap().to_owned();
    let signature_of_other = other.header(header::SIGNATURE).unwrap().to_owned();
    let session_of_bob = {
        let bobs = channel
            .message(&world.bob, &world.bobs, "bob")
            .signed(&world.bob.key);
        bobs.header(header::SESSION).unwrap().to_owned()
    };
    let body = other_body.clone();
    let cases: Vec<(&str, Alter, &str)> = vec![
        (
            "body",
            Box::new(move |r| r.body = other_body.clone()),
            "digest_mismatch",
        ),
        (
            "body and its digest",
            Box::new(move |r| {
                r.body.clone_from(&body);
                set(r, header::CONTENT_DIGEST, &digest_of_other);
            }),
            "signature_invalid",
        ),
        (
            "path",
            Box::new(|r| r.path_and_query = path::SIGN_TRANSACTION.to_owned()),
            "signature_invalid",
        ),
        (
            "query",
            Box::new(|r| r.path_and_query.push_str("?x=1")),
            "signature_invalid",
        ),
        (
            "empty query",
            Box::new(|r| r.path_and_query.push_str("?&")),
            "signature_invalid",
        ),
        (
            "method",
            Box::new(|r| r.method = "PUT".to_owned()),
            "method_not_allowed",
        ),
        (
            "authority",
            Box::new(|r| r.authority = "0".repeat(32)),
            "signature_invalid",
        ),
        (
            "realm",
            header(header::REALM, &"0".repeat(64)),
            "signature_invalid",
        ),
        (
            "project",
            header(header::PROJECT, OTHER_APP),
            "signature_invalid",
        ),
        (
            "intent",
            header(header::INTENT, &intent_of_other),
            "signature_invalid",
        ),
        (
            "session",
            header(header::SESSION, &session_of_bob),
            "signature_invalid",
        ),
        (
            "signature input",
            header(header::SIGNATURE_INPUT, &input_of_other),
            "signature_invalid",
        ),
        (
            "signature",
            header(header::SIGNATURE, &signature_of_other),
            "signature_invalid",
        ),
        (
            "signature of zeros",
            header(header::SIGNATURE, &zeros()),
            "signature_invalid",
        ),
        (
            "device",
            header(header::DEVICE, &bobs_jwk),
            "signature_invalid",
        ),
        (
            "device that is no key",
            header(header::DEVICE, "{}"),
            "malformed_request",
        ),
        (
            "attestation",
            header(header::ATTESTATION, &world.bob.session.attestation()),
            "session_invalid",
        ),
        (
            "no signature",
            without(header::SIGNATURE),
            "signature_missing",
        ),
        (
            "no signature input",
            without(header::SIGNATURE_INPUT),
            "signature_missing",
        ),
        (
            "no digest",
            without(header::CONTENT_DIGEST),
            "signature_missing",
        ),
        ("no realm", without(header::REALM), "signature_missing"),
        ("no project", without(header::PROJECT), "signature_missing"),
        ("no intent", without(header::INTENT), "signature_missing"),
        ("no session", without(header::SESSION), "signature_missing"),
        ("no device", without(header::DEVICE), "signature_missing"),
        (
            "no attestation",
            without(header::ATTESTATION),
            "session_missing",
        ),
    ];
    let requests = cases.into_iter().map(|(what, alter, code)| {
        let draft = channel.message(&world.alice, &world.wallet, what);
        let mut request = draft.signed(&world.alice.key);
        alter(&mut request);
        (format!("altered {what}"), request, code)
    });
    all_refused(world, &channel, requests.collect()).await;
}

fn zeros() -> String {
    // 64 bytes.
    format!("keyfold=:{}==:", "A".repeat(86))
}

async fn a_request_signed_for_elsewhere_or_another_time_is_refused(world: &World) {
    type Alter = fn(&mut Draft);
    let channel = Channel::open(&world.system).await;
    let cases: [(&str, Alter, &str); 13] = [
        ("another realm", |d| d.realm = "0".repeat(64), "wrong_realm"),
        (
            "another instance",
            |d| d.authority = "0".repeat(32),
            "unknown_instance",
        ),
        (
            "another app",
            |d| d.project = OTHER_APP.to_owned(),
            "session_invalid",
        ),
        (
            "an app that is none",
            |d| d.project = "nowhere.example".to_owned(),
            "session_invalid",
        ),
        ("a minute ago", |d| d.created -= 61, "signature_expired"),
        ("an hour ago", |d| d.created -= 3_600, "signature_expired"),
        (
            "two minutes ahead",
            |d| d.created += 120,
            "signature_expired",
        ),
        (
            "two minutes long",
            |d| d.lifetime = 120,
            "signature_expired",
        ),
        ("no time at all", |d| d.lifetime = 0, "signature_expired"),
        (
            "a short nonce",
            |d| d.nonce = "short".to_owned(),
            "signature_invalid",
        ),
        (
            "a long nonce",
            |d| d.nonce = "n".repeat(65),
            "signature_invalid",
        ),
        ("GET", |d| d.method = "GET".to_owned(), "method_not_allowed"),
        // Signed as it is, and still no such thing.
        (
            "a path that is none",
            |d| d.path = "/v1/export".to_owned(),
            "not_found",
        ),
    ];
    let mut requests: Vec<_> = cases
        .into_iter()
        .map(|(what, alter, code)| {
            let mut draft = channel.message(&world.alice, &world.wallet, what);
            alter(&mut draft);
            (
                format!("signed for {what}"),
                draft.signed(&world.alice.key),
                code,
            )
        })
        .collect();
    // A signature for sign-ins is none for sessions, though everything else be there.
    let mut draft = channel.message(&world.alice, &world.wallet, "tag");
    let genuine = draft.signed(&world.alice.key);
    draft.profile = Profile::SignIn;
    draft.attestation = None;
    let mut request = draft.signed(&world.alice.key);
    for name in [header::SESSION, header::ATTESTATION, header::DEVICE] {
        set(&mut request, name, genuine.header(name).unwrap());
    }
    requests.push((
        "tagged for sign-in".to_owned(),
        request,
        "signature_invalid",
    ));
    all_refused(world, &channel, requests).await;
}

async fn an_intent_that_does_not_say_what_the_body_asks_is_refused(world: &World) {
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

async fn an_attestation_of_another_device_or_forged_is_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let World {
        alice, bob, wallet, ..
    } = world;
    let genuine = alice.session.attestation();
    let parts: Vec<&str> = genuine.split('.').collect();
    let decoded = |part: &str| -> Value {
        serde_json::from_slice(&b64::decode(part, 1 << 16).unwrap()).unwrap()
    };
    let encoded = |value: &Value| b64::encode(&serde_json::to_vec(value).unwrap());
    let (head, claims) = (decoded(parts[0]), decoded(parts[1]));
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        assert!(value.get(name).is_some(), "there is no {name}");
        value[name] = new;
        encoded(&value)
    };
    let joined = |head: &str, claims: &str, signature: &str| format!("{head}.{claims}.{signature}");
    let later = json!(now() + 86_400);
    let forged = [
        ("without a signature", joined(parts[0], parts[1], "")),
        (
            "of the algorithm none",
            joined(&with(&head, "alg", json!("none")), parts[1], ""),
        ),
        (
            "keyed by HMAC",
            joined(&with(&head, "alg", json!("HS256")), parts[1], parts[2]),
        ),
        (
            "of another key",
            joined(&with(&head, "kid", json!("x")), parts[1], parts[2]),
        ),
        (
            "that lives longer",
            joined(parts[0], &with(&claims, "exp", later), parts[2]),
        ),
        (
            "for another app",
            joined(parts[0], &with(&claims, "aud", json!(OTHER_APP)), parts[2]),
        ),
        (
            "of another account",
            joined(
                parts[0],
                &with(&claims, "sub", json!(bob.session.account())),
                parts[2],
            ),
        ),
        ("of four parts", format!("{genuine}.{}", parts[2])),
        ("that is none", "eyJ.eyJ.AAAA".to_owned()),
        ("of one word", CANARY.to_owned()),
        ("of many dots", ".".repeat(2_000)),
        ("of 16 KiB", "e".repeat(16 * 1024)),
    ];
    let mut requests = Vec::new();
    for (what, attestation) in forged {
        let mut draft = channel.message(alice, wallet, what);
        draft.attestation = Some(attestation);
        requests.push((
            format!("an attestation {what}"),
            draft.signed(&alice.key),
            "session_invalid",
        ));
    }
    // Stolen whole: signed by the thief's device, as the thief's or as if it were the owner's.
    let stolen = channel.message(alice, wallet, "stolen");
    requests.push((
        "a stolen session".to_owned(),
        stolen.signed(&bob.key),
        "session_invalid",
    ));
    let mut pretended = channel.message(alice, wallet, "pretended").signed(&bob.key);
    let jwk = serde_json::to_string(&alice.key.public_jwk()).unwrap();
    set(&mut pretended, header::DEVICE, &jwk);
    requests.push((
        "a pretended device".to_owned(),
        pretended,
        "signature_invalid",
    ));
    // Somebody else's wallet in one's own session.
    let foreign = channel
        .message(alice, &world.bobs, "foreign")
        .signed(&alice.key);
    requests.push(("a foreign wallet".to_owned(), foreign, "wallet_unknown"));
    all_refused(world, &channel, requests).await;
}

async fn a_signed_out_session_opens_nothing(world: &World) {
    let person =
        Person::sign_in(&world.system, system_project(world), "leaving@mail.example").await;
    let wallet = person.wallet("left").await;
    let channel = Channel::open(&world.system).await;
    person.device.sign_out(&person.session).await.unwrap();
    let attestation = person.session.attestation();
    let list = Intent::Plain {
        operation: Operation::ListWallets,
        id: request_id(),
    };
    let renew = Intent::Plain {
        operation: Operation::Renew,
        id: request_id(),
    };
    let requests = [
        ("sign", channel.message(&person, &wallet, "after sign-out")),
        (
            "list",
            channel.draft(&person, path::WALLET_LIST, &list, &json!({})),
        ),
        (
            "renew",
            channel.draft(&person, path::RENEW, &renew, &json!({})),
        ),
    ];
    let requests = requests.map(|(what, draft)| {
        assert_eq!(draft.attestation.as_deref(), Some(attestation.as_str()));
        (
            format!("{what} after sign-out"),
            draft.signed(&person.key),
            "session_revoked",
        )
    });
    all_refused(world, &channel, requests.into()).await;
}

fn system_project(world: &World) -> &keyfold_testkit::system::Project {
    world.system.project()
}

async fn the_same_nonce_in_parallel_passes_once(world: &World) {
    let channel = Channel::open(&world.system).await;
    for round in 0..3 {
        let draft = channel.message(&world.alice, &world.wallet, &format!("once {round}"));
        let request = draft.signed(&world.alice.key);
        let replies = join_all((0..8).map(|_| channel.send(&request))).await;
        let passed = replies.iter().filter(|reply| reply.status == 200).count();
        let reused = replies
            .iter()
            .filter(|reply| reply.code == "nonce_reused")
            .count();
        let all: Vec<_> = replies.iter().map(Reply::summary).collect();
        assert_eq!((passed, reused), (1, 7), "{all:?}");
    }
    // The nonce is the device's: the same text signed anew over another body is used up too.
    let first = channel.message(&world.alice, &world.wallet, "first");
    let mut second = channel.message(&world.alice, &world.wallet, "second");
    second.nonce.clone_from(&first.nonce);
    assert_eq!(
        channel.send(&first.signed(&world.alice.key)).await.status,
        200
    );
    let reply = channel.send(&second.signed(&world.alice.key)).await;
    assert_eq!(reply.code, "nonce_reused", "{}", reply.summary());
}

async fn a_recorded_request_sent_again_does_nothing(world: &World) {
    let channel = Channel::open(&world.system).await;
    let draft = channel.message(&world.alice, &world.wallet, "recorded");
    let (sealed, context) = channel.seal(&draft.signed(&world.alice.key));
    let instance = channel.instance.to_string();
    let reply = channel.post(&instance, sealed.clone()).await;
    assert_eq!(context.open(&reply.body).unwrap().status, 200);
    let before = all_uses(&world.system).await;
    for _ in 0..3 {
        // The host cannot read the refusal; that nothing happened is in the holders' logs.
        let again = channel.post(&instance, sealed.clone()).await;
        assert_eq!(again.status, 200, "{}", again.summary());
        assert_ne!(again.body, reply.body);
    }
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a replay released something"
    );
}

async fn malformed_requests_inside_the_channel_are_refused(world: &World) {
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

async fn what_is_to_be_signed_must_be_acceptable(world: &World) {
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
                wallet: keyfold_protocol::ids::AddressId::from_bytes(wallet.address().into_array()),
                key: wallet.key(),
                digest: keyfold_client::ids::Digest32::from_bytes(random()),
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

/// A sign-in that waits for its code.
struct Waiting {
    key: std::sync::Arc<DeviceSigningKey>,
    handle: Value,
    code: String,
}

async fn begin(world: &World, channel: &Channel, project: &str, email: &str) -> Waiting {
    let key = new_key();
    let seen = world.system.mailbox().to(email).unwrap().len();
    let reply = start(channel, &key, project, email).await;
    assert_eq!(reply.status, 200, "{}", reply.summary());
    let mail = world.system.mailbox().wait(email, seen).await.unwrap();
    let code = mail.code().unwrap().to_owned();
    let mut secrets = world.secrets.lock().unwrap();
    secrets.push(("a code".to_owned(), code.clone()));
    secrets.push(("an address".to_owned(), email.to_owned()));
    Waiting {
        key,
        handle: reply.json()["sign_in"].clone(),
        code,
    }
}

async fn start(channel: &Channel, key: &DeviceSigningKey, project: &str, email: &str) -> Reply {
    let intent = Intent::Plain {
        operation: Operation::SignInStart,
        id: request_id(),
    };
    let body = json!({ "email": email, "device": key.public_jwk() });
    let draft = channel.before_session(project, path::EMAIL_START, &intent, &body);
    channel.send(&draft.signed(key)).await
}

async fn finish(
    channel: &Channel,
    key: &DeviceSigningKey,
    project: &str,
    handle: &Value,
    code: &str,
) -> Reply {
    let intent = Intent::Plain {
        operation: Operation::SignInFinish,
        id: request_id(),
    };
    let body = json!({ "sign_in": handle, "code": code, "device": key.public_jwk() });
    let draft = channel.before_session(project, path::EMAIL_FINISH, &intent, &body);
    channel.send(&draft.signed(key)).await
}

fn wrong(code: &str) -> String {
    let number: u64 = code.parse().unwrap();
    format!("{:08}", (number + 1) % 100_000_000)
}

fn full_width(code: &str) -> String {
    code.chars()
        .map(|c| char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap())
        .collect()
}

async fn a_code_works_once_for_its_device_sign_in_and_project(world: &World) {
    let channel = Channel::open(&world.system).await;
    let app = system_project(world).id.as_str();
    let one = begin(world, &channel, app, "one@mail.example").await;
    let two = begin(world, &channel, app, "two@mail.example").await;
    let refused = |what: &'static str, reply: Reply| {
        assert_eq!(reply.code, "sign_in_refused", "{what}: {}", reply.summary());
    };
    // None of these costs the owner an attempt.
    let thief = new_key();
    for _ in 0..4 {
        let reply = finish(&channel, &thief, app, &one.handle, &one.code).await;
        refused("another device, with the right code", reply);
        let reply = finish(&channel, &one.key, OTHER_APP, &one.handle, &one.code).await;
        refused("another app", reply);
        let nobody = json!("0".repeat(32));
        let reply = finish(&channel, &one.key, app, &nobody, &one.code).await;
        refused("a sign-in that is none", reply);
    }
    // The body names the owner's device, the thief signs.
    let intent = Intent::Plain {
        operation: Operation::SignInFinish,
        id: request_id(),
    };
    let body = json!({ "sign_in": one.handle, "code": one.code, "device": one.key.public_jwk() });
    let draft = channel.before_session(app, path::EMAIL_FINISH, &intent, &body);
    let reply = channel.send(&draft.signed(&thief)).await;
    assert_eq!(reply.code, "signature_invalid", "{}", reply.summary());
    // These are not codes at all, or another's.
    let reply = finish(&channel, &one.key, app, &one.handle, &full_width(&one.code)).await;
    refused("full-width digits", reply);
    if one.code != two.code {
        let reply = finish(&channel, &one.key, app, &one.handle, &two.code).await;
        refused("the code of another sign-in", reply);
    }
    let reply = finish(&channel, &one.key, app, &one.handle, &one.code).await;
    assert_eq!(reply.status, 200, "the owner's own: {}", reply.summary());
    let reply = finish(&channel, &one.key, app, &one.handle, &one.code).await;
    refused("the same code again", reply);
    for (what, code) in [
        ("zeros in front", format!("0{}", two.code)),
        ("seven digits", two.code[1..].to_owned()),
    ] {
        let reply = finish(&channel, &two.key, app, &two.handle, &code).await;
        refused(what, reply);
    }
}

async fn three_wrong_codes_end_a_sign_in_and_starting_again_gives_none_back(world: &World) {
    let channel = Channel::open(&world.system).await;
    let app = system_project(world).id.as_str();
    let email = "guessed@mail.example";
    let waiting = begin(world, &channel, app, email).await;
    // In parallel: attempts are reserved before they are compared.
    let guesses = (0..6).map(|_| wrong(&waiting.code));
    let guesses: Vec<_> = guesses.collect();
    let tries = guesses
        .iter()
        .map(|code| finish(&channel, &waiting.key, app, &waiting.handle, code));
    for reply in join_all(tries).await {
        assert_eq!(reply.code, "sign_in_refused", "{}", reply.summary());
    }
    let reply = finish(&channel, &waiting.key, app, &waiting.handle, &waiting.code).await;
    assert_eq!(
        reply.code,
        "sign_in_refused",
        "a fourth guess: {}",
        reply.summary()
    );
    let reply = start(&channel, &waiting.key, app, email).await;
    assert_eq!(
        reply.code,
        "mail_limit",
        "attempts came back: {}",
        reply.summary()
    );
    // Another device of the same person is not locked out.
    let other = begin(world, &channel, app, email).await;
    let reply = finish(&channel, &other.key, app, &other.handle, &other.code).await;
    assert_eq!(reply.status, 200, "{}", reply.summary());
}

async fn addresses_that_are_none_are_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let app = system_project(world).id.as_str();
    let before = world.system.mailbox().all().unwrap().len();
    let long = format!("{}@mail.example", "a".repeat(300));
    for email in [
        "",
        "nobody",
        "@mail.example",
        "a@",
        "a@b@mail.example",
        "victim@mail.example\r\nBcc: thief@mail.example",
        "victim@mail.example\nSubject: hello",
        "\"a b\"@mail.example",
        "<a@mail.example>",
        "a@mail.example,b@mail.example",
        "vict\u{456}m@mail.example",
        "a@[127.0.0.1]",
        &long,
    ] {
        let reply = start(&channel, &new_key(), app, email).await;
        assert_eq!(
            reply.code,
            "email_invalid",
            "{email:?}: {}",
            reply.summary()
        );
    }
    let reply = start(&channel, &new_key(), "nowhere.example", "a@mail.example").await;
    assert_eq!(reply.code, "project_unknown", "{}", reply.summary());
    assert_eq!(
        world.system.mailbox().all().unwrap().len(),
        before,
        "a mail was sent"
    );
}

async fn bytes_that_are_not_sealed_are_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let draft = channel.message(&world.alice, &world.wallet, "sealed");
    let (sealed, _) = channel.seal(&draft.signed(&world.alice.key));
    let instance = channel.instance.to_string();
    let altered = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let before = all_uses(&world.system).await;
    let cases = [
        ("nothing", Vec::new(), vec!["seal_broken"]),
        ("one byte", vec![0], vec!["seal_broken", "unknown_key"]),
        ("another key's number", altered(0), vec!["unknown_key"]),
        (
            "another suite",
            altered(3),
            vec!["seal_broken", "unknown_key"],
        ),
        ("an altered ephemeral key", altered(10), vec!["seal_broken"]),
        ("an altered byte", altered(200), vec!["seal_broken"]),
        (
            "an altered last byte",
            altered(sealed.len() - 1),
            vec!["seal_broken"],
        ),
        (
            "half of it",
            sealed[..sealed.len() / 2].to_vec(),
            vec!["seal_broken"],
        ),
        (
            "a byte more",
            [&sealed[..], &[0]].concat(),
            vec!["seal_broken"],
        ),
        (
            "a canary",
            CANARY.repeat(20).into_bytes(),
            vec!["seal_broken", "unknown_key"],
        ),
        (
            "more than may be",
            vec![7; gateway_api::MAX_SEALED + 1],
            vec!["body_too_large"],
        ),
        (
            "ten megabytes",
            vec![7; TEN_MEGABYTES],
            vec!["body_too_large"],
        ),
    ];
    for (what, bytes, codes) in cases {
        let reply = channel.post(&instance, bytes).await;
        assert!(
            codes.contains(&reply.code.as_str()),
            "{what}: {}",
            reply.summary()
        );
    }
    let reply = channel.post(&"0".repeat(32), sealed.clone()).await;
    assert_eq!(reply.code, "unknown_instance", "{}", reply.summary());
    let reply = channel.post("not-an-instance", sealed.clone()).await;
    assert!(
        (400..500).contains(&reply.status) && !reply.code.is_empty(),
        "{}",
        reply.summary()
    );
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    world
        .alice
        .must_sign(&world.wallet, "after unsealed bytes")
        .await;
}

fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", Vec::new()),
        ("half", format!(r#"{{"a":"{CANARY}"#).into_bytes()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        (
            "a canary",
            format!(r#"{{"nonce":"{CANARY}","chain_id":"{CANARY}"}}"#).into_bytes(),
        ),
        ("depth", b"[".repeat(100_000)),
        ("no text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("CBOR without end", vec![0xbf, 0x61, 0x61, 0x9f]),
        (
            "CBOR of a huge length",
            vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        ("a JWT", b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.".to_vec()),
        ("zeros", vec![0; 4_096]),
        ("ten megabytes", vec![b'a'; TEN_MEGABYTES]),
        (
            "ten megabytes of JSON",
            [&b"\""[..], &vec![b'a'; TEN_MEGABYTES], b"\""].concat(),
        ),
    ]
}

/// Posts every bad body to a path. Each must be refused with a code, ten megabytes as too large.
async fn bad_at(edge: &Edge, path: &str, headers: &[(&str, &str)], wrong: &mut Vec<String>) {
    for (what, body) in bad_bodies() {
        let large = body.len() > 1_000_000;
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let reply = edge.send("POST", path, &all, body).await;
        let right = (400..500).contains(&reply.status)
            && !reply.code.is_empty()
            && !String::from_utf8_lossy(&reply.body).contains(CANARY)
            && (!large
                || matches!(
                    reply.code.as_str(),
                    "body_too_large" | "signature_missing" | "not_registered"
                ));
        // An empty list is an empty message to the reader of JSON, and anybody gets a nonce.
        let harmless = path == guard_api::path::NONCE && what == "a list";
        if !right && !harmless {
            wrong.push(format!("{} {path}, {what}: {}", edge.name, reply.summary()));
        }
    }
}

async fn strange_at(edge: &Edge, wrong: &mut Vec<String>) {
    let long = format!("/{}", "a".repeat(6_000));
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v1/nowhere"),
        ("DELETE", "/v1/nonce"),
        ("PUT", "/v1/transactions"),
        ("GET", "/../../etc/passwd"),
        ("GET", "/v1/%00"),
        ("GET", "/v1/transactions/not-an-id"),
        ("GET", "/v1/chains/x/wallets/y"),
        ("GET", "/v1/projects/%ff/signer"),
        ("GET", long.as_str()),
    ] {
        let reply = edge.send(method, path, &[], "").await;
        if !(400..500).contains(&reply.status) || reply.code.is_empty() {
            wrong.push(format!(
                "{} {method} {path:.40}: {}",
                edge.name,
                reply.summary()
            ));
        }
    }
}

async fn bad_bodies_at_the_gateway_get_a_code(world: &World) {
    let edge = Edge::gateway(&world.system);
    let instance = Channel::open(&world.system).await.instance.to_string();
    let mut wrong = Vec::new();
    let attestation = gateway_api::path::ATTESTATION.replace("{instance}", &instance);
    bad_at(&edge, &attestation, &[], &mut wrong).await;
    let key = request_id().to_string();
    bad_at(
        &edge,
        gateway_api::path::TRANSACTIONS,
        &[("idempotency-key", &key)],
        &mut wrong,
    )
    .await;
    strange_at(&edge, &mut wrong).await;
    // The host's own paths are not on the network.
    for path in [
        gateway_api::host_path::RECORD_GET,
        gateway_api::host_path::GENESIS,
        gateway_api::host_path::REALM,
    ] {
        let reply = edge
            .send("POST", path, &[("content-type", "application/json")], "{}")
            .await;
        assert_eq!(reply.code, "not_found", "{path}: {}", reply.summary());
    }
    world
        .alice
        .must_sign(&world.wallet, "after bad bodies at the gateway")
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn bad_bodies_at_the_holders_get_a_code(world: &World) {
    let instance = Channel::open(&world.system).await.instance.to_string();
    let mut wrong = Vec::new();
    let before = all_uses(&world.system).await;
    // One by one would say the same three times.
    let edge = &Edge::holders(&world.system).await[0];
    for path in [
        holder_api::path::REGISTER,
        holder_api::path::SHARE_RELEASE,
        holder_api::path::SEED,
    ] {
        bad_at(edge, path, &[], &mut wrong).await;
    }
    // Somebody who knows the enclave's name and cannot sign as it.
    let named = [
        (holder_api::INSTANCE_HEADER, instance.as_str()),
        ("content-digest", "sha-256=:AAAA:"),
        ("signature-input", "keyfold=()"),
        ("signature", "keyfold=:AAAA:"),
    ];
    for path in [
        holder_api::path::SHARE_RELEASE,
        holder_api::path::SEED,
        holder_api::path::ANCHOR_COMMIT,
    ] {
        for headers in [&named[..], &named[..1]] {
            let reply = edge.send("POST", path, headers, "{}").await;
            if !["signature_missing", "signature_invalid"].contains(&reply.code.as_str()) {
                wrong.push(format!("{path}: {}", reply.summary()));
            }
        }
    }
    strange_at(edge, &mut wrong).await;
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    world
        .alice
        .must_sign(&world.wallet, "after bad bodies at the holders")
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn bad_bodies_at_the_guard_get_a_code(world: &World) {
    let edge = Edge::guard(&world.system);
    let mut wrong = Vec::new();
    for path in [
        guard_api::path::NONCE,
        guard_api::path::REGISTER,
        guard_api::path::COSIGN,
    ] {
        bad_at(&edge, path, &[], &mut wrong).await;
    }
    strange_at(&edge, &mut wrong).await;
    world
        .alice
        .must_sign(&world.wallet, "after bad bodies at the guard")
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn bad_bodies_at_the_relayer_get_a_code(world: &World) {
    let edge = Edge::relayer(&world.system);
    let mut wrong = Vec::new();
    let key = request_id().to_string();
    bad_at(
        &edge,
        gateway_api::path::TRANSACTIONS,
        &[("idempotency-key", &key)],
        &mut wrong,
    )
    .await;
    strange_at(&edge, &mut wrong).await;
    let state = world
        .alice
        .device
        .wallet_on_chain(CHAIN_ID, &world.wallet.address())
        .await;
    assert!(state.is_ok(), "{state:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn a_document_that_answers_another_nonce_or_is_altered_registers_nobody(world: &World) {
    let channel = Channel::open(&world.system).await;
    let gateway = Edge::gateway(&world.system);
    let target =
        gateway_api::path::ATTESTATION.replace("{instance}", &channel.instance.to_string());
    let json_body = &[("content-type", "application/json")][..];
    let attested = async |nonce: &Value| {
        let body = json!({ "nonce": nonce }).to_string();
        gateway.send("POST", &target, json_body, body).await.json()
    };
    let holder = Edge::holders(&world.system).await.swap_remove(1);
    for edge in [holder, Edge::guard(&world.system)] {
        let fresh = async || {
            let reply = edge.send("POST", "/v1/nonce", json_body, "{}").await;
            reply.json()["nonce"].clone()
        };
        let register = async |nonce: &Value, attested: &Value| {
            let body = json!({ "nonce": nonce, "attested": attested }).to_string();
            edge.send("POST", "/v1/register", json_body, body).await
        };
        let name = &edge.name;
        let foreign = json!(keyfold_client::ids::Digest32::from_bytes(random()));
        let genuine = attested(&foreign).await;
        assert!(genuine["document"].is_string(), "no document: {genuine}");

        let reply = register(&fresh().await, &genuine).await;
        assert_eq!(
            reply.code,
            "attestation_refused",
            "{name}, another nonce: {}",
            reply.summary()
        );
        let reply = register(&foreign, &genuine).await;
        assert_eq!(
            reply.code,
            "nonce_unknown",
            "{name}, a nonce never given: {}",
            reply.summary()
        );

        // The same document with one byte altered, wherever that is.
        let nonce = fresh().await;
        let answering = attested(&nonce).await;
        let document = b64::decode(answering["document"].as_str().unwrap(), 1 << 16).unwrap();
        for at in [0, 1, 20, document.len() / 2, document.len() - 1] {
            let mut altered = answering.clone();
            let mut bytes = document.clone();
            bytes[at] ^= 1;
            altered["document"] = json!(b64::encode(&bytes));
            let nonce = fresh().await;
            let reply = register(&nonce, &altered).await;
            assert_eq!(
                reply.code,
                "attestation_refused",
                "{name}, byte {at}: {}",
                reply.summary()
            );
        }
        // Genuine, and the keys beside it are not those it binds.
        for (field, value) in [
            ("realm", json!("0".repeat(64))),
            ("realm", Value::Null),
            ("signing_key", json!(b64::encode(&random::<32>()))),
            ("ohttp_config", json!(b64::encode(&random::<45>()))),
        ] {
            let nonce = fresh().await;
            let mut swapped = attested(&nonce).await;
            assert!(
                swapped["binding"].get(field).is_some(),
                "no {field}: {swapped}"
            );
            swapped["binding"][field] = value;
            let reply = register(&nonce, &swapped).await;
            let codes = [
                "attestation_refused",
                "wrong_realm",
                "invalid_request",
                "malformed_request",
            ];
            assert!(
                codes.contains(&reply.code.as_str()),
                "{name}, another {field}: {}",
                reply.summary()
            );
        }
    }
    world
        .alice
        .must_sign(&world.wallet, "after bad documents")
        .await;
}

async fn a_request_sealed_to_an_enclave_that_is_gone_is_refused_by_the_next(world: &World) {
    let channel = Channel::open(&world.system).await;
    let draft = channel.message(&world.alice, &world.wallet, "to the old one");
    let (sealed, _) = channel.seal(&draft.signed(&world.alice.key));
    world.system.process(Part::Enclave).kill().await;
    world.system.start_again(Part::Enclave).await.unwrap();
    let next = Channel::open(&world.system).await;
    let before = all_uses(&world.system).await;
    let reply = channel
        .post(&channel.instance.to_string(), sealed.clone())
        .await;
    assert_eq!(reply.code, "unknown_instance", "{}", reply.summary());
    // Its key's number may be the old one's by chance.
    let reply = channel.post(&next.instance.to_string(), sealed).await;
    assert!(
        ["unknown_key", "seal_broken"].contains(&reply.code.as_str()),
        "{}",
        reply.summary()
    );
    // Even opened and sealed anew by somebody who can, it is addressed to the old one.
    let reply = next.send(&draft.signed(&world.alice.key)).await;
    assert_eq!(reply.code, "unknown_instance", "{}", reply.summary());
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    world
        .alice
        .must_sign(&world.wallet, "with the next one")
        .await;
}

async fn nothing_of_all_this_is_in_a_log(world: &World) {
    let mut needles = vec![
        Needle::new("a malformed body", CANARY.as_bytes()),
        Needle::new("an address", world.alice.email.as_bytes()),
        Needle::new("an address", world.bob.email.as_bytes()),
    ];
    for person in [&world.alice, &world.bob] {
        let attestation = person.session.attestation();
        let signature = attestation.rsplit('.').next().unwrap();
        needles.push(Needle::new("an attestation", signature.as_bytes()));
    }
    for (name, secret) in world.secrets.lock().unwrap().iter() {
        needles.push(Needle::new(name, secret.as_bytes()));
    }
    let logs = Haystack::of(&[world.system.files().logs()]);
    assert!(logs.bytes() > 10_000, "there are no logs");
    let mut found = logs.find(&needles);
    // The test's own mail server, whose log is the recipient's side.
    found.retain(|line| !line.ends_with("mail.log"));
    assert!(found.is_empty(), "{}", found.join("\n"));
    let refused = Haystack::of(&[world.system.files().logs()]);
    assert!(
        !refused
            .find(&[Needle::new("a word", b"listening")])
            .is_empty()
    );
}
