//! Whether a passkey signed a challenge, by the rules of the passkey contract.

use alloy_primitives::{B256, b256};
use sha2::{Digest, Sha256};

use super::{PasskeyPublicKey, PasskeySignature};

/// Half of the order of P-256: the largest `s` that counts.
const HALF_ORDER: B256 = b256!("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");
const FLAG_USER_PRESENT: u8 = 0x01;
const FLAG_USER_VERIFIED: u8 = 0x04;
/// Where the flags stand in the authenticator data: after the relying party's hash.
const FLAGS_AT: usize = 32;
/// Relying party's hash, flags, counter: no authenticator says less.
const MIN_AUTHENTICATOR_DATA: usize = 37;

/// Verifies P-256 signatures. Any closure `Fn(&B256, &P256Signature) -> bool` will do.
pub trait VerifyP256 {
    /// Whether the key made the signature over the message with this SHA-256 hash.
    fn verify(&self, message_hash: &B256, signature: &P256Signature) -> bool;
}

impl<F: Fn(&B256, &P256Signature) -> bool> VerifyP256 for F {
    fn verify(&self, message_hash: &B256, signature: &P256Signature) -> bool {
        self(message_hash, signature)
    }
}

/// A P-256 signature and the key it is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P256Signature {
    /// First half of the signature.
    pub r: B256,
    /// Second half of the signature, in the lower half of the range.
    pub s: B256,
    /// x coordinate of the key.
    pub x: B256,
    /// y coordinate of the key.
    pub y: B256,
}

/// Why a passkey signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// Authenticator data of fewer than 37 bytes.
    #[error("the authenticator data is too short")]
    AuthenticatorData,
    /// The authenticator did not see a person.
    #[error("nobody was present at the authenticator")]
    UserPresence,
    /// The authenticator did not verify the person, and the wallet asks for it.
    #[error("the authenticator did not verify the person")]
    UserVerification,
    /// The client data is not of the type `webauthn.get` at the index given.
    #[error("the client data is not of the type webauthn.get")]
    Type,
    /// The client data has another challenge at the index given.
    #[error("the client data has another challenge")]
    Challenge,
    /// `s` is in the upper half: the same signature would have two forms.
    #[error("the signature is not in the lower half")]
    HighS,
    /// The key did not make this signature.
    #[error("the key did not make this signature")]
    Signature,
}

/// Verifies a passkey signature over a challenge (a payload's hash) and returns the root of the
/// key.
///
/// # Security
/// The caller must compare the root with the wallet's sapient leaf. Not checked, as on chain:
/// origin, relying party, counter, backup flags.
///
/// # Errors
/// [`PasskeyError`] names the first rule that is broken.
pub fn verify(
    challenge: &B256,
    signature: &PasskeySignature,
    p256: &impl VerifyP256,
) -> Result<B256, PasskeyError> {
    let key = PasskeyPublicKey {
        metadata: signature.shown_metadata(),
        ..signature.public_key
    };
    let flags = signature
        .authenticator_data
        .get(FLAGS_AT)
        .filter(|_| signature.authenticator_data.len() >= MIN_AUTHENTICATOR_DATA)
        .ok_or(PasskeyError::AuthenticatorData)?;
    if flags & FLAG_USER_PRESENT == 0 {
        return Err(PasskeyError::UserPresence);
    }
    if key.require_user_verification && flags & FLAG_USER_VERIFIED == 0 {
        return Err(PasskeyError::UserVerification);
    }
    let has = |index: u16, expected: &[u8]| {
        signature
            .client_data_json
            .get(usize::from(index)..)
            .is_some_and(|rest| rest.starts_with(expected))
    };
    if !has(signature.type_index, b"\"type\":\"webauthn.get\"") {
        return Err(PasskeyError::Type);
    }
    if !has(signature.challenge_index, &challenge_field(challenge)) {
        return Err(PasskeyError::Challenge);
    }
    if signature.s > HALF_ORDER {
        return Err(PasskeyError::HighS);
    }
    let mut hasher = Sha256::new();
    hasher.update(&signature.authenticator_data);
    hasher.update(Sha256::digest(&signature.client_data_json));
    let message_hash = B256::from_slice(&hasher.finalize());
    let by = P256Signature {
        r: signature.r,
        s: signature.s,
        x: key.x,
        y: key.y,
    };
    if p256.verify(&message_hash, &by) {
        Ok(key.root())
    } else {
        Err(PasskeyError::Signature)
    }
}

/// Writes the client data's challenge field: base64url without padding.
fn challenge_field(challenge: &B256) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = b"\"challenge\":\"".to_vec();
    for group in challenge.chunks(3) {
        let mut bits = [0u8; 4];
        for (to, from) in bits.iter_mut().skip(1).zip(group) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(bits);
        for position in 0..=group.len() as u32 {
            let index = (bits >> (18 - 6 * position)) & 0x3f;
            out.extend(ALPHABET.get(index as usize));
        }
    }
    out.push(b'"');
    out
}
