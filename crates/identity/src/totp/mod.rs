//! Time-based one-time passwords: RFC 6238 over RFC 4226.
//!
//! A second factor only: six digits that a stranger guesses with one chance in 333,333 for each
//! attempt (three steps are accepted), from a secret that both sides hold. The caller counts an
//! attempt before it calls, and locks after few; whoever can read the account's record can
//! compute the codes, so the record is sealed.
//!
//! A code works once: the step it was of is kept, and nothing up to it is accepted again
//! (RFC 6238 section 5.2).

#[cfg(test)]
mod tests;

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use keyfold_crypto::SecretBytes;
use keyfold_crypto::hash::constant_time_eq;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::challenge::{Bound, bound_proof};

/// Seconds of a step: what authenticator apps assume, whatever the URI says.
pub const STEP_SECONDS: u64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps before and after the current one whose codes are accepted (RFC 6238 section 5.2).
pub const WINDOW_STEPS: u64 = 1;
/// Bytes of a secret that is made here: RFC 4226 section 4 recommends 160 bits.
const SECRET_LEN: usize = 20;

/// The hash function of the HMAC. SHA-1 is what every authenticator app knows, and its weakness
/// (collisions) is of no use against an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TotpAlgorithm {
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// The secret that an authenticator app and the account's record hold.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, no `Clone`.
pub struct TotpSecret {
    key: SecretBytes,
    algorithm: TotpAlgorithm,
}

/// The bytes are not 16 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret for one-time passwords has 16 to 64 bytes")]
pub struct TotpSecretError;

impl TotpSecret {
    /// Draws a secret of 160 bits, for SHA-1.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self {
            key: SecretBytes::init_with(SECRET_LEN, |bytes| rng.fill_bytes(bytes)),
            algorithm: TotpAlgorithm::Sha1,
        }
    }

    /// Wraps a secret that was kept: 128 bits (RFC 4226 section 4, R6) to 512.
    ///
    /// # Errors
    ///
    /// [`TotpSecretError`].
    pub fn new(key: SecretBytes, algorithm: TotpAlgorithm) -> Result<Self, TotpSecretError> {
        if (16..=64).contains(&key.len()) {
            Ok(Self { key, algorithm })
        } else {
            Err(TotpSecretError)
        }
    }

    /// Returns the bytes, to be sealed into the account's record.
    #[must_use]
    pub fn key(&self) -> &SecretBytes {
        &self.key
    }

    /// Returns the hash function.
    #[must_use]
    pub fn algorithm(&self) -> TotpAlgorithm {
        self.algorithm
    }

    /// Composes the `otpauth` URI that is shown as a QR code, once, and lends it to a closure.
    ///
    /// # Security
    ///
    /// The URI is the secret. Issuer and account are percent-encoded whole: nothing in them can
    /// become a parameter.
    pub fn with_uri<R>(&self, issuer: &str, account: &str, read: impl FnOnce(&str) -> R) -> R {
        let label = [escape(issuer), escape(account)];
        let [issuer, account] = &label;
        let parameters = match self.algorithm {
            TotpAlgorithm::Sha1 => "SHA1",
            TotpAlgorithm::Sha256 => "SHA256",
            TotpAlgorithm::Sha512 => "SHA512",
        };
        // 512 bits take 103 digits: capacity for all, so that growing leaves no copy behind.
        let mut uri = Zeroizing::new(String::with_capacity(
            256 + 2 * issuer.len() + account.len(),
        ));
        for part in ["otpauth://totp/", issuer, ":", account, "?secret="] {
            uri.push_str(part);
        }
        self.key.expose(|key| base32(key, &mut uri));
        for part in [
            "&issuer=",
            issuer,
            "&algorithm=",
            parameters,
            "&digits=6&period=30",
        ] {
            uri.push_str(part);
        }
        read(&uri)
    }

    /// Computes the code of a step.
    /// Returns the code of a moment, as an app would show it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn code_at(&self, now_unix_seconds: u64) -> String {
        let code = self.code(now_unix_seconds / STEP_SECONDS);
        let digits = code.as_ref().map(|digits| digits.as_slice());
        core::str::from_utf8(digits.unwrap_or_default())
            .unwrap_or_default()
            .to_owned()
    }

    fn code(&self, step: u64) -> Option<Zeroizing<[u8; DIGITS]>> {
        self.truncated(step)
            .map(|number| digits(number % 1_000_000))
    }

    /// RFC 4226 section 5.3: 31 bits of the HMAC.
    fn truncated(&self, step: u64) -> Option<u32> {
        let counter = step.to_be_bytes();
        let mac = self.key.expose(|key| match self.algorithm {
            TotpAlgorithm::Sha1 => mac::<Hmac<sha1::Sha1>>(key, &counter),
            TotpAlgorithm::Sha256 => mac::<Hmac<sha2::Sha256>>(key, &counter),
            TotpAlgorithm::Sha512 => mac::<Hmac<sha2::Sha512>>(key, &counter),
        })?;
        let offset = usize::from(mac.last()? & 15);
        let four = mac.get(offset..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*four) & 0x7fff_ffff)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret([redacted])")
    }
}

