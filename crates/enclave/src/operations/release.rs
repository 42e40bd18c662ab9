//! A wallet's key: from an order that nobody objects to, to its one signature.
//!
//! `Approved` (guard, where there is one) → `ReleasedShares` (t that match) → `OwnerSigned`. Each
//! step takes the one before by value, so none can be left out: no share is asked for before the
//! guard agreed.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use keyfold_crypto::commitment::SharePurpose;
use keyfold_crypto::secp256k1::{RecoverableSignature, SigningKey, recover};
use keyfold_crypto::shamir::{Share, Threshold, combine};
use keyfold_protocol::anchor::{Anchor, AnchorView, combine as combine_anchors};
use keyfold_protocol::client_api::GuardSettings;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::guard_api::Cosigned;
use keyfold_protocol::holder_api::{ReleaseAad, Released, ShareRelease, key_share_context, path};
use keyfold_protocol::ids::{AddressId, Digest32, RealmId, RequestId};
use keyfold_wallet::EcdsaSignature;
use serde::Serialize;

use super::session::was_waiting;
use super::step_up::require;
use crate::core::Core;
use crate::holders::first;
use crate::keys::RealmKeys;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Held, WalletRecord};
use crate::released::open_share;
use crate::request::{Body, Order, SessionRequest};

/// The account's wallet, as the record that was used says.
#[derive(Clone)]
pub(super) struct Wallet {
    pub(super) record: WalletRecord,
    anchor: Anchor,
}

/// An order that nobody objects to: the guard's part is there where the wallet needs one.
pub(super) struct Approved {
    wallet: Wallet,
    guard_part: Option<(Address, EcdsaSignature)>,
}

impl Approved {
    /// Takes what the guard said, if it was asked, for the order of a wallet.
    pub(super) fn new(
        wallet: Wallet,
        settings: Option<&GuardSettings>,
        cosigned: Option<Result<EcdsaSignature, Problem>>,
    ) -> Result<Self, Problem> {
        let signer = settings.map(|settings| settings.signer);
        let guard_part = guard_part(wallet.record.guard, signer, cosigned)?;
        Ok(Self { wallet, guard_part })
    }
}

/// Refuses an attestation that does not name the wallet.
///
/// Holders refuse it too. Whose the wallet is not must hear that, not that renewing would help.
pub(super) async fn check_named<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
) -> Result<(), Problem> {
    let address = AddressId::from_bytes(request.body().wallet().into());
    if request.session().has_wallet(&address) {
        return Ok(());
    }
    if was_waiting(request) {
        return Err(Code::DevicePending.into());
    }
    find_wallet(realm, request).await?;
    Err(Problem::new(
        Code::SessionInvalid,
        "the attestation is older than the wallet; renew it",
    ))
}

/// The guard's part of the signature, where the wallet has a leaf for it.
///
/// A guard that was asked is obeyed, also where the chain would not ask for its signature.
fn guard_part<S>(
    leaf: Option<Address>,
    signer: Option<Address>,
    cosigned: Option<Result<S, Problem>>,
) -> Result<Option<(Address, S)>, Problem> {
    let cosigned = cosigned.transpose()?;
    match (leaf, signer) {
        (None, _) => Ok(None),
        (Some(leaf), Some(signer)) if leaf == signer => {
            let part = cosigned.ok_or_else(|| Problem::internal("the guard was not asked"))?;
            Ok(Some((leaf, part)))
        }
        (Some(_), _) => Err(Problem::new(
            Code::GuardUnavailable,
            "the wallet's guard is not the project's any more",
        )),
    }
}

