//! From a proof to a session: the account, the device, the session.

use std::sync::Arc;

use keyfold_crypto::jwk::PublicJwk;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Evidence};
use keyfold_protocol::holder_api::{DeviceAck, DeviceEnrol, DeviceState, path};
use keyfold_protocol::ids::{AccountId, Digest32, ProjectId, SessionId};
use keyfold_protocol::project::{LimitSettings, StepUpRules};
use keyfold_protocol::webhook::Happened;

use super::{Kept, Proven};
use crate::operations::session::settle;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Identity, SessionRecord};

/// The account that an identity belongs to, if it belongs to one.
pub(in crate::operations) async fn find<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    hash: &Digest32,
) -> Result<Option<AccountRef>, Problem> {
    let identity = realm.records.id::<Identity>(Some(project), hash.as_bytes());
    let held = realm.records.read::<Identity>(identity).await?;
    Ok(held
        .and_then(|held| held.value.account)
        .map(|account| AccountRef {
            project: project.clone(),
            account,
        }))
}

/// Reads the account that somebody says is theirs.
pub(super) async fn claimed<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    account: AccountId,
) -> Result<Option<Account>, Problem> {
    let owner = AccountRef {
        project: project.clone(),
        account,
    };
    let held = realm.records.read::<Account>(realm.account_id(&owner));
    Ok(held.await?.map(|held| held.value))
}

/// Reads the account that an identity belongs to, if it belongs to one.
///
/// # Security
///
/// Reads as much where there is no account as where there is one.
pub(super) async fn read<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    hash: &Digest32,
) -> Result<Option<Account>, Problem> {
    let nobody = || {
        let mut id = [0; AccountId::LEN];
        for (out, byte) in id.iter_mut().zip(hash.as_bytes()) {
            *out = *byte;
        }
        AccountRef {
            project: project.clone(),
            account: AccountId::from_bytes(id),
        }
    };
    let owner = find(realm, project, hash).await?.unwrap_or_else(nobody);
    claimed(realm, project, owner.account).await
}

/// The account that an identity belongs to; makes one for an identity that belongs to none.
pub(super) async fn find_or_make<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    proven: &Proven,
) -> Result<AccountRef, Problem> {
    if let Some(owner) = find(realm, project, &proven.hash).await? {
        // Somebody has it already, so it was not made just now, whatever its maker says.
        return match proven.is_new {
            true => Err(Code::SignInRefused.into()),
            false => Ok(owner),
        };
    }
    let now = realm.now();
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
        identities: vec![proven.record(now)],
        devices: Vec::new(),
        sessions: Vec::new(),
        wallets: Vec::new(),
        totp: None,
        recovery_codes: None,
        step_up: StepUpRules::none(),
        revoked: Vec::new(),
        notices: None,
    };
    realm
        .records
        .change(
            realm.account_id(&owner),
            |current: Option<Account>| match current {
                None => Ok(Change::Write(record(), ())),
                // Left behind by an attempt of this very change.
                Some(current)
                    if current
                        .identities
                        .iter()
                        .any(|known| known.hash == proven.hash) =>
                {
                    Ok(Change::Keep(()))
                }
                Some(_) => Err(Problem::internal("a random account id was taken")),
            },
        )
        .await?;
    let account = claim(realm, &owner, &proven.hash).await?;
    if proven.is_new && account != owner.account {
        return Err(Code::SignInRefused.into());
    }
    Ok(AccountRef { account, ..owner })
}

/// Lets an identity belong to an account, if it belongs to none; returns whose it is.
pub(in crate::operations) async fn claim<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    hash: &Digest32,
) -> Result<AccountId, Problem> {
    let identity = realm
        .records
        .id::<Identity>(Some(&owner.project), hash.as_bytes());
    realm
        .records
        .change(identity, |current: Option<Identity>| match current {
            Some(Identity {
                account: Some(winner),
                ..
            }) => Ok(Change::Keep(winner)),
            _ => {
                let identity = Identity {
                    v: Default::default(),
                    account: Some(owner.account),
                };
                Ok(Change::Write(identity, owner.account))
            }
        })
        .await
}

/// Puts the device on the lists of the holders, at least t of which must confirm it.
///
/// It may act when t of them let it. A holder that missed the account lets it wait, and hears from
/// the others.
///
/// # Security
///
/// A device whose sign-in the account's record refuses is on no holder's list: its waiting time
/// there would go by, unseen by an owner who was told of nothing, until a sign-in is not refused.
/// Where the record changes meanwhile, [`start_session`] refuses, and tells the owner.
pub(super) async fn enrol<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    jwk: &PublicJwk,
    evidence: Evidence,
    proven: &Proven,
    limits: &LimitSettings,
) -> Result<DeviceState, Problem> {
    let account = realm
        .records
        .read::<Account>(realm.account_id(owner))
        .await?
        .ok_or_else(|| Problem::internal("an identity without an account"))?;
    if account.value.revoked.contains(&jwk.thumbprint()) {
        return Err(Code::DeviceRevoked.into());
    }
    if account.value.clone().keep(proven) != Kept::Done {
        return Err(Code::SignInRefused.into());
    }
    if !account.value.has_place(jwk.thumbprint(), limits) {
        return Err(Code::DeviceLimit.into());
    }
    let enrol = DeviceEnrol {
        account: owner.account,
        first_device: account.value.had_no_device(),
        evidence,
    };
    let body: Arc<[u8]> = to_json(&enrol)
        .map_err(|_| Problem::internal("a device cannot be enrolled"))?
        .into();
    let device = jwk.thumbprint();
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
    settle(realm, *jwk, asked).await
}

