//! npm's `oidc-provider` over TLS on loopback, which can be told to misbehave.

use std::collections::BTreeMap;
use std::io;

use futures_util::future::BoxFuture;
use http::uri::Authority as UriAuthority;
use keyfold_net::Connector;
use keyfold_net::client::BoxIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Authority, CounterpartError, Program};

/// Whose addresses and habits a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// OpenID Connect as the standard has it, to be found by discovery.
    OpenId,
    /// Google: ID tokens, at three hosts.
    Google,
    /// Apple: ID tokens; the callback is a form, the client's secret a statement, judged by `jose`.
    Apple,
    /// X: an access token, and an address that says whose it is.
    X,
    /// Discord: the same.
    Discord,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Google => "google",
            Self::Apple => "apple",
            Self::X => "x",
            Self::Discord => "discord",
        }
    }

    /// Returns the issuer and the hosts besides the issuer's that requests go to, where the shape is
    /// a known company's.
    pub const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::OpenId => &[],
            Self::Google => &[
                "accounts.google.com",
                "oauth2.googleapis.com",
                "www.googleapis.com",
            ],
            Self::Apple => &["appleid.apple.com"],
            Self::X => &["x.com", "api.x.com"],
            Self::Discord => &["discord.com"],
        }
    }
}

/// What a provider sent a browser back to an app with.
#[derive(Debug, Clone, Deserialize)]
pub struct Callback {
    /// The address that was called.
    pub url: String,
    /// The query, or the form that was posted.
    pub callback: String,
}

/// A running provider.
#[derive(Debug)]
pub struct OpenIdProvider {
    program: Program,
    port: u16,
    hosts: Vec<String>,
    root_pem: String,
}

#[derive(Deserialize)]
struct Started {
    port: u16,
}

impl OpenIdProvider {
    /// Starts a provider for an issuer, an `https` address without a port.
    ///
    /// `clients` are the metadata of OpenID Connect Dynamic Client Registration section 2. `apple` is
    /// `{team_id, key_id, public_key}`, of whoever signs client secrets.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn start(
        authority: &Authority,
        issuer: &str,
        shape: Shape,
        clients: &[Value],
        apple: Option<Value>,
    ) -> Result<Self, CounterpartError> {
        let mut hosts: Vec<String> = shape.hosts().iter().map(|&host| host.to_owned()).collect();
        let own = issuer.trim_start_matches("https://");
        let own = own.split('/').next().unwrap_or_default().to_owned();
        if !hosts.contains(&own) {
            hosts.push(own);
        }
        let certified = authority.certify(hosts.clone())?;
        let program = Program::start("oidc-provider.mjs").await?;
        let question = json!({
            "issuer": issuer,
            "shape": shape.name(),
            "clients": clients,
            "apple": apple,
            "cert": certified.certificate_pem,
            "key": certified.key_pem,
        });
        let Started { port } = program.ask("start", question).await?;
        Ok(Self {
            program,
            port,
            hosts,
            root_pem: authority.root_pem(),
        })
    }

    /// Returns its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the names that it answers to, each at port 443 in its addresses.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Says who signs in from now on: `{sub, email?, email_verified?, hd?}`. Without `sub`, whoever
    /// is asked says no.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn person(&self, person: Value) -> Result<(), CounterpartError> {
        self.program.ask("person", person).await
    }

    /// Says what it does wrong from now on; nothing says that it behaves.
    ///
    /// The names stand in `tools/counterparts/misbehaviour.mjs`; one that is not there is refused.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn misbehave(&self, faults: &[&str]) -> Result<(), CounterpartError> {
        let question = json!({ "faults": faults });
        self.program.ask("misbehave", question).await
    }

    /// Replaces its keys: the old ones are published no more.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn rotate(&self) -> Result<(), CounterpartError> {
        self.program.ask("rotate", json!({})).await
    }

    /// Returns how often each of its routes was asked since the last time: `discovery`, `jwks`,
    /// `token`, `authorization`, `userinfo`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn seen(&self) -> Result<BTreeMap<String, u64>, CounterpartError> {
        self.program.ask("seen", json!({})).await
    }

    /// Returns every token that it has given out: ID tokens, access tokens.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn given(&self) -> Result<Vec<String>, CounterpartError> {
        self.program.ask("given", json!({})).await
    }

    /// Does a browser's part: from the authorization address to the app's callback.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] where the provider shows an error instead.
    pub async fn browse(&self, authorization_url: &str) -> Result<Callback, CounterpartError> {
        let question = json!({ "url": authorization_url, "trust": self.root_pem });
        self.program.ask("browse", question).await
    }

    /// Ends it.
    pub async fn stop(self) {
        self.program.stop().await;
    }
}

/// Connects to counterparts by their names, and to nothing else.
#[derive(Debug, Clone, Default)]
pub struct Loopback(BTreeMap<String, u16>);

impl Loopback {
    /// Adds a provider's names.
    #[must_use]
    pub fn with(mut self, provider: &OpenIdProvider) -> Self {
        let names = provider.hosts.iter().cloned();
        self.0.extend(names.map(|name| (name, provider.port)));
        self
    }
}

impl Connector for Loopback {
    fn connect<'a>(&'a self, authority: &'a UriAuthority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let port = self.0.get(authority.host()).copied();
            let port = port
                .filter(|_| matches!(authority.port_u16(), None | Some(443)))
                .ok_or(io::ErrorKind::PermissionDenied)?;
            Ok(Box::new(TcpStream::connect(("127.0.0.1", port)).await?) as BoxIo)
        })
    }
}
