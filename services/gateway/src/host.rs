//! The record store as the enclaves reach it: HTTP over the outbound pipe, on no network.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use keyfold_net::{HttpLimits, Json, Problem, harden};
use keyfold_protocol::config::StoredTree;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{
    MAX_RECORD, RecordGet, RecordPut, RecordSettle, RecordVersions, host_path,
};
use keyfold_protocol::holder_api::Empty;
use keyfold_protocol::realm::SignedRealmRecord;

use crate::api::{problem, problem_with};
use crate::records::{
    RealmPutError, RealmStore, RecordError, RecordStore, TreePutError, TreeStore,
};

/// A record in base64url, and the JSON around it.
const MAX_BODY: usize = MAX_RECORD.div_ceil(3) * 4 + 4 * 1024;

#[derive(Clone)]
struct Host {
    records: RecordStore,
    realm: RealmStore,
    trees: TreeStore,
}

pub(crate) fn router(records: RecordStore, realm: RealmStore, trees: TreeStore) -> Router {
    let api = Router::new()
        .route(host_path::RECORD_GET, post(record_get))
        .route(host_path::RECORD_PUT, post(record_put))
        .route(host_path::RECORD_SETTLE, post(record_settle))
        .route(host_path::REALM, get(realm_get).put(realm_put))
        .route(host_path::TREE, put(tree_put))
        .with_state(Host {
            records,
            realm,
            trees,
        });
    let limits = HttpLimits {
        max_body_bytes: MAX_BODY,
        ..HttpLimits::default()
    };
    harden(api, limits)
}

async fn record_get(
    State(host): State<Host>,
    Json(RecordGet { record }): Json<RecordGet>,
) -> Result<Json<RecordVersions>, Problem> {
    let versions = host
        .records
        .get(&record)
        .await
        .map_err(|error| Problem::internal(&error))?;
    Ok(Json(RecordVersions { versions }))
}

async fn record_put(
    State(host): State<Host>,
    Json(put): Json<RecordPut>,
) -> Result<Json<Empty>, Problem> {
    host.records
        .put(&put, now_seconds())
        .await
        .map_err(refusal)?;
    Ok(Json(Empty {}))
}

async fn record_settle(
    State(host): State<Host>,
    Json(settle): Json<RecordSettle>,
) -> Result<Json<Empty>, Problem> {
    host.records.settle(&settle).await.map_err(refusal)?;
    Ok(Json(Empty {}))
}

async fn realm_get(State(host): State<Host>) -> Result<Response, Problem> {
    // To an enclave that boots, no realm is an answer and not a mistake: it waits for genesis.
    let json = host.realm.json().ok_or_else(|| problem(Code::NotFound))?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

async fn realm_put(
    State(host): State<Host>,
    Json(signed): Json<SignedRealmRecord>,
) -> Result<Json<Empty>, Problem> {
    host.realm.put(signed).await.map_err(|error| match &error {
        RealmPutError::Invalid(reason) => problem_with(Code::RealmInvalid, reason.to_string()),
        RealmPutError::Exists => problem_with(Code::RealmExists, error.to_string()),
        RealmPutError::Storage(error) => Problem::internal(error),
    })?;
    Ok(Json(Empty {}))
}

async fn tree_put(
    State(host): State<Host>,
    Json(tree): Json<StoredTree>,
) -> Result<Json<Empty>, Problem> {
    host.trees.put(&tree).await.map_err(|error| match &error {
        TreePutError::Invalid(_) | TreePutError::TooLarge => {
            problem_with(Code::MalformedRequest, error.to_string())
        }
        TreePutError::Storage(error) => Problem::internal(error),
    })?;
    Ok(Json(Empty {}))
}

fn refusal(error: RecordError) -> Problem {
    let code = match &error {
        RecordError::HashMismatch | RecordError::BadSize | RecordError::BadVersion => {
            Code::MalformedRequest
        }
        RecordError::Superseded | RecordError::Full | RecordError::NotStored => {
            Code::RecordConflict
        }
        RecordError::Storage(error) => return Problem::internal(error),
    };
    problem_with(code, error.to_string())
}

fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
