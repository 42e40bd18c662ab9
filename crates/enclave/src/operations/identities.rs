//! The identities of an account: list, link, unlink.
//!
//! An identity is linked by fresh proof of both: of the account, by its session, and of the identity
//! itself. That two of them show the same address links nothing.

use keyfold_identity::mail::{Changed, Notice};
use keyfold_protocol::account::{Identities, IdentityInfo, UnlinkIdentity};
use keyfold_protocol::client_api::Nothing;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Evidence};
use keyfold_protocol::holder_api::{Empty, IdentityLinked, InSession, path};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::sign_in::{Proof, ShowProof};

use super::notices::notify;
use super::session::check_active;
use super::sign_in::{
    Asker, Kept,
    account::{claim, find},
    prove,
};
use super::step_up::require_to_change;
use crate::holders::first;
use crate::limits::MAX_IDENTITIES;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Identity, Project};
use crate::request::{Body, SessionRequest};

/// Lists the account's identities.
pub(super) async fn list<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Identities, Problem> {
    check_active(realm, &request).await?;
    let account = realm.session_account(&request).await?.value;
    Ok(shown(&account))
}

fn shown(account: &Account) -> Identities {
    let left = account.recovery_codes.as_ref().map_or(0, |c| c.left());
    Identities {
        identities: account
            .identities
            .iter()
            .map(|identity| IdentityInfo {
                id: identity.hash,
                method: identity.method.clone(),
                label: identity.address.clone(),
                added: identity.added,
            })
            .collect(),
        totp: account.totp.as_ref().is_some_and(|totp| totp.confirmed),
        recovery_codes: u8::try_from(left).unwrap_or(u8::MAX),
    }
}

/// Links an identity to the account of the session.
pub(super) async fn link<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<ShowProof>,
) -> Result<Identities, Problem> {
    let project = realm.project(request.project()).await?;
    let account = realm.session_account(&request).await?.value;
    require_to_change(realm, &project, &account, &request)?;
    let body = request.body();
    let asker = Asker {
        project: request.project(),
        device: request.thumbprint(),
    };
    let mut proven = prove(realm, &asker, &project, &body.sign_in, &body.proof).await?;
    let items = core::mem::take(&mut proven.evidence);
    let binds = matches!(body.proof, Proof::NewPasskey(_) | Proof::Token { .. });
    if items.is_empty() || !binds {
        // A passkey that was made before cannot be shown as a new one. What came by way of a provider's code is this enclave's word: holders, which may not know
        // the provider at all, have no say in it. They see the token at the next sign-in by it.
        check_active(realm, &request).await?;
    } else {
        // Holders check the device here too, and a signed request works once.
        let evidence = request.evidence_and(items);
        tell_holders::<_, IdentityLinked>(realm, path::IDENTITY_LINK, evidence).await?;
    }
    let owner = request.owner();
    // The identity first, so that no two accounts ever have it. One that then does not reach the
    // account's record signs nobody in, and is linked by asking again.
    if claim(realm, &owner, &proven.hash).await? != owner.account {
        return Err(Code::IdentityTaken.into());
    }
    let now = realm.now();
    let (told, all) = realm
        .records
        .change(realm.account_id(&owner), |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let mut what = proven.keep.other_password.then_some(Changed::Password);
            let kept = account.keep(&proven);
            if kept == Kept::Refused {
                return Err(Code::SignInRefused.into());
            }
            if kept == Kept::Unknown {
                if account.identities.len() >= MAX_IDENTITIES {
                    return Err(Problem::new(
                        Code::RateLimited,
                        "the account has as many identities as it may have",
                    ));
                }
                account.identities.push(proven.record(now));
                what = Some(Changed::Linked);
            }
            let all = shown(&account);
            let what = what.filter(|_| account.count_notice(now));
            let told = what.map(|what| (what, account.clone()));
            Ok(Change::Write(account, (told, all)))
        })
        .await?;
    // Somebody may have taken it off meanwhile, and somebody else have linked it since.
    if !agree(realm, &owner, &proven.hash).await? {
        return Err(Code::IdentityTaken.into());
    }
    tell(realm, &project, &request, told);
    Ok(all)
}

