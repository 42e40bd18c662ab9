//! The guard over its HTTP interface: who may ask, and what is signed.

mod changes;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use alloy_primitives::{U256, address};
use axum::body::Body;
use axum::http::Request;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_crypto::Secret;
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::testing::SeededRng;
use keyfold_platform_dev::issuer::{DevIssuer, IssueRequest};
use keyfold_protocol::client_api::{SignRequest, WireCall, WirePayload};
use keyfold_protocol::config::{ConfigChange, ConfigState, UpdateConfig};
use keyfold_protocol::ids::{Digest32, RealmId};
use keyfold_protocol::registration::{AttestedBinding, InstanceBinding, realm_pcr16};
use keyfold_protocol::signed_request::{
    Components, Profile, SignatureParams, UnsignedRequest, content_digest,
};
use keyfold_wallet::config::Members;
use serde::Serialize;
use tower::ServiceExt as _;

use super::*;

const FRIEND: Address = address!("00000000000000000000000000000000000000cc");
const AUTHORITY: &str = "guard.example:7443";

struct World {
    router: Router,
    guard: Arc<Guard>,
    issuer: DevIssuer,
    instance: SigningKey,
    data: tempfile::TempDir,
}

fn measured() -> [u8; 48] {
    [0x42; 48]
}

fn realm() -> RealmId {
    RealmId::from_bytes([5; 32])
}

fn world() -> World {
    world_of(vec![realm()])
}

fn world_of(realms: Vec<RealmId>) -> World {
    let data = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:7443".parse().unwrap();
    let mut config = GuardConfig::new(listen, vec!["guard.example".into()], data.path());
    config.realms = realms;
    crate::config::init(&config).unwrap();
    let mut rng = SeededRng::new(1);
    let issuer = DevIssuer::generate(&mut rng, now_ms()).unwrap();
    let image = Measurements::of_image(measured(), measured(), measured());
    let trust = Trust {
        root: TrustRoot::from_der(issuer.root_der()).unwrap(),
        policy: MeasurementPolicy::new(vec![image]),
    };
    let master = MasterKey::load(&master_key_path(&config.data)).unwrap();
    let guard = Arc::new(Guard::new(config, trust, &master, listen));
    World {
        router: router(Arc::clone(&guard)),
        guard,
        issuer,
        instance: SigningKey::from_secret(&Secret::from_array([7; 32])),
        data,
    }
}

impl World {
    fn binding(&self) -> InstanceBinding {
        InstanceBinding {
            version: 1,
            signing_key: self.instance.verifying_key(),
            ohttp_config: vec![1, 2, 3],
            realm: Some(realm()),
        }
    }

    fn document(&self, issuer: &DevIssuer, pcr0: [u8; 48], nonce: &Digest32) -> AttestedBinding {
        self.document_of(self.binding(), issuer, pcr0, nonce)
    }

