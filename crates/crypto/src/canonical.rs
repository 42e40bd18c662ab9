//! The one encoding of everything that Keyfold signs, hashes or derives keys from.
//!
//! # Format
//!
//! The vectors and big-endian integers of TLS's presentation language (RFC 8446 section 3), led by
//! a label that names the type and its version:
//!
//! | Method | Bytes |
//! |---|---|
//! | [`Encoder::new`] | `u8` length of the label, the label |
//! | [`u8`](Encoder::u8), [`u32`](Encoder::u32), [`u64`](Encoder::u64) | the integer, big-endian |
//! | [`bool`](Encoder::bool) | `u8`, 0 or 1 |
//! | [`fixed`](Encoder::fixed) | the bytes, whose number the type fixes |
//! | [`bytes`](Encoder::bytes), [`str`](Encoder::str) | `u32` length, the bytes |
//! | [`opt_bytes`](Encoder::opt_bytes) | `u8` 0; or `u8` 1, then as `bytes` |
//! | [`list`](Encoder::list) | `u32` number of items; the items follow |
//! | [`nested`](Encoder::nested) | the other value's whole encoding, as `bytes` |
//!
//! A length of 2^32 - 1 or more (which no bounded message reaches) is written as `ff ff ff ff`
//! and the `u64` length, a label of 255 bytes or more as `ff` and its `u32` length, so that
//! encoding never fails and never truncates.
//!
//! # Why two different values never encode alike
//!
//! Read the output from the left. The label's length says where the label ends; the label says
//! which sequence of fields follows, because a label belongs to one type and one version of it.
//! Each field then says, by its type or by the length before it, where it ends. So the bytes can
//! be cut up in one way only, and from the pieces the values can be read back: the encoding is
//! injective, and no encoding is the beginning of another of the same label. What it needs from
//! its user is that the fields written after a label depend on nothing but what was written
//! before: a condition that decides whether a field is there is itself written first
//! (`opt_bytes`, `list`, a tag for each case of an enum).

use crate::hash::sha256;

/// Writes the canonical encoding of one value.
///
/// # Security
///
/// The buffer is ordinary memory: not for secrets.
///
/// # Examples
///
/// ```
/// use keyfold_crypto::Encoder;
///
/// let bytes = Encoder::new("ab").u8(1).str("x").opt_bytes(None).finish();
/// assert_eq!(bytes, [2, b'a', b'b', 1, 0, 0, 0, 1, b'x', 0]);
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    buffer: Vec<u8>,
}

impl Encoder {
    /// Begins an encoding with the label of its type, such as `"keyfold/share-context/v1"`.
    #[must_use]
    pub fn new(label: &'static str) -> Self {
        let mut buffer = Vec::with_capacity(128);
        match u8::try_from(label.len()) {
            Ok(len) if len < u8::MAX => buffer.push(len),
            _ => {
                buffer.push(u8::MAX);
                write_len(&mut buffer, label.len());
            }
        }
        buffer.extend_from_slice(label.as_bytes());
        Self { buffer }
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.buffer.push(value);
        self
    }

    /// Writes four bytes, big-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.buffer.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Writes eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.buffer.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Writes 0 or 1 as one byte.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// Writes an array whose length the type fixes, without a length.
    pub fn fixed<const N: usize>(&mut self, value: &[u8; N]) -> &mut Self {
        self.buffer.extend_from_slice(value);
        self
    }

    /// Writes a byte string after its length.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        write_len(&mut self.buffer, value.len());
        self.buffer.extend_from_slice(value);
        self
    }

    /// Writes the UTF-8 bytes of a string after their number. No normalisation is done.
    pub fn str(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Writes 0, or 1 and a byte string.
    pub fn opt_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            None => self.u8(0),
            Some(bytes) => self.u8(1).bytes(bytes),
        }
    }

    /// Writes the number of items that the caller writes next.
    pub fn list(&mut self, len: usize) -> &mut Self {
        write_len(&mut self.buffer, len);
        self
    }

    /// Writes another value's whole encoding, its label too, as a byte string.
    pub fn nested(&mut self, value: &impl Canonical) -> &mut Self {
        self.bytes(&value.to_signed_bytes())
    }

    /// Returns the encoding and leaves the encoder empty, its label gone too.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.buffer)
    }

    /// Returns the SHA-256 of the encoding so far.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.buffer)
    }
}

fn write_len(buffer: &mut Vec<u8>, len: usize) {
    match u32::try_from(len) {
        Ok(short) if short < u32::MAX => buffer.extend_from_slice(&short.to_be_bytes()),
        _ => {
            buffer.extend_from_slice(&u32::MAX.to_be_bytes());
            buffer.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// A value with one canonical encoding, fit to be signed or hashed.
///
/// # Security
///
/// `LABEL` belongs to this type and this version of its fields alone; whoever changes the fields
/// changes the label. That is what keeps a signature over one kind of message from being shown
/// as a signature over another.
pub trait Canonical {
    /// The label, such as `"keyfold/release-request/v1"`: at most 254 bytes, never used twice.
    const LABEL: &'static str;

    /// Writes the fields, in the order of the type's documentation.
    fn encode(&self, encoder: &mut Encoder);

    /// Returns the label and the fields: the bytes to sign.
    fn to_signed_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Self::LABEL);
        self.encode(&mut encoder);
        encoder.finish()
    }

    /// Returns the SHA-256 of [`Canonical::to_signed_bytes`].
    fn digest(&self) -> [u8; 32] {
        sha256(&self.to_signed_bytes())
    }
}

#[cfg(test)]
mod tests;
