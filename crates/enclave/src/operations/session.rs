//! Sessions: issue, renew, end.

use std::sync::Arc;

use futures_util::future::join;
use keyfold_crypto::jwk::PublicJwk;
use keyfold_protocol::client_api::{Nothing, Renewed, Revocation, SignedOut};
use keyfold_protocol::delivery::{CookieChange, Delivery, HeldAttestation, Renew};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceAck, DeviceState, DeviceSync, Empty, InSession, path};
use keyfold_protocol::ids::AddressId;
use keyfold_protocol::session::{Confirmation, SessionClaims};
use keyfold_protocol::webhook::Happened;
use rand_core::Rng;

use crate::delivery::Delivered;
use crate::holders::{Asked, Gathered, first};
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, DeviceRecord, Message, Project, SessionRecord};
use crate::request::{Body, SessionRequest};

/// Ends the `acr` of an attestation whose device still waits: the proof is all there is.
const WAITING: &str = "-waiting";

/// A fresh attestation, delivered.
pub(super) struct Issued {
    pub(super) attestation: HeldAttestation,
    pub(super) expires: u64,
    pub(super) cookie: Option<CookieChange>,
}

/// Signs an attestation of what the account's record says, as far as the device may know it.
///
/// # Security
///
/// One that waits is attested as such: `acr` says so, and no wallet is named, so that nothing can
/// be signed with it, and an app that looks at either does not take its holder for the owner.
pub(super) fn issue<P: Platform>(
    realm: &Realm<P>,
    project: &Project,
    account: &Account,
    session: &SessionRecord,
    device: DeviceState,
    delivery: Delivery,
) -> Result<Issued, Problem> {
    let now = realm.now();
    let expires = now
        .saturating_add(project.sign_in.attestation_seconds)
        .min(session.ends);
    if expires <= now {
        return Err(Code::SessionExpired.into());
    }
    let mut jti = [0; 16];
    realm.core.rng()?.fill_bytes(&mut jti);
    let may_act = device == DeviceState::Active;
    let named = account.wallets().filter(|_| may_act);
    let claims = SessionClaims {
        iss: realm.verified.id(),
        aud: account.project.clone(),
        sub: account.account,
        cnf: Confirmation { jkt: session.jkt },
        wallets: named
            .map(|w| AddressId::from_bytes(w.address.into()))
            .collect(),
        amr: session.amr.clone(),
        acr: if may_act {
            session.acr.clone()
        } else {
            format!("{}{WAITING}", session.acr)
        },
        auth_time: session.auth_time,
        sid: session.sid,
        iat: now,
        exp: expires,
        jti: keyfold_crypto::b64::encode(&jti),
    };
    let attestation = realm.attest_session(&claims)?;
    let delivered = realm.deliver(delivery, attestation, claims, session.ends)?;
    Ok(Issued {
        attestation: delivered.answer,
        expires,
        cookie: delivered.cookie,
    })
}

/// The body of a request that holders judge by its evidence alone.
pub(super) fn in_session<B: Body>(request: &SessionRequest<B>) -> Result<Vec<u8>, Problem> {
    to_json(&InSession {
        evidence: request.evidence(),
    })
    .map_err(|_| Problem::internal("evidence cannot be written"))
}

/// Renews the attestation while the session lasts and t holders let it.
pub(super) async fn renew<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Renew>,
) -> Result<Delivered<Renewed>, Problem> {
    let (account, state) = join(realm.session_account(&request), check(realm, &request)).await;
    let account = account?.value;
    let session = account
        .session(&request.session().claims().sid)
        .ok_or(Code::SessionRevoked)?;
    let device = state?;
    let project = realm.project(request.project()).await?;
    // The newest attestation says when the device was last here, to its lifetime; whoever shows an
    // older one was here less lately.
    let left = request.session().claims().exp;
    if left.saturating_add(project.sign_in.idle_seconds) <= realm.now() {
        return Err(Code::SessionExpired.into());
    }
    let delivery = request.body().delivery;
    let issued = issue(realm, &project, &account, session, device, delivery)?;
    if device == DeviceState::Active {
        note_active(realm, &request, &account).await;
    }
    Ok(Delivered {
        answer: Renewed {
            attestation: issued.attestation,
            attestation_expires: issued.expires,
            device,
        },
        // Whoever wants the text from now on needs no cookie.
        cookie: issued
            .cookie
            .or_else(|| request.clear_cookie(&realm.verifier)),
    })
}

