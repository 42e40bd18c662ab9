//! What a provider says of itself.
//!
//! OpenID Connect Discovery 1.0, RFC 8414, RFC 9207 section 3.

use serde::Deserialize;

use super::json::{self, JsonError};
use super::keys::Algorithm;
use super::url::{HttpsUrl, UrlError};

/// Most bytes of a discovery document.
pub const MAX_METADATA_LEN: usize = 64 * 1024;

/// Says why a provider cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not a discovery document, or larger than [`MAX_METADATA_LEN`].
    #[error(transparent)]
    Document(#[from] JsonError),
    /// The document is another issuer's.
    #[error("the document is of another issuer")]
    WrongIssuer,
    /// An endpoint is not an address that is called.
    #[error("an endpoint of the provider is unusable: {0}")]
    Endpoint(UrlError),
    /// No authorization code flow.
    #[error("the provider does not offer the authorization code flow")]
    NoCodeFlow,
    /// No PKCE with S256, or the document does not say so.
    #[error("the provider does not offer PKCE with S256")]
    NoPkce,
    /// None of our algorithms.
    #[error("the provider signs with no algorithm that is allowed")]
    NoAlgorithm,
}

/// How a client proves itself at a token endpoint, as far as a document names ways we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// The secret in the `Authorization` header.
    SecretBasic,
    /// The secret in the body.
    SecretPost,
    /// A signed statement in the body.
    PrivateKeyJwt,
    /// Not at all: PKCE alone.
    None,
}

