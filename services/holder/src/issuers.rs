//! Issuers of ID tokens that this holder's operator trusts, and their keys, which it fetches itself.
//!
//! | | |
//! |---|---|
//! | Which | those in the configuration; none by default |
//! | Where | one `https` address each, TLS 1.3, no redirects, 64 KiB, five seconds |
//! | How often | once an hour; for a key that is unknown, or after a failure, once in 30 seconds |
//! | How long | an hour; keys that could not be fetched again by then count no more |
//!
//! Never on the way of a signature: only a sign-in or a link that shows a token comes here.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::uri::Authority;
use http::{Request, StatusCode};
use keyfold_crypto::Secret;
use keyfold_identity::oidc::binding::{Nonce, NonceSalt};
use keyfold_identity::oidc::id_token::{self, IdTokenError, IdTokenExpectation};
use keyfold_identity::oidc::jws::JwsError;
use keyfold_identity::oidc::keys::{Algorithm, KeySet, MAX_JWKS_LEN};
use keyfold_identity::oidc::subject::{EmailTrust, ProvenSubject};
use keyfold_net::client::{BoxIo, Connector, TcpConnector, TlsConnector};
use keyfold_net::tls::{TlsError, client_config_public, client_config_with_roots};
use keyfold_net::{ClientLimits, HttpClient};
use keyfold_protocol::evidence::ShownIdToken;

use crate::config::IssuerConfig;
use crate::core::evidence::{MAX_TOKEN_AGE, Occasion, VerifiedToken, VouchRefusal};

/// Seconds after which keys are fetched again, and without which they count no more.
const KEYS_LIFE: u64 = 3_600;
/// Seconds between two attempts to fetch the keys of one issuer.
const BETWEEN_FETCHES: u64 = 30;

/// Why the trusted issuers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuersError {
    /// A file of certificates cannot be read.
    #[error("cannot read the roots of an issuer: {path}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of certificates has none.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address of the keys is none.
    #[error("the address of an issuer's keys cannot be used: {0}")]
    Address(String),
}

/// The issuers of one holder.
pub(crate) struct Issuers(Vec<Issuer>);

struct Issuer {
    issuer: String,
    address: http::Uri,
    client: HttpClient,
    algorithms: Vec<Algorithm>,
    kept: RwLock<Option<(Arc<KeySet>, u64)>>,
    /// When somebody fetched last, well or not. Held while they do, so that one does for all.
    asked: tokio::sync::Mutex<Option<u64>>,
}

impl Issuers {
    pub(crate) fn new(configs: &[IssuerConfig]) -> Result<Self, IssuersError> {
        configs
            .iter()
            .map(Issuer::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Verifies that a token is about whoever asked for it on this very device, just now.
    ///
    /// `key` is what subjects are hashed under.
    pub(crate) async fn verify(
        &self,
        shown: &ShownIdToken,
        key: &Secret<32>,
        at: &Occasion<'_>,
    ) -> Result<VerifiedToken, VouchRefusal> {
        let mut trusted = self.0.iter();
        let issuer = trusted
            .find(|issuer| issuer.issuer == shown.issuer)
            .ok_or(VouchRefusal::IssuerUnknown)?;
        let salt = NonceSalt::from_bytes(shown.salt);
        let nonce = Nonce::for_device(at.project.as_str(), &at.device, &salt);
        let keys = issuer.keys(None, at.now).await?;
        let proven = match issuer.check(shown, &keys, &nonce, at.now) {
            Err(IdTokenError::Signature(JwsError::UnknownKey)) => {
                let newer = issuer.keys(Some(&keys), at.now).await?;
                issuer.check(shown, &newer, &nonce, at.now)
            }
            verdict => verdict,
        }?;
        Ok(VerifiedToken::new(shown, nonce.as_str(), &proven, key, at))
    }
}

impl Issuer {
    fn new(config: &IssuerConfig) -> Result<Self, IssuersError> {
        let tls = match &config.roots_pem {
            None => client_config_public()?,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|source| IssuersError::Roots {
                    path: path.clone(),
                    source,
                })?;
                client_config_with_roots(&pem)?
            }
        };
        let way = match &config.connect_to {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| IssuersError::Address(text.clone()))?,
            ),
        };
        let limits = ClientLimits {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            max_response_bytes: MAX_JWKS_LEN,
            max_idle: 0,
            ..ClientLimits::default()
        };
        let address = config.jwks_uri.parse();
        Ok(Self {
            issuer: config.issuer.clone(),
            address: address.map_err(|_| IssuersError::Address(config.jwks_uri.clone()))?,
            client: HttpClient::new(TlsConnector::new(Way(way), tls), limits),
            algorithms: config.algorithms(),
            kept: RwLock::new(None),
            asked: tokio::sync::Mutex::new(None),
        })
    }

    fn check(
        &self,
        shown: &ShownIdToken,
        keys: &KeySet,
        nonce: &Nonce,
        now: u64,
    ) -> Result<ProvenSubject, IdTokenError> {
        let expect = IdTokenExpectation {
            issuer: &self.issuer,
            client_id: &shown.client_id,
            trusted_audiences: &[],
            algorithms: &self.algorithms,
            nonce: Some(nonce),
            max_token_age_seconds: MAX_TOKEN_AGE,
            max_authentication_age_seconds: None,
            acr_values: &[],
            email_trust: EmailTrust::Never,
            now_unix_seconds: now,
        };
        id_token::verify(&shown.token, keys, &expect)
    }

    fn kept(&self, now: u64) -> Option<Arc<KeySet>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, fetched) = kept.as_ref()?;
        // A clock that was set back makes nothing young.
        let age = now.checked_sub(*fetched)?;
        (age < KEYS_LIFE).then(|| Arc::clone(keys))
    }

    /// Returns the keys; fetches them where they are too old, or are those that lack one.
    async fn keys(
        &self,
        lacking: Option<&Arc<KeySet>>,
        now: u64,
    ) -> Result<Arc<KeySet>, VouchRefusal> {
        let others = |keys: &Arc<KeySet>| lacking.is_none_or(|known| !Arc::ptr_eq(known, keys));
        if let Some(keys) = self.kept(now).filter(others) {
            return Ok(keys);
        }
        let mut asked = self.asked.lock().await;
        // Somebody else may have fetched them in the meantime.
        if let Some(keys) = self.kept(now).filter(others) {
            return Ok(keys);
        }
        let waited = asked.and_then(|asked| now.checked_sub(asked));
        if asked.is_some() && waited.is_some_and(|waited| waited < BETWEEN_FETCHES) {
            return Err(VouchRefusal::IssuerAway);
        }
        *asked = Some(now);
        let keys = Arc::new(self.fetch().await.map_err(|error| {
            tracing::warn!(issuer = self.issuer, %error, "an issuer's keys cannot be had");
            VouchRefusal::IssuerAway
        })?);
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&keys), now));
        Ok(keys)
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let request = Request::get(self.address.clone())
            .header(http::header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| "the request cannot be made")?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        // A redirect, too, is no document: nobody is sent elsewhere.
        if answer.status() != StatusCode::OK {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        KeySet::from_jwks(answer.body()).map_err(|error| error.to_string())
    }
}

/// To where the address says, or to one place that the operator named.
struct Way(Option<Authority>);

impl Connector for Way {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, std::io::Result<BoxIo>> {
        TcpConnector.connect(self.0.as_ref().unwrap_or(authority))
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.iter().map(|issuer| &issuer.issuer);
        f.debug_list().entries(names).finish()
    }
}