    fn document_of(
        &self,
        binding: InstanceBinding,
        issuer: &DevIssuer,
        pcr0: [u8; 48],
        nonce: &Digest32,
    ) -> AttestedBinding {
        let mut pcrs = BTreeMap::from([(0, pcr0), (1, measured()), (2, measured())]);
        pcrs.insert(16, realm_pcr16(binding.realm));
        let request = IssueRequest {
            module_id: "i-0-enc0".into(),
            timestamp_ms: now_ms(),
            pcrs,
            nonce: Some(nonce.as_bytes().to_vec()),
            user_data: Some(binding.user_data().to_vec()),
            public_key: Some([9; 32].to_vec()),
        };
        AttestedBinding {
            document: issuer.issue(&request, &mut SeededRng::new(2)).unwrap(),
            binding,
        }
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> (u16, serde_json::Value) {
        self.send(post_of(path, headers, Body::from(body))).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, serde_json::Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn nonce(&self) -> Digest32 {
        let (_, body) = self.post(guard_api::path::NONCE, &[], b"{}".to_vec()).await;
        serde_json::from_value::<Nonce>(body).unwrap().nonce
    }

    async fn register_with(
        &self,
        nonce: Digest32,
        attested: AttestedBinding,
    ) -> (u16, serde_json::Value) {
        let body = serde_json::to_vec(&Register { nonce, attested }).unwrap();
        self.post(guard_api::path::REGISTER, &[], body).await
    }

    async fn register(&self) {
        let nonce = self.nonce().await;
        let attested = self.document(&self.issuer, measured(), &nonce);
        let (status, body) = self.register_with(nonce, attested).await;
        assert_eq!(status, 200, "{body}");
    }

    fn signed_headers(&self, body: &[u8]) -> Vec<(&'static str, String)> {
        self.signed_headers_to(AUTHORITY, body)
    }

    fn signed_headers_to(&self, authority: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        self.signed_headers_for(authority, guard_api::path::COSIGN, body)
    }

    fn signed_headers_for(
        &self,
        authority: &str,
        path: &str,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let id = self.binding().instance().to_string();
        let components = Components {
            method: "POST".into(),
            authority: authority.into(),
            path: path.into(),
            query: "?".into(),
            content_digest: content_digest(body),
            device: None,
        };
        let params = SignatureParams {
            created: now_ms() / 1000,
            lifetime_seconds: 30,
            nonce: "0123456789abcdef",
            key_id: &id,
        };
        let unsigned = UnsignedRequest::new(Profile::Instance, components, &params).unwrap();
        let signature = self.instance.sign(unsigned.signature_base());
        let signed = unsigned.with_signature(&signature);
        vec![
            ("keyfold-instance", id),
            ("content-digest", signed.components.content_digest),
            ("signature-input", signed.signature_input),
            ("signature", signed.signature),
        ]
    }

    async fn cosign(&self, question: &impl Serialize) -> (u16, serde_json::Value) {
        let body = serde_json::to_vec(question).unwrap();
        let headers = self.signed_headers(&body);
        self.post(guard_api::path::COSIGN, &headers, body).await
    }

    async fn cosign_update(&self, question: &impl Serialize) -> (u16, serde_json::Value) {
        let (path, body) = (
            guard_api::path::COSIGN_UPDATE,
            serde_json::to_vec(question).unwrap(),
        );
        let headers = self.signed_headers_for(AUTHORITY, path, &body);
        self.post(path, &headers, body).await
    }

    fn policy(&self, project: &str, text: &str) {
        let path = self
            .data
            .path()
            .join("policies")
            .join(format!("{project}.json"));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

fn post_of(path: &str, headers: &[(&str, String)], body: Body) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", AUTHORITY);
    }
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(body).unwrap()
}

fn question(project: &str, to: Address) -> Cosign {
    Cosign {
        project: project.parse().unwrap(),
        request: RequestId::from_bytes([1; 16]),
        sign: SignRequest {
            wallet: address!("00000000000000000000000000000000000000aa"),
            chain_id: 31337,
            payload: WirePayload::Transaction {
                space: Default::default(),
                nonce: 0,
                calls: vec![WireCall {
                    to,
                    value: U256::from(1),
                    data: Default::default(),
                    gas_limit: U256::ZERO,
                    ignore_error: false,
                }],
            },
            on_chain: None,
        },
        history: None,
    }
}

const FRIENDS_ONLY: &str = r#"{"version":1,"revision":3,"chains":[{"ids":[31337],
    "native":{"only":["0x00000000000000000000000000000000000000cc"]}}]}"#;

#[tokio::test]
async fn an_allowed_transfer_is_signed_by_the_projects_signer() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let asked = question("app.example", FRIEND);
    let (status, body) = world.cosign(&asked).await;
    assert_eq!(status, 200, "{body}");
    let answer: Cosigned = serde_json::from_value(body).unwrap();
    let (_, digest) = asked.sign.digest().unwrap();
    assert_eq!((answer.digest, answer.policy_version), (digest, 3));
    let rs: [u8; 64] = answer.signature[..64].try_into().unwrap();
    let signature =
        keyfold_crypto::secp256k1::RecoverableSignature::from_rs(&rs, answer.signature[64] == 1);
    let signer = keyfold_crypto::secp256k1::recover(digest.as_bytes(), &signature).unwrap();
    assert_eq!(
        Address::from(signer),
        world.guard.keys.signer(&asked.project)
    );
    assert_ne!(
        world.guard.keys.signer(&asked.project),
        world.guard.keys.signer(&"other.example".parse().unwrap()),
        "each project has a signer of its own"
    );
}

#[tokio::test]
async fn a_payload_outside_the_policy_is_refused_with_its_reason() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let stranger = address!("00000000000000000000000000000000000000dd");
    let (status, body) = world.cosign(&question("app.example", stranger)).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("guard_denied")));
    assert!(
        body["detail"].as_str().unwrap().contains("may not receive"),
        "{body}"
    );
}

#[tokio::test]
async fn a_project_without_a_usable_policy_gets_nothing() {
    let world = world();
    world.register().await;
    let asked = question("app.example", FRIEND);
    assert_eq!(world.cosign(&asked).await.0, 403);
    world.policy(
        "app.example",
        r#"{"version":1,"revision":1,"chains":[{"ids":[31337],"native":"everybody"}]}"#,
    );
    assert_eq!(world.cosign(&asked).await.0, 403);
    world.policy("app.example", FRIENDS_ONLY);
    assert_eq!(world.cosign(&asked).await.0, 200);
    assert_eq!(
        world.cosign(&question("other.example", FRIEND)).await.0,
        403
    );
}

