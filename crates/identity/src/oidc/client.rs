//! Who we are at a provider, and how we prove it at the token endpoint.
//!
//! RFC 6749 section 2.3, RFC 7523, OpenID Connect Core section 9.

use core::fmt;

use ::url::form_urlencoded;
use base64ct::Encoding as _;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_crypto::{Secret, SecretBytes, b64};
use p256::pkcs8::DecodePrivateKey as _;
use rand_core::CryptoRng;
use serde_json::{Value, json};

use super::url::HttpsUrl;

/// Most bytes of a client identifier.
pub const MAX_CLIENT_ID_LEN: usize = 256;
/// Most bytes of a client secret.
pub const MAX_CLIENT_SECRET_LEN: usize = 1_024;
/// Seconds for which a signed statement of a client is valid.
pub const ASSERTION_SECONDS: u64 = 60;
/// Seconds for which a client secret made for Apple is valid; Apple allows up to 15777000.
pub const APPLE_SECRET_SECONDS: u64 = 300;

const APPLE_AUDIENCE: &str = "https://appleid.apple.com";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MAX_PEM_LEN: usize = 4_096;

/// Says why a client could not be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Empty, too long, or with other characters than visible ASCII.
    #[error("the client identifier is malformed")]
    ClientId,
    /// Empty, too long, or with other characters than visible ASCII.
    #[error("the client secret is malformed")]
    Secret,
    /// Neither https, nor a loopback address, nor a private-use scheme with a dot.
    #[error("the redirect address is malformed")]
    Redirect,
    /// Not a PKCS#8 PEM of a P-256 key.
    #[error("not a PEM of a P-256 private key")]
    Key,
}

/// An app's registration at a provider: part of its project's configuration, never of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    id: String,
    redirect_uri: String,
}

impl Client {
    /// Makes a registration.
    ///
    /// The redirect address is sent as it stands: `https`, a private-use scheme such as
    /// `com.example.app:/callback`, or a loopback address for native apps.
    ///
    /// # Errors
    ///
    /// [`ClientError::ClientId`], [`ClientError::Redirect`].
    ///
    /// RFC 8252 section 7.
    pub fn new(id: &str, redirect_uri: &str) -> Result<Self, ClientError> {
        if !is_visible(id, MAX_CLIENT_ID_LEN) {
            return Err(ClientError::ClientId);
        }
        if !is_redirect(redirect_uri) {
            return Err(ClientError::Redirect);
        }
        Ok(Self {
            id: id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
        })
    }

    /// Returns the client identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the redirect address.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

fn is_visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_redirect(text: &str) -> bool {
    if HttpsUrl::is_https_or_loopback(text) {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(":/") else {
        return false;
    };
    let scheme_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-+".contains(&b);
    is_visible(text, super::url::MAX_URL_LEN)
        && !rest.contains('#')
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(scheme_byte)
        // A name that its owner controls, reversed: nobody else's app claims it by accident.
        && scheme.contains('.')
}

/// How a client proves itself. From the project's sealed secrets.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
pub enum ClientCredentials {
    /// Not at all: PKCE alone.
    Public,
    /// `client_secret_basic`: the secret in the `Authorization` header.
    SecretBasic(ClientSecret),
    /// `client_secret_post`: the secret in the body.
    SecretPost(ClientSecret),
    /// `private_key_jwt`: a statement signed with ES256 or EdDSA.
    PrivateKeyJwt {
        /// The key, which the provider knows the public half of.
        key: DeviceSigningKey,
        /// Its name there.
        kid: String,
    },
    /// Sign in with Apple: a client secret that is a statement, signed with ES256.
    Apple(AppleKey),
}

/// A client secret.
///
/// # Security
///
/// Wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub struct ClientSecret(SecretBytes);

impl ClientSecret {
    /// Takes a secret: visible ASCII, as RFC 6749 appendix A.2 has it, without blanks.
    ///
    /// # Errors
    ///
    /// [`ClientError::Secret`].
    pub fn new(secret: SecretBytes) -> Result<Self, ClientError> {
        let good = secret.expose(|bytes| {
            (1..=MAX_CLIENT_SECRET_LEN).contains(&bytes.len())
                && bytes.iter().all(u8::is_ascii_graphic)
        });
        good.then_some(Self(secret)).ok_or(ClientError::Secret)
    }

    fn expose<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        self.0
            .expose(|bytes| read(core::str::from_utf8(bytes).unwrap_or_default()))
    }
}

/// A key for Sign in with Apple, as its developer console gives it.
///
/// <https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret>
pub struct AppleKey {
    team_id: String,
    key_id: String,
    key: DeviceSigningKey,
}

impl AppleKey {
    /// Reads the `.p8` file of a key.
    ///
    /// # Errors
    ///
    /// [`ClientError::Key`], also for names that are empty or longer than 64 bytes.
    pub fn from_pem(team_id: &str, key_id: &str, pem: &SecretBytes) -> Result<Self, ClientError> {
        if !is_visible(team_id, 64) || !is_visible(key_id, 64) {
            return Err(ClientError::Key);
        }
        Ok(Self {
            team_id: team_id.to_owned(),
            key_id: key_id.to_owned(),
            key: signing_key_from_pem(pem)?,
        })
    }
}

/// Reads a P-256 private key in PEM (`BEGIN PRIVATE KEY`, PKCS#8).
///
/// # Errors
///
/// [`ClientError::Key`].
pub fn signing_key_from_pem(pem: &SecretBytes) -> Result<DeviceSigningKey, ClientError> {
    pem.expose(|bytes| {
        let text = core::str::from_utf8(bytes).ok()?;
        if text.len() > MAX_PEM_LEN {
            return None;
        }
        let key = p256::SecretKey::from_pkcs8_pem(text.trim_ascii()).ok()?;
        let scalar = zeroize::Zeroizing::new(key.to_bytes());
        let secret = Secret::from_slice(&scalar)?;
        keyfold_crypto::p256::SigningKey::from_secret(&secret).ok()
    })
    .map(DeviceSigningKey::P256)
    .ok_or(ClientError::Key)
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "ClientCredentials::Public",
            Self::SecretBasic(_) => "ClientCredentials::SecretBasic([redacted])",
            Self::SecretPost(_) => "ClientCredentials::SecretPost([redacted])",
            Self::PrivateKeyJwt { .. } => "ClientCredentials::PrivateKeyJwt([redacted])",
            Self::Apple(_) => "ClientCredentials::Apple([redacted])",
        })
    }
}

