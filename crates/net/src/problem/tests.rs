use axum::Router;
use axum::extract::{Path, Request};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::serve::{HttpLimits, harden};

#[derive(Deserialize)]
struct Order {
    #[allow(dead_code, reason = "only its shape is tested")]
    amount: u32,
}

fn app() -> Router {
    let router = Router::new()
        .route("/order", post(|Json(_): Json<Order>| async { Json("ok") }))
        .route(
            "/raw",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/number/{n}",
            get(|Path(n): Path<u32>| async move { n.to_string() }),
        )
        .route("/mine", get(|| async { Problem::rate_limited(7) }))
        .route("/panic", get(|| async { panics() }))
        .route(
            "/broken",
            get(|| async { Problem::internal(&std::io::Error::other("password=canary")) }),
        );
    harden(
        router,
        HttpLimits {
            max_body_bytes: 1000,
            ..HttpLimits::default()
        },
    )
}

fn panics() -> &'static str {
    panic!("canary")
}

async fn call(request: Request) -> (http::response::Parts, Value) {
    let (head, body) = app().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn post_json(path: &str, body: impl Into<Body>) -> Request {
    http::Request::post(path)
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

fn get_path(path: &str) -> Request {
    http::Request::get(path).body(Body::empty()).unwrap()
}

async fn code(request: Request) -> (u16, String) {
    let (head, body) = call(request).await;
    assert_eq!(head.headers[CONTENT_TYPE], PROBLEM_JSON);
    assert_eq!(body["status"], head.status.as_u16());
    // The id in the body is the one in the header.
    assert_eq!(
        body["request_id"],
        head.headers[REQUEST_ID_HEADER].to_str().unwrap()
    );
    (
        head.status.as_u16(),
        body["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn everything_that_goes_wrong_has_a_stable_code() {
    let large = vec![b'['; 1001];
    for (request, expected) in [
        (post_json("/order", "{"), (400, "malformed_json")),
        (post_json("/order", ""), (400, "malformed_json")),
        (
            post_json("/order", r#"{"amount":-1}"#),
            (400, "invalid_request"),
        ),
        (post_json("/order", large.clone()), (413, "body_too_large")),
        (
            http::Request::post("/raw").body(Body::from(large)).unwrap(),
            (413, "body_too_large"),
        ),
        (
            http::Request::post("/order")
                .body(Body::from("{}"))
                .unwrap(),
            (415, "unsupported_media_type"),
        ),
        (get_path("/nowhere"), (404, "not_found")),
        (get_path("/order"), (405, "method_not_allowed")),
        (get_path("/number/x"), (400, "bad_request")),
        (get_path("/mine"), (429, "rate_limited")),
        (get_path("/panic"), (500, "internal")),
        (get_path("/broken"), (500, "internal")),
    ] {
        let uri = request.uri().clone();
        assert_eq!(
            code(request).await,
            (expected.0, expected.1.to_owned()),
            "{uri}"
        );
    }
}

/// Without a length, the limit must count what comes.
#[tokio::test]
async fn a_large_body_in_pieces_is_refused_too() {
    let piece = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'['; 100]));
    for path in ["/order", "/raw"] {
        let pieces = futures_util::stream::iter((0..100).map(move |_| piece()));
        let (status, code) = code(post_json(path, Body::from_stream(pieces))).await;
        assert_eq!((status, code.as_str()), (413, "body_too_large"), "{path}");
    }
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_given_up() {
    let router = Router::new().route("/", get(std::future::pending::<()>));
    let limits = HttpLimits {
        request_timeout: std::time::Duration::from_millis(20),
        ..HttpLimits::default()
    };
    let answer = harden(router, limits).oneshot(get_path("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Problem>(&body).unwrap().code,
        "timeout"
    );
}

#[tokio::test]
async fn a_route_may_have_a_larger_limit_than_its_neighbours() {
    let length = || post(|body: Bytes| async move { body.len().to_string() });
    let small = HttpLimits {
        max_body_bytes: 10,
        ..HttpLimits::default()
    };
    let large = HttpLimits {
        max_body_bytes: 1000,
        ..HttpLimits::default()
    };
    let app = harden(Router::new().route("/large", length()), large)
        .merge(harden(Router::new().route("/small", length()), small));
    for (path, expected) in [("/large", 200), ("/small", 413), ("/none", 404)] {
        let request = http::Request::post(path)
            .body(Body::from(vec![0; 100]))
            .unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        assert!(answer.headers().contains_key(REQUEST_ID_HEADER), "{path}");
    }
}

#[tokio::test]
async fn what_went_wrong_inside_is_not_shown() {
    for path in ["/broken", "/panic"] {
        let (_, body) = call(get_path(path)).await;
        assert!(!body.to_string().contains("canary"), "{body}");
    }
}

#[tokio::test]
async fn headers_that_belong_to_the_error_stay() {
    let (head, _) = call(get_path("/mine")).await;
    assert_eq!(head.headers[RETRY_AFTER], "7");
    let (head, _) = call(get_path("/order")).await;
    assert_eq!(head.headers[http::header::ALLOW], "POST");
}

#[tokio::test]
async fn a_good_answer_keeps_its_body_and_gets_an_id_that_was_drawn_here() {
    let mut request = post_json("/order", r#"{"amount":1}"#);
    request.headers_mut().insert(
        REQUEST_ID_HEADER,
        HeaderValue::from_static("chosen-outside"),
    );
    let (head, body) = call(request).await;
    assert_eq!((head.status.as_u16(), body), (200, Value::from("ok")));
    let id = head.headers[REQUEST_ID_HEADER].to_str().unwrap();
    assert!(id.len() == 24 && id != "chosen-outside");
}

#[test]
fn a_client_reads_the_problem_back_and_nothing_else_as_one() {
    let problem =
        Problem::new(StatusCode::CONFLICT, "version_conflict", "Read again.").retry_after(3);
    let answer = |media: &'static str, body: Vec<u8>| {
        http::Response::builder()
            .header(CONTENT_TYPE, media)
            .body(Bytes::from(body))
            .unwrap()
    };
    let body = serde_json::to_vec(&problem).unwrap();
    let media = "application/problem+json; charset=utf-8";
    assert_eq!(
        Problem::from_response(&answer(media, body.clone())),
        Some(problem)
    );
    assert_eq!(
        Problem::from_response(&answer("application/json", body)),
        None
    );
    assert_eq!(
        Problem::from_response(&answer(media, b"<html>".to_vec())),
        None
    );
    assert_eq!(
        Problem::from_response(&answer(media, vec![b' '; 20_000])),
        None
    );
}
