//! The end of devices and of other sessions, by a device of the account.
//!
//! Holders decide, since they judge the device by their own lists; once a write quorum of them has
//! stored it, the account's record follows. So a device that they refuse changes nothing, and a
//! record store that is away keeps nobody in: the answer is `pending` until both are done.

use std::sync::Arc;

use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::mail::Notice;
use keyfold_protocol::client_api::{
    Nothing, Revocation, RevokeDevice, RevokeSession, Revoked, SessionInfo, Sessions,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceRevoke, Empty, MAX_REVOKED_AT_ONCE, path};
use keyfold_protocol::webhook::Happened;

use super::notices::notify;
use super::session::{check_active, in_session, was_waiting};
use super::step_up::require;
use crate::holders::first;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Message};
use crate::request::{Body, SessionRequest};

/// Takes a device off the account for good. Repeatable.
pub(super) async fn device<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<RevokeDevice>,
) -> Result<Revoked, Problem> {
    let device = request.body().device;
    if device != request.thumbprint() {
        may_end(realm, &request).await?;
    }
    let body = device_body(&request, Vec::new())?;
    let account = request.owner().account;
    let message =
        Message::device_revocation(&account, Some(device), Arc::clone(&body), request.expires());
    if !at_holders(realm, path::DEVICE_REVOKE, &body, message).await? {
        return Ok(answer(false));
    }
    let notice = Notice::DeviceRevoked { device };
    let done = in_record(realm, &request, &notice, |_| vec![device]).await;
    Ok(answer(done))
}

/// Takes every device off the account but the one that asks. Repeatable.
pub(super) async fn other_devices<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Revoked, Problem> {
    may_end(realm, &request).await?;
    let this = request.thumbprint();
    // Holders that missed one must not learn of it later. Without the record each ends those that
    // it knows.
    let id = realm.account_id(&request.owner());
    let known = realm.records.read::<Account>(id).await;
    let mut named = match known {
        Ok(Some(held)) => held.value.devices_but(this),
        Ok(None) | Err(_) => Vec::new(),
    };
    named.truncate(MAX_REVOKED_AT_ONCE);
    let body = device_body(&request, named)?;
    let account = request.owner().account;
    let message = Message::device_revocation(&account, None, Arc::clone(&body), request.expires());
    if !at_holders(realm, path::DEVICE_REVOKE, &body, message).await? {
        return Ok(answer(false));
    }
    let notice = Notice::OtherDevicesRevoked { left: this };
    let done = in_record(realm, &request, &notice, |account| {
        account.devices_but(this)
    })
    .await;
    Ok(answer(done))
}

/// Ends a session of the account. Repeatable.
pub(super) async fn session<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<RevokeSession>,
) -> Result<Revoked, Problem> {
    let session = request.body().session;
    if session != request.session().claims().sid {
        may_end(realm, &request).await?;
    }
    let body: Arc<[u8]> = in_session(&request)?.into();
    let message = Message::revocation(&session, Arc::clone(&body), request.expires());
    if !at_holders(realm, path::SESSION_REVOKE, &body, message).await? {
        return Ok(answer(false));
    }
    let id = realm.account_id(&request.owner());
    let gone = realm.records.change(id, |current: Option<Account>| {
        let mut account = current.ok_or(Code::SessionInvalid)?;
        let Some(device) = account.session(&session).map(|known| known.jkt) else {
            return Ok(Change::Keep(None));
        };
        account.sessions.retain(|known| known.sid != session);
        Ok(Change::Write(account, Some(device)))
    });
    match gone.await {
        Ok(Some(device)) => {
            let ended = Happened::SessionRevoked {
                account: request.owner().account,
                device,
                session,
            };
            realm.tell_app(request.project(), ended);
            Ok(answer(true))
        }
        Ok(None) => Ok(answer(true)),
        Err(problem) => {
            tracing::warn!(code = %problem.code, "an ended session is still in its record");
            Ok(answer(false))
        }
    }
}

