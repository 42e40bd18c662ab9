//! Sign-in by email code.

use std::sync::{Arc, PoisonError};

use keyfold_identity::mail::{CodeMail, DisplayName, Sender};
use keyfold_identity::pending::StartError;
use keyfold_identity::{EmailAddress, OneTimeCode, ProvenEmail, SignInId};
use keyfold_protocol::client_api::{EmailFinish, EmailStart, SignInStarted, SignedIn};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{DeviceAck, DeviceEnrol, DeviceState, Empty, MailReserve, path};
use keyfold_protocol::ids::{AccountId, SessionId, SignInHandle};
use keyfold_protocol::text::is_name;
use rand_core::Rng;

use super::session::{issue, settle};
use crate::holders::first;
use crate::limits::SESSION_SECONDS;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{
    Account, Change, Identity, IdentityRecord, Project, SessionRecord, WalletRecord,
};
use crate::request::SignInRequest;

/// The method's name in records.
const EMAIL: &str = "email";

/// Draws a code and mails it.
///
/// # Security
///
/// Looks nothing up that depends on whether the address has an account, so it cannot tell.
pub(super) async fn start<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<EmailStart>,
) -> Result<SignInStarted, Problem> {
    let project = realm.project(request.project()).await?;
    let email = EmailAddress::parse(request.body().email.trim())
        .map_err(|error| Problem::new(Code::EmailInvalid, error.to_string()))?;
    let mut rng = realm.core.rng()?;
    let now = realm.now();
    // First what costs nobody else anything: a mail that is refused here is not counted there.
    let (id, code) = realm
        .pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .start(
            request.project().as_str(),
            &email,
            request.thumbprint().0,
            now,
            &mut rng,
        )
        .map_err(|error| match error {
            StartError::Full => Code::RateLimited,
            _ => Code::MailLimit,
        })?;
    reserve_mail(realm, &request, &email).await?;
    let mut message_id = [0; 16];
    rng.fill_bytes(&mut message_id);
    let mail = compose(&project, &email, &code, now, message_id)?;
    drop(code);
    realm
        .core
        .platform()
        .send_mail(&project.mail, &mail)
        .await
        .map_err(|error| {
            tracing::warn!(project = %project.project, %error, "mail");
            Problem::new(Code::MailFailed, error.to_string())
        })?;
    Ok(SignInStarted {
        sign_in: SignInHandle::from_bytes(*id.as_bytes()),
        expires: now.saturating_add(keyfold_identity::pending::CODE_SECONDS),
    })
}

/// Counts the mail at the holders, t of which must allow it.
async fn reserve_mail<P: Platform>(
    realm: &Realm<P>,
    request: &SignInRequest<EmailStart>,
    email: &EmailAddress,
) -> Result<(), Problem> {
    let reserve = MailReserve {
        project: request.project().clone(),
        address: realm.keys.mailbox(email),
    };
    let body = to_json(&reserve).map_err(|_| Problem::internal("a mail cannot be counted"))?;
    let needed = realm.holders.threshold();
    let gathered = first(
        needed,
        realm.holders.ask_same::<Empty>(path::MAIL_RESERVE, body),
    )
    .await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    Ok(())
}

fn compose(
    project: &Project,
    email: &EmailAddress,
    code: &OneTimeCode,
    now: u64,
    message_id: [u8; 16],
) -> Result<CodeMail, Problem> {
    let unusable = || Problem::internal("a stored project cannot send mail");
    let name = DisplayName::parse(&project.display_name).map_err(|_| unusable())?;
    let address = EmailAddress::parse(&project.mail.from).map_err(|_| unusable())?;
    let sender = Sender {
        name: name.clone(),
        address,
    };
    CodeMail::compose(&sender, email, &name, code, now, message_id).map_err(|_| unusable())
}

/// Checks the code, finds or makes the account, enrols the device, starts a session.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<EmailFinish>,
) -> Result<SignedIn, Problem> {
    let body = request.body();
    if !body.device_name.is_empty() && !is_name(&body.device_name) {
        return Err(Problem::new(
            Code::MalformedRequest,
            "the device's name is not acceptable",
        ));
    }
    let code = OneTimeCode::parse(&body.code).map_err(|_| Code::SignInRefused)?;
    let proven = realm
        .pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .finish(
            &SignInId::from_bytes(*body.sign_in.as_bytes()),
            request.project().as_str(),
            &request.thumbprint().0,
            &code,
            realm.now(),
        )
        .map_err(|_| Code::SignInRefused)?;

    let owner = find_or_make_account(realm, &request, &proven).await?;
    let state = enrol(realm, &request, &owner).await?;
    let auth_time = proven.proven_at_unix_seconds();
    let session = SessionRecord {
        sid: SessionId::random(&mut realm.core.rng()?),
        jkt: request.thumbprint(),
        auth_time,
        ends: auth_time.saturating_add(SESSION_SECONDS),
    };
    let account = start_session(realm, &request, &owner, session, state).await?;
    let issued = issue(realm, &account, &session, state)?;
    let shown = account.wallets().filter(|_| state == DeviceState::Active);
    Ok(SignedIn {
        account: owner.account,
        session: session.sid,
        attestation: issued.attestation,
        attestation_expires: issued.expires,
        session_ends: session.ends,
        device: state,
        wallets: shown.map(WalletRecord::info).collect(),
    })
}

