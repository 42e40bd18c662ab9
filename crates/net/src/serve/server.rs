//! Listeners: accept, bound, serve, and drain.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::pipe::accept_port;
use crate::serve::places::PeerPlaces;
use crate::serve::{Peer, ServeLimits, serve_connection};
use crate::shutdown::Shutdown;

/// After an accept that failed for want of descriptors, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A router and its limits, ready for a listener.
#[derive(Clone)]
pub struct Server {
    router: Router,
    limits: ServeLimits,
}

impl Server {
    /// Takes the router to serve. Put [`crate::serve::harden`] around it first.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            limits: ServeLimits::default(),
        }
    }

    /// Sets other limits than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: ServeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves HTTP over TLS until the shutdown, then finishes what is under way.
    ///
    /// Handshakes run beside each other and beside accepting, each with a time-out.
    /// Who has more connections than one peer may have is closed before any.
    pub async fn tls(self, listener: TcpListener, tls: Arc<ServerConfig>, shutdown: Shutdown) {
        let acceptor = TlsAcceptor::from(tls);
        let ServeLimits {
            max_per_peer,
            trusted_proxies,
            ..
        } = &self.limits;
        let places = PeerPlaces::new(max_per_peer.unwrap_or(usize::MAX), trusted_proxies);
        self.run(
            shutdown,
            || async { listener.accept().await },
            move |server, (stream, address), shutdown| {
                let acceptor = acceptor.clone();
                let place = places.take(address.ip());
                async move {
                    let Some(_place) = place else {
                        tracing::debug!(peer = %address, "has too many connections");
                        return;
                    };
                    let _ = stream.set_nodelay(true);
                    let limit = server.limits.handshake_timeout;
                    match tokio::time::timeout(limit, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            let peer = Peer(Some(address));
                            let Server { router, limits } = server;
                            serve_connection(stream, router, peer, &limits, &shutdown).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                        Err(_elapsed) => tracing::debug!("a TLS handshake timed out"),
                    }
                }
            },
        )
        .await;
    }

    /// Serves HTTP without TLS until the shutdown, then finishes what is under way.
    ///
    /// # Security
    /// Everybody between reads and writes along: for tools on loopback, for nothing with secrets.
    pub async fn plain(self, listener: TcpListener, shutdown: Shutdown) {
        self.run(
            shutdown,
            || async { listener.accept().await },
            |server, (stream, address), shutdown| async move {
                let _ = stream.set_nodelay(true);
                let Server { router, limits } = server;
                serve_connection(stream, router, Peer(Some(address)), &limits, &shutdown).await;
            },
        )
        .await;
    }

    /// Serves HTTP on a Unix socket until the shutdown, then finishes what is under way.
    pub async fn unix(self, listener: UnixListener, shutdown: Shutdown) {
        let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
        self.streams(accept, shutdown).await;
    }

    /// Serves HTTP on one port behind a hybrid vsock socket (see [`crate::pipe`]), as an enclave
    /// does on its inbound pipe.
    pub async fn hybrid(self, listener: UnixListener, port: u32, shutdown: Shutdown) {
        self.run(
            shutdown,
            || async { listener.accept().await },
            move |server, (mut stream, _), shutdown| async move {
                let limit = server.limits.handshake_timeout;
                match tokio::time::timeout(limit, accept_port(&mut stream, port)).await {
                    Ok(Ok(())) => {
                        let Server { router, limits } = server;
                        serve_connection(stream, router, Peer(None), &limits, &shutdown).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "a pipe handshake failed"),
                    Err(_elapsed) => tracing::debug!("a pipe handshake timed out"),
                }
            },
        )
        .await;
    }

    /// Serves HTTP on the streams that `accept` gives until the shutdown, then finishes what is under
    /// way. For a listener of a kind that this crate does not know.
    pub async fn streams<I, A, AF>(self, accept: A, shutdown: Shutdown)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn() -> AF,
        AF: Future<Output = io::Result<I>>,
    {
        self.run(shutdown, accept, |server, stream, shutdown| async move {
            let Server { router, limits } = server;
            serve_connection(stream, router, Peer(None), &limits, &shutdown).await;
        })
        .await;
    }

    async fn run<C, A, AF, H, HF>(self, shutdown: Shutdown, accept: A, handle: H)
    where
        A: Fn() -> AF,
        AF: Future<Output = io::Result<C>>,
        H: Fn(Self, C, Shutdown) -> HF,
        HF: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.limits.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let next = tokio::select! {
                () = shutdown.wait() => break,
                next = accept_next(&places, &accept) => next,
            };
            let Some((connection, place)) = next else {
                break;
            };
            let served = handle(self.clone(), connection, shutdown.clone());
            connections.spawn(async move {
                served.await;
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
        // Each connection limits its own drain; this is for those still in a handshake.
        let drained = async { while connections.join_next().await.is_some() {} };
        let limit = self.limits.drain_timeout + Duration::from_secs(1);
        if tokio::time::timeout(limit, drained).await.is_err() {
            tracing::warn!("connections were cut at shutdown");
        }
    }
}

/// Waits for a free place first: who has no place is not accepted.
async fn accept_next<C, A, AF>(
    places: &Arc<Semaphore>,
    accept: &A,
) -> Option<(C, OwnedSemaphorePermit)>
where
    A: Fn() -> AF,
    AF: Future<Output = io::Result<C>>,
{
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match accept().await {
            Ok(connection) => return Some((connection, place)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
