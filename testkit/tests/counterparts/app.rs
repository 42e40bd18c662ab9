//! An app whose users sign in at a provider: each step that the enclave will do, over real HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::oidc::authorization::{
    AuthorizationGrant, AuthorizationOptions, CallbackError, FORM_CONTENT_TYPE,
    PendingAuthorization, ProveError, ProvenIdentity, TokenRequest,
};
use keyfold_identity::oidc::client::{Client, ClientCredentials, ClientSecret};
use keyfold_identity::oidc::discovery::{DiscoveryError, ProviderMetadata};
use keyfold_identity::oidc::id_token::IdTokenError;
use keyfold_identity::oidc::jws::JwsError;
use keyfold_identity::oidc::keys::{KeyError, KeySet};
use keyfold_identity::oidc::provider::Provider;
use keyfold_identity::oidc::subject::EmailTrust;
use keyfold_identity::oidc::token::{TokenResponse, TokenResponseError};
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_net::client::TlsConnector;
use keyfold_net::tls::client_config_with_roots;
use keyfold_net::{ClientError, ClientLimits, HttpClient};
use keyfold_testkit::counterparts::{Authority, CounterpartError, Loopback, OpenIdProvider};

use crate::{now, rng};

pub(crate) const PROJECT: &str = "app.example";
pub(crate) const DEVICE: Thumbprint = Thumbprint([7; 32]);
pub(crate) const REDIRECT: &str = "https://app.example.test/callback";
/// Most bytes that are read of any answer.
const MAX_BYTES: usize = 64 * 1024;

/// Where a sign-in ended that did not end in a proof.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Discovery(DiscoveryError),
    Callback(CallbackError),
    Token(TokenResponseError),
    Keys(KeyError),
    Prove(ProveError),
    /// An answer that is none.
    Status(StatusCode),
    TooLarge,
    TooSlow,
    /// The provider let the browser go no further.
    Browser,
}

impl From<IdTokenError> for Refusal {
    fn from(error: IdTokenError) -> Self {
        Self::Prove(error.into())
    }
}

impl From<JwsError> for Refusal {
    fn from(error: JwsError) -> Self {
        IdTokenError::from(error).into()
    }
}

/// An app's registration at one provider.
pub(crate) struct App {
    pub(crate) issuer: HttpsUrl,
    pub(crate) client: Client,
    pub(crate) credentials: ClientCredentials,
    pub(crate) options: AuthorizationOptions,
    http: HttpClient,
}

pub(crate) fn secret(text: &str) -> ClientSecret {
    ClientSecret::new(keyfold_crypto::SecretBytes::from_slice(text.as_bytes())).unwrap()
}

impl App {
    pub(crate) fn new(
        authority: &Authority,
        idp: &OpenIdProvider,
        issuer: &str,
        client_id: &str,
        credentials: ClientCredentials,
    ) -> Self {
        let tls = client_config_with_roots(authority.root_pem().as_bytes()).unwrap();
        let connector = TlsConnector::new(Loopback::default().with(idp), tls);
        Self {
            issuer: HttpsUrl::parse(issuer).unwrap(),
            client: Client::new(client_id, REDIRECT).unwrap(),
            credentials,
            options: AuthorizationOptions::default(),
            http: HttpClient::new(
                connector,
                ClientLimits {
                    max_response_bytes: MAX_BYTES,
                    ..ClientLimits::default()
                },
            ),
        }
    }

