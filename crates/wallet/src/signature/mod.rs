//! Wallet signatures: from parts to bytes, from bytes to structure, and to (weight, image hash)
//! by the rules of the contracts (format section 3).

mod approval;
mod concat;
mod decode;
mod encode;
mod json;
mod minimal;
mod recover;
mod rewrite;

#[cfg(test)]
pub(crate) mod tests;

use alloy_primitives::{Address, B256, Bytes};

pub use approval::{StaticApproval, recover_static};
pub use concat::{ConcatError, concat};
pub use decode::{Chunk, DecodeError, Decoded, Item, MAX_DEPTH, MAX_SIGNATURE, SignerData, decode};
pub use encode::{EncodeError, Header, encode, encode_chain, encode_unjudged, encode_unsigned};
pub use minimal::{encode_minimal, needed_parts};
pub use recover::{Recover, RecoverError, Recovered, Request, recover, recover_partial};

/// Half of the order of secp256k1: the largest `s` that counts.
const HALF_ORDER: B256 =
    alloy_primitives::b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
/// The order of secp256k1.
const ORDER: B256 =
    alloy_primitives::b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/// All bits of a word but the highest, where ERC-2098 keeps the parity.
const BELOW_PARITY: B256 =
    alloy_primitives::b256!("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");

/// The word as an integer, highest limb first: compared like it.
#[inline]
fn limbs(word: &B256) -> [u64; 4] {
    let (limbs, _) = word.as_chunks::<8>();
    let mut out = [0; 4];
    for (out, limb) in out.iter_mut().zip(limbs) {
        *out = u64::from_be_bytes(*limb);
    }
    out
}

/// A secp256k1 signature that the contracts accept: `r` and `s` in range, `s` low.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EcdsaSignature {
    r: B256,
    s: B256,
    y_parity: bool,
}

impl EcdsaSignature {
    /// Judges a signature. `None` if `r` or `s` is out of range or `s` is in the upper half.
    #[must_use]
    #[inline]
    pub fn new(r: B256, s: B256, y_parity: bool) -> Option<Self> {
        let [of_r, of_s] = [limbs(&r), limbs(&s)];
        let zero = |[a, b, c, d]: [u64; 4]| a | b | c | d == 0;
        let in_range =
            !zero(of_r) && of_r < limbs(&ORDER) && !zero(of_s) && of_s <= limbs(&HALF_ORDER);
        in_range.then_some(Self { r, s, y_parity })
    }

    /// Takes a signature as it is, for bytes that only a contract judges.
    #[cfg(feature = "oracle")]
    pub(crate) fn unjudged(r: B256, s: B256, y_parity: bool) -> Self {
        Self { r, s, y_parity }
    }

    /// Reads `r ‖ s ‖ v`, `v` being 0, 1, 27 or 28.
    #[must_use]
    pub fn from_rsv(bytes: &[u8; 65]) -> Option<Self> {
        let (r, rest) = bytes.split_first_chunk::<32>()?;
        let (s, v) = rest.split_first_chunk::<32>()?;
        let y_parity = match v {
            [0 | 27] => false,
            [1 | 28] => true,
            _ => return None,
        };
        Self::new(B256::from(*r), B256::from(*s), y_parity)
    }

    /// Reads the text `r:s:v`: two words in hex, and 27 or 28 in decimal.
    #[must_use]
    pub fn from_colon_rsv(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let mut word = || fields.next()?.parse::<crate::json::HexBytes<32>>().ok();
        let (r, s) = (word()?, word()?);
        let y_parity = match fields.next()? {
            "27" => false,
            "28" => true,
            _ => return None,
        };
        if fields.next().is_some() {
            return None;
        }
        Self::new(B256::from(r.0), B256::from(s.0), y_parity)
    }

    /// Reads the 64-byte form of ERC-2098.
    #[must_use]
    #[inline]
    pub fn from_compact(bytes: &[u8; 64]) -> Option<Self> {
        let (r, s) = bytes.split_first_chunk::<32>()?;
        let y_parity = s.first()? & 0x80 != 0;
        let s = B256::try_from(s).ok()? & BELOW_PARITY;
        Self::new(B256::from(*r), s, y_parity)
    }

    /// Writes the 64-byte form of ERC-2098: the top bit of `s` carries the parity.
    #[must_use]
    pub fn to_compact(&self) -> [u8; 64] {
        let mut out = [0u8; 64];
        let (r, s) = out.split_at_mut(32);
        r.copy_from_slice(self.r.as_slice());
        s.copy_from_slice(self.s.as_slice());
        if let (Some(first), true) = (s.first_mut(), self.y_parity) {
            *first |= 0x80;
        }
        out
    }

    /// Writes `r ‖ s ‖ v`, `v` being 27 or 28.
    #[must_use]
    pub fn to_rsv(&self) -> [u8; 65] {
        let mut out = [0u8; 65];
        let (r, rest) = out.split_at_mut(32);
        let (s, v) = rest.split_at_mut(32);
        r.copy_from_slice(self.r.as_slice());
        s.copy_from_slice(self.s.as_slice());
        v.fill(27 + u8::from(self.y_parity));
        out
    }

    /// The x coordinate of the signature's point.
    #[must_use]
    pub fn r(&self) -> &B256 {
        &self.r
    }

    /// The signature's scalar, in the lower half.
    #[must_use]
    pub fn s(&self) -> &B256 {
        &self.s
    }

    /// Whether the point's y coordinate is odd.
    #[must_use]
    pub fn y_parity(&self) -> bool {
        self.y_parity
    }
}

impl core::fmt::Debug for EcdsaSignature {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let hex = alloy_primitives::hex::encode_prefixed(self.to_compact());
        formatter.debug_tuple("EcdsaSignature").field(&hex).finish()
    }
}

/// What one signer contributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignaturePart {
    /// A signature over the payload's hash.
    EcdsaHash(EcdsaSignature),
    /// A signature over the hash wrapped by `eth_sign`.
    EthSign(EcdsaSignature),
    /// Bytes for a contract's `isValidSignature`.
    Erc1271(Bytes),
    /// Bytes for a contract's `recoverSapientSignature`.
    Sapient(Bytes),
    /// Bytes for a contract's `recoverSapientSignatureCompact`.
    SapientCompact(Bytes),
}

/// The hash that `eth_sign` signs in place of the payload's hash.
#[must_use]
pub fn eth_sign_hash(op_hash: &B256) -> B256 {
    let mut hasher = alloy_primitives::Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n32");
    hasher.update(op_hash);
    hasher.finalize()
}

/// The signers' parts, by address.
pub type Parts = std::collections::BTreeMap<Address, SignaturePart>;
