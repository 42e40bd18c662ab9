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
//! - A device that the address's account knows already ([`Starter::Known`]) takes none of them: it
//!   has [`DEVICE_SLOTS`] of its own, which hold as long. Strangers cannot use them up, nor can one
//!   known device use up another's; and guessing would bring it where it is.
//! - A code works for ten minutes, once, for the project, address and device it was made for. To
//!   anybody else its sign-in does not exist, and asking costs its owner no attempt.
//!
//! # What a flood does
//!
//! Memory is bounded by [`Limits`]. When something is full, what is *new* is refused; nothing that
//! waits is ever pushed out, and its attempts were set aside when it began. So strangers can keep
//! somebody from *beginning* a sign-in by email on a device that is new (as whoever fills a mailbox
//! can), but not on one that the account knows: those have a table of their own too. They cannot
//! end a sign-in that has begun, and not touch sessions that exist. A project takes no more of a
//! table than [`room`](crate::room) lets it. Limits by network address stand in front of this, at
//! the gateway.
//!
//! That mailing failed is no reason to forget a sign-in: whoever carries the mail could then make
//! it fail after three guesses, and guess again. There is no operation that takes one back.
//!
//! The state lives in one instance's memory and dies with it; so do the sign-ins.

mod table;
#[cfg(test)]
mod tests;

use core::fmt;

use keyfold_crypto::Encoder;
use rand_core::CryptoRng;

use crate::code::OneTimeCode;
use crate::email::EmailAddress;
use table::Table;

/// Guesses at the codes of one sign-in.
pub const MAX_ATTEMPTS: u8 = 3;
/// Codes of one sign-in: the first, and those of starting again.
pub const MAX_CODES: u8 = 3;
/// Seconds for which a code works.
pub const CODE_SECONDS: u64 = 600;
/// Sign-ins that one address of one project may begin within [`SLOT_SECONDS`], from all devices
/// together that its account does not know.
pub const ADDRESS_SLOTS: usize = 5;
/// Sign-ins that one device may begin within [`SLOT_SECONDS`] for an address whose account knows it.
pub const DEVICE_SLOTS: usize = 5;
/// Seconds for which a sign-in holds its address's slot.
pub const SLOT_SECONDS: u64 = 3_600;

/// Who begins a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// Anybody.
    Stranger,
    /// A device that may act for the account that the address belongs to, and signed the request.
    Known,
}

/// Bounds of what waits at one time, of strangers and of known devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sign-ins in all, of which a project takes what [`room`](crate::room) lets it; about 1 KiB of
    /// memory each.
    pub total: usize,
    /// Sign-ins of one device.
    pub per_device: usize,
    /// Addresses whose slots are remembered, and of known devices the pairs of address and device,
    /// shared by projects in the same way; about 300 bytes each.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 50_000,
            per_device: 8,
            addresses: 200_000,
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
    /// The address has begun as many sign-ins as it may, or the known device for it: wait.
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
    strangers: Table,
    known: Table,
}

// Hashes of canonical encodings: all of one size whatever a stranger sends, and no way to move a
// byte from the project's name into the address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ProjectKey([u8; 32]);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AddressKey([u8; 32]);
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SignInKey([u8; 32]);

/// Whose slots a sign-in takes: those of an address, or of a known device for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SlotKey([u8; 32]);

/// What a device asks for.
struct Asked<'a> {
    project: ProjectKey,
    key: SignInKey,
    slot: SlotKey,
    /// How many of them there are.
    slots: usize,
    email: &'a EmailAddress,
    device: [u8; 32],
}

impl PendingSignIns {
    /// Makes an empty store, with the same limits for strangers and for known devices.
    pub fn new(limits: Limits) -> Self {
        Self {
            strangers: Table::new(limits),
            known: Table::new(limits),
        }
    }

    /// Returns how many sign-ins are remembered, those that are used up included.
    pub fn len(&self) -> usize {
        self.strangers.len() + self.known.len()
    }

    /// Returns whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
    /// is the thumbprint of the key that signed the request. What a device began stays what it was
    /// begun as until it ends, so that nobody has two sets of attempts at a time.
    pub fn start(
        &mut self,
        starter: Starter,
        project: &str,
        email: &EmailAddress,
        device: [u8; 32],
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(SignInId, OneTimeCode), StartError> {
        self.forget_old(now_unix_seconds);
        let address = AddressKey::new(project, email);
        let key = SignInKey::new(&address, &device);
        let starter = if self.strangers.has(&key) {
            Starter::Stranger
        } else if self.known.has(&key) {
            Starter::Known
        } else {
            starter
        };
        let (table, slot, slots) = match starter {
            Starter::Stranger => {
                let slot = SlotKey(address.0);
                (&mut self.strangers, slot, ADDRESS_SLOTS)
            }
            Starter::Known => (&mut self.known, SlotKey(key.0), DEVICE_SLOTS),
        };
        let asked = Asked {
            project: ProjectKey::new(project),
            key,
            slot,
            slots,
            email,
            device,
        };
        table.start(asked, now_unix_seconds, rng)
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
        let table = match self.known.has_id(id) {
            true => &mut self.known,
            false => &mut self.strangers,
        };
        let email = table.finish(id, &ProjectKey::new(project), device, code)?;
        Ok(ProvenEmail {
            project: project.to_owned(),
            email,
            device: *device,
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
        let project = ProjectKey::new(project);
        let of = |table| Table::address(table, id, &project, device);
        of(&self.known).or_else(|| of(&self.strangers))
    }

    /// Erases what is over. Starting and finishing do so too; call it when neither happens.
    pub fn forget_old(&mut self, now_unix_seconds: u64) {
        self.strangers.forget_old(now_unix_seconds);
        self.known.forget_old(now_unix_seconds);
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