/// Mails the owner what changed, to the addresses of the account as it is given.
pub(super) fn tell<P: Platform, B: Body>(
    realm: &Realm<P>,
    project: &Project,
    request: &SessionRequest<B>,
    told: Option<(Changed, Account)>,
) {
    if let Some((what, account)) = told {
        let device = request.thumbprint();
        notify(realm, project, &account, &Notice::Changed { what, device });
    }
}

/// Takes an identity off the account. Asked again, it does what was left undone.
pub(super) async fn unlink<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<UnlinkIdentity>,
) -> Result<Identities, Problem> {
    let project = realm.project(request.project()).await?;
    let (owner, id) = (request.owner(), request.body().id);
    // Before any holder forgets it; what holds now is looked at again below.
    let account = realm.session_account(&request).await?.value;
    require_to_change(realm, &project, &account, &request)?;
    if account.identities.iter().all(|known| known.hash == id) {
        return Err(Code::LastIdentity.into());
    }
    if !has_another(realm, &owner, &account, &id).await? {
        return Err(Code::LastIdentity.into());
    }
    // Whether they know it or not, and whether the record still does.
    tell_holders::<_, Empty>(realm, path::IDENTITY_UNLINK, request.evidence()).await?;
    let now = realm.now();
    let (known, all, told) = realm
        .records
        .change(realm.account_id(&owner), |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            require_to_change(realm, &project, &account, &request)?;
            // An address that goes hears of it too.
            let before = account.clone();
            account.identities.retain(|identity| identity.hash != id);
            if account.identities.is_empty() {
                return Err(Code::LastIdentity.into());
            }
            let known = account.identities.len() < before.identities.len();
            let all = shown(&account);
            Ok(if known {
                let told = account.count_notice(now);
                let told = told.then_some((Changed::Unlinked, before));
                Change::Write(account, (known, all, told))
            } else {
                Change::Keep((known, all, None))
            })
        })
        .await?;
    tell(realm, &project, &request, told);
    let freed = free(realm, &owner, &id).await?;
    agree(realm, &owner, &id).await?;
    if !freed && !known {
        return Err(Code::IdentityUnknown.into());
    }
    Ok(all)
}

/// Tells whether the index gives the account another identity than this one.
async fn has_another<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    account: &Account,
    id: &Digest32,
) -> Result<bool, Problem> {
    for known in account.identities.iter().filter(|known| known.hash != *id) {
        if find(realm, &owner.project, &known.hash).await?.as_ref() == Some(owner) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets the index agree with what the account's record says by now; returns whether the identity is
/// not somebody else's.
///
/// # Security
///
/// Record and index are two records, and to link and to unlink at once can leave them apart. Each
/// looks again when it is done, so that whichever is last finds what the other left. Where both are
/// cut off before, the record names an identity that the index does not give the account; it then
/// counts for nothing: sign-in and step-up ask the index.
async fn agree<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    hash: &Digest32,
) -> Result<bool, Problem> {
    let id = realm.account_id(owner);
    let account = realm.records.read::<Account>(id).await?;
    let names = |account: &Account| account.identities.iter().any(|known| known.hash == *hash);
    if !account.is_some_and(|held| names(&held.value))
        || claim(realm, owner, hash).await? == owner.account
    {
        return Ok(true);
    }
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            if !names(&account) {
                return Ok(Change::Keep(false));
            }
            account.identities.retain(|known| known.hash != *hash);
            Ok(Change::Write(account, false))
        })
        .await
}

/// Tells the holders what vouches for the account's devices, or does no more; they check who asks.
async fn tell_holders<P: Platform, T>(
    realm: &Realm<P>,
    path: &'static str,
    evidence: Evidence,
) -> Result<(), Problem>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let body = to_json(&InSession { evidence })
        .map_err(|_| Problem::internal("evidence cannot be written"))?;
    let needed = realm.holders.write_quorum();
    let gathered = first(needed, realm.holders.ask_same::<T>(path, body)).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    Ok(())
}

/// Lets an identity belong to nobody, if it belongs to this account.
async fn free<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    hash: &Digest32,
) -> Result<bool, Problem> {
    let record = realm
        .records
        .id::<Identity>(Some(&owner.project), hash.as_bytes());
    realm
        .records
        .change(record, |current: Option<Identity>| match current {
            Some(identity) if identity.account == Some(owner.account) => {
                let nobodys = Identity {
                    v: Default::default(),
                    account: None,
                };
                Ok(Change::Write(nobodys, true))
            }
            _ => Ok(Change::Keep(false)),
        })
        .await
}
