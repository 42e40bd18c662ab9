//! Recovery codes: a sheet of paper in place of an authenticator app that was lost.
//!
//! Ten codes of 120 random bits, each good once. Only keyed hashes are kept, bound to project and
//! account; from 112 bits on no slow hash is needed (NIST SP 800-63B-4 section 3.1.2.2). The codes can be shown when they are made, and never again.

use core::fmt;

use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::{Encoder, Secret, b64};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::challenge::{Bound, bound_proof};

/// Codes of a sheet.
pub const CODES: usize = 10;
/// Bytes of randomness in a code.
const LEN: usize = 15;
/// Letters and digits of a code, five bits each.
const CHARS: usize = 24;
/// Characters of a code with the hyphens between its groups of four.
const TEXT_LEN: usize = 29;
/// Crockford's: no I, L, O, U, which are read for something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The text is not 24 letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code is 24 letters and digits")]
pub struct RecoveryCodeError;

/// A recovery code: in text six groups of four, such as `01AB-CDEF-GHJK-MNPQ-RSTV-WXYZ`.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, no `Clone`.
pub struct RecoveryCode(Secret<LEN>);

impl RecoveryCode {
    /// Parses a code as it was typed: upper or lower case, with or without its hyphens, O for 0,
    /// I and L for 1.
    ///
    /// # Errors
    ///
    /// [`RecoveryCodeError`].
    ///
    /// # Security
    ///
    /// For untrusted text; bounded.
    pub fn parse(text: &str) -> Result<Self, RecoveryCodeError> {
        if text.len() > TEXT_LEN {
            return Err(RecoveryCodeError);
        }
        let mut values = Zeroizing::new([0_u8; CHARS]);
        let mut typed = text.bytes().filter(|b| *b != b'-');
        for value in values.iter_mut() {
            let letter = match typed.next().ok_or(RecoveryCodeError)?.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let position = ALPHABET.iter().position(|known| *known == letter);
            *value = position.ok_or(RecoveryCodeError)? as u8;
        }
        if typed.next().is_some() {
            return Err(RecoveryCodeError);
        }
        Ok(Self(Secret::init_with(|bytes| {
            for (five, eight) in bytes.chunks_mut(5).zip(values.chunks(8)) {
                let bits = eight
                    .iter()
                    .fold(0_u64, |bits, value| bits << 5 | u64::from(*value));
                for (i, byte) in five.iter_mut().enumerate() {
                    *byte = (bits >> (32 - 8 * i)) as u8;
                }
            }
        })))
    }

    /// Lends the code's text to a closure: to show it, once.
    ///
    /// # Security
    ///
    /// What the closure copies is no longer protected.
    pub fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        self.0.expose(|bytes| {
            for (i, five) in bytes.chunks(5).enumerate() {
                let bits = five
                    .iter()
                    .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                for j in 0..8 {
                    if j % 4 == 0 && i + j > 0 {
                        text.push('-');
                    }
                    let value = (bits >> (35 - 5 * j)) & 31;
                    text.extend(ALPHABET.get(value as usize).map(|b| char::from(*b)));
                }
            }
        });
        read(&text)
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode([redacted])")
    }
}

/// Whose codes they are.
#[derive(Debug, Clone, Copy)]
pub struct RecoveryAccount<'a> {
    /// The project.
    pub project: &'a str,
    /// What names the account, in canonical form; it must not change while the codes are kept.
    pub account: &'a [u8],
}

/// The codes of an account that were not used yet, as its record keeps them: hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecoveryCodes(Vec<Hash>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(#[serde(with = "b64")] [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A recovery code that was right, just now, and is used up: only [`RecoveryCodes::redeem`] makes
/// one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenRecoveryCode {
    bound: Bound,
    left: usize,
}

bound_proof!(ProvenRecoveryCode);

impl ProvenRecoveryCode {
    /// Returns how many codes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }
}

/// The code is none of the account's, or was used: not to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recovery code is wrong")]
pub struct WrongRecoveryCode;

impl RecoveryCodes {
    /// Draws ten codes; returns what to keep and what to show. Earlier codes of the account are
    /// to be thrown away.
    ///
    /// `key` is one that does not lie beside the record, and the same at [`RecoveryCodes::redeem`].
    pub fn generate(
        account: &RecoveryAccount<'_>,
        key: &Secret<32>,
        rng: &mut impl CryptoRng,
    ) -> (Self, Vec<RecoveryCode>) {
        let codes: Vec<_> = (0..CODES)
            .map(|_| RecoveryCode(Secret::random(rng)))
            .collect();
        let hashes = codes.iter().map(|code| hash(account, key, code)).collect();
        (Self(hashes), codes)
    }

    /// Returns how many codes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Checks a code for the device whose key signed the request, and uses it up.
    ///
    /// # Errors
    ///
    /// [`WrongRecoveryCode`]; nothing has changed then.
    ///
    /// # Security
    ///
    /// The changed codes must be kept, durably, before the proof is used. Compared with all that
    /// are left, each in constant time. The caller counts an attempt before it calls.
    pub fn redeem(
        &mut self,
        account: &RecoveryAccount<'_>,
        key: &Secret<32>,
        device: [u8; 32],
        code: &RecoveryCode,
        now_unix_seconds: u64,
    ) -> Result<ProvenRecoveryCode, WrongRecoveryCode> {
        let shown = hash(account, key, code);
        let mut found = None;
        for (position, kept) in self.0.iter().enumerate() {
            if constant_time_eq(&kept.0, &shown.0) {
                found = Some(position);
            }
        }
        self.0.remove(found.ok_or(WrongRecoveryCode)?);
        Ok(ProvenRecoveryCode {
            bound: Bound {
                project: account.project.to_owned(),
                device,
                proven_at: now_unix_seconds,
            },
            left: self.0.len(),
        })
    }
}

