//! The client itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::delivery::Delivery;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{InstanceId, ProjectId, RequestId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::realm::VerifiedRealm;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::{Call, exchange};
use crate::environment::{Credential, Environment, Transport};
use crate::error::{ClientError, Problem};
use crate::instances::{Directory, InstanceReport};
use crate::known::KnownWallets;
use crate::pin::RealmPin;
use crate::session::Session;
use crate::wallet::{Wallet, WalletRefused, WalletRules};

/// A device in a realm. Its methods take `&self`, so that many requests can be under way.
pub struct Client<T, C, E> {
    pub(crate) transport: T,
    pub(crate) credential: C,
    pub(crate) environment: E,
    pub(crate) pin: RealmPin,
    pub(crate) rules: WalletRules,
    pub(crate) delivery: Delivery,
    known: Mutex<KnownWallets>,
    directory: Directory,
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Makes a client. Nothing is sent before the first call.
    pub fn new(pin: RealmPin, transport: T, credential: C, environment: E) -> Self {
        Self {
            transport,
            credential,
            environment,
            pin,
            rules: WalletRules::default(),
            delivery: Delivery::default(),
            known: Mutex::default(),
            directory: Directory::default(),
        }
    }

    /// Demands more of wallets than that they are of the default shape.
    #[must_use]
    pub fn with_wallet_rules(self, rules: WalletRules) -> Self {
        Self { rules, ..self }
    }

    /// Chooses where attestations go: into the session, which is the default, or into a cookie that no
    /// script reads and that the transport carries. A session that is otherwise moves when it is
    /// renewed.
    ///
    /// With a cookie the session knows the attestation's hash alone. Who shares the cookie (tabs of one
    /// browser) shares the stored session too: after a renewal elsewhere this one's hash is of an
    /// attestation that is gone, and is refused as `session_invalid`.
    #[must_use]
    pub fn with_delivery(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// Begins with what this device was told before: a label of an account that names another
    /// wallet now is refused, and so is another account for the same address.
    ///
    /// Store [`Client::known_wallets`] after each call, and keep it when a session ends.
    #[must_use]
    pub fn with_known_wallets(self, known: KnownWallets) -> Self {
        Self {
            known: Mutex::new(known),
            ..self
        }
    }

    /// Returns what this device knows of its accounts by now.
    pub fn known_wallets(&self) -> KnownWallets {
        self.known().clone()
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, KnownWallets> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a wallet of a session's account.
    pub(crate) fn remember(&self, session: &Session, wallet: &Wallet) -> Result<(), WalletRefused> {
        session.remember(&mut self.known(), wallet)
    }

    /// Returns the thumbprint of the device's key.
    pub fn device(&self) -> Thumbprint {
        self.credential.public_jwk().thumbprint()
    }

    /// Returns what the client was told to trust.
    pub fn pin(&self) -> &RealmPin {
        &self.pin
    }

    /// Fetches the realm record and verifies it against the pin.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn realm(&self) -> Result<&VerifiedRealm, ClientError> {
        self.directory.realm(&self.pin, &self.transport).await
    }

    /// Lists the instances, as the gateway says.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn instances(&self) -> Result<Vec<InstanceId>, ClientError> {
        self.directory
            .list(&self.transport, &self.environment)
            .await
    }

    /// Verifies an instance now, with a fresh document, whatever was verified before.
    ///
    /// For reports: every other call verifies by itself.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn verify_instance(&self, id: InstanceId) -> Result<InstanceReport, ClientError> {
        self.realm().await?;
        let target = self
            .directory
            .verify(&self.pin, &self.transport, &self.environment, id)
            .await?;
        Ok(InstanceReport::from(&target))
    }

    /// Draws the id of a new request.
    pub(crate) fn request_id(&self) -> Result<RequestId, ClientError> {
        let mut id = [0; RequestId::LEN];
        self.environment.fill_random(&mut id)?;
        Ok(RequestId::from_bytes(id))
    }

    pub(crate) fn plain(&self, operation: Operation) -> Result<Intent, ClientError> {
        Ok(Intent::Plain {
            operation,
            id: self.request_id()?,
        })
    }

    pub(crate) fn now_seconds(&self) -> u64 {
        self.environment.now_unix_ms() / 1000
    }

    /// Sends a call that precedes a session.
    pub(crate) async fn call_before_session<R: DeserializeOwned>(
        &self,
        path: &'static str,
        intent: Intent,
        project: &ProjectId,
        body: &impl Serialize,
        wanted: Option<InstanceId>,
    ) -> Result<(R, InstanceId), ClientError> {
        let call = Call {
            path,
            intent,
            project,
            body: json(body)?,
            attestation: None,
            with_cookies: self.delivery == Delivery::Cookie,
        };
        self.call(&call, wanted).await
    }

    /// Sends a call, and once more where the instance or its key is gone: under the same request
    /// id, to a key verified anew.
    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        wanted: Option<InstanceId>,
    ) -> Result<(R, InstanceId), ClientError> {
        match self.attempt(call, wanted).await {
            Err(error) if is_gone(&error) => self.attempt(call, wanted).await,
            outcome => outcome,
        }
    }

    async fn attempt<R: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        wanted: Option<InstanceId>,
    ) -> Result<(R, InstanceId), ClientError> {
        let target = self
            .directory
            .target(&self.pin, &self.transport, &self.environment, wanted)
            .await?;
        let reply = exchange(
            &target,
            self.pin.realm,
            call,
            &self.transport,
            &self.credential,
            &self.environment,
        )
        .await;
        let outcome = match reply {
            Ok(reply) if (200..300).contains(&reply.status) => serde_json::from_slice(&reply.body)
                .map(|value| (value, target.id()))
                .map_err(|_| ClientError::UnexpectedReply(call.path)),
            Ok(reply) => Err(ClientError::Refused(Problem::read(
                reply.status,
                &reply.body,
            ))),
            Err(error) => Err(error),
        };
        if outcome.as_ref().is_err_and(is_gone) {
            self.directory.forget(&target);
        }
        outcome
    }
}

/// Tells whether another look at the instances may help.
fn is_gone(error: &ClientError) -> bool {
    error.is(Code::UnknownKey) || error.is(Code::UnknownInstance)
}

pub(crate) fn json(body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(body).map_err(|_| ClientError::Unsendable("this body"))
}

impl<T, C, E> std::fmt::Debug for Client<T, C, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("realm", &self.pin.realm)
            .finish_non_exhaustive()
    }
}
