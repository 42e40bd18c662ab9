//! An issuer of ID tokens: a real server on loopback, with TLS, that can misbehave.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use keyfold_crypto::b64;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_holder_service::IssuerConfig;
use keyfold_identity::oidc::binding::{Nonce, NonceSalt};
use keyfold_net::{Server, ServerTls, Shutdown};
use keyfold_protocol::evidence::{Item, ShownIdToken};
use keyfold_protocol::ids::Digest32;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Person, World, random, rng};

const ISSUER: &str = "https://issuer.example";

/// What the server does when it is asked for its keys.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Names these keys.
    Keys(Vec<&'static str>),
    /// Sends the asker elsewhere on the same server, where the keys are.
    Redirect,
    /// Sends a document of this many bytes.
    Huge(usize),
    /// Sends this.
    Body(&'static str),
    /// Never answers.
    Silent,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    asked: AtomicUsize,
    keys: Vec<(&'static str, DeviceSigningKey)>,
}

/// A running issuer. Its server ends with it.
pub(crate) struct Issuer {
    shared: Arc<Shared>,
    port: u16,
    dir: TempDir,
    end: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let keys = ["one", "two"]
            .map(|kid| (kid, DeviceSigningKey::generate_p256(&mut rng())))
            .into();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Behaviour::Keys(vec!["one"])),
            asked: AtomicUsize::new(0),
            keys,
        });
        let router = Router::new()
            .route("/jwks", get(jwks))
            .route("/elsewhere", get(elsewhere))
            .with_state(Arc::clone(&shared));
        let dir = tempfile::tempdir().unwrap();
        let tls = tls(dir.path(), "issuer.example");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (trigger, ending) = Shutdown::manual();
        tokio::spawn(Server::new(router).tls(listener, tls.config(), ending));
        let (end, ended) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let _: Result<(), _> = ended.await;
            trigger.trigger();
        });
        Self {
            shared,
            port,
            dir,
            end: Some(end),
        }
    }

    /// What an operator who trusts it writes.
    pub(crate) fn config(&self) -> IssuerConfig {
        let mut config = IssuerConfig::new(ISSUER, "https://issuer.example/jwks");
        config.roots_pem = Some(self.dir.path().join("tls-cert.pem"));
        config.connect_to = Some(format!("127.0.0.1:{}", self.port));
        config
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// A token about somebody on a device, good in everything.
    pub(crate) fn token(&self, world: &World, person: &Person, subject: &str) -> Token {
        let salt: [u8; 32] = random();
        let project = person.owner.project.as_str();
        let device = person.thumbprint();
        let nonce = Nonce::for_device(project, &device, &NonceSalt::from_bytes(salt));
        let now = world.now();
        let claims = json!({
            "iss": ISSUER, "aud": "client", "sub": subject, "iat": now, "exp": now + 3_600,
            "nonce": nonce.as_str(),
        });
        Token {
            claims,
            kid: "one",
            salt,
        }
    }

    /// Signs a token and has it shown.
    pub(crate) fn sign(&self, token: &Token) -> Item {
        let (_, key) = self.key(token.kid);
        self.sign_by(token, key)
    }

    pub(crate) fn sign_by(&self, token: &Token, key: &DeviceSigningKey) -> Item {
        let header = json!({"alg": "ES256", "kid": token.kid, "typ": "JWT"});
        let message = format!(
            "{}.{}",
            b64::encode(header.to_string().as_bytes()),
            b64::encode(token.claims.to_string().as_bytes())
        );
        let signature = b64::encode(&key.sign(message.as_bytes()));
        let text = |claim: &str| token.claims[claim].as_str().unwrap().to_owned();
        Item::IdToken(ShownIdToken {
            identity: Digest32::from_bytes(keyfold_crypto::hash::sha256(text("sub").as_bytes())),
            token: format!("{message}.{signature}").into(),
            issuer: text("iss"),
            client_id: text("aud"),
            salt: token.salt,
        })
    }

    fn key(&self, kid: &str) -> &(&'static str, DeviceSigningKey) {
        let mut keys = self.shared.keys.iter();
        keys.find(|(name, _)| *name == kid)
            .unwrap_or(&self.shared.keys[0])
    }
}

/// A token before it is signed.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) claims: Value,
    pub(crate) kid: &'static str,
    pub(crate) salt: [u8; 32],
}

impl Token {
    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _: Result<(), ()> = end.send(());
        }
    }
}

fn tls(dir: &Path, name: &str) -> ServerTls {
    ServerTls::from_pem_or_generate(dir, &[name.to_owned()]).unwrap()
}

fn document(shared: &Shared, kids: &[&str]) -> Response {
    let keys: Vec<Value> = shared
        .keys
        .iter()
        .filter(|(kid, _)| kids.contains(kid))
        .map(|(kid, key)| {
            let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
            jwk["kid"] = json!(kid);
            jwk
        })
        .collect();
    json!({ "keys": keys }).to_string().into_response()
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let behaviour = shared.behaviour.lock().unwrap().clone();
    match behaviour {
        Behaviour::Keys(kids) => document(&shared, &kids),
        Behaviour::Redirect => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Behaviour::Huge(bytes) => {
            let padding = " ".repeat(bytes);
            let mut answer = document(&shared, &["one"]);
            *answer.body_mut() = format!("{padding}{{\"keys\":[]}}").into();
            answer
        }
        Behaviour::Body(text) => text.into_response(),
        Behaviour::Silent => std::future::pending().await,
    }
}

async fn elsewhere(State(shared): State<Arc<Shared>>) -> Response {
    document(&shared, &["one"])
}
