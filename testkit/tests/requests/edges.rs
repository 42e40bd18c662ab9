//! Bytes that are no request at all, at each process that listens.

use common::channel::{Channel, random, request_id};
use common::edges::Edge;
use common::storage::all_uses;
use keyfold_client::ids::Digest32;
use keyfold_crypto::b64;
use keyfold_protocol::{gateway_api, guard_api, holder_api};
use keyfold_testkit::system::CHAIN_ID;
use serde_json::{Value, json};

use super::{CANARY, TEN_MEGABYTES, World, common};

pub(super) async fn bytes_that_are_not_sealed_are_refused(world: &World) {
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

pub(super) async fn bad_bodies_at_the_gateway_get_a_code(world: &World) {
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

pub(super) async fn bad_bodies_at_the_holders_get_a_code(world: &World) {
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

pub(super) async fn bad_bodies_at_the_guard_get_a_code(world: &World) {
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

pub(super) async fn bad_bodies_at_the_relayer_get_a_code(world: &World) {
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

pub(super) async fn a_document_that_answers_another_nonce_or_is_altered_registers_nobody(
    world: &World,
) {
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
        let foreign = json!(Digest32::from_bytes(random()));
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

        // The right nonce, and one byte altered, wherever that is.
        for at in [0.0, 0.01, 0.02, 0.5, 1.0] {
            let nonce = fresh().await;
            let mut altered = attested(&nonce).await;
            let mut bytes = b64::decode(altered["document"].as_str().unwrap(), 1 << 16).unwrap();
            let at = ((bytes.len() - 1) as f64 * at) as usize;
            bytes[at] ^= 1;
            altered["document"] = json!(b64::encode(&bytes));
            let reply = register(&nonce, &altered).await;
            assert_eq!(
                reply.code,
                "attestation_refused",
                "{name}, byte {at}: {}",
                reply.summary()
            );
        }
        // It is the alteration: what was not altered registers.
        let nonce = fresh().await;
        let answering = attested(&nonce).await;
        let reply = register(&nonce, &answering).await;
        assert_eq!(reply.status, 200, "{name}, unaltered: {}", reply.summary());

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