/// Finds the wallet in the account's record, which may be old: the anchors decide later.
pub(super) async fn find_wallet<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
) -> Result<Wallet, Problem> {
    let id = realm.account_id(&request.owner());
    let maybe_old = realm.records.account_maybe_old(id).await?;
    if let Some(held) = &maybe_old
        && let Ok(wallet) = wallet_in(realm, request, held).await
    {
        return Ok(wallet);
    }
    let held = realm
        .records
        .read::<Account>(id)
        .await?
        .ok_or(Code::SessionInvalid)?;
    wallet_in(realm, request, &realm.records.remember(id, held)).await
}

pub(super) async fn wallet_in<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    held: &Held<Account>,
) -> Result<Wallet, Problem> {
    realm.check_session(&held.value, request)?;
    let order = request.body();
    let project = realm.project(request.project()).await?;
    require(realm, &project, &held.value, request, |rules| {
        order.rule(rules)
    })?;
    let record = held
        .value
        .wallet(&order.wallet())
        .ok_or(Code::WalletUnknown)?;
    if record.key != order.key() {
        return Err(Code::IntentMismatch.into());
    }
    Ok(Wallet {
        record: record.clone(),
        anchor: held.anchor,
    })
}

/// Asks the guard, and believes its signature only when it is the project's signer's.
pub(super) async fn cosign<P: Platform>(
    realm: &Realm<P>,
    settings: &GuardSettings,
    path: &str,
    question: &(impl Serialize + Sync),
    digest: Digest32,
) -> Result<EcdsaSignature, Problem> {
    let body = to_json(question).map_err(|_| Problem::internal("the guard cannot be asked"))?;
    let guard = realm.guard(settings).await;
    let cosigned: Cosigned = guard.call(path, &body).await.map_err(|error| match error {
        CallError::Refused(problem)
            if matches!(
                problem.code,
                Code::GuardDenied | Code::PayloadInvalid | Code::ConfigInvalid | Code::RateLimited
            ) =>
        {
            problem
        }
        error => {
            tracing::warn!(guard = guard.peer().authority, %error, "guard");
            Problem::new(Code::GuardUnavailable, format!("the guard {error}"))
        }
    })?;
    check_cosigned(&cosigned, &digest, settings.signer).ok_or_else(|| {
        tracing::error!(
            guard = guard.peer().authority,
            "the guard signed with another key"
        );
        Problem::new(
            Code::GuardUnavailable,
            "the guard's signature is not its signer's",
        )
    })
}

fn check_cosigned(
    cosigned: &Cosigned,
    digest: &Digest32,
    signer: Address,
) -> Option<EcdsaSignature> {
    let rsv: [u8; 65] = cosigned.signature.as_ref().try_into().ok()?;
    let signature = EcdsaSignature::from_rsv(&rsv)?;
    let by = RecoverableSignature {
        r: signature.r().0,
        s: signature.s().0,
        y_parity: signature.y_parity(),
    };
    let right = cosigned.digest == *digest
        && recover(digest.as_bytes(), &by).is_ok_and(|address| address == *signer.0);
    right.then_some(signature)
}

/// t shares that match their commitments, of a wallet whose record is current.
pub(super) struct ReleasedShares {
    wallet: WalletRecord,
    guard_part: Option<(Address, EcdsaSignature)>,
    digest: Digest32,
    shares: Vec<Share>,
    /// What they were split with, which the current record may say otherwise.
    threshold: Threshold,
}

/// Asks all holders at once and goes on with the first t good answers.
pub(super) async fn release<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    approved: Approved,
) -> Result<ReleasedShares, Problem> {
    let Approved { wallet, guard_part } = approved;
    let (wallet, shares, anchors) = match gather(realm, request, &wallet).await {
        Ok((shares, anchors)) => (wallet, shares, anchors),
        // The record in memory may name shares that have ended since. Holders that refuse for that
        // have not used the request up.
        Err(problem) if problem.code == Code::KeyUnknown => {
            let newer = newer_shares(realm, request, &wallet)
                .await?
                .ok_or(problem)?;
            let (shares, anchors) = gather(realm, request, &newer).await?;
            (newer, shares, anchors)
        }
        Err(problem) => return Err(problem),
    };
    let total = u8::try_from(wallet.record.leaf.len()).ok();
    let threshold = total.and_then(|total| Threshold::new(wallet.record.threshold, total).ok());
    let threshold = threshold.ok_or_else(|| Problem::internal("a wallet has no threshold"))?;
    let current = current_wallet(realm, request, wallet, &anchors).await?;
    Ok(ReleasedShares {
        wallet: current,
        guard_part,
        digest: request.body().digest(),
        shares,
        threshold,
    })
}

