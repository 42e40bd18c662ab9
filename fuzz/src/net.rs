//! The first line of a pipe, its targets, and what a stranger writes into HTTP headers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use keyfold_net::SpkiPin;
use keyfold_net::limit::{ClientIps, IpKey};
use keyfold_net::pipe::{
    AllowList, EgressLimits, EgressProxy, MAX_LINE_BYTES, Target, accept_port, connect_port,
    dial_through,
};
use keyfold_net::problem::{PROBLEM_JSON, Problem};

use crate::reached;

/// A pipe opens on exactly the line that opens it, and not one byte behind the line is taken.
pub fn pipe(data: &[u8]) {
    RUNTIME.with(|runtime| runtime.block_on(lines(data)));
    if let Ok(text) = core::str::from_utf8(data) {
        target(text);
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
}

async fn lines(data: &[u8]) {
    let line = data
        .split_inclusive(|b| *b == b'\n')
        .next()
        .unwrap_or_default();

    let mut stream = tokio::io::join(data, Vec::new());
    let accepted = accept_port(&mut stream, 7000).await.is_ok();
    assert_eq!(accepted, line == b"CONNECT 7000\n");
    if accepted {
        reached();
    }
    let answer: &[u8] = if accepted { b"OK 7000\n" } else { b"" };
    assert_eq!(stream.writer(), answer);
    check_left(stream.reader(), data, line, accepted);

    let mut stream = tokio::io::join(data, Vec::new());
    let connected = connect_port(&mut stream, 7000).await.is_ok();
    let number = core::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("OK ")?.strip_suffix('\n'));
    let canonical =
        number.is_some_and(|n| n.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == n));
    assert_eq!(connected, canonical);
    check_left(stream.reader(), data, line, connected);

    let stream = tokio::io::join(data, Vec::new());
    let dialed = dial_through(stream, "holder.example", 7400).await;
    assert_eq!(dialed.is_ok(), line == b"OK\n");
    if let Ok(stream) = dialed {
        assert_eq!(stream.writer(), b"CONNECT holder.example:7400\n");
        check_left(stream.reader(), data, line, true);
    }

    egress(data, line).await;
}

fn check_left(left: &[u8], data: &[u8], line: &[u8], whole: bool) {
    let taken = data.len() - left.len();
    assert!(taken <= line.len() && taken <= MAX_LINE_BYTES);
    assert!(!whole || taken == line.len());
}

/// The proxy serves the one target that it knows, by whatever case it is named, and no other.
async fn egress(data: &[u8], line: &[u8]) {
    let served = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&served);
    let proxy = EgressProxy::new(AllowList::new(), EgressLimits::default()).local(
        Target::new("mail.example", 587).expect("a target"),
        Arc::new(move |_| {
            seen.store(true, Ordering::Relaxed);
            Box::pin(async {})
        }),
    );
    let stream = tokio::io::join(std::io::Cursor::new(data.to_vec()), Vec::new());
    let _ = proxy.forward(stream).await;
    let asked = line
        .strip_prefix(b"CONNECT ")
        .is_some_and(|rest| rest.eq_ignore_ascii_case(b"mail.example:587\n"));
    assert_eq!(served.load(Ordering::Relaxed), asked);
}

/// A target has one text in lower case, which is a line of the pipe.
fn target(text: &str) {
    let Ok(target) = text.parse::<Target>() else {
        return;
    };
    let form = target.to_string();
    assert!(form.eq_ignore_ascii_case(text));
    assert_eq!(form.parse::<Target>().expect("our own text"), target);
    assert!(form.bytes().all(|b| b.is_ascii_graphic()));
    assert!(target.port() > 0);
    assert!("CONNECT \n".len() + form.len() <= MAX_LINE_BYTES);
}

/// Only a trusted peer is believed about whom it forwards for. A problem that is read is rendered
/// again without harm. A pin has its 64 digits.
pub fn http(data: &[u8]) {
    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    let proxy = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let rule = ClientIps::new(vec!["10.0.0.0/8".parse().expect("a network")]);
    let mut headers = HeaderMap::new();
    for line in data.split(|b| *b == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    assert_eq!(rule.client(stranger, &headers), stranger);
    let client = rule.client(proxy, &headers);
    assert_eq!(client.to_canonical(), client);
    assert_eq!(IpKey::of(client), IpKey::of(client.to_canonical()));

    let response = http::Response::builder()
        .header(http::header::CONTENT_TYPE, PROBLEM_JSON)
        .body(Bytes::copy_from_slice(data))
        .expect("a response");
    if let Some(problem) = Problem::from_response(&response) {
        reached();
        let json = serde_json::to_vec(&problem).expect("JSON");
        assert_eq!(
            serde_json::from_slice::<Problem>(&json).expect("our own JSON"),
            problem
        );
        drop(axum_response(problem));
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(pin) = text.parse::<SpkiPin>()
    {
        assert!(pin.to_string().eq_ignore_ascii_case(text));
    }
}

fn axum_response(problem: Problem) -> http::Response<axum::body::Body> {
    axum::response::IntoResponse::into_response(problem)
}
