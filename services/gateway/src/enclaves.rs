//! The host's side of the inbound pipes: which instance is behind which socket, and calling it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use keyfold_net::client::ClientLimits;
use keyfold_net::health::Readiness;
use keyfold_net::{ClientError, HttpClient, Shutdown};
use keyfold_protocol::gateway_api::{InstanceStatus, MAX_SEALED, host_path};
use keyfold_protocol::ids::InstanceId;
use tokio::sync::{Mutex, Semaphore};
use tracing::Instrument as _;

use crate::config::EnclaveSockets;

/// How often every enclave is asked how it is.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// Strangers that invent instance ids make us ask no more often than this.
const MIN_REFRESH: Duration = Duration::from_millis(200);
/// Requests at one enclave at once; each may hold a body of [`MAX_SEALED`] twice.
const MAX_UNDER_WAY: usize = 1024;

/// A call that has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No enclave of this host has that id.
    UnknownInstance,
    /// The enclave is there but does not serve (yet, or any more), or has too much to do.
    Unavailable,
    /// It did not answer in time, and may have acted.
    Timeout,
}

/// What was last heard of an enclave. The status stays when it is gone, so that its clients hear
/// "try again" and not "unknown" while it may come back.
#[derive(Debug, Clone, Default)]
struct Heard {
    status: Option<InstanceStatus>,
    reachable: bool,
}

impl Heard {
    fn serves(&self) -> Option<InstanceId> {
        self.status
            .as_ref()
            .filter(|status| self.reachable && status.ready && !status.awaits_genesis)
            .map(|status| status.instance)
    }

    fn is(&self, instance: InstanceId) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.instance == instance)
    }
}

struct Enclave {
    /// For clients' requests.
    calls: HttpClient,
    /// For asking how it is, which must not wait long.
    asks: HttpClient,
    places: Semaphore,
    heard: RwLock<Heard>,
}

impl Enclave {
    fn new(sockets: &EnclaveSockets) -> Self {
        let connector = sockets.inbound.connector();
        let asks = ClientLimits {
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            max_response_bytes: 4 * 1024,
            max_idle: 1,
            ..ClientLimits::default()
        };
        let calls = ClientLimits {
            connect_timeout: Duration::from_secs(2),
            // Within the limit of the public request, so that the answer says what happened.
            request_timeout: Duration::from_secs(25),
            max_response_bytes: 2 * MAX_SEALED,
            max_idle: 256,
            ..ClientLimits::default()
        };
        Self {
            calls: HttpClient::new(connector.clone(), calls),
            asks: HttpClient::new(connector, asks),
            places: Semaphore::new(MAX_UNDER_WAY),
            heard: RwLock::default(),
        }
    }

    fn heard(&self) -> Heard {
        // What is in there is replaced whole; a panic in between leaves nothing half done.
        self.heard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_heard(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn ask(&self) {
        let status = match self.asks.send(get(host_path::STATUS)).await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                serde_json::from_slice::<InstanceStatus>(answer.body()).ok()
            }
            _ => None,
        };
        self.set_heard(|heard| {
            heard.reachable = status.is_some();
            if status.is_some() {
                heard.status = status;
            }
        });
    }

    /// Calls, and keeps the call's place until it ends, even if nobody waits for it any more: the
    /// enclave finishes what it has begun, with or without a connection.
    async fn call(self: &Arc<Self>, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let enclave = Arc::clone(self);
        let call = async move { enclave.exchange(request).await };
        // A task ends without a result only when it panics or the runtime ends.
        tokio::spawn(call.in_current_span())
            .await
            .unwrap_or(Err(CallError::Unavailable))
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| CallError::Unavailable)?;
        self.calls.send(request).await.map_err(|error| {
            tracing::warn!(%error, "an enclave did not answer");
            if matches!(error, ClientError::Timeout { .. }) {
                return CallError::Timeout;
            }
            self.set_heard(|heard| heard.reachable = false);
            CallError::Unavailable
        })
    }
}

/// The enclaves of this host.
pub(crate) struct Enclaves {
    enclaves: Vec<Arc<Enclave>>,
    refreshed: Mutex<Option<Instant>>,
    readiness: Readiness,
}

impl Enclaves {
    /// Takes their sockets. The readiness becomes true while at least one of them serves.
    pub(crate) fn new(sockets: &[EnclaveSockets], readiness: Readiness) -> Self {
        Self {
            enclaves: sockets.iter().map(|s| Arc::new(Enclave::new(s))).collect(),
            refreshed: Mutex::new(None),
            readiness,
        }
    }

    /// Asks every enclave how it is, again and again.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            self.refresh(MIN_REFRESH).await;
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(WATCH_PERIOD) => {}
            }
        }
    }

    /// Asks every enclave, unless that was done just now. Callers that come together wait for one
    /// round of questions.
    async fn refresh(&self, unless_newer: Duration) {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < unless_newer) {
            return;
        }
        join_all(self.enclaves.iter().map(|enclave| enclave.ask())).await;
        *refreshed = Some(Instant::now());
        self.readiness.set(!self.serving().is_empty());
    }

    /// Returns the instances that serve.
    pub(crate) fn serving(&self) -> Vec<InstanceId> {
        self.enclaves
            .iter()
            .filter_map(|enclave| enclave.heard().serves())
            .collect()
    }

    /// Posts to one instance.
    pub(crate) async fn call(
        &self,
        instance: InstanceId,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, CallError> {
        let serves = |enclave: &&Arc<Enclave>| enclave.heard().serves() == Some(instance);
        if let Some(enclave) = self.enclaves.iter().find(serves) {
            return enclave.call(request).await;
        }
        self.refresh(MIN_REFRESH).await;
        match self.enclaves.iter().find(|e| e.heard().is(instance)) {
            None => Err(CallError::UnknownInstance),
            Some(enclave) if enclave.heard().serves().is_none() => Err(CallError::Unavailable),
            Some(enclave) => enclave.call(request).await,
        }
    }

    /// Calls any instance that serves.
    pub(crate) async fn call_any(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, CallError> {
        let serves = |enclave: &&Arc<Enclave>| enclave.heard().serves().is_some();
        if !self.enclaves.iter().any(|e| serves(&e)) {
            self.refresh(MIN_REFRESH).await;
        }
        let enclave = self.enclaves.iter().find(serves);
        enclave.ok_or(CallError::Unavailable)?.call(request).await
    }
}

/// Makes a `GET` of an enclave's path.
pub(crate) fn get(path: &'static str) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri(path);
    request
}

/// Makes a `POST` to an enclave's path.
pub(crate) fn post(path: &'static str, media: &'static str, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(path);
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    request
}

/// The pipe leads to the enclave whatever the authority; HTTP wants one all the same.
fn uri(path: &'static str) -> http::Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = Some(http::uri::Authority::from_static("enclave"));
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    http::Uri::from_parts(parts).unwrap_or_default()
}
