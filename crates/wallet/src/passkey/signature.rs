//! The bytes that the passkey contract gets as a sapient-compact signature (format section 7).

use alloy_primitives::{B256, Bytes, U256};

use super::PasskeyPublicKey;
use crate::bytes::{Reader, push_uint, word};
use crate::{Encoding, quirks};

const FLAG_USER_VERIFICATION: u8 = 0x01;
const FLAG_WIDE_AUTHENTICATOR_DATA: u8 = 0x02;
const FLAG_WIDE_CLIENT_DATA: u8 = 0x04;
const FLAG_WIDE_CHALLENGE_INDEX: u8 = 0x08;
const FLAG_WIDE_TYPE_INDEX: u8 = 0x10;
const FLAG_ABI: u8 = 0x20;
const FLAG_METADATA: u8 = 0x40;
const FLAG_UNKNOWN: u8 = 0x80;

/// Longest authenticator data and client data (16 bits of length).
const MAX_FIELD: usize = 0xffff;
/// Words of the ABI form before its first dynamic field: the offset, four values, and the
/// offsets and values of the inner struct.
const ABI_OUTER_WORDS: usize = 5;
const ABI_INNER_WORDS: usize = 6;

/// A passkey's signature with everything the contract needs to verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeySignature {
    /// The key. Its metadata stands in the bytes if [`PasskeySignature::embed_metadata`].
    pub public_key: PasskeyPublicKey,
    /// Whether the metadata is sent. Without it, the root is that of a key without metadata.
    pub embed_metadata: bool,
    /// What the authenticator says: relying party, flags, counter.
    pub authenticator_data: Bytes,
    /// What the browser says, as it was signed: JSON.
    pub client_data_json: Bytes,
    /// Where `"challenge"` stands in the client data.
    pub challenge_index: u16,
    /// Where `"type"` stands in the client data.
    pub type_index: u16,
    /// First half of the P-256 signature.
    pub r: B256,
    /// Second half of the P-256 signature.
    pub s: B256,
}

/// Why a passkey signature cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyEncodeError {
    /// Authenticator data or client data longer than 65535 bytes.
    #[error("authenticator data or client data is longer than {MAX_FIELD} bytes")]
    TooLong,
    /// The client data has no `"challenge"` or no `"type"`.
    #[error("the client data has no challenge or no type")]
    NoIndex,
    /// Metadata is to be embedded, but there is none.
    #[error("there is no metadata to embed")]
    NoMetadata,
}

/// Why bytes are not a passkey signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyDecodeError {
    /// The bytes end too early.
    #[error("the passkey signature ends too early")]
    Truncated,
    /// Bytes remain after the end.
    #[error("bytes remain after the end of the passkey signature")]
    TrailingBytes,
    /// A flag without meaning, or one that the ABI form leaves out.
    #[error("unknown flags {0:#04x} in the passkey signature")]
    UnknownFlag(u8),
    /// The ABI form is not the one that an encoder makes.
    #[error("the ABI form of the passkey signature is not canonical")]
    MalformedAbi,
}

fn position(text: &[u8], word: &[u8]) -> Option<u16> {
    let at = text.windows(word.len()).position(|window| window == word)?;
    u16::try_from(at).ok()
}

impl PasskeySignature {
    /// Puts a signature together as a browser hands it over; finds the indexes itself.
    ///
    /// # Errors
    /// [`PasskeyEncodeError`].
    pub fn new(
        public_key: PasskeyPublicKey,
        embed_metadata: bool,
        authenticator_data: Bytes,
        client_data_json: Bytes,
        (r, s): (B256, B256),
    ) -> Result<Self, PasskeyEncodeError> {
        if embed_metadata && public_key.metadata.is_none() {
            return Err(PasskeyEncodeError::NoMetadata);
        }
        let index = |word| position(&client_data_json, word).ok_or(PasskeyEncodeError::NoIndex);
        Ok(Self {
            challenge_index: index(b"\"challenge\"")?,
            type_index: index(b"\"type\"")?,
            public_key,
            embed_metadata,
            authenticator_data,
            client_data_json,
            r,
            s,
        })
    }

    /// The metadata that the bytes show.
    #[must_use]
    pub fn shown_metadata(&self) -> Option<B256> {
        self.public_key.metadata.filter(|_| self.embed_metadata)
    }

    /// Encodes the signature in the packed form.
    ///
    /// # Errors
    /// [`PasskeyEncodeError`].
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, PasskeyEncodeError> {
        let metadata = self.shown_metadata();
        if self.embed_metadata && metadata.is_none() {
            return Err(PasskeyEncodeError::NoMetadata);
        }
        let client_data_length = match encoding {
            Encoding::Shortest => self.client_data_json.len(),
            Encoding::Npm => quirks::text_length(&self.client_data_json),
        };
        if self.authenticator_data.len() > MAX_FIELD || self.client_data_json.len() > MAX_FIELD {
            return Err(PasskeyEncodeError::TooLong);
        }
        let numbers = [
            (self.authenticator_data.len(), FLAG_WIDE_AUTHENTICATOR_DATA),
            (client_data_length, FLAG_WIDE_CLIENT_DATA),
            (usize::from(self.challenge_index), FLAG_WIDE_CHALLENGE_INDEX),
            (usize::from(self.type_index), FLAG_WIDE_TYPE_INDEX),
        ];
        let mut flags = 0;
        if self.public_key.require_user_verification {
            flags |= FLAG_USER_VERIFICATION;
        }
        for (number, wide) in numbers {
            if number > 0xff {
                flags |= wide;
            }
        }
        if metadata.is_some() {
            flags |= FLAG_METADATA;
        }
        let mut out = vec![flags];
        out.extend(metadata.iter().flatten());
        let fields: [&[u8]; 4] = [&self.authenticator_data, &self.client_data_json, &[], &[]];
        for ((number, _), bytes) in numbers.into_iter().zip(fields) {
            let width = if number > 0xff { 2 } else { 1 };
            push_uint(&mut out, number as u64, width);
            out.extend_from_slice(bytes);
        }
        for word in [&self.r, &self.s, &self.public_key.x, &self.public_key.y] {
            out.extend_from_slice(word.as_slice());
        }
        Ok(out)
    }

