//! How much of anything there may be, and how long anything may take.

use core::time::Duration;

/// Identities of one account.
pub(crate) const MAX_IDENTITIES: usize = 16;
/// How long a fresh proof counts as one.
pub(crate) const STEP_UP_SECONDS: u64 = 300;
/// How long a sign-in waits for its password.
pub(crate) const PASSWORD_SECONDS: u64 = 600;
/// Memory for all passwords that are hashed at one time, KiB.
pub(crate) const PASSWORD_MEMORY_KIB: u32 = 256 * 1024;
/// How often, and how far apart, a hash asks for its part of it.
pub(crate) const PASSWORD_TRIES: usize = 100;
pub(crate) const PASSWORD_PAUSE: Duration = Duration::from_millis(50);
/// Devices taken off one account that its record names; the oldest makes room. Holders, who decide,
/// forget none.
pub(crate) const MAX_REVOKED: usize = 64;
/// Mails about an account's devices within an hour, to each of so many addresses.
pub(crate) const NOTICES_PER_HOUR: u8 = 8;
pub(crate) const NOTICE_ADDRESSES: usize = 8;
/// Opened account records that are kept in memory.
pub(crate) const CACHED_ACCOUNTS: usize = 4_096;
/// Project records that are kept in memory, and for how many seconds.
pub(crate) const CACHED_PROJECTS: usize = 256;
pub(crate) const PROJECT_CACHE_SECONDS: u64 = 60;
/// Nonces that are remembered, for sessions and for sign-ins apart.
pub(crate) const NONCES: usize = 262_144;
/// Of these, how many one device may take: 68 requests a second, for as long as it likes. It takes
/// 64 devices, each of a session, to fill the window.
pub(crate) const NONCES_PER_DEVICE: usize = 4_096;
/// Tasks that run on after their request was answered.
pub(crate) const BACKGROUND_TASKS: usize = 2_048;
/// Messages that wait for holders that are away.
pub(crate) const CATCH_UP: usize = 8_192;
/// Times a change of a record is tried again when somebody else changed it.
pub(crate) const CHANGE_ATTEMPTS: usize = 8;

/// One call of a holder or a guard.
pub(crate) const PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// One call of the host's record store.
pub(crate) const HOST_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer of a holder or guard, bytes.
pub(crate) const PEER_MAX_RESPONSE: usize = 256 * 1024;
/// Largest answer of the host's record store: a few versions in base64.
pub(crate) const HOST_MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// How long the key machine's word on a root counts.
pub(crate) const ROOT_SECONDS: u64 = 3_600;
/// How long an OHTTP key is the current one.
pub(crate) const OHTTP_SECONDS: u64 = 3_600;
/// How old a registration gets before it is renewed; it ends with its document's hour.
pub(crate) const REGISTRATION_SECONDS: u64 = 3_000;
/// How often the clock is compared.
pub(crate) const CLOCK_CHECK_SECONDS: u64 = 60;
/// How far the clock may be from a holder's that is to count as agreeing with it.
pub(crate) const MAX_CLOCK_OFFSET_MS: u64 = 30_000;
/// The beat of maintenance.
pub(crate) const TICK: Duration = Duration::from_secs(15);
/// How often, and how far apart, boot asks for the seed.
pub(crate) const BOOT_ATTEMPTS: usize = 60;
pub(crate) const BOOT_PAUSE: Duration = Duration::from_secs(1);
