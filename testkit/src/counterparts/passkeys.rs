//! Chromium with virtual authenticators.

use keyfold_crypto::b64;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Authority, CounterpartError, Program};

/// A browser with one page open.
#[derive(Debug)]
pub struct Browser {
    program: Program,
    /// The browser's profile, erased after it.
    profile: TempDir,
}

/// What an authenticator can, and how its owner behaves.
#[derive(Debug, Clone, Copy)]
pub struct Authenticator {
    /// Whether it has a PIN or a fingerprint reader.
    pub user_verification: bool,
    /// Whether its passkeys may be copied to others of its owner's, and whether they are.
    pub backup: bool,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self {
            user_verification: true,
            backup: false,
        }
    }
}

/// What a page gets from `navigator.credentials.create`.
#[derive(Debug, Clone)]
pub struct Created {
    /// The whole `RegistrationResponseJSON`.
    pub json: Value,
    /// `rawId`.
    pub credential_id: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.attestationObject`.
    pub attestation_object: Vec<u8>,
}

/// What a page gets from `navigator.credentials.get`.
#[derive(Debug, Clone)]
pub struct Got {
    /// The whole `AuthenticationResponseJSON`.
    pub json: Value,
    /// `rawId`.
    pub credential_id: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
    /// `response.userHandle`.
    pub user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialJson<R> {
    raw_id: Bytes,
    response: R,
}

#[derive(Deserialize)]
struct RegistrationJson {
    #[serde(rename = "clientDataJSON")]
    client_data: Bytes,
    #[serde(rename = "attestationObject")]
    attestation_object: Bytes,
}

#[derive(Deserialize)]
struct AssertionJson {
    #[serde(rename = "clientDataJSON")]
    client_data: Bytes,
    #[serde(rename = "authenticatorData")]
    authenticator_data: Bytes,
    signature: Bytes,
    #[serde(rename = "userHandle")]
    user_handle: Option<Bytes>,
}

#[derive(Deserialize)]
struct Bytes(#[serde(with = "b64")] Vec<u8>);

impl Browser {
    /// Starts a browser that knows pages at these host names and nothing else.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn start(authority: &Authority, hosts: &[&str]) -> Result<Self, CounterpartError> {
        let certified = authority.certify(hosts.iter().map(|&host| host.to_owned()).collect())?;
        let profile = tempfile::tempdir().map_err(|source| CounterpartError::Io {
            name: "the browser's profile".to_owned(),
            source,
        })?;
        let program = Program::start("passkeys.mjs").await?;
        let question = json!({
            "cert": certified.certificate_pem,
            "key": certified.key_pem,
            "hosts": hosts,
            "profile": profile.path(),
        });
        program.ask::<Value>("start", question).await?;
        Ok(Self { program, profile })
    }

    /// Opens the page of an origin, such as `https://app.example.test`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn visit(&self, origin: &str) -> Result<(), CounterpartError> {
        self.program.ask("visit", json!({ "origin": origin })).await
    }

    /// Opens the page of an origin in a frame of another's.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn visit_framed(&self, origin: &str, top: &str) -> Result<(), CounterpartError> {
        let question = json!({ "origin": origin, "top": top });
        self.program.ask("visit", question).await
    }

    /// Plugs an authenticator in whose owner is there and verifies; returns its name.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn plug_in(&self, authenticator: Authenticator) -> Result<String, CounterpartError> {
        let question = json!({
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": authenticator.user_verification,
            "isUserVerified": authenticator.user_verification,
            "automaticPresenceSimulation": true,
            "defaultBackupEligibility": authenticator.backup,
            "defaultBackupState": authenticator.backup,
        });
        self.program.ask("authenticator", question).await
    }

    /// Unplugs an authenticator, with all that it holds.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn unplug(&self, authenticator: &str) -> Result<(), CounterpartError> {
        let question = json!({ "authenticatorId": authenticator });
        self.program.ask("remove", question).await
    }

    /// Says whether an authenticator's owner passes its verification from now on.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn set_verified(
        &self,
        authenticator: &str,
        verified: bool,
    ) -> Result<(), CounterpartError> {
        let question = json!({ "authenticatorId": authenticator, "isUserVerified": verified });
        self.program.ask("verified", question).await
    }

    /// Returns what an authenticator holds, as DevTools' `WebAuthn.Credential`, private keys too.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn credentials(&self, authenticator: &str) -> Result<Vec<Value>, CounterpartError> {
        let question = json!({ "authenticatorId": authenticator });
        self.program.ask("credentials", question).await
    }

    /// Puts a `WebAuthn.Credential` into an authenticator, as whoever copies one does.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn put(
        &self,
        authenticator: &str,
        credential: &Value,
    ) -> Result<(), CounterpartError> {
        let question = json!({ "authenticatorId": authenticator, "credential": credential });
        self.program.ask("put", question).await
    }

    /// Calls `navigator.credentials.create` with `PublicKeyCredentialCreationOptionsJSON`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] with the name of the page's exception.
    pub async fn create(&self, options: &Value) -> Result<Created, CounterpartError> {
        let question = json!({ "options": options });
        let json: Value = self.program.ask("create", question).await?;
        let read: CredentialJson<RegistrationJson> = read(&json)?;
        Ok(Created {
            json,
            credential_id: read.raw_id.0,
            client_data_json: read.response.client_data.0,
            attestation_object: read.response.attestation_object.0,
        })
    }

    /// Calls `navigator.credentials.get` with `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    ///
    /// [`CounterpartError::Refused`] with the name of the page's exception.
    pub async fn get(&self, options: &Value) -> Result<Got, CounterpartError> {
        let question = json!({ "options": options });
        let json: Value = self.program.ask("get", question).await?;
        let read: CredentialJson<AssertionJson> = read(&json)?;
        Ok(Got {
            json,
            credential_id: read.raw_id.0,
            client_data_json: read.response.client_data.0,
            authenticator_data: read.response.authenticator_data.0,
            signature: read.response.signature.0,
            user_handle: read.response.user_handle.map(|bytes| bytes.0),
        })
    }

    /// Ends it.
    pub async fn stop(self) {
        self.program.stop().await;
        let _ = self.profile.close();
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a Value) -> Result<T, CounterpartError> {
    T::deserialize(json).map_err(|source| CounterpartError::Answer {
        name: "passkeys.mjs".to_owned(),
        source,
    })
}
