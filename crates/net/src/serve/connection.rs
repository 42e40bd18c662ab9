//! HTTP/1.1 (with keep-alive) and HTTP/2 on one established byte stream.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

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

/// Serves one connection until the peer closes it, breaks a limit, asks for nothing for too long, or
/// the shutdown ends it after the requests under way.
pub async fn serve_connection<I>(
    io: I,
    router: Router,
    peer: Peer,
    limits: &ServeLimits,
    shutdown: &Shutdown,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request: Request<Incoming>| {
            let running = Running::begin(&activity);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let answer = router.clone().oneshot(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        })
    };
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
        // The library's own time-out begins with the first bytes of a head in HTTP/1, and HTTP/2 has
        // none for a peer that answers pings: who says nothing would keep a place for ever.
        () = activity.idle_for(limits.header_timeout) => None,
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

/// What is under way on one connection.
#[derive(Default)]
struct Activity {
    running: AtomicUsize,
    /// Counts beginnings and ends.
    changes: AtomicU64,
}

impl Activity {
    /// Waits until no request was under way for a whole period: one to two of them.
    async fn idle_for(&self, period: Duration) {
        loop {
            let seen = self.changes.load(Ordering::Acquire);
            tokio::time::sleep(period).await;
            let idle = self.running.load(Ordering::Acquire) == 0;
            if idle && self.changes.load(Ordering::Acquire) == seen {
                return;
            }
        }
    }
}

/// A request under way, until it is answered or given up.
struct Running(Arc<Activity>);

impl Running {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::AcqRel);
        activity.changes.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
