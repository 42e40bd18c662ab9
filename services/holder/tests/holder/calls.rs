//! A call is taken only as a registered instance signed it, for this holder.

use axum::body::Body;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{
    Empty, INSTANCE_HEADER, MAX_BODY, SignedTime, TimeRequest, path,
};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::HolderCard;
use serde_json::Value;

use crate::world::{Answer, Enclave, World, code};

fn body() -> Vec<u8> {
    serde_json::to_vec(&TimeRequest {
        nonce: Digest32::from_bytes([5; 32]),
    })
    .unwrap()
}

async fn time(world: &World, request: http::Request<Body>) -> Answer<SignedTime> {
    world.send(request).await
}

#[tokio::test]
async fn a_call_signed_for_another_holder_is_refused() {
    let world = World::new().await;
    let call = world
        .enclave
        .request_to("h1.example:7101", path::TIME, body(), world.now());
    assert_eq!(
        code(time(&world, call.into_http()).await),
        Code::SignatureInvalid
    );
}

#[tokio::test]
async fn a_call_that_was_altered_is_refused() {
    let world = World::new().await;
    let call = || world.enclave.request(path::TIME, body(), world.now());
    assert!(time(&world, call().into_http()).await.is_ok());

    let mut other_body = call();
    other_body.body[12] ^= 1;
    assert_eq!(
        code(time(&world, other_body.into_http()).await),
        Code::DigestMismatch
    );
    let mut other_path = call();
    other_path.signed.components.path = path::SEED.to_owned();
    assert_eq!(
        code(time(&world, other_path.into_http()).await),
        Code::SignatureInvalid
    );
    let mut query = call();
    query.signed.components.query = "?a=1".to_owned();
    assert_eq!(
        code(time(&world, query.into_http()).await),
        Code::SignatureInvalid
    );
    let mut digest = call();
    digest.signed.components.content_digest = "sha-256=:AA==:".to_owned();
    assert_eq!(
        code(time(&world, digest.into_http()).await),
        Code::SignatureInvalid
    );
    let mut unsigned = call();
    unsigned.signed.signature = "keyfold=:AAAA:".to_owned();
    assert_eq!(
        code(time(&world, unsigned.into_http()).await),
        Code::SignatureInvalid
    );
}

#[tokio::test]
async fn a_call_under_another_instances_name_is_refused() {
    let world = World::new().await;
    let other = Enclave::new(Some(world.realm_id()));
    world.register(&other).await.unwrap();
    let mut call = other.request(path::TIME, body(), world.now());
    call.instance = world.enclave.id();
    assert_eq!(
        code(time(&world, call.into_http()).await),
        Code::SignatureInvalid
    );
}

#[tokio::test]
async fn a_call_of_an_instance_that_is_not_registered_is_refused() {
    let world = World::new().await;
    let stranger = Enclave::new(Some(world.realm_id()));
    let call = stranger.request(path::TIME, body(), world.now());
    assert_eq!(
        code(time(&world, call.into_http()).await),
        Code::NotRegistered
    );
    let mut odd = stranger
        .request(path::TIME, body(), world.now())
        .into_http();
    odd.headers_mut()
        .insert(INSTANCE_HEADER, "not an id".parse().unwrap());
    assert_eq!(code(time(&world, odd).await), Code::NotRegistered);
}

#[tokio::test]
async fn a_call_that_expired_is_refused() {
    let world = World::new().await;
    let call = world.enclave.request(path::TIME, body(), world.now() - 60);
    assert_eq!(
        code(time(&world, call.into_http()).await),
        Code::SignatureExpired
    );
}

