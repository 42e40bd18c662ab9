//! Requests of a session: altered, signed for something else, forged, repeated.

use common::channel::{Channel, Draft, now, request_id, set, unset};
use common::edges::Reply;
use common::storage::all_uses;
use common::{Part, Person};
use futures_util::future::join_all;
use keyfold_crypto::b64;
use keyfold_protocol::client_api::{header, path};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_protocol::signed_request::Profile;
use serde_json::{Value, json};

use super::{CANARY, OTHER_APP, World, all_refused, common};

pub(super) async fn a_request_altered_after_signing_is_refused(world: &World) {
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
            header(
                header::ATTESTATION,
                &world.bob.session.attestation().unwrap(),
            ),
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

pub(super) async fn a_request_signed_for_elsewhere_or_another_time_is_refused(world: &World) {
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

pub(super) async fn an_attestation_of_another_device_or_forged_is_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let World {
        alice, bob, wallet, ..
    } = world;
    let genuine = alice.session.attestation().unwrap();
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

pub(super) async fn a_signed_out_session_opens_nothing(world: &World) {
    let person = Person::sign_in(
        &world.system,
        world.system.project(),
        "leaving@mail.example",
    )
    .await;
    let wallet = person.wallet("left").await;
    let channel = Channel::open(&world.system).await;
    person.device.sign_out(&person.session).await.unwrap();
    let attestation = person.session.attestation().unwrap();
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

pub(super) async fn the_same_nonce_in_parallel_passes_once(world: &World) {
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

pub(super) async fn a_recorded_request_sent_again_does_nothing(world: &World) {
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

pub(super) async fn a_request_sealed_to_an_enclave_that_is_gone_is_refused_by_the_next(
    world: &World,
) {
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
