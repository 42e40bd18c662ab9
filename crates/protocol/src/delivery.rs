//! How a session attestation reaches its client: in the answer, or sealed in a cookie.
//!
//! A client that asks for [`Delivery::Cookie`] is told the hash of its attestation and no more than
//! it needs ([`SealedAttestation`]). The text goes beside the sealed answer, sealed once more, to the
//! realm ([`SealedSession`]): the gateway keeps it with the browser as a cookie
//! ([`CookieChange`]) and passes it beside each later request.
//!
//! # Security
//!
//! The cookie is no credential: every request is signed by the device, over the hash of the
//! attestation that is in it.

use core::fmt;
use core::str::FromStr;

use keyfold_crypto::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

use crate::ids::{AddressId, CookieSlot, Digest32};
use crate::session::{MAX_SESSION_SECONDS, attestation_hash};

/// Header names.
pub mod header {
    /// From client to gateway: which of its cookies ([`CookieSlot`](crate::ids::CookieSlot)) goes with
    /// the request.
    pub const COOKIE: &str = "keyfold-cookie";
    /// From gateway to enclave, beside a sealed request: what is in that cookie.
    pub const SEALED_SESSION: &str = "keyfold-sealed-session";
    /// From enclave to gateway, beside a sealed answer: [`CookieChange`](super::CookieChange).
    pub const SET_SESSION: &str = "keyfold-set-session";
}

/// What the name of every cookie begins with; its [`CookieSlot`] follows. The prefix makes a browser
/// refuse one that came from another host, for a path, or in clear.
///
/// RFC 6265bis section 4.1.3.2.
pub const COOKIE_PREFIX: &str = "__Host-keyfold-";
/// Bytes under the seal. Browsers take 4,096 for one cookie and 10 KiB for a gateway embedded in one
/// site: so many that three fit, for apps on three names of a site. The longest attestation fits, too.
pub const SEALED_CONTENT_LEN: usize = 2_432;
/// Bytes of a sealed attestation: the second in which it ends, envelope, content.
pub const SEALED_LEN: usize = 8 + 37 + SEALED_CONTENT_LEN;
/// Characters of a [`SealedSession`]; each has exactly so many.
pub const SEALED_TEXT_LEN: usize = (SEALED_LEN * 4).div_ceil(3);

/// Where a client wants its attestations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// In the answer; the client keeps it wherever it likes.
    #[default]
    Body,
    /// In a cookie that no script reads.
    Cookie,
}

impl Delivery {
    /// Tells whether it is what a body that says nothing means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Renews a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Where the new attestation goes, wherever the last one is.
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub delivery: Delivery,
}

/// An attestation as its client has it. Flattened into a message it is one member, `attestation` or
/// `sealed_attestation`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldAttestation {
    /// Compact JWT for the app and for every later request.
    #[serde(rename = "attestation")]
    Text(String),
    /// It is in a cookie.
    #[serde(rename = "sealed_attestation")]
    Cookie(SealedAttestation),
}

/// What a client knows of an attestation that it does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAttestation {
    /// SHA-256 of its text, as the header `keyfold-session` has it.
    pub hash: Digest32,
    /// Which cookie it is in.
    pub slot: CookieSlot,
    /// Thumbprint of the key that signed it, which apps pin.
    pub key: Thumbprint,
    /// The wallets that it names.
    pub wallets: Vec<AddressId>,
}

impl HeldAttestation {
    /// Returns the text, where the client has it.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Cookie(_) => None,
        }
    }

    /// Returns the hash by which requests name it.
    pub fn hash(&self) -> Digest32 {
        match self {
            Self::Text(text) => Digest32::from_bytes(attestation_hash(text)),
            Self::Cookie(sealed) => sealed.hash,
        }
    }
}

impl fmt::Debug for HeldAttestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text([redacted])"),
            Self::Cookie(sealed) => f.debug_tuple("Cookie").field(sealed).finish(),
        }
    }
}

/// Reports a text that is no sealed attestation, or no change of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed session")]
pub struct SealedSessionError;

/// An attestation sealed to the realm, as base64url: all have the same length.
///
/// # Security
///
/// Parsing checks length and alphabet. Whether it opens, and to what, the enclave sees.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSession(String);

impl SealedSession {
    /// Writes sealed bytes.
    ///
    /// # Errors
    ///
    /// [`SealedSessionError`] unless they are [`SEALED_LEN`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedSessionError> {
        if bytes.len() != SEALED_LEN {
            return Err(SealedSessionError);
        }
        Ok(Self(keyfold_crypto::b64::encode(bytes)))
    }

    /// Returns the sealed bytes.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        keyfold_crypto::b64::decode(&self.0, SEALED_LEN).ok()
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SealedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSession([redacted])")
    }
}

impl FromStr for SealedSession {
    type Err = SealedSessionError;

    fn from_str(text: &str) -> Result<Self, SealedSessionError> {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.len() != SEALED_TEXT_LEN || !text.bytes().all(known) {
            return Err(SealedSessionError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What an enclave asks its gateway to do with a client's cookie.
///
/// As a header field: slot, seconds, sealed attestation, with a space between them; slot and `0` to
/// take it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CookieChange {
    /// Keep this in it.
    Set {
        /// Which cookie.
        slot: CookieSlot,
        /// For how long: 1 to [`MAX_SESSION_SECONDS`] seconds.
        seconds: u64,
        /// Its value.
        sealed: SealedSession,
    },
    /// Take it away.
    Clear {
        /// Which cookie.
        slot: CookieSlot,
    },
}

impl fmt::Display for CookieChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set {
                slot,
                seconds,
                sealed,
            } => write!(f, "{slot} {seconds} {}", sealed.as_str()),
            Self::Clear { slot } => write!(f, "{slot} 0"),
        }
    }
}

