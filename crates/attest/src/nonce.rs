//! The freshness challenge that a document must answer.

use thiserror::Error;

/// Why bytes are no nonce.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NonceError {
    /// No bytes, or white space alone: what a caller passes who forgot to draw a nonce.
    #[error("the nonce is blank")]
    Blank,
    /// More than [`Nonce::MAX_LEN`] bytes, which no enclave can put into a document.
    #[error("the nonce is longer than 512 bytes")]
    TooLong,
}

/// A challenge of 1 to 512 bytes that is not blank.
///
/// # Security
///
/// The type cannot know whether the bytes are fresh. Whoever verifies draws at least 16 random
/// bytes for every document they ask for and uses them once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// The most bytes the Nitro security module puts into a document.
    pub const MAX_LEN: usize = 512;

    /// Takes the bytes of a challenge.
    ///
    /// # Errors
    ///
    /// [`NonceError`] for blank and for overlong challenges.
    pub fn new(bytes: &[u8]) -> Result<Self, NonceError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(NonceError::TooLong);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(NonceError::Blank);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Gives the bytes of the challenge.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Nonce {
    type Error = NonceError;

    fn try_from(bytes: &[u8]) -> Result<Self, NonceError> {
        Self::new(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_nonce_is_refused() {
        assert_eq!(Nonce::new(b""), Err(NonceError::Blank));
    }

    #[test]
    fn a_nonce_of_white_space_is_refused() {
        for blank in [&b" "[..], b"\t\r\n ", &[b' '; 512]] {
            assert_eq!(Nonce::new(blank), Err(NonceError::Blank));
        }
    }

    #[test]
    fn a_nonce_above_512_bytes_is_refused_and_one_of_512_is_not() {
        assert_eq!(Nonce::new(&[1; 513]), Err(NonceError::TooLong));
        assert_eq!(Nonce::new(&[1; 512]).unwrap().as_bytes(), &[1; 512]);
    }
}
