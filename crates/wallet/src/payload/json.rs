//! The JSON form of a payload: the package's field names, decimal strings for numbers.

use core::str::FromStr;

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BehaviorOnError, Call, NONCE_LIMIT, Payload, PayloadBody};
use crate::json::{self, HexBytes};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallFields {
    #[serde(with = "json::address")]
    to: Address,
    #[serde(with = "json::decimal")]
    value: U256,
    #[serde(with = "json::bytes")]
    data: Bytes,
    #[serde(with = "json::decimal")]
    gas_limit: U256,
    delegate_call: bool,
    only_fallback: bool,
    behavior_on_error: Behavior,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Behavior {
    Ignore,
    Revert,
    Abort,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Body {
    #[serde(rename = "call")]
    Calls {
        #[serde(with = "json::decimal")]
        space: U160,
        #[serde(with = "json::decimal")]
        nonce: u64,
        calls: Vec<Call>,
    },
    #[serde(rename = "message")]
    Message {
        #[serde(with = "json::bytes")]
        message: Bytes,
    },
    #[serde(rename = "config-update")]
    ConfigUpdate {
        #[serde(with = "json::word")]
        image_hash: B256,
    },
    #[serde(rename = "digest")]
    Digest {
        #[serde(with = "json::word")]
        digest: B256,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(flatten)]
    body: Body,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parent_wallets: Vec<Parent>,
}

/// An address in a list.
struct Parent(Address);

impl Serialize for Parent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Parent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        HexBytes::<20>::from_str(&text)
            .map(|bytes| Self(Address::from(bytes.0)))
            .map_err(D::Error::custom)
    }
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        CallFields {
            to: self.to,
            value: self.value,
            data: self.data.clone(),
            gas_limit: self.gas_limit,
            delegate_call: self.delegate_call,
            only_fallback: self.only_fallback,
            behavior_on_error: match self.behavior_on_error {
                BehaviorOnError::Ignore => Behavior::Ignore,
                BehaviorOnError::Revert => Behavior::Revert,
                BehaviorOnError::Abort => Behavior::Abort,
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = CallFields::deserialize(deserializer)?;
        Ok(Self {
            to: fields.to,
            value: fields.value,
            data: fields.data,
            gas_limit: fields.gas_limit,
            delegate_call: fields.delegate_call,
            only_fallback: fields.only_fallback,
            behavior_on_error: match fields.behavior_on_error {
                Behavior::Ignore => BehaviorOnError::Ignore,
                Behavior::Revert => BehaviorOnError::Revert,
                Behavior::Abort => BehaviorOnError::Abort,
            },
        })
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = match &self.body {
            PayloadBody::Calls {
                space,
                nonce,
                calls,
            } => Body::Calls {
                space: *space,
                nonce: *nonce,
                calls: calls.clone(),
            },
            PayloadBody::Message(message) => Body::Message {
                message: message.clone(),
            },
            PayloadBody::ConfigUpdate(image_hash) => Body::ConfigUpdate {
                image_hash: *image_hash,
            },
            PayloadBody::Digest(digest) => Body::Digest { digest: *digest },
        };
        let parent_wallets = self.parent_wallets.iter().copied().map(Parent).collect();
        Fields {
            body,
            parent_wallets,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        let body = match fields.body {
            Body::Calls { nonce, .. } if nonce >= NONCE_LIMIT => {
                return Err(D::Error::custom("the nonce does not fit 56 bits"));
            }
            Body::Calls {
                space,
                nonce,
                calls,
            } => PayloadBody::Calls {
                space,
                nonce,
                calls,
            },
            Body::Message { message } => PayloadBody::Message(message),
            Body::ConfigUpdate { image_hash } => PayloadBody::ConfigUpdate(image_hash),
            Body::Digest { digest } => PayloadBody::Digest(digest),
        };
        Ok(Self {
            body,
            parent_wallets: fields.parent_wallets.into_iter().map(|one| one.0).collect(),
        })
    }
}