#[tokio::test]
async fn an_edited_policy_counts_at_once() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let asked = question("app.example", FRIEND);
    assert_eq!(world.cosign(&asked).await.0, 200);
    world.policy("app.example", r#"{"version":1,"revision":4,"chains":[]}"#);
    assert_eq!(world.cosign(&asked).await.0, 403);
}

#[tokio::test]
async fn nobody_but_a_registered_instance_is_answered() {
    let world = world();
    world.policy("app.example", FRIENDS_ONLY);
    let asked = question("app.example", FRIEND);
    let (status, body) = world.cosign(&asked).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (401, Some("not_registered"))
    );
    let bare = serde_json::to_vec(&asked).unwrap();
    let (status, body) = world.post(guard_api::path::COSIGN, &[], bare).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (401, Some("signature_missing"))
    );
}

#[tokio::test]
async fn a_body_changed_after_signing_is_refused() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let body = serde_json::to_vec(&question("app.example", FRIEND)).unwrap();
    let headers = world.signed_headers(&body);
    let altered = serde_json::to_vec(&question("other.example", FRIEND)).unwrap();
    let (status, answer) = world.post(guard_api::path::COSIGN, &headers, altered).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (400, Some("digest_mismatch"))
    );
    let mut twice = headers.clone();
    twice.push(("signature", "keyfold=:AAAA:".into()));
    assert_eq!(
        world.post(guard_api::path::COSIGN, &twice, body).await.0,
        401
    );
}

#[tokio::test]
async fn a_document_of_another_root_or_image_registers_nobody() {
    let world = world();
    let stranger = DevIssuer::generate(&mut SeededRng::new(99), now_ms()).unwrap();
    for (issuer, pcr0) in [
        (&stranger, measured()),
        (&world.issuer, [1; 48]),
        (&world.issuer, [0; 48]),
    ] {
        let nonce = world.nonce().await;
        let (status, body) = world
            .register_with(nonce, world.document(issuer, pcr0, &nonce))
            .await;
        assert_eq!(
            (status, body["code"].as_str()),
            (403, Some("attestation_refused"))
        );
    }
}

#[tokio::test]
async fn a_nonce_registers_once() {
    let world = world();
    let nonce = world.nonce().await;
    let attested = world.document(&world.issuer, measured(), &nonce);
    assert_eq!(world.register_with(nonce, attested).await.0, 200);
    // Another instance, with a genuine document for the same nonce.
    let binding = InstanceBinding {
        signing_key: SigningKey::from_secret(&Secret::from_array([8; 32])).verifying_key(),
        ..world.binding()
    };
    let attested = world.document_of(binding, &world.issuer, measured(), &nonce);
    let (status, body) = world.register_with(nonce, attested).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (400, Some("nonce_unknown"))
    );
}

#[tokio::test]
async fn keys_swapped_under_a_genuine_document_register_nobody() {
    let world = world();
    let nonce = world.nonce().await;
    let mut attested = world.document(&world.issuer, measured(), &nonce);
    attested.binding.signing_key =
        SigningKey::from_secret(&Secret::from_array([8; 32])).verifying_key();
    let (status, body) = world.register_with(nonce, attested).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (403, Some("attestation_refused"))
    );
}

#[tokio::test]
async fn strangers_that_ask_for_nonces_keep_no_instance_out() {
    let world = world();
    let early = world.nonce().await;
    for _ in 0..2_000 {
        world.nonce().await;
    }
    world.register().await;
    let attested = world.document(&world.issuer, measured(), &early);
    assert_eq!(world.register_with(early, attested).await.0, 200);
}

#[tokio::test]
async fn a_genuine_instance_of_another_realm_or_of_none_registers_not() {
    for (realms, theirs, words) in [
        (vec![realm()], None, "does not serve"),
        (
            vec![realm()],
            Some(RealmId::from_bytes([6; 32])),
            "does not serve",
        ),
        (vec![], Some(realm()), "add the realm's id to `realms`"),
    ] {
        let world = world_of(realms);
        let nonce = world.nonce().await;
        let binding = InstanceBinding {
            realm: theirs,
            ..world.binding()
        };
        let attested = world.document_of(binding, &world.issuer, measured(), &nonce);
        let (status, body) = world.register_with(nonce, attested).await;
        assert_eq!((status, body["code"].as_str()), (403, Some("wrong_realm")));
        assert!(body["detail"].as_str().unwrap().contains(words), "{body}");
    }
}

#[tokio::test]
async fn what_is_allowed_on_one_chain_is_not_signed_for_another() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let mut asked = question("app.example", FRIEND);
    asked.sign.chain_id = 1;
    let (status, body) = world.cosign(&asked).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("guard_denied")));
    let detail = body["detail"].as_str().unwrap();
    assert_eq!(detail, "the policy allows nothing on chain 1");
    asked.sign.chain_id = 0;
    let (status, body) = world.cosign(&asked).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("payload_invalid"))
    );
}

