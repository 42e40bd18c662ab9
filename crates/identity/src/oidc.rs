//! Sign-in with other people's accounts: OAuth 2.0 and OpenID Connect.
//!
//! Pure: whoever calls fetches, keeps time and draws randomness; here requests are composed and
//! answers judged. What has to be verified first cannot be reached before it is: a signed text has
//! no claims, only [`jws::VerifiedPayload`] has; a subject comes out of a verification and from
//! nowhere else.
//!
//! | Module | Holds |
//! |---|---|
//! | [`json`] | JSON with bounds, in which nothing is said twice |
//! | [`url`] | addresses of providers: https, a host name, nothing hidden |
//! | [`keys`] | the public keys of an issuer: JWKS or PEM |
//! | [`jws`] | compact signatures |
//! | [`binding`] | nonces that bind a token to a device |
//! | [`id_token`] | ID tokens |
//! | [`subject`] | who was proven |
//! | [`discovery`] | what a provider says of itself |
//! | [`provider`] | Google, Apple, X, Discord, and any by discovery |
//! | [`client`] | who we are there, and how we prove it |
//! | [`pkce`] | the secret behind a code |
//! | [`authorization`] | the authorization code flow |
//! | [`token`] | what a token endpoint answers |
//! | [`waiting`] | sign-ins that wait for their callback |
//! | [`custom`] | an app's own issuer |
//! | [`commitment`] | tokens that are committed to before they are shown |
//!
//! Everything from outside is bounded in size and depth before it is parsed. Secrets (codes,
//! verifiers, client secrets, tokens) are wiped on drop and printed by nothing.

pub mod authorization;
pub mod binding;
pub mod client;
pub mod commitment;
pub mod custom;
pub mod discovery;
pub mod id_token;
pub mod json;
pub mod jws;
pub mod keys;
pub mod pkce;
pub mod provider;
pub mod subject;
#[cfg(test)]
pub(crate) mod testing;
pub mod token;
pub mod url;
pub mod waiting;
