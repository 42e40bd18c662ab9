//! The flow from beginning to end, and what somebody else would try in between.

use std::collections::BTreeMap;

use keyfold_crypto::hash::sha256;
use keyfold_crypto::testing::SeededRng;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oidc::discovery::ProviderMetadata;
use crate::oidc::jws::JwsError;
use crate::oidc::subject::EmailTrust;
use crate::oidc::testing::{NOW, TestKey};

const ISSUER: &str = "https://login.example";
const PROJECT: &str = "app.example";
const DEVICE: Thumbprint = Thumbprint([7; 32]);

fn provider(names_issuer: bool) -> Arc<Provider> {
    let document = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example/authorize?tenant=a%20b",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": "https://login.example/jwks",
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": names_issuer,
    });
    let issuer = HttpsUrl::parse(ISSUER).unwrap();
    let metadata =
        ProviderMetadata::from_document(&issuer, document.to_string().as_bytes()).unwrap();
    Arc::new(Provider::discovered(metadata, EmailTrust::Claimed))
}

fn client() -> Client {
    Client::new("client-1", "https://app.example/callback?x=1&y=2").unwrap()
}

fn begin_at(
    provider: Arc<Provider>,
    seed: u64,
) -> (PendingAuthorization, BTreeMap<String, String>) {
    let mut rng = SeededRng::new(seed);
    let options = AuthorizationOptions {
        max_authentication_age_seconds: Some(60),
        acr_values: vec!["gold".into(), "silver".into()],
    };
    let (pending, url) =
        PendingAuthorization::begin(provider, client(), options, PROJECT, DEVICE, NOW, &mut rng);
    let parsed = ::url::Url::parse(&url).unwrap();
    assert_eq!(parsed.as_str(), url, "the address is in normal form");
    let query: Vec<_> = parsed.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = query.iter().cloned().collect();
    assert_eq!(map.len(), query.len(), "nothing is said twice");
    (pending, map)
}

fn begin(seed: u64) -> (PendingAuthorization, BTreeMap<String, String>) {
    begin_at(provider(false), seed)
}

fn callback(parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    form.finish()
}

fn answer(query: &BTreeMap<String, String>) -> String {
    callback(&[
        ("code", "SplxlOBeZQQYbYS6WxSbIA"),
        ("state", &query["state"]),
    ])
}

fn granted(seed: u64) -> (AuthorizationGrant, BTreeMap<String, String>) {
    let (pending, query) = begin(seed);
    let grant = pending
        .accept(PROJECT, &DEVICE, &answer(&query), NOW + 30)
        .unwrap();
    (grant, query)
}

fn refused(callback: impl Fn(&BTreeMap<String, String>) -> String) -> CallbackError {
    let (pending, query) = begin(1);
    pending
        .accept(PROJECT, &DEVICE, &callback(&query), NOW)
        .unwrap_err()
}

fn form(request: &TokenRequest) -> Vec<(String, String)> {
    request
        .body
        .expose(|body| form_urlencoded::parse(body).into_owned().collect())
}

fn claims(nonce: &str) -> Value {
    json!({
        "iss": ISSUER, "sub": "24400320", "aud": "client-1", "nonce": nonce, "iat": NOW + 20,
        "exp": NOW + 300, "auth_time": NOW + 10, "acr": "gold",
    })
}

fn token_response(id_token: &str) -> TokenResponse {
    let body = json!({"access_token": "SlAV32hkKG", "token_type": "Bearer", "id_token": id_token});
    TokenResponse::parse(200, body.to_string().as_bytes()).unwrap()
}

