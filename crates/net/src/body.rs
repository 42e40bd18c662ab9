//! Reading a body oneself, where an extractor would read it too early.

use std::error::Error;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::LengthLimitError;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than is allowed.
    #[error("the body is larger than is allowed here")]
    TooLarge,
    /// It broke off, or nothing of it came for too long.
    #[error("the body did not arrive")]
    Broken,
}

/// Reads a whole body of at most so many bytes.
///
/// # Errors
///
/// [`BodyError`].
pub async fn read_body(body: Body, max_bytes: usize) -> Result<Bytes, BodyError> {
    axum::body::to_bytes(body, max_bytes)
        .await
        .map_err(|error| {
            let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
            while let Some(at) = cause {
                if at.is::<LengthLimitError>() {
                    return BodyError::TooLarge;
                }
                cause = at.source();
            }
            BodyError::Broken
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::routing::post;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::serve::{HttpLimits, harden};

    fn of(pieces: Vec<Result<&'static str, std::io::Error>>) -> Body {
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn only_a_long_body_is_called_too_large() {
        assert_eq!(read_body(of(vec![Ok("four")]), 4).await.unwrap(), "four");
        assert_eq!(
            read_body(of(vec![Ok("four"), Ok("5")]), 4).await,
            Err(BodyError::TooLarge)
        );
        let reset = || Err(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(
            read_body(of(vec![Ok("fo"), reset()]), 4).await,
            Err(BodyError::Broken)
        );
    }

    /// The layers of a hardened router count and time bodies too, with errors of their own.
    #[tokio::test]
    async fn behind_the_limits_of_a_service_too() {
        let read = |body: Body| async move { format!("{:?}", read_body(body, 8).await) };
        let limits = HttpLimits {
            max_body_bytes: 4,
            body_timeout: Duration::from_millis(20),
            ..HttpLimits::default()
        };
        let router = harden(Router::new().route("/", post(read)), limits);
        let stalled = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
        for (body, expected) in [
            (of(vec![Ok("four"), Ok("5")]), "Err(TooLarge)"),
            (stalled, "Err(Broken)"),
        ] {
            // Who asks first is not read to the end.
            let request = Request::post("/").header("expect", "100-continue");
            let request = request.body(body).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let answer = axum::body::to_bytes(answer.into_body(), 1024).await;
            assert_eq!(answer.unwrap(), expected);
        }
    }
}
