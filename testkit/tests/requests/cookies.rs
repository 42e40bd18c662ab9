//! Sessions whose attestation is in a cookie: a browser's rules, and what is tried with its jar.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::channel::{Channel, request_id, unset};
use common::edges::Reply;
use common::refused;
use cookie::{Cookie, SameSite};
use http::Request;
use keyfold_client::ids::ProjectId;
use keyfold_client::{
    Client, ClientError, Delivery, OuterRequest, OuterResponse, Session, Transport, TransportError,
    Wallet, client_api::Revocation,
};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::client_api::{header, path};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::signed_request::Profile;
use keyfold_testkit::system::{Ambient, CHAIN_ID, Https, System, new_key};
use serde_json::json;

use super::{World, common};

/// The page that people use; the gateway knows it.
pub(super) const ORIGIN: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

type Jar = Arc<Mutex<BTreeMap<String, String>>>;

/// `fetch` in a page: it keeps and sends cookies where the client asks for that, and shows an answer
/// only to pages that the gateway lets read it.
struct Browser {
    https: Https,
    origin: &'static str,
    jar: Jar,
    /// Sent in place of what is in the jar.
    cookie_field: Mutex<Option<String>>,
}

impl Browser {
    fn keep(&self, text: &str) {
        let cookie = Cookie::parse(text.to_owned()).unwrap();
        let (name, value) = (cookie.name().to_owned(), cookie.value().to_owned());
        // What a browser demands of the prefix, of SameSite=None and of Partitioned.
        assert!(name.starts_with("__Host-"), "{name}");
        assert_eq!(cookie.secure(), Some(true));
        assert_eq!((cookie.path(), cookie.domain()), (Some("/"), None));
        assert_eq!(cookie.same_site(), Some(SameSite::None));
        assert_eq!(cookie.partitioned(), Some(true));
        // What keeps it from scripts.
        assert_eq!(cookie.http_only(), Some(true));
        assert!(name.len() + value.len() <= 4_096);
        let mut jar = self.jar.lock().unwrap();
        match cookie.max_age().unwrap().whole_seconds() {
            0 => jar.remove(&name),
            1..=2_592_000 => jar.insert(name, value),
            other => panic!("kept for {other} seconds"),
        };
    }

    fn field(&self) -> String {
        if let Some(field) = self.cookie_field.lock().unwrap().clone() {
            return field;
        }
        let jar = self.jar.lock().unwrap();
        let pairs: Vec<_> = jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("; ")
    }
}

#[async_trait]
impl Transport for Browser {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        let mut sent = Request::builder()
            .method(request.method.as_str())
            .uri(request.path)
            .header("origin", self.origin);
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        if let Some(media) = request.content_type {
            sent = sent.header("content-type", media);
        }
        if request.with_cookies {
            sent = sent.header("cookie", self.field());
        }
        let sent = sent.body(request.body.into()).unwrap();
        let answer = self.https.raw(sent).await.unwrap();
        let headers = answer.headers();
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
        if request.with_cookies {
            for set in headers.get_all("set-cookie") {
                self.keep(set.to_str().unwrap());
            }
        } else {
            assert_eq!(text("set-cookie"), None, "a cookie that nobody asked for");
        }
        let may_read = text("access-control-allow-origin") == Some(self.origin)
            && (!request.with_cookies || text("access-control-allow-credentials") == Some("true"));
        if !may_read {
            return Err(TransportError {
                reason: "the page may not read it".to_owned(),
                may_have_been_sent: true,
                unverified: false,
            });
        }
        Ok(OuterResponse {
            status: answer.status().as_u16(),
            content_type: text("content-type").map(str::to_owned),
            body: answer.body().to_vec(),
        })
    }
}

/// Somebody in a browser.
struct Visitor {
    page: Client<Arc<Browser>, Arc<DeviceSigningKey>, Ambient>,
    browser: Arc<Browser>,
    session: Session,
    wallet: Wallet,
}

impl Visitor {
    async fn arrive(system: &System, email: &str) -> Self {
        let browser = Arc::new(Browser {
            https: system.transport().unwrap(),
            origin: ORIGIN,
            jar: Jar::default(),
            cookie_field: Mutex::default(),
        });
        let project = system.project();
        let page = Client::new(
            system.pin().clone(),
            Arc::clone(&browser),
            new_key(),
            Ambient,
        )
        .with_wallet_rules(project.wallet_rules())
        .with_delivery(Delivery::Cookie);
        let session = sign_in(system, &page, &project.id, email).await;
        let wallet = page.create_wallet(&session, "main").await.unwrap();
        Self {
            page,
            browser,
            session,
            wallet,
        }
    }

