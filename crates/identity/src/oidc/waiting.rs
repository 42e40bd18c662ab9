//! Sign-ins that wait for their callback, in one instance's memory.
//!
//! # What a flood does
//!
//! Memory is bounded by [`Limits`]. When something is full, what is *new* is refused; nothing that
//! waits is pushed out, so a stranger can keep somebody from beginning a sign-in at this instance,
//! for as long as the flood lasts, but cannot end one that has begun. Devices cost nothing to make;
//! limits by network address stand in front of this, at the gateway.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use keyfold_crypto::jwk::Thumbprint;
use rand_core::CryptoRng;

use super::authorization::{AuthorizationGrant, CallbackError, PendingAuthorization};
use crate::room::may_take;

/// Bounds of what waits at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sign-ins in all, of which a project takes what [`room`](crate::room) lets it; about 1 KiB of
    /// memory each.
    pub total: usize,
    /// Sign-ins of one device.
    pub per_device: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 50_000,
            per_device: 8,
        }
    }
}

/// Names a waiting sign-in; random, and of no use to another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorizationId([u8; 16]);

impl AuthorizationId {
    /// Wraps bytes that came back from a client.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Says why a sign-in cannot wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// This device waits for as many callbacks as it may: finish one or wait.
    #[error("too many sign-ins were begun by this device")]
    DeviceLimit,
    /// The project or the instance has no room: try again later, or at another instance.
    #[error("too many sign-ins are pending")]
    Full,
}

/// The sign-ins that wait for their callback.
///
/// # Security
///
/// `now` is to come from one clock that does not go back; if it does, things wait longer here, but
/// not longer than [`PendingAuthorization::accept`] allows.
#[derive(Default)]
pub struct WaitingAuthorizations {
    limits: Limits,
    by_id: BTreeMap<AuthorizationId, PendingAuthorization>,
    ends: BTreeSet<(u64, AuthorizationId)>,
    by_project: BTreeMap<String, usize>,
    by_device: BTreeMap<Thumbprint, usize>,
}

impl WaitingAuthorizations {
    /// Makes an empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Returns how many wait.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether none does.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Keeps a sign-in until its callback or its end; returns its name.
    ///
    /// # Errors
    ///
    /// [`WaitError`]; the sign-in is gone then.
    pub fn keep(
        &mut self,
        pending: PendingAuthorization,
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<AuthorizationId, WaitError> {
        self.forget_old(now_unix_seconds);
        let held = |count: Option<&usize>| count.copied().unwrap_or_default();
        if held(self.by_device.get(pending.device())) >= self.limits.per_device {
            return Err(WaitError::DeviceLimit);
        }
        let of_project = held(self.by_project.get(pending.project()));
        if !may_take(of_project, self.by_id.len(), self.limits.total) {
            return Err(WaitError::Full);
        }
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = AuthorizationId(id);
        *self
            .by_project
            .entry(pending.project().to_owned())
            .or_default() += 1;
        *self.by_device.entry(*pending.device()).or_default() += 1;
        self.ends.insert((pending.expires_at_unix_seconds(), id));
        self.by_id.insert(id, pending);
        Ok(id)
    }

    /// Gives a sign-in its callback, which ends its waiting, whatever it says.
    ///
    /// Project and device are those of the signed request. To another project or device the
    /// sign-in does not exist, and asking costs its owner nothing.
    ///
    /// # Errors
    ///
    /// [`CallbackError`]; [`CallbackError::WrongDevice`] also if there is none, or no more.
    pub fn accept(
        &mut self,
        id: &AuthorizationId,
        project: &str,
        device: &Thumbprint,
        callback: &str,
        now_unix_seconds: u64,
    ) -> Result<AuthorizationGrant, CallbackError> {
        self.forget_old(now_unix_seconds);
        let theirs = self
            .by_id
            .get(id)
            .is_some_and(|pending| pending.project() == project && pending.device() == device);
        if !theirs {
            return Err(CallbackError::WrongDevice);
        }
        self.remove(id).ok_or(CallbackError::WrongDevice)?.accept(
            project,
            device,
            callback,
            now_unix_seconds,
        )
    }

    /// Erases what is over. Keeping and accepting do so too; call it when neither happens.
    pub fn forget_old(&mut self, now_unix_seconds: u64) {
        while let Some(&(ends_at, id)) = self.ends.first()
            && ends_at <= now_unix_seconds
        {
            self.ends.pop_first();
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &AuthorizationId) -> Option<PendingAuthorization> {
        let pending = self.by_id.remove(id)?;
        self.ends.remove(&(pending.expires_at_unix_seconds(), *id));
        count_down(&mut self.by_project, pending.project());
        count_down(&mut self.by_device, pending.device());
        Some(pending)
    }
}

fn count_down<K: Ord + core::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    counts: &mut BTreeMap<K, usize>,
    key: &Q,
) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl fmt::Debug for WaitingAuthorizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingAuthorizations")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