#[tokio::test]
async fn a_question_with_an_unknown_field_is_refused() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let mut asked = serde_json::to_value(question("app.example", FRIEND)).unwrap();
    assert_eq!(world.cosign(&asked).await.0, 200);
    asked["valid_until"] = 1.into();
    let (status, body) = world.cosign(&asked).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (400, Some("malformed_request"))
    );
}

#[tokio::test]
async fn one_address_cannot_ask_without_end_and_keeps_no_other_out() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let from = |mut request: Request<Body>, address: &str| {
        let peer: SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(Peer(Some(peer)));
        world.send(request)
    };
    let nonce = || post_of(guard_api::path::NONCE, &[], Body::from("{}"));
    let register = || post_of(guard_api::path::REGISTER, &[], Body::from("{}"));
    let signer = || {
        Request::get("/v1/projects/app.example/signer")
            .body(Body::empty())
            .unwrap()
    };
    for asked in 0..OPEN_PER_MINUTE.get() {
        let (status, _) = match asked % 3 {
            0 => from(nonce(), "192.0.2.1:1").await,
            1 => from(register(), "192.0.2.1:2").await,
            _ => from(signer(), "192.0.2.1:3").await,
        };
        assert_ne!(status, 429);
    }
    for request in [nonce(), register(), signer()] {
        let (status, body) = from(request, "192.0.2.1:4").await;
        assert_eq!((status, body["code"].as_str()), (429, Some("rate_limited")));
    }
    assert_eq!(from(nonce(), "192.0.2.2:1").await.0, 200);
    // Who is registered is not counted among strangers.
    let body = serde_json::to_vec(&question("app.example", FRIEND)).unwrap();
    let headers = world.signed_headers(&body);
    let cosign = post_of(guard_api::path::COSIGN, &headers, body.into());
    assert_eq!(from(cosign, "192.0.2.1:5").await.0, 200);
}

#[tokio::test]
async fn documents_that_are_verified_hold_up_no_decision() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let nonce = world.nonce().await;
    let attested = world.document(&world.issuer, measured(), &nonce);
    // As if as many were being verified as may be at once.
    let places = u32::try_from(OPEN_AT_ONCE).unwrap();
    let busy = world.guard.open_places.acquire_many(places).await.unwrap();
    let asked = question("app.example", FRIEND);
    let mut waiting = std::pin::pin!(world.register_with(nonce, attested));
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("it did not wait: {answer:?}"),
        decided = world.cosign(&asked) => assert_eq!(decided.0, 200),
    }
    drop(busy);
    assert_eq!(waiting.await.0, 200);
}

#[tokio::test]
async fn a_strangers_body_is_not_waited_for() {
    let world = world();
    let body = serde_json::to_vec(&question("app.example", FRIEND)).unwrap();
    let mut headers = world.signed_headers(&body);
    // Who asks first is not read to the end after a refusal.
    headers.push(("expect", "100-continue".to_owned()));
    let endless = Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let request = post_of(guard_api::path::COSIGN, &headers, endless);
    let (status, answer) = world.send(request).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (401, Some("not_registered"))
    );
}

#[tokio::test]
async fn only_a_body_that_is_too_large_is_called_so() {
    let world = world();
    world.register().await;
    let body = serde_json::to_vec(&question("app.example", FRIEND)).unwrap();
    let headers = world.signed_headers(&body);
    let send = |pieces: Vec<std::io::Result<Vec<u8>>>| {
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        world.send(post_of(guard_api::path::COSIGN, &headers, body))
    };
    let aborted = Err(std::io::ErrorKind::ConnectionReset.into());
    let (status, answer) = send(vec![Ok(body.clone()), aborted]).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (400, Some("bad_request"))
    );
    let long = vec![Ok(vec![b' '; guard_api::MAX_BODY]), Ok(vec![b' '])];
    let (status, answer) = send(long).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (413, Some("body_too_large"))
    );
}

#[tokio::test]
async fn what_was_asked_of_another_guard_is_not_answered_here() {
    let world = world();
    world.register().await;
    world.policy("app.example", FRIENDS_ONLY);
    let body = serde_json::to_vec(&question("app.example", FRIEND)).unwrap();
    for (authority, expected) in [
        ("other.example:7443", 401),
        ("guard.example.evil.example:7443", 401),
        ("127.0.0.1:7444", 401),
        ("127.0.0.1:7443", 200),
        ("Guard.example:443", 200),
    ] {
        let mut headers = world.signed_headers_to(authority, &body);
        headers.push(("host", authority.to_owned()));
        let path = guard_api::path::COSIGN;
        let (status, answer) = world.post(path, &headers, body.clone()).await;
        assert_eq!(status, expected, "{authority}: {answer}");
    }
}