/// A session that is to begin.
pub(super) struct Begin<'a> {
    pub(super) session: SessionRecord,
    /// Whether its device may act yet.
    pub(super) state: DeviceState,
    /// The project's.
    pub(super) limits: &'a LimitSettings,
}

/// What became of the start of a session.
pub(super) struct Begun {
    /// The account afterwards.
    pub(super) account: Account,
    /// Whether the owner is to hear of a device that is new to an account that had one.
    pub(super) tell_device: bool,
    /// Whether of a password that was set.
    pub(super) tell_password: bool,
    /// Why there is none, after all.
    pub(super) refused: Option<Code>,
    /// Sessions of the device that the new one takes the place of.
    pub(super) ended: Vec<SessionId>,
}

/// Names the device, keeps what the proof left to be kept, and starts the session.
///
/// # Security
///
/// The holders have the device on their lists by now. Where the session is refused nevertheless, an
/// owner who has had a device hears of the new one all the same.
pub(super) async fn start_session<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    jwk: &PublicJwk,
    device_name: &str,
    proven: &Proven,
    begin: Begin<'_>,
) -> Result<Begun, Problem> {
    let (now, jkt) = (realm.now(), jwk.thumbprint());
    realm
        .records
        .change(realm.account_id(owner), |current: Option<Account>| {
            let mut account =
                current.ok_or_else(|| Problem::internal("an identity without an account"))?;
            // Taken off meanwhile; holders that heard of it refused already.
            if account.revoked.contains(&jkt) {
                return Err(Code::DeviceRevoked.into());
            }
            let new = !account.devices.iter().any(|known| known.jkt == jkt);
            let old = !account.had_no_device();
            let tell_device = new && old && account.count_notice(now);
            let mut next = account.clone();
            let (ended, refused) = match next.begin(jwk, device_name, proven, &begin, now) {
                Ok(ended) => {
                    account = next;
                    (ended, None)
                }
                Err(refused) if tell_device => (Vec::new(), Some(refused)),
                Err(refused) => return Err(refused.into()),
            };
            let set = refused.is_none() && proven.keep.other_password;
            let tell_password = set && old && account.count_notice(now);
            let begun = Begun {
                account: account.clone(),
                tell_device,
                tell_password,
                refused,
                ended,
            };
            Ok(Change::Write(account, begun))
        })
        .await
}

impl Account {
    /// Returns the sessions that the new one takes the place of.
    fn begin(
        &mut self,
        jwk: &PublicJwk,
        device_name: &str,
        proven: &Proven,
        begin: &Begin<'_>,
        now: u64,
    ) -> Result<Vec<SessionId>, Code> {
        // Taken off the account meanwhile.
        if self.keep(proven) != Kept::Done {
            return Err(Code::SignInRefused);
        }
        let waiting = begin.state != DeviceState::Active;
        self.name_device(jwk, device_name.to_owned(), waiting, begin.limits, now)?;
        self.let_in(jwk.thumbprint(), proven.level);
        // Whoever signs in afresh has a new session in place of what the device had.
        let (ended, others) = core::mem::take(&mut self.sessions)
            .into_iter()
            .partition::<Vec<_>, _>(|session| session.jkt == begin.session.jkt);
        self.sessions = others;
        self.add_session(begin.session.clone(), begin.limits, now)?;
        Ok(ended.into_iter().map(|session| session.sid).collect())
    }
}

/// Leaves word for the app's server of a sign-in, of a device that is new, and of what ended by it.
pub(super) fn tell_app<P: Platform>(
    realm: &Realm<P>,
    account: &Account,
    session: &SessionRecord,
    method: String,
    state: DeviceState,
    ended: Vec<SessionId>,
) {
    let (device, project) = (session.jkt, &account.project);
    for session in ended {
        let ended = Happened::SessionRevoked {
            account: account.account,
            device,
            session,
        };
        realm.tell_app(project, ended);
    }
    let known = account.devices.iter().find(|known| known.jkt == device);
    // It was named after the proof was checked.
    if known.is_some_and(|known| known.added >= session.auth_time) {
        let added = Happened::DeviceAdded {
            account: account.account,
            device,
            state,
        };
        realm.tell_app(project, added);
    }
    let completed = Happened::SignInCompleted {
        account: account.account,
        device,
        session: session.sid,
        method,
        state,
    };
    realm.tell_app(project, completed);
}
