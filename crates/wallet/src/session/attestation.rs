//! What an identity signer says of an implicit session key (format section 5.2).

use alloy_primitives::{Address, B256, Bytes, FixedBytes, Keccak256, b256, keccak256};

use super::SessionDecodeError;
use crate::bytes::{Reader, push_uint};
use crate::{Encoding, quirks};

/// keccak256 of `acceptImplicitRequest`.
const MAGIC_PREFIX: B256 =
    b256!("8e8d158b02ab6dafbfd099155be84cfa8c39dda10b0b43d8bcc9de67c8d36bac");
/// Longest application data and redirect URL (24 bits of length).
const MAX_FIELD: usize = 0xff_ffff;

/// A statement that a key speaks for the person who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The session key.
    pub approved_signer: Address,
    /// How the person signed in.
    pub identity_type: FixedBytes<4>,
    /// Hash of who said so.
    pub issuer_hash: B256,
    /// Hash of whom it was said to.
    pub audience_hash: B256,
    /// Data for the contracts that are called.
    pub application_data: Bytes,
    /// Where the sign-in returned to: text, but no contract checks that it is UTF-8.
    pub redirect_url: Bytes,
    /// When it was made, in Unix seconds. Only the contracts that are called can judge it.
    pub issued_at: u64,
}

impl Attestation {
    /// Appends the packed form.
    fn write(&self, out: &mut Vec<u8>, encoding: Encoding) -> Option<()> {
        out.extend_from_slice(self.approved_signer.as_slice());
        out.extend_from_slice(self.identity_type.as_slice());
        out.extend_from_slice(self.issuer_hash.as_slice());
        out.extend_from_slice(self.audience_hash.as_slice());
        for (field, text) in [(&self.application_data, false), (&self.redirect_url, true)] {
            let length = match encoding {
                Encoding::Npm if text => quirks::text_length(field),
                _ => field.len(),
            };
            if field.len() > MAX_FIELD {
                return None;
            }
            push_uint(out, length as u64, 3);
            out.extend_from_slice(field);
        }
        push_uint(out, self.issued_at, 8);
        Some(())
    }

    /// Packs the attestation. `None` if a field is longer than 2^24 - 1 bytes.
    #[must_use]
    pub fn pack(&self, encoding: Encoding) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write(&mut out, encoding)?;
        Some(out)
    }

    /// Reads a packed attestation, nothing else.
    ///
    /// # Errors
    /// [`SessionDecodeError::Truncated`], [`SessionDecodeError::TrailingBytes`].
    pub fn unpack(bytes: &[u8]) -> Result<Self, SessionDecodeError> {
        let mut reader = Reader::new(bytes);
        let attestation = Self::read(&mut reader).ok_or(SessionDecodeError::Truncated)?;
        if reader.is_empty() {
            Ok(attestation)
        } else {
            Err(SessionDecodeError::TrailingBytes)
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            approved_signer: reader.address()?,
            identity_type: FixedBytes::from_slice(reader.take(4)?),
            issuer_hash: reader.hash()?,
            audience_hash: reader.hash()?,
            application_data: Bytes::copy_from_slice(reader.sized(3)?),
            redirect_url: Bytes::copy_from_slice(reader.sized(3)?),
            issued_at: reader.uint(8)?,
        })
    }

    /// Computes what the identity signer signs, without any prefix. `None` as [`Self::pack`].
    #[must_use]
    pub fn hash(&self) -> Option<B256> {
        self.pack(Encoding::Shortest).map(keccak256)
    }

    /// Computes what a target answers if it accepts implicit calls of this wallet.
    #[must_use]
    pub fn magic(&self, wallet: &Address) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(MAGIC_PREFIX);
        hasher.update(wallet);
        hasher.update(self.audience_hash);
        hasher.update(self.issuer_hash);
        hasher.finalize()
    }
}
