//! A hash as it is kept: a PHC string, read strictly.

use core::fmt;

use base64ct::{Base64Unpadded, Encoding};
use serde::{Deserialize, Serialize};

use super::{Cost, CostError};

/// Most bytes of a string; ours have about 110.
const MAX_LEN: usize = 160;

/// Says why a text is no hash that was kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Not of the form that is written here.
    #[error("not a password hash of this form")]
    Malformed,
    /// Parameters that would not protect, or would take more than there is.
    #[error(transparent)]
    Cost(#[from] CostError),
}

/// A password's hash with all that is needed to compute it again, but for the pepper's key.
///
/// In text: `$argon2id$v=19$m=KIB,t=PASSES,p=LANES,keyid=PEPPER$SALT$HASH`, the form of the PHC
/// string format. Exactly what is written is read: one hash has one text.
///
/// # Security
///
/// `Debug` prints no salt and no hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    pepper_id: u32,
    salt: [u8; 16],
    tag: [u8; 32],
}

impl PasswordHash {
    pub(super) fn new(cost: Cost, pepper_id: u32, salt: [u8; 16], tag: [u8; 32]) -> Self {
        Self {
            cost,
            pepper_id,
            salt,
            tag,
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// [`StoredError`]. Nothing is computed or allocated by what the parameters say.
    pub fn parse(text: &str) -> Result<Self, StoredError> {
        let hash = Self::read(text)?;
        // The one form: no other order, no leading zeros, no second base64.
        if hash.to_string() == text {
            Ok(hash)
        } else {
            Err(StoredError::Malformed)
        }
    }

    fn read(text: &str) -> Result<Self, StoredError> {
        if text.len() > MAX_LEN {
            return Err(StoredError::Malformed);
        }
        let rest = text
            .strip_prefix("$argon2id$v=19$")
            .ok_or(StoredError::Malformed)?;
        let mut parts = rest.split('$');
        let (Some(parameters), Some(salt), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StoredError::Malformed);
        };
        let mut parameters = parameters.split(',');
        let mut parameter = |name: &str| {
            parameters
                .next()
                .and_then(|text| text.strip_prefix(name))
                .ok_or(StoredError::Malformed)
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| StoredError::Malformed);
        let cost = Cost::new(
            number(parameter("m=")?)?,
            number(parameter("t=")?)?,
            number(parameter("p=")?)?,
        )?;
        Ok(Self {
            cost,
            pepper_id: u32::from_be_bytes(decode(parameter("keyid=")?)?),
            salt: decode(salt)?,
            tag: decode(tag)?,
        })
    }

    /// Returns what it costs to compute.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn pepper_id(&self) -> u32 {
        self.pepper_id
    }

    pub(super) fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    pub(super) fn tag(&self) -> &[u8; 32] {
        &self.tag
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], StoredError> {
    let mut bytes = [0; N];
    match Base64Unpadded::decode(text, &mut bytes) {
        Ok(read) if read.len() == N => Ok(bytes),
        _ => Err(StoredError::Malformed),
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        write!(
            f,
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes},keyid={}${}${}",
            Base64Unpadded::encode_string(&self.pepper_id.to_be_bytes()),
            Base64Unpadded::encode_string(&self.salt),
            Base64Unpadded::encode_string(&self.tag)
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .field("pepper_id", &self.pepper_id)
            .finish_non_exhaustive()
    }
}

impl Serialize for PasswordHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
