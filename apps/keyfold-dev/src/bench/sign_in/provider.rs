//! An OpenID provider of the benchmark's own, over TLS on loopback: its answers cost next to nothing,
//! and it says how long each took.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_crypto::b64;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_gateway_service::EgressTarget;
use keyfold_net::{Server, ServerTls, Shutdown, ShutdownTrigger};
use keyfold_protocol::project::{ClientAuth, ProviderKind, ProviderSettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::system::{SystemError, pki};

pub(super) const NAME: &str = "idp";
pub(super) const REDIRECT: &str = "https://app.example/callback";
const HOST: &str = "idp.example";
const ISSUER: &str = "https://idp.example";
const CLIENT: &str = "keyfold-bench";
const TOKEN_SECONDS: u64 = 300;

/// A running provider. It ends when it is dropped.
pub(super) struct Provider {
    port: u16,
    root_pem: String,
    shared: Arc<Shared>,
    _running: ShutdownTrigger,
}

struct Shared {
    key: DeviceSigningKey,
    /// Nonces of the authorizations under way, by code.
    nonces: Mutex<HashMap<String, String>>,
    /// How long the token endpoint took for each code.
    took: Mutex<HashMap<String, Duration>>,
}

impl Provider {
    pub(super) async fn start() -> Result<Self, SystemError> {
        let what = "start the benchmark's provider";
        let certificate = pki::certificate_for(HOST)?;
        let tls = ServerTls::from_pem(
            certificate.certificate_pem.as_bytes(),
            certificate.key_pem.as_bytes(),
        )
        .map_err(SystemError::step(what))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(SystemError::io(what))?;
        let port = listener.local_addr().map_err(SystemError::io(what))?.port();
        let shared = Arc::new(Shared {
            key: DeviceSigningKey::generate_p256(&mut UnwrapErr(SysRng)),
            nonces: Mutex::default(),
            took: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        let (running, shutdown) = Shutdown::manual();
        tokio::spawn(Server::new(router).tls(listener, tls.config(), shutdown));
        Ok(Self {
            port,
            root_pem: certificate.root_pem,
            shared,
            _running: running,
        })
    }

    /// Where the enclave's host finds it.
    pub(super) fn egress(&self) -> Result<EgressTarget, SystemError> {
        let target = |text: String| {
            let parsed = text.parse();
            parsed.map_err(SystemError::step("name the benchmark's provider"))
        };
        Ok(EgressTarget {
            target: target(format!("{HOST}:443"))?,
            at: Some(target(format!("127.0.0.1:{}", self.port))?),
        })
    }

    /// A project's registration at it.
    pub(super) fn settings(&self) -> ProviderSettings {
        ProviderSettings {
            kind: ProviderKind::OpenId {
                issuer: ISSUER.to_owned(),
            },
            client_id: CLIENT.to_owned(),
            redirect_uris: vec![REDIRECT.to_owned()],
            client_auth: ClientAuth::Public,
            roots_pem: Some(self.root_pem.clone()),
        }
    }

    /// Does the browser's and the person's part: returns the code, which names the person, and the
    /// query that the browser comes back with.
    pub(super) fn authorize(
        &self,
        person: &str,
        url: &str,
    ) -> Result<(String, String), SystemError> {
        let parameter = |name: &str| {
            let (_, query) = url.split_once('?')?;
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let (Some(state), Some(nonce)) = (parameter("state"), parameter("nonce")) else {
            return Err(SystemError::Step {
                what: "authorize at the benchmark's provider".to_owned(),
                problem: "there is no state or nonce".to_owned(),
            });
        };
        let code = format!("code-{person}");
        lock(&self.shared.nonces).insert(code.clone(), nonce.to_owned());
        let query = format!("code={code}&state={state}");
        Ok((code, query))
    }

    /// How long the token endpoint took for a code, from the request read to the answer made.
    pub(super) fn took(&self, code: &str) -> Duration {
        let took = lock(&self.shared.took).remove(code);
        took.unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn discovery() -> Json<Value> {
    Json(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut key = json!(shared.key.public_jwk());
    if let Some(members) = key.as_object_mut() {
        members.insert("kid".to_owned(), json!("1"));
    }
    Json(json!({ "keys": [key] }))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    form: String,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let begun = Instant::now();
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let code = pairs.find(|(key, _)| *key == "code").map(|(_, code)| code);
    let nonce = code.and_then(|code| lock(&shared.nonces).remove(code));
    let (Some(code), Some(nonce)) = (code, nonce) else {
        let refused = Json(json!({ "error": "invalid_grant" }));
        return Err((StatusCode::BAD_REQUEST, refused));
    };
    let now = now();
    let signed = unsigned(
        &json!({ "alg": "ES256", "typ": "JWT", "kid": "1" }),
        &json!({
            "iss": ISSUER, "sub": code, "aud": CLIENT, "nonce": nonce,
            "iat": now, "exp": now + TOKEN_SECONDS,
        }),
    );
    let signature = b64::encode(&shared.key.sign(signed.as_bytes()));
    let answer = Json(json!({
        "access_token": "unused", "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
        "id_token": format!("{signed}.{signature}"),
    }));
    lock(&shared.took).insert(code.to_owned(), begun.elapsed());
    Ok(answer)
}

/// What of a compact JWT is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| b64::encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
