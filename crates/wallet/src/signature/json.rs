//! The JSON form of a read signature, as the oracle of format section 9.3 answers it.

use alloy_primitives::{Address, Bytes, hex};
use serde::ser::{Error as _, SerializeMap, SerializeTuple};
use serde::{Serialize, Serializer};

use super::{Chunk, Decoded, EcdsaSignature, Item, SignerData};

impl Serialize for Decoded {
    /// Fails for a static signature, which shows no configuration.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Static { .. } => Err(S::Error::custom("a static signature has no configuration")),
            Self::Single(chunk) => Link {
                chunk,
                checkpointer: chunk.checkpointer,
                data: chunk.checkpointer_data.as_ref(),
                suffix: Vec::new(),
            }
            .serialize(serializer),
            Self::Chained {
                checkpointer,
                chunks,
            } => {
                let last = chunks.len().saturating_sub(1);
                let mut links = chunks.iter().enumerate().map(|(index, chunk)| Link {
                    chunk,
                    checkpointer: match checkpointer {
                        Some((address, _)) if index == last => Some(*address),
                        _ => chunk.checkpointer,
                    },
                    data: checkpointer
                        .as_ref()
                        .filter(|_| index == last)
                        .map(|(_, data)| data),
                    suffix: Vec::new(),
                });
                let mut first = links
                    .next()
                    .ok_or_else(|| S::Error::custom("a chain without links"))?;
                first.suffix = links.collect();
                first.serialize(serializer)
            }
        }
    }
}

struct Link<'a> {
    chunk: &'a Chunk,
    checkpointer: Option<Address>,
    data: Option<&'a Bytes>,
    suffix: Vec<Link<'a>>,
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("noChainId", &self.chunk.no_chain_id)?;
        if let Some(data) = self.data {
            map.serialize_entry("checkpointerData", &data.to_string())?;
        }
        map.serialize_entry("configuration", &Configuration(self))?;
        if !self.suffix.is_empty() {
            map.serialize_entry("suffix", &self.suffix)?;
        }
        map.end()
    }
}

struct Configuration<'a>(&'a Link<'a>);

impl Serialize for Configuration<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let chunk = self.0.chunk;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("threshold", &chunk.threshold.to_string())?;
        map.serialize_entry("checkpoint", &chunk.checkpoint.to_string())?;
        map.serialize_entry("topology", &Fold(&chunk.items))?;
        if let Some(checkpointer) = &self.0.checkpointer {
            map.serialize_entry("checkpointer", &lower(checkpointer))?;
        }
        map.end()
    }
}

/// What is read has no checksum: addresses are written in lower case, as the package does.
fn lower(address: &Address) -> String {
    hex::encode_prefixed(address)
}

/// A slice's items, as pairs that lean to the left.
struct Fold<'a>(&'a [Item]);

impl Serialize for Fold<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Each item makes the nesting one deeper; serializers recurse.
        if self.0.len() > super::MAX_DEPTH {
            return Err(S::Error::custom("too many items for nested pairs"));
        }
        match self.0 {
            [] => Err(S::Error::custom("a tree without items")),
            [item] => item.serialize(serializer),
            [rest @ .., last] => {
                let mut pair = serializer.serialize_tuple(2)?;
                pair.serialize_element(&Fold(rest))?;
                pair.serialize_element(last)?;
                pair.end()
            }
        }
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Node(hash) => return serializer.collect_str(hash),
            Self::Branch(items) => return Fold(items).serialize(serializer),
            _ => serializer.serialize_map(None)?,
        };
        match self {
            Self::Signer {
                weight,
                data: SignerData::Unsigned(address),
            } => {
                map.serialize_entry("type", "signer")?;
                map.serialize_entry("address", &lower(address))?;
                map.serialize_entry("weight", &weight.to_string())?;
            }
            Self::Signer { weight, data } => {
                map.serialize_entry("type", "unrecovered-signer")?;
                map.serialize_entry("weight", &weight.to_string())?;
                map.serialize_entry("signature", &Shown::of(data))?;
            }
            Self::Sapient {
                weight,
                address,
                data,
                compact,
            } => {
                let kind = if *compact {
                    "sapient_compact"
                } else {
                    "sapient"
                };
                map.serialize_entry("type", "unrecovered-signer")?;
                map.serialize_entry("weight", &weight.to_string())?;
                map.serialize_entry("signature", &Shown::Contract(kind, address, data))?;
            }
            Self::Subdigest(digest) => {
                map.serialize_entry("type", "subdigest")?;
                map.serialize_entry("digest", &digest.to_string())?;
            }
            Self::AnyAddressSubdigest(digest) => {
                map.serialize_entry("type", "any-address-subdigest")?;
                map.serialize_entry("digest", &digest.to_string())?;
            }
            Self::Nested {
                weight,
                threshold,
                items,
            } => {
                map.serialize_entry("type", "nested")?;
                map.serialize_entry("tree", &Fold(items))?;
                map.serialize_entry("weight", &weight.to_string())?;
                map.serialize_entry("threshold", &threshold.to_string())?;
            }
            // Not maps; handled above.
            Self::Node(_) | Self::Branch(_) => {}
        }
        map.end()
    }
}

enum Shown<'a> {
    Key(&'static str, &'a EcdsaSignature),
    Contract(&'static str, &'a Address, &'a Bytes),
    Nothing,
}

impl<'a> Shown<'a> {
    fn of(data: &'a SignerData) -> Self {
        match data {
            SignerData::EcdsaHash(signature) => Self::Key("hash", signature),
            SignerData::EthSign(signature) => Self::Key("eth_sign", signature),
            SignerData::Erc1271(address, data) => Self::Contract("erc1271", address, data),
            SignerData::Unsigned(_) => Self::Nothing,
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Key(kind, signature) => {
                map.serialize_entry("type", kind)?;
                map.serialize_entry("r", &signature.r().to_string())?;
                map.serialize_entry("s", &signature.s().to_string())?;
                map.serialize_entry("yParity", &u8::from(signature.y_parity()))?;
            }
            Self::Contract(kind, address, data) => {
                map.serialize_entry("type", kind)?;
                map.serialize_entry("address", &lower(address))?;
                map.serialize_entry("data", &data.to_string())?;
            }
            Self::Nothing => {}
        }
        map.end()
    }
}
