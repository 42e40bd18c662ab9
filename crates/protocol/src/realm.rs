//! The realm record: who holds the keys, how many must agree, and with what keys they speak.
//!
//! Its hash is the realm id, which clients pin and enclaves extend into PCR16 before any traffic.

use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::ed25519;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::{Canonical, Encoder};
use serde::{Deserialize, Serialize};

use crate::ids::{Digest32, RealmId, Signature64};

/// Most holders a realm may have.
pub const MAX_HOLDERS: usize = 32;
/// Longest text field of a holder's entry, bytes.
pub const MAX_TEXT: usize = 253;

/// Says why a realm record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RealmError {
    /// The version is not one this release reads.
    #[error("the realm record has an unknown version")]
    UnknownVersion,
    /// t must be 2 or more, 2t greater than n, t at most n, n at most [`MAX_HOLDERS`].
    #[error("the threshold is not two or more holders and a majority of them")]
    BadThreshold,
    /// Indexes are not 1..=n in order, names or keys repeat, or a text is too long.
    #[error("the holders' entries are not acceptable")]
    BadHolders,
    /// There must be one seed commitment for each holder.
    #[error("the seed commitments do not match the holders")]
    BadCommitments,
    /// A signature is missing, repeated, or does not verify.
    #[error("the record is not signed by every holder")]
    BadSignature,
    /// The record's hash is not the expected realm id.
    #[error("the record is not the realm that was expected")]
    WrongRealm,
}

/// The kind of root that signs the attestation documents of the realm's enclaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RootKind {
    /// AWS Nitro's root.
    AwsNitro,
    /// A development root, by the SHA-256 of its certificate. Release binaries refuse it.
    Development {
        /// SHA-256 of the DER certificate.
        certificate_sha256: Digest32,
    },
}

/// What a holder tells about itself; made by its `init` command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HolderCard {
    /// Short name, for people.
    pub name: String,
    /// The party that runs it.
    pub party: String,
    /// Where it stands.
    pub region: String,
    /// `host:port`.
    pub address: String,
    /// Ed25519 key that signs records, acks, times and checkpoints.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signing_key: ed25519::VerifyingKey,
    /// X25519 key that shares are sealed to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub hpke_key: HpkePublicKey,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS certificate.
    pub tls_spki_sha256: Digest32,
}

/// The realm as its holders agreed on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RealmRecord {
    /// 1.
    pub version: u32,
    /// 1 at genesis; each change adds one.
    pub serial: u32,
    /// Hash of the record before; absent at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest32>,
    /// Random, drawn at genesis; context of the seed's shares, since the id is not known yet.
    pub genesis_nonce: Digest32,
    /// Unix seconds.
    pub created: u64,
    /// How many holders must agree.
    pub threshold: u8,
    /// Entry i has index i + 1.
    pub holders: Vec<HolderCard>,
    /// Who signs attestation documents.
    pub root: RootKind,
    /// Ed25519 keys that sign measurement policies; may be empty while holders approve by hand.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub policy_keys: Vec<ed25519::VerifyingKey>,
    /// Address (20 bytes, hexadecimal) of the checkpointer key derived from the seed.
    pub checkpointer: crate::ids::AddressId,
    /// Commitment to each holder's share of the seed.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub seed_commitments: Vec<ShareCommitment>,
}

impl Canonical for RealmRecord {
    const LABEL: &'static str = "keyfold/realm-record/v1";

    fn encode(&self, out: &mut Encoder) {
        out.u32(self.version);
        out.u32(self.serial);
        out.opt_bytes(self.previous.as_ref().map(|d| d.as_bytes().as_slice()));
        out.bytes(self.genesis_nonce.as_bytes());
        out.u64(self.created);
        out.u8(self.threshold);
        out.list(self.holders.len());
        for card in &self.holders {
            out.str(&card.name);
            out.str(&card.party);
            out.str(&card.region);
            out.str(&card.address);
            out.bytes(&card.signing_key.to_bytes());
            out.bytes(&card.hpke_key.0);
            out.bytes(card.tls_spki_sha256.as_bytes());
        }
        match self.root {
            RootKind::AwsNitro => {
                out.u8(1);
            }
            RootKind::Development { certificate_sha256 } => {
                out.u8(2);
                out.bytes(certificate_sha256.as_bytes());
            }
        }
        out.list(self.policy_keys.len());
        for key in &self.policy_keys {
            out.bytes(&key.to_bytes());
        }
        out.bytes(self.checkpointer.as_bytes());
        out.list(self.seed_commitments.len());
        for commitment in &self.seed_commitments {
            out.bytes(&commitment.0);
        }
    }
}

impl RealmRecord {
    /// Returns the hash that names the realm.
    pub fn id(&self) -> RealmId {
        RealmId::from_bytes(self.digest())
    }

