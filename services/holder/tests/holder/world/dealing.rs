//! Keys that are really split over the realm's holders, and what is said of them under a warrant.

use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_crypto::shamir::{Share, Threshold, combine, split};
use keyfold_crypto::{Canonical as _, hpke};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    Empty, Released, SealDirection, ShareRelease, key_share_context, path,
};
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::{
    BatchSeal, Confirm, HandOver, HandedOver, KeyShares, Retire, SealedBatch, SharesAck,
    SharesStatement, Sharing, TakeOver,
};
use keyfold_protocol::warrant::{SignedWarrant, Warrant};

use super::person::{KeyShare, share_release};
use super::{Answer, Enclave, Key, OWN, Person, World, image, random, rng};

/// One splitting of one key: what everybody may know of it, and each holder's shares.
pub(crate) struct Dealt {
    pub(crate) sharing: Sharing,
    /// Of holder i + 1: leaf key, then entropy.
    pub(crate) shares: Vec<Vec<Vec<u8>>>,
}

impl Dealt {
    /// The part of the holder under test.
    pub(crate) fn part(&self) -> KeyShares {
        self.sharing.part(OWN).unwrap()
    }

    /// The shares of the holder under test, as its plaintext of a batch has them.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        for share in &self.shares[usize::from(OWN) - 1] {
            plain.extend_from_slice(&u32::try_from(share.len()).unwrap().to_be_bytes());
            plain.extend_from_slice(share);
        }
        plain
    }
}

/// Puts a secret together from shares of holders 1.. by their place in the list.
pub(crate) fn combined(shares: &[&[u8]]) -> Option<Vec<u8>> {
    let read = |bytes: &&[u8]| CommittedShare::from_bytes(bytes).unwrap().share;
    let shares: Vec<Share> = shares.iter().map(read).collect();
    let secret = combine(Threshold::new(2, 3).unwrap(), &shares).ok()?;
    Some(secret.expose(<[u8]>::to_vec))
}

impl World {
    /// Splits a leaf key and, where there is one, entropy over the three holders.
    pub(crate) fn deal(
        &self,
        owner: &AccountRef,
        key: KeyId,
        generation: u32,
        secrets: &[&[u8]],
    ) -> Dealt {
        let mut lists = [Vec::new(), Vec::new()];
        let mut shares = vec![Vec::new(); 3];
        let purposes = [SharePurpose::LeafKey, SharePurpose::Entropy];
        for ((secret, purpose), list) in secrets.iter().zip(purposes).zip(&mut lists) {
            for share in split(secret, Threshold::new(2, 3).unwrap(), &mut rng()).unwrap() {
                let index = share.index();
                let context =
                    key_share_context(self.realm_id(), owner, key, purpose, index, generation);
                let (share, commitment) = CommittedShare::new(&context, share, &mut rng()).unwrap();
                list.push(commitment);
                let bytes = share.to_bytes().expose(<[u8]>::to_vec);
                shares[usize::from(index) - 1].push(bytes);
            }
        }
        let [leaf, entropy] = lists;
        let sharing = Sharing {
            owner: owner.clone(),
            key,
            generation,
            leaf,
            entropy,
        };
        Dealt { sharing, shares }
    }

    /// A person with a key that was really split, stored at the holder under test.
    pub(crate) async fn person_with_dealt_key(&self) -> (Person, Dealt) {
        let person = Person::new("app.example");
        self.enrol(&person).await.unwrap();
        let dealt = self.dealt_key(&person).await;
        (person, dealt)
    }

    /// A further one of the same person.
    pub(crate) async fn dealt_key(&self, person: &Person) -> Dealt {
        let id = KeyId::from_bytes(random());
        let dealt = self.deal(&person.owner, id, 1, &[&random::<32>(), &random::<16>()]);
        self.store(person, &self.key_of_dealt(&dealt))
            .await
            .unwrap();
        dealt
    }

    /// The same secrets, split anew.
    pub(crate) fn redeal(&self, dealt: &Dealt, generation: u32) -> Dealt {
        let secret = |at: usize| {
            let both = [&dealt.shares[0][at][..], &dealt.shares[2][at][..]];
            combined(&both).unwrap()
        };
        let (leaf, entropy) = (secret(0), secret(1));
        let Sharing { owner, key, .. } = &dealt.sharing;
        self.deal(owner, *key, generation, &[&leaf, &entropy])
    }

    /// The key as the helpers of releases know it.
    pub(crate) fn key_of_dealt(&self, dealt: &Dealt) -> Key {
        let part = dealt.part();
        let share = |purpose, at: usize, commitment| KeyShare {
            context: key_share_context(
                self.realm_id(),
                &part.owner,
                part.key,
                purpose,
                OWN,
                part.generation,
            ),
            commitment,
            bytes: dealt.shares[usize::from(OWN) - 1][at].clone(),
        };
        Key {
            id: part.key,
            shares: [
                share(SharePurpose::Entropy, 1, part.entropy.unwrap()),
                share(SharePurpose::LeafKey, 0, part.leaf),
            ],
        }
    }

    pub(crate) fn warrant(&self, generation: u32) -> Warrant {
        Warrant {
            version: 1,
            realm: self.realm_id(),
            from: 1,
            to: 1,
            generation,
            image: image().pcr0,
            issued: self.now(),
            expires: self.now() + 86_400,
        }
    }