impl ClientCredentials {
    /// Adds the proof to a token request: returns the `Authorization` header, if it is one, or
    /// writes members into the body.
    pub(super) fn prove(
        &self,
        client_id: &str,
        issuer: &str,
        body: &mut form_urlencoded::Serializer<'_, String>,
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Option<SecretBytes> {
        match self {
            Self::SecretBasic(secret) => return Some(secret.expose(|s| basic(client_id, s))),
            Self::Public => {}
            Self::SecretPost(secret) => {
                secret.expose(|secret| body.append_pair("client_secret", secret));
            }
            Self::PrivateKeyJwt { key, kid } => {
                let mut jti = [0; 16];
                rng.fill_bytes(&mut jti);
                // The issuer alone as audience: a statement that names an endpoint can be passed
                // on by a provider that gives another's endpoint as its own.
                let claims = json!({
                    "iss": client_id, "sub": client_id, "aud": issuer,
                    "iat": now_unix_seconds,
                    "exp": now_unix_seconds.saturating_add(ASSERTION_SECONDS),
                    "jti": b64::encode(&jti),
                });
                body.append_pair("client_assertion_type", ASSERTION_TYPE);
                body.append_pair("client_assertion", &signed(key, kid, &claims));
            }
            Self::Apple(apple) => {
                let claims = json!({
                    "iss": apple.team_id, "sub": client_id, "aud": APPLE_AUDIENCE,
                    "iat": now_unix_seconds,
                    "exp": now_unix_seconds.saturating_add(APPLE_SECRET_SECONDS),
                });
                let secret = signed(&apple.key, &apple.key_id, &claims);
                body.append_pair("client_secret", &secret);
            }
        }
        body.append_pair("client_id", client_id);
        None
    }
}

/// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
fn basic(client_id: &str, secret: &str) -> SecretBytes {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let joined = zeroize::Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret)));
    let encoded = zeroize::Zeroizing::new(base64ct::Base64::encode_string(joined.as_bytes()));
    SecretBytes::from_vec(format!("Basic {}", *encoded).into_bytes())
}

fn signed(key: &DeviceSigningKey, kid: &str, claims: &Value) -> String {
    let alg = match key {
        DeviceSigningKey::P256(_) => "ES256",
        DeviceSigningKey::Ed25519(_) => "EdDSA",
    };
    let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
    let message = format!(
        "{}.{}",
        b64::encode(header.to_string().as_bytes()),
        b64::encode(claims.to_string().as_bytes())
    );
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", b64::encode(&signature))
}

#[cfg(test)]
mod tests;
