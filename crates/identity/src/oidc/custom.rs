//! An app's own issuer, and ID tokens that the app got by itself.
//!
//! Such a token was not asked for by us: there is no nonce of ours in it, and whoever sees it
//! could show it. So its hash is committed first, by a device, and the token shown second, by the
//! same one. A token that was committed to is taken from nobody else, not even after it was shown:
//! who reads it on its way, or in a log later, has nothing.
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

use super::authorization::ProvenIdentity;
use super::binding::{Nonce, NonceSalt};
use super::client::MAX_CLIENT_ID_LEN;
use super::id_token::{self, IdTokenError, IdTokenExpectation, MAX_CLOCK_SKEW_SECONDS};
use super::jws::MAX_JWS_LEN;
use super::keys::{Algorithm, KeySet};
use super::subject::EmailTrust;
use super::url::{HttpsUrl, MAX_URL_LEN, UrlError};

/// Seconds since a token was issued, at most, whatever a project says.
pub const MAX_TOKEN_AGE_SECONDS: u64 = 3_600;
/// Seconds between commitment and token, at most.
pub const COMMITMENT_SECONDS: u64 = 600;
/// Seconds for which a commitment is remembered: longer than its token is good for, also where the
/// issuer's clock is ahead by all that a commitment can wait for it.
const REMEMBER_SECONDS: u64 =
    MAX_TOKEN_AGE_SECONDS + COMMITMENT_SECONDS + 3 * MAX_CLOCK_SKEW_SECONDS;

/// Says why an issuer could not be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CustomIssuerError {
    /// Empty, too long, or with other characters than visible ASCII.
    #[error("the issuer's {0} is malformed")]
    Malformed(&'static str),
    /// Not an address that keys are fetched from.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Longer than [`MAX_TOKEN_AGE_SECONDS`], or none.
    #[error("the issuer's tokens may be at most an hour old")]
    TokenAge,
    /// No algorithm.
    #[error("the issuer has no algorithm")]
    NoAlgorithm,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A JWKS document, fetched.
    Jwks(HttpsUrl),
    /// Keys that are part of the configuration: a PEM.
    Fixed(KeySet),
}

/// An app's own issuer: part of its project's configuration, never of a request.
#[derive(Debug, Clone)]
pub struct CustomIssuer {
    issuer: String,
    audience: String,
    keys: KeySource,
    algorithms: Vec<Algorithm>,
    max_token_age_seconds: u64,
    email_trust: EmailTrust,
}

