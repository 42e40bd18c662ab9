//! One request id per request, and no error answer that is not a problem.

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tracing::Instrument as _;

use crate::problem::Problem;
use crate::problem::json::body_too_large;

/// The header in which every answer names its request.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in its extensions. Drawn here: one from outside could imitate another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Gives the request an id and a tracing span, and turns every error answer that is not a problem
/// yet (an unknown path, a wrong method, a refused extractor) into one.
///
/// For `axum::middleware::from_fn`; [`crate::serve::harden`] includes it.
pub async fn normalise(mut request: Request, next: Next) -> Response {
    let id = draw();
    request.extensions_mut().insert(RequestId(id.clone()));
    // No path: on some routes it names a person's thing.
    let span = tracing::info_span!("request", request_id = %id, method = %request.method());
    async move {
        let mut response = next.run(request).await;
        let status = response.status();
        let problem = response.extensions_mut().remove::<Problem>().or_else(|| generic(&response));
        if let Some(mut problem) = problem {
            problem.request_id = Some(id.clone());
            tracing::info!(status = problem.status, code = %problem.code, "answered with a problem");
            let headers = std::mem::take(response.headers_mut());
            response = problem.into_response();
            response.extensions_mut().remove::<Problem>();
            for name in [http::header::ALLOW, http::header::WWW_AUTHENTICATE, http::header::VARY] {
                if let Some(value) = headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
        } else {
            tracing::debug!(status = status.as_u16(), "answered");
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID_HEADER, value);
        }
        response
    }
    .instrument(span)
    .await
}

/// Finds the problem for an error answer that some library made.
fn generic(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    // An answer with a type of its own was made on purpose.
    let plain = response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    if !plain {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::new(status, "not_found", "There is nothing here."),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method_not_allowed",
            "This path does not take this method.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => body_too_large(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            status,
            "unsupported_media_type",
            "This path does not take this type.",
        ),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
            Problem::new(status, "timeout", "The request took too long.")
        }
        StatusCode::SERVICE_UNAVAILABLE => Problem::new(
            status,
            "unavailable",
            "The service cannot answer now. Try again.",
        ),
        _ if status.is_client_error() => Problem::new(
            status,
            "bad_request",
            "The request is not what is expected here.",
        ),
        _ => Problem::new(
            status,
            "internal",
            "Something went wrong here. Try again; if it goes on, report the request id.",
        ),
    })
}

fn draw() -> String {
    let mut bytes = [0; 12];
    // Without randomness the id is no longer unique, which is no reason to refuse a request.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}
