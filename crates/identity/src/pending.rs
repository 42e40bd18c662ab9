//! Sign-ins that wait for their code.
//!
//! # What limits a guesser
//!
//! - A code is checked against at most [`MAX_ATTEMPTS`] guesses. An attempt is counted before it
//!   is compared, in one step that nothing interrupts.
//! - Starting again, on the same device for the same address, makes a new code and invalidates
//!   the old; it does not give attempts back. At most [`MAX_CODES`] codes are made that way.
//! - Each address has [`ADDRESS_SLOTS`] slots in each project. A sign-in of another device takes
//!   one and holds it for an hour, whatever becomes of it, unless the right code was given. So
//!   whoever makes any number of devices gets 5 x 3 guesses in an hour: one success in 760 years.
//! - A code works for ten minutes, once, for the project, address and device it was made for. To
//!   anybody else its sign-in does not exist, and asking costs its owner no attempt.
//!
//! # What a flood does
//!
//! Memory is bounded by [`Limits`]. When something is full, what is *new* is refused; nothing that
//! waits is ever pushed out, and its attempts were set aside when it began. So a stranger can keep
//! somebody from *beginning* a sign-in by email (as whoever fills a mailbox can), but cannot end
//! one that has begun, and not touch sessions that exist. Limits by network address stand in front
//! of this, at the gateway.
//!
//! That mailing failed is no reason to forget a sign-in: whoever carries the mail could then make
//! it fail after three guesses, and guess again. There is no operation that takes one back.
//!
//! The state lives in one instance's memory and dies with it; so do the sign-ins.

#[cfg(test)]
mod tests;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use keyfold_crypto::Encoder;
use rand_core::CryptoRng;

use crate::code::OneTimeCode;
use crate::email::EmailAddress;

/// Guesses at the codes of one sign-in.
pub const MAX_ATTEMPTS: u8 = 3;
/// Codes of one sign-in: the first, and those of starting again.
pub const MAX_CODES: u8 = 3;
/// Seconds for which a code works.
pub const CODE_SECONDS: u64 = 600;
/// Sign-ins that one address of one project may begin within [`SLOT_SECONDS`].
pub const ADDRESS_SLOTS: usize = 5;
/// Seconds for which a sign-in holds its address's slot.
pub const SLOT_SECONDS: u64 = 3_600;

/// Bounds of what waits at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sign-ins in all; about 1 KiB of memory each.
    pub total: usize,
    /// Sign-ins of one project, so that one app's flood leaves room for another's users.
    pub per_project: usize,
    /// Sign-ins of one device.
    pub per_device: usize,
    /// Addresses whose slots are remembered; about 256 bytes each.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 20_000,
            per_project: 10_000,
            per_device: 8,
            addresses: 100_000,
        }
    }
}

/// Names a pending sign-in; random, and of no use to another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignInId([u8; 16]);

impl SignInId {
    /// Wraps bytes that came back from a client.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Says why a sign-in could not begin. None depends on whether the address has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// This device has used up its attempts or codes for this address: wait.
    #[error("the attempts of this device for this address are used up")]
    DeviceExhausted {
        /// First second, in Unix seconds, in which it may begin again.
        retry_at_unix_seconds: u64,
    },
    /// The address has begun as many sign-ins as it may: wait.
    #[error("too many sign-ins were begun for this address")]
    AddressLimit {
        /// First second, in Unix seconds, in which a slot is free.
        retry_at_unix_seconds: u64,
    },
    /// This device waits for as many codes as it may: finish one or wait.
    #[error("too many sign-ins were begun by this device")]
    DeviceLimit,
    /// The project or the instance has no room: try again later, or at another instance.
    #[error("too many sign-ins are pending")]
    Full,
}

/// Says why a sign-in did not finish. Tell a client no more than "refused".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// The code is wrong, and an attempt is gone.
    #[error("the code is wrong")]
    WrongCode {
        /// Attempts that are left; at 0 the sign-in is over.
        attempts_left: u8,
    },
    /// This device has no such sign-in in this project: it never had, or it is finished, used up,
    /// replaced or too old.
    #[error("there is no such sign-in")]
    Unknown,
}

