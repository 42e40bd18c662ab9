//! Passwords: how they are read, kept and checked.
//!
//! # Reading
//!
//! Two keyboards write one letter as different code points. [`Password::parse`] brings them to one
//! form (the profile OpaqueString of RFC 8265: spaces to U+0020, then NFC) and asks for 8 to 128
//! code points, of any kind. There are no rules of composition: they make passwords worse (NIST
//! SP 800-63B). A new one must not be among those that are guessed first:
//! [`Password::check_new`].
//!
//! # Keeping
//!
//! Argon2id with a salt of its own for each, keyed with a pepper that never lies beside the hash,
//! bound to project and account: a stored hash that is moved to another account's place verifies
//! for nobody.
//!
//! # Checking
//!
//! Memory is what an attacker must pay and what a flood would exhaust. Nothing is computed
//! without a [`MemoryPermit`], of which a [`MemoryBudget`] gives out so many; parameters in a
//! stored string are bounded before anything is allocated. For an address that has no password
//! the same work is done: see [`verify`].
//!
//! How many guesses there may be is not decided here. The caller counts an attempt before it
//! calls, as [`crate::pending`] does.

mod known;
mod memory;
mod stored;
#[cfg(test)]
mod tests;

use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use keyfold_crypto::hash::{constant_time_eq, hmac_sha256};
use keyfold_crypto::{Encoder, Secret, SecretBytes};
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::Profile;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::challenge::{Bound, bound_proof};

pub use memory::{MemoryBudget, MemoryPermit};
pub use stored::{PasswordHash, StoredError};

/// Fewest code points of a password.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Most code points of a password.
pub const MAX_PASSWORD_CHARS: usize = 128;
/// Most bytes of what is typed, before anything is done with it.
const MAX_PASSWORD_LEN: usize = 1024;

/// Says why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`MIN_PASSWORD_CHARS`] code points.
    #[error("a password has at least 8 characters")]
    TooShort,
    /// More than [`MAX_PASSWORD_CHARS`] code points.
    #[error("a password has at most 128 characters")]
    TooLong,
    /// A control character, or a code point that Unicode does not know (yet).
    #[error("the password has a character that cannot be used")]
    Character,
    /// One of those that were most often in breaches.
    #[error("that password is one of the best known ones")]
    WellKnown,
    /// Too short without the words of the address, the app or its name.
    #[error("without the words of the address and of the app the password is too short")]
    Context,
}

/// A password in its one form.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`, no `Clone`. The memory in which normalisation works is
/// wiped where it can be reached; the text that came in is the caller's to wipe.
pub struct Password(SecretBytes);

impl Password {
    /// Reads a password as it was typed.
    ///
    /// # Errors
    ///
    /// [`PasswordError`].
    ///
    /// # Security
    ///
    /// For untrusted text, of which no more than 1 KiB is looked at.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        if text.len() > MAX_PASSWORD_LEN {
            return Err(PasswordError::TooLong);
        }
        if text.is_empty() {
            return Err(PasswordError::TooShort);
        }
        let prepared = OpaqueString::new()
            .enforce(text)
            .map_err(|_| PasswordError::Character)?;
        let prepared = Zeroizing::new(prepared.into_owned());
        match prepared.chars().count() {
            ..MIN_PASSWORD_CHARS => Err(PasswordError::TooShort),
            MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS => {
                Ok(Self(SecretBytes::from_slice(prepared.as_bytes())))
            }
            _ => Err(PasswordError::TooLong),
        }
    }

    /// Lends the password in its one form to a closure.
    ///
    /// # Security
    ///
    /// What the closure copies is no longer protected.
    pub fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        self.0
            .expose(|bytes| read(core::str::from_utf8(bytes).unwrap_or_default()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// What a hash costs: Argon2id's parameters, within the bounds that are accepted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The parameters are below what protects, or above what is affordable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Argon2id parameters are out of bounds")]
pub struct CostError;

impl Cost {
    /// The least that is accepted, and what OWASP recommends: 19 MiB, two passes, one lane.
    pub const MINIMUM: Self = Self {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };
    /// The most memory that is accepted: 128 MiB.
    pub const MAX_MEMORY_KIB: u32 = 128 * 1024;
    /// The most passes that are accepted.
    pub const MAX_PASSES: u32 = 10;
    /// The most lanes that are accepted. They are computed one after the other.
    pub const MAX_LANES: u32 = 4;

    /// Makes a cost of memory in KiB, passes over it, and lanes.
    ///
    /// # Errors
    ///
    /// [`CostError`] if one is below [`Cost::MINIMUM`]'s or above the most that is accepted.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        if memory_kib < Self::MINIMUM.memory_kib
            || memory_kib > Self::MAX_MEMORY_KIB
            || passes < Self::MINIMUM.passes
            || passes > Self::MAX_PASSES
            || lanes < 1
            || lanes > Self::MAX_LANES
        {
            return Err(CostError);
        }
        Ok(Self {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Returns the memory that one computation takes, in KiB: what its permit must be for.
    #[must_use]
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }
}

/// A key that hashes are computed with and that never lies beside them, with its number.
#[derive(Debug)]
pub struct Pepper {
    id: u32,
    key: Secret<32>,
}

impl Pepper {
    /// Makes a pepper. The number goes into every hash, so that keys can be exchanged one day; a
    /// number stands for one key forever.
    #[must_use]
    pub fn new(id: u32, key: Secret<32>) -> Self {
        Self { id, key }
    }

    /// Derives the key for one account, so that a hash is of use in its own place alone.
    fn for_account(&self, account: &PasswordAccount<'_>) -> Zeroizing<[u8; 32]> {
        let context = Encoder::new("keyfold/password/pepper/v1")
            .str(account.project)
            .bytes(account.identity)
            .finish();
        Zeroizing::new(self.key.expose(|key| hmac_sha256(key, &context)))
    }
}

/// Whose password it is.
#[derive(Debug, Clone, Copy)]
pub struct PasswordAccount<'a> {
    /// The project.
    pub project: &'a str,
    /// What the account is looked up by, in canonical form: such as an email address's
    /// [`lookup_bytes`](crate::EmailAddress::lookup_bytes). It must not change while the hash is
    /// kept.
    pub identity: &'a [u8],
}

/// Says why nothing could be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The permit is for less memory than the parameters take.
    #[error("the permit is for less memory than the hash takes")]
    Permit,
    /// The machine has no memory left.
    #[error("there is not enough memory")]
    OutOfMemory,
}

/// Hashes a password, to be kept.
///
/// # Errors
///
/// [`HashError`].
pub fn hash(
    password: &Password,
    account: &PasswordAccount<'_>,
    cost: Cost,
    pepper: &Pepper,
    permit: &mut MemoryPermit,
    rng: &mut impl CryptoRng,
) -> Result<PasswordHash, HashError> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let tag = compute(password, account, cost, pepper, permit, &salt)?;
    Ok(PasswordHash::new(cost, pepper.id, salt, *tag))
}

