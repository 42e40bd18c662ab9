//! The beginning of a realm, and its seed.

use keyfold_crypto::commitment::CommittedShare;
use keyfold_crypto::{Canonical, hpke};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::{Digest32, InstanceId, RequestId, Signature64};
use keyfold_protocol::realm::SignedRealmRecord;

use super::SimHolder;
use crate::world::{Answer, ok, refuse};

impl SimHolder {
    pub(super) fn propose(&mut self, instance: InstanceId, propose: GenesisPropose) -> Answer {
        if self
            .realm
            .as_ref()
            .is_some_and(|realm| *realm.record() != propose.record)
        {
            return refuse(Code::RealmExists);
        }
        let record = propose.record;
        assert_eq!(record.check_shape(), Ok(()));
        let context = seed_share_context(&record.genesis_nonce, self.index);
        let direction = SealDirection::ToHolder;
        let info = ShareSeal {
            direction,
            instance,
            context: &context,
        }
        .to_signed_bytes();
        let share = hpke::open(&self.hpke, &info, &[], &propose.seed_share.0).unwrap();
        let share = share.expose(CommittedShare::from_bytes).unwrap();
        let commitment = record.seed_commitments[usize::from(self.index) - 1];
        share.verify(&context, &commitment).unwrap();
        let signature = Signature64(self.signing.sign(&record.to_signed_bytes()));
        self.proposal = Some((record, share));
        ok(GenesisConsent { signature })
    }

    pub(super) fn commit_realm(&mut self, signed: SignedRealmRecord) -> Answer {
        if let Some(realm) = &self.realm {
            let same = *realm.record() == signed.record;
            return if same {
                ok(Empty {})
            } else {
                refuse(Code::RealmExists)
            };
        }
        let Some((_, share)) = self
            .proposal
            .take_if(|(record, _)| *record == signed.record)
        else {
            return refuse(Code::RealmInvalid);
        };
        self.realm = Some(signed.verify_unpinned().unwrap());
        self.seed = Some(share);
        ok(Empty {})
    }

    pub(super) fn release_seed(&mut self, instance: InstanceId) -> Answer {
        let realm = self.realm.as_ref().unwrap();
        let context = seed_share_context(&realm.record().genesis_nonce, self.index);
        let aad = ReleaseAad {
            request: RequestId::from_bytes([0; 16]),
            digest: Digest32::from_bytes([0; 32]),
        };
        let share = self.seed.as_ref().unwrap().to_bytes();
        let share = share.expose(<[u8]>::to_vec);
        let share = self.seal(instance, &context, &aad, share);
        ok(Released {
            share,
            anchor: None,
            entry: LogPosition { index: 0, size: 1 },
        })
    }
}
