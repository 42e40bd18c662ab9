//! The queue and its driver against servers that are late, gone, broken or lie, in virtual time.

use core::sync::atomic::{AtomicU64, Ordering};
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::MailSettings;
use keyfold_protocol::ids::AccountId;
use keyfold_protocol::project::WebhookSettings;
use keyfold_protocol::webhook::WebhookSecret;
use serde_json::Value;

use super::*;
use crate::platform::{
    AttestRequest, ComposedMail, MailError, Peer, PeerError, PeerRequest, PeerResponse, PeerTrust,
    PlatformError,
};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const START_MS: u64 = 1_800_000_000_000;

type Server = dyn Fn(&Peer, usize) -> Option<Result<u16, PeerError>> + Send + Sync;

/// Servers of the web and a clock that stands still until it is moved.
struct World {
    now_ms: AtomicU64,
    calls: Mutex<Vec<(Peer, PeerRequest)>>,
    /// Answers the n-th call; `None` never does.
    server: Box<Server>,
}

#[async_trait]
impl Platform for World {
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
        let count = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((peer.clone(), request));
            calls.len()
        };
        match (self.server)(peer, count) {
            Some(Ok(status)) => Ok(PeerResponse {
                status,
                body: Vec::new(),
            }),
            Some(Err(error)) => Err(error),
            None => pending().await,
        }
    }

    async fn send_mail(&self, _: &MailSettings, _: &ComposedMail) -> Result<(), MailError> {
        Err(MailError::Settings)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;
        while self.monotonic() < until {
            tokio::task::yield_now().await;
        }
    }
}

struct Setup {
    world: Arc<World>,
    webhooks: Arc<Webhooks>,
    /// What the project's administrators decided, and may decide anew.
    settings: Arc<Mutex<Option<(String, &'static str)>>>,
}

fn setup(
    server: impl Fn(&Peer, usize) -> Option<Result<u16, PeerError>> + Send + Sync + 'static,
) -> Setup {
    let setup = Setup {
        world: Arc::new(World {
            now_ms: AtomicU64::new(START_MS),
            calls: Mutex::new(Vec::new()),
            server: Box::new(server),
        }),
        webhooks: Arc::new(Webhooks::new()),
        settings: Arc::new(Mutex::new(Some((
            "https://PROJECT/hooks?tenant=1".to_owned(),
            KEY,
        )))),
    };
    let (world, webhooks) = (Arc::clone(&setup.world), Arc::clone(&setup.webhooks));
    let settings = Arc::clone(&setup.settings);
    tokio::spawn(async move {
        let clock = || world.now_ms.load(Ordering::SeqCst);
        let find = |project: ProjectId| {
            let decided = settings.lock().unwrap().clone();
            let found = decided.and_then(|(url, key)| {
                let settings = WebhookSettings {
                    url: url.replace("PROJECT", project.as_str()),
                    roots_pem: None,
                };
                Destination::new(&settings, Some(&key.to_owned().into()))
            });
            async move { Ok(found) }.boxed()
        };
        webhooks.drive(&*world, &clock, &find).await;
    });
    setup
}

impl Setup {
    fn emit(&self, project: &str, number: u8) {
        let happened = Happened::DeviceRevoked {
            account: AccountId::from_bytes([number; 16]),
            device: Thumbprint([3; 32]),
        };
        let now_ms = self.world.now_ms.load(Ordering::SeqCst);
        let project = project.parse().unwrap();
        self.webhooks.emit(&project, [number; 16], happened, now_ms);
    }

    async fn settle(&self) {
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, seconds: u64) {
        self.world
            .now_ms
            .fetch_add(seconds * 1000, Ordering::SeqCst);
        self.settle().await;
    }

    fn calls(&self) -> Vec<(Peer, PeerRequest)> {
        self.world.calls.lock().unwrap().clone()
    }

    fn waiting(&self) -> usize {
        self.webhooks.queue().len()
    }
}

fn header<'a>(request: &'a PeerRequest, name: &str) -> &'a str {
    let found = request.headers.iter().find(|(known, _)| known == name);
    &found.unwrap().1
}

/// Whether a request bears the signature of a key.
fn is_signed(request: &PeerRequest, key: &str) -> bool {
    let timestamp = header(request, "webhook-timestamp").parse().unwrap();
    let signature = WebhookSecret::parse(key).unwrap().sign(
        header(request, "webhook-id"),
        timestamp,
        &request.body,
    );
    signature == header(request, "webhook-signature")
}

