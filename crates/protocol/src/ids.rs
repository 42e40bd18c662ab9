//! Names of things that cross a trust boundary, each a type of its own.
//!
//! Parsing is the only way in; every parsed value is bounded and safe to print.

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Reports that a text is not a well-formed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {0}")]
pub struct IdError(pub &'static str);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $len]);

        impl $name {
            /// Number of bytes.
            pub const LEN: usize = $len;

            /// Wraps bytes that are already known to name this thing.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Draws a fresh random name.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut bytes = [0; $len];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Parses lower-case hexadecimal of exactly the right length.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let mut bytes = [0; $len];
                if !lower || hex::decode_to_slice(text, &mut bytes).is_err() {
                    return Err(IdError($what));
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <String as utoipa::PartialSchema>::schema()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

hex_id!(
    /// Names a realm: the SHA-256 of its genesis record. Clients pin it.
    RealmId, 32, "realm id"
);
hex_id!(
    /// Names one running enclave: the first 16 bytes of a hash of its signing key.
    ///
    /// It is the authority of requests, and routes them; it is not by itself evidence of anything.
    InstanceId, 16, "instance id"
);
hex_id!(
    /// Names an account within one project; random, so that projects cannot link their users.
    AccountId, 16, "account id"
);
hex_id!(
    /// Names one shared key.
    KeyId, 16, "key id"
);
hex_id!(
    /// Names one request of a client; repeating it asks for the same thing again.
    RequestId, 16, "request id"
);
hex_id!(
    /// Names one session from sign-in to sign-out.
    SessionId, 16, "session id"
);
hex_id!(
    /// Names the cookie of one device in one project, by a keyed hash that tells the host nothing.
    CookieSlot, 8, "cookie slot"
);
hex_id!(
    /// Names one pending sign-in.
    SignInHandle, 16, "sign-in handle"
);
hex_id!(
    /// Names a sealed record, by a keyed hash that tells the host nothing.
    RecordId, 32, "record id"
);
hex_id!(
    /// A 32-byte digest that is shown as hexadecimal.
    Digest32, 32, "digest"
);
hex_id!(
    /// The address of a wallet or signer, without the `0x` of its display elsewhere.
    AddressId, 20, "address"
);

/// Names a project: the domain of the app, lower-case ASCII, at most 253 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectId(String);

impl ProjectId {
    /// Returns the domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectId {
    type Err = IdError;

    /// Parses a lower-case host name (RFC 1123: labels of letters, digits, inner hyphens).
    fn from_str(text: &str) -> Result<Self, IdError> {
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if text.is_empty() || text.len() > 253 || !text.split('.').all(label_ok) {
            return Err(IdError("project id"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ProjectId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ProjectId> for String {
    fn from(id: ProjectId) -> String {
        id.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for ProjectId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ProjectId {}

/// A 64-byte signature as it travels: base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature64(#[serde(with = "keyfold_crypto::b64")] pub [u8; 64]);

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Signature64 {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Signature64 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lower_case_hex_of_one_length() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<KeyId>().unwrap().to_string(), text);
        for bad in [
            "",
            "00",
            &text.to_uppercase(),
            &format!("{text}00"),
            "0x112233445566778899aabbccddeeff",
        ] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn projects_are_domains_without_delimiters_or_case() {
        for good in ["localhost", "app.example", "a-b.c1.example"] {
            assert_eq!(good.parse::<ProjectId>().unwrap().as_str(), good);
        }
        let long = "a".repeat(254);
        for bad in [
            "",
            "App.example",
            "a:b",
            "a/b",
            "a b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a..b",
            "é.fr",
            "a\n",
            &long,
        ] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad:?}");
        }
    }
}
