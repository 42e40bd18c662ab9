//! The operator's calls to an enclave, over its inbound socket: on no network, in no public API.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use keyfold_net::client::ClientLimits;
use keyfold_net::{ClientError, HttpClient, Problem};
use keyfold_protocol::gateway_api::{
    DrillBatch, DrilledBatch, GenesisPlan, HolderStates, InstanceStatus, RefreshBatch,
    RefreshedBatch, host_path,
};
use keyfold_protocol::realm::{RealmError, SignedRealmRecord};
use serde::de::DeserializeOwned;

use crate::enclaves::{get, post};
use crate::pipes::Inbound;

/// Every holder verifies a document and signs; the slowest decides.
const GENESIS_TIMEOUT: Duration = Duration::from_secs(120);
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// Each holder is waited for.
const HOLDERS_TIMEOUT: Duration = Duration::from_secs(30);
/// A batch goes to every holder several times, and into many records.
const BATCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Why an enclave did not do what the operator asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnclaveCallError {
    /// It does not answer.
    #[error("the enclave does not answer; is it running, and is this its inbound socket?")]
    Unreachable(#[source] ClientError),
    /// It refused, and says why.
    #[error("the enclave refused: {0}")]
    Refused(Problem),
    /// It answered something that is no answer.
    #[error("the enclave answered with status {status} and nothing that can be read")]
    Unreadable {
        /// HTTP status.
        status: u16,
    },
    /// The realm record it returned is not signed by all its holders.
    #[error("the enclave returned a realm record that is not valid")]
    Realm(#[from] RealmError),
    /// The plan cannot be written as JSON.
    #[error("the plan cannot be sent")]
    Plan(#[source] serde_json::Error),
}

/// Asks an enclave without a realm to make one, and returns the record that all holders signed.
///
/// A genesis that was cut off can be repeated.
///
/// # Errors
///
/// [`EnclaveCallError`].
///
/// # Security
///
/// Whoever reaches the inbound socket of an enclave that waits for genesis chooses its holders. The
/// operator shows the realm id of the answer to every holder, and clients pin it.
pub async fn genesis(
    inbound: impl Into<Inbound>,
    plan: &GenesisPlan,
) -> Result<SignedRealmRecord, EnclaveCallError> {
    let body = serde_json::to_vec(plan).map_err(EnclaveCallError::Plan)?;
    let request = post(host_path::GENESIS, "application/json", body.into());
    let signed: SignedRealmRecord = ask(inbound, request, GENESIS_TIMEOUT).await?;
    Ok(signed.verify_unpinned()?.signed().clone())
}

/// Asks an enclave how it is.
///
/// # Errors
///
/// [`EnclaveCallError`].
pub async fn status(inbound: impl Into<Inbound>) -> Result<InstanceStatus, EnclaveCallError> {
    ask(inbound, get(host_path::STATUS), STATUS_TIMEOUT).await
}

/// Asks an enclave how it finds the realm's holders.
///
/// # Errors
///
/// [`EnclaveCallError`].
pub async fn holders(inbound: impl Into<Inbound>) -> Result<HolderStates, EnclaveCallError> {
    ask(inbound, get(host_path::HOLDERS), HOLDERS_TIMEOUT).await
}

/// Has an enclave make new shares of the next keys, under a warrant.
///
/// # Errors
///
/// [`EnclaveCallError`]; the same batch may be asked for again.
pub async fn refresh(
    inbound: impl Into<Inbound>,
    batch: &RefreshBatch,
) -> Result<RefreshedBatch, EnclaveCallError> {
    let body = serde_json::to_vec(batch).map_err(EnclaveCallError::Plan)?;
    let request = post(host_path::REFRESH, "application/json", body.into());
    ask(inbound, request, BATCH_TIMEOUT).await
}

/// Has an enclave ask the holders whether their shares of the next keys are good.
///
/// # Errors
///
/// [`EnclaveCallError`].
pub async fn drill(
    inbound: impl Into<Inbound>,
    batch: &DrillBatch,
) -> Result<DrilledBatch, EnclaveCallError> {
    let body = serde_json::to_vec(batch).map_err(EnclaveCallError::Plan)?;
    let request = post(host_path::DRILL, "application/json", body.into());
    ask(inbound, request, BATCH_TIMEOUT).await
}

async fn ask<T: DeserializeOwned>(
    inbound: impl Into<Inbound>,
    request: Request<Bytes>,
    limit: Duration,
) -> Result<T, EnclaveCallError> {
    let limits = ClientLimits {
        request_timeout: limit,
        max_idle: 0,
        ..ClientLimits::default()
    };
    let client = HttpClient::new(inbound.into().connector(), limits);
    let answer = client
        .send(request)
        .await
        .map_err(EnclaveCallError::Unreachable)?;
    if let Some(problem) = Problem::from_response(&answer) {
        return Err(EnclaveCallError::Refused(problem));
    }
    let status = answer.status();
    serde_json::from_slice(answer.body())
        .ok()
        .filter(|_| status == StatusCode::OK)
        .ok_or(EnclaveCallError::Unreadable {
            status: status.as_u16(),
        })
}