/// The wallet with its newest shares, where those that were used are older.
async fn newer_shares<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    used: &Wallet,
) -> Result<Option<Wallet>, Problem> {
    let id = realm.account_id(&request.owner());
    let current = realm.records.read::<Account>(id).await?;
    let current = realm
        .records
        .remember(id, current.ok_or(Code::SessionInvalid)?);
    let wallet = wallet_in(realm, request, &current).await?;
    let newer = wallet.record.generation > used.record.generation;
    let same =
        wallet.record.config == used.record.config && wallet.record.guard == used.record.guard;
    Ok(Some(wallet).filter(|_| newer && same))
}

type Gathered = (Vec<Share>, Vec<Option<Anchor>>);

/// The shares of t holders, each with what it remembers of the account's record.
async fn gather<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    wallet: &Wallet,
) -> Result<Gathered, Problem> {
    let owner = request.owner();
    let record_id = realm.account_id(&owner);
    let evidence = request.evidence();
    let bodies = wallet.record.leaf.iter().map(|commitment| {
        let body = ShareRelease {
            evidence: evidence.clone(),
            generation: wallet.record.generation,
            commitment: *commitment,
            record: record_id,
        };
        to_json(&body).map(Arc::<[u8]>::from)
    });
    let bodies: Vec<Arc<[u8]>> = bodies
        .collect::<Result<_, _>>()
        .map_err(|_| Problem::internal("shares cannot be asked for"))?;
    let opener = Arc::new(Opener {
        core: Arc::clone(&realm.core),
        keys: Arc::clone(&realm.keys),
        realm: realm.verified.id(),
        owner,
        wallet: wallet.record.clone(),
        request: request.request_id(),
        digest: request.body().digest(),
    });
    let asked = realm.holders.ask(|holder| {
        let at = usize::from(holder.index).saturating_sub(1);
        let (body, opener) = (bodies.get(at).cloned(), Arc::clone(&opener));
        async move {
            let body = body.ok_or(CallError::Local)?;
            let released: Released = holder.link.call(path::SHARE_RELEASE, &body).await?;
            let share = opener.open(holder.index, &released)?;
            // Who makes anchors up is worth no more than who makes shares up.
            if released
                .anchor
                .is_some_and(|anchor| !opener.keys.is_stamped(&record_id, &anchor))
            {
                return Err(CallError::InventedAnchor);
            }
            Ok((share, released.anchor))
        }
    });
    let needed = realm.holders.threshold();
    let gathered = first(needed, asked).await;
    for (index, error) in &gathered.bad {
        tracing::warn!(holder = realm.holders.name(*index), %error, "no share");
    }
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    let (mut shares, mut anchors) = (Vec::new(), Vec::new());
    for (_, (share, anchor)) in gathered.let_rest_finish(&realm.core) {
        shares.push(share);
        anchors.push(anchor);
    }
    Ok((shares, anchors))
}

