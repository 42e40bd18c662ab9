//! The authorization code flow: a sign-in begins, waits for its callback, and ends in a proof.
//!
//! ```text
//! PendingAuthorization ── callback ──► AuthorizationGrant ── token response ──► ProvenIdentity
//! ```
//!
//! Each step takes what the step before left and checks what came back. State, nonce and PKCE
//! verifier are drawn here and kept here; nobody outside sees the verifier before the code is
//! redeemed. A waiting sign-in belongs to the device that began it, and the callback that it is
//! given ends it, whatever that says.
//!
//! RFC 6749 section 4.1, RFC 7636, RFC 9207, RFC 9700, OpenID Connect Core section 3.1.

mod callback;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

use ::url::form_urlencoded;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{SecretBytes, b64};
use rand_core::CryptoRng;

pub use self::callback::{CallbackError, ProviderRefusal};
use super::binding::{Nonce, NonceSalt};
use super::client::{Client, ClientCredentials};
use super::id_token::{self, IdTokenError, IdTokenExpectation};
use super::keys::KeySet;
use super::pkce::Verifier;
use super::provider::{Proof, Provider, read_user_info};
use super::subject::ProvenSubject;
use super::token::TokenResponse;
use super::url::HttpsUrl;

/// Seconds for which a sign-in waits for its callback.
pub const AUTHORIZATION_SECONDS: u64 = 600;
/// The content type of a token request.
pub const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// Seconds since an ID token of a code flow was issued, at most: it is fetched at once.
const MAX_TOKEN_AGE_SECONDS: u64 = 300;

/// What a sign-in asks of the provider beyond a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationOptions {
    /// Seconds since the person signed in at the provider, at most. 0: now. Only a provider of ID
    /// tokens can say.
    pub max_authentication_age_seconds: Option<u64>,
    /// Levels of assurance of which one is needed. Only a provider of ID tokens can say.
    pub acr_values: Vec<String>,
}

/// A sign-in that waits for its callback.
///
/// # Security
///
/// Not `Clone`: there is one, and the callback consumes it. `Debug` prints no secret.
pub struct PendingAuthorization {
    flow: Flow,
    state: String,
    expires_at_unix_seconds: u64,
}

/// What a sign-in remembers from its beginning to its end.
struct Flow {
    provider: Arc<Provider>,
    client: Client,
    options: AuthorizationOptions,
    project: String,
    device: Thumbprint,
    salt: NonceSalt,
    verifier: Verifier,
}

impl PendingAuthorization {
    /// Begins a sign-in; returns it with the address to send the person's browser to.
    ///
    /// `device` is the thumbprint of the key that signed the request; provider, client and options
    /// are the project's configuration, never the request's.
    ///
    /// # Security
    ///
    /// Where providers do not name themselves in the callback (RFC 9207), give each its own
    /// redirect address: RFC 9700 section 4.4.2.
    pub fn begin(
        provider: Arc<Provider>,
        client: Client,
        options: AuthorizationOptions,
        project: &str,
        device: Thumbprint,
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> (Self, String) {
        let mut state = [0; 32];
        rng.fill_bytes(&mut state);
        let pending = Self {
            flow: Flow {
                salt: NonceSalt::random(rng),
                verifier: Verifier::random(rng),
                provider,
                client,
                options,
                project: project.to_owned(),
                device,
            },
            state: b64::encode(&state),
            expires_at_unix_seconds: now_unix_seconds.saturating_add(AUTHORIZATION_SECONDS),
        };
        let url = pending.url();
        (pending, url)
    }

    fn url(&self) -> String {
        let Flow {
            provider,
            client,
            options,
            ..
        } = &self.flow;
        let mut query = form_urlencoded::Serializer::new(String::with_capacity(512));
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client.id())
            .append_pair("redirect_uri", client.redirect_uri())
            .append_pair("scope", provider.scope)
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &self.flow.verifier.challenge())
            .append_pair("code_challenge_method", "S256");
        if provider.form_post {
            query.append_pair("response_mode", "form_post");
        }
        if matches!(provider.proof, Proof::IdToken { .. }) {
            query.append_pair("nonce", self.flow.nonce().as_str());
            if let Some(max_age) = options.max_authentication_age_seconds {
                query.append_pair("max_age", &max_age.to_string());
            }
            if !options.acr_values.is_empty() {
                query.append_pair("acr_values", &options.acr_values.join(" "));
            }
        }
        // RFC 6749 section 3.1: a query that is there already is kept.
        let endpoint = provider.authorization_endpoint.as_str();
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        // `%20` rather than `+` for a blank: every server reads it.
        format!("{endpoint}{joint}{}", query.finish().replace('+', "%20"))
    }

    /// Returns the project that the sign-in is for.
    pub fn project(&self) -> &str {
        &self.flow.project
    }

    /// Returns the device that began it.
    pub fn device(&self) -> &Thumbprint {
        &self.flow.device
    }

    /// Returns what the nonce in its address was computed with, where the provider makes ID tokens.
    pub fn nonce_salt(&self) -> Option<&NonceSalt> {
        matches!(self.flow.provider.proof, Proof::IdToken { .. }).then_some(&self.flow.salt)
    }

    /// Returns the first second, in Unix seconds, in which it is over.
    pub fn expires_at_unix_seconds(&self) -> u64 {
        self.expires_at_unix_seconds
    }

    /// Gives the sign-in its callback: the query of the redirect, or the form that was posted.
    ///
    /// Project and device are those of the signed request. They are looked at first, then the
    /// time, then the state, then who answers, and only then the answer.
    ///
    /// # Errors
    ///
    /// [`CallbackError`]. The sign-in is over then too.
    ///
    /// # Security
    ///
    /// For untrusted text; bounded.
    pub fn accept(
        self,
        project: &str,
        device: &Thumbprint,
        callback: &str,
        now_unix_seconds: u64,
    ) -> Result<AuthorizationGrant, CallbackError> {
        if self.flow.project != project || self.flow.device != *device {
            return Err(CallbackError::WrongDevice);
        }
        if now_unix_seconds >= self.expires_at_unix_seconds {
            return Err(CallbackError::Expired);
        }
        let provider = &self.flow.provider;
        let code = callback::read(
            callback,
            &self.state,
            &provider.issuer,
            provider.callback_names_issuer,
        )?;
        Ok(AuthorizationGrant {
            flow: self.flow,
            code,
        })
    }
}