#[tokio::test]
async fn a_call_with_a_header_missing_or_twice_is_refused() {
    let world = World::new().await;
    for name in [
        INSTANCE_HEADER,
        "content-digest",
        "signature-input",
        "signature",
    ] {
        let call = || {
            world
                .enclave
                .request(path::TIME, body(), world.now())
                .into_http()
        };
        let mut missing = call();
        missing.headers_mut().remove(name);
        assert_eq!(
            code(time(&world, missing).await),
            Code::SignatureMissing,
            "{name}"
        );
        let mut twice = call();
        let value = twice.headers()[name].clone();
        twice.headers_mut().append(name, value);
        assert_eq!(
            code(time(&world, twice).await),
            Code::SignatureMissing,
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_path_that_changes_or_tells_something_wants_a_signature() {
    let world = World::new().await;
    for path in [
        path::GENESIS_PROPOSE,
        path::GENESIS_COMMIT,
        path::SEED,
        path::ATTESTATION_KEYS,
        path::DEVICE_ENROL,
        path::DEVICE_APPROVE,
        path::DEVICE_SYNC,
        path::DEVICE_LIST,
        path::SESSION_CHECK,
        path::SESSION_REVOKE,
        path::SHARE_STORE,
        path::SHARE_RELEASE,
        path::KEY_LIST,
        path::SHARE_HAND_OVER,
        path::SHARE_TAKE_OVER,
        path::SHARE_CONFIRM,
        path::SHARE_RETIRE,
        path::SHARE_DRILL,
        path::ANCHOR_READ,
        path::ANCHOR_COMMIT,
        path::ANCHOR_REPAIR,
        path::MAIL_RESERVE,
        path::ATTEMPT_RESERVE,
        path::IDENTITY_LINK,
        path::IDENTITY_UNLINK,
        path::PROJECT_CHANGED,
        path::TIME,
    ] {
        let request = http::Request::post(path).body(Body::from("{}")).unwrap();
        let answer = world.send::<Value>(request).await;
        assert_eq!(code(answer), Code::SignatureMissing, "{path}");
    }
}

#[tokio::test]
async fn malformed_json_is_refused_and_the_next_call_works() {
    let world = World::new().await;
    let deep = "[".repeat(10_000);
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "{\"nonce\":1}",
        "{\"nonce\":\"00\"}",
        "\u{0}",
        &deep,
    ] {
        let call = world.enclave.request(path::TIME, bad.into(), world.now());
        assert_eq!(
            code(time(&world, call.into_http()).await),
            Code::MalformedRequest,
            "{bad:.20}"
        );
    }
    let twice = br#"{"nonce":"0505050505050505050505050505050505050505050505050505050505050505","nonce":"0505050505050505050505050505050505050505050505050505050505050505"}"#;
    let call = world
        .enclave
        .request(path::TIME, twice.to_vec(), world.now());
    assert_eq!(
        code(time(&world, call.into_http()).await),
        Code::MalformedRequest
    );
    let call = world.enclave.request(path::TIME, body(), world.now());
    assert!(time(&world, call.into_http()).await.is_ok());
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_signed_or_not() {
    let world = World::new().await;
    for size in [MAX_BODY + 1, 10 << 20] {
        let call = world
            .enclave
            .request(path::TIME, vec![b' '; size], world.now());
        assert_eq!(
            code(time(&world, call.into_http()).await),
            Code::BodyTooLarge
        );
        let stranger = http::Request::post(path::REGISTER)
            .body(Body::from(vec![b' '; size]))
            .unwrap();
        assert_eq!(
            code(world.send::<Value>(stranger).await),
            Code::BodyTooLarge
        );
    }
    // Without a length in front, the bytes themselves are counted.
    let chunks = futures_util::stream::iter(
        (0..200).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1_024]))),
    );
    let request = http::Request::post(path::REGISTER)
        .body(Body::from_stream(chunks))
        .unwrap();
    assert_eq!(code(world.send::<Value>(request).await), Code::BodyTooLarge);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = World::new().await;
    let get = |path: &str| http::Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(
        code(world.send::<Value>(get("/v1/nothing")).await),
        Code::NotFound
    );
    assert_eq!(
        code(world.send::<Value>(get(path::SEED)).await),
        Code::MethodNotAllowed
    );
}

#[tokio::test]
async fn card_and_checkpoint_are_for_everybody() {
    let world = World::new().await;
    let get = |path: &str| http::Request::get(path).body(Body::empty()).unwrap();
    let card: HolderCard = world.send(get(path::CARD)).await.unwrap();
    assert_eq!(card, *world.holder.card());
    let (status, text) = world.raw(get(path::CHECKPOINT)).await;
    assert_eq!(status, 200);
    assert!(text.starts_with(b"h2.holder.keyfold\n"));
}

#[tokio::test]
async fn genesis_calls_of_an_instance_of_the_realm_change_nothing() {
    let world = World::new().await;
    let answer = world
        .call::<Empty>(path::GENESIS_COMMIT, world.realm().signed())
        .await;
    assert!(answer.is_ok());
    let plan = world.plan();
    assert_eq!(code(world.propose(&plan).await), Code::RealmExists);
}