/// Notes in the account's record that a device that waited acts now, so that it keeps its place.
async fn note_active<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<Renew>,
    account: &Account,
) {
    let jkt = request.thumbprint();
    let waits = |device: &&mut DeviceRecord| device.jkt == jkt && device.waiting;
    if !account.devices.iter().any(|d| d.jkt == jkt && d.waiting) {
        return;
    }
    let id = realm.account_id(&request.owner());
    let noted = realm.records.change(id, |current: Option<Account>| {
        let mut account = current.ok_or(Code::SessionInvalid)?;
        match account.devices.iter_mut().find(waits) {
            Some(device) => device.waiting = false,
            None => return Ok(Change::Keep(())),
        }
        Ok(Change::Write(account, ()))
    });
    if let Err(problem) = noted.await {
        // The next renewal notes it.
        tracing::info!(code = %problem.code, "a device's first use is not in its record yet");
    }
}

/// Whether the attestation of a request was issued while its device still waited.
pub(super) fn was_waiting<B: Body>(request: &SessionRequest<B>) -> bool {
    request.session().claims().acr.ends_with(WAITING)
}

/// Refuses a device that t holders do not let act yet.
pub(super) async fn check_active<P: Platform, B: Body>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
) -> Result<(), Problem> {
    match check(realm, request).await? {
        DeviceState::Active => Ok(()),
        DeviceState::Pending { .. } => Err(Code::DevicePending.into()),
    }
}

/// Asks whether the session stands and its device may act.
async fn check<P: Platform, B: Body>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
) -> Result<DeviceState, Problem> {
    let body: Arc<[u8]> = in_session(request)?.into();
    let (owner, device) = (request.owner(), request.thumbprint());
    let asked = realm.holders.ask(|holder| {
        let (verified, body) = (Arc::clone(&realm.verified), Arc::clone(&body));
        let owner = owner.clone();
        async move {
            let ack: DeviceAck = holder.link.call(path::SESSION_CHECK, &body).await?;
            let right = ack.holder == holder.index && ack.owner == owner && ack.device == device;
            if !right || !ack.verify(&verified) {
                return Err(CallError::Wrong("confirmed another device"));
            }
            Ok(ack)
        }
    });
    settle(realm, *request.device(), asked).await
}

/// Waits until the holders have said whether a device may act: it may when t of them let it.
/// Those that do not know it, or let it wait, are told what the others say.
pub(super) async fn settle<P: Platform>(
    realm: &Realm<P>,
    jwk: PublicJwk,
    asked: Asked<DeviceAck>,
) -> Result<DeviceState, Problem> {
    let needed = realm.holders.threshold();
    let mut gathered = first(needed, asked).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    while active(&gathered.good) < needed && active(&gathered.good) + gathered.rest.len() >= needed
    {
        gathered.one_more().await;
    }
    let state = if active(&gathered.good) >= needed {
        DeviceState::Active
    } else {
        strictest(gathered.good.iter().map(|(_, ack)| ack.state))
    };
    sync(realm, jwk, gathered);
    Ok(state)
}

fn active(acks: &[(u8, DeviceAck)]) -> usize {
    let states = acks.iter().map(|(_, ack)| ack.state);
    states.filter(|state| *state == DeviceState::Active).count()
}

