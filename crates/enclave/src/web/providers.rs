//! What OpenID providers publish: discovery documents and keys.

use core::time::Duration;
use std::sync::Arc;

use keyfold_crypto::Encoder;
use keyfold_crypto::hash::sha256;
use keyfold_identity::oidc::discovery::{MAX_METADATA_LEN, ProviderMetadata};
use keyfold_identity::oidc::keys::{KeySet, MAX_JWKS_LEN};
use keyfold_identity::oidc::url::HttpsUrl;

use crate::platform::Platform;
use crate::web::kept::{Keeping, Kept, Key};
use crate::web::{Roots, WebError, get};

/// How long a failure is remembered, and how far apart keys are fetched again because a token names
/// one that is not among them.
const PAUSE: Duration = Duration::from_secs(30);
const METADATA: Keeping = Keeping {
    most: 256,
    fresh: Duration::from_secs(3_600),
    failed: PAUSE,
    between_refreshes: PAUSE,
};
/// A key that its issuer withdrew counts for so long.
const KEYS: Keeping = Keeping {
    most: 512,
    fresh: Duration::from_secs(900),
    failed: PAUSE,
    between_refreshes: PAUSE,
};

/// What OpenID providers publish, fetched once for all who ask.
///
/// | | Discovery documents | Key sets |
/// |---|---|---|
/// | kept | 256 | 512 |
/// | for | an hour | 15 minutes |
/// | bytes of one | 64 KiB | 64 KiB |
/// | a failure is the answer for | 30 s | 30 s |
/// | fetched again for an unknown key | | every 30 s |
///
/// Callers that ask for the same at the same time share one request.
///
/// # Security
///
/// What was fetched under some roots is given to nobody who trusts others: a project that names its
/// own roots chooses what it is told itself, and for nobody else. Addresses are of a project's
/// settings or of a document that they lead to; no user chooses one.
pub struct Providers {
    metadata: Kept<ProviderMetadata>,
    keys: Kept<KeySet>,
}

impl Providers {
    /// Makes an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            metadata: Kept::new(METADATA),
            keys: Kept::new(KEYS),
        }
    }

    /// Returns what an issuer says of itself, at most an hour old.
    ///
    /// # Errors
    ///
    /// [`WebError`], also one that somebody else met within the last 30 seconds.
    pub async fn metadata(
        &self,
        platform: &impl Platform,
        issuer: &HttpsUrl,
        roots: Roots<'_>,
    ) -> Result<Arc<ProviderMetadata>, WebError> {
        let fetch = async {
            let url = ProviderMetadata::location(issuer)?;
            let document = get(platform, &url, roots, MAX_METADATA_LEN).await?;
            Ok(ProviderMetadata::from_document(issuer, &document)?)
        };
        let key = key(issuer, roots);
        self.metadata.get(platform, key, fetch).await
    }

    /// Returns the keys at an address, at most 15 minutes old.
    ///
    /// # Errors
    ///
    /// As [`Providers::metadata`].
    pub async fn keys(
        &self,
        platform: &impl Platform,
        jwks_uri: &HttpsUrl,
        roots: Roots<'_>,
    ) -> Result<Arc<KeySet>, WebError> {
        let fetch = fetch_keys(platform, jwks_uri, roots);
        let key = key(jwks_uri, roots);
        self.keys.get(platform, key, fetch).await
    }

    /// Returns the keys at an address to somebody whose token names none of `wanting`: the issuer
    /// may have changed them.
    ///
    /// Fetches at most once in 30 seconds, however many such tokens there are; until then the same
    /// keys come again, and the token is refused. Ask once.
    ///
    /// # Errors
    ///
    /// As [`Providers::metadata`].
    pub async fn fresh_keys(
        &self,
        platform: &impl Platform,
        jwks_uri: &HttpsUrl,
        roots: Roots<'_>,
        wanting: &Arc<KeySet>,
    ) -> Result<Arc<KeySet>, WebError> {
        let fetch = fetch_keys(platform, jwks_uri, roots);
        let key = key(jwks_uri, roots);
        self.keys.refresh(platform, key, wanting, fetch).await
    }
}

impl Default for Providers {
    fn default() -> Self {
        Self::new()
    }
}

async fn fetch_keys(
    platform: &impl Platform,
    jwks_uri: &HttpsUrl,
    roots: Roots<'_>,
) -> Result<KeySet, WebError> {
    let document = get(platform, jwks_uri, roots, MAX_JWKS_LEN).await?;
    Ok(KeySet::from_jwks(&document)?)
}

fn key(url: &HttpsUrl, roots: Roots<'_>) -> Key {
    let mut encoder = Encoder::new("keyfold/web-document/v1");
    encoder
        .str(url.as_str())
        .opt_bytes(roots.map(|pem| pem.as_bytes()));
    sha256(&encoder.finish())
}