impl Flow {
    fn nonce(&self) -> Nonce {
        Nonce::for_device(&self.project, &self.device, &self.salt)
    }
}

/// A request to a token endpoint: POST, with [`FORM_CONTENT_TYPE`] and `Accept: application/json`.
#[derive(Debug)]
pub struct TokenRequest {
    /// Where to.
    pub url: HttpsUrl,
    /// The `Authorization` header.
    pub authorization: Option<SecretBytes>,
    /// The body.
    pub body: SecretBytes,
}

/// A request for a user-info document: GET.
#[derive(Debug)]
pub struct UserInfoRequest {
    /// Where to.
    pub url: HttpsUrl,
    /// The `Authorization` header.
    pub authorization: SecretBytes,
}

/// Says why a sign-in did not end in a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The ID token.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// The provider answered without an ID token.
    #[error("the provider's answer has no ID token")]
    NoIdToken,
    /// The user-info document names nobody.
    #[error("the provider's answer does not say who signed in")]
    UserInfo,
    /// This provider proves its users in the other way.
    #[error("the provider does not prove its users in this way")]
    WrongProof,
}

/// A code that came back for a sign-in of this device: only [`PendingAuthorization::accept`] makes
/// one.
pub struct AuthorizationGrant {
    flow: Flow,
    code: SecretBytes,
}

impl AuthorizationGrant {
    /// Returns the provider.
    pub fn provider(&self) -> &Provider {
        &self.flow.provider
    }

    /// Composes the request that redeems the code. Send it once: a code works once.
    pub fn token_request(
        &self,
        credentials: &ClientCredentials,
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> TokenRequest {
        let Flow {
            provider,
            client,
            verifier,
            ..
        } = &self.flow;
        // Room for all of it, so that growing leaves no copy behind.
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(32 * 1024));
        form.append_pair("grant_type", "authorization_code");
        self.code.expose(|code| {
            form.append_pair("code", core::str::from_utf8(code).unwrap_or_default());
        });
        form.append_pair("redirect_uri", client.redirect_uri());
        verifier.expose(|verifier| {
            form.append_pair("code_verifier", verifier);
        });
        let authorization = credentials.prove(
            client.id(),
            &provider.issuer,
            &mut form,
            now_unix_seconds,
            rng,
        );
        TokenRequest {
            url: provider.token_endpoint.clone(),
            authorization,
            body: SecretBytes::from_vec(form.finish().into_bytes()),
        }
    }

