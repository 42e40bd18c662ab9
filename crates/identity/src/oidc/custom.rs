//! An app's own issuer: Firebase, Supabase, Auth0, or any whose keys are a JWKS or a PEM.
//!
//! Its tokens were not asked for by us. They are taken only where a device committed to them first
//! (see [`commitment`](super::commitment)), or where they carry a nonce of this device.

#[cfg(test)]
mod tests;

use keyfold_crypto::jwk::Thumbprint;

use super::authorization::ProvenIdentity;
use super::binding::{Nonce, NonceSalt};
use super::client::MAX_CLIENT_ID_LEN;
use super::commitment::CommittedToken;
use super::id_token::{self, IdTokenError, IdTokenExpectation};
use super::keys::{Algorithm, KeySet};
use super::subject::{EmailTrust, ProvenSubject};
use super::url::{HttpsUrl, MAX_URL_LEN, UrlError};

/// Seconds since a token was issued, at most, whatever a project says.
pub const MAX_TOKEN_AGE_SECONDS: u64 = 3_600;

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
    ) -> Result<ProvenSubject, IdTokenError> {
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
