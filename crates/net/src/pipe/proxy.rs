//! The host's side of egress: forwards to what is on the list, and to nothing else.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::BoxIo;
use crate::pipe::copy::relay;
use crate::pipe::egress::{EgressRefusal, Target};
use crate::pipe::line::read_line;
use crate::shutdown::Shutdown;

/// Which targets are forwarded to, by exact host and port.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    /// The name the enclave says, and where the host connects for it.
    targets: HashMap<Target, Target>,
}

impl AllowList {
    /// Makes an empty list, which allows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a target.
    pub fn allow(&mut self, target: Target) {
        self.targets.insert(target.clone(), target);
    }

    /// Allows a target and says where it really is, instead of asking the resolver.
    pub fn allow_at(&mut self, target: Target, at: Target) {
        self.targets.insert(target, at);
    }

    fn find(&self, target: &Target) -> Option<&Target> {
        self.targets.get(target)
    }
}

impl FromIterator<Target> for AllowList {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut list = Self::new();
        targets.into_iter().for_each(|target| list.allow(target));
        list
    }
}

/// What one enclave may use of the host.
#[derive(Debug, Clone, Copy)]
pub struct EgressLimits {
    /// Connections at once; a further one is refused as busy.
    pub max_connections: usize,
    /// For the first line.
    pub line_timeout: Duration,
    /// For the connection to the target.
    pub connect_timeout: Duration,
    /// Without a byte in either direction.
    pub idle_timeout: Duration,
    /// Bytes in one direction of one connection.
    pub max_bytes: u64,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            line_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(120),
            max_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// Serves one connection inside the host's own process, from after its `OK` to its end.
pub type LocalService = Arc<dyn Fn(BoxIo) -> BoxFuture<'static, ()> + Send + Sync>;

/// Where a first line leads.
enum Opened {
    Remote(TcpStream),
    Local(LocalService),
}

/// Forwards an enclave's outbound connections.
///
/// # Security
///
/// The list protects the host's network from a broken enclave; it does not protect the enclave,
/// whose TLS ends inside it.
#[derive(Clone)]
pub struct EgressProxy {
    allowed: Arc<AllowList>,
    local: HashMap<Target, LocalService>,
    limits: EgressLimits,
}

impl EgressProxy {
    /// Makes a proxy.
    pub fn new(allowed: AllowList, limits: EgressLimits) -> Self {
        Self {
            allowed: Arc::new(allowed),
            local: HashMap::new(),
            limits,
        }
    }

    /// Answers a target in this process, whatever the list says of it.
    ///
    /// The service limits its own time and bytes; it counts as a connection.
    #[must_use]
    pub fn local(mut self, target: Target, service: LocalService) -> Self {
        self.local.insert(target, service);
        self
    }

    /// Serves a Unix socket until the shutdown, then cuts what is left.
    pub async fn serve(self, listener: UnixListener, shutdown: Shutdown) {
        let accept = || async { listener.accept().await.map(|(pipe, _)| pipe) };
        self.serve_streams(accept, shutdown).await;
    }

    /// The same for the streams that `accept` gives.
    pub async fn serve_streams<S, A, AF>(self, accept: A, shutdown: Shutdown)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
        A: Fn() -> AF,
        AF: Future<Output = io::Result<S>>,
    {
        let places = Arc::new(Semaphore::new(self.limits.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.wait() => break,
                accepted = accept() => accepted,
            };
            let mut pipe = match accepted {
                Ok(pipe) => pipe,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept from the enclave");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                // Eight bytes fit into any socket's buffer; who does not take them is cut.
                let refusal = format!("ERR {}\n", EgressRefusal::Busy.code());
                let _ = tokio::time::timeout(
                    Duration::from_millis(100),
                    pipe.write_all(refusal.as_bytes()),
                )
                .await;
                continue;
            };
            let proxy = self.clone();
            connections.spawn(async move {
                if let Err(error) = proxy.forward(pipe).await {
                    tracing::debug!(%error, "an egress connection ended with an error");
                }
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one pipe from its first line to its end.
    ///
    /// # Errors
    ///
    /// When the pipe or the target breaks or reaches a limit; refusals are answered and no error.
    pub async fn forward<S>(&self, mut pipe: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        let line = tokio::time::timeout(self.limits.line_timeout, read_line(&mut pipe))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let opened = match line {
            Ok(line) => self.open(&line).await,
            Err(_) => Err(EgressRefusal::Malformed),
        };
        match opened {
            Err(refusal) => {
                let line = format!("ERR {}\n", refusal.code());
                pipe.write_all(line.as_bytes()).await?;
                pipe.shutdown().await
            }
            Ok(Opened::Local(service)) => {
                pipe.write_all(b"OK\n").await?;
                service(Box::new(pipe)).await;
                Ok(())
            }
            Ok(Opened::Remote(target)) => {
                pipe.write_all(b"OK\n").await?;
                relay(
                    pipe,
                    target,
                    self.limits.idle_timeout,
                    self.limits.max_bytes,
                )
                .await
            }
        }
    }

    async fn open(&self, line: &str) -> Result<Opened, EgressRefusal> {
        let target: Target = line
            .strip_prefix("CONNECT ")
            .and_then(|target| target.parse().ok())
            .ok_or(EgressRefusal::Malformed)?;
        if let Some(service) = self.local.get(&target) {
            return Ok(Opened::Local(Arc::clone(service)));
        }
        let Some(at) = self.allowed.find(&target) else {
            tracing::warn!(%target, "the enclave asked for a target that is not allowed");
            return Err(EgressRefusal::NotAllowed);
        };
        let connecting = TcpStream::connect((at.host(), at.port()));
        let stream = tokio::time::timeout(self.limits.connect_timeout, connecting)
            .await
            .map_err(|_| EgressRefusal::Unreachable)?
            .map_err(|_| EgressRefusal::Unreachable)?;
        let _ = stream.set_nodelay(true);
        Ok(Opened::Remote(stream))
    }
}

impl std::fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressProxy")
            .field("allowed", &self.allowed)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
