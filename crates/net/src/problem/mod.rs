//! Errors as `application/problem+json` with a stable `code` (RFC 9457).
//!
//! Two messages per error: what the caller may read is in the [`Problem`]; what happened is logged,
//! under the same request id.

mod json;
mod middleware;

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

pub use json::{Json, MAX_JSON_DETAIL};
pub use middleware::{REQUEST_ID_HEADER, RequestId, normalise};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The most bytes of a body that [`Problem::from_response`] reads as a problem.
const MAX_PROBLEM_BYTES: usize = 16 * 1024;

/// An error answer. `type` is absent, which means `about:blank`: the code says which error it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Which error it is: stable, snake_case, documented.
    pub code: Cow<'static, str>,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// One clear sentence for a person: what is wrong and what to do next.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub detail: Cow<'static, str>,
    /// Under what the server's logs speak of this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// After how many seconds to ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// Makes a problem. The detail is shown to strangers.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            code: code.into(),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            detail: detail.into(),
            request_id: None,
            retry_after_seconds: None,
        }
    }

    /// Makes the problem that shows nothing, and logs what really happened.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            next = source.source();
        }
        tracing::error!(error = %chain, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here. Try again; if it goes on, report the request id.",
        )
    }

    /// Makes the problem of a caller that asks too often.
    pub fn rate_limited(retry_after_seconds: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests. Wait before the next one.",
        )
        .retry_after(retry_after_seconds)
    }

    /// Says after how many seconds to ask again; sent as `Retry-After` too.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Reads the problem out of an answer, if it is one.
    pub fn from_response(response: &http::Response<Bytes>) -> Option<Self> {
        let media = response
            .headers()
            .get(http::header::CONTENT_TYPE)?
            .to_str()
            .ok()?;
        let is_problem = media
            .split(';')
            .next()?
            .trim()
            .eq_ignore_ascii_case(PROBLEM_JSON);
        if !is_problem || response.body().len() > MAX_PROBLEM_BYTES {
            return None;
        }
        serde_json::from_slice(response.body()).ok()
    }

    fn render(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings and numbers always serialise.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render();
        // The middleware, which knows the request id, writes the body again with it.
        response.extensions_mut().insert(self);
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests;
