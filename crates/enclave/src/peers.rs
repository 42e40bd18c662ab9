//! Calls of holders, guards and the host's store: signed, bounded, typed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::lock::Mutex;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::HOST_AUTHORITY;
use keyfold_protocol::holder_api::{Empty, INSTANCE_HEADER, Nonce, Register, Registered, path};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::signed_request::{
    Components, MAX_LIFETIME_SECONDS, Profile, SignatureParams, UnsignedRequest, content_digest,
};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::core::Core;
use crate::limits::{HOST_MAX_RESPONSE, HOST_TIMEOUT, PEER_MAX_RESPONSE, PEER_TIMEOUT};
use crate::platform::{Peer, PeerError, PeerRequest, PeerResponse, PeerTrust, Platform};
use crate::problem::Problem;

/// Longest detail of somebody else's problem that is passed on, characters.
const MAX_DETAIL_CHARS: usize = 400;

/// Says why a peer did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// No answer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A problem document.
    #[error("answers {}", .0.code)]
    Refused(Problem),
    /// Something else than the protocol says.
    #[error("answered something that is not the protocol")]
    Malformed,
    /// An answer of the right form that is not right; what is wrong with it.
    #[error("{0}")]
    Wrong(&'static str),
    /// A share that does not match its commitment.
    #[error("returned a share that is not the one it was given")]
    WrongShare,
    /// An anchor that no enclave made.
    #[error("named a version of a record that no enclave wrote")]
    InventedAnchor,
    /// A time too far from the own one.
    #[error("says that the time is {0} ms from this clock's")]
    OtherTime(i64),
    /// The request could not be made.
    #[error("could not be asked")]
    Local,
}

impl CallError {
    /// The code by which a peer refused.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            Self::WrongShare => Some(Code::ShareInvalid),
            _ => None,
        }
    }
}

/// A body as JSON; the only failure is a bug.
pub(crate) fn to_json(body: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(body).map_err(|_| CallError::Local)
}

fn read<T: DeserializeOwned>(response: &PeerResponse) -> Result<T, CallError> {
    if (200..300).contains(&response.status) {
        return serde_json::from_slice(&response.body).map_err(|_| CallError::Malformed);
    }
    let problem: ProblemBody =
        serde_json::from_slice(&response.body).map_err(|_| CallError::Malformed)?;
    let detail = problem.detail.map(|text| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(MAX_DETAIL_CHARS)
            .collect::<String>()
    });
    Err(CallError::Refused(Problem {
        code: problem.code,
        detail,
    }))
}

/// Asks the host's store. `None` for 404.
pub(crate) async fn call_host<P: Platform>(
    platform: &P,
    method: &'static str,
    path: &'static str,
    body: Vec<u8>,
) -> Result<Option<Vec<u8>>, CallError> {
    let peer = Peer {
        authority: HOST_AUTHORITY.to_owned(),
        trust: PeerTrust::HostStore,
    };
    let headers = match body.is_empty() {
        true => Vec::new(),
        false => vec![("content-type".to_owned(), "application/json".to_owned())],
    };
    let request = PeerRequest {
        method,
        path: path.to_owned(),
        headers,
        body,
        max_response: HOST_MAX_RESPONSE,
        timeout: HOST_TIMEOUT,
    };
    let response = platform.call(&peer, request).await?;
    match response.status {
        404 => Ok(None),
        200..300 => Ok(Some(response.body)),
        _ => Err(read::<IgnoredAny>(&response)
            .err()
            .unwrap_or(CallError::Malformed)),
    }
}

/// A holder or guard, with the instance's registration there.
pub(crate) struct Registrant<P> {
    core: Arc<Core<P>>,
    peer: Peer,
    /// Counts registrations, so that parallel calls that all found none make one.
    registrations: AtomicU64,
    registering: Mutex<()>,
    /// Said after each registration: the attestation keys, for holders.
    statement: RwLock<Option<Arc<[u8]>>>,
}

impl<P: Platform> Registrant<P> {
    pub(crate) fn new(core: Arc<Core<P>>, authority: String, tls_spki_sha256: [u8; 32]) -> Self {
        Self {
            core,
            peer: Peer {
                authority,
                trust: PeerTrust::TlsSpkiSha256(tls_spki_sha256),
            },
            registrations: AtomicU64::new(0),
            registering: Mutex::new(()),
            statement: RwLock::new(None),
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sets what is said after each registration from now on.
    pub(crate) fn set_statement(&self, body: Arc<[u8]>) {
        *self
            .statement
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// Calls as the registered instance; registers first where the peer knows no registration.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
    ) -> Result<T, CallError> {
        let seen = self.registrations.load(Ordering::Acquire);
        match self.call_signed(path, body).await {
            Err(CallError::Refused(problem)) if problem.code == Code::NotRegistered => {
                self.register(Some(seen)).await?;
                self.call_signed(path, body).await
            }
            other => other,
        }
    }

    /// Registers with a fresh document. With `seen`, only if nobody did since then.
    pub(crate) async fn register(&self, seen: Option<u64>) -> Result<(), CallError> {
        let _one_at_a_time = self.registering.lock().await;
        if seen.is_some_and(|seen| seen != self.registrations.load(Ordering::Acquire)) {
            return Ok(());
        }
        let Nonce { nonce } = self
            .call_unsigned(path::NONCE, &to_json(&Empty {})?)
            .await?;
        let attested = self.core.attest(&nonce).map_err(|error| {
            tracing::error!(%error, "no document for a registration");
            CallError::Local
        })?;
        let body = to_json(&Register { nonce, attested })?;
        let registered: Registered = self.call_unsigned(path::REGISTER, &body).await?;
        if registered.instance != self.core.instance() {
            return Err(CallError::Wrong("registered another instance"));
        }
        let statement = self
            .statement
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Arc::clone);
        if let Some(body) = statement {
            let Empty {} = self.call_signed(path::ATTESTATION_KEYS, &body).await?;
        }
        self.registrations.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    async fn call_unsigned<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
    ) -> Result<T, CallError> {
        self.send(path, body, Vec::new()).await
    }

    async fn call_signed<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
    ) -> Result<T, CallError> {
        let instance = self.core.instance().to_string();
        let mut rng = self.core.rng().map_err(|_| CallError::Local)?;
        let digest = content_digest(body);
        let unsigned = UnsignedRequest::new(
            Profile::Instance,
            Components {
                method: "POST".to_owned(),
                authority: self.peer.authority.clone(),
                path: path.to_owned(),
                query: "?".to_owned(),
                content_digest: digest.clone(),
                device: None,
            },
            &SignatureParams {
                created: self.core.now(),
                lifetime_seconds: MAX_LIFETIME_SECONDS,
                nonce: &RequestId::random(&mut rng).to_string(),
                key_id: &instance,
            },
        )
        .map_err(|_| CallError::Local)?;
        let signature = self.core.signing_key().sign(unsigned.signature_base());
        let signed = unsigned.with_signature(&signature);
        let headers = vec![
            (INSTANCE_HEADER.to_owned(), instance),
            ("content-digest".to_owned(), digest),
            ("signature-input".to_owned(), signed.signature_input),
            ("signature".to_owned(), signed.signature),
        ];
        self.send(path, body, headers).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &[u8],
        mut headers: Vec<(String, String)>,
    ) -> Result<T, CallError> {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        let request = PeerRequest {
            method: "POST",
            path: path.to_owned(),
            headers,
            body: body.to_vec(),
            max_response: PEER_MAX_RESPONSE,
            timeout: PEER_TIMEOUT,
        };
        read(&self.core.platform().call(&self.peer, request).await?)
    }
}
