//! JSON from strangers: bounded in bytes and depth, and no object has a member twice.
//!
//! RFC 8259 leaves open which of two equal names counts. Two readers that choose differently
//! disagree about who is signed in; RFC 7515 section 4 and RFC 7519 section 4 let a reader refuse.

use core::fmt;
use std::collections::BTreeSet;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess};
use serde::de::{IgnoredAny, Visitor};

/// Most arrays and objects inside one another.
pub const MAX_DEPTH: usize = 16;

/// Says why a document was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than its kind of document may have.
    #[error("the document is too large")]
    TooLarge,
    /// Not JSON of the expected form, nested deeper than [`MAX_DEPTH`], or with a member twice.
    #[error("the document is malformed")]
    Malformed,
}

/// Reads a document of at most `max_len` bytes.
///
/// # Errors
///
/// [`JsonError`]. It does not say where: the document may hold personal data.
///
/// # Security
///
/// For untrusted bytes. Members that `T` does not name are skipped, but not exempt from the bounds.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], max_len: usize) -> Result<T, JsonError> {
    if bytes.len() > max_len {
        return Err(JsonError::TooLarge);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Bounded { depth: MAX_DEPTH }
        .deserialize(&mut reader)
        .map_err(|_| JsonError::Malformed)?;
    serde_json::from_slice(bytes).map_err(|_| JsonError::Malformed)
}

/// Walks over a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Bounded {
    depth: usize,
}

impl Bounded {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        depth
            .map(|depth| Self { depth })
            .ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(inner)?;
            if !names.insert(name) {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(())
    }
}

/// Stands for a member whose presence alone matters; `null` counts as present.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    <IgnoredAny as serde::Deserialize>::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<serde_json::Value, JsonError> {
        from_slice(text.as_bytes(), 100_000)
    }

    #[test]
    fn a_member_that_occurs_twice_is_refused_at_every_depth() {
        assert!(parse(r#"{"a":1,"b":{"a":[{"a":null},{"a":1.5}]}}"#).is_ok());
        for bad in [
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"sub":"a","\u0073ub":"b"}"#,
            r#"{"b":{"a":1,"c":2,"a":3}}"#,
            r#"[{"a":{"b":[{"x":1,"x":2}]}}]"#,
            r#"{"a":1} {"a":1}"#,
            "",
        ] {
            assert_eq!(parse(bad), Err(JsonError::Malformed), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonError::Malformed));
        assert_eq!(parse(&"[".repeat(90_000)), Err(JsonError::Malformed));
        assert_eq!(parse(&r#"{"a":"#.repeat(15_000)), Err(JsonError::Malformed));
    }

    #[test]
    fn size_is_bounded_before_anything_is_read() {
        assert!(from_slice::<serde_json::Value>(b"[1]", 3).is_ok());
        assert_eq!(
            from_slice::<serde_json::Value>(b"[1]", 2),
            Err(JsonError::TooLarge)
        );
        assert_eq!(parse(&"x".repeat(100_001)), Err(JsonError::TooLarge));
    }
}
