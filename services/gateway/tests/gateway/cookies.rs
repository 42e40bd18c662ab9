//! Cookies and origins, as browsers send them and as pages try them.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use keyfold_protocol::delivery::{COOKIE_PREFIX, SEALED_LEN, SealedSession};
use keyfold_protocol::error_code::Code;

use crate::support::*;

const SLOT: &str = "0123456789abcdef";
const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

fn sealed(fill: u8) -> String {
    let sealed = SealedSession::from_bytes(&[fill; SEALED_LEN]);
    sealed.unwrap().as_str().to_owned()
}

fn cookie(fill: u8) -> String {
    format!("{COOKIE_PREFIX}{SLOT}={}", sealed(fill))
}

async fn start() -> (Setup, FakeEnclave, Running) {
    let mut setup = Setup::new(1);
    setup.config.browser_origins = vec![APP.parse().unwrap()];
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    let gateway = setup.start().await;
    gateway.until_instances(&[INSTANCE]).await;
    (setup, enclave, gateway)
}

async fn send(gateway: &Running, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request =
        Request::post(gateway.url(&ohttp(INSTANCE))).header("content-type", "message/ohttp-req");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.send(request, Bytes::from_static(b"x")).await
}

fn cors(headers: &HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(http::HeaderName::as_str);
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

#[tokio::test]
async fn the_cookie_that_a_client_names_goes_beside_its_request_and_no_other() {
    let (_setup, enclave, gateway) = start().await;
    let beside = || enclave.fake.beside.lock().unwrap().clone();
    let both = format!(
        "{}; {COOKIE_PREFIX}fedcba9876543210={}",
        cookie(1),
        sealed(2)
    );
    let answer = send(&gateway, &[("keyfold-cookie", SLOT), ("cookie", &both)]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(beside(), Some(sealed(1)));
    // What a browser sends by itself is not looked at.
    send(&gateway, &[("cookie", &both)]).await;
    assert_eq!(beside(), None);
    // A client cannot put it there itself.
    let sealed = sealed(3);
    send(&gateway, &[("keyfold-sealed-session", &sealed)]).await;
    assert_eq!(beside(), None);
    gateway.stop().await;
}

#[tokio::test]
async fn a_cookie_that_is_twice_there_cut_or_oversized_reaches_no_enclave() {
    let (_setup, enclave, gateway) = start().await;
    let whole = cookie(1);
    let longer = format!("{whole}A");
    let huge = format!("{COOKIE_PREFIX}{SLOT}={}", "A".repeat(16_000));
    let twice = format!("{whole}; {}", cookie(2));
    for bad in [&whole[..whole.len() - 1], &longer, &huge, &twice] {
        let answer = send(&gateway, &[("keyfold-cookie", SLOT), ("cookie", bad)]).await;
        assert_eq!(code(&answer), Code::MalformedRequest, "{} bytes", bad.len());
    }
    let fields = [
        ("keyfold-cookie", SLOT),
        ("cookie", &whole),
        ("cookie", &whole),
    ];
    assert_eq!(code(&send(&gateway, &fields).await), Code::MalformedRequest);
    let answer = send(&gateway, &[("keyfold-cookie", "x"), ("cookie", &whole)]).await;
    assert_eq!(code(&answer), Code::MalformedRequest);
    assert!(enclave.fake.seen.lock().unwrap().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn what_an_enclave_wants_kept_or_cleared_becomes_a_cookie_of_this_host_alone() {
    let (_setup, enclave, gateway) = start().await;
    let want = |text: String| *enclave.fake.set_session.lock().unwrap() = Some(text);
    let attributes = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned";
    want(format!("{SLOT} 604800 {}", sealed(1)));
    let answer = send(&gateway, &[("origin", APP)]).await;
    let expected = format!("{}; {attributes}; Max-Age=604800", cookie(1));
    assert_eq!(answer.headers()["set-cookie"], expected);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("keyfold-set-session"));
    want(format!("{SLOT} 0"));
    let answer = send(&gateway, &[]).await;
    let expected = format!("{COOKIE_PREFIX}{SLOT}=; {attributes}; Max-Age=0");
    assert_eq!(answer.headers()["set-cookie"], expected);
    // Nothing that an enclave might say ends up in the header but this.
    want(format!("{SLOT} 60 {}; Domain=example", sealed(1)));
    let answer = send(&gateway, &[]).await;
    assert_eq!(code(&answer), Code::Unavailable);
    assert!(!answer.headers().contains_key("set-cookie"));
    gateway.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_no_credentials_no_answer_and_no_cookie() {
    let (_setup, enclave, gateway) = start().await;
    *enclave.fake.set_session.lock().unwrap() = Some(format!("{SLOT} 60 {}", sealed(1)));
    let with = |origin| {
        let cookie = cookie(2);
        let gateway = &gateway;
        async move {
            let headers = [
                ("origin", origin),
                ("keyfold-cookie", SLOT),
                ("cookie", &cookie),
            ];
            send(gateway, &headers).await
        }
    };
    let beside = || enclave.fake.beside.lock().unwrap().clone();
    let answer = with(APP).await;
    let headers = answer.headers();
    assert_eq!(headers["access-control-allow-origin"], APP);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["vary"], "origin");
    assert!(headers.contains_key("set-cookie"));
    assert_eq!(beside(), Some(sealed(2)));
    for origin in [
        EVIL,
        "null",
        "https://app.example.evil.example",
        "http://app.example",
    ] {
        let answer = with(origin).await;
        let headers = answer.headers();
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(!headers.contains_key("set-cookie"));
        assert_eq!(headers["vary"], "origin");
        assert_eq!(beside(), None, "{origin}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_page_asks_first_and_is_told_what_it_may_send() {
    let (_setup, enclave, gateway) = start().await;
    let ask = |origin| {
        let request = Request::options(gateway.url(&ohttp(INSTANCE)))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "content-type,keyfold-cookie",
            );
        gateway.send(request, Bytes::new())
    };
    let answer = ask(APP).await;
    let headers = answer.headers();
    assert!(answer.status().is_success());
    assert_eq!(headers["access-control-allow-origin"], APP);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-methods"], "GET,POST");
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert_eq!(allowed, "content-type,idempotency-key,keyfold-cookie");
    let answer = ask(EVIL).await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert!(
        !answer
            .headers()
            .contains_key("access-control-allow-credentials")
    );
    assert!(enclave.fake.seen.lock().unwrap().is_empty());
    // Refusals too are for the page to read.
    let request = Request::get(gateway.url("/v1/nothing")).header("origin", APP);
    let answer = gateway.send(request, Bytes::new()).await;
    assert_eq!(code(&answer), Code::NotFound);
    assert_eq!(answer.headers()["access-control-allow-origin"], APP);
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_without_origins_answers_no_page() {
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    *enclave.fake.set_session.lock().unwrap() = Some(format!("{SLOT} 60 {}", sealed(1)));
    let gateway = setup.start().await;
    let answer = send(&gateway, &[("origin", APP)]).await;
    assert_eq!(answer.status(), 200);
    assert!(cors(answer.headers()).is_empty());
    assert!(!answer.headers().contains_key("set-cookie"));
    let request = Request::options(gateway.url("/v1/realm")).header("origin", APP);
    let answer = gateway.send(request, Bytes::new()).await;
    assert_eq!(code(&answer), Code::MethodNotAllowed);
    // Who is no browser keeps what it gets.
    let answer = send(&gateway, &[]).await;
    assert!(answer.headers().contains_key("set-cookie"));
    gateway.stop().await;
}
