//! Tokens that are committed to before they are shown.
//!
//! A token that an app got from its own provider was not asked for by us: there is no nonce of ours
//! in it, and whoever sees it could show it. So its hash is committed first, by a device, and the
//! token shown second, by the same one. A token that was committed to is taken from nobody else, not
//! even after it was shown: who reads it on its way, or in a log later, has nothing.
//!
//! What this does not help against: somebody who has the token *before* the person's device commits
//! to it. A provider that can carry a nonce is better off with
//! [`Nonce::for_device`](super::binding::Nonce::for_device).

#[cfg(test)]
mod tests;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use keyfold_crypto::Encoder;
use keyfold_crypto::hash::constant_time_eq;
use keyfold_crypto::jwk::Thumbprint;

use super::custom::MAX_TOKEN_AGE_SECONDS;
use super::id_token::MAX_CLOCK_SKEW_SECONDS;
use super::jws::MAX_JWS_LEN;
use crate::room::may_take;

/// Seconds between commitment and token, at most.
pub const COMMITMENT_SECONDS: u64 = 600;
/// Seconds for which a commitment is remembered: longer than its token is good for, also where the
/// issuer's clock is ahead by all that a commitment can wait for it.
const REMEMBER_SECONDS: u64 =
    MAX_TOKEN_AGE_SECONDS + COMMITMENT_SECONDS + 3 * MAX_CLOCK_SKEW_SECONDS;

/// What a device commits to: SHA-256 of `keyfold/oidc/token-commitment/v1` and the token as a
/// string.
#[derive(Debug, Clone, Copy)]
pub struct TokenCommitment([u8; 32]);

impl TokenCommitment {
    /// Computes the commitment to a token.
    pub fn of(token: &str) -> Self {
        Self(
            Encoder::new("keyfold/oidc/token-commitment/v1")
                .str(token)
                .sha256(),
        )
    }

    /// Wraps bytes that came from a client.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In the same time wherever they differ.
impl PartialEq for TokenCommitment {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for TokenCommitment {}

/// Says why a commitment or a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// Somebody committed to this token before: whoever comes second has seen it.
    #[error("the token was committed to before")]
    Taken,
    /// There is no room: try again later.
    #[error("too many commitments are pending")]
    Full,
    /// This device has not committed to this token in this project, or has shown it, or too late.
    #[error("there is no commitment to this token")]
    Unknown,
}

/// A token that the device which shows it has committed to: only [`TokenCommitments::show`] makes
/// one. Nothing of it is verified.
pub struct CommittedToken<'a> {
    pub(super) token: &'a str,
    pub(super) project: &'a str,
    pub(super) device: Thumbprint,
}

impl fmt::Debug for CommittedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommittedToken([redacted])")
    }
}

/// The commitments of one instance.
///
/// # Security
///
/// What one instance remembers, another does not: where several serve a project, a token has to be
/// shown to the instance it was committed at, and its commitment counts there only. `now` is to
/// come from one clock that does not go back.
pub struct TokenCommitments {
    max: usize,
    max_per_device: usize,
    entries: BTreeMap<[u8; 32], Entry>,
    ends: BTreeSet<(u64, [u8; 32])>,
    by_device: BTreeMap<Thumbprint, usize>,
    by_project: BTreeMap<[u8; 32], usize>,
}

struct Entry {
    commitment: TokenCommitment,
    project: [u8; 32],
    device: Thumbprint,
    shown: bool,
    committed_at: u64,
}

impl TokenCommitments {
    /// Makes an empty store for at most `max` commitments, `max_per_device` of each device, and of
    /// each project what [`room`](crate::room) lets it; about 300 bytes each.
    pub fn new(max: usize, max_per_device: usize) -> Self {
        Self {
            max,
            max_per_device,
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_device: BTreeMap::new(),
            by_project: BTreeMap::new(),
        }
    }

    /// Returns how many commitments are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Remembers that a device commits to a token. The same device may say so again until it has
    /// shown it; that does not give it more time.
    ///
    /// # Errors
    ///
    /// [`CommitmentError::Taken`], [`CommitmentError::Full`].
    pub fn commit(
        &mut self,
        project: &str,
        device: &Thumbprint,
        commitment: TokenCommitment,
        now_unix_seconds: u64,
    ) -> Result<(), CommitmentError> {
        self.forget_old(now_unix_seconds);
        let (index, project) = (index(&commitment), project_key(project));
        if let Some(entry) = self.entries.get(&index) {
            let again = entry.project == project && entry.device == *device && !entry.shown;
            return again.then_some(()).ok_or(CommitmentError::Taken);
        }
        let held = self.by_device.get(device).copied().unwrap_or_default();
        let of_project = self.by_project.get(&project).copied().unwrap_or_default();
        if held >= self.max_per_device || !may_take(of_project, self.entries.len(), self.max) {
            return Err(CommitmentError::Full);
        }
        let ends_at = now_unix_seconds.saturating_add(REMEMBER_SECONDS);
        *self.by_device.entry(*device).or_default() += 1;
        *self.by_project.entry(project).or_default() += 1;
        self.ends.insert((ends_at, index));
        self.entries.insert(
            index,
            Entry {
                commitment,
                project,
                device: *device,
                shown: false,
                committed_at: now_unix_seconds,
            },
        );
        Ok(())
    }

    /// Takes a token from the device that committed to it, once.
    ///
    /// Project and device are those of the signed request.
    ///
    /// # Errors
    ///
    /// [`CommitmentError::Unknown`].
    pub fn show<'a>(
        &mut self,
        project: &'a str,
        device: &Thumbprint,
        token: &'a str,
        now_unix_seconds: u64,
    ) -> Result<CommittedToken<'a>, CommitmentError> {
        self.forget_old(now_unix_seconds);
        if token.len() > MAX_JWS_LEN {
            return Err(CommitmentError::Unknown);
        }
        let commitment = TokenCommitment::of(token);
        let entry = self
            .entries
            .get_mut(&index(&commitment))
            .ok_or(CommitmentError::Unknown)?;
        if entry.commitment != commitment
            || entry.project != project_key(project)
            || entry.device != *device
            || entry.shown
            || now_unix_seconds >= entry.committed_at.saturating_add(COMMITMENT_SECONDS)
        {
            return Err(CommitmentError::Unknown);
        }
        // Remembered on: the token has been seen now, and is good for a while.
        entry.shown = true;
        Ok(CommittedToken {
            token,
            project,
            device: *device,
        })
    }

    /// Erases what is over. Committing and showing do so too; call it when neither happens.
    pub fn forget_old(&mut self, now_unix_seconds: u64) {
        while let Some(&(ends_at, index)) = self.ends.first()
            && ends_at <= now_unix_seconds
        {
            self.ends.pop_first();
            let Some(entry) = self.entries.remove(&index) else {
                continue;
            };
            count_down(&mut self.by_device, &entry.device);
            count_down(&mut self.by_project, &entry.project);
        }
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A map compares its keys byte by byte; those that it compares are hashes of commitments, of
/// which nobody can choose the first bytes.
fn index(commitment: &TokenCommitment) -> [u8; 32] {
    Encoder::new("keyfold/oidc/commitment-index/v1")
        .fixed(&commitment.0)
        .sha256()
}

fn project_key(project: &str) -> [u8; 32] {
    Encoder::new("keyfold/oidc/commitment-project/v1")
        .str(project)
        .sha256()
}

impl fmt::Debug for TokenCommitments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCommitments")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