impl ClientAuthMethod {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "client_secret_basic" => Some(Self::SecretBasic),
            "client_secret_post" => Some(Self::SecretPost),
            "private_key_jwt" => Some(Self::PrivateKeyJwt),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// A provider's description of itself, checked: only [`ProviderMetadata::from_document`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    pub(super) issuer: HttpsUrl,
    pub(super) authorization_endpoint: HttpsUrl,
    pub(super) token_endpoint: HttpsUrl,
    pub(super) jwks_uri: HttpsUrl,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) auth_methods: Vec<ClientAuthMethod>,
    pub(super) callback_names_issuer: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    response_types_supported: Vec<String>,
    grant_types_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Returns where the document of an issuer is.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::Endpoint`] for an issuer with a query, or too long for one.
    pub fn location(issuer: &HttpsUrl) -> Result<HttpsUrl, DiscoveryError> {
        issuer
            .join_path("/.well-known/openid-configuration")
            .map_err(DiscoveryError::Endpoint)
    }

    /// Reads the document that was fetched from [`ProviderMetadata::location`].
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`].
    ///
    /// # Security
    ///
    /// For untrusted bytes; bounded. The endpoints may be at other hosts than the issuer, as they
    /// are at Google: whoever connects keeps a list of hosts.
    pub fn from_document(issuer: &HttpsUrl, document: &[u8]) -> Result<Self, DiscoveryError> {
        let document: Document = json::from_slice(document, MAX_METADATA_LEN)?;
        if document.issuer != issuer.as_str() {
            return Err(DiscoveryError::WrongIssuer);
        }
        let endpoint = |text: &str| issuer.parse_named(text).map_err(DiscoveryError::Endpoint);
        let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name);
        if !has(&document.response_types_supported, "code")
            || document
                .grant_types_supported
                .is_some_and(|grants| !has(&grants, "authorization_code"))
        {
            return Err(DiscoveryError::NoCodeFlow);
        }
        if !document
            .code_challenge_methods_supported
            .is_some_and(|methods| has(&methods, "S256"))
        {
            return Err(DiscoveryError::NoPkce);
        }
        let algorithms: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|ours| has(&document.id_token_signing_alg_values_supported, ours.name()))
            .collect();
        if algorithms.is_empty() {
            return Err(DiscoveryError::NoAlgorithm);
        }
        // Discovery section 3: what holds if the member is omitted.
        let auth_methods = document.token_endpoint_auth_methods_supported.map_or_else(
            || vec![ClientAuthMethod::SecretBasic],
            |names| {
                let known = names.iter().take(16);
                known
                    .filter_map(|name| ClientAuthMethod::from_name(name))
                    .collect()
            },
        );
        Ok(Self {
            issuer: issuer.clone(),
            authorization_endpoint: endpoint(&document.authorization_endpoint)?,
            token_endpoint: endpoint(&document.token_endpoint)?,
            jwks_uri: endpoint(&document.jwks_uri)?,
            algorithms,
            auth_methods,
            callback_names_issuer: document.authorization_response_iss_parameter_supported,
        })
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &HttpsUrl {
        &self.issuer
    }

    /// Returns where its keys are.
    pub fn jwks_uri(&self) -> &HttpsUrl {
        &self.jwks_uri
    }

    /// Returns the ways in which a client may prove itself, of those that we know.
    pub fn auth_methods(&self) -> &[ClientAuthMethod] {
        &self.auth_methods
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn issuer() -> HttpsUrl {
        HttpsUrl::parse("https://login.example").unwrap()
    }

    fn document() -> Value {
        json!({
            "issuer": "https://login.example",
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://api.login.example/token",
            "jwks_uri": "https://keys.example/jwks",
            "response_types_supported": ["code", "code id_token"],
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256", "PS256"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "subject_types_supported": ["public"],
            "claims_supported": ["sub"],
        })
    }

    fn with(member: &str, value: Value) -> Result<ProviderMetadata, DiscoveryError> {
        let mut document = document();
        if value.is_null() {
            document.as_object_mut().unwrap().remove(member);
        } else {
            document[member] = value;
        }
        ProviderMetadata::from_document(&issuer(), document.to_string().as_bytes())
    }

    #[test]
    fn a_document_gives_endpoints_and_the_algorithms_that_both_know() {
        let metadata = with("x", json!(1)).unwrap();
        assert_eq!(metadata.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
        assert_eq!(metadata.token_endpoint.host(), "api.login.example");
        assert_eq!(metadata.auth_methods(), [ClientAuthMethod::SecretBasic]);
        assert!(!metadata.callback_names_issuer);
        assert_eq!(
            ProviderMetadata::location(&issuer()).unwrap().as_str(),
            "https://login.example/.well-known/openid-configuration"
        );
        let methods = json!(["none", "private_key_jwt", "tls_client_auth"]);
        assert_eq!(
            with("token_endpoint_auth_methods_supported", methods)
                .unwrap()
                .auth_methods(),
            [ClientAuthMethod::None, ClientAuthMethod::PrivateKeyJwt]
        );
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        for other in [
            "https://login.example/",
            "https://evil.example",
            "http://login.example",
        ] {
            assert_eq!(
                with("issuer", json!(other)),
                Err(DiscoveryError::WrongIssuer)
            );
        }
    }

    #[test]
    fn endpoints_inside_or_in_the_clear_are_refused() {
        for member in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for (text, error) in [
                ("http://login.example/x", UrlError::NotHttps),
                ("https://169.254.169.254/latest", UrlError::BadHost),
                ("https://localhost/x", UrlError::BadHost),
                ("https://a:b@login.example/x", UrlError::Malformed),
                ("https://login.example/x#y", UrlError::Malformed),
                ("/relative", UrlError::Malformed),
            ] {
                assert_eq!(
                    with(member, json!(text)),
                    Err(DiscoveryError::Endpoint(error))
                );
            }
            let missing = DiscoveryError::Document(JsonError::Malformed);
            assert_eq!(with(member, json!(null)), Err(missing));
        }
    }

    #[test]
    fn a_provider_without_what_protects_the_code_is_refused() {
        for methods in [json!(null), json!([]), json!(["plain"]), json!(["s256"])] {
            let result = with("code_challenge_methods_supported", methods);
            assert_eq!(result, Err(DiscoveryError::NoPkce));
        }
        let implicit = json!(["id_token", "code id_token"]);
        assert_eq!(
            with("response_types_supported", implicit),
            Err(DiscoveryError::NoCodeFlow)
        );
        let grants = json!(["implicit"]);
        assert_eq!(
            with("grant_types_supported", grants),
            Err(DiscoveryError::NoCodeFlow)
        );
        for algorithms in [json!([]), json!(["none", "HS256", "PS256", "RS512"])] {
            let result = with("id_token_signing_alg_values_supported", algorithms);
            assert_eq!(result, Err(DiscoveryError::NoAlgorithm));
        }
    }

    #[test]
    fn documents_are_bounded_and_say_nothing_twice() {
        let huge = json!("x".repeat(MAX_METADATA_LEN));
        let too_large = DiscoveryError::Document(JsonError::TooLarge);
        assert_eq!(with("pad", huge), Err(too_large));
        let twice =
            document()
                .to_string()
                .replacen('{', "{\"issuer\":\"https://evil.example\",", 1);
        assert_eq!(
            ProviderMetadata::from_document(&issuer(), twice.as_bytes()),
            Err(DiscoveryError::Document(JsonError::Malformed))
        );
    }
}