/// A password that was right, just now: only [`verify`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenPassword {
    bound: Bound,
    identity: Vec<u8>,
    upgrade: bool,
}

bound_proof!(ProvenPassword);

impl ProvenPassword {
    /// Returns what the account is looked up by.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Returns whether the stored hash costs less than is wanted now, or has an older pepper:
    /// then [`hash`] the password again, now that it is known, and keep that instead.
    #[must_use]
    pub fn needs_upgrade(&self) -> bool {
        self.upgrade
    }
}

/// Says why a password was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is wrong, or there is none: not to be told apart.
    #[error("the password is wrong")]
    Wrong,
    /// The stored hash has a pepper that was not given.
    #[error("the stored hash has an unknown pepper")]
    UnknownPepper,
    /// Nothing could be computed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Checks a password for the device whose key signed the request.
///
/// `peppers` are those in use, the current one first; `wanted` is what new hashes cost.
///
/// # Errors
///
/// [`VerifyError`].
///
/// # Security
///
/// With `stored` being `None` the work of `wanted` is done all the same and the answer is
/// [`VerifyError::Wrong`], so that time does not tell whether there is an account. Where stored
/// hashes cost something else than `wanted`, time tells that, until they are upgraded.
#[allow(clippy::too_many_arguments)]
pub fn verify(
    password: &Password,
    account: &PasswordAccount<'_>,
    device: [u8; 32],
    stored: Option<&PasswordHash>,
    wanted: Cost,
    peppers: &[Pepper],
    permit: &mut MemoryPermit,
    now_unix_seconds: u64,
) -> Result<ProvenPassword, VerifyError> {
    let current = peppers.first().ok_or(VerifyError::UnknownPepper)?;
    let Some(stored) = stored else {
        compute(password, account, wanted, current, permit, &[0; 16])?;
        return Err(VerifyError::Wrong);
    };
    let pepper = peppers
        .iter()
        .find(|pepper| pepper.id == stored.pepper_id())
        .ok_or(VerifyError::UnknownPepper)?;
    let (cost, salt) = (stored.cost(), stored.salt());
    let tag = compute(password, account, cost, pepper, permit, salt)?;
    if !constant_time_eq(tag.as_slice(), stored.tag()) {
        return Err(VerifyError::Wrong);
    }
    Ok(ProvenPassword {
        bound: Bound {
            project: account.project.to_owned(),
            device,
            proven_at: now_unix_seconds,
        },
        identity: account.identity.to_vec(),
        upgrade: cost.memory_kib < wanted.memory_kib
            || cost.passes < wanted.passes
            || pepper.id != current.id,
    })
}

fn compute(
    password: &Password,
    account: &PasswordAccount<'_>,
    cost: Cost,
    pepper: &Pepper,
    permit: &mut MemoryPermit,
    salt: &[u8; 16],
) -> Result<Zeroizing<[u8; 32]>, HashError> {
    if permit.memory_kib() < cost.memory_kib {
        return Err(HashError::Permit);
    }
    let key = pepper.for_account(account);
    let failed = |_| HashError::OutOfMemory;
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
    let blocks = params.block_count();
    let argon2 =
        Argon2::new_with_secret(key.as_slice(), Algorithm::Argon2id, Version::V0x13, params)
            .map_err(failed)?;
    let memory = permit.lend(blocks).ok_or(HashError::OutOfMemory)?;
    let mut tag = Zeroizing::new([0; 32]);
    password
        .0
        .expose(|bytes| {
            argon2.hash_password_into_with_memory(bytes, salt, tag.as_mut_slice(), &mut *memory.0)
        })
        .map_err(failed)?;
    Ok(tag)
}