    async fn sign(&self, text: &str) -> Result<(), ClientError> {
        let signed = self
            .page
            .sign_message(&self.session, &self.wallet, CHAIN_ID, text.as_bytes());
        signed.await.map(drop)
    }

    /// The one cookie in the jar.
    fn cookie(&self) -> (String, String) {
        let jar = self.browser.jar.lock().unwrap();
        assert_eq!(jar.len(), 1, "one cookie for each device");
        let (name, value) = jar.iter().next().unwrap();
        (name.clone(), value.clone())
    }

    fn send_instead(&self, field: impl Into<String>) {
        *self.browser.cookie_field.lock().unwrap() = Some(field.into());
    }

    fn send_what_is_kept(&self) {
        *self.browser.cookie_field.lock().unwrap() = None;
    }
}

async fn sign_in<T: Transport>(
    system: &System,
    page: &Client<T, Arc<DeviceSigningKey>, Ambient>,
    project: &ProjectId,
    email: &str,
) -> Session {
    let seen = system.mailbox().codes(email).unwrap().len();
    let pending = page.start_email(project, email).await.unwrap();
    let mail = system.mailbox().wait(email, seen).await.unwrap();
    let code = mail.code().unwrap();
    page.finish_email(&pending, code, "browser").await.unwrap()
}

fn keep_secret(world: &World, visitor: &Visitor) {
    let (_, value) = visitor.cookie();
    let mut secrets = world.secrets.lock().unwrap();
    secrets.push(("a cookie".to_owned(), value[1_000..1_040].to_owned()));
}

pub(super) async fn a_session_in_a_cookie_signs_and_ends_as_any_other(world: &World) {
    let visitor = Visitor::arrive(&world.system, "visitor@mail.example").await;
    keep_secret(world, &visitor);
    assert_eq!(visitor.session.attestation(), None);
    let (name, first) = visitor.cookie();
    // The wallet is new, so this renews: guard and holders see the attestation from the cookie.
    visitor.sign("from a browser").await.unwrap();
    let (same, second) = visitor.cookie();
    assert_eq!(same, name);
    assert_ne!(second, first);
    keep_secret(world, &visitor);

    // A page that was loaded again goes on with what it stored and what the browser kept.
    let stored = serde_json::to_string(&visitor.session).unwrap();
    assert!(!stored.contains(&second[1_000..1_040]));
    let again: Session = serde_json::from_str(&stored).unwrap();
    assert_eq!(visitor.page.wallets(&again).await.unwrap().len(), 1);

    let state = visitor.page.sign_out(&visitor.session).await.unwrap();
    assert_eq!(state, Revocation::Done);
    assert!(visitor.browser.jar.lock().unwrap().is_empty());
    refused(visitor.sign("after").await, "session_missing");
    // Whoever kept the cookie, and even has the device's key, has nothing.
    visitor.send_instead(format!("{name}={second}"));
    refused(visitor.sign("after sign-out").await, "session_revoked");
    refused(
        visitor.page.renew(&visitor.session).await,
        "session_revoked",
    );
}