    /// Encodes the signature in the ABI form, which shows the metadata always.
    #[must_use]
    pub fn encode_abi(&self) -> Vec<u8> {
        let mut out = vec![FLAG_ABI];
        let mut push = |word: B256| out.extend_from_slice(word.as_slice());
        push(word((ABI_OUTER_WORDS * 32) as u64));
        push(word(u8::from(self.public_key.require_user_verification)));
        push(self.public_key.x);
        push(self.public_key.y);
        push(self.shown_metadata().unwrap_or_default());
        let padded = |bytes: &Bytes| bytes.len().next_multiple_of(32);
        let second = ABI_INNER_WORDS * 32 + 32 + padded(&self.authenticator_data);
        push(word((ABI_INNER_WORDS * 32) as u64));
        push(word(second as u64));
        push(word(self.challenge_index));
        push(word(self.type_index));
        push(self.r);
        push(self.s);
        for bytes in [&self.authenticator_data, &self.client_data_json] {
            out.extend_from_slice(word(bytes.len() as u64).as_slice());
            out.extend_from_slice(bytes);
            out.resize(out.len() + padded(bytes) - bytes.len(), 0);
        }
        out
    }

    /// Reads a signature in either form.
    ///
    /// # Security
    /// For untrusted bytes: every read is checked and nothing may follow. Nothing is verified
    /// here; see [`super::verify`].
    ///
    /// # Errors
    /// [`PasskeyDecodeError`] names the first defect.
    pub fn decode(bytes: &[u8]) -> Result<Self, PasskeyDecodeError> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte().ok_or(PasskeyDecodeError::Truncated)?;
        if flags & FLAG_UNKNOWN != 0 || (flags & FLAG_ABI != 0 && flags != FLAG_ABI) {
            return Err(PasskeyDecodeError::UnknownFlag(flags));
        }
        if flags == FLAG_ABI {
            let signature = read_abi(reader.rest()).ok_or(PasskeyDecodeError::MalformedAbi)?;
            // One value, one encoding: what an encoder would not make is refused.
            return if signature.encode_abi() == bytes {
                Ok(signature)
            } else {
                Err(PasskeyDecodeError::MalformedAbi)
            };
        }
        let signature = read_packed(&mut reader, flags).ok_or(PasskeyDecodeError::Truncated)?;
        if reader.is_empty() {
            Ok(signature)
        } else {
            Err(PasskeyDecodeError::TrailingBytes)
        }
    }
}

fn read_packed(reader: &mut Reader<'_>, flags: u8) -> Option<PasskeySignature> {
    let width = |wide: u8| if flags & wide != 0 { 2 } else { 1 };
    let metadata = match flags & FLAG_METADATA {
        0 => None,
        _ => Some(reader.hash()?),
    };
    let authenticator_data = reader.sized(width(FLAG_WIDE_AUTHENTICATOR_DATA))?;
    let client_data_json = reader.sized(width(FLAG_WIDE_CLIENT_DATA))?;
    let challenge_index = reader.uint(width(FLAG_WIDE_CHALLENGE_INDEX))?;
    let type_index = reader.uint(width(FLAG_WIDE_TYPE_INDEX))?;
    let (r, s) = (reader.hash()?, reader.hash()?);
    Some(PasskeySignature {
        public_key: PasskeyPublicKey {
            x: reader.hash()?,
            y: reader.hash()?,
            require_user_verification: flags & FLAG_USER_VERIFICATION != 0,
            metadata,
        },
        embed_metadata: metadata.is_some(),
        authenticator_data: Bytes::copy_from_slice(authenticator_data),
        client_data_json: Bytes::copy_from_slice(client_data_json),
        challenge_index: u16::try_from(challenge_index).ok()?,
        type_index: u16::try_from(type_index).ok()?,
        r,
        s,
    })
}

fn read_abi(bytes: &[u8]) -> Option<PasskeySignature> {
    let mut outer = Reader::new(bytes);
    let mut inner = Reader::new(bytes.get(ABI_OUTER_WORDS * 32..)?);
    let number = |word: B256| u64::try_from(U256::from_be_bytes(word.0)).ok();
    outer.hash()?;
    let require_user_verification = number(outer.hash()?)? == 1;
    let (x, y) = (outer.hash()?, outer.hash()?);
    let metadata = outer.hash().filter(|word| !word.is_zero());
    inner.take(64)?;
    let challenge_index = u16::try_from(number(inner.hash()?)?).ok()?;
    let type_index = u16::try_from(number(inner.hash()?)?).ok()?;
    let (r, s) = (inner.hash()?, inner.hash()?);
    let mut field = || {
        let length = usize::try_from(number(inner.hash()?)?).ok()?;
        let bytes = inner.take(length.checked_next_multiple_of(32)?)?;
        bytes.get(..length).map(Bytes::copy_from_slice)
    };
    Some(PasskeySignature {
        authenticator_data: field()?,
        client_data_json: field()?,
        public_key: PasskeyPublicKey {
            x,
            y,
            require_user_verification,
            metadata,
        },
        embed_metadata: metadata.is_some(),
        challenge_index,
        type_index,
        r,
        s,
    })
}
