//! What is derived from the realm's seed, and the names that hide from the host what they name.

use alloy_primitives::{Address, Bytes};
use keyfold_crypto::envelope::{KeyRing, MasterKey};
use keyfold_crypto::hash::{constant_time_eq, hkdf_sha256, hmac_sha256, sha256};
use keyfold_crypto::{Encoder, Secret, secp256k1};
use keyfold_identity::EmailAddress;
use keyfold_identity::password::Pepper;
use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::{AddressId, Digest32, KeyId, ProjectId, RecordId};
use keyfold_wallet::EcdsaSignature;
use keyfold_wallet::checkpointer::RootStatement;

use crate::delivery::SessionCookies;

/// The realm's keys.
///
/// # Security
///
/// Each wipes itself on drop; the seed is not kept.
pub(crate) struct RealmKeys {
    pub(crate) sealing: KeyRing,
    pub(crate) cookies: SessionCookies,
    lookup: Secret<32>,
    stamp: Secret<32>,
    peppers: [Pepper; 1],
    recovery_codes: Secret<32>,
    checkpointer: secp256k1::SigningKey,
}

/// The seed gives no checkpointer key, which happens once in 2^127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seed gives no checkpointer key")]
pub(crate) struct UnusableSeed;

impl RealmKeys {
    /// Derives the keys: HKDF-SHA256 of the seed, one label each.
    pub(crate) fn derive(seed: &Secret<32>) -> Result<Self, UnusableSeed> {
        let derive = |label: &'static str| -> Secret<32> {
            let info = Encoder::new(label).finish();
            seed.expose(|seed| hkdf_sha256(&[], seed, &info))
        };
        let checkpointer =
            secp256k1::SigningKey::from_secret(&derive("keyfold/realm/checkpointer/v1"))
                .map_err(|_| UnusableSeed)?;
        Ok(Self {
            sealing: KeyRing::new(MasterKey::new(derive("keyfold/realm/sealing/v1"))),
            cookies: SessionCookies::new(
                derive("keyfold/realm/session-cookie/v1"),
                derive("keyfold/realm/session-cookie-name/v1"),
            ),
            lookup: derive("keyfold/realm/look-up/v1"),
            stamp: derive("keyfold/realm/anchor-stamp/v1"),
            peppers: [Pepper::new(1, derive("keyfold/realm/password-pepper/v1"))],
            recovery_codes: derive("keyfold/realm/recovery-codes/v1"),
            checkpointer,
        })
    }

    /// The keys that passwords are hashed with, the current one first.
    pub(crate) fn peppers(&self) -> &[Pepper] {
        &self.peppers
    }

    /// The key that codes on paper are hashed with.
    pub(crate) fn recovery_codes(&self) -> &Secret<32> {
        &self.recovery_codes
    }

    /// The checkpointer's address, as the realm record names it.
    pub(crate) fn checkpointer(&self) -> AddressId {
        AddressId::from_bytes(self.checkpointer.address())
    }

    /// Signs that a root is a wallet's latest, and returns what the checkpointer contract takes.
    /// `None` for a checkpoint that no configuration has.
    pub(crate) fn attest_root(
        &self,
        statement: &RootStatement,
        checkpointer: &Address,
    ) -> Option<Bytes> {
        let signature = self
            .checkpointer
            .sign_prehash(&statement.hash(checkpointer).0);
        let signature =
            EcdsaSignature::new(signature.r.into(), signature.s.into(), signature.y_parity)?;
        statement.to_proof(&signature).ok()
    }

    /// Names a record: a keyed hash of its kind, project and name.
    pub(crate) fn record_id(
        &self,
        kind: &str,
        project: Option<&ProjectId>,
        name: &[u8],
    ) -> RecordId {
        let mut encoder = Encoder::new("keyfold/record-name/v1");
        encoder
            .str(kind)
            .opt_bytes(project.map(|p| p.as_str().as_bytes()))
            .bytes(name);
        RecordId::from_bytes(self.mac(&encoder.finish()))
    }

    /// Names the key of an account's wallet: always the same for the same label, so that a wallet
    /// whose making was cut off is made again under the same name, and leaves nothing behind.
    pub(crate) fn wallet_key(&self, owner: &AccountRef, label: &str) -> KeyId {
        let name = Encoder::new("keyfold/wallet-key/v1")
            .str(owner.project.as_str())
            .bytes(owner.account.as_bytes())
            .str(label)
            .finish();
        let [head, _] = halves(self.mac(&name));
        KeyId::from_bytes(head)
    }

    /// Names the key that is to be the owner of a wallet after so many others, the first included.
    pub(crate) fn next_key(&self, owner: &AccountRef, wallet: &Address, number: u64) -> KeyId {
        let name = Encoder::new("keyfold/next-key/v1")
            .str(owner.project.as_str())
            .bytes(owner.account.as_bytes())
            .fixed(&wallet.into_array())
            .u64(number)
            .finish();
        let [head, _] = halves(self.mac(&name));
        KeyId::from_bytes(head)
    }

    /// Names a mailbox to holders, which count mails to it; the same in every project, since it is
    /// the mailbox that a flood fills. For the same reason without a `+tag`, which most providers
    /// deliver to the address without it. Accounts are of the whole address all the same.
    pub(crate) fn mailbox(&self, email: &EmailAddress) -> Digest32 {
        let local = email.local();
        let without_tag = match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => name,
            _ => local,
        };
        let name = Encoder::new("keyfold/mailbox/v1")
            .str(without_tag)
            .str(email.domain())
            .finish();
        Digest32::from_bytes(self.mac(&name))
    }

    /// Names what attempts are counted by, to holders.
    pub(crate) fn attempts(&self, whose: &[u8], device: Option<&[u8]>) -> Digest32 {
        let mut encoder = Encoder::new("keyfold/attempts/v1");
        encoder.bytes(whose).opt_bytes(device);
        Digest32::from_bytes(self.mac(&encoder.finish()))
    }

    /// Names an identity within an account's record.
    pub(crate) fn identity(&self, project: &ProjectId, method: &str, name: &[u8]) -> Digest32 {
        let mut encoder = Encoder::new("keyfold/identity/v1");
        encoder.str(project.as_str()).str(method).bytes(name);
        Digest32::from_bytes(self.mac(&encoder.finish()))
    }

    /// The anchor of a sealed version of a record.
    ///
    /// Its hash is in halves: of the SHA-256 of the sealed bytes, and of a MAC over record, version
    /// and the first half. To holders it is 32 bytes like any other.
    ///
    /// # Security
    ///
    /// The stamp makes an anchor that no enclave of the realm ever made known as such without the
    /// bytes it stands for, so that a holder cannot invent one. 128 bits of hash are enough for
    /// what is under them: whoever wants to pass other bytes off needs ones that an enclave sealed
    /// for the same record and version.
    pub(crate) fn anchor(&self, record: &RecordId, version: u64, sealed: &[u8]) -> Anchor {
        let [of_bytes, _] = halves(sha256(sealed));
        let stamp = self.stamp(record, version, &of_bytes);
        let mut hash = [0; 32];
        for (out, byte) in hash.iter_mut().zip(of_bytes.into_iter().chain(stamp)) {
            *out = byte;
        }
        Anchor {
            version,
            hash: Digest32::from_bytes(hash),
        }
    }

    /// Whether an enclave of the realm made the anchor, for this record.
    pub(crate) fn is_stamped(&self, record: &RecordId, anchor: &Anchor) -> bool {
        let [of_bytes, stamp] = halves(*anchor.hash.as_bytes());
        constant_time_eq(&stamp, &self.stamp(record, anchor.version, &of_bytes))
    }

    fn stamp(&self, record: &RecordId, version: u64, of_bytes: &[u8; 16]) -> [u8; 16] {
        let mut encoder = Encoder::new("keyfold/anchor-stamp/v1");
        encoder
            .bytes(record.as_bytes())
            .u64(version)
            .fixed(of_bytes);
        let message = encoder.finish();
        let [stamp, _] = halves(self.stamp.expose(|key| hmac_sha256(key, &message)));
        stamp
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.lookup.expose(|key| hmac_sha256(key, message))
    }
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (out, byte) in halves.as_flattened_mut().iter_mut().zip(bytes) {
        *out = byte;
    }
    halves
}

