//! Byte strings that must not leak.
//!
//! [`Secret`] has a size known to the compiler, [`SecretBytes`] has not. Both wipe themselves when
//! dropped, print as `[redacted]`, compare in constant time, and are read through a closure, so
//! that each place where a secret becomes plain bytes can be found by searching for `expose`.
//!
//! # Security
//!
//! The limits, so that nobody relies on more:
//!
//! - The bytes live on the heap and moving the value moves a pointer. But a caller who makes an
//!   array on the stack first and then calls [`Secret::from_array`] has left a copy there;
//!   [`Secret::init_with`] avoids it.
//! - What a closure copies out of `expose` is its own to wipe.
//! - Registers, spilled temporaries inside cryptographic libraries, swap and hibernation are out of
//!   reach: no memory is locked. Core dumps are the program's to switch off; Keyfold's servers do.
//! - Lengths are not secret.

use core::fmt;

use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret of exactly `N` bytes.
///
/// # Security
///
/// Wiped on drop; `Debug` prints nothing of it; `==` takes the same time wherever the difference
/// is. There is no `Clone`: a second copy is made with [`Secret::duplicate`], where it can be
/// seen. See the [module](self) for the limits.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes over an array, wiping the parameter it came in.
    ///
    /// # Security
    ///
    /// Arrays are `Copy`: the caller's own variable, if it keeps one, is not wiped.
    #[must_use]
    pub fn from_array(mut bytes: [u8; N]) -> Self {
        let secret = Self::init_with(|target| target.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// Copies a slice, if it has exactly `N` bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::init_with(|target| target.copy_from_slice(bytes)))
    }

    /// Lets a closure write the secret in place, starting from zeros.
    #[must_use]
    pub fn init_with(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0);
        secret
    }

    /// Draws a secret uniformly at random.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::init_with(|target| rng.fill_bytes(target))
    }

    /// Lends the bytes to a closure.
    ///
    /// # Security
    ///
    /// What the closure returns or copies is no longer protected.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; N]) -> R) -> R {
        read(&self.0)
    }

    /// Makes a second copy, which wipes itself as well.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::init_with(|target| target.copy_from_slice(&*self.0))
    }

    /// Turns the secret into one of dynamic size.
    #[must_use]
    pub fn to_secret_bytes(&self) -> SecretBytes {
        SecretBytes::from_slice(&*self.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>([redacted])")
    }
}

/// A secret whose size is known at run time only.
///
/// # Security
///
/// As [`Secret`]; the length is visible in `Debug` and is not protected by comparison.
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over a vector, with all of its capacity.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Copies a slice.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Makes `len` zero bytes and lets a closure write them in place.
    #[must_use]
    pub fn init_with(len: usize, write: impl FnOnce(&mut [u8])) -> Self {
        let mut secret = Self(vec![0; len]);
        write(&mut secret.0);
        secret
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lends the bytes to a closure.
    ///
    /// # Security
    ///
    /// What the closure returns or copies is no longer protected.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.0)
    }

    /// Makes a second copy, which wipes itself as well.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_slice(&self.0)
    }

    /// Copies into a secret of fixed size, if there are exactly `N` bytes.
    #[must_use]
    pub fn to_secret<const N: usize>(&self) -> Option<Secret<N>> {
        Secret::from_slice(&self.0)
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

impl ConstantTimeEq for SecretBytes {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes([redacted], {} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededRng;

    #[test]
    fn debug_prints_nothing_of_the_secret() {
        let fixed = Secret::from_array([0xab; 4]);
        let dynamic = SecretBytes::from_slice(&[0xab; 4]);
        assert_eq!(
            format!("{fixed:?} {fixed:#?}"),
            "Secret<4>([redacted]) Secret<4>([redacted])"
        );
        assert_eq!(format!("{dynamic:?}"), "SecretBytes([redacted], 4 bytes)");
    }

    #[test]
    fn equality_sees_every_byte_and_the_length() {
        let base = Secret::from_array([7; 32]);
        for position in 0..32 {
            let other = Secret::<32>::init_with(|bytes| {
                *bytes = [7; 32];
                bytes[position] ^= 1;
            });
            assert_ne!(base, other);
            assert_ne!(base.to_secret_bytes(), other.to_secret_bytes());
        }
        assert_eq!(base, base.duplicate());
        assert_ne!(
            SecretBytes::from_slice(b"a"),
            SecretBytes::from_slice(b"ab")
        );
        assert_eq!(base.to_secret_bytes().to_secret::<32>(), Some(base));
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(Secret::<4>::from_slice(&[1, 2, 3]), None);
        assert_eq!(Secret::<4>::from_slice(&[1, 2, 3, 4, 5]), None);
        assert!(
            SecretBytes::from_slice(&[1, 2, 3])
                .to_secret::<4>()
                .is_none()
        );
        assert!(SecretBytes::from_slice(&[]).is_empty());
    }

    #[test]
    fn random_secrets_follow_the_generator_and_differ() {
        let first = Secret::<32>::random(&mut SeededRng::new(1));
        assert_eq!(first, Secret::<32>::random(&mut SeededRng::new(1)));
        assert_ne!(first, Secret::<32>::random(&mut SeededRng::new(2)));
    }
}
