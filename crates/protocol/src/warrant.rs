//! Warrants: what the operators of t holders agree may be done with every key at once, without its
//! owner.
//!
//! A warrant lets one enclave image make new shares of keys, and nothing else: what it reads under a
//! warrant it may only hand out as shares sealed to holders. It names the realm, the generation that
//! keys have afterwards, the image, and when it ends.
//!
//! # Security
//!
//! [`VerifiedWarrant`] has private fields and no constructor but [`SignedWarrant::verify`]. t holders
//! could put keys together by themselves, so t signatures give nobody a power that was not there; that
//! the image cannot sign under a warrant is the image's part, which is why the warrant names it.

use std::collections::BTreeSet;

use keyfold_attest::{PCR_LEN, Pcr};
use keyfold_crypto::{Canonical, Encoder, ed25519};
use serde::{Deserialize, Serialize};

use crate::ids::{Digest32, RealmId, Signature64};
use crate::realm::{MAX_HOLDERS, VerifiedRealm};

/// Longest life of a warrant, seconds: 30 days.
pub const MAX_WARRANT_SECONDS: u64 = 30 * 86_400;
/// How far ahead of the reader's clock a warrant may begin, seconds.
pub const MAX_WARRANT_AHEAD_SECONDS: u64 = 300;

/// Says why a warrant was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WarrantError {
    /// Not of a version that this release reads.
    #[error("the warrant has an unknown version")]
    UnknownVersion,
    /// For another realm, or another version of its record.
    #[error("the warrant is for another realm, or for holders that were replaced")]
    WrongRealm,
    /// Keys begin with generation 1.
    #[error("the warrant leads to no later generation")]
    NoGeneration,
    /// It has not begun.
    #[error("the warrant has not begun yet; check the clocks")]
    NotBegun,
    /// Its time is over.
    #[error("the warrant has expired; sign a new one")]
    Expired,
    /// It would last too long.
    #[error("the warrant lasts longer than 30 days")]
    LastsTooLong,
    /// Too few holders' operators have signed it.
    #[error("{good} holders have signed the warrant, and {needed} must")]
    TooFew {
        /// How many have.
        good: usize,
        /// How many must.
        needed: usize,
    },
    /// More signatures than a realm has holders.
    #[error("a warrant has at most one signature of each holder")]
    TooMany,
}

/// What may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warrant {
    /// 1.
    pub version: u32,
    /// The realm.
    pub realm: RealmId,
    /// The version of the realm's record whose holders have the shares.
    pub from: u32,
    /// The version whose holders get the new ones. The same, to refresh.
    pub to: u32,
    /// The generation that keys have afterwards: every key of an earlier one is meant.
    pub generation: u32,
    /// PCR0 of the image that may do it, 48 bytes.
    #[serde(with = "hex_pcr")]
    pub image: Pcr,
    /// Unix seconds from which it holds.
    pub issued: u64,
    /// Unix seconds until which it holds.
    pub expires: u64,
}

impl Canonical for Warrant {
    const LABEL: &'static str = "keyfold/warrant/v1";

    /// version, realm (bytes), from, to, generation (`u32`), image (bytes), issued, expires (`u64`).
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.version);
        out.bytes(self.realm.as_bytes());
        out.u32(self.from);
        out.u32(self.to);
        out.u32(self.generation);
        out.bytes(&self.image);
        out.u64(self.issued);
        out.u64(self.expires);
    }
}

impl Warrant {
    /// Signs it as a holder.
    pub fn sign(&self, holder: u8, key: &ed25519::SigningKey) -> WarrantSignature {
        WarrantSignature {
            holder,
            signature: Signature64(key.sign(&self.to_signed_bytes())),
        }
    }

    /// Returns the hash that logs name it by.
    pub fn id(&self) -> Digest32 {
        Digest32::from_bytes(self.digest())
    }

