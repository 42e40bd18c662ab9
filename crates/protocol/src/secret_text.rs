//! Text that must not stay in memory, or be printed, after it was used.

use core::fmt;
use core::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A mail code or a password on its way.
///
/// # Security
///
/// Wipes itself on drop; `Debug` prints nothing of it. What a JSON reader or writer copies on the
/// way (a text with escapes, a buffer that grew) is out of reach. Not for comparing secrets: `==`
/// stops at the first difference.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Deref for SecretText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_as_text_and_does_not_print() {
        let text: SecretText = serde_json::from_str("\"12345678\"").unwrap();
        assert_eq!(&*text, "12345678");
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"12345678\"");
        assert_eq!(format!("{text:?}"), "[redacted]");
        assert!(serde_json::from_str::<SecretText>("12345678").is_err());
    }
}
