//! One-time codes: eight digits that a person copies from a mail.

use keyfold_crypto::Secret;
use rand_core::CryptoRng;

/// Digits of a code.
pub const CODE_LEN: usize = 8;
/// Number of codes.
const CODES: u32 = 100_000_000;

/// Reports that a text is not eight ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is exactly eight digits")]
pub struct CodeError;

/// A one-time code: eight ASCII digits, leading zeros included.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, compared in constant time; no `Clone`. Whoever guesses has
/// one chance in 100,000,000 for each attempt, so the number of attempts is what protects it: see
/// [`pending`](crate::pending).
pub struct OneTimeCode(Secret<CODE_LEN>);

impl OneTimeCode {
    /// Draws a code, each of the 100,000,000 equally likely.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        // The largest multiple of 10^8 that fits; what lies above would favour small codes.
        const FAIR: u32 = u32::MAX - u32::MAX % CODES;
        let mut number = loop {
            let drawn = rng.next_u32();
            if drawn < FAIR {
                break drawn % CODES;
            }
        };
        Self(Secret::init_with(|digits| {
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }))
    }

    /// Parses a code as it was typed: exactly eight ASCII digits, nothing before, between, after.
    ///
    /// # Errors
    ///
    /// [`CodeError`].
    ///
    /// # Security
    ///
    /// For untrusted text. Digits of other scripts and full-width digits are no digits here.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let bytes = text.as_bytes();
        if !bytes.iter().all(u8::is_ascii_digit) {
            return Err(CodeError);
        }
        Secret::from_slice(bytes).map(Self).ok_or(CodeError)
    }

    /// Compares two codes, in the same time wherever they differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// Lends the digits to a closure.
    ///
    /// # Security
    ///
    /// What the closure copies is no longer protected: for the mail, and for tests.
    pub fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        self.0
            .expose(|digits| read(core::str::from_utf8(digits).unwrap_or_default()))
    }
}

impl core::fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OneTimeCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use keyfold_crypto::testing::SeededRng;
    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// Gives the numbers it was told to.
    struct Scripted(Vec<u32>);

    impl TryRng for Scripted {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0.remove(0))
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("codes are drawn from 32 bits")
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("codes are drawn from 32 bits")
        }
    }

    impl TryCryptoRng for Scripted {}

    fn drawn(numbers: &[u32]) -> String {
        OneTimeCode::random(&mut Scripted(numbers.to_vec())).expose(str::to_owned)
    }

    #[test]
    fn codes_keep_their_leading_zeros() {
        assert_eq!(drawn(&[0]), "00000000");
        assert_eq!(drawn(&[7]), "00000007");
        assert_eq!(drawn(&[99_999_999]), "99999999");
        assert_eq!(drawn(&[100_000_001]), "00000001");
    }

    #[test]
    fn numbers_that_would_favour_small_codes_are_drawn_again() {
        assert_eq!(drawn(&[4_199_999_999]), "99999999");
        assert_eq!(drawn(&[4_200_000_000, u32::MAX, 5]), "00000005");
    }

    #[test]
    fn every_digit_is_as_likely_in_every_place() {
        let mut rng = SeededRng::new(1);
        let mut counts = [[0_u32; 10]; CODE_LEN];
        for _ in 0..20_000 {
            OneTimeCode::random(&mut rng).expose(|digits| {
                for (place, digit) in digits.bytes().enumerate() {
                    counts[place][usize::from(digit - b'0')] += 1;
                }
            });
        }
        // 2,000 expected, standard deviation 42.
        for count in counts.iter().flatten() {
            assert!((1_750..=2_250).contains(count), "{counts:?}");
        }
    }

    #[test]
    fn only_eight_ascii_digits_are_a_code() {
        assert!(OneTimeCode::parse("00000000").is_ok());
        for bad in [
            "",
            "1234567",
            "123456789",
            "1234 5678",
            "1234-5678",
            " 12345678",
            "12345678 ",
            "12345678\n",
            "+1234567",
            "-1234567",
            "0x123456",
            "1234567a",
            "12345e10",
            "\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
            "\u{661}\u{662}\u{663}\u{664}",
            "\u{ff11}12345",
            "12345678\0",
        ] {
            assert_eq!(OneTimeCode::parse(bad).unwrap_err(), CodeError, "{bad:?}");
        }
        assert!(OneTimeCode::parse(&"1".repeat(10 << 20)).is_err());
    }

    #[test]
    fn a_code_matches_itself_alone_and_prints_nothing() {
        let code = OneTimeCode::parse("01234567").unwrap();
        assert!(code.matches(&OneTimeCode::parse("01234567").unwrap()));
        for other in ["11234567", "01234568", "76543210", "00000000"] {
            assert!(
                !code.matches(&OneTimeCode::parse(other).unwrap()),
                "{other}"
            );
        }
        assert_eq!(format!("{code:?}"), "OneTimeCode([redacted])");
    }
}
