//! ECDSA over P-384 with SHA-384: the only signature in a document and its chain.
//!
//! Both values of a signature are accepted in either half of the group's order, because Nitro
//! does not normalise them. So one document has two valid spellings: never take the hash of a
//! document for its identity.

#[cfg(not(target_arch = "wasm32"))]
mod fast;
#[cfg(any(target_arch = "wasm32", test))]
mod portable;

#[cfg(not(target_arch = "wasm32"))]
use fast as backend;
#[cfg(target_arch = "wasm32")]
use portable as backend;

/// The length of one value of a signature, in bytes.
pub(crate) const SCALAR_LEN: usize = 48;

/// A signature: r followed by s, each as 48 bytes.
pub(crate) type Signature = [u8; 2 * SCALAR_LEN];

/// An uncompressed point. Whether it lies on the curve is found when it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey([u8; 1 + 2 * SCALAR_LEN]);

impl PublicKey {
    const UNCOMPRESSED: u8 = 4;

    pub(crate) fn parse(point: &[u8]) -> Option<Self> {
        let point = <[u8; 1 + 2 * SCALAR_LEN]>::try_from(point).ok()?;
        (point.first() == Some(&Self::UNCOMPRESSED)).then_some(Self(point))
    }

    /// Says whether the key signed the message. Points off the curve and values outside the
    /// group's order sign nothing.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        backend::verifies(&self.0, message, signature)
    }
}

#[cfg(test)]
mod tests;
