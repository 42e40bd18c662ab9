//! `BEGIN PUBLIC KEY`: a `SubjectPublicKeyInfo` of one of the three kinds.

use keyfold_crypto::jwk::PublicJwk;
use p256::pkcs8::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use p256::pkcs8::der::{Decode, Document, Reader, SliceReader};
use p256::pkcs8::spki::SubjectPublicKeyInfoRef;

use super::{Material, VerifyingKey};

/// Most bytes: an RSA key of 4096 bits has 800.
const MAX_PEM_LEN: usize = 2_048;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

pub(super) fn read(text: &str) -> Option<Material> {
    if text.len() > MAX_PEM_LEN {
        return None;
    }
    let (label, document) = Document::from_pem(text.trim_ascii()).ok()?;
    if label != "PUBLIC KEY" {
        return None;
    }
    let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes()).ok()?;
    let key = info.subject_public_key.as_bytes()?;
    let parameters = info.algorithm.parameters;
    match info.algorithm.oid {
        RSA if parameters.is_none_or(AnyRef::is_null) => {
            let (modulus, exponent) = rsa(key)?;
            VerifyingKey::from_rsa(&modulus, &exponent)
        }
        EC if parameters?.decode_as::<ObjectIdentifier>().ok()? == P256 => {
            let (&4, point) = key.split_first()? else {
                return None;
            };
            let (x, y) = point.split_at_checked(32)?;
            VerifyingKey::from_curve(PublicJwk::P256 {
                x: x.try_into().ok()?,
                y: y.try_into().ok()?,
            })
        }
        ED25519 if parameters.is_none() => VerifyingKey::from_curve(PublicJwk::Ed25519 {
            x: key.try_into().ok()?,
        }),
        _ => None,
    }
}

/// RFC 8017 appendix A.1.1.
fn rsa(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let parts = reader
        .sequence(|sequence| {
            let modulus = UintRef::decode(sequence)?;
            let exponent = UintRef::decode(sequence)?;
            Ok::<_, p256::pkcs8::der::Error>((
                modulus.as_bytes().to_vec(),
                exponent.as_bytes().to_vec(),
            ))
        })
        .ok()?;
    reader.is_finished().then_some(parts)
}
