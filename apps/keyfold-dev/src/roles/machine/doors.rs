//! The notary's doors: before each holder and guard, on the way out, and before the clients, on the way
//! in. All else passes as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::{StatusCode, Uri};
use keyfold_net::client::{ClientLimits, TlsConnector, UnixConnector};
use keyfold_net::pipe::{
    AllowList, EgressConnector, EgressLimits, EgressProxy, HybridConnector, LocalService, Target,
    dial_through,
};
use keyfold_net::serve::{Peer, ServeLimits, serve_connection};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{HttpClient, HttpLimits, Server, ServerTls, Shutdown, harden};
use keyfold_platform_dev::notary::Notary;
use keyfold_protocol::gateway_api::host_path;
use keyfold_protocol::holder_api::{Register, path};
use keyfold_protocol::registration::AttestedBinding;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

use super::Verifier;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Longest message that passes a door, bytes.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// An emulated processor is slow: who waits is behind the doors.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Door {
    notary: Arc<Notary>,
    behind: HttpClient,
    /// How the party behind is called, where that is not the request's own.
    authority: Arc<str>,
    /// Whether documents come in requests, or in answers.
    in_requests: bool,
}

impl Door {
    fn router(self) -> Router {
        let limits = HttpLimits {
            max_body_bytes: MAX_MESSAGE,
            request_timeout: PATIENCE,
            ..HttpLimits::default()
        };
        harden(Router::new().fallback(pass).with_state(self), limits)
    }
}

fn limits() -> ClientLimits {
    ClientLimits {
        request_timeout: PATIENCE,
        max_response_bytes: MAX_MESSAGE,
        ..ClientLimits::default()
    }
}

/// The host's end of the machine's outbound pipe: each target leads on through the host's own egress
/// proxy, those that verify documents by a door.
pub(super) fn egress(
    outbound: &Path,
    verifiers: &[Verifier],
    through: Vec<Target>,
    notary: &Arc<Notary>,
    shutdown: &Shutdown,
) -> Result<EgressProxy, Box<dyn std::error::Error>> {
    let mut egress = EgressProxy::new(AllowList::new(), EgressLimits::default());
    for target in through {
        let service = relay(outbound.to_owned(), target.clone());
        egress = egress.local(target, service);
    }
    for verifier in verifiers {
        let service = notarised(outbound, verifier, Arc::clone(notary), shutdown.clone())?;
        egress = egress.local(verifier.target.clone(), service);
    }
    Ok(egress)
}

fn relay(outbound: PathBuf, target: Target) -> LocalService {
    Arc::new(move |mut pipe| {
        let (outbound, target) = (outbound.clone(), target.clone());
        async move {
            let through = async {
                let pipe = UnixStream::connect(&outbound).await?;
                Ok::<_, std::io::Error>(dial_through(pipe, target.host(), target.port()).await?)
            };
            match through.await {
                Ok(mut there) => {
                    let _ = tokio::io::copy_bidirectional(&mut pipe, &mut there).await;
                }
                Err(error) => tracing::warn!(%target, %error, "the host does not lead on"),
            }
        }
        .boxed()
    })
}

fn notarised(
    outbound: &Path,
    verifier: &Verifier,
    notary: Arc<Notary>,
    shutdown: Shutdown,
) -> Result<LocalService, Box<dyn std::error::Error>> {
    // The party's own key on both sides: the enclave pins it, and so does the door.
    let tls = ServerTls::load(&verifier.keys)?;
    let pipe = EgressConnector::new(UnixConnector::new(outbound));
    let behind = TlsConnector::new(pipe, client_config_pinned(tls.pin())?);
    let router = Door {
        notary,
        behind: HttpClient::new(behind, limits()),
        authority: verifier.target.to_string().into(),
        in_requests: true,
    }
    .router();
    let acceptor = TlsAcceptor::from(tls.config());
    Ok(Arc::new(move |pipe| {
        let (acceptor, router, shutdown) = (acceptor.clone(), router.clone(), shutdown.clone());
        async move {
            match acceptor.accept(pipe).await {
                Ok(stream) => {
                    let limits = ServeLimits::default();
                    serve_connection(stream, router, Peer(None), &limits, &shutdown).await;
                }
                Err(error) => tracing::debug!(%error, "no TLS at a door"),
            }
        }
        .boxed()
    }))
}

/// The machine's inbound pipe, with documents signed on their way to clients.
pub(super) fn inbound(machine: PathBuf, notary: &Arc<Notary>) -> Server {
    let behind = HybridConnector::new(machine, keyfold_enclave_runtime::INBOUND_PORT);
    let door = Door {
        notary: Arc::clone(notary),
        behind: HttpClient::new(behind, limits()),
        authority: "enclave".into(),
        in_requests: false,
    };
    Server::new(door.router())
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    match exchange(&door, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "nothing passes the notary's door");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

async fn exchange(door: &Door, request: Request) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let mut body = axum::body::to_bytes(body, MAX_MESSAGE).await?;
    if door.in_requests && head.uri.path() == path::REGISTER {
        let mut message: Register = serde_json::from_slice(&body)?;
        sign(door, &mut message.attested)?;
        body = json(&message)?;
    }
    let asked = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut forwarded = http::Request::builder()
        .method(&head.method)
        .uri(format!("http://{}{asked}", door.authority).parse::<Uri>()?)
        .body(body)?;
    *forwarded.headers_mut() = end_to_end(head.headers);
    let (answer, mut body) = door.behind.send(forwarded).await?.into_parts();
    let attestation = !door.in_requests && head.uri.path() == host_path::ATTESTATION;
    if attestation && answer.status.is_success() {
        let mut message: AttestedBinding = serde_json::from_slice(&body)?;
        sign(door, &mut message)?;
        body = json(&message)?;
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = end_to_end(answer.headers);
    Ok(response)
}

fn sign(door: &Door, attested: &mut AttestedBinding) -> Result<(), Failure> {
    attested.document = door
        .notary
        .sign(&attested.document, &mut UnwrapErr(SysRng))?;
    Ok(())
}

fn json(message: &impl Serialize) -> Result<Bytes, Failure> {
    Ok(serde_json::to_vec(message)?.into())
}

/// All but what is between two neighbours alone.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