    /// Checks everything that does not need signatures.
    ///
    /// # Errors
    ///
    /// [`RealmError`].
    pub fn check_shape(&self) -> Result<(), RealmError> {
        // Chained versions come with the first change of a realm; until then there is genesis only.
        if self.version != 1 || self.serial != 1 || self.previous.is_some() {
            return Err(RealmError::UnknownVersion);
        }
        let n = self.holders.len();
        let t = usize::from(self.threshold);
        // A share of one is the secret itself.
        if t < 2 || t > n || n > MAX_HOLDERS || 2 * t <= n {
            return Err(RealmError::BadThreshold);
        }
        for (at, card) in self.holders.iter().enumerate() {
            let text_ok = |text: &str| {
                !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
            };
            let texts = [&card.name, &card.party, &card.region, &card.address];
            let repeats = self.holders.iter().skip(at + 1).any(|other| {
                other.name == card.name
                    || other.address == card.address
                    || other.signing_key == card.signing_key
                    || other.hpke_key == card.hpke_key
            });
            if repeats || !texts.into_iter().all(|text| text_ok(text)) {
                return Err(RealmError::BadHolders);
            }
        }
        if self.seed_commitments.len() != n || self.policy_keys.len() > MAX_HOLDERS {
            return Err(RealmError::BadCommitments);
        }
        Ok(())
    }

    /// Returns how many holders must store something before it counts: max(n-t+1, majority).
    ///
    /// No t holders can be ignorant of what n-t+1 stored; and where t is large, two writers could
    /// both reach that many, but not a majority. One more than there are, which nobody reaches,
    /// where t is no threshold of these holders.
    pub fn write_quorum(&self) -> usize {
        let n = self.holders.len();
        match usize::from(self.threshold) {
            t if (1..=n).contains(&t) => (n - t + 1).max(n / 2 + 1),
            _ => n + 1,
        }
    }

    /// Returns the holder of an index, 1..=n.
    pub fn holder(&self, index: u8) -> Option<&HolderCard> {
        usize::from(index)
            .checked_sub(1)
            .and_then(|at| self.holders.get(at))
    }

    /// Names the parties and regions that t holders share, as a warning for genesis.
    pub fn concentration_warnings(&self) -> Vec<String> {
        let t = usize::from(self.threshold);
        let mut warnings = Vec::new();
        let mut look = |what: &str, of: fn(&HolderCard) -> &str| {
            let mut seen: Vec<&str> = Vec::new();
            for card in &self.holders {
                let value = of(card);
                let count = self.holders.iter().filter(|c| of(c) == value).count();
                if count >= t && !seen.contains(&value) {
                    seen.push(value);
                    warnings.push(format!("{count} holders share the {what} \"{value}\""));
                }
            }
        };
        look("party", |card| &card.party);
        look("region", |card| &card.region);
        warnings
    }
}

/// A realm record with the signatures of its holders, as it is stored and served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedRealmRecord {
    /// The record.
    pub record: RealmRecord,
    /// Ed25519 signatures over the canonical encoding, one for each holder, in order.
    pub signatures: Vec<Signature64>,
}

/// A realm record that every holder signed and whose hash is the expected id.
#[derive(Debug, Clone)]
pub struct VerifiedRealm {
    id: RealmId,
    signed: SignedRealmRecord,
}

impl SignedRealmRecord {
    /// Checks shape, hash and every holder's signature.
    ///
    /// # Errors
    ///
    /// [`RealmError`].
    ///
    /// # Security
    ///
    /// The pinned id makes the record authentic; the signatures show that the holders agreed.
    pub fn verify(self, expected: RealmId) -> Result<VerifiedRealm, RealmError> {
        let verified = self.verify_unpinned()?;
        if verified.id != expected {
            return Err(RealmError::WrongRealm);
        }
        Ok(verified)
    }

    /// As [`SignedRealmRecord::verify`] for whoever has no id to expect: a holder at genesis that
    /// finds itself in the record, or an enclave that then asks t holders for the seed.
    ///
    /// # Errors
    ///
    /// [`RealmError`].
    pub fn verify_unpinned(self) -> Result<VerifiedRealm, RealmError> {
        self.record.check_shape()?;
        if self.signatures.len() != self.record.holders.len() {
            return Err(RealmError::BadSignature);
        }
        let bytes = self.record.to_signed_bytes();
        for (card, signature) in self.record.holders.iter().zip(&self.signatures) {
            card.signing_key
                .verify(&bytes, &signature.0)
                .map_err(|_| RealmError::BadSignature)?;
        }
        Ok(VerifiedRealm {
            id: self.record.id(),
            signed: self,
        })
    }
}

impl VerifiedRealm {
    /// Returns the realm id.
    pub fn id(&self) -> RealmId {
        self.id
    }

    /// Returns the record.
    pub fn record(&self) -> &RealmRecord {
        &self.signed.record
    }

    /// Returns the record with its signatures.
    pub fn signed(&self) -> &SignedRealmRecord {
        &self.signed
    }
}