/// What several holders say of one device together: it may act when all of them let it.
fn strictest(states: impl IntoIterator<Item = DeviceState>) -> DeviceState {
    states
        .into_iter()
        .fold(DeviceState::Active, |left, right| match (left, right) {
            (DeviceState::Pending { active_at: a }, DeviceState::Pending { active_at: b }) => {
                DeviceState::Pending {
                    active_at: a.max(b),
                }
            }
            (DeviceState::Active, other) | (other, DeviceState::Active) => other,
        })
}

/// Tells holders that missed a device what t others say of it, in the background.
fn sync<P: Platform>(realm: &Realm<P>, jwk: PublicJwk, gathered: Gathered<DeviceAck>) {
    let complete = gathered.bad.is_empty() && gathered.rest.is_empty();
    if complete && active(&gathered.good) == gathered.good.len() {
        return;
    }
    let holders = Arc::clone(&realm.holders);
    realm.core.background.run(async move {
        let everybody = gathered.all().await;
        let (acks, waiting): (Vec<_>, Vec<_>) = everybody
            .good
            .into_iter()
            .partition(|(_, ack)| ack.state == DeviceState::Active);
        if acks.len() < holders.threshold() {
            return;
        }
        let acks = acks.into_iter().map(|(_, ack)| ack).collect();
        let Ok(body) = to_json(&DeviceSync { jwk, acks }) else {
            return;
        };
        let unknown = everybody
            .bad
            .into_iter()
            .filter(|(_, error)| error.code() == Some(Code::DeviceUnknown))
            .map(|(index, _)| index);
        for index in waiting.into_iter().map(|(index, _)| index).chain(unknown) {
            let missed = holders.list().iter().find(|holder| holder.index == index);
            if let Some(holder) = missed {
                let told: Result<DeviceAck, _> = holder.link.call(path::DEVICE_SYNC, &body).await;
                if let Err(error) = told {
                    tracing::info!(holder = holder.card.name, %error, "a device was not taken over");
                }
            }
        }
    });
}

/// Ends the session: first in the account's record, then at the holders. Repeatable.
pub(super) async fn sign_out<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Delivered<SignedOut>, Problem> {
    let sid = request.session().claims().sid;
    let body: Arc<[u8]> = in_session(&request)?.into();
    // The holders decide; a record store that is away must not keep somebody signed in.
    let gone = realm.records.change(
        realm.account_id(&request.owner()),
        |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            let before = account.sessions.len();
            account.sessions.retain(|session| session.sid != sid);
            Ok(if account.sessions.len() == before {
                Change::Keep(false)
            } else {
                Change::Write(account, true)
            })
        },
    );
    let needed = realm.holders.write_quorum();
    let asked = realm
        .holders
        .ask_same::<Empty>(path::SESSION_REVOKE, body.to_vec());
    let revoke = first(needed, asked);
    let (gone, revoked) = join(gone, revoke).await;
    let enough = revoked.good.len() >= needed;
    for (index, error) in &revoked.bad {
        tracing::warn!(holder = realm.holders.name(*index), %error, "a session was not revoked");
    }
    let message = Message::revocation(&sid, body, request.expires());
    realm.records.tell_missed(revoked, message);
    if let Err(problem) = &gone {
        tracing::warn!(code = %problem.code, "an ended session is still in its record");
    }
    if let Ok(true) = gone {
        let ended = Happened::SessionRevoked {
            account: request.owner().account,
            device: request.thumbprint(),
            session: sid,
        };
        realm.tell_app(request.project(), ended);
    }
    let state = if enough && gone.is_ok() {
        Revocation::Done
    } else {
        Revocation::Pending
    };
    // Who has to ask again needs the cookie for that.
    let over = state == Revocation::Done;
    let cookie = request.clear_cookie(&realm.verifier).filter(|_| over);
    Ok(Delivered {
        answer: SignedOut { state },
        cookie,
    })
}
