//! The key machine: making wallets, listing them.

use std::sync::Arc;

use alloy_primitives::Address;
use futures_util::future::join;
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::hd::derive_ethereum;
use keyfold_crypto::mnemonic::Entropy;
use keyfold_crypto::shamir::{Threshold, split};
use keyfold_crypto::{Canonical, hpke};
use keyfold_protocol::client_api::{CreateWallet, Nothing, WalletInfo, Wallets};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    Empty, SealDirection, SealedShare, ShareSeal, ShareStore, StoredShare, key_share_context, path,
};
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::text::is_name;
use keyfold_wallet::config::default_tree;
use keyfold_wallet::{Context, wallet_address};

use super::session::check_active;
use crate::holders::first;
use crate::limits::MAX_WALLETS;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Held, WalletRecord};
use crate::request::SessionRequest;
use crate::rng::OperationRng;

/// The first generation of a sharing.
const FIRST_GENERATION: u32 = 1;

/// Lists the account's wallets, oldest first, to a device that t holders let act.
pub(super) async fn list<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Wallets, Problem> {
    let (account, active) = join(
        realm.session_account(&request),
        check_active(realm, &request),
    )
    .await;
    let account = account?.value;
    active?;
    Ok(Wallets {
        wallets: account.wallets().map(WalletRecord::info).collect(),
    })
}

/// Makes a wallet, or returns the one of that label.
///
/// In three steps, each of which may be cut off and repeated: all n holders store their shares; the
/// account's record names the wallet as staged, and all n holders hold that version; the record
/// names it for good. Whoever asks for wallets is told of it only then, for one that fewer than n
/// hold may still be left behind by a later change of the record ([`Records::read_held_by_all`]).
///
/// [`Records::read_held_by_all`]: crate::records::Records::read_held_by_all
pub(super) async fn create<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<CreateWallet>,
) -> Result<WalletInfo, Problem> {
    let label = request.body().label.as_str();
    if !is_name(label) {
        return Err(Problem::new(
            Code::MalformedRequest,
            "the label is not acceptable",
        ));
    }
    let id = realm.account_id(&request.owner());
    // Every holder must store a share anyway, so every one may be asked for the newest version: a
    // wallet that somebody hides would be made again beside it.
    let account = realm.session_account_of_all(&request).await?.value;
    let wallet = match account.wallet_of(label) {
        // Storing shares asks the holders whether the device may act; here nothing else does.
        Some(known) => {
            check_active(realm, &request).await?;
            known.clone()
        }
        None => stage(realm, &request, &account).await?,
    };
    if !wallet.staged {
        return Ok(wallet.info());
    }
    let held: Held<Account> = realm.records.read_held_by_all(id).await?;
    let same = |held: &WalletRecord| held.leaf == wallet.leaf;
    if !held.value.wallet_of(label).is_some_and(same) {
        return Err(Code::RecordConflict.into());
    }
    let wallet = realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let mut of_label = account.wallets.iter_mut().filter(|w| w.label == label);
            let held = of_label.find(|held| same(held));
            let held = held.ok_or(Code::RecordConflict)?;
            if !core::mem::take(&mut held.staged) {
                return Ok(Change::Keep(held.clone()));
            }
            let wallet = held.clone();
            Ok(Change::Write(account, wallet))
        })
        .await?;
    Ok(wallet.info())
}

/// Draws a key, has the holders store its shares, and names the wallet as staged.
async fn stage<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<CreateWallet>,
    account: &Account,
) -> Result<WalletRecord, Problem> {
    let label = request.body().label.as_str();
    if account.wallets.len() >= MAX_WALLETS {
        return Err(Code::WalletLimit.into());
    }
    let project = realm.project(request.project()).await?;
    let guard = project.guard.as_ref().map(|guard| guard.signer);
    let new = NewKey::draw(realm, &request.owner(), guard, label)?;
    store(realm, request, &new).await?;

    let id = realm.account_id(&request.owner());
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, request)?;
            // Somebody asked for the same label at the same time: theirs is the wallet.
            if let Some(known) = account.wallet_of(label) {
                return Ok(Change::Keep(known.clone()));
            }
            if account.wallets.len() >= MAX_WALLETS {
                return Err(Code::WalletLimit.into());
            }
            account.wallets.push(new.wallet.clone());
            Ok(Change::Write(account, new.wallet.clone()))
        })
        .await
}

/// A key that was drawn, split and sealed to the holders. The key itself is gone already.
struct NewKey {
    wallet: WalletRecord,
    /// Sealed to each holder, in order: leaf key and entropy.
    shares: Vec<[SealedShare; 2]>,
}