    /// Ends a sign-in at a provider of ID tokens.
    ///
    /// # Errors
    ///
    /// [`ProveError`]. On [`JwsError::UnknownKey`](super::jws::JwsError::UnknownKey) fetch the keys
    /// again, once, and ask again.
    pub fn prove_by_id_token(
        &self,
        response: &TokenResponse,
        keys: &KeySet,
        now_unix_seconds: u64,
    ) -> Result<ProvenIdentity, ProveError> {
        let Flow {
            provider,
            client,
            options,
            ..
        } = &self.flow;
        let Proof::IdToken {
            algorithms,
            email_trust,
            ..
        } = &provider.proof
        else {
            return Err(ProveError::WrongProof);
        };
        let token = response.id_token().ok_or(ProveError::NoIdToken)?;
        let acr_values: Vec<_> = options.acr_values.iter().map(String::as_str).collect();
        let expect = IdTokenExpectation {
            issuer: &provider.issuer,
            client_id: client.id(),
            trusted_audiences: &[],
            algorithms,
            nonce: Some(&self.flow.nonce()),
            max_token_age_seconds: MAX_TOKEN_AGE_SECONDS,
            max_authentication_age_seconds: options.max_authentication_age_seconds,
            acr_values: &acr_values,
            email_trust: *email_trust,
            now_unix_seconds,
        };
        let subject = id_token::verify(token, keys, &expect)?;
        Ok(self.proven(subject, Some(self.flow.salt), now_unix_seconds))
    }

    /// Composes the request for the user-info document, at a provider without ID tokens.
    ///
    /// # Errors
    ///
    /// [`ProveError::WrongProof`].
    pub fn user_info_request(
        &self,
        response: &TokenResponse,
    ) -> Result<UserInfoRequest, ProveError> {
        match &self.flow.provider.proof {
            Proof::UserInfo { endpoint, .. } => Ok(UserInfoRequest {
                url: endpoint.clone(),
                authorization: response.bearer(),
            }),
            Proof::IdToken { .. } => Err(ProveError::WrongProof),
        }
    }

    /// Ends a sign-in with the answer to [`AuthorizationGrant::user_info_request`].
    ///
    /// # Errors
    ///
    /// [`ProveError`].
    ///
    /// # Security
    ///
    /// Nothing in the document is signed: it has to be the body of a successful answer to that
    /// request, over TLS that the caller verified.
    pub fn prove_by_user_info(
        &self,
        body: &[u8],
        now_unix_seconds: u64,
    ) -> Result<ProvenIdentity, ProveError> {
        let Flow {
            provider, client, ..
        } = &self.flow;
        let Proof::UserInfo { form, .. } = &provider.proof else {
            return Err(ProveError::WrongProof);
        };
        let (subject, email) = read_user_info(*form, body).ok_or(ProveError::UserInfo)?;
        let subject = ProvenSubject {
            issuer: provider.issuer.clone(),
            audience: client.id().to_owned(),
            subject,
            email,
            issued_at_unix_seconds: now_unix_seconds,
            expires_at_unix_seconds: now_unix_seconds,
            authenticated_at_unix_seconds: None,
            acr: None,
        };
        Ok(self.proven(subject, None, now_unix_seconds))
    }

    fn proven(&self, subject: ProvenSubject, salt: Option<NonceSalt>, now: u64) -> ProvenIdentity {
        ProvenIdentity {
            project: self.flow.project.clone(),
            device: self.flow.device,
            subject,
            salt,
            proven_at_unix_seconds: now,
        }
    }
}

/// An identity that somebody proved for a project with a device, just now: the end of a sign-in,
/// which nothing else makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenIdentity {
    pub(super) project: String,
    pub(super) device: Thumbprint,
    pub(super) subject: ProvenSubject,
    pub(super) salt: Option<NonceSalt>,
    pub(super) proven_at_unix_seconds: u64,
}

impl ProvenIdentity {
    /// Returns the project that the proof is for.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the thumbprint of the device that the proof is for.
    pub fn device(&self) -> &Thumbprint {
        &self.device
    }

    /// Returns who it is.
    pub fn subject(&self) -> &ProvenSubject {
        &self.subject
    }

    /// Returns the salt with which anybody can check that the ID token's nonce is this device's;
    /// none where no provider signed a nonce.
    pub fn nonce_salt(&self) -> Option<&NonceSalt> {
        self.salt.as_ref()
    }

    /// Returns when, in Unix seconds.
    pub fn proven_at_unix_seconds(&self) -> u64 {
        self.proven_at_unix_seconds
    }
}

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("issuer", &self.flow.provider.issuer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthorizationGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationGrant")
            .field("issuer", &self.flow.provider.issuer)
            .finish_non_exhaustive()
    }
}