/// An address that a device has proved to receive mail at, just now: only
/// [`PendingSignIns::finish`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenEmail {
    project: String,
    email: EmailAddress,
    device: [u8; 32],
    proven_at_unix_seconds: u64,
}

impl ProvenEmail {
    /// Returns the project that the proof is for.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the address.
    pub fn email(&self) -> &EmailAddress {
        &self.email
    }

    /// Returns the thumbprint of the device that the proof is for.
    pub fn device(&self) -> &[u8; 32] {
        &self.device
    }

    /// Returns when, in Unix seconds.
    pub fn proven_at_unix_seconds(&self) -> u64 {
        self.proven_at_unix_seconds
    }
}

/// The sign-ins that wait for their code, in memory.
///
/// # Security
///
/// `now` is to come from one clock that does not go back; if it does, things live longer by that
/// much, and no attempt is given back. See the [module](self) for what limits a guesser.
pub struct PendingSignIns {
    limits: Limits,
    /// By project, address and device: at most one each.
    sign_ins: BTreeMap<SignInKey, SignIn>,
    /// The one code of a sign-in that works.
    by_id: BTreeMap<SignInId, SignInKey>,
    /// When each entry of `sign_ins` ends.
    ends: BTreeSet<(u64, SignInKey)>,
    by_project: BTreeMap<ProjectKey, usize>,
    by_device: BTreeMap<[u8; 32], usize>,
    /// When the slots of each address, in each project, were taken; oldest first, never empty.
    slots: BTreeMap<AddressKey, Vec<u64>>,
    /// When the last slot of each entry of `slots` ends.
    slot_ends: BTreeSet<(u64, AddressKey)>,
}

// Hashes of canonical encodings: all of one size whatever a stranger sends, and no way to move a
// byte from the project's name into the address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ProjectKey([u8; 32]);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AddressKey([u8; 32]);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SignInKey([u8; 32]);

struct SignIn {
    project: ProjectKey,
    address: AddressKey,
    email: EmailAddress,
    device: [u8; 32],
    id: SignInId,
    /// Erased with the last attempt. What is left then remembers that there was one.
    code: Option<OneTimeCode>,
    attempts_used: u8,
    codes_made: u8,
    slot_taken_at: u64,
    ends_at: u64,
}

