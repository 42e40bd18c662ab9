//! Shares of keys, in and out.

use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_crypto::{Canonical, hpke};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::InstanceId;

use super::SimHolder;
use crate::world::{Answer, ok, refuse};

impl SimHolder {
    pub(super) fn store(&mut self, instance: InstanceId, store: ShareStore, now: u64) -> Answer {
        let (owner, _, verified) = self.in_session(instance, &store.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        if self
            .shares
            .get(&store.key)
            .is_some_and(|(of, _)| *of != owner)
        {
            return refuse(Code::KeyExists);
        }
        let realm = self.realm.as_ref().unwrap().id();
        let mut opened = Vec::new();
        for stored in &store.shares {
            let context = key_share_context(
                realm,
                &owner,
                store.key,
                stored.purpose,
                self.index,
                store.generation,
            );
            let direction = SealDirection::ToHolder;
            let info = ShareSeal {
                direction,
                instance,
                context: &context,
            }
            .to_signed_bytes();
            let share = hpke::open(&self.hpke, &info, &[], &stored.share.0).unwrap();
            let share = share.expose(CommittedShare::from_bytes).unwrap();
            share.verify(&context, &stored.commitment).unwrap();
            opened.push((stored.purpose, share, stored.commitment));
        }
        let (_, kept) = self.shares.entry(store.key).or_insert((owner, Vec::new()));
        kept.extend(opened);
        ok(Empty {})
    }

    pub(super) fn release(
        &mut self,
        instance: InstanceId,
        release: &ShareRelease,
        now: u64,
    ) -> Answer {
        let (owner, claims, verified) = self.in_session(instance, &release.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        let request = verified.request.intent.request_id();
        let key_use = *verified
            .request
            .intent
            .key_use()
            .ok_or((Code::EvidenceInvalid, ""))?;
        let (of, shares) = self
            .shares
            .get(&key_use.key)
            .ok_or((Code::KeyUnknown, ""))?;
        if *of != owner {
            return refuse(Code::OwnershipMismatch);
        }
        if !claims.wallets.contains(&key_use.wallet) {
            return refuse(Code::SessionInvalid);
        }
        let leaf = shares
            .iter()
            .find(|(purpose, _, commitment)| {
                *purpose == SharePurpose::LeafKey && *commitment == release.commitment
            })
            .ok_or((Code::KeyUnknown, ""))?;
        let share = leaf.1.to_bytes().expose(<[u8]>::to_vec);
        let context = key_share_context(
            self.realm.as_ref().unwrap().id(),
            &owner,
            key_use.key,
            SharePurpose::LeafKey,
            self.index,
            release.generation,
        );
        let aad = ReleaseAad {
            request,
            digest: key_use.digest,
        };
        let share = self.seal(instance, &context, &aad, share);
        let anchor = self.says(&release.record);
        ok(Released {
            share,
            anchor,
            entry: LogPosition { index: 1, size: 2 },
        })
    }

    pub(super) fn seal(
        &mut self,
        instance: InstanceId,
        context: &keyfold_crypto::commitment::ShareContext,
        aad: &ReleaseAad,
        mut share: Vec<u8>,
    ) -> SealedShare {
        if self.releases_wrong_shares {
            *share.last_mut().unwrap() ^= 1;
        }
        let direction = SealDirection::ToInstance;
        let info = ShareSeal {
            direction,
            instance,
            context,
        }
        .to_signed_bytes();
        let key = self.instances[&instance].hpke;
        SealedShare(hpke::seal(&key, &info, &aad.to_signed_bytes(), &share, &mut self.rng).unwrap())
    }
}
