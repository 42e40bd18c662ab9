//! HTTP: paths, bodies, and the signature of the calling instance.

mod caller;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use keyfold_net::limit::IpKey;
use keyfold_net::serve::Peer;
use keyfold_net::{HttpLimits, harden};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{MAX_BODY, path};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::caller::{authenticate, read_body};
use crate::error::ApiError;
use crate::holder::Holder;
use crate::ops;

type Answer = Result<Response, ApiError>;

/// Makes the holder's whole API.
pub fn router(holder: Arc<Holder>) -> Router {
    let router = Router::new()
        // Anybody.
        .route(path::CARD, get(card))
        .route(path::CHECKPOINT, get(checkpoint))
        .route(path::NONCE, post(nonce))
        // An instance that brings its document.
        .route(path::REGISTER, post(register))
        // A registered instance.
        .route(path::GENESIS_PROPOSE, post(genesis_propose))
        .route(path::GENESIS_COMMIT, post(genesis_commit))
        .route(path::TIME, post(time))
        // A registered instance of our realm.
        .route(path::SEED, post(seed))
        .route(path::ATTESTATION_KEYS, post(attestation_keys))
        .route(path::DEVICE_ENROL, post(device_enrol))
        .route(path::DEVICE_APPROVE, post(device_approve))
        .route(path::DEVICE_SYNC, post(device_sync))
        .route(path::DEVICE_LIST, post(device_list))
        .route(path::DEVICE_REVOKE, post(device_revoke))
        .route(path::SESSION_CHECK, post(session_check))
        .route(path::SESSION_REVOKE, post(session_revoke))
        .route(path::SHARE_STORE, post(share_store))
        .route(path::SHARE_RELEASE, post(share_release))
        .route(path::KEY_LIST, post(key_list))
        .route(path::SHARE_HAND_OVER, post(share_hand_over))
        .route(path::SHARE_TAKE_OVER, post(share_take_over))
        .route(path::SHARE_CONFIRM, post(share_confirm))
        .route(path::SHARE_RETIRE, post(share_retire))
        .route(path::SHARE_DRILL, post(share_drill))
        .route(path::ANCHOR_READ, post(anchor_read))
        .route(path::ANCHOR_COMMIT, post(anchor_commit))
        .route(path::ANCHOR_REPAIR, post(anchor_repair))
        .route(path::MAIL_RESERVE, post(mail_reserve))
        .route(path::MAIL_RESERVE_DEVICE, post(mail_reserve_device))
        .route(path::ATTEMPT_RESERVE, post(attempt_reserve))
        .route(path::IDENTITY_LINK, post(identity_link))
        .route(path::IDENTITY_UNLINK, post(identity_unlink))
        .route(path::PROJECT_CHANGED, post(project_changed))
        .fallback(async || ApiError::code(Code::NotFound))
        .method_not_allowed_fallback(async || ApiError::code(Code::MethodNotAllowed))
        .with_state(holder);
    harden(
        router,
        HttpLimits {
            max_body_bytes: MAX_BODY,
            ..HttpLimits::default()
        },
    )
}

async fn card(State(holder): State<Arc<Holder>>) -> Answer {
    Ok(json(&ops::open::card(&holder)))
}

async fn checkpoint(State(holder): State<Arc<Holder>>) -> Answer {
    Ok(ops::open::checkpoint(&holder).await?.into_response())
}

async fn nonce(State(holder): State<Arc<Holder>>) -> Answer {
    Ok(json(&ops::open::nonce(&holder)))
}

/// Verifying a document costs a hundred times what sending one does, so strangers are counted.
async fn register(State(holder): State<Arc<Holder>>, request: Request) -> Answer {
    if let Some(Peer(Some(address))) = request.extensions().get::<Peer>() {
        holder
            .registration_limit()
            .check(&IpKey::of(address.ip()))
            .map_err(|_| ApiError::code(Code::RateLimited))?;
    }
    let body = read_body(request.into_body()).await?;
    Ok(json(
        &ops::registration::register(&holder, parse(&body)?).await?,
    ))
}

/// Handlers of calls that a registered instance signed: `any` for whoever is registered, `member`
/// for instances of the holder's realm.
macro_rules! signed_calls {
    (@who any $caller:ident) => { $caller };
    (@who member $caller:ident) => { $caller.into_member()? };
    ($($name:ident: $who:ident, $operation:path;)*) => {
        $(async fn $name(State(holder): State<Arc<Holder>>, request: Request) -> Answer {
            let (caller, body) = authenticate(&holder, request).await?;
            let who = signed_calls!(@who $who caller);
            Ok(json(&$operation(&holder, who, parse(&body)?).await?))
        })*
    };
}

signed_calls! {
    genesis_propose: any, ops::genesis::propose;
    genesis_commit: any, ops::genesis::commit;
    time: any, ops::registration::time;
    seed: member, ops::registration::seed;
    attestation_keys: member, ops::registration::attestation_keys;
    device_enrol: member, ops::devices::enrol;
    device_approve: member, ops::devices::approve;
    device_sync: member, ops::devices::sync;
    device_list: member, ops::devices::list;
    device_revoke: member, ops::revocations::revoke;
    session_check: member, ops::sessions::check;
    session_revoke: member, ops::sessions::revoke;
    share_store: member, ops::shares::store;
    share_release: member, ops::shares::release;
    key_list: member, ops::maintenance::list;
    share_hand_over: member, ops::maintenance::hand_over;
    share_take_over: member, ops::maintenance::take_over;
    share_confirm: member, ops::maintenance::confirm;
    share_retire: member, ops::maintenance::retire;
    share_drill: member, ops::maintenance::drill;
    anchor_read: member, ops::anchors::read;
    anchor_commit: member, ops::anchors::commit;
    anchor_repair: member, ops::anchors::repair;
    mail_reserve: member, ops::mail::reserve;
    mail_reserve_device: member, ops::mail::reserve_for_device;
    attempt_reserve: member, ops::attempts::reserve;
    identity_link: member, ops::identities::link;
    identity_unlink: member, ops::identities::unlink;
    project_changed: member, ops::projects::changed;
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // The parser's message may quote the body; the caller knows what it sent.
    serde_json::from_slice(body).map_err(|_| ApiError::code(Code::MalformedRequest))
}

fn json<T: Serialize>(answer: &T) -> Response {
    keyfold_net::Json(answer).into_response()
}