#[test]
fn a_sign_in_goes_from_its_address_to_a_proof_for_this_device() {
    let (grant, query) = granted(1);
    let expected = [
        ("acr_values", "gold silver"),
        ("client_id", "client-1"),
        ("code_challenge_method", "S256"),
        ("max_age", "60"),
        ("redirect_uri", "https://app.example/callback?x=1&y=2"),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("tenant", "a b"),
    ];
    for (name, value) in expected {
        assert_eq!(query[name], value);
    }
    assert_eq!(query.len(), expected.len() + 3, "{query:?}");

    let rng = &mut SeededRng::new(9);
    let request = grant.token_request(&ClientCredentials::Public, NOW + 30, rng);
    assert_eq!(request.url.as_str(), "https://login.example/token");
    assert!(request.authorization.is_none());
    let body: BTreeMap<_, _> = form(&request).into_iter().collect();
    assert_eq!(body["grant_type"], "authorization_code");
    assert_eq!(body["code"], "SplxlOBeZQQYbYS6WxSbIA");
    assert_eq!(body["redirect_uri"], query["redirect_uri"]);
    assert_eq!(body["client_id"], "client-1");
    // As the provider checks it: RFC 7636 section 4.6.
    assert_eq!(
        b64::encode(&sha256(body["code_verifier"].as_bytes())),
        query["code_challenge"]
    );

    let key = TestKey::es256("k");
    let response = token_response(&key.token(&claims(&query["nonce"])));
    let proven = grant
        .prove_by_id_token(&response, &key.set(), NOW + 30)
        .unwrap();
    assert_eq!((proven.project(), proven.device()), (PROJECT, &DEVICE));
    assert_eq!(proven.subject().subject(), "24400320");
    assert_eq!(proven.subject().issuer(), ISSUER);
    assert_eq!(proven.proven_at_unix_seconds(), NOW + 30);
    // Anybody can check whose token it is.
    let nonce = Nonce::for_device(PROJECT, &DEVICE, proven.nonce_salt().unwrap());
    assert_eq!(nonce.as_str(), query["nonce"]);
}

#[test]
fn another_device_or_project_cannot_finish_a_sign_in() {
    for (project, device) in [
        (PROJECT, Thumbprint([8; 32])),
        ("other.example", DEVICE),
        ("", DEVICE),
    ] {
        let (pending, query) = begin(1);
        let result = pending.accept(project, &device, &answer(&query), NOW);
        assert_eq!(result.unwrap_err(), CallbackError::WrongDevice);
    }
}

#[test]
fn a_sign_in_ends_after_ten_minutes() {
    for (later, good) in [(599, true), (600, false), (u64::MAX - NOW, false)] {
        let (pending, query) = begin(1);
        let result = pending.accept(PROJECT, &DEVICE, &answer(&query), NOW + later);
        assert_eq!(result.is_ok(), good, "{later}");
    }
}

#[test]
fn the_callback_of_another_sign_in_is_refused() {
    let (_, other) = begin(2);
    assert_eq!(refused(|_| answer(&other)), CallbackError::WrongState);
    for state in ["", "x"] {
        let result = refused(|_| callback(&[("code", "c"), ("state", state)]));
        assert_eq!(result, CallbackError::WrongState);
    }
    assert_eq!(
        refused(|_| callback(&[("code", "c")])),
        CallbackError::WrongState
    );
    // An error too has to be of this sign-in, or a stranger could end it.
    assert_eq!(
        refused(|_| callback(&[("error", "access_denied")])),
        CallbackError::WrongState
    );
    let cut = refused(|query| callback(&[("code", "c"), ("state", &query["state"][..42])]));
    assert_eq!(cut, CallbackError::WrongState);
}

#[test]
fn rfc_9207_the_callback_of_another_issuer_is_refused() {
    let answer = |issuer: Option<&str>, names_issuer: bool| {
        let (pending, query) = begin_at(provider(names_issuer), 1);
        let mut parameters = vec![("code", "c"), ("state", query["state"].as_str())];
        parameters.extend(issuer.map(|issuer| ("iss", issuer)));
        pending
            .accept(PROJECT, &DEVICE, &callback(&parameters), NOW)
            .map(|_| ())
    };
    for names_issuer in [false, true] {
        assert_eq!(answer(Some(ISSUER), names_issuer), Ok(()));
        for other in [
            "https://login.example/",
            "https://evil.example",
            "http://login.example",
            "",
        ] {
            assert_eq!(
                answer(Some(other), names_issuer),
                Err(CallbackError::WrongIssuer)
            );
        }
    }
    assert_eq!(answer(None, false), Ok(()));
    assert_eq!(answer(None, true), Err(CallbackError::WrongIssuer));
}

