//! How a running enclave shows a holder, a guard or a client that its keys are its own.
//!
//! The attestation document's `public_key` is the instance's HPKE key; its `user_data` is the hash
//! of the [`InstanceBinding`], which travels beside it.

use keyfold_attest::{Expectations, Pcr, TrustRoot, VerifiedDocument, VerifyError, verify};
use keyfold_crypto::ed25519;
use keyfold_crypto::hash::{constant_time_eq, sha256};
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::{Canonical, Encoder};
use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, RealmId};

/// Longest encoded OHTTP key configuration, bytes.
pub const MAX_OHTTP_CONFIG: usize = 512;

/// What an instance binds to its attestation document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceBinding {
    /// Version of the protocol that the instance speaks: 1.
    pub version: u32,
    /// Ed25519 key that signs the instance's requests.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signing_key: ed25519::VerifyingKey,
    /// OHTTP key configuration (RFC 9458 section 3) that clients seal to.
    #[serde(with = "keyfold_crypto::b64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub ohttp_config: Vec<u8>,
    /// The realm; absent only while the realm is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<RealmId>,
}

impl Canonical for InstanceBinding {
    const LABEL: &'static str = "keyfold/instance-binding/v1";

    fn encode(&self, out: &mut Encoder) {
        out.u32(self.version);
        out.bytes(&self.signing_key.to_bytes());
        out.bytes(&self.ohttp_config);
        out.opt_bytes(self.realm.as_ref().map(|id| id.as_bytes().as_slice()));
    }
}

impl InstanceBinding {
    /// Returns the `user_data` that the document must carry.
    pub fn user_data(&self) -> [u8; 32] {
        self.digest()
    }

    /// Returns the id of the instance that has this signing key.
    pub fn instance(&self) -> InstanceId {
        let hash = Encoder::new("keyfold/instance-id/v1")
            .bytes(&self.signing_key.to_bytes())
            .sha256();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        InstanceId::from_bytes(id)
    }
}

/// An attestation document with the preimage of its `user_data`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttestedBinding {
    /// The COSE_Sign1 document.
    #[serde(with = "keyfold_crypto::b64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub document: Vec<u8>,
    /// What it binds.
    pub binding: InstanceBinding,
}

/// Says why an instance was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The document itself was refused.
    #[error(transparent)]
    Document(#[from] VerifyError),
    /// `user_data` is not the hash of the binding.
    #[error("the document does not bind these keys")]
    NotBound,
    /// `public_key` is not an X25519 key.
    #[error("the document's public key is not an HPKE key")]
    BadPublicKey,
    /// The binding's version is unknown or its configuration too long.
    #[error("the binding is not acceptable")]
    BadBinding,
    /// The binding or PCR16 names another realm.
    #[error("the instance belongs to another realm")]
    WrongRealm,
}

/// An enclave instance whose document, keys and realm belong together.
///
/// Only [`AttestedBinding::verify`] makes one.
#[derive(Debug, Clone)]
#[expect(
    clippy::manual_non_exhaustive,
    reason = "only verification makes one, in this crate too"
)]
pub struct VerifiedInstance {
    /// The instance's id.
    pub id: InstanceId,
    /// Signs the instance's requests.
    pub signing_key: ed25519::VerifyingKey,
    /// Shares and secrets for the instance are sealed to it.
    pub hpke_key: HpkePublicKey,
    /// Clients seal requests to it.
    pub ohttp_config: Vec<u8>,
    /// The realm; absent while it is being made.
    pub realm: Option<RealmId>,
    /// PCR0 of its image.
    pub image: Pcr,
    /// The document's time, Unix milliseconds.
    pub document_timestamp_ms: u64,
    /// Last moment at which the document holds, Unix milliseconds: its greatest age, or the end of
    /// a certificate of its chain if that comes first. A registration must not outlive it.
    pub valid_until_ms: u64,
    _verified: (),
}

/// Value of PCR16 in an instance of a realm: the realm id extended into the empty register.
pub fn realm_pcr16(realm: Option<RealmId>) -> [u8; 48] {
    match realm {
        None => [0; 48],
        Some(id) => keyfold_attest::extend([0; 48], id.as_bytes()),
    }
}

impl AttestedBinding {
    /// Verifies the document and that it binds exactly these keys, for `realm`.
    ///
    /// `expect.pcr16` is set here from `realm`.
    ///
    /// # Errors
    ///
    /// [`RegistrationError`].
    pub fn verify(
        &self,
        root: &TrustRoot,
        expect: &Expectations<'_>,
        realm: Option<RealmId>,
    ) -> Result<VerifiedInstance, RegistrationError> {
        if self.binding.version != 1 || self.binding.ohttp_config.len() > MAX_OHTTP_CONFIG {
            return Err(RegistrationError::BadBinding);
        }
        if self.binding.realm != realm {
            return Err(RegistrationError::WrongRealm);
        }
        // A register that nobody extended is zero, and a document may leave it out.
        let expect = match realm {
            Some(_) => expect.with_pcr16(realm_pcr16(realm)),
            None => *expect,
        };
        let document: VerifiedDocument = verify(&self.document, root, &expect)?;
        if realm.is_none()
            && document
                .pcr(16)
                .is_some_and(|pcr| *pcr != realm_pcr16(None))
        {
            return Err(RegistrationError::WrongRealm);
        }
        let bound = document
            .user_data()
            .is_some_and(|data| constant_time_eq(data, &self.binding.user_data()));
        if !bound {
            return Err(RegistrationError::NotBound);
        }
        let hpke_key = document
            .public_key()
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .map(HpkePublicKey)
            .ok_or(RegistrationError::BadPublicKey)?;
        let image = *document.pcr(0).ok_or(VerifyError::PcrMissing(0))?;
        Ok(VerifiedInstance {
            image,
            id: self.binding.instance(),
            signing_key: self.binding.signing_key,
            hpke_key,
            ohttp_config: self.binding.ohttp_config.clone(),
            realm,
            document_timestamp_ms: document.timestamp_ms(),
            valid_until_ms: document.valid_until_ms(),
            _verified: (),
        })
    }
}

/// Hash of a document, for logs.
pub fn document_hash(document: &[u8]) -> [u8; 32] {
    sha256(document)
}
