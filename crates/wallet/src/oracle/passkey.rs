//! Passkeys.

use alloy_primitives::{B256, Bytes};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;

use super::params::{BytesText, Ordered, WordText, read};
use super::{Answer, OracleError, bytes};
use crate::passkey::{
    P256Signature, PasskeyPublicKey, PasskeySignature, credential_metadata, verify,
};
use crate::{Encoding, quirks};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    x: WordText,
    y: WordText,
    #[serde(default)]
    require_user_verification: bool,
    credential_id: Option<String>,
    metadata_hash: Option<WordText>,
}

impl Key {
    fn public_key(&self) -> Result<PasskeyPublicKey, OracleError> {
        let metadata = match (&self.credential_id, &self.metadata_hash) {
            (Some(_), Some(_)) => {
                return Err(OracleError::failed(
                    "credentialId and metadataHash exclude each other",
                ));
            }
            (Some(id), None) => Some(credential_metadata(id)),
            (None, hash) => hash.map(|hash| hash.0),
        };
        Ok(PasskeyPublicKey {
            x: self.x.0,
            y: self.y.0,
            require_user_verification: self.require_user_verification,
            metadata,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    r: WordText,
    s: WordText,
    authenticator_data: BytesText,
    client_data_json: Ordered,
    #[serde(default)]
    embed_metadata: bool,
    challenge: Option<WordText>,
}

/// The fields of both, which stand side by side.
fn signature(params: &str) -> Result<(PasskeySignature, Option<B256>), OracleError> {
    let key = read::<Key>(params)?.public_key()?;
    let parts: Parts = read(params)?;
    let client_data = match parts.client_data_json {
        Ordered::Text(text) => text,
        object => serde_json::to_string(&object).map_err(OracleError::failed)?,
    };
    let signature = PasskeySignature::new(
        key,
        parts.embed_metadata,
        parts.authenticator_data.0,
        Bytes::from(client_data.into_bytes()),
        (parts.r.0, parts.s.0),
    )
    .map_err(OracleError::failed)?;
    Ok((signature, parts.challenge.map(|challenge| challenge.0)))
}

pub(super) fn encode(params: &str) -> Answer {
    let (mut signature, _) = signature(params)?;
    // Quirk: the package counts in UTF-16 units here, too.
    let client_data = signature.client_data_json.clone();
    for index in [&mut signature.challenge_index, &mut signature.type_index] {
        let before = client_data.get(..usize::from(*index)).unwrap_or_default();
        *index = u16::try_from(quirks::text_length(before)).unwrap_or(*index);
    }
    bytes(
        signature
            .encode(Encoding::Npm)
            .map_err(OracleError::failed)?,
    )
}

pub(super) fn root(params: &str) -> Answer {
    bytes(read::<Key>(params)?.public_key()?.root())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encoded {
    encoded_signature: BytesText,
}

pub(super) fn decode(params: &str) -> Answer {
    let encoded: Encoded = read(params)?;
    let decoded =
        PasskeySignature::decode(&encoded.encoded_signature.0).map_err(OracleError::failed)?;
    serde_json::to_value(decoded).map_err(OracleError::failed)
}

pub(super) fn validate(params: &str) -> Answer {
    let (signature, challenge) = signature(params)?;
    let challenge = challenge.ok_or_else(|| OracleError::failed("missing field `challenge`"))?;
    Ok(verify(&challenge, &signature, &p256_verifies)
        .is_ok()
        .into())
}

fn p256_verifies(message_hash: &B256, by: &P256Signature) -> bool {
    let point = [&[4][..], by.x.as_slice(), by.y.as_slice()].concat();
    let Ok(key) = VerifyingKey::from_sec1_bytes(&point) else {
        return false;
    };
    let Ok(signature) = Signature::from_scalars(by.r.0, by.s.0) else {
        return false;
    };
    key.verify_prehash(message_hash.as_slice(), &signature)
        .is_ok()
}
