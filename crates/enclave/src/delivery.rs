//! Attestations that go into a cookie: sealed to the realm, opened for the device's own requests.
//!
//! # Format
//!
//! Eight bytes with the second in which the session ends, then an envelope of the realm's cookie key:
//! the attestation's text, and zeros up to one length for all. Its place names realm, project,
//! device and that second.
//!
//! # Security
//!
//! The host carries it, and may exchange, repeat or keep it. What opens is what an enclave of the
//! realm sealed for this project and this device; that it is the attestation which the device
//! signed for, and that this is still good, the verification of the request finds as it would
//! without a cookie. Length and name tell nothing of what is in it.

use core::fmt;

use keyfold_crypto::envelope::{Aad, KeyRing, MasterKey};
use keyfold_crypto::hash::hmac_sha256;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{Encoder, Secret};
use keyfold_protocol::delivery::{CookieChange, SEALED_CONTENT_LEN, SealedSession};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{CookieSlot, ProjectId, RealmId};
use rand_core::CryptoRng;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// An answer with what the host is to do to the client's cookie.
pub(crate) struct Delivered<T> {
    pub(crate) answer: T,
    pub(crate) cookie: Option<CookieChange>,
}

impl<T> Delivered<T> {
    /// An answer that leaves the cookie alone.
    pub(crate) fn plain(answer: T) -> Self {
        Self {
            answer,
            cookie: None,
        }
    }
}

/// What a handler returns: an answer, or one with a change of the cookie.
pub(crate) trait Answer {
    /// Writes it.
    fn write(self) -> Result<Delivered<Vec<u8>>, Problem>;
}

impl<T: Serialize> Answer for T {
    fn write(self) -> Result<Delivered<Vec<u8>>, Problem> {
        let json = serde_json::to_vec(&self);
        json.map(Delivered::plain)
            .map_err(|_| Problem::internal("an answer cannot be written"))
    }
}

impl<T: Serialize> Answer for Delivered<T> {
    fn write(self) -> Result<Delivered<Vec<u8>>, Problem> {
        let cookie = self.cookie;
        let answer = self.answer.write()?.answer;
        Ok(Delivered { answer, cookie })
    }
}

/// Whose cookie it is.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) realm: RealmId,
    pub(crate) project: &'a ProjectId,
    pub(crate) device: Thumbprint,
}

/// The realm's keys of cookies.
pub(crate) struct SessionCookies {
    ring: KeyRing,
    names: Secret<32>,
}

/// The attestation is longer than a cookie takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the attestation does not fit a cookie")]
pub(crate) struct TooLong;

impl SessionCookies {
    pub(crate) fn new(sealing: Secret<32>, names: Secret<32>) -> Self {
        Self {
            ring: KeyRing::new(MasterKey::new(sealing)),
            names,
        }
    }

    /// Names the cookie of a device in a project. A browser keeps one for each, so that a session
    /// takes the place of the one before it.
    pub(crate) fn slot(&self, owner: Owner<'_>) -> CookieSlot {
        let [a, b, c, d, e, f, g, h, ..] =
            self.names.expose(|key| hmac_sha256(key, &owner.place()));
        CookieSlot::from_bytes([a, b, c, d, e, f, g, h])
    }

    /// Seals an attestation of a session that ends at a Unix second.
    pub(crate) fn seal(
        &self,
        owner: Owner<'_>,
        attestation: &str,
        ends: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<SealedSession, TooLong> {
        if attestation.len() > SEALED_CONTENT_LEN {
            return Err(TooLong);
        }
        let mut content = Zeroizing::new(attestation.as_bytes().to_vec());
        content.resize(SEALED_CONTENT_LEN, 0);
        let row = owner.place();
        let envelope = self
            .ring
            .seal(&aad(&row, ends), &content, rng)
            .map_err(|_| TooLong)?;
        let sealed = [ends.to_be_bytes().as_slice(), &envelope].concat();
        SealedSession::from_bytes(&sealed).map_err(|_| TooLong)
    }

    /// Opens what was sealed for the same owner, while the session lasts. Whatever else came is no
    /// session.
    pub(crate) fn open(&self, owner: Owner<'_>, sealed: &str, now: u64) -> Result<String, Code> {
        let sealed: SealedSession = sealed.parse().map_err(|_| Code::SessionInvalid)?;
        let sealed = sealed.to_bytes().ok_or(Code::SessionInvalid)?;
        let (ends, envelope) = sealed.split_first_chunk().ok_or(Code::SessionInvalid)?;
        let ends = u64::from_be_bytes(*ends);
        let row = owner.place();
        let content = self
            .ring
            .open(&aad(&row, ends), envelope)
            .map_err(|_| Code::SessionInvalid)?;
        // Authentic by now, so that this is said to its owner alone.
        if ends <= now {
            return Err(Code::SessionExpired);
        }
        content
            .expose(|content| {
                let text = core::str::from_utf8(content).ok()?;
                Some(text.trim_end_matches('\0').to_owned())
            })
            .ok_or(Code::SessionInvalid)
    }
}

impl Owner<'_> {
    fn place(self) -> Vec<u8> {
        Encoder::new("keyfold/session-cookie/v1")
            .fixed(self.realm.as_bytes())
            .str(self.project.as_str())
            .fixed(&self.device.0)
            .finish()
    }
}

fn aad(row: &[u8], ends: u64) -> Aad<'_> {
    Aad {
        table: "session-cookie",
        row,
        column: "attestation",
        version: ends,
    }
}

impl fmt::Debug for SessionCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCookies([redacted])")
    }
}

#[cfg(test)]
mod tests;
