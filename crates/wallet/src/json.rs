//! What every JSON form here shares: decimal strings for numbers, `0x` hex for bytes.

use core::fmt::Display;
use core::str::FromStr;
use std::borrow::Cow;

use alloy_primitives::{Address, B256, Bytes, hex};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// A number written as a decimal string, nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Decimal<T>(pub(crate) T);

impl<'de, T: FromStr> Deserialize<'de> for Decimal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(D::Error::custom("expected a decimal number in a string"));
        }
        text.parse()
            .map(Decimal)
            .map_err(|_| D::Error::custom("the number is out of range"))
    }
}

/// `N` bytes written as `0x` and hex.
pub(crate) struct HexBytes<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> FromStr for HexBytes<N> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix("0x")
            .ok_or("expected 0x and hex digits")?;
        let mut bytes = [0u8; N];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| "wrong length or not hex")?;
        Ok(Self(bytes))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]`: a number as a decimal string.
pub(crate) mod decimal {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        Decimal::deserialize(from).map(|number| number.0)
    }
}

/// For `#[serde(with)]`: an address, written with its checksum, read in any case.
pub(crate) mod address {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Address, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
        HexBytes::<20>::deserialize(from).map(|bytes| Address::from(bytes.0))
    }
}

/// For `#[serde(with)]`: 32 bytes.
pub(crate) mod word {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &B256, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<B256, D::Error> {
        HexBytes::<32>::deserialize(from).map(|bytes| B256::from(bytes.0))
    }
}

/// For `#[serde(with)]`: bytes of any length.
pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("expected 0x and hex digits"))?;
        hex::decode(digits)
            .map(Bytes::from)
            .map_err(|_| D::Error::custom("not hex"))
    }
}
