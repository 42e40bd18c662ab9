//! The guard's HTTP interface.

mod caller;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_net::health::{self, Readiness};
use keyfold_net::{HttpLimits, Json, Problem, Server, ServerTls, Shutdown, harden};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::{self, Cosign, Cosigned, GuardSigner};
use keyfold_protocol::holder_api::{Empty, Nonce, Register, Registered};
use keyfold_protocol::ids::ProjectId;
use keyfold_storage::MasterKey;
use tokio::net::TcpListener;

use crate::config::{GuardConfig, GuardError, Trust, master_key_path};
use crate::cosign::{CosignError, cosign};
use crate::instances::{Instances, RegisterError};
use crate::keys::GuardKeys;
use crate::policies::Policies;
use caller::SignedJson;

pub(crate) struct Guard {
    /// Host names that are this guard.
    names: Vec<String>,
    /// Where it listens.
    listen: SocketAddr,
    instances: Instances,
    policies: Policies,
    keys: GuardKeys,
}

/// Serves until the shutdown.
///
/// # Errors
///
/// [`GuardError`] if it cannot start.
pub async fn run(
    config: GuardConfig,
    trust: Trust,
    ready: impl FnOnce(SocketAddr),
    shutdown: Shutdown,
) -> Result<(), GuardError> {
    let master = MasterKey::load(&master_key_path(&config.data))?;
    let tls = ServerTls::from_pem_or_generate(&config.data, &config.names)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(GuardError::io(format!(
            "cannot listen on {}",
            config.listen
        )))?;
    let listen = listener
        .local_addr()
        .map_err(GuardError::io("no local address"))?;
    let guard = Arc::new(Guard {
        names: config.names,
        listen,
        instances: Instances::new(trust, &mut UnwrapErr(SysRng)),
        policies: Policies::new(config.data.join("policies")),
        keys: GuardKeys::new(&master),
    });
    ready(listen);
    Server::new(router(guard))
        .tls(listener, tls.config(), shutdown)
        .await;
    Ok(())
}

impl Guard {
    /// Tells whether an authority, `host:port`, means this guard: one of its names, whatever the
    /// port in front of it, or the very address it listens on.
    pub(crate) fn is_addressed_as(&self, authority: &str) -> bool {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _port)| host);
        authority == self.listen.to_string()
            || self
                .names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
    }
}

fn router(guard: Arc<Guard>) -> Router {
    let readiness = Readiness::new();
    readiness.set(true);
    let limits = HttpLimits {
        max_body_bytes: guard_api::MAX_BODY,
        ..HttpLimits::default()
    };
    let api = Router::new()
        .route(guard_api::path::NONCE, post(nonce))
        .route(guard_api::path::REGISTER, post(register))
        .route(guard_api::path::COSIGN, post(cosign_route))
        .route(guard_api::path::SIGNER, get(signer))
        .with_state(guard);
    harden(api.merge(health::router(readiness)), limits)
}

async fn nonce(
    State(guard): State<Arc<Guard>>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Nonce>, Problem> {
    let nonce = guard
        .instances
        .issue(now_ms() / 1000, &mut UnwrapErr(SysRng));
    Ok(Json(Nonce { nonce }))
}

async fn register(
    State(guard): State<Arc<Guard>>,
    Json(request): Json<Register>,
) -> Result<Json<Registered>, Problem> {
    guard
        .instances
        .register(&request, now_ms())
        .map(Json)
        .map_err(|error| {
            tracing::warn!(%error, "a registration was refused");
            match error {
                RegisterError::NonceUnknown => problem(Code::NonceUnknown, None),
                RegisterError::Full => problem(Code::RateLimited, None),
                RegisterError::NoRealm => problem(Code::WrongRealm, None),
                RegisterError::Document(_) => problem(Code::AttestationRefused, None),
            }
        })
}

async fn cosign_route(
    State(guard): State<Arc<Guard>>,
    SignedJson(question): SignedJson<Cosign>,
) -> Result<Json<Cosigned>, Problem> {
    let answer = cosign(&question, &guard.policies, &guard.keys);
    let (project, request) = (&question.project, question.request);
    match answer {
        Ok(cosigned) => {
            tracing::info!(%project, %request, digest = %cosigned.digest, "signed");
            Ok(Json(cosigned))
        }
        Err(error) => {
            tracing::info!(%project, %request, %error, "refused");
            Err(match error {
                CosignError::Payload(error) => {
                    problem(Code::PayloadInvalid, Some(error.to_string()))
                }
                CosignError::NoPolicy => problem(Code::GuardDenied, Some(error.to_string())),
                CosignError::Refused(refusal) => {
                    let reasons: Vec<_> = refusal.reasons.iter().map(ToString::to_string).collect();
                    problem(Code::GuardDenied, Some(reasons.join("; ")))
                }
            })
        }
    }
}

async fn signer(
    State(guard): State<Arc<Guard>>,
    Path(project): Path<String>,
) -> Result<Json<GuardSigner>, Problem> {
    let project: ProjectId = project
        .parse()
        .map_err(|_| problem(Code::MalformedRequest, None))?;
    let signer = guard.keys.signer(&project);
    Ok(Json(GuardSigner { project, signer }))
}

pub(crate) fn problem(code: Code, detail: Option<String>) -> Problem {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Problem::new(
        status,
        code.as_str(),
        detail.unwrap_or_else(|| code.sentence().to_owned()),
    )
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