async fn find_or_make_account<P: Platform>(
    realm: &Realm<P>,
    request: &SignInRequest<EmailFinish>,
    proven: &ProvenEmail,
) -> Result<AccountRef, Problem> {
    let project = request.project();
    let hash = realm
        .keys
        .identity(project, EMAIL, proven.email().lookup_bytes());
    let identity = realm.records.id::<Identity>(Some(project), hash.as_bytes());
    if let Some(held) = realm.records.read::<Identity>(identity).await? {
        return Ok(AccountRef {
            project: project.clone(),
            account: held.value.account,
        });
    }
    // The account comes before the identity that points to it, so that no identity ever points to
    // nothing. Who loses the race leaves an empty record behind that nobody finds.
    let owner = AccountRef {
        project: project.clone(),
        account: AccountId::random(&mut realm.core.rng()?),
    };
    let record = || Account {
        v: Default::default(),
        account: owner.account,
        project: project.clone(),
        identities: vec![IdentityRecord {
            method: EMAIL.to_owned(),
            hash,
            address: proven.email().as_str().to_owned(),
        }],
        devices: Vec::new(),
        sessions: Vec::new(),
        wallets: Vec::new(),
    };
    realm
        .records
        .change(
            realm.account_id(&owner),
            |current: Option<Account>| match current {
                None => Ok(Change::Write(record(), ())),
                // Left behind by an attempt of this very change.
                Some(current) if current.identities.iter().any(|known| known.hash == hash) => {
                    Ok(Change::Keep(()))
                }
                Some(_) => Err(Problem::internal("a random account id was taken")),
            },
        )
        .await?;
    let account = realm
        .records
        .change(identity, |current: Option<Identity>| match current {
            None => {
                let identity = Identity {
                    v: Default::default(),
                    account: owner.account,
                };
                Ok(Change::Write(identity, owner.account))
            }
            Some(winner) => Ok(Change::Keep(winner.account)),
        })
        .await?;
    Ok(AccountRef { account, ..owner })
}

/// Puts the device on the lists of the holders, at least t of which must confirm it.
///
/// It may act when t of them let it. A holder that missed the account lets it wait, and hears from
/// the others.
async fn enrol<P: Platform>(
    realm: &Realm<P>,
    request: &SignInRequest<EmailFinish>,
    owner: &AccountRef,
) -> Result<DeviceState, Problem> {
    let account = realm
        .records
        .read::<Account>(realm.account_id(owner))
        .await?
        .ok_or_else(|| Problem::internal("an identity without an account"))?;
    let enrol = DeviceEnrol {
        account: owner.account,
        first_device: account.value.devices.is_empty(),
        evidence: request.evidence(),
    };
    let body: Arc<[u8]> = to_json(&enrol)
        .map_err(|_| Problem::internal("a device cannot be enrolled"))?
        .into();
    let device = request.thumbprint();
    let asked = realm.holders.ask(|holder| {
        let (verified, body) = (Arc::clone(&realm.verified), Arc::clone(&body));
        let owner = owner.clone();
        async move {
            let ack: DeviceAck = holder.link.call(path::DEVICE_ENROL, &body).await?;
            let right = ack.holder == holder.index && ack.owner == owner && ack.device == device;
            if !right || !ack.verify(&verified) {
                return Err(CallError::Wrong("confirmed another device"));
            }
            Ok(ack)
        }
    });
    settle(realm, *request.device(), asked).await
}

async fn start_session<P: Platform>(
    realm: &Realm<P>,
    request: &SignInRequest<EmailFinish>,
    owner: &AccountRef,
    session: SessionRecord,
    state: DeviceState,
) -> Result<Account, Problem> {
    let now = realm.now();
    realm
        .records
        .change(realm.account_id(owner), |current: Option<Account>| {
            let mut account =
                current.ok_or_else(|| Problem::internal("an identity without an account"))?;
            let name = request.body().device_name.clone();
            let waiting = state != DeviceState::Active;
            account.name_device(request.device(), name, waiting, now)?;
            account.add_session(session, now);
            Ok(Change::Write(account.clone(), account))
        })
        .await
}