impl FromStr for CookieChange {
    type Err = SealedSessionError;

    fn from_str(text: &str) -> Result<Self, SealedSessionError> {
        let mut parts = text.splitn(3, ' ');
        let mut part = || parts.next().ok_or(SealedSessionError);
        let slot = part()?.parse().map_err(|_| SealedSessionError)?;
        let seconds: u64 = part()?.parse().map_err(|_| SealedSessionError)?;
        let change = match (seconds, parts.next()) {
            (0, None) => Self::Clear { slot },
            (1..=MAX_SESSION_SECONDS, Some(sealed)) => Self::Set {
                slot,
                seconds,
                sealed: sealed.parse()?,
            },
            _ => return Err(SealedSessionError),
        };
        // One text for each change: no leading zeros or signs.
        if change.to_string() != text {
            return Err(SealedSessionError);
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> CookieSlot {
        CookieSlot::from_bytes([0xa5; 8])
    }

    fn sealed() -> SealedSession {
        SealedSession::from_bytes(&[7; SEALED_LEN]).unwrap()
    }

    #[test]
    fn name_and_value_of_a_cookie_are_within_what_browsers_take() {
        let name = format!("{COOKIE_PREFIX}{}", slot());
        let both = name.len() + sealed().as_str().len();
        assert!(both <= 4_096 && 3 * both <= 10 * 1_024, "{both}");
        assert_eq!(sealed().as_str().len(), SEALED_TEXT_LEN);
    }

    #[test]
    fn a_sealed_session_has_one_length_and_one_alphabet() {
        let text = sealed().as_str().to_owned();
        assert_eq!(text.parse(), Ok(sealed()));
        assert_eq!(sealed().to_bytes().unwrap(), [7; SEALED_LEN]);
        let longer = format!("{text}A");
        let shorter = &text[1..];
        let strange = text.replacen('B', ";", 1);
        let padded = format!("{shorter}=");
        assert_ne!(strange, text);
        for bad in ["", &longer, shorter, &strange, &padded] {
            assert_eq!(bad.parse::<SealedSession>(), Err(SealedSessionError));
        }
        assert!(SealedSession::from_bytes(&[7; SEALED_LEN - 1]).is_err());
    }

    #[test]
    fn a_change_of_a_cookie_has_one_text() {
        let (slot, value) = (slot(), sealed());
        let changes = [
            CookieChange::Clear { slot },
            CookieChange::Set {
                slot,
                seconds: MAX_SESSION_SECONDS,
                sealed: value.clone(),
            },
        ];
        for change in changes {
            assert_eq!(change.to_string().parse(), Ok(change));
        }
        let value = value.as_str();
        for bad in [
            String::new(),
            format!("{slot}"),
            format!("{slot} 1"),
            format!("{slot} 0 {value}"),
            format!("{slot} 01 {value}"),
            format!("{slot} +1 {value}"),
            format!("{slot} -1 {value}"),
            format!("{slot} 1 {value}; Domain=example"),
            format!("{slot} {} {value}", MAX_SESSION_SECONDS + 1),
            format!("{slot} 99999999999999999999 {value}"),
            format!("{slot}  0"),
            format!("A5{} 0", "a5".repeat(7)),
        ] {
            assert!(bad.parse::<CookieChange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_attestation_is_one_member_of_its_message_and_the_one_of_before() {
        #[derive(Serialize, Deserialize)]
        struct Message {
            before: u8,
            #[serde(flatten)]
            held: HeldAttestation,
        }
        let text = r#"{"before":1,"attestation":"jwt"}"#;
        let message: Message = serde_json::from_str(text).unwrap();
        assert_eq!(message.held.text(), Some("jwt"));
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
        let sealed = SealedAttestation {
            hash: message.held.hash(),
            slot: slot(),
            key: Thumbprint([1; 32]),
            wallets: vec![AddressId::from_bytes([2; 20])],
        };
        let message = Message {
            before: 1,
            held: HeldAttestation::Cookie(sealed),
        };
        let json = serde_json::to_string(&message).unwrap();
        assert!(!json.contains("\"attestation\""), "{json}");
        let again: Message = serde_json::from_str(&json).unwrap();
        assert_eq!(again.held, message.held);
        assert_eq!(again.held.text(), None);
        assert!(serde_json::from_str::<Message>(r#"{"before":1}"#).is_err());
    }

    #[test]
    fn a_body_that_says_nothing_means_the_answer() {
        let renew: Renew = serde_json::from_str("{}").unwrap();
        assert_eq!(renew.delivery, Delivery::Body);
        assert_eq!(serde_json::to_string(&renew).unwrap(), "{}");
        let renew: Renew = serde_json::from_str(r#"{"delivery":"cookie"}"#).unwrap();
        assert_eq!(renew.delivery, Delivery::Cookie);
        assert!(serde_json::from_str::<Renew>(r#"{"delivery":"mail"}"#).is_err());
    }

    #[test]
    fn neither_text_nor_sealed_bytes_are_printed() {
        let held = HeldAttestation::Text("jwt-of-anna".to_owned());
        assert!(!format!("{held:?}").contains("anna"));
        assert_eq!(format!("{:?}", sealed()), "SealedSession([redacted])");
    }
}