impl PendingSignIns {
    /// Makes an empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sign_ins: BTreeMap::new(),
            by_id: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_project: BTreeMap::new(),
            by_device: BTreeMap::new(),
            slots: BTreeMap::new(),
            slot_ends: BTreeSet::new(),
        }
    }

    /// Returns how many sign-ins are remembered, those that are used up included.
    pub fn len(&self) -> usize {
        self.sign_ins.len()
    }

    /// Returns whether none is.
    pub fn is_empty(&self) -> bool {
        self.sign_ins.is_empty()
    }

    /// Begins a sign-in, or begins it again; returns its name and the code to mail.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing has changed then, and an earlier code still works.
    ///
    /// # Security
    ///
    /// The code goes into the mail to `email.as_str()`, that spelling, and nowhere else. `device`
    /// is the thumbprint of the key that signed the request.
    pub fn start(
        &mut self,
        project: &str,
        email: &EmailAddress,
        device: [u8; 32],
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(SignInId, OneTimeCode), StartError> {
        self.forget_old(now_unix_seconds);
        let address = AddressKey::new(project, email);
        let key = SignInKey::new(&address, &device);
        let ends_at = now_unix_seconds.saturating_add(CODE_SECONDS);

        if let Some(sign_in) = self.sign_ins.get(&key) {
            if sign_in.attempts_used >= MAX_ATTEMPTS || sign_in.codes_made >= MAX_CODES {
                return Err(StartError::DeviceExhausted {
                    retry_at_unix_seconds: sign_in.ends_at,
                });
            }
        } else {
            self.forget_old_slots(address, now_unix_seconds);
            self.check_room(&ProjectKey::new(project), &address, &device)?;
        }

        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = SignInId(id);
        let code = OneTimeCode::random(rng);
        let kept = code.duplicate();

        if let Some(sign_in) = self.sign_ins.get_mut(&key) {
            self.by_id.remove(&sign_in.id);
            self.ends.remove(&(sign_in.ends_at, key));
            sign_in.id = id;
            sign_in.code = Some(kept);
            sign_in.codes_made += 1;
            // A clock that went back must not make the memory of used attempts shorter.
            sign_in.ends_at = sign_in.ends_at.max(ends_at);
            self.ends.insert((sign_in.ends_at, key));
        } else {
            let project = ProjectKey::new(project);
            *self.by_project.entry(project).or_default() += 1;
            *self.by_device.entry(device).or_default() += 1;
            let slot_taken_at = self.take_slot(address, now_unix_seconds);
            self.ends.insert((ends_at, key));
            self.sign_ins.insert(
                key,
                SignIn {
                    project,
                    address,
                    email: email.clone(),
                    device,
                    id,
                    code: Some(kept),
                    attempts_used: 0,
                    codes_made: 1,
                    slot_taken_at,
                    ends_at,
                },
            );
        }
        self.by_id.insert(id, key);
        Ok((id, code))
    }

    /// Finishes a sign-in with the code that a person typed.
    ///
    /// # Errors
    ///
    /// [`FinishError`].
    ///
    /// # Security
    ///
    /// The attempt is counted first. The right code ends the sign-in, and so does the last wrong
    /// one. Project and device are those of the signed request, never of its body.
    pub fn finish(
        &mut self,
        id: &SignInId,
        project: &str,
        device: &[u8; 32],
        code: &OneTimeCode,
        now_unix_seconds: u64,
    ) -> Result<ProvenEmail, FinishError> {
        self.forget_old(now_unix_seconds);
        let key = *self.by_id.get(id).ok_or(FinishError::Unknown)?;
        let sign_in = self.sign_ins.get_mut(&key).ok_or(FinishError::Unknown)?;
        if sign_in.project != ProjectKey::new(project)
            || sign_in.device != *device
            || sign_in.attempts_used >= MAX_ATTEMPTS
        {
            return Err(FinishError::Unknown);
        }

        sign_in.attempts_used += 1;
        let right = sign_in
            .code
            .as_ref()
            .is_some_and(|expected| expected.matches(code));

        if !right {
            let attempts_left = MAX_ATTEMPTS - sign_in.attempts_used;
            if attempts_left == 0 {
                sign_in.code = None;
                self.by_id.remove(id);
            }
            return Err(FinishError::WrongCode { attempts_left });
        }
        let done = self.remove(&key).ok_or(FinishError::Unknown)?;
        self.give_slot_back(done.address, done.slot_taken_at);
        Ok(ProvenEmail {
            project: project.to_owned(),
            email: done.email,
            device: done.device,
            proven_at_unix_seconds: now_unix_seconds,
        })
    }

    /// Returns the address that a device's sign-in waits for, which proves nothing of it.
    ///
    /// # Security
    ///
    /// For the device that began with this address, and so knows it.
    #[must_use]
    pub fn address(
        &self,
        id: &SignInId,
        project: &str,
        device: &[u8; 32],
    ) -> Option<&EmailAddress> {
        let sign_in = self.sign_ins.get(self.by_id.get(id)?)?;
        (sign_in.project == ProjectKey::new(project) && sign_in.device == *device)
            .then_some(&sign_in.email)
    }

    /// Erases what is over. Starting and finishing do so too; call it when neither happens.
    pub fn forget_old(&mut self, now_unix_seconds: u64) {
        while let Some(&(ends_at, key)) = self.ends.first()
            && ends_at <= now_unix_seconds
        {
            self.ends.pop_first();
            self.remove(&key);
        }
        while let Some(&(ends_at, address)) = self.slot_ends.first()
            && ends_at <= now_unix_seconds
        {
            self.slot_ends.pop_first();
            self.slots.remove(&address);
        }
    }

    fn check_room(
        &self,
        project: &ProjectKey,
        address: &AddressKey,
        device: &[u8; 32],
    ) -> Result<(), StartError> {
        let held = |count: Option<&usize>| count.copied().unwrap_or_default();
        match self.slots.get(address) {
            Some(taken) if taken.len() >= ADDRESS_SLOTS => {
                let first = taken.first().copied().unwrap_or_default();
                return Err(StartError::AddressLimit {
                    retry_at_unix_seconds: first.saturating_add(SLOT_SECONDS),
                });
            }
            None if self.slots.len() >= self.limits.addresses => return Err(StartError::Full),
            _ => {}
        }
        if held(self.by_device.get(device)) >= self.limits.per_device {
            return Err(StartError::DeviceLimit);
        }
        if self.sign_ins.len() >= self.limits.total
            || held(self.by_project.get(project)) >= self.limits.per_project
        {
            return Err(StartError::Full);
        }
        Ok(())
    }

    fn remove(&mut self, key: &SignInKey) -> Option<SignIn> {
        let removed = self.sign_ins.remove(key)?;
        self.by_id.remove(&removed.id);
        self.ends.remove(&(removed.ends_at, *key));
        count_down(&mut self.by_project, &removed.project);
        count_down(&mut self.by_device, &removed.device);
        Some(removed)
    }

    /// Takes a slot; returns the time it is filed under.
    fn take_slot(&mut self, address: AddressKey, now_unix_seconds: u64) -> u64 {
        let mut taken_at = now_unix_seconds;
        self.change_slots(address, |taken| {
            // Stays sorted even if the clock went back.
            taken_at = taken
                .last()
                .copied()
                .unwrap_or_default()
                .max(now_unix_seconds);
            taken.push(taken_at);
        });
        taken_at
    }

    fn give_slot_back(&mut self, address: AddressKey, taken_at: u64) {
        self.change_slots(address, |taken| {
            if let Some(position) = taken.iter().position(|at| *at == taken_at) {
                taken.remove(position);
            }
        });
    }

    fn forget_old_slots(&mut self, address: AddressKey, now_unix_seconds: u64) {
        self.change_slots(address, |taken| {
            taken.retain(|at| at.saturating_add(SLOT_SECONDS) > now_unix_seconds);
        });
    }

    /// Changes the slots of an address and files them under their new end.
    fn change_slots(&mut self, address: AddressKey, change: impl FnOnce(&mut Vec<u64>)) {
        let end = |taken: &[u64]| {
            taken
                .last()
                .map(|at| (at.saturating_add(SLOT_SECONDS), address))
        };
        let mut taken = self.slots.remove(&address).unwrap_or_default();
        if let Some(end) = end(&taken) {
            self.slot_ends.remove(&end);
        }
        change(&mut taken);
        if let Some(end) = end(&taken) {
            self.slot_ends.insert(end);
            self.slots.insert(address, taken);
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

impl ProjectKey {
    fn new(project: &str) -> Self {
        Self(
            Encoder::new("keyfold/pending/project/v1")
                .str(project)
                .sha256(),
        )
    }
}

impl AddressKey {
    fn new(project: &str, email: &EmailAddress) -> Self {
        Self(
            Encoder::new("keyfold/pending/address/v1")
                .str(project)
                .bytes(email.lookup_bytes())
                .sha256(),
        )
    }
}

impl SignInKey {
    fn new(address: &AddressKey, device: &[u8; 32]) -> Self {
        Self(
            Encoder::new("keyfold/pending/sign-in/v1")
                .fixed(&address.0)
                .fixed(device)
                .sha256(),
        )
    }
}

impl fmt::Debug for PendingSignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIns")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
