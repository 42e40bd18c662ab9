//! The JSON form that wallet tools exchange (format section 2.4): decimal strings for numbers,
//! `0x` hex for bytes, a pair as an array, an opaque node as a string.

use core::fmt;

use alloy_primitives::{Address, B256};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Config, Topology};
use crate::json::{Decimal, HexBytes};

impl Serialize for Topology {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Node(hash) => serializer.collect_str(hash),
            Self::Branch(left, right) => {
                let mut pair = serializer.serialize_tuple(2)?;
                pair.serialize_element(left)?;
                pair.serialize_element(right)?;
                pair.end()
            }
            leaf => {
                let mut map = serializer.serialize_map(None)?;
                leaf.serialize_fields(&mut map)?;
                map.end()
            }
        }
    }
}

impl Topology {
    fn serialize_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Signer { address, weight } => {
                map.serialize_entry("type", "signer")?;
                map.serialize_entry("address", &address.to_string())?;
                map.serialize_entry("weight", &weight.to_string())
            }
            Self::Sapient {
                address,
                weight,
                image_hash,
            } => {
                map.serialize_entry("type", "sapient-signer")?;
                map.serialize_entry("address", &address.to_string())?;
                map.serialize_entry("weight", &weight.to_string())?;
                map.serialize_entry("imageHash", &image_hash.to_string())
            }
            Self::Subdigest(digest) => {
                map.serialize_entry("type", "subdigest")?;
                map.serialize_entry("digest", &digest.to_string())
            }
            Self::AnyAddressSubdigest(digest) => {
                map.serialize_entry("type", "any-address-subdigest")?;
                map.serialize_entry("digest", &digest.to_string())
            }
            Self::Nested {
                tree,
                weight,
                threshold,
            } => {
                map.serialize_entry("type", "nested")?;
                map.serialize_entry("tree", tree)?;
                map.serialize_entry("weight", &weight.to_string())?;
                map.serialize_entry("threshold", &threshold.to_string())
            }
            // Not maps; the caller has handled them.
            Self::Node(_) | Self::Branch(..) => Ok(()),
        }
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("threshold", &self.threshold.to_string())?;
        map.serialize_entry("checkpoint", &self.checkpoint.to_string())?;
        map.serialize_entry("topology", &self.topology)?;
        if let Some(checkpointer) = &self.checkpointer {
            map.serialize_entry("checkpointer", &checkpointer.to_string())?;
        }
        map.end()
    }
}

/// Every field any leaf can have; `into_topology` decides whether they fit the type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LeafFields {
    r#type: String,
    address: Option<HexBytes<20>>,
    weight: Option<Decimal<u8>>,
    image_hash: Option<HexBytes<32>>,
    digest: Option<HexBytes<32>>,
    tree: Option<Box<Topology>>,
    threshold: Option<Decimal<u16>>,
}

impl LeafFields {
    fn into_topology(self) -> Result<Topology, &'static str> {
        let address = self.address.map(|bytes| Address::from(bytes.0));
        let weight = self.weight.map(|number| number.0);
        let image_hash = self.image_hash.map(|bytes| B256::from(bytes.0));
        let digest = self.digest.map(|bytes| B256::from(bytes.0));
        let threshold = self.threshold.map(|number| number.0);
        match (
            self.r#type.as_str(),
            address,
            weight,
            image_hash,
            digest,
            self.tree,
            threshold,
        ) {
            ("signer", Some(address), Some(weight), None, None, None, None) => {
                Ok(Topology::Signer { address, weight })
            }
            ("sapient-signer", Some(address), Some(weight), Some(image_hash), None, None, None) => {
                Ok(Topology::Sapient {
                    address,
                    weight,
                    image_hash,
                })
            }
            ("subdigest", None, None, None, Some(digest), None, None) => {
                Ok(Topology::Subdigest(digest))
            }
            ("any-address-subdigest", None, None, None, Some(digest), None, None) => {
                Ok(Topology::AnyAddressSubdigest(digest))
            }
            ("nested", None, Some(weight), None, None, Some(tree), Some(threshold)) => {
                Ok(Topology::Nested {
                    tree,
                    weight,
                    threshold,
                })
            }
            _ => Err("unknown leaf type, or fields that do not belong to it"),
        }
    }
}

struct TopologyVisitor;

impl<'de> Visitor<'de> for TopologyVisitor {
    type Value = Topology;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a pair, a node hash or a leaf object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Topology, E> {
        let node: HexBytes<32> = text.parse().map_err(E::custom)?;
        Ok(Topology::Node(B256::from(node.0)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Topology, A::Error> {
        let left = pair
            .next_element()?
            .ok_or_else(|| de::Error::invalid_length(0, &"a pair"))?;
        let right = pair
            .next_element()?
            .ok_or_else(|| de::Error::invalid_length(1, &"a pair"))?;
        if pair.next_element::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::invalid_length(3, &"a pair"));
        }
        Ok(Topology::branch(left, right))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Topology, A::Error> {
        LeafFields::deserialize(de::value::MapAccessDeserializer::new(map))?
            .into_topology()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Topology {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopologyVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFields {
    threshold: Decimal<u16>,
    checkpoint: Decimal<u64>,
    topology: Topology,
    checkpointer: Option<HexBytes<20>>,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = ConfigFields::deserialize(deserializer)?;
        Ok(Self {
            threshold: fields.threshold.0,
            checkpoint: fields.checkpoint.0,
            checkpointer: fields.checkpointer.map(|bytes| Address::from(bytes.0)),
            topology: fields.topology,
        })
    }
}