impl core::fmt::Debug for RealmKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RealmKeys([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use keyfold_protocol::ids::AccountId;

    use super::*;

    fn keys(seed: u8) -> RealmKeys {
        RealmKeys::derive(&Secret::from_array([seed; 32])).unwrap()
    }

    #[test]
    fn record_names_depend_on_seed_kind_project_and_name() {
        let (a, b): (ProjectId, ProjectId) =
            ("a.example".parse().unwrap(), "b.example".parse().unwrap());
        let base = keys(1).record_id("identity", Some(&a), b"x");
        assert_eq!(base, keys(1).record_id("identity", Some(&a), b"x"));
        for other in [
            keys(2).record_id("identity", Some(&a), b"x"),
            keys(1).record_id("account", Some(&a), b"x"),
            keys(1).record_id("identity", Some(&b), b"x"),
            keys(1).record_id("identity", None, b"x"),
            keys(1).record_id("identity", Some(&a), b"y"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn bytes_cannot_move_between_the_parts_of_an_identity() {
        let project: ProjectId = "a.example".parse().unwrap();
        let keys = keys(1);
        assert_ne!(
            keys.identity(&project, "a:b", b"c"),
            keys.identity(&project, "a", b"b:c")
        );
    }

    #[test]
    fn a_tag_does_not_make_another_mailbox() {
        let mailbox = |email: &str| keys(1).mailbox(&email.parse().unwrap());
        let base = mailbox("anna@mail.example");
        assert_eq!(base, mailbox("Anna+1@mail.example"));
        assert_eq!(base, mailbox("anna+a+b@mail.example"));
        for other in [
            "anna.1@mail.example",
            "anna@mail1.example",
            "ann@mail.example",
        ] {
            assert_ne!(base, mailbox(other), "{other}");
        }
        assert_ne!(mailbox("+a@mail.example"), mailbox("+b@mail.example"));
    }

    #[test]
    fn a_wallet_key_is_named_by_account_and_label() {
        let owner = |project: &str, account| AccountRef {
            project: project.parse().unwrap(),
            account: AccountId::from_bytes([account; 16]),
        };
        let base = keys(1).wallet_key(&owner("a.example", 1), "main");
        assert_eq!(base, keys(1).wallet_key(&owner("a.example", 1), "main"));
        for other in [
            keys(2).wallet_key(&owner("a.example", 1), "main"),
            keys(1).wallet_key(&owner("b.example", 1), "main"),
            keys(1).wallet_key(&owner("a.example", 2), "main"),
            keys(1).wallet_key(&owner("a.example", 1), "mai"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn an_anchor_that_no_enclave_made_has_no_stamp() {
        let (record, other) = (RecordId::from_bytes([1; 32]), RecordId::from_bytes([2; 32]));
        let real = keys(1).anchor(&record, 7, b"sealed");
        assert!(keys(1).is_stamped(&record, &real));
        assert_eq!(real, keys(1).anchor(&record, 7, b"sealed"));
        assert_ne!(real.hash, keys(1).anchor(&record, 7, b"sealee").hash);
        // Of another realm, of another record, of another version.
        assert!(!keys(2).is_stamped(&record, &real));
        assert!(!keys(1).is_stamped(&other, &real));
        for version in [0, 6, 8, u64::MAX] {
            assert!(!keys(1).is_stamped(&record, &Anchor { version, ..real }));
        }
        for at in 0..32 {
            let mut hash = *real.hash.as_bytes();
            hash[at] ^= 1;
            let hash = Digest32::from_bytes(hash);
            assert!(!keys(1).is_stamped(&record, &Anchor { hash, ..real }));
        }
    }

    #[test]
    fn nothing_of_the_keys_is_printed() {
        assert_eq!(format!("{:?}", keys(1)), "RealmKeys([redacted])");
    }
}