#[test]
fn malformed_callbacks_are_refused() {
    let long = "c".repeat(5_000);
    let many = "x=1&".repeat(100);
    let malformed: [&dyn Fn(&str) -> String; 10] = [
        &|state| callback(&[("state", state)]),
        &|state| callback(&[("state", state), ("code", "")]),
        &|state| callback(&[("state", state), ("code", "c"), ("code", "c")]),
        &|state| callback(&[("state", state), ("state", state), ("code", "c")]),
        &|state| callback(&[("state", state), ("code", "c"), ("error", "access_denied")]),
        &|state| callback(&[("state", state), ("code", "c\r\nx")]),
        &|state| callback(&[("state", state), ("code", "\u{e4}")]),
        &|state| callback(&[("state", state), ("code", &long)]),
        &|state| format!("{many}code=c&state={state}"),
        &|state| format!("code=c&state={state}&x={}", long.repeat(2)),
    ];
    for make in malformed {
        assert_eq!(
            refused(|query| make(&query["state"])),
            CallbackError::Malformed
        );
    }
}

#[test]
fn a_refusal_of_the_provider_is_reported_without_its_words() {
    for (code, refusal) in [
        ("access_denied", ProviderRefusal::AccessDenied),
        ("user_cancelled_authorize", ProviderRefusal::AccessDenied),
        ("temporarily_unavailable", ProviderRefusal::Unavailable),
        ("<script>", ProviderRefusal::Other),
    ] {
        let parameters = |query: &BTreeMap<String, String>| {
            let state = &query["state"];
            callback(&[
                ("error", code),
                ("error_description", "x"),
                ("state", state),
            ])
        };
        assert_eq!(refused(parameters), CallbackError::Refused(refusal));
    }
}

#[test]
fn an_id_token_of_another_sign_in_proves_nothing() {
    let key = TestKey::es256("k");
    let (grant, query) = granted(1);
    let (_, other) = granted(2);
    for (claims, error) in [
        (claims(&other["nonce"]), IdTokenError::WrongNonce),
        (claims(""), IdTokenError::WrongNonce),
        (
            {
                let mut claims = claims(&query["nonce"]);
                claims["aud"] = json!("client-2");
                claims
            },
            IdTokenError::WrongAudience,
        ),
        (
            {
                let mut claims = claims(&query["nonce"]);
                claims["iss"] = json!("https://evil.example");
                claims
            },
            IdTokenError::WrongIssuer,
        ),
        (
            {
                let mut claims = claims(&query["nonce"]);
                claims["auth_time"] = json!(NOW - 1_000);
                claims
            },
            IdTokenError::AuthenticationTooOld,
        ),
        (
            {
                let mut claims = claims(&query["nonce"]);
                claims["acr"] = json!("bronze");
                claims
            },
            IdTokenError::WrongAssurance,
        ),
    ] {
        let response = token_response(&key.token(&claims));
        let result = grant.prove_by_id_token(&response, &key.set(), NOW + 30);
        assert_eq!(result.unwrap_err(), ProveError::IdToken(error));
    }
}

#[test]
fn keys_that_rotate_during_a_sign_in_are_fetched_again_and_the_sign_in_ends_well() {
    let (grant, query) = granted(1);
    let new = TestKey::es256_other("new");
    let response = token_response(&new.token(&claims(&query["nonce"])));
    let result = grant.prove_by_id_token(&response, &TestKey::es256("old").set(), NOW + 30);
    let unknown = IdTokenError::Signature(JwsError::UnknownKey);
    assert_eq!(result.unwrap_err(), ProveError::IdToken(unknown));
    assert!(
        grant
            .prove_by_id_token(&response, &new.set(), NOW + 31)
            .is_ok()
    );
}

#[test]
fn an_algorithm_that_the_provider_did_not_announce_is_refused() {
    let (grant, query) = granted(1);
    let key = TestKey::rs256("k");
    let response = token_response(&key.token(&claims(&query["nonce"])));
    let error = IdTokenError::Signature(JwsError::AlgorithmNotAllowed);
    assert_eq!(
        grant
            .prove_by_id_token(&response, &key.set(), NOW + 30)
            .unwrap_err(),
        ProveError::IdToken(error)
    );
}