#[tokio::test]
async fn an_event_is_told_once_signed_with_the_projects_key() {
    let setup = setup(|_, _| Some(Ok(204)));
    setup.emit("app.example", 1);
    setup.settle().await;
    setup.pass(100_000).await;
    let calls = setup.calls();
    let [(peer, request)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(peer.authority, "app.example:443");
    assert_eq!(peer.trust, PeerTrust::TlsName { roots_pem: None });
    assert_eq!(
        (request.method, &*request.path),
        ("POST", "/hooks?tenant=1")
    );
    assert_eq!(header(request, "content-type"), "application/json");
    assert!(is_signed(request, KEY) && !is_signed(request, OTHER_KEY));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "device.revoked");
    assert_eq!(body["timestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(setup.waiting(), 0);
}

#[tokio::test]
async fn a_server_that_fails_is_tried_again_later_and_later_and_given_up() {
    // A redirect is a failure like any other: nobody follows it.
    let answers = [Ok(500), Ok(302), Ok(404), Err(PeerError::Timeout)];
    let setup = setup(move |_, count| Some(answers[count % answers.len()]));
    setup.emit("app.example", 1);
    setup.settle().await;
    let mut passed = 0;
    for (failed, pause) in PAUSES.into_iter().enumerate() {
        assert_eq!(setup.calls().len(), failed + 1);
        setup.pass(pause - 1).await;
        assert_eq!(setup.calls().len(), failed + 1, "too early");
        setup.pass(1).await;
        passed += pause;
    }
    setup.pass(1_000_000).await;
    let calls = setup.calls();
    assert_eq!(calls.len(), PAUSES.len() + 1);
    assert_eq!(setup.waiting(), 0);
    let stamps: Vec<u64> = calls
        .iter()
        .map(|(_, request)| header(request, "webhook-timestamp").parse().unwrap())
        .collect();
    assert_eq!(stamps[0], START_MS / 1000);
    assert_eq!(*stamps.last().unwrap(), START_MS / 1000 + passed);
    for (_, request) in &calls {
        assert!(is_signed(request, KEY));
        assert_eq!(
            header(request, "webhook-id"),
            header(&calls[0].1, "webhook-id")
        );
        assert_eq!(request.body, calls[0].1.body);
    }
}

#[tokio::test]
async fn what_administrators_change_counts_for_what_waits() {
    let setup = setup(|_, _| Some(Ok(503)));
    setup.emit("app.example", 1);
    setup.settle().await;
    *setup.settings.lock().unwrap() = Some(("https://new.example/".to_owned(), OTHER_KEY));
    setup.pass(5).await;
    let (peer, request) = setup.calls().pop().unwrap();
    assert_eq!(peer.authority, "new.example:443");
    assert!(is_signed(&request, OTHER_KEY));
    *setup.settings.lock().unwrap() = None;
    setup.pass(300).await;
    assert_eq!((setup.calls().len(), setup.waiting()), (2, 0));
}

#[tokio::test]
async fn a_server_that_is_gone_is_sent_nothing_more_until_its_address_changes() {
    let setup = setup(|peer, _| {
        Some(Ok(if peer.authority.starts_with("app.") {
            410
        } else {
            200
        }))
    });
    for number in 1..=9 {
        setup.emit("app.example", number);
    }
    setup.settle().await;
    let told = setup.calls().len();
    assert!(told <= UNDER_WAY_PER_PROJECT, "{told}");
    setup.emit("app.example", 10);
    setup.pass(100_000).await;
    assert_eq!((setup.calls().len(), setup.waiting()), (told, 0));
    *setup.settings.lock().unwrap() = Some(("https://new.example/".to_owned(), KEY));
    setup.emit("app.example", 11);
    setup.settle().await;
    assert_eq!((setup.calls().len(), setup.waiting()), (told + 1, 0));
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_its_own_project_only() {
    let setup = setup(|peer, _| (!peer.authority.starts_with("slow.")).then_some(Ok(200)));
    for number in 0..200 {
        setup.emit("slow.example", number);
    }
    setup.emit("app.example", 1);
    setup.settle().await;
    let calls = setup.calls();
    let to = |host: &str| {
        let of_host = calls.iter().filter(|(p, _)| p.authority.starts_with(host));
        of_host.count()
    };
    assert_eq!(
        (to("slow."), to("app.")),
        (UNDER_WAY_PER_PROJECT, 1),
        "{calls:?}"
    );
    assert_eq!(setup.waiting(), 200);
}

#[tokio::test]
async fn a_flood_is_bounded_for_each_project_and_in_all() {
    let setup = setup(|_, _| None);
    for number in 0..=255 {
        setup.emit("app.example", number);
    }
    setup.emit("app.example", 0);
    assert_eq!(setup.waiting(), EVENTS_PER_PROJECT);
    for project in 0..20 {
        for number in 0..=255 {
            setup.emit(&format!("app{project}.example"), number);
        }
    }
    assert_eq!(setup.waiting(), EVENTS);
    setup.settle().await;
    assert_eq!(setup.calls().len(), UNDER_WAY);
}

#[tokio::test]
async fn settings_or_keys_that_cannot_be_used_send_nothing() {
    let setup = setup(|_, _| Some(Ok(200)));
    for (url, key) in [
        ("http://app.example/", KEY),
        ("https://127.0.0.1/", KEY),
        ("https://records.keyfold.internal:1/", KEY),
        ("https://app.example/", "whsec_short"),
    ] {
        *setup.settings.lock().unwrap() = Some((url.to_owned(), key));
        setup.emit("app.example", 1);
        setup.settle().await;
    }
    assert!(setup.calls().is_empty());
}

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_names_key_address_or_person() {
    let logs = Logs::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("trace")
        .with_writer(move || writer.clone())
        .finish();
    // The test and what it spawns run on this thread.
    let _logging = tracing::subscriber::set_default(subscriber);
    let answers = [
        Ok(500),
        Ok(301),
        Err(PeerError::WrongPeer),
        Err(PeerError::NotAllowed),
        Err(PeerError::TooLarge),
        Ok(410),
    ];
    let setup = setup(move |_, count| Some(answers[(count - 1) % answers.len()]));
    setup.emit("app.example", 0xab);
    setup.settle().await;
    for pause in PAUSES {
        setup.pass(pause).await;
    }
    assert_eq!(setup.calls().len(), answers.len());
    for number in 0..=255 {
        setup.emit("app.example", number);
        setup.emit("app.example", number);
    }
    let text = String::from_utf8(logs.0.lock().unwrap().clone()).unwrap();
    for said in [
        "status 500",
        "redirects",
        "allow-list",
        "gone",
        "one is lost",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let account = "ab".repeat(16);
    for secret in [&KEY[6..], "tenant", "/hooks", "v1,", &*account] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