fn hash(account: &RecoveryAccount<'_>, key: &Secret<32>, code: &RecoveryCode) -> Hash {
    // Two steps, so that no code is ever in an encoder's ordinary memory.
    let context = Encoder::new("keyfold/recovery-code/v1")
        .str(account.project)
        .bytes(account.account)
        .finish();
    let key = Zeroizing::new(key.expose(|key| hmac_sha256(key, &context)));
    Hash(code.0.expose(|code| hmac_sha256(key.as_slice(), code)))
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;
    use proptest::prelude::*;

    use super::*;

    const DEVICE: [u8; 32] = [7; 32];
    const NOW: u64 = 1_800_000_000;
    const ANNA: RecoveryAccount<'static> = RecoveryAccount {
        project: "app",
        account: b"anna",
    };

    fn key() -> Secret<32> {
        Secret::from_array([3; 32])
    }

    fn sheet() -> (RecoveryCodes, Vec<RecoveryCode>) {
        RecoveryCodes::generate(&ANNA, &key(), &mut SeededRng::new(1))
    }

    fn redeem(
        codes: &mut RecoveryCodes,
        code: &RecoveryCode,
    ) -> Result<ProvenRecoveryCode, WrongRecoveryCode> {
        codes.redeem(&ANNA, &key(), DEVICE, code, NOW)
    }

    #[test]
    fn each_code_works_once_and_proves_project_and_device() {
        let (mut kept, shown) = sheet();
        for (used, code) in shown.iter().enumerate() {
            let proven = redeem(&mut kept, code).unwrap();
            assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
            assert_eq!(proven.left(), CODES - used - 1);
            assert_eq!(redeem(&mut kept, code), Err(WrongRecoveryCode));
        }
        assert_eq!(kept.left(), 0);
    }

    #[test]
    fn codes_of_another_account_project_key_or_sheet_are_wrong() {
        let (mut kept, shown) = sheet();
        let before = kept.clone();
        for (project, account) in [
            ("app", &b"bert"[..]),
            ("other", b"anna"),
            ("apa", b"nna"),
            ("appa", b"nna"),
        ] {
            let other = RecoveryAccount { project, account };
            assert!(kept.redeem(&other, &key(), DEVICE, &shown[0], NOW).is_err());
        }
        let other_key = Secret::from_array([4; 32]);
        assert!(
            kept.redeem(&ANNA, &other_key, DEVICE, &shown[0], NOW)
                .is_err()
        );
        let (_, foreign) = RecoveryCodes::generate(&ANNA, &key(), &mut SeededRng::new(2));
        assert!(redeem(&mut kept, &foreign[0]).is_err());
        assert_eq!(kept, before);
    }

    #[test]
    fn a_code_is_read_as_people_copy_it() {
        let (mut kept, _) = sheet();
        let code = RecoveryCode::parse("0123-4567-89AB-CDEF-GHJK-MNPQ").unwrap();
        for text in [
            "0123456789abcdefghjkmnpq",
            "ol23-4567-89ab-cdef-ghjk-mnpq",
            "OI23-4567-89AB-CDEF-GHJK-MNPQ",
        ] {
            let read = RecoveryCode::parse(text).unwrap();
            assert!(read.0 == code.0, "{text}");
        }
        code.expose(|text| assert_eq!(text, "0123-4567-89AB-CDEF-GHJK-MNPQ"));
        assert!(redeem(&mut kept, &code).is_err());
        for bad in [
            "",
            "0123-4567-89AB-CDEF-GHJK-MNP",
            "0123-4567-89AB-CDEF-GHJK-MNPQR",
            "0123 4567 89AB CDEF GHJK MNPQ",
            "0123-4567-89AB-CDEF-GHJK-MNPU",
            "----",
            "0123-4567-89AB-CDEF-GHJK-MNP\u{ff10}",
        ] {
            assert!(RecoveryCode::parse(bad).is_err(), "{bad}");
        }
        assert!(RecoveryCode::parse(&"-".repeat(1 << 20)).is_err());
    }

    #[test]
    fn what_is_kept_and_printed_shows_no_code() {
        let (kept, shown) = sheet();
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<RecoveryCodes>(&json).unwrap(), kept);
        for code in &shown {
            code.expose(|text| assert!(!json.contains(text)));
            assert_eq!(format!("{code:?}"), "RecoveryCode([redacted])");
        }
        assert!(format!("{kept:?}").contains("redacted"));
    }

    proptest! {
        #[test]
        fn a_code_that_is_shown_is_read_again(bytes in any::<[u8; LEN]>()) {
            let code = RecoveryCode(Secret::from_array(bytes));
            let read = code.expose(RecoveryCode::parse).unwrap();
            prop_assert!(read.0 == code.0);
        }
    }
}
