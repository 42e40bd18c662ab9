//! What is asked of servers of the web, over a platform that is one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use keyfold_crypto::SecretBytes;
use keyfold_enclave::web::{Providers, WebError, redeem, user_info};
use keyfold_enclave::{
    AttestRequest, ComposedMail, MailError, Peer, PeerError, PeerRequest, PeerResponse, PeerTrust,
    Platform, PlatformError,
};
use keyfold_identity::oidc::authorization::{ProviderRefusal, TokenRequest, UserInfoRequest};
use keyfold_identity::oidc::discovery::DiscoveryError;
use keyfold_identity::oidc::keys::{KeyError, KeySet};
use keyfold_identity::oidc::token::TokenResponseError;
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_protocol::client_api::MailSettings;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const ISSUER: &str = "https://login.example";
const METADATA: &str = "login.example:443/.well-known/openid-configuration";
const JWKS: &str = "https://keys.example/jwks?v=1";
const KEYS: &str = "keys.example:443/jwks?v=1";

/// All servers of the web.
pub(crate) struct Web {
    pages: Mutex<HashMap<String, Page>>,
    pub(crate) asked: Mutex<Vec<(String, PeerTrust, PeerRequest)>>,
    now_ms: AtomicU64,
    /// One permit for each answer.
    answers: Semaphore,
}

type Page = Result<(u16, Vec<u8>), PeerError>;