    /// Makes it wait for answers no longer than this.
    pub(crate) fn impatient(mut self, authority: &Authority, idp: &OpenIdProvider) -> Self {
        let tls = client_config_with_roots(authority.root_pem().as_bytes()).unwrap();
        let limits = ClientLimits {
            request_timeout: Duration::from_millis(500),
            max_response_bytes: MAX_BYTES,
            ..ClientLimits::default()
        };
        self.http = HttpClient::new(
            TlsConnector::new(Loopback::default().with(idp), tls),
            limits,
        );
        self
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<(u16, Bytes), Refusal> {
        match self.http.send(request.body(body.into()).unwrap()).await {
            Ok(answer) => Ok((answer.status().as_u16(), answer.into_body())),
            Err(ClientError::ResponseTooLarge { .. }) => Err(Refusal::TooLarge),
            Err(ClientError::Timeout { .. }) => Err(Refusal::TooSlow),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn fetch(&self, url: &HttpsUrl) -> Result<Bytes, Refusal> {
        let (status, body) = self.send(Request::get(url.as_str()), Vec::new()).await?;
        match StatusCode::from_u16(status).unwrap() {
            StatusCode::OK => Ok(body),
            other => Err(Refusal::Status(other)),
        }
    }

    pub(crate) async fn discover(&self) -> Result<Arc<Provider>, Refusal> {
        let document = self
            .fetch(&ProviderMetadata::location(&self.issuer).unwrap())
            .await?;
        let metadata =
            ProviderMetadata::from_document(&self.issuer, &document).map_err(Refusal::Discovery)?;
        Ok(Arc::new(Provider::discovered(
            metadata,
            EmailTrust::Claimed,
        )))
    }

    pub(crate) async fn keys(&self, provider: &Provider) -> Result<KeySet, Refusal> {
        let document = self.fetch(provider.jwks_uri().unwrap()).await?;
        KeySet::from_jwks(&document).map_err(Refusal::Keys)
    }

    pub(crate) fn begin(&self, provider: &Arc<Provider>) -> (PendingAuthorization, String) {
        PendingAuthorization::begin(
            Arc::clone(provider),
            self.client.clone(),
            self.options.clone(),
            PROJECT,
            DEVICE,
            now(),
            &mut rng(),
        )
    }

    /// Begins a sign-in and lets the browser come back.
    pub(crate) async fn authorize(
        &self,
        idp: &OpenIdProvider,
        provider: &Arc<Provider>,
    ) -> Result<(PendingAuthorization, String), Refusal> {
        let (pending, url) = self.begin(provider);
        let called = match idp.browse(&url).await {
            Ok(called) => called,
            Err(CounterpartError::Refused { .. }) => return Err(Refusal::Browser),
            Err(error) => panic!("{error}"),
        };
        assert!(called.url.starts_with(REDIRECT), "{}", called.url);
        Ok((pending, called.callback))
    }

    pub(crate) async fn grant(
        &self,
        idp: &OpenIdProvider,
        provider: &Arc<Provider>,
    ) -> Result<AuthorizationGrant, Refusal> {
        let (pending, callback) = self.authorize(idp, provider).await?;
        let accepted = pending.accept(PROJECT, &DEVICE, &callback, now());
        accepted.map_err(Refusal::Callback)
    }

    pub(crate) async fn redeem(
        &self,
        grant: &AuthorizationGrant,
    ) -> Result<TokenResponse, Refusal> {
        self.post(grant.token_request(&self.credentials, now(), &mut rng()))
            .await
    }

    async fn post(&self, asked: TokenRequest) -> Result<TokenResponse, Refusal> {
        let mut request = Request::post(asked.url.as_str())
            .header("content-type", FORM_CONTENT_TYPE)
            .header("accept", "application/json");
        if let Some(header) = asked.authorization {
            request = request.header("authorization", header.expose(<[u8]>::to_vec));
        }
        let (status, body) = self
            .send(request, asked.body.expose(<[u8]>::to_vec))
            .await?;
        TokenResponse::parse(status, &body).map_err(Refusal::Token)
    }

    /// Ends a sign-in at a provider without ID tokens.
    pub(crate) async fn user_info(
        &self,
        grant: &AuthorizationGrant,
        response: &TokenResponse,
    ) -> Result<ProvenIdentity, Refusal> {
        let asked = grant.user_info_request(response).map_err(Refusal::Prove)?;
        let header = asked.authorization.expose(<[u8]>::to_vec);
        let request = Request::get(asked.url.as_str()).header("authorization", header);
        let (status, body) = self.send(request, Vec::new()).await?;
        if status != 200 {
            return Err(Refusal::Status(StatusCode::from_u16(status).unwrap()));
        }
        grant
            .prove_by_user_info(&body, now())
            .map_err(Refusal::Prove)
    }

    /// Ends a sign-in with keys that were fetched before; fetches them again, once, if need be.
    pub(crate) async fn prove(
        &self,
        grant: &AuthorizationGrant,
        response: &TokenResponse,
        keys: &KeySet,
    ) -> Result<ProvenIdentity, Refusal> {
        let again = ProveError::IdToken(IdTokenError::Signature(JwsError::UnknownKey));
        match grant.prove_by_id_token(response, keys, now()) {
            Err(error) if error == again => {
                let fetched = self.keys(grant.provider()).await?;
                grant
                    .prove_by_id_token(response, &fetched, now())
                    .map_err(Refusal::Prove)
            }
            other => other.map_err(Refusal::Prove),
        }
    }

    /// A sign-in from its beginning to its end, with nothing known before.
    pub(crate) async fn sign_in(&self, idp: &OpenIdProvider) -> Result<ProvenIdentity, Refusal> {
        let provider = self.discover().await?;
        let grant = self.grant(idp, &provider).await?;
        let response = self.redeem(&grant).await?;
        let keys = self.keys(&provider).await?;
        self.prove(&grant, &response, &keys).await
    }
}