    /// Checks everything that needs no signature: for who is about to sign it.
    ///
    /// # Errors
    ///
    /// [`WarrantError`].
    pub fn check(&self, realm: &VerifiedRealm, now_unix_seconds: u64) -> Result<(), WarrantError> {
        if self.version != 1 {
            return Err(WarrantError::UnknownVersion);
        }
        let serial = realm.record().serial;
        if self.realm != realm.id() || self.from != serial || self.to != serial {
            return Err(WarrantError::WrongRealm);
        }
        if self.generation < 2 {
            return Err(WarrantError::NoGeneration);
        }
        if self.expires.saturating_sub(self.issued) > MAX_WARRANT_SECONDS {
            return Err(WarrantError::LastsTooLong);
        }
        if self.issued > now_unix_seconds.saturating_add(MAX_WARRANT_AHEAD_SECONDS) {
            return Err(WarrantError::NotBegun);
        }
        if self.expires <= now_unix_seconds {
            return Err(WarrantError::Expired);
        }
        Ok(())
    }
}

/// One holder's signature under a warrant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarrantSignature {
    /// The holder's index.
    pub holder: u8,
    /// Ed25519 over the warrant's canonical encoding, by the holder's signing key.
    pub signature: Signature64,
}

/// A warrant as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedWarrant {
    /// The warrant.
    pub warrant: Warrant,
    /// At most one of each holder.
    pub signatures: Vec<WarrantSignature>,
}

impl SignedWarrant {
    /// Verifies it, as of now, by the holders of the realm.
    ///
    /// # Errors
    ///
    /// [`WarrantError`].
    ///
    /// # Security
    ///
    /// Holders are counted, not signatures; one that does not verify counts as absent. Whether the
    /// image is the one that acts is [`VerifiedWarrant::is_for`].
    pub fn verify(
        &self,
        realm: &VerifiedRealm,
        now_unix_seconds: u64,
    ) -> Result<VerifiedWarrant, WarrantError> {
        self.warrant.check(realm, now_unix_seconds)?;
        if self.signatures.len() > MAX_HOLDERS {
            return Err(WarrantError::TooMany);
        }
        let good = self.signers(realm).len();
        let needed = usize::from(realm.record().threshold);
        if good < needed {
            return Err(WarrantError::TooFew { good, needed });
        }
        Ok(VerifiedWarrant {
            id: self.warrant.id(),
            generation: self.warrant.generation,
            image: self.warrant.image,
        })
    }

    /// Returns the holders whose signatures verify.
    pub fn signers(&self, realm: &VerifiedRealm) -> BTreeSet<u8> {
        let bytes = self.warrant.to_signed_bytes();
        let signed = |one: &&WarrantSignature| {
            realm.record().holder(one.holder).is_some_and(|card| {
                let verified = card.signing_key.verify(&bytes, &one.signature.0);
                verified.is_ok()
            })
        };
        let good = self.signatures.iter().take(MAX_HOLDERS).filter(signed);
        good.map(|one| one.holder).collect()
    }
}

/// A warrant that t holders of the realm signed and that holds now.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedWarrant {
    id: Digest32,
    generation: u32,
    image: Pcr,
}

impl VerifiedWarrant {
    /// Returns the hash that logs name it by.
    pub fn id(&self) -> Digest32 {
        self.id
    }

    /// Returns the generation that keys have afterwards.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Tells whether it is for the image of this PCR0.
    pub fn is_for(&self, pcr0: &Pcr) -> bool {
        self.image == *pcr0
    }
}

mod hex_pcr {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{PCR_LEN, Pcr};

    pub(super) fn serialize<S: Serializer>(pcr: &Pcr, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(pcr))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Pcr, D::Error> {
        let text = String::deserialize(from)?;
        let mut pcr = [0; PCR_LEN];
        hex::decode_to_slice(&text, &mut pcr)
            .map_err(|_| D::Error::custom("a PCR has 96 hexadecimal digits"))?;
        Ok(pcr)
    }
}