impl NewKey {
    fn draw<P: Platform>(
        realm: &Realm<P>,
        owner: &AccountRef,
        guard: Option<Address>,
        label: &str,
    ) -> Result<Self, Problem> {
        let failed = || Problem::internal("a key cannot be made");
        let mut rng = realm.core.rng()?;
        let key = realm.keys.wallet_key(owner, label);
        let entropy = Entropy::generate(&mut rng);
        let seed = entropy
            .to_mnemonic()
            .and_then(|m| m.to_seed(""))
            .map_err(|_| failed())?;
        let leaf = derive_ethereum(&seed, 0).map_err(|_| failed())?;
        drop(seed);

        let sharing = Sharing { realm, owner, key };
        let (leaf_shares, leaf_commitments) = leaf
            .to_secret()
            .expose(|secret| sharing.split(SharePurpose::LeafKey, secret, &mut rng))?;
        let (entropy_shares, entropy_commitments) = entropy
            .as_secret()
            .expose(|secret| sharing.split(SharePurpose::Entropy, secret, &mut rng))?;

        let config = default_tree(Address::from(leaf.address()), guard).map_err(|_| failed())?;
        let image_hash = config.image_hash();
        let wallet = WalletRecord {
            label: label.to_owned(),
            staged: true,
            key,
            generation: FIRST_GENERATION,
            threshold: realm.verified.record().threshold,
            leaf: leaf_commitments,
            entropy: entropy_commitments,
            config: config.into_inner(),
            guard,
            address: wallet_address(&image_hash, &Context::keyfold()),
            image_hash,
            created: realm.now(),
        };
        let shares = leaf_shares
            .into_iter()
            .zip(entropy_shares)
            .map(|(a, b)| [a, b])
            .collect();
        Ok(Self { wallet, shares })
    }
}

/// Splitting one key over the holders.
struct Sharing<'a, P> {
    realm: &'a Realm<P>,
    owner: &'a AccountRef,
    key: KeyId,
}

impl<P: Platform> Sharing<'_, P> {
    /// Splits a secret; seals each share to its holder and commits to it.
    fn split(
        &self,
        purpose: SharePurpose,
        secret: &[u8],
        rng: &mut OperationRng,
    ) -> Result<(Vec<SealedShare>, Vec<ShareCommitment>), Problem> {
        let failed = || Problem::internal("a key cannot be split");
        let holders = &self.realm.holders;
        let needed = self.realm.verified.record().threshold;
        let total = u8::try_from(holders.count()).map_err(|_| failed())?;
        let threshold = Threshold::new(needed, total).map_err(|_| failed())?;
        let (mut sealed, mut commitments) = (Vec::new(), Vec::new());
        for (share, holder) in split(secret, threshold, rng)
            .map_err(|_| failed())?
            .into_iter()
            .zip(holders.list())
        {
            let context = key_share_context(
                self.realm.verified.id(),
                self.owner,
                self.key,
                purpose,
                share.index(),
                FIRST_GENERATION,
            );
            let (committed, commitment) =
                CommittedShare::new(&context, share, rng).map_err(|_| failed())?;
            let info = ShareSeal {
                direction: SealDirection::ToHolder,
                instance: self.realm.core.instance(),
                context: &context,
            };
            let envelope = committed
                .to_bytes()
                .expose(|bytes| {
                    hpke::seal(
                        &holder.card.hpke_key,
                        &info.to_signed_bytes(),
                        &[],
                        bytes,
                        rng,
                    )
                })
                .map_err(|_| failed())?;
            sealed.push(SealedShare(envelope));
            commitments.push(commitment);
        }
        Ok((sealed, commitments))
    }
}

/// Hands every holder its shares; all must confirm, since a missing one could never be replaced
/// without the key.
async fn store<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<CreateWallet>,
    new: &NewKey,
) -> Result<(), Problem> {
    let evidence = request.evidence();
    let mut bodies: Vec<Arc<[u8]>> = Vec::new();
    for (at, [leaf, entropy]) in new.shares.iter().enumerate() {
        let stored = |purpose, share: &SealedShare, commitments: &[ShareCommitment]| {
            let commitment = *commitments.get(at)?;
            Some(StoredShare {
                purpose,
                share: share.clone(),
                commitment,
            })
        };
        let shares = [
            stored(SharePurpose::LeafKey, leaf, &new.wallet.leaf),
            stored(SharePurpose::Entropy, entropy, &new.wallet.entropy),
        ];
        let body = ShareStore {
            evidence: evidence.clone(),
            key: new.wallet.key,
            generation: new.wallet.generation,
            shares: shares.into_iter().flatten().collect(),
        };
        let body = to_json(&body).map_err(|_| Problem::internal("shares cannot be written"))?;
        bodies.push(body.into());
    }
    let asked = realm.holders.ask(|holder| {
        let body = bodies
            .get(usize::from(holder.index).saturating_sub(1))
            .cloned();
        async move {
            let body = body.ok_or(CallError::Local)?;
            holder.link.call::<Empty>(path::SHARE_STORE, &body).await
        }
    });
    let everybody = realm.holders.count();
    let gathered = first(everybody, asked).await.all().await;
    if gathered.good.len() < everybody {
        return Err(realm.holders.shortage(everybody, &gathered.bad));
    }
    Ok(())
}