/// An HMAC takes keys of every length, so this is never `None`; if it were, no code would be right.
fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mac = <M as KeyInit>::new_from_slice(key).ok()?;
    let mac = mac.chain_update(message).finalize().into_bytes();
    Some(Zeroizing::new(mac.to_vec()))
}

fn digits(mut number: u32) -> Zeroizing<[u8; DIGITS]> {
    let mut digits = Zeroizing::new([b'0'; DIGITS]);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// RFC 4648 section 6, without padding.
fn base32(bytes: &[u8], out: &mut String) {
    const ALPHABET: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R',
        'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    for chunk in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, i| {
            bits << 8 | u64::from(chunk.get(i).copied().unwrap_or_default())
        });
        for i in 0..(chunk.len() * 8).div_ceil(5) {
            let index = (bits >> (35 - 5 * i)) & 31;
            out.extend(ALPHABET.get(index as usize));
        }
    }
}

/// Percent-encodes all but `unreserved` of RFC 3986.
fn escape(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// A code as a person typed it: six ASCII digits.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
pub struct TotpCode(Zeroizing<[u8; DIGITS]>);

impl TotpCode {
    /// Parses exactly six ASCII digits; `None` for anything else, digits of other scripts too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        let bytes = Zeroizing::new(bytes);
        bytes.iter().all(u8::is_ascii_digit).then_some(Self(bytes))
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode([redacted])")
    }
}

/// Whose code it is, and which device showed it.
#[derive(Debug, Clone, Copy)]
pub struct TotpContext<'a> {
    /// The project.
    pub project: &'a str,
    /// Thumbprint of the device whose key signed the request.
    pub device: &'a [u8; 32],
}

/// A one-time password that was right, just now: only [`verify`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenTotp {
    bound: Bound,
    step: u64,
}

bound_proof!(ProvenTotp);

impl ProvenTotp {
    /// Returns the step that the code was of: to be kept as the last used one, durably, before
    /// the proof is used.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }
}

/// The code is wrong, too old, too new, or was used: not to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the one-time password is wrong")]
pub struct WrongCode;

/// Checks a code.
///
/// `last_used_step` is that of the last proof for this secret, `None` if there was none.
///
/// # Errors
///
/// [`WrongCode`].
///
/// # Security
///
/// All steps of the window are compared, each in constant time, whichever is right. Reading and
/// writing the last used step must be one step for the caller too, or two calls at once use one
/// code twice.
pub fn verify(
    secret: &TotpSecret,
    context: &TotpContext<'_>,
    code: &TotpCode,
    last_used_step: Option<u64>,
    now_unix_seconds: u64,
) -> Result<ProvenTotp, WrongCode> {
    let now = now_unix_seconds / STEP_SECONDS;
    let mut found = None;
    for step in now.saturating_sub(WINDOW_STEPS)..=now.saturating_add(WINDOW_STEPS) {
        let right = secret
            .code(step)
            .is_some_and(|expected| constant_time_eq(expected.as_slice(), code.0.as_slice()));
        if right && last_used_step.is_none_or(|last| step > last) && found.is_none() {
            found = Some(step);
        }
    }
    Ok(ProvenTotp {
        bound: Bound {
            project: context.project.to_owned(),
            device: *context.device,
            proven_at: now_unix_seconds,
        },
        step: found.ok_or(WrongCode)?,
    })
}
