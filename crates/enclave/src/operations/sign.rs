//! The signer: from a verified order to a wallet's signature.
//!
//! `SignOrder` (verified, digest computed here) → `Approved` (guard, where there is one) →
//! `Released` (t shares that match) → signature. Each step takes the one before by value, so none
//! can be left out: no share is asked for before the guard agreed.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use futures_util::future::join;
use keyfold_crypto::commitment::SharePurpose;
use keyfold_crypto::secp256k1::{RecoverableSignature, SigningKey, recover};
use keyfold_crypto::shamir::{Share, Threshold, combine};
use keyfold_protocol::anchor::{Anchor, AnchorView, combine as combine_anchors};
use keyfold_protocol::client_api::{GuardSettings, SignRequest, Signed, WirePayload};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::guard_api::{Cosign, Cosigned, path as guard_path};
use keyfold_protocol::holder_api::{ReleaseAad, Released, ShareRelease, key_share_context, path};
use keyfold_protocol::ids::{AddressId, Digest32, RequestId};
use keyfold_wallet::signature::{Header, Parts, encode};
use keyfold_wallet::{EcdsaSignature, SignaturePart, ValidConfig};

use super::session::was_waiting;
use crate::core::Core;
use crate::holders::first;
use crate::keys::RealmKeys;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Held, WalletRecord};
use crate::released::open_share;
use crate::request::SessionRequest;

/// Signs a transaction.
pub(super) async fn transaction<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    match request.body().request.payload {
        WirePayload::Transaction { .. } => sign(realm, request).await,
        WirePayload::Message { .. } => Err(Code::PayloadInvalid.into()),
    }
}

/// Signs a message.
pub(super) async fn message<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    match request.body().request.payload {
        WirePayload::Message { .. } => sign(realm, request).await,
        WirePayload::Transaction { .. } => Err(Code::PayloadInvalid.into()),
    }
}

async fn sign<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<SignRequest>,
) -> Result<Signed, Problem> {
    let approved = approve(realm, &request).await?;
    let released = release(realm, &request, approved).await?;
    released.sign()
}

/// The account's wallet, as the record that was used says.
#[derive(Clone)]
struct Wallet {
    record: WalletRecord,
    anchor: Anchor,
}

/// An order that nobody objects to: the guard's part is there where the wallet needs one.
struct Approved {
    wallet: Wallet,
    guard_part: Option<(Address, EcdsaSignature)>,
}

async fn approve<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
) -> Result<Approved, Problem> {
    let order = request.body();
    let address = AddressId::from_bytes(order.request.wallet.into());
    // Holders refuse it too. Whose the wallet is not must hear that, not that renewing would help.
    if !request.session().has_wallet(&address) {
        if was_waiting(request) {
            return Err(Code::DevicePending.into());
        }
        find_wallet(realm, request).await?;
        return Err(Problem::new(
            Code::SessionInvalid,
            "the attestation is older than the wallet; renew it",
        ));
    }
    let project = realm.project(request.project()).await?;
    let settings = project.guard.as_ref();
    // The attestation says whose wallet it is, so the guard need not wait for the record.
    let (wallet, cosigned) = match settings {
        Some(settings) => {
            let (wallet, cosigned) = join(
                find_wallet(realm, request),
                cosign(realm, settings, request),
            )
            .await;
            (wallet?, Some(cosigned))
        }
        None => (find_wallet(realm, request).await?, None),
    };
    let signer = settings.map(|settings| settings.signer);
    let guard_part = guard_part(wallet.record.guard, signer, cosigned)?;
    Ok(Approved { wallet, guard_part })
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
async fn find_wallet<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
) -> Result<Wallet, Problem> {
    let id = realm.account_id(&request.owner());
    let maybe_old = realm.records.account_maybe_old(id).await?;
    if let Some(held) = &maybe_old
        && let Ok(wallet) = wallet_in(realm, request, held)
    {
        return Ok(wallet);
    }
    let held = realm
        .records
        .read::<Account>(id)
        .await?
        .ok_or(Code::SessionInvalid)?;
    wallet_in(realm, request, &realm.records.remember(id, held))
}

