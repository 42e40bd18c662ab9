//! Base64url without padding, for `#[serde(with = "keyfold_crypto::b64")]`.
//!
//! Works on `Vec<u8>` and `[u8; N]`. Decoding refuses padding, white space, the other alphabet and
//! non-zero trailing bits, so that every byte string has exactly one text. A `Vec<u8>` may have at
//! most [`MAX_BYTES`]; [`Bounded`] sets a smaller limit where the field knows one:
//!
//! ```
//! use keyfold_crypto::b64;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Message {
//!     #[serde(with = "b64")]
//!     key: [u8; 32],
//!     #[serde(with = "b64::Bounded::<1024>")]
//!     body: Vec<u8>,
//! }
//! ```
//!
//! RFC 4648 section 5.

use core::{fmt, marker::PhantomData};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserializer, Serializer, de};

/// The most bytes a field holds when it sets no limit of its own: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;

/// Why a text was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text stands for more bytes than allowed.
    #[error("base64url text is too long")]
    TooLong,
    /// The text is not base64url without padding, or not its canonical form.
    #[error("not base64url without padding")]
    Malformed,
    /// The text stands for another number of bytes than the field has.
    #[error("wrong number of bytes")]
    WrongLength,
}

/// Encodes bytes as base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Decodes base64url without padding, of at most `max` bytes.
///
/// # Errors
///
/// See [`DecodeError`]; the length is looked at before anything is allocated.
pub fn decode(text: &str, max: usize) -> Result<Vec<u8>, DecodeError> {
    if text.len() > max.saturating_mul(4).div_ceil(3) {
        return Err(DecodeError::TooLong);
    }
    Base64UrlUnpadded::decode_vec(text).map_err(|_| DecodeError::Malformed)
}

/// Decodes base64url without padding, of exactly `N` bytes.
///
/// # Errors
///
/// See [`DecodeError`].
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], DecodeError> {
    decode(text, N)?
        .try_into()
        .map_err(|_| DecodeError::WrongLength)
}

/// Serializes bytes as a base64url string.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: AsRef<[u8]> + ?Sized, S: Serializer>(
    bytes: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes.as_ref()))
}

/// Deserializes bytes from a base64url string.
///
/// # Errors
///
/// Those of the deserializer, and [`DecodeError`] as a message.
pub fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Bounded::<MAX_BYTES>::deserialize(deserializer)
}

/// The same as this module, for at most `MAX` bytes.
#[derive(Debug)]
pub struct Bounded<const MAX: usize>;

impl<const MAX: usize> Bounded<MAX> {
    /// Serializes bytes as a base64url string.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: AsRef<[u8]> + ?Sized, S: Serializer>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serialize(bytes, serializer)
    }

    /// Deserializes at most `MAX` bytes from a base64url string.
    ///
    /// # Errors
    ///
    /// Those of the deserializer, and [`DecodeError`] as a message.
    pub fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_str(BytesVisitor::<T, MAX>(PhantomData))
    }
}

struct BytesVisitor<T, const MAX: usize>(PhantomData<T>);

impl<T: TryFrom<Vec<u8>>, const MAX: usize> de::Visitor<'_> for BytesVisitor<T, MAX> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base64url without padding, at most {MAX} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let bytes = decode(text, MAX).map_err(E::custom)?;
        T::try_from(bytes).map_err(|_| E::custom(DecodeError::WrongLength))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(with = "crate::b64")]
        fixed: [u8; 2],
        #[serde(with = "crate::b64::Bounded::<3>")]
        bounded: Vec<u8>,
    }

    #[test]
    fn rfc_4648_section_10_without_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text, 6).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in ["Zg==", "Zg=", "Z", "Zh", "Zm9", "+/8", " Zg", "Zg\n", "Zé"] {
            assert_eq!(decode(text, 100), Err(DecodeError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded_before_decoding() {
        assert_eq!(decode("Zm9v", 2), Err(DecodeError::TooLong));
        assert_eq!(decode_array::<2>("Zg"), Err(DecodeError::WrongLength));
        let long = format!(r#"{{"fixed":"AAA","bounded":"{}"}}"#, "A".repeat(6));
        assert!(serde_json::from_str::<Sample>(&long).is_err());
        let exact = r#"{"fixed":"AAA","bounded":"Zm9v"}"#;
        let sample = Sample {
            fixed: [0, 0],
            bounded: b"foo".to_vec(),
        };
        assert_eq!(serde_json::from_str::<Sample>(exact).unwrap(), sample);
        assert_eq!(serde_json::to_string(&sample).unwrap(), exact);
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes), bytes.len()).unwrap(), bytes);
        }
    }
}
