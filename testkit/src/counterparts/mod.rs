//! What sign-in meets that is not ours: an OpenID provider, wallets, a browser with passkeys, and
//! judges of what we sign.
//!
//! Each is a program of `tools/counterparts`, started by the test that wants it, and ends with it.
//!
//! ```no_run
//! # async fn test() -> Result<(), keyfold_testkit::counterparts::CounterpartError> {
//! use keyfold_testkit::counterparts::{Authority, OpenIdProvider, Shape};
//! use serde_json::json;
//!
//! let authority = Authority::new()?;
//! let client = json!({"client_id": "app", "client_secret": "secret",
//!     "redirect_uris": ["https://app.example.test/callback"]});
//! let provider =
//!     OpenIdProvider::start(&authority, "https://idp.example.test", Shape::OpenId, &[client], None)
//!         .await?;
//! provider.person(json!({"sub": "248289761001"})).await?;
//! provider.misbehave(&["token-issuer"]).await?;
//! // ... `idp.example.test:443` is 127.0.0.1 and `provider.port()`, trusted by `authority.root_pem()` ...
//! provider.stop().await;
//! # Ok(())
//! # }
//! ```

mod authority;
mod passkeys;
mod program;
mod provider;
mod wallets;
mod web;

pub use authority::Authority;
pub use passkeys::{Authenticator, Browser, Created, Got};
pub use program::{CounterpartError, Program};
pub use provider::{Callback, Loopback, OpenIdProvider, Shape};
pub use wallets::{SignedMessage, Wallets};
pub use web::{Posted, WebServer};