fn wallet_in<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
    held: &Held<Account>,
) -> Result<Wallet, Problem> {
    realm.check_session(&held.value, request)?;
    let order = request.body();
    let record = held
        .value
        .wallet(&order.request.wallet)
        .ok_or(Code::WalletUnknown)?;
    if record.key != order.key_use.key {
        return Err(Code::IntentMismatch.into());
    }
    Ok(Wallet {
        record: record.clone(),
        anchor: held.anchor,
    })
}

/// Asks the guard, and believes its signature only when it is the project's signer's.
async fn cosign<P: Platform>(
    realm: &Realm<P>,
    settings: &GuardSettings,
    request: &SessionRequest<SignRequest>,
) -> Result<EcdsaSignature, Problem> {
    let order = request.body();
    let body = Cosign {
        project: request.project().clone(),
        request: request.request_id(),
        sign: order.request.clone(),
    };
    let body = to_json(&body).map_err(|_| Problem::internal("the guard cannot be asked"))?;
    let guard = realm.guard(settings).await;
    let cosigned: Cosigned = guard
        .call(guard_path::COSIGN, &body)
        .await
        .map_err(|error| match error {
            CallError::Refused(problem) if problem.code == Code::GuardDenied => problem,
            CallError::Refused(problem)
                if matches!(problem.code, Code::PayloadInvalid | Code::RateLimited) =>
            {
                problem
            }
            error => {
                tracing::warn!(guard = guard.peer().authority, %error, "guard");
                Problem::new(Code::GuardUnavailable, format!("the guard {error}"))
            }
        })?;
    check_cosigned(&cosigned, &order.digest, settings.signer).ok_or_else(|| {
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
struct ReleasedShares {
    wallet: WalletRecord,
    guard_part: Option<(Address, EcdsaSignature)>,
    digest: Digest32,
    shares: Vec<Share>,
    total: u8,
}

/// Asks all holders at once and goes on with the first t good answers.
async fn release<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
    approved: Approved,
) -> Result<ReleasedShares, Problem> {
    let Approved { wallet, guard_part } = approved;
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
        digest: request.body().digest,
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
    let current = current_wallet(realm, request, wallet, &anchors).await?;
    Ok(ReleasedShares {
        wallet: current,
        guard_part,
        digest: request.body().digest,
        shares,
        total: u8::try_from(realm.holders.count()).unwrap_or(u8::MAX),
    })
}

/// Checks that the record that was used is the newest that any of the t holders remembers; where
/// it is not, the newer one must say the same of the wallet.
async fn current_wallet<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<SignRequest>,
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
    let wallet = wallet_in(realm, request, &realm.records.remember(id, current))?.record;
    let same = wallet.key == used.record.key
        && wallet.generation == used.record.generation
        && wallet.leaf == used.record.leaf
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
    realm: keyfold_protocol::ids::RealmId,
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
    /// Recombines the key, signs, forgets it, and composes the wallet's signature.
    fn sign(self) -> Result<Signed, Problem> {
        let failed = || Problem::internal("the shares do not make the wallet's key");
        let threshold = Threshold::new(self.wallet.threshold, self.total).map_err(|_| failed())?;
        let key = combine(threshold, &self.shares)
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
        let mut parts = Parts::new();
        parts.insert(owner, SignaturePart::EcdsaHash(part.ok_or_else(failed)?));
        if let Some((signer, part)) = self.guard_part {
            parts.insert(signer, SignaturePart::EcdsaHash(part));
        }
        let config = ValidConfig::new(self.wallet.config).map_err(|_| failed())?;
        // Refuses a part that belongs to no leaf: an owner who is not in the configuration.
        let signature = encode(&config, &parts, &Header::default()).map_err(|_| failed())?;
        Ok(Signed {
            digest: self.digest,
            signature,
        })
    }
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