/// Lists the account's sessions, for a device that may act.
pub(super) async fn sessions<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Sessions, Problem> {
    let account = realm.session_account(&request).await?.value;
    check_active(realm, &request).await?;
    let now = realm.now();
    let this = request.session().claims().sid;
    let lasting = account.sessions.iter().filter(|known| known.ends > now);
    let mut sessions: Vec<_> = lasting
        .map(|session| {
            let device = account.devices.iter().find(|d| d.jkt == session.jkt);
            SessionInfo {
                session: session.sid,
                device: session.jkt,
                device_name: device.map(|d| d.name.clone()).unwrap_or_default(),
                started: session.auth_time,
                ends: session.ends,
                amr: session.amr.clone(),
                acr: session.acr.clone(),
                this: session.sid == this,
            }
        })
        .collect();
    sessions.sort_by_key(|session| session.started);
    Ok(Sessions { sessions })
}

/// Refuses to end what is another device's to one that waits, and to a session without the fresh
/// proof that the project or the person asks for.
///
/// # Security
///
/// Where the records cannot be read, nobody knows what is asked for, and the holders' word is enough:
/// to keep somebody from throwing a thief out would be worse.
async fn may_end<P: Platform, B: Body>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
) -> Result<(), Problem> {
    if was_waiting(request) {
        return Err(Code::DevicePending.into());
    }
    let id = realm.account_id(&request.owner());
    let project = realm.project(request.project()).await;
    let account = realm.records.read::<Account>(id).await;
    let (Ok(project), Ok(Some(account))) = (project, account) else {
        return Ok(());
    };
    require(realm, &project, &account.value, request, |rules| {
        rules.end_sessions
    })
}

fn device_body<B: Body>(
    request: &SessionRequest<B>,
    devices: Vec<Thumbprint>,
) -> Result<Arc<[u8]>, Problem> {
    let evidence = request.evidence();
    to_json(&DeviceRevoke { evidence, devices })
        .map(Into::into)
        .map_err(|_| Problem::internal("evidence cannot be written"))
}

/// Has the holders store it; tells whether a write quorum has. Those that were away hear it for as
/// long as the device's signature is good.
///
/// Where they refuse the device, that is the answer. Where they are away, it is not.
async fn at_holders<P: Platform>(
    realm: &Realm<P>,
    path: &'static str,
    body: &Arc<[u8]>,
    message: Message,
) -> Result<bool, Problem> {
    let needed = realm.holders.write_quorum();
    let asked = realm.holders.ask_same::<Empty>(path, body.to_vec());
    let stored = first(needed, asked).await;
    for (index, error) in &stored.bad {
        tracing::warn!(holder = realm.holders.name(*index), %error, "a revocation was not stored");
    }
    let enough = stored.good.len() >= needed;
    if !enough {
        let problem = realm.holders.shortage(needed, &stored.bad);
        if problem.code != Code::HoldersUnavailable {
            return Err(problem);
        }
    }
    realm.records.tell_missed(stored, message);
    Ok(enough)
}

/// Takes devices off the account's record, and tells its owner; `false` where that failed.
async fn in_record<P: Platform, B: Body>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    notice: &Notice,
    gone: impl Fn(&Account) -> Vec<Thumbprint>,
) -> bool {
    let id = realm.account_id(&request.owner());
    let changed = realm.records.change(id, |current: Option<Account>| {
        let mut account = current.ok_or(Code::SessionInvalid)?;
        let gone = gone(&account);
        if !account.take_off(&gone) {
            return Ok(Change::Keep((None, Vec::new())));
        }
        let told = account.count_notice(realm.now()).then(|| account.clone());
        Ok(Change::Write(account, (told, gone)))
    });
    match changed.await {
        Ok((told, gone)) => {
            let account = request.owner().account;
            for device in gone {
                let revoked = Happened::DeviceRevoked { account, device };
                realm.tell_app(request.project(), revoked);
            }
            let Some(account) = told else { return true };
            if let Ok(project) = realm.project(request.project()).await {
                notify(realm, &project, &account, notice);
            }
            true
        }
        Err(problem) => {
            tracing::warn!(code = %problem.code, "a device that was taken off is still in its record");
            false
        }
    }
}

fn answer(done: bool) -> Revoked {
    let state = if done {
        Revocation::Done
    } else {
        Revocation::Pending
    };
    Revoked { state }
}
