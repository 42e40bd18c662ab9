//! Parameters: what callers write in more than one way.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use alloy_primitives::{Address, B256, Bytes};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OracleError;
use crate::json;

/// Reads the parameters of one method. Fields that it does not know are passed over.
pub(super) fn read<'a, T: Deserialize<'a>>(params: &'a str) -> Result<T, OracleError> {
    serde_json::from_str(params).map_err(OracleError::failed)
}

/// An address in hex, in any case.
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct AddressText(#[serde(with = "json::address")] pub(super) Address);

/// 32 bytes in hex.
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct WordText(#[serde(with = "json::word")] pub(super) B256);

/// Bytes in hex.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct BytesText(#[serde(with = "json::bytes")] pub(super) Bytes);

/// Reads a field of a text between separators.
pub(super) fn field<T: FromStr>(text: Option<&str>, what: &str) -> Result<T, OracleError> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| OracleError::Failed(format!("{what} is missing or malformed")))
}

/// Reads an address between separators.
pub(super) fn address_field(text: Option<&str>) -> Result<Address, OracleError> {
    field::<json::HexBytes<20>>(text, "an address").map(|bytes| Address::from(bytes.0))
}

/// Reads 32 bytes between separators.
pub(super) fn word_field(text: Option<&str>) -> Result<B256, OracleError> {
    field::<json::HexBytes<32>>(text, "a 32-byte hash").map(|bytes| B256::from(bytes.0))
}

/// Reads hex of any length.
pub(super) fn bytes_field(text: Option<&str>) -> Result<Bytes, OracleError> {
    text.and_then(|text| text.strip_prefix("0x"))
        .and_then(|digits| alloy_primitives::hex::decode(digits).ok())
        .map(Bytes::from)
        .ok_or_else(|| OracleError::failed("bytes in hex are missing or malformed"))
}

/// A number as JSON has it, or in decimal in a string.
#[derive(Clone, Copy)]
pub(super) struct Number<T>(pub(super) T);

struct NumberVisitor<T>(PhantomData<T>);

impl<T: FromStr + TryFrom<u64>> Visitor<'_> for NumberVisitor<T> {
    type Value = Number<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number that fits, or its decimal digits in a string")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        T::try_from(value)
            .map(Number)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if digits => Ok(Number(value)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

impl<'de, T: FromStr + TryFrom<u64>> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor(PhantomData))
    }
}

/// A list, or its elements in one string with spaces between.
pub(super) struct Words(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            List(Vec<String>),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Either::List(list) => list,
        }))
    }
}

/// Any JSON, its objects' fields in the order in which they stand.
pub(super) enum Ordered {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Ordered>),
    Object(Vec<(String, Ordered)>),
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

struct OrderedVisitor;

impl<'de> Visitor<'de> for OrderedVisitor {
    type Value = Ordered;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        Ok(Ordered::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Ordered::Null, Ordered::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Ordered, E> {
        Ok(Ordered::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ordered, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Ordered::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Ordered::Object(fields))
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderedVisitor)
    }
}