    /// Signed by the two holders that are not under test, who are enough.
    pub(crate) fn signed(&self, warrant: Warrant) -> SignedWarrant {
        let sign = |(index, key): &(u8, _)| warrant.sign(*index, key);
        let signatures = self.others.iter().map(sign).collect();
        SignedWarrant {
            warrant,
            signatures,
        }
    }

    /// A good warrant that leads to a generation.
    pub(crate) fn allowed(&self, generation: u32) -> SignedWarrant {
        self.signed(self.warrant(generation))
    }

    pub(crate) fn batch_seal(
        &self,
        warrant: &SignedWarrant,
        direction: SealDirection,
    ) -> BatchSeal {
        BatchSeal {
            direction,
            realm: self.realm_id(),
            warrant: warrant.warrant.id(),
            instance: self.enclave.id(),
            holder: OWN,
        }
    }

    pub(crate) async fn hand_over(
        &self,
        warrant: &SignedWarrant,
        keys: Vec<KeyShares>,
    ) -> Answer<HandedOver> {
        let warrant = warrant.clone();
        self.call(path::SHARE_HAND_OVER, &HandOver { warrant, keys })
            .await
    }

    /// Opens what was handed over to an enclave.
    pub(crate) fn open_batch(&self, warrant: &SignedWarrant, handed: &HandedOver) -> Vec<Vec<u8>> {
        let info = self.batch_seal(warrant, SealDirection::ToInstance);
        let plain = hpke::open(
            &self.enclave.hpke,
            &info.to_signed_bytes(),
            b"",
            &handed.shares.0,
        );
        plain.unwrap().expose(|mut rest| {
            let mut shares = Vec::new();
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let len = usize::try_from(u32::from_be_bytes(*len)).unwrap();
                let (share, after) = after.split_at(len);
                shares.push(share.to_vec());
                rest = after;
            }
            assert!(rest.is_empty());
            shares
        })
    }

    pub(crate) fn take_over_message(&self, warrant: &SignedWarrant, new: &[&Dealt]) -> TakeOver {
        let plain: Vec<u8> = new.iter().flat_map(|dealt| dealt.plain()).collect();
        TakeOver {
            warrant: warrant.clone(),
            keys: new.iter().map(|dealt| dealt.sharing.clone()).collect(),
            shares: self.seal_batch(warrant, &plain),
        }
    }

    pub(crate) fn seal_batch(&self, warrant: &SignedWarrant, plain: &[u8]) -> SealedBatch {
        let info = self.batch_seal(warrant, SealDirection::ToHolder);
        self.seal_batch_as(&info, plain)
    }

    pub(crate) fn seal_batch_as(&self, info: &BatchSeal, plain: &[u8]) -> SealedBatch {
        let to = &self.holder.card().hpke_key;
        let sealed = hpke::seal(to, &info.to_signed_bytes(), b"", plain, &mut rng());
        SealedBatch(sealed.unwrap())
    }

    pub(crate) async fn take_over(&self, warrant: &SignedWarrant, new: &[&Dealt]) -> Answer<Empty> {
        let message = self.take_over_message(warrant, new);
        self.call(path::SHARE_TAKE_OVER, &message).await
    }

    pub(crate) async fn confirm(&self, new: &[&Dealt]) -> Answer<SharesAck> {
        let keys = sharings(new);
        self.call(path::SHARE_CONFIRM, &Confirm { keys }).await
    }

    /// What the two other holders state of a batch.
    pub(crate) fn others_confirm(&self, new: &[&Dealt]) -> Vec<SharesAck> {
        let keys = sharings(new);
        let state = |(holder, key): &(u8, _)| {
            SharesStatement {
                realm: self.realm_id(),
                holder: *holder,
                keys: &keys,
            }
            .sign(key)
        };
        self.others.iter().map(state).collect()
    }

    /// Everybody's statements, the one of the holder under test last.
    pub(crate) async fn all_confirm(&self, new: &[&Dealt]) -> Vec<SharesAck> {
        let mut acks = self.others_confirm(new);
        acks.push(self.confirm(new).await.unwrap());
        acks
    }

    pub(crate) async fn retire(&self, new: &[&Dealt], acks: &[SharesAck]) -> Answer<Empty> {
        let (keys, acks) = (sharings(new), acks.to_vec());
        self.call(path::SHARE_RETIRE, &Retire { keys, acks }).await
    }

    /// Asks for the leaf share of a splitting, for a signature.
    pub(crate) async fn release_of(&self, person: &Person, dealt: &Dealt) -> Answer<Released> {
        self.release_from(&self.enclave, person, dealt, |_| {})
            .await
    }

    pub(crate) async fn release_from(
        &self,
        enclave: &Enclave,
        person: &Person,
        dealt: &Dealt,
        change: impl FnOnce(&mut ShareRelease),
    ) -> Answer<Released> {
        let key = self.key_of_dealt(dealt);
        let evidence = person.evidence(&self.use_of(person, &key));
        let mut message = share_release(&key, evidence);
        message.generation = dealt.sharing.generation;
        change(&mut message);
        self.call_as(enclave, path::SHARE_RELEASE, &message).await
    }
}

pub(crate) fn sharings(dealt: &[&Dealt]) -> Vec<Sharing> {
    dealt.iter().map(|dealt| dealt.sharing.clone()).collect()
}
