//! The JSON form of a decoded signature, as the oracle of format section 9.3 answers it.

use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PasskeyPublicKey, PasskeySignature};
use crate::json::HexBytes;

impl Serialize for PasskeyPublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("requireUserVerification", &self.require_user_verification)?;
        map.serialize_entry("x", &self.x.to_string())?;
        map.serialize_entry("y", &self.y.to_string())?;
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", &metadata.to_string())?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyFields {
    require_user_verification: bool,
    x: HexBytes<32>,
    y: HexBytes<32>,
    metadata: Option<HexBytes<32>>,
}

impl<'de> Deserialize<'de> for PasskeyPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = KeyFields::deserialize(deserializer)?;
        Ok(Self {
            x: fields.x.0.into(),
            y: fields.y.0.into(),
            require_user_verification: fields.require_user_verification,
            metadata: fields.metadata.map(|hash| hash.0.into()),
        })
    }
}

impl Serialize for PasskeySignature {
    /// Fails for client data that is not UTF-8.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let client_data = core::str::from_utf8(&self.client_data_json).map_err(S::Error::custom)?;
        let key = PasskeyPublicKey {
            metadata: self.shown_metadata(),
            ..self.public_key
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("publicKey", &key)?;
        map.serialize_entry("r", &self.r.to_string())?;
        map.serialize_entry("s", &self.s.to_string())?;
        map.serialize_entry("authenticatorData", &self.authenticator_data.to_string())?;
        map.serialize_entry("clientDataJSON", client_data)?;
        map.serialize_entry("embedMetadata", &self.embed_metadata)?;
        map.serialize_entry("challengeIndex", &self.challenge_index)?;
        map.serialize_entry("typeIndex", &self.type_index)?;
        map.end()
    }
}