/// Checks that the record that was used is the newest that any of the t holders remembers; where
/// it is not, the newer one must say the same of the key. It may have other updates: what is signed
/// is the same under each, and the signature is composed for the newest.
async fn current_wallet<P: Platform, B: Body<Checked: Order>>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
    used: Wallet,
    anchors: &[Option<Anchor>],
) -> Result<WalletRecord, Problem> {
    if let AnchorView::Newest { anchor, .. } = combine_anchors(anchors)
        && anchor == used.anchor
    {
        return Ok(used.record);
    }
    let id = realm.account_id(&request.owner());
    let current: Held<Account> = realm
        .records
        .read(id)
        .await?
        .ok_or(Code::RecordRolledBack)?;
    if current.anchor.version < used.anchor.version {
        // t holders that never heard of a version that a write quorum confirmed: somebody lies.
        return Err(Code::RecordRolledBack.into());
    }
    let current = realm.records.remember(id, current);
    let wallet = wallet_in(realm, request, &current).await?.record;
    // New shares of a key are shares of the same key.
    let same = wallet.key == used.record.key
        && wallet.config == used.record.config
        && wallet.guard == used.record.guard;
    if same {
        Ok(wallet)
    } else {
        Err(Code::RecordConflict.into())
    }
}

/// Opens what holders release for one request.
struct Opener<P> {
    core: Arc<Core<P>>,
    keys: Arc<RealmKeys>,
    realm: RealmId,
    owner: AccountRef,
    wallet: WalletRecord,
    request: RequestId,
    digest: Digest32,
}

impl<P: Platform> Opener<P> {
    fn open(&self, index: u8, released: &Released) -> Result<Share, CallError> {
        let context = key_share_context(
            self.realm,
            &self.owner,
            self.wallet.key,
            SharePurpose::LeafKey,
            index,
            self.wallet.generation,
        );
        let aad = ReleaseAad {
            request: self.request,
            digest: self.digest,
        };
        let commitments = &self.wallet.leaf;
        open_share(&self.core, index, commitments, &context, &aad, released)
    }
}

impl ReleasedShares {
    /// Recombines the key, signs, and forgets it.
    pub(super) fn sign(self) -> Result<OwnerSigned, Problem> {
        let failed = || Problem::internal("the shares do not make the wallet's key");
        let key = combine(self.threshold, &self.shares)
            .ok()
            .and_then(|secret| SigningKey::from_secret_bytes(&secret).ok())
            .ok_or_else(failed)?;
        drop(self.shares);
        let owner = Address::from(key.address());
        let signature = key.sign_prehash(self.digest.as_bytes());
        drop(key);
        let part = EcdsaSignature::new(
            B256::from(signature.r),
            B256::from(signature.s),
            signature.y_parity,
        );
        Ok(OwnerSigned {
            wallet: self.wallet,
            digest: self.digest,
            owner: (owner, part.ok_or_else(failed)?),
            guard: self.guard_part,
        })
    }
}

/// A digest that the owner's key, and the guard's where there is one, signed.
pub(super) struct OwnerSigned {
    pub(super) wallet: WalletRecord,
    pub(super) digest: Digest32,
    /// Signer and signature.
    pub(super) owner: (Address, EcdsaSignature),
    /// The same.
    pub(super) guard: Option<(Address, EcdsaSignature)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_denies_is_obeyed_also_by_a_wallet_without_its_leaf() {
        let signer = Address::repeat_byte(1);
        let denied = || Some(Err::<(), _>(Problem::from(Code::GuardDenied)));
        for leaf in [None, Some(signer)] {
            let refused = guard_part(leaf, Some(signer), denied()).map_err(|p| p.code);
            assert_eq!(refused, Err(Code::GuardDenied));
        }
        let part = |leaf, signer| guard_part(leaf, signer, Some(Ok(7))).map_err(|p| p.code);
        assert_eq!(part(None, Some(signer)), Ok(None));
        assert_eq!(part(Some(signer), Some(signer)), Ok(Some((signer, 7))));
        let other = Address::repeat_byte(2);
        assert_eq!(part(Some(signer), Some(other)), Err(Code::GuardUnavailable));
        let unasked = guard_part::<()>(Some(signer), Some(signer), None);
        assert_eq!(unasked.map_err(|p| p.code), Err(Code::Internal));
    }
}
