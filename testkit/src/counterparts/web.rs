//! Servers of the web that are a few lines: an app's own, which takes webhooks, and TLS before a node.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use http::Request;
use keyfold_net::client::TcpConnector;
use keyfold_net::{
    ClientLimits, HttpClient, HttpLimits, Server, ServerTls, Shutdown, ShutdownTrigger, harden,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Authority, CounterpartError};

/// A `POST` as it arrived.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its headers, as a JSON object of texts.
    pub headers: Value,
    /// Its body.
    pub body: String,
}

/// An HTTPS server on loopback, for one name. It ends with its owner.
#[derive(Debug)]
pub struct WebServer {
    host: String,
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
    behind: Arc<OnceLock<String>>,
    _trigger: ShutdownTrigger,
}

impl WebServer {
    /// Starts a server that keeps what is posted to it, and answers 204.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn keeping(authority: &Authority, host: &str) -> Result<Self, CounterpartError> {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        let router = Router::new().fallback(post(async move |headers, body| {
            let one = read(&headers, &body);
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(one);
            StatusCode::NO_CONTENT
        }));
        Self::start(authority, host, router, posted, Arc::default()).await
    }

    /// Starts a server that posts on what it is given, once it was told [where](Self::pass_on_to).
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn passing_on(authority: &Authority, host: &str) -> Result<Self, CounterpartError> {
        let behind: Arc<OnceLock<String>> = Arc::default();
        let known = Arc::clone(&behind);
        let client = HttpClient::new(TcpConnector, ClientLimits::default());
        let router = Router::new().fallback(post(async move |body: Bytes| {
            let url = known.get().ok_or(StatusCode::BAD_GATEWAY)?;
            let request = Request::post(url.as_str())
                .header("content-type", "application/json")
                .body(body)
                .map_err(|_| StatusCode::BAD_GATEWAY)?;
            let answer = client.send(request).await;
            let answer = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
            Ok::<_, StatusCode>(([("content-type", "application/json")], answer.into_body()))
        }));
        Self::start(authority, host, router, Arc::default(), behind).await
    }

    /// Starts a server that shows one JSON document, whatever is asked for.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn showing(
        authority: &Authority,
        host: &str,
        document: &Value,
    ) -> Result<Self, CounterpartError> {
        let text = document.to_string();
        let router = Router::new().fallback(get(async move || {
            ([("content-type", "application/json")], text.clone())
        }));
        Self::start(authority, host, router, Arc::default(), Arc::default()).await
    }

    async fn start(
        authority: &Authority,
        host: &str,
        router: Router,
        posted: Arc<Mutex<Vec<Posted>>>,
        behind: Arc<OnceLock<String>>,
    ) -> Result<Self, CounterpartError> {
        let failed = |source| CounterpartError::Io {
            name: host.to_owned(),
            source,
        };
        let certified = authority.certify(vec![host.to_owned()])?;
        let tls = ServerTls::from_pem(
            certified.certificate_pem.as_bytes(),
            certified.key_pem.as_bytes(),
        )
        .map_err(|error| failed(std::io::Error::other(error)))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (trigger, shutdown) = Shutdown::manual();
        let server = Server::new(harden(router, HttpLimits::default()));
        tokio::spawn(server.tls(listener, tls.config(), shutdown));
        Ok(Self {
            host: host.to_owned(),
            port,
            posted,
            behind,
            _trigger: trigger,
        })
    }

    /// Returns its name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says where to pass on to, once and for all: an `http` address.
    pub fn pass_on_to(&self, url: &str) {
        let _ = self.behind.set(url.to_owned());
    }

    /// Returns what arrived, oldest first.
    pub fn posted(&self) -> Vec<Posted> {
        let posted = self.posted.lock();
        posted.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(headers: &HeaderMap, body: &Bytes) -> Posted {
    let headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), json!(value))
    });
    Posted {
        headers: Value::Object(headers.collect()),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}
