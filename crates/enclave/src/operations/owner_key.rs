//! A new owner's key: drawn, split, sealed to the holders, forgotten.

use std::sync::Arc;

use alloy_primitives::Address;
use keyfold_crypto::commitment::{CommittedShare, ShareCommitment, SharePurpose};
use keyfold_crypto::hd::derive_ethereum;
use keyfold_crypto::mnemonic::Entropy;
use keyfold_crypto::shamir::{Threshold, split};
use keyfold_crypto::{Canonical, hpke};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    Empty, SealDirection, SealedShare, ShareSeal, ShareStore, StoredShare, key_share_context, path,
};
use keyfold_protocol::ids::KeyId;

use crate::holders::first;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::OwnerKey;
use crate::request::{Body, SessionRequest};
use crate::rng::OperationRng;

/// The first generation of a sharing.
const FIRST_GENERATION: u32 = 1;

/// A key that was drawn, split and sealed to the holders. The key itself is gone already.
pub(super) struct NewKey {
    pub(super) key: OwnerKey,
    /// Sealed to each holder, in order: leaf key and entropy.
    shares: Vec<[SealedShare; 2]>,
}

impl NewKey {
    pub(super) fn draw<P: Platform>(
        realm: &Realm<P>,
        owner: &AccountRef,
        key: KeyId,
    ) -> Result<Self, Problem> {
        let failed = || Problem::internal("a key cannot be made");
        let mut rng = realm.core.rng()?;
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

        let shares = leaf_shares
            .into_iter()
            .zip(entropy_shares)
            .map(|(a, b)| [a, b])
            .collect();
        let key = OwnerKey {
            owner: Address::from(leaf.address()),
            key,
            generation: FIRST_GENERATION,
            threshold: realm.verified.record().threshold,
            leaf: leaf_commitments,
            entropy: entropy_commitments,
        };
        Ok(Self { key, shares })
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
pub(super) async fn store<P: Platform, B: Body>(
    realm: &Realm<P>,
    request: &SessionRequest<B>,
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
            stored(SharePurpose::LeafKey, leaf, &new.key.leaf),
            stored(SharePurpose::Entropy, entropy, &new.key.entropy),
        ];
        let body = ShareStore {
            evidence: evidence.clone(),
            key: new.key.key,
            generation: new.key.generation,
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