#[test]
fn a_provider_without_id_tokens_proves_by_its_answer_and_in_no_other_way() {
    for (provider, body, subject) in [
        (
            Provider::x(),
            r#"{"data":{"id":"2244994945"}}"#,
            "2244994945",
        ),
        (
            Provider::discord(),
            r#"{"id":"80351110224678912"}"#,
            "80351110224678912",
        ),
    ] {
        let provider = Arc::new(provider);
        let options = AuthorizationOptions::default();
        let rng = &mut SeededRng::new(1);
        let (pending, url) = PendingAuthorization::begin(
            provider.clone(),
            client(),
            options,
            PROJECT,
            DEVICE,
            NOW,
            rng,
        );
        let query: BTreeMap<_, _> = ::url::Url::parse(&url)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
        assert!(!query.contains_key("nonce") && query["code_challenge_method"] == "S256");
        let grant = pending
            .accept(PROJECT, &DEVICE, &answer(&query), NOW)
            .unwrap();
        let response = token_response(&TestKey::es256("k").token(&claims("x")));
        let keys = TestKey::es256("k").set();
        assert_eq!(
            grant.prove_by_id_token(&response, &keys, NOW).unwrap_err(),
            ProveError::WrongProof
        );
        let request = grant.user_info_request(&response).unwrap();
        request
            .authorization
            .expose(|header| assert_eq!(header, b"Bearer SlAV32hkKG"));
        assert_eq!(
            grant.prove_by_user_info(b"{}", NOW).unwrap_err(),
            ProveError::UserInfo
        );
        let proven = grant.prove_by_user_info(body.as_bytes(), NOW).unwrap();
        assert_eq!(proven.subject().subject(), subject);
        assert_eq!(proven.subject().issuer(), provider.issuer());
        assert_eq!(proven.nonce_salt(), None);
    }
    // And where ID tokens are, an answer is nothing.
    let (grant, _) = granted(1);
    let answer = br#"{"id":"1","sub":"1","data":{"id":"1"}}"#;
    assert_eq!(
        grant.prove_by_user_info(answer, NOW).unwrap_err(),
        ProveError::WrongProof
    );
    let response = token_response("x");
    assert_eq!(
        grant.user_info_request(&response).unwrap_err(),
        ProveError::WrongProof
    );
}

#[test]
fn apples_callback_is_asked_for_as_a_form() {
    let (_, query) = begin_at(Arc::new(Provider::apple()), 1);
    assert_eq!(query["response_mode"], "form_post");
    assert!(query.contains_key("nonce"));
    let (_, query) = begin_at(Arc::new(Provider::google()), 1);
    assert!(!query.contains_key("response_mode"));
}

#[test]
fn nothing_secret_is_printed() {
    let (pending, query) = begin(1);
    assert!(!format!("{pending:?}").contains(&query["state"]));
    let grant = pending
        .accept(PROJECT, &DEVICE, &answer(&query), NOW)
        .unwrap();
    let request = grant.token_request(&ClientCredentials::Public, NOW, &mut SeededRng::new(1));
    let shown = format!("{grant:?} {request:?}");
    assert!(
        !shown.contains("Splx") && shown.contains("redacted"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn only_the_callback_with_this_state_gives_a_grant(
        text in "(code|state|iss|error|x)=[A-Za-z0-9%+_-]{0,44}(&(code|state|iss)=[a-z0-9%]{0,9}){0,3}"
    ) {
        let (pending, _) = begin(3);
        prop_assert!(pending.accept(PROJECT, &DEVICE, &text, NOW).is_err());
    }

    #[test]
    fn every_sign_in_has_its_own_state_nonce_and_challenge(a in 0_u64..1_000, b in 0_u64..1_000) {
        let (first, second) = (begin(a).1, begin(b).1);
        for name in ["state", "nonce", "code_challenge"] {
            prop_assert_eq!(first[name] == second[name], a == b);
            prop_assert_eq!(first[name].len(), 43);
        }
    }
}