pub(super) async fn cookies_cut_foreign_swapped_or_doubled_open_nothing(world: &World) {
    let anna = Visitor::arrive(&world.system, "anna-in-a-browser@mail.example").await;
    let boris = Visitor::arrive(&world.system, "boris-in-a-browser@mail.example").await;
    anna.sign("first").await.unwrap();
    boris.sign("first").await.unwrap();
    for visitor in [&anna, &boris] {
        keep_secret(world, visitor);
    }
    let ((annas, value), (boriss, other)) = (anna.cookie(), boris.cookie());
    assert_ne!(annas, boriss);
    assert_eq!(value.len(), other.len());
    let before = common::storage::all_uses(&world.system).await;
    let mut altered = value.clone().into_bytes();
    altered[2_000] = if altered[2_000] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for (what, field, code) in [
        ("none", String::new(), "session_missing"),
        (
            "only another's",
            format!("{boriss}={other}"),
            "session_missing",
        ),
        (
            "cut",
            format!("{annas}={}", &value[1..]),
            "malformed_request",
        ),
        ("empty", format!("{annas}="), "malformed_request"),
        (
            "oversized",
            format!("{annas}={value}{value}"),
            "malformed_request",
        ),
        (
            "twice",
            format!("{annas}={value}; {annas}={other}"),
            "malformed_request",
        ),
        (
            "another's value",
            format!("{annas}={other}"),
            "session_invalid",
        ),
        ("altered", format!("{annas}={altered}"), "session_invalid"),
        (
            "of no realm",
            format!("{annas}={}", "A".repeat(value.len())),
            "session_invalid",
        ),
    ] {
        anna.send_instead(field);
        eprintln!("a cookie: {what}");
        refused(anna.sign(what).await, code);
    }
    assert_eq!(
        common::storage::all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    // Both in one jar, as for two people of one browser, is no mistake.
    anna.send_instead(format!("{boriss}={other}; {annas}={value}"));
    anna.sign("among others").await.unwrap();
    anna.send_what_is_kept();
    anna.sign("the next good one").await.unwrap();
}

pub(super) async fn a_page_of_another_origin_gets_nothing_with_a_browsers_cookie(world: &World) {
    let anna = Visitor::arrive(&world.system, "anna-elsewhere@mail.example").await;
    anna.sign("first").await.unwrap();
    keep_secret(world, &anna);
    let (name, value) = anna.cookie();
    let slot = name.strip_prefix("__Host-keyfold-").unwrap();
    let https = world.system.transport().unwrap();
    let instance = anna.page.instances().await.unwrap()[0];
    let before = common::storage::all_uses(&world.system).await;
    // A browser that has the cookie, and sends it with whatever a page makes it send: what a form can
    // send, and what the app's own page may but no device, or another one, signed.
    let channel = Channel::open(&world.system).await;
    let list = Intent::Plain {
        operation: Operation::ListWallets,
        id: request_id(),
    };
    let mut draft = channel.before_session(
        anna.session.project().as_str(),
        path::WALLET_LIST,
        &list,
        &json!({}),
    );
    // Of a thief's device.
    draft.profile = Profile::Request;
    draft.attestation = Some(String::new());
    let mut foreign = draft.signed(&world.bob.key);
    unset(&mut foreign, header::ATTESTATION);
    let mut unsigned = foreign.clone();
    unset(&mut unsigned, header::SIGNATURE);
    let (foreign, foreign_answer) = channel.seal(&foreign);
    let (unsigned, unsigned_answer) = channel.seal(&unsigned);
    let post = |origin: &'static str, media: &'static str, body: Vec<u8>| {
        let request = Request::post(format!("/v1/instances/{instance}/ohttp"))
            .header("origin", origin)
            .header("content-type", media)
            .header("keyfold-cookie", slot)
            .header("cookie", format!("{name}={value}"))
            .body(bytes::Bytes::from(body))
            .unwrap();
        let https = &https;
        async move {
            let answer = https.raw(request).await.unwrap();
            assert!(!answer.headers().contains_key("set-cookie"));
            let readable = answer.headers().contains_key("access-control-allow-origin");
            assert_eq!(readable, origin == ORIGIN, "{origin}");
            answer
        }
    };
    for (origin, media) in [
        (EVIL, "text/plain"),
        ("null", "application/x-www-form-urlencoded"),
        (EVIL, "multipart/form-data"),
    ] {
        let answer = Reply::of(&post(origin, media, unsigned.clone()).await);
        assert_eq!(answer.code, "unsupported_media_type", "{origin} {media}");
    }
    for (sealed, context, code) in [
        (unsigned, unsigned_answer, "signature_missing"),
        (foreign, foreign_answer, "session_invalid"),
    ] {
        let answer = post(ORIGIN, "message/ohttp-req", sealed).await;
        let inner = context.open(answer.body()).unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&inner.body).unwrap();
        assert_eq!(problem["code"], code);
    }
    // The app's own script, with the device's key, in a page of another origin.
    let elsewhere = Arc::new(Browser {
        https,
        origin: EVIL,
        jar: Arc::clone(&anna.browser.jar),
        cookie_field: Mutex::default(),
    });
    let unread = elsewhere
        .send(OuterRequest {
            method: keyfold_client::Method::Get,
            path: "/v1/realm".to_owned(),
            headers: Vec::new(),
            with_cookies: false,
            content_type: None,
            body: Vec::new(),
            max_response: 1 << 20,
        })
        .await;
    assert!(unread.is_err());
    assert_eq!(
        common::storage::all_uses(&world.system).await,
        before,
        "a holder did something"
    );
}
