//! The system with every method on, and all that is not ours around it.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use keyfold_client::{ClientError, PendingSignIn, Session};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_gateway_service::EgressTarget;
use keyfold_protocol::project::{
    ClientAuth, EthereumSettings, FarcasterSettings, IdTokenSettings, IssuerKeys, IssuerSettings,
    NodeSettings, PasskeySettings, PasswordSettings, ProviderKind, ProviderSettings,
    SignInSettings, SolanaSettings, WebhookSettings,
};
use keyfold_protocol::project_command::ProjectChange;
use keyfold_protocol::sign_in::{Method, Next, Proof};
use keyfold_testkit::counterparts::{
    Authority, Browser, OpenIdProvider, Shape, Wallets, WebServer,
};
use keyfold_testkit::system::{CHAIN_ID, Device, Project, ProjectOptions, System, new_key};
use serde_json::{Value, json};

use crate::common::search::Needle;
use crate::common::{self, told};

pub(crate) const OTHER_APP: &str = "other.example";
/// The app's page, and whose passkeys it uses.
pub(crate) const HOST: &str = "app.example.test";
pub(crate) const PAGE: &str = "https://app.example.test";
pub(crate) const REDIRECT: &str = "https://app.example.test/callback";
pub(crate) const ISSUER: &str = "https://idp.example.test";
pub(crate) const HUGE: &str = "https://huge.example.test";
pub(crate) const OWN: &str = "https://login.example.test";
/// Where the app's server verifies ID tokens of the realm.
pub(crate) const REALM_ISSUER: &str = "https://realm.example.test";
/// Farcaster's registries are on this chain.
pub(crate) const OPTIMISM: u64 = 10;
/// Where the chains' nodes are, as the projects know.
const NODES: [&str; 2] = ["node.example.test", "optimism.example.test"];
pub(crate) const CLIENT_SECRET: &str = "a-client-secret-of-this-test";
pub(crate) const WEBHOOK_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything.
pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) authority: Authority,
    pub(crate) idp: OpenIdProvider,
    pub(crate) huge: OpenIdProvider,
    pub(crate) own: OpenIdProvider,
    /// Google, Apple, X, Discord by the names that the projects use.
    pub(crate) companies: Vec<(&'static str, OpenIdProvider)>,
    pub(crate) wallets: Wallets,
    pub(crate) browser: Browser,
    pub(crate) app_server: Arc<DeviceSigningKey>,
    pub(crate) hooks: WebServer,
    _nodes: [WebServer; 2],
    pub(crate) apple_key: String,
    /// What must be nowhere in the clear.
    needles: Mutex<Vec<Needle>>,
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

fn registration(id: &str, method: &str) -> Value {
    json!({
        "client_id": id, "client_secret": CLIENT_SECRET, "redirect_uris": [REDIRECT],
        "response_types": ["code"], "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": method,
    })
}

async fn provider(authority: &Authority, issuer: &str, shape: Shape) -> OpenIdProvider {
    let method = match shape {
        Shape::OpenId | Shape::X => "client_secret_basic",
        _ => "client_secret_post",
    };
    let clients = [registration("app", method)];
    let provider = OpenIdProvider::start(authority, issuer, shape, &clients, None);
    provider.await.unwrap()
}

impl World {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new().unwrap();
        let idp = provider(&authority, ISSUER, Shape::OpenId).await;
        let huge = provider(&authority, HUGE, Shape::OpenId).await;
        let own = provider(&authority, OWN, Shape::OpenId).await;
        let apple_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .unwrap()
            .serialize_pem();
        let mut companies = Vec::new();
        for (name, issuer, shape) in [
            ("google", "https://accounts.google.com", Shape::Google),
            ("x", "https://x.com", Shape::X),
            ("discord", "https://discord.com", Shape::Discord),
        ] {
            companies.push((name, provider(&authority, issuer, shape).await));
        }
        companies.push(("apple", apple(&authority, &apple_key).await));
        let hooks = WebServer::keeping(&authority, "hooks.example.test")
            .await
            .unwrap();
        let mut nodes = Vec::new();
        for host in NODES {
            nodes.push(WebServer::passing_on(&authority, host).await.unwrap());
        }
        let nodes: [WebServer; 2] = nodes.try_into().unwrap();
        let app_server = new_key();
        let settings = settings(&authority, &app_server, hooks.host());
        let mut egress = Vec::new();
        let providers = [&idp, &huge, &own].into_iter();
        for provider in providers.chain(companies.iter().map(|(_, provider)| provider)) {
            let hosts = provider.hosts().iter();
            egress.extend(hosts.map(|host| target(host, provider.port())));
        }
        egress.extend([&hooks, &nodes[0], &nodes[1]].map(|web| target(web.host(), web.port())));
        let system = common::start(|options| {
            options.record_traffic = true;
            options.log = "debug".to_owned();
            options.chains = vec![CHAIN_ID, OPTIMISM];
            options.egress = egress;
            options.projects[0].sign_in = settings.clone();
            options.projects.push(ProjectOptions {
                sign_in: settings,
                ..ProjectOptions::new(OTHER_APP, None)
            });
        })
        .await;
        for (node, chain) in nodes.iter().zip(system.chains()) {
            node.pass_on_to(chain.url());
        }
        let browser = Browser::start(&authority, &[HOST, "evil.example.test"])
            .await
            .unwrap();
        browser.visit(PAGE).await.unwrap();
        let wallets = Wallets::start().await.unwrap();
        let world = Self {
            system,
            authority,
            idp,
            huge,
            own,
            companies,
            wallets,
            browser,
            app_server,
            hooks,
            _nodes: nodes,
            apple_key,
            needles: Mutex::default(),
        };
        world.secrets().await;
        world
    }

    /// Enters the secrets of the first project, as `keyfold project secret set` does.
    async fn secrets(&self) {
        for name in ["idp", "google", "x", "discord"] {
            self.set_secret(&format!("provider:{name}"), CLIENT_SECRET)
                .await;
        }
        self.set_secret("provider:apple", &self.apple_key).await;
        self.set_secret("webhook", WEBHOOK_KEY).await;
        self.hide("a client secret", CLIENT_SECRET.as_bytes());
        self.hide(
            "the webhook's key",
            WEBHOOK_KEY.trim_start_matches("whsec_").as_bytes(),
        );
        // Between the lines of the PEM.
        for line in self.apple_key.lines().filter(|line| !line.starts_with('-')) {
            self.hide("Apple's key", line.as_bytes());
        }
    }

    pub(crate) async fn set_secret(&self, name: &str, value: &str) {
        let project = self.app();
        let administrator = self.system.device(&project.administrator).unwrap();
        let reveal = administrator.hide_secret(value.to_owned().into()).unwrap();
        let change = ProjectChange::Secret {
            name: name.to_owned(),
            commitment: reveal.commitment(&project.id, name),
        };
        let version = administrator
            .show_project(&project.id)
            .await
            .unwrap()
            .version;
        let command = administrator.propose(&project.id, version, 600, change);
        let changed = administrator
            .change_project(&command.await.unwrap(), Some(reveal))
            .await;
        changed.unwrap_or_else(|error| panic!("{name}: {}", told(&error)));
    }

    pub(crate) fn app(&self) -> &Project {
        self.system.project()
    }

    pub(crate) fn other_app(&self) -> &Project {
        &self.system.projects()[1]
    }

    /// A new device at the first app.
    pub(crate) fn device(&self) -> Device {
        self.system.new_device(self.app()).unwrap()
    }

    /// A new device at the other app.
    pub(crate) fn device_elsewhere(&self) -> Device {
        self.system.new_device(self.other_app()).unwrap()
    }

    pub(crate) fn company(&self, name: &str) -> &OpenIdProvider {
        let mut all = self.companies.iter();
        &all.find(|(known, _)| *known == name).unwrap().1
    }

    /// Remembers what must be nowhere in the clear.
    pub(crate) fn hide(&self, name: &str, bytes: &[u8]) {
        self.needles.lock().unwrap().push(Needle::new(name, bytes));
    }

    pub(crate) fn needles(&self) -> Vec<Needle> {
        std::mem::take(&mut *self.needles.lock().unwrap())
    }

    /// Begins at the first app.
    pub(crate) async fn begin(&self, device: &Device, how: Method) -> PendingSignIn {
        let begun = device.start_sign_in(&self.app().id, how).await;
        begun.unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// Asks for a code at the first app and reads it in the mailbox.
    pub(crate) async fn code(&self, device: &Device, email: &str) -> (PendingSignIn, String) {
        self.code_at(self.app(), device, email).await
    }

    pub(crate) async fn code_at(
        &self,
        project: &Project,
        device: &Device,
        email: &str,
    ) -> (PendingSignIn, String) {
        let mailbox = self.system.mailbox();
        let seen = mailbox.codes(email).unwrap().len();
        let pending = device.start_email(&project.id, email).await;
        let pending = pending.unwrap_or_else(|error| panic!("{}", told(&error)));
        let mail = mailbox.wait(email, seen).await.unwrap();
        (pending, mail.code().unwrap().to_owned())
    }

    /// Signs a new device in by code.
    pub(crate) async fn by_code(&self, email: &str) -> (Device, Session) {
        self.hide("an email address", email.as_bytes());
        let device = self.device();
        let session = self.system.sign_in(&device, self.app(), email).await;
        (device, session.unwrap())
    }
}

async fn apple(authority: &Authority, pem: &str) -> OpenIdProvider {
    let bytes = keyfold_crypto::SecretBytes::from_slice(pem.as_bytes());
    let key = keyfold_identity::oidc::client::signing_key_from_pem(&bytes).unwrap();
    let known = json!({
        "team_id": "TEAM123456", "key_id": "KEY1234567", "public_key": key.public_jwk(),
    });
    let clients = [registration("app", "client_secret_post")];
    let issuer = "https://appleid.apple.com";
    OpenIdProvider::start(authority, issuer, Shape::Apple, &clients, Some(known))
        .await
        .unwrap()
}

fn target(host: &str, port: u16) -> EgressTarget {
    EgressTarget {
        target: format!("{host}:443").parse().unwrap(),
        at: Some(format!("127.0.0.1:{port}").parse().unwrap()),
    }
}

/// Every method, and both of what an app's server has.
fn settings(authority: &Authority, server: &DeviceSigningKey, hooks: &str) -> SignInSettings {
    let roots_pem = Some(authority.root_pem());
    let provider = |kind, client_auth| ProviderSettings {
        kind,
        client_id: "app".to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        client_auth,
        roots_pem: roots_pem.clone(),
    };
    let apple = ClientAuth::Apple {
        team_id: "TEAM123456".to_owned(),
        key_id: "KEY1234567".to_owned(),
    };
    let by_discovery = |issuer: &str| ProviderKind::OpenId {
        issuer: issuer.to_owned(),
    };
    let (basic, post) = (ClientAuth::SecretBasic {}, ClientAuth::SecretPost {});
    let providers = [
        ("idp", provider(by_discovery(ISSUER), basic.clone())),
        ("huge", provider(by_discovery(HUGE), ClientAuth::Public)),
        ("google", provider(ProviderKind::Google {}, post.clone())),
        ("apple", provider(ProviderKind::Apple {}, apple)),
        ("x", provider(ProviderKind::X {}, basic)),
        ("discord", provider(ProviderKind::Discord {}, post)),
    ];
    let node = |number: usize| NodeSettings {
        url: format!("https://{}/", NODES[number]),
        roots_pem: roots_pem.clone(),
    };
    let own = IssuerSettings {
        issuer: OWN.to_owned(),
        audience: "app".to_owned(),
        keys: IssuerKeys::Jwks {
            url: format!("{OWN}/jwks"),
            roots_pem: roots_pem.clone(),
        },
        algorithms: vec!["RS256".to_owned()],
        max_token_age_seconds: 600,
    };
    SignInSettings {
        password: Some(PasswordSettings::default()),
        providers: providers.map(|(name, one)| (name.to_owned(), one)).into(),
        issuers: [("own".to_owned(), own)].into(),
        ethereum: Some(EthereumSettings {
            chains: vec![1, CHAIN_ID],
            nodes: [(CHAIN_ID, node(0))].into(),
        }),
        solana: Some(SolanaSettings::default()),
        farcaster: Some(FarcasterSettings {
            node: node(1),
            auth_addresses: false,
        }),
        passkeys: Some(PasskeySettings {
            relying_party: HOST.to_owned(),
            user_verification: true,
            apps: Vec::new(),
            top_origins: Vec::new(),
        }),
        origins: vec![PAGE.to_owned()],
        servers: vec![server.public_jwk()],
        webhook: Some(WebhookSettings {
            url: format!("https://{hooks}/keyfold"),
            roots_pem,
        }),
        id_tokens: Some(IdTokenSettings {
            issuer: REALM_ISSUER.to_owned(),
            seconds: 300,
        }),
        ..SignInSettings::default()
    }
}

pub(crate) async fn finish(
    device: &Device,
    pending: &PendingSignIn,
    proof: Proof,
) -> Result<Session, ClientError> {
    device.finish_sign_in(pending, proof, "loopback").await
}

/// Finishes a sign-in that must succeed.
#[track_caller]
pub(crate) fn signed_in(outcome: Result<Session, ClientError>) -> Session {
    outcome.unwrap_or_else(|error| panic!("not signed in: {}", told(&error)))
}

/// How well the session's attestation says that somebody proved who they are.
pub(crate) fn acr(session: &Session) -> String {
    let attestation = session.attestation().unwrap();
    let payload = attestation.split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&keyfold_crypto::b64::decode(payload, 8_192).unwrap()).unwrap();
    claims["acr"].as_str().unwrap().to_owned()
}

pub(crate) fn redirect(pending: &PendingSignIn) -> &str {
    match pending.next() {
        Next::Redirect { url, .. } => url,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code_proof(code: &str) -> Proof {
    Proof::EmailCode {
        code: code.to_owned().into(),
        new_password: None,
    }
}
