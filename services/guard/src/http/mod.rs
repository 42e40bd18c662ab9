//! The guard's HTTP interface.

mod caller;
mod register;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::Address;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_net::health::{self, Readiness};
use keyfold_net::limit::{IpKey, RateLimit};
use keyfold_net::serve::Peer;
use keyfold_net::{HttpLimits, Json, Problem, ServeLimits, Server, ServerTls, Shutdown, harden};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::{self, Cosign, CosignUpdate, Cosigned, GuardSigner};
use keyfold_protocol::holder_api::{Empty, Nonce, Register, Registered};
use keyfold_protocol::ids::{ProjectId, RealmId, RequestId};
use keyfold_protocol::registry::{NotVerified, Registry};
use keyfold_storage::MasterKey;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::{GuardConfig, GuardError, Trust, master_key_path, policies_path};
use crate::cosign::{CosignError, cosign, cosign_update};
use crate::keys::GuardKeys;
use crate::policies::{Policies, PolicyFileError};
use caller::SignedJson;
use register::{Candidate, NO_REALMS, RegisterError};

/// What all open endpoints together may be asked by one client in a minute. A registration is two
/// requests, and an instance makes about one in an hour.
const OPEN_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(120) {
    Some(number) => number,
    None => NonZeroU32::MIN,
};
const MINUTE: Duration = Duration::from_secs(60);
/// Documents that are verified, or signers derived, at once: what strangers can have of the machine.
const OPEN_AT_ONCE: usize = 2;
/// Questions of registered instances that are decided at once.
const DECIDED_AT_ONCE: usize = 16;

pub(crate) struct Guard {
    /// Host names that are this guard.
    names: Vec<String>,
    /// Where it listens.
    listen: SocketAddr,
    realms: Vec<RealmId>,
    trust: Trust,
    registry: Registry,
    policies: Policies,
    keys: GuardKeys,
    open_limit: RateLimit,
    open_places: Arc<Semaphore>,
    decision_places: Arc<Semaphore>,
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
    config.check()?;
    let master = MasterKey::load(&master_key_path(&config.data))?;
    let tls = ServerTls::load(&config.data)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(GuardError::io(format!(
            "cannot listen on {}",
            config.listen
        )))?;
    let listen = listener
        .local_addr()
        .map_err(GuardError::io("no local address"))?;
    if config.realms.is_empty() {
        tracing::warn!("{NO_REALMS}");
    }
    let limits = ServeLimits {
        max_per_peer: Some(config.connections_per_address),
        ..ServeLimits::default()
    };
    let guard = Arc::new(Guard::new(config, trust, &master, listen));
    ready(listen);
    Server::new(router(guard))
        .limits(limits)
        .tls(listener, tls.config(), shutdown)
        .await;
    Ok(())
}

impl Guard {
    fn new(config: GuardConfig, trust: Trust, master: &MasterKey, listen: SocketAddr) -> Self {
        Self {
            policies: Policies::new(policies_path(&config.data)),
            names: config.names,
            listen,
            realms: config.realms,
            trust,
            registry: Registry::new(&mut UnwrapErr(SysRng)),
            keys: GuardKeys::new(master),
            open_limit: RateLimit::new(OPEN_PER_MINUTE, MINUTE),
            open_places: Arc::new(Semaphore::new(OPEN_AT_ONCE)),
            decision_places: Arc::new(Semaphore::new(DECIDED_AT_ONCE)),
        }
    }

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
    let open = Router::new()
        .route(guard_api::path::NONCE, post(nonce))
        .route(guard_api::path::REGISTER, post(register_route))
        .route(guard_api::path::SIGNER, get(signer))
        .layer(from_fn_with_state(Arc::clone(&guard), per_client));
    let api = open
        .route(guard_api::path::COSIGN, post(cosign_route))
        .route(guard_api::path::COSIGN_UPDATE, post(cosign_update_route))
        .with_state(guard);
    harden(api.merge(health::router(readiness)), limits)
}

/// Counts what strangers ask, before anything of it is read.
async fn per_client(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(Peer(Some(address))) = request.extensions().get::<Peer>() {
        guard
            .open_limit
            .check(&IpKey::of(address.ip()))
            .map_err(|limited| Problem::rate_limited(limited.retry_after_seconds()))?;
    }
    Ok(next.run(request).await)
}

/// Does what would hold up everybody on an async thread, as much of it at once as there are places.
async fn blocking<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(|closed| Problem::internal(&closed))?;
    let done = tokio::task::spawn_blocking(move || {
        // Whoever hangs up gives the place back no sooner.
        let _place = place;
        work()
    });
    done.await.map_err(|panicked| Problem::internal(&panicked))
}

