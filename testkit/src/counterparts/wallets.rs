//! Wallets that sign in, and judges of what Keyfold signs.

use keyfold_crypto::b64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CounterpartError, Program};

/// Libraries that are not ours, with a key for each person.
#[derive(Debug)]
pub struct Wallets(Program);

/// A message and its signature.
#[derive(Debug, Clone, Deserialize)]
pub struct SignedMessage {
    /// The text, as the library composed it.
    pub message: String,
    /// The signature's bytes.
    #[serde(with = "b64::Bounded::<1024>")]
    pub signature: Vec<u8>,
}

impl SignedMessage {
    /// Returns the signature as base64url.
    pub fn signature_text(&self) -> String {
        b64::encode(&self.signature)
    }
}

impl Wallets {
    /// Starts them.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn start() -> Result<Self, CounterpartError> {
        Program::start("wallets.mjs").await.map(Self)
    }

    /// Returns a person's addresses: `{ethereum, solana}`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn address(&self, who: &str) -> Result<Value, CounterpartError> {
        self.0.ask("address", json!({ "who": who })).await
    }

    /// Signs in with Ethereum: `fields` are those of `siwe`'s `SiweMessage`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn ethereum(
        &self,
        who: &str,
        fields: &Value,
    ) -> Result<SignedMessage, CounterpartError> {
        self.sign("siwe", who, fields).await
    }

    /// Signs in with Solana: `fields` are those of `SolanaSignInInput`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn solana(
        &self,
        who: &str,
        fields: &Value,
    ) -> Result<SignedMessage, CounterpartError> {
        self.sign("siws", who, fields).await
    }

    /// Signs in with Farcaster: `fields` are those of `buildSignInMessage`, `fid` among them. The
    /// library says that it is issued now.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn farcaster(
        &self,
        who: &str,
        fields: &Value,
    ) -> Result<SignedMessage, CounterpartError> {
        self.sign("farcaster", who, fields).await
    }

    async fn sign(
        &self,
        ask: &str,
        who: &str,
        fields: &Value,
    ) -> Result<SignedMessage, CounterpartError> {
        let question = json!({ "who": who, "fields": fields });
        self.0.ask(ask, question).await
    }

    /// Has the Farcaster client judge a message: `custody` maps addresses to the numbers that they
    /// have custody of. Answers `{success, fid}`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] where it refuses.
    pub async fn check_farcaster(
        &self,
        signed: &SignedMessage,
        nonce: &str,
        domain: &str,
        custody: &Value,
    ) -> Result<Value, CounterpartError> {
        let question = json!({
            "message": signed.message,
            "signature": signed.signature_text(),
            "nonce": nonce,
            "domain": domain,
            "custody": custody,
        });
        self.0.ask("farcaster.check", question).await
    }

    /// Returns the code of an `otpauth://` address at a time, as an app of codes shows it (RFC 6238).
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn totp(&self, uri: &str, unix_seconds: u64) -> Result<String, CounterpartError> {
        let question = json!({ "uri": uri, "at": unix_seconds });
        self.0.ask("totp", question).await
    }

    /// Has `jose` verify a token under a published key set. `options` are those of `jwtVerify`, with
    /// `currentUnixSeconds` for the clock. Answers `{payload, header}`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] where it refuses, beginning with jose's error code.
    pub async fn check_token(
        &self,
        token: &str,
        jwks: &Value,
        options: &Value,
    ) -> Result<Value, CounterpartError> {
        let question = json!({ "token": token, "jwks": jwks, "options": options });
        self.0.ask("jwt.check", question).await
    }

    /// Has `standardwebhooks` verify a webhook, by this machine's clock. Answers its body.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] where it refuses.
    pub async fn check_webhook(
        &self,
        secret: &str,
        headers: &Value,
        body: &str,
    ) -> Result<Value, CounterpartError> {
        let question = json!({ "secret": secret, "headers": headers, "body": body });
        self.0.ask("webhook.check", question).await
    }

    /// Ends them.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