impl Web {
    fn new() -> Self {
        Self {
            pages: Mutex::default(),
            asked: Mutex::default(),
            now_ms: AtomicU64::new(5_000),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn put(&self, at: &str, page: Page) {
        self.pages.lock().unwrap().insert(at.to_owned(), page);
    }

    fn put_json(&self, at: &str, body: &Value) {
        self.put(at, Ok((200, body.to_string().into_bytes())));
    }

    fn pass(&self, seconds: u64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Platform for Web {
    fn random(&self, _: &mut [u8]) -> Result<(), PlatformError> {
        Err(PlatformError::Random)
    }

    fn attest(&self, _: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        Err(PlatformError::Attest)
    }

    fn extend_pcr16_and_lock(&self, _: &[u8]) -> Result<(), PlatformError> {
        Err(PlatformError::Pcr)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    async fn call(&self, peer: &Peer, request: PeerRequest) -> Result<PeerResponse, PeerError> {
        let at = format!("{}{}", peer.authority, request.path);
        let max_response = request.max_response;
        let asked = (at.clone(), peer.trust.clone(), request);
        self.asked.lock().unwrap().push(asked);
        self.answers.acquire().await.unwrap().forget();
        let page = self.pages.lock().unwrap().get(&at).cloned();
        let (status, body) = page.unwrap_or(Err(PeerError::NotAllowed))?;
        if body.len() > max_response {
            return Err(PeerError::TooLarge);
        }
        Ok(PeerResponse { status, body })
    }

    async fn send_mail(&self, _: &MailSettings, _: &ComposedMail) -> Result<(), MailError> {
        Err(MailError::Unreachable)
    }

    async fn sleep(&self, _: Duration) {}
}

fn url(text: &str) -> HttpsUrl {
    HttpsUrl::parse(text).unwrap()
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": JWKS,
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// A set of one key; its point is the example of RFC 7515 appendix A.3.
fn keys(kid: &str) -> Value {
    json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "kid": kid,
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }] })
}

fn kid(keys: &KeySet) -> &str {
    keys.keys()[0].kid().unwrap()
}

fn is_send<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn a_document_is_fetched_once_and_again_when_it_is_old() {
    let (web, providers) = (Web::new(), Providers::new());
    web.put_json(METADATA, &metadata(ISSUER));
    web.put_json(KEYS, &keys("one"));
    for _ in 0..3 {
        let issuer = url(ISSUER);
        let found = is_send(providers.metadata(&web, &issuer, None)).await;
        assert_eq!(found.unwrap().jwks_uri().as_str(), JWKS);
        let jwks = url(JWKS);
        let found = is_send(providers.keys(&web, &jwks, None)).await;
        assert_eq!(kid(&found.unwrap()), "one");
    }
    assert_eq!(web.asked(), 2);
    {
        let asked = web.asked.lock().unwrap();
        let (_, trust, request) = &asked[0];
        assert_eq!(*trust, PeerTrust::TlsName { roots_pem: None });
        assert_eq!((request.method, request.body.len()), ("GET", 0));
        assert!(
            request
                .headers
                .iter()
                .all(|(name, _)| name != "authorization")
        );
    }
    web.pass(899);
    let _ = providers.keys(&web, &url(JWKS), None).await.unwrap();
    assert_eq!(web.asked(), 2);
    web.pass(1);
    web.put_json(KEYS, &keys("two"));
    let found = providers.keys(&web, &url(JWKS), None).await.unwrap();
    assert_eq!((kid(&found), web.asked()), ("two", 3));
    web.pass(2_699);
    let _ = providers.metadata(&web, &url(ISSUER), None).await.unwrap();
    assert_eq!(web.asked(), 3);
    web.pass(1);
    let _ = providers.metadata(&web, &url(ISSUER), None).await.unwrap();
    assert_eq!(web.asked(), 4);
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let (web, providers) = (Web::new(), Providers::new());
    for status in [301, 302, 303, 307, 308] {
        // Even one whose body is the document.
        let body = keys("one").to_string().into_bytes();
        web.put(KEYS, Ok((status, body)));
        let found = providers.keys(&web, &url(JWKS), None).await;
        assert_eq!(found.unwrap_err(), WebError::Redirected);
        web.pass(30);
    }
    assert_eq!(web.asked(), 5);
}

#[tokio::test]
async fn what_is_no_document_of_that_issuer_is_refused() {
    let providers = Providers::new();
    let huge = json!({ "keys": [], "padding": "x".repeat(64 * 1024) });
    let many: Vec<_> = (0..33).map(|_| json!({ "kty": "EC" })).collect();
    for (page, error) in [
        (
            Ok((200, huge.to_string().into_bytes())),
            WebError::Peer(PeerError::TooLarge),
        ),
        (
            Ok((200, json!({ "keys": many }).to_string().into_bytes())),
            WebError::Keys(KeyError::TooMany),
        ),
        (
            Ok((404, keys("one").to_string().into_bytes())),
            WebError::Status(404),
        ),
        (Ok((204, vec![])), WebError::Status(204)),
        (Err(PeerError::Timeout), WebError::Peer(PeerError::Timeout)),
        (
            Err(PeerError::WrongPeer),
            WebError::Peer(PeerError::WrongPeer),
        ),
    ] {
        let web = Web::new();
        web.put(KEYS, page);
        let found = Providers::new().keys(&web, &url(JWKS), None).await;
        assert_eq!(found.unwrap_err(), error);
    }
    let web = Web::new();
    web.put_json(METADATA, &metadata("https://evil.example"));
    let found = providers.metadata(&web, &url(ISSUER), None).await;
    assert_eq!(
        found.unwrap_err(),
        WebError::Discovery(DiscoveryError::WrongIssuer)
    );
}

#[tokio::test]
async fn a_failure_is_the_answer_for_a_while_and_then_no_more() {
    let (web, providers) = (Web::new(), Providers::new());
    web.put(KEYS, Err(PeerError::Unreachable));
    for _ in 0..5 {
        let found = providers.keys(&web, &url(JWKS), None).await;
        assert_eq!(found.unwrap_err(), WebError::Peer(PeerError::Unreachable));
    }
    assert_eq!(web.asked(), 1);
    web.put_json(KEYS, &keys("one"));
    web.pass(29);
    assert!(providers.keys(&web, &url(JWKS), None).await.is_err());
    web.pass(1);
    assert!(providers.keys(&web, &url(JWKS), None).await.is_ok());
    assert_eq!(web.asked(), 2);
}

#[tokio::test]
async fn an_unknown_key_has_the_keys_fetched_again_once_in_a_while() {
    let (web, providers) = (Web::new(), Providers::new());
    web.put_json(KEYS, &keys("one"));
    let old = providers.keys(&web, &url(JWKS), None).await.unwrap();
    web.put_json(KEYS, &keys("two"));
    // The first token of the new key comes right after the keys were fetched.
    let new = providers
        .fresh_keys(&web, &url(JWKS), None, &old)
        .await
        .unwrap();
    assert_eq!((kid(&new), web.asked()), ("two", 2));
    // Whoever has the old ones gets the new ones, and garbage moves nothing.
    for wanting in [&old, &new, &new, &new] {
        let found = providers
            .fresh_keys(&web, &url(JWKS), None, wanting)
            .await
            .unwrap();
        assert!(Arc::ptr_eq(&found, &new));
    }
    assert_eq!(web.asked(), 2);
    web.pass(29);
    let _ = providers
        .fresh_keys(&web, &url(JWKS), None, &new)
        .await
        .unwrap();
    assert_eq!(web.asked(), 2);
    web.pass(1);
    let found = providers
        .fresh_keys(&web, &url(JWKS), None, &new)
        .await
        .unwrap();
    assert_eq!((kid(&found), web.asked()), ("two", 3));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_again_serve_those_who_know_theirs() {
    let (web, providers) = (Web::new(), Providers::new());
    web.put_json(KEYS, &keys("one"));
    let old = providers.keys(&web, &url(JWKS), None).await.unwrap();
    web.put(KEYS, Ok((503, vec![])));
    for _ in 0..3 {
        let found = providers.fresh_keys(&web, &url(JWKS), None, &old).await;
        assert_eq!(found.unwrap_err(), WebError::Status(503));
        assert!(providers.keys(&web, &url(JWKS), None).await.is_ok());
    }
    assert_eq!(web.asked(), 2);
    // But no longer than their age allows.
    web.pass(900);
    assert!(providers.keys(&web, &url(JWKS), None).await.is_err());
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_make_the_next_refresh_sooner() {
    let mut web = Web::new();
    let providers = Providers::new();
    web.put_json(KEYS, &keys("one"));
    let old = providers.keys(&web, &url(JWKS), None).await.unwrap();
    web.answers = Semaphore::new(0);
    for _ in 0..3 {
        let jwks = url(JWKS);
        let refresh = providers.fresh_keys(&web, &jwks, None, &old);
        let _ = tokio::select! {
            biased;
            answer = refresh => answer,
            () = tokio::task::yield_now() => Ok(Arc::clone(&old)),
        };
    }
    assert_eq!(web.asked(), 2);
}

#[tokio::test]
async fn parallel_callers_share_one_request() {
    let mut web = Web::new();
    web.answers = Semaphore::new(0);
    let (web, providers) = (Arc::new(web), Arc::new(Providers::new()));
    web.put_json(KEYS, &keys("one"));
    let callers = (0..20).map(|_| {
        let (web, providers) = (Arc::clone(&web), Arc::clone(&providers));
        tokio::spawn(async move { providers.keys(&*web, &url(JWKS), None).await })
    });
    let callers: Vec<_> = callers.collect();
    crate::world::settle().await;
    assert_eq!(web.asked(), 1);
    web.answers.add_permits(100);
    for found in join_all(callers).await {
        assert_eq!(kid(&found.unwrap().unwrap()), "one");
    }
    assert_eq!(web.asked(), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_neither_others_nor_known_keys() {
    let mut web = Web::new();
    web.answers = Semaphore::new(2);
    let (web, providers) = (Arc::new(web), Arc::new(Providers::new()));
    web.put_json(KEYS, &keys("one"));
    web.put_json("other.example:443/", &keys("other"));
    let known = providers.keys(&*web, &url(JWKS), None).await.unwrap();
    let _ = providers
        .keys(&*web, &url("https://other.example/"), None)
        .await;
    let hanging = tokio::spawn({
        let (web, providers) = (Arc::clone(&web), Arc::clone(&providers));
        async move { providers.fresh_keys(&*web, &url(JWKS), None, &known).await }
    });
    crate::world::settle().await;
    assert_eq!(web.asked(), 3);
    assert!(providers.keys(&*web, &url(JWKS), None).await.is_ok());
    assert!(
        providers
            .keys(&*web, &url("https://other.example/"), None)
            .await
            .is_ok()
    );
    web.answers.add_permits(1);
    assert!(hanging.await.unwrap().is_ok());
}

#[tokio::test]
async fn what_one_projects_roots_vouch_for_serves_no_other() {
    let (web, providers) = (Web::new(), Providers::new());
    let (ours, theirs): (Arc<str>, Arc<str>) = ("our root".into(), "their root".into());
    for (kid_served, roots) in [("a", None), ("b", Some(&ours)), ("c", Some(&theirs))] {
        web.put_json(KEYS, &keys(kid_served));
        for _ in 0..2 {
            let found = providers.keys(&web, &url(JWKS), roots).await.unwrap();
            assert_eq!(kid(&found), kid_served);
        }
    }
    let asked = web.asked.lock().unwrap();
    let roots: Vec<_> = asked.iter().map(|(_, trust, _)| trust.clone()).collect();
    let named = |roots_pem| PeerTrust::TlsName { roots_pem };
    assert_eq!(roots, [named(None), named(Some(ours)), named(Some(theirs))]);
}

#[tokio::test]
async fn the_number_of_documents_is_bounded_and_the_oldest_makes_room() {
    let (web, providers) = (Web::new(), Providers::new());
    let site = |n: usize| url(&format!("https://keys.example/{n}"));
    for n in 0..=512 {
        web.put_json(&format!("keys.example:443/{n}"), &keys("one"));
        let _ = providers.keys(&web, &site(n), None).await.unwrap();
    }
    assert_eq!(web.asked(), 513);
    let _ = providers.keys(&web, &site(512), None).await.unwrap();
    assert_eq!(web.asked(), 513);
    let _ = providers.keys(&web, &site(0), None).await.unwrap();
    assert_eq!(web.asked(), 514);
}

#[tokio::test]
async fn the_hosts_own_store_is_no_provider() {
    let web = Web::new();
    web.put_json("records.keyfold.internal:1/jwks", &keys("one"));
    let inside = url("https://records.keyfold.internal:1/jwks");
    let found = Providers::new().keys(&web, &inside, None).await;
    assert_eq!(found.unwrap_err(), WebError::Peer(PeerError::NotAllowed));
    assert_eq!(web.asked(), 0);
}

fn token_request() -> TokenRequest {
    TokenRequest {
        url: url("https://login.example/token"),
        authorization: Some(SecretBytes::from_slice(b"Basic YTpi")),
        body: SecretBytes::from_slice(b"grant_type=authorization_code&code=c"),
    }
}

#[tokio::test]
async fn a_code_is_redeemed_by_one_post() {
    let web = Web::new();
    let answer = json!({ "access_token": "at", "token_type": "Bearer", "id_token": "a.b.c" });
    web.put_json("login.example:443/token", &answer);
    let tokens = is_send(redeem(&web, token_request(), None)).await.unwrap();
    assert_eq!(tokens.id_token(), Some("a.b.c"));
    let asked = web.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    let (_, _, request) = &asked[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.body, b"grant_type=authorization_code&code=c");
    let header = |name: &str| {
        let mut values = request.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    };
    assert_eq!(header("authorization"), Some("Basic YTpi"));
    assert_eq!(
        header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header("accept"), Some("application/json"));
}

#[tokio::test]
async fn a_token_endpoint_that_redirects_refuses_or_floods_gives_no_tokens() {
    let success = json!({ "access_token": "at", "token_type": "Bearer" }).to_string();
    let refusal = json!({ "error": "invalid_grant" }).to_string();
    let refused = TokenResponseError::Refused(ProviderRefusal::InvalidGrant);
    for (status, body, error) in [
        (307, success, WebError::Redirected),
        (400, refusal, WebError::Token(refused)),
        (
            200,
            "x".repeat(64 * 1024 + 1),
            WebError::Peer(PeerError::TooLarge),
        ),
    ] {
        let web = Web::new();
        web.put("login.example:443/token", Ok((status, body.into_bytes())));
        let answer = redeem(&web, token_request(), None).await;
        assert_eq!(answer.unwrap_err(), error);
        assert_eq!(web.asked(), 1);
    }
}

#[tokio::test]
async fn a_user_info_document_is_asked_for_with_the_token() {
    let web = Web::new();
    let request = || UserInfoRequest {
        url: url("https://api.example/me"),
        authorization: SecretBytes::from_slice(b"Bearer at"),
    };
    web.put_json("api.example:443/me", &json!({ "id": "1" }));
    let body = is_send(user_info(&web, request(), None)).await.unwrap();
    assert_eq!(body.as_slice(), br#"{"id":"1"}"#);
    {
        let asked = web.asked.lock().unwrap();
        let bearer = ("authorization".to_owned(), "Bearer at".to_owned());
        assert!(asked[0].2.headers.contains(&bearer));
    }
    for (status, error) in [(302, WebError::Redirected), (401, WebError::Status(401))] {
        web.put(
            "api.example:443/me",
            Ok((status, br#"{"id":"1"}"#.to_vec())),
        );
        let answer = user_info(&web, request(), None).await;
        assert_eq!(answer.unwrap_err(), error);
    }
}