impl CustomIssuer {
    /// Makes an issuer. `issuer` and `audience` are compared to the letter.
    ///
    /// # Errors
    ///
    /// [`CustomIssuerError`].
    pub fn new(
        issuer: &str,
        audience: &str,
        keys: KeySource,
        algorithms: &[Algorithm],
        max_token_age_seconds: u64,
        email_trust: EmailTrust,
    ) -> Result<Self, CustomIssuerError> {
        let visible = |text: &str, max| {
            (1..=max).contains(&text.len()) && text.bytes().all(|b: u8| b.is_ascii_graphic())
        };
        if !visible(issuer, MAX_URL_LEN) {
            return Err(CustomIssuerError::Malformed("name"));
        }
        if !visible(audience, MAX_CLIENT_ID_LEN) {
            return Err(CustomIssuerError::Malformed("audience"));
        }
        if !(1..=MAX_TOKEN_AGE_SECONDS).contains(&max_token_age_seconds) {
            return Err(CustomIssuerError::TokenAge);
        }
        if algorithms.is_empty() {
            return Err(CustomIssuerError::NoAlgorithm);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            keys,
            algorithms: algorithms.to_vec(),
            max_token_age_seconds,
            email_trust,
        })
    }

    /// Firebase Authentication of a project.
    ///
    /// <https://firebase.google.com/docs/auth/admin/verify-id-tokens>
    ///
    /// # Errors
    ///
    /// [`CustomIssuerError`].
    pub fn firebase(project_id: &str) -> Result<Self, CustomIssuerError> {
        Self::new(
            &format!("https://securetoken.google.com/{project_id}"),
            project_id,
            KeySource::Jwks(HttpsUrl::known(
                "www.googleapis.com",
                "/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            )),
            &[Algorithm::Rs256],
            MAX_TOKEN_AGE_SECONDS,
            EmailTrust::Claimed,
        )
    }

    /// Supabase Auth of a project, with asymmetric signing keys.
    ///
    /// Its tokens do not say whether an address is verified; what `user_metadata` says of it, the
    /// user writes.
    ///
    /// <https://supabase.com/docs/guides/auth/signing-keys>
    ///
    /// # Errors
    ///
    /// [`CustomIssuerError`].
    pub fn supabase(project_url: &HttpsUrl) -> Result<Self, CustomIssuerError> {
        let issuer = project_url.join_path("/auth/v1")?;
        let jwks = issuer.join_path("/.well-known/jwks.json")?;
        Self::new(
            issuer.as_str(),
            "authenticated",
            KeySource::Jwks(jwks),
            &[Algorithm::Es256, Algorithm::Rs256],
            MAX_TOKEN_AGE_SECONDS,
            EmailTrust::Never,
        )
    }

    /// Auth0, by the address of the tenant, whose issuer ends with a slash.
    ///
    /// <https://auth0.com/docs/secure/tokens/id-tokens/validate-id-tokens>
    ///
    /// # Errors
    ///
    /// [`CustomIssuerError`].
    pub fn auth0(tenant: &HttpsUrl, client_id: &str) -> Result<Self, CustomIssuerError> {
        Self::new(
            tenant.join_path("/")?.as_str(),
            client_id,
            KeySource::Jwks(tenant.join_path("/.well-known/jwks.json")?),
            &[Algorithm::Rs256],
            MAX_TOKEN_AGE_SECONDS,
            EmailTrust::Claimed,
        )
    }

    /// Returns the issuer's name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns where its keys come from.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Verifies a token that this device committed to.
    ///
    /// `keys` are those of [`CustomIssuer::keys`], fetched if need be.
    ///
    /// # Errors
    ///
    /// [`IdTokenError`]. On [`JwsError::UnknownKey`](super::jws::JwsError::UnknownKey) fetch the
    /// keys again, once, and ask again.
    pub fn verify_committed(
        &self,
        shown: &CommittedToken<'_>,
        keys: &KeySet,
        now_unix_seconds: u64,
    ) -> Result<ProvenIdentity, IdTokenError> {
        let (project, device) = (shown.project, shown.device);
        self.verify(shown.token, keys, None, now_unix_seconds)
            .map(|subject| ProvenIdentity {
                project: project.to_owned(),
                device,
                subject,
                salt: None,
                proven_at_unix_seconds: now_unix_seconds,
            })
    }

    /// Verifies a token whose nonce is this device's: nobody else can show it.
    ///
    /// # Errors
    ///
    /// As [`CustomIssuer::verify_committed`].
    pub fn verify_bound(
        &self,
        token: &str,
        keys: &KeySet,
        project: &str,
        device: &Thumbprint,
        salt: &NonceSalt,
        now_unix_seconds: u64,
    ) -> Result<ProvenIdentity, IdTokenError> {
        let nonce = Nonce::for_device(project, device, salt);
        self.verify(token, keys, Some(&nonce), now_unix_seconds)
            .map(|subject| ProvenIdentity {
                project: project.to_owned(),
                device: *device,
                subject,
                salt: Some(*salt),
                proven_at_unix_seconds: now_unix_seconds,
            })
    }

    fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        nonce: Option<&Nonce>,
        now_unix_seconds: u64,
    ) -> Result<super::subject::ProvenSubject, IdTokenError> {
        let expect = IdTokenExpectation {
            issuer: &self.issuer,
            client_id: &self.audience,
            trusted_audiences: &[],
            algorithms: &self.algorithms,
            nonce,
            max_token_age_seconds: self.max_token_age_seconds,
            max_authentication_age_seconds: None,
            acr_values: &[],
            email_trust: self.email_trust,
            now_unix_seconds,
        };
        id_token::verify(token, keys, &expect)
    }
}

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
    token: &'a str,
    project: &'a str,
    device: Thumbprint,
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
}

struct Entry {
    commitment: TokenCommitment,
    project: [u8; 32],
    device: Thumbprint,
    shown: bool,
    committed_at: u64,
}

impl TokenCommitments {
    /// Makes an empty store for at most `max` commitments, `max_per_device` of each device; about
    /// 300 bytes each.
    pub fn new(max: usize, max_per_device: usize) -> Self {
        Self {
            max,
            max_per_device,
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_device: BTreeMap::new(),
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
        if self.entries.len() >= self.max || held >= self.max_per_device {
            return Err(CommitmentError::Full);
        }
        let ends_at = now_unix_seconds.saturating_add(REMEMBER_SECONDS);
        *self.by_device.entry(*device).or_default() += 1;
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
            if let Some(count) = self.by_device.get_mut(&entry.device) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.by_device.remove(&entry.device);
                }
            }
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