async fn nonce(
    State(guard): State<Arc<Guard>>,
    Json(Empty {}): Json<Empty>,
) -> Result<Json<Nonce>, Problem> {
    let nonce = guard.registry.issue(now_ms(), &mut UnwrapErr(SysRng));
    Ok(Json(Nonce { nonce }))
}

async fn register_route(
    State(guard): State<Arc<Guard>>,
    Json(request): Json<Register>,
) -> Result<Json<Registered>, Problem> {
    let registered = match Candidate::of(&guard, request, now_ms()) {
        Ok(candidate) => {
            let verifying = Arc::clone(&guard);
            let verify = move || candidate.register(&verifying, now_ms());
            blocking(&guard.open_places, verify).await?
        }
        Err(refusal) => Err(refusal),
    };
    registered.map(Json).map_err(|error| {
        tracing::warn!(%error, "a registration was refused");
        match error {
            RegisterError::NotVerified(NotVerified::Nonce(_)) => problem(Code::NonceUnknown, None),
            RegisterError::NotVerified(NotVerified::Document(_)) => {
                problem(Code::AttestationRefused, None)
            }
            RegisterError::NoRealms | RegisterError::OtherRealm => {
                problem(Code::WrongRealm, Some(error.to_string()))
            }
        }
    })
}

async fn cosign_route(
    State(guard): State<Arc<Guard>>,
    SignedJson(question): SignedJson<Cosign>,
) -> Result<Json<Cosigned>, Problem> {
    let asked = Asked {
        project: question.project.clone(),
        request: question.request,
        wallet: question.sign.wallet,
        chain: question.sign.chain_id,
    };
    let deciding = Arc::clone(&guard);
    let decide = move || cosign(&question, &deciding.policies, &deciding.keys);
    answer(asked, blocking(&guard.decision_places, decide).await?)
}

async fn cosign_update_route(
    State(guard): State<Arc<Guard>>,
    SignedJson(question): SignedJson<CosignUpdate>,
) -> Result<Json<Cosigned>, Problem> {
    let asked = Asked {
        project: question.project.clone(),
        request: question.request,
        wallet: question.update.wallet,
        // A configuration holds on every chain.
        chain: 0,
    };
    let deciding = Arc::clone(&guard);
    let decide = move || {
        cosign_update(
            &question,
            &deciding.policies,
            &deciding.keys,
            now_ms() / 1000,
        )
    };
    answer(asked, blocking(&guard.decision_places, decide).await?)
}

/// What a decision is about, for the log.
struct Asked {
    project: ProjectId,
    request: RequestId,
    wallet: Address,
    chain: u64,
}

fn answer(asked: Asked, decided: Result<Cosigned, CosignError>) -> Result<Json<Cosigned>, Problem> {
    let Asked {
        project,
        request,
        wallet,
        chain,
    } = asked;
    let error = match decided {
        Ok(cosigned) => {
            let (digest, revision) = (cosigned.digest, cosigned.policy_version);
            tracing::info!(%project, %request, %wallet, chain, %digest, revision, "signed");
            return Ok(Json(cosigned));
        }
        Err(error) => error,
    };
    let revision = error.revision();
    match &error {
        // The operator's mistake, not the caller's.
        CosignError::Policy(policy) if !matches!(policy, PolicyFileError::Missing) => {
            tracing::error!(%project, %request, %wallet, chain, %error, "refused");
        }
        error => tracing::info!(%project, %request, %wallet, chain, revision, %error, "refused"),
    }
    Err(match error {
        CosignError::Payload(error) => problem(Code::PayloadInvalid, Some(error.to_string())),
        CosignError::Change(error) => problem(Code::ConfigInvalid, Some(error.to_string())),
        CosignError::Policy(_) => problem(
            Code::GuardDenied,
            Some("the project has no policy that can be used, so nothing is allowed".to_owned()),
        ),
        CosignError::Replay(error) => problem(Code::ConfigInvalid, Some(error.to_string())),
        denied @ (CosignError::NotAgreed | CosignError::OtherWallet) => {
            problem(Code::GuardDenied, Some(denied.to_string()))
        }
        CosignError::Refused(refusal) => problem(Code::GuardDenied, Some(refusal.to_string())),
    })
}

async fn signer(
    State(guard): State<Arc<Guard>>,
    Path(project): Path<String>,
) -> Result<Json<GuardSigner>, Problem> {
    let project: ProjectId = project
        .parse()
        .map_err(|_| problem(Code::MalformedRequest, None))?;
    let deriving = Arc::clone(&guard);
    let derive = move || {
        let signer = deriving.keys.signer(&project);
        GuardSigner { project, signer }
    };
    blocking(&guard.open_places, derive).await.map(Json)
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
