//! What the host asks over the inbound pipe.

use core::fmt;
use std::sync::Arc;

use keyfold_protocol::delivery::CookieChange;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{
    AttestationRequest, DrillBatch, GenesisPlan, InstanceStatus, MAX_SEALED, RefreshBatch,
    host_path,
};
use keyfold_protocol::ohttp::{InnerResponse, OpenError, RESPONSE_MEDIA_TYPE};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Enclave;
use crate::delivery::Delivered;
use crate::maintenance;
use crate::operations;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// Largest plan, bytes.
const MAX_PLAN: usize = 64 * 1024;

/// A request of the host; the runtime has read it whole.
#[derive(Clone)]
pub struct HostRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Path, one of [`host_path`](keyfold_protocol::gateway_api::host_path).
    pub path: String,
    /// The header [`SEALED_SESSION`](keyfold_protocol::delivery::header::SEALED_SESSION): what a
    /// client's cookie holds.
    pub sealed_session: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HostRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The answer.
#[derive(Clone)]
pub struct HostResponse {
    /// HTTP status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// The header [`SET_SESSION`](keyfold_protocol::delivery::header::SET_SESSION).
    pub set_session: Option<CookieChange>,
    /// Body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HostResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl<P: Platform> Enclave<P> {
    /// Answers one request of the host; never fails, never panics.
    ///
    /// # Security
    ///
    /// Everything in the request comes from the host, which is trusted with nothing.
    pub async fn handle(&self, request: HostRequest) -> HostResponse {
        self.answer(request).await.unwrap_or_else(|problem| {
            let body = problem.body();
            let status = body.status;
            let body = serde_json::to_vec(&body).unwrap_or_default();
            HostResponse {
                status,
                content_type: PROBLEM,
                set_session: None,
                body,
            }
        })
    }

    async fn answer(&self, request: HostRequest) -> Result<HostResponse, Problem> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", host_path::STATUS) => {
                let realm = self.realm();
                json(&InstanceStatus {
                    instance: self.instance(),
                    ready: realm.as_ref().is_some_and(|realm| realm.serves()),
                    awaits_genesis: realm.is_none(),
                })
            }
            ("GET", host_path::JWKS) => {
                let realm = self.realm().ok_or(Code::RealmMissing)?;
                json(&realm.verifier.keys)
            }
            ("POST", host_path::ATTESTATION) => {
                let AttestationRequest { nonce } = parse(&request.body, MAX_PLAN)?;
                json(&self.core.attest(&nonce)?)
            }
            ("POST", host_path::GENESIS) => {
                let plan: GenesisPlan = parse(&request.body, MAX_PLAN)?;
                json(&self.genesis(plan).await?)
            }
            ("GET", host_path::HOLDERS) => {
                // Also of an instance that stopped, since holders may be why.
                let realm = self.realm().ok_or(Code::RealmMissing)?;
                json(&maintenance::holders(&realm).await?)
            }
            ("POST", host_path::REFRESH) => {
                let asked: RefreshBatch = parse(&request.body, MAX_PLAN)?;
                let realm = self.serving()?;
                json(&maintenance::refresh(&realm, asked).await?)
            }
            ("POST", host_path::DRILL) => {
                let asked: DrillBatch = parse(&request.body, MAX_PLAN)?;
                let realm = self.serving()?;
                json(&maintenance::drill(&realm, asked).await?)
            }
            ("POST", host_path::OHTTP) => {
                let beside = request.sealed_session.as_deref();
                self.sealed(&request.body, beside).await
            }
            (
                _,
                host_path::STATUS
                | host_path::JWKS
                | host_path::ATTESTATION
                | host_path::GENESIS
                | host_path::HOLDERS
                | host_path::REFRESH
                | host_path::DRILL
                | host_path::OHTTP,
            ) => Err(Code::MethodNotAllowed.into()),
            _ => Err(Code::NotFound.into()),
        }
    }

    fn serving(&self) -> Result<Arc<Realm<P>>, Code> {
        let realm = self.realm().ok_or(Code::RealmMissing)?;
        realm.serves().then_some(realm).ok_or(Code::Unavailable)
    }

    /// Answers a sealed request. Only what happens before it is open is said in clear.
    async fn sealed(&self, sealed: &[u8], beside: Option<&str>) -> Result<HostResponse, Problem> {
        if sealed.len() > MAX_SEALED {
            return Err(Code::BodyTooLarge.into());
        }
        let realm = self.serving()?;
        let (inner, sealer) = self.core.open(sealed).map_err(|error| match error {
            OpenError::UnknownKey => Code::UnknownKey,
            OpenError::TooLarge => Code::BodyTooLarge,
            OpenError::NotAuthentic | OpenError::Message(_) => Code::SealBroken,
        })?;
        let answer = operations::answer(&realm, &inner, beside).await;
        let (status, content_type, body, set_session) = match answer {
            Ok(Delivered { answer, cookie }) => (200, JSON, answer, cookie),
            Err(problem) => {
                let body = problem.body();
                let json = serde_json::to_vec(&body).unwrap_or_default();
                (body.status, PROBLEM, json, None)
            }
        };
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let body = sealer
            .seal(&InnerResponse {
                status,
                headers,
                body,
            })
            .map_err(|_| Problem::internal("an answer cannot be sealed"))?;
        Ok(HostResponse {
            status: 200,
            content_type: RESPONSE_MEDIA_TYPE,
            set_session,
            body,
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], max: usize) -> Result<T, Problem> {
    if body.len() > max {
        return Err(Code::BodyTooLarge.into());
    }
    serde_json::from_slice(body).map_err(|_| Code::MalformedRequest.into())
}

fn json(body: &impl Serialize) -> Result<HostResponse, Problem> {
    let body =
        serde_json::to_vec(body).map_err(|_| Problem::internal("an answer cannot be written"))?;
    Ok(HostResponse {
        status: 200,
        content_type: JSON,
        set_session: None,
        body,
    })
}
