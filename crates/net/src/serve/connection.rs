//! HTTP/1.1 (with keep-alive) and HTTP/2 on one established byte stream.

use std::pin::pin;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt as _;

use crate::serve::{Peer, ServeLimits};
use crate::shutdown::Shutdown;

/// Serves one connection until the peer closes it, breaks a limit, or the shutdown ends it after
/// the requests under way.
pub async fn serve_connection<I>(
    io: I,
    router: Router,
    peer: Peer,
    limits: &ServeLimits,
    shutdown: &Shutdown,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let finished = tokio::select! {
        finished = connection.as_mut() => Some(finished),
        () = shutdown.wait() => None,
    };
    let finished = match finished {
        Some(finished) => finished,
        None => {
            connection.as_mut().graceful_shutdown();
            let Ok(finished) = tokio::time::timeout(limits.drain_timeout, connection).await else {
                return;
            };
            finished
        }
    };
    if let Err(error) = finished {
        // Strangers end connections in every way there is.
        tracing::debug!(%error, "a connection ended with an error");
    }
}
