//! A signed-in device.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::Address;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::{Nothing, Renewed, Revocation, SignedIn, SignedOut, path};
use keyfold_protocol::delivery::{Delivery, HeldAttestation, Renew};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::ids::{AccountId, AddressId, InstanceId, ProjectId, RealmId, SessionId};
use keyfold_protocol::intent::{Intent, Operation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attestation::{key_of, names_wallet};
use crate::channel::Call;
use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::known::{KnownWallets, Labels, Owner};
use crate::wallet::{Wallet, WalletRefused};

/// An attestation that ends within so many seconds is renewed before it is used.
const RENEW_BEFORE_SECONDS: u64 = 60;

/// A session: what every later call of the account needs.
///
/// It renews itself as it is used; whoever stores it (it is serialisable) stores it again after
/// use. Without the device's key it is of no use to anybody, but it tells who the user is. In a browser
/// the attestation may be in a cookie instead ([`Client::with_delivery`]): then what is stored here
/// holds its hash.
pub struct Session {
    fixed: Fixed,
    changing: Mutex<Changing>,
    renewing: futures_util::lock::Mutex<()>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Fixed {
    realm: RealmId,
    project: ProjectId,
    account: AccountId,
    session: SessionId,
    device: Thumbprint,
    session_ends: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Changing {
    #[serde(flatten)]
    attestation: HeldAttestation,
    attestation_expires: u64,
    device_state: DeviceState,
    /// Address by label, for each wallet seen so far.
    #[serde(default)]
    wallets: Labels,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    fixed: Fixed,
    #[serde(flatten)]
    changing: Changing,
}

impl Session {
    pub(crate) fn begin(
        realm: RealmId,
        project: ProjectId,
        device: Thumbprint,
        signed_in: &SignedIn,
    ) -> Self {
        let fixed = Fixed {
            realm,
            project,
            account: signed_in.account,
            session: signed_in.session,
            device,
            session_ends: signed_in.session_ends,
        };
        let changing = Changing {
            attestation: signed_in.attestation.clone(),
            attestation_expires: signed_in.attestation_expires,
            device_state: signed_in.device,
            wallets: Labels::default(),
        };
        Self {
            fixed,
            changing: Mutex::new(changing),
            renewing: Default::default(),
        }
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the realm.
    pub fn realm(&self) -> RealmId {
        self.fixed.realm
    }

    /// Returns the project.
    pub fn project(&self) -> &ProjectId {
        &self.fixed.project
    }

    /// Returns the account.
    pub fn account(&self) -> AccountId {
        self.fixed.account
    }

    /// Returns the session's id.
    pub fn id(&self) -> SessionId {
        self.fixed.session
    }

    /// Returns the thumbprint of the device it was made for.
    pub fn device(&self) -> Thumbprint {
        self.fixed.device
    }

    /// Returns when the session ends, in Unix seconds.
    pub fn ends(&self) -> u64 {
        self.fixed.session_ends
    }

    /// Returns the attestation: a compact JWT for the app. `None` where it is in a cookie.
    pub fn attestation(&self) -> Option<String> {
        self.changing().attestation.text().map(str::to_owned)
    }

    fn held(&self) -> HeldAttestation {
        self.changing().attestation.clone()
    }

    /// Returns the thumbprint of the key that signed the attestation, which apps pin.
    ///
    /// # Security
    ///
    /// The attestation came sealed from a verified enclave, so this is the realm's key, whatever the
    /// gateway publishes. `None` where the attestation is none.
    pub fn attestation_key(&self) -> Option<Thumbprint> {
        key_of(&self.changing().attestation)
    }

    /// Returns when the attestation ends, in Unix seconds.
    pub fn attestation_expires(&self) -> u64 {
        self.changing().attestation_expires
    }

    /// Returns whether the device may act, as was known at the last renewal.
    pub fn device_state(&self) -> DeviceState {
        self.changing().device_state
    }

    /// Remembers a wallet, here and beyond this session. Where either knows another one by the
    /// label, neither learns anything.
    pub(crate) fn remember(
        &self,
        known: &mut KnownWallets,
        wallet: &Wallet,
    ) -> Result<(), WalletRefused> {
        let owner = Owner {
            realm: self.realm(),
            project: self.project().clone(),
            account: self.account(),
        };
        let mut changing = self.changing();
        known.check(&owner, wallet)?;
        changing.wallets.check(wallet)?;
        known.keep(&owner, wallet.label(), wallet.address());
        changing.wallets.keep(wallet.label(), wallet.address());
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("project", &self.fixed.project)
            .field("account", &self.fixed.account)
            .finish_non_exhaustive()
    }
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            fixed: self.fixed.clone(),
            changing: self.changing().clone(),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { fixed, changing } = Stored::deserialize(deserializer)?;
        Ok(Self {
            fixed,
            changing: Mutex::new(changing),
            renewing: Default::default(),
        })
    }
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Renews the attestation. Calls of a session do so by themselves when it ends within a minute.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn renew(&self, session: &Session) -> Result<(), ClientError> {
        self.check_session(session)?;
        let _one_at_a_time = session.renewing.lock().await;
        self.renew_now(session).await
    }

    async fn renew_now(&self, session: &Session) -> Result<(), ClientError> {
        let intent = self.plain(Operation::Renew)?;
        let body = json(&Renew {
            delivery: self.delivery,
        })?;
        let call = self.call_of(session, path::RENEW, intent, body);
        let (renewed, _): (Renewed, _) = self.call(&call, None).await?;
        let mut changing = session.changing();
        changing.attestation = renewed.attestation;
        changing.attestation_expires = renewed.attestation_expires;
        changing.device_state = renewed.device;
        Ok(())
    }

    /// Ends the session. `Pending` means that too few key holders have stored it yet: ask again.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn sign_out(&self, session: &Session) -> Result<Revocation, ClientError> {
        let intent = self.plain(Operation::SignOut)?;
        let out: SignedOut = self
            .call_in_session(session, path::SIGN_OUT, intent, json(&Nothing {})?)
            .await?;
        Ok(out.state)
    }

    /// Sends a call of a session, with an attestation that lives long enough.
    pub(crate) async fn call_in_session<R: DeserializeOwned>(
        &self,
        session: &Session,
        path: &'static str,
        intent: Intent,
        body: Vec<u8>,
    ) -> Result<R, ClientError> {
        self.call_in_session_at(session, path, intent, body, None)
            .await
    }

    /// As [`Client::call_in_session`]; where an instance is wanted, to that and no other.
    pub(crate) async fn call_in_session_at<R: DeserializeOwned>(
        &self,
        session: &Session,
        path: &'static str,
        intent: Intent,
        body: Vec<u8>,
        wanted: Option<InstanceId>,
    ) -> Result<R, ClientError> {
        self.check_session(session)?;
        self.refresh(session).await?;
        let mut call = self.call_of(session, path, intent, body);
        let outcome = self.call(&call, wanted).await;
        // The cookie of a renewal may overtake a request that was signed before it. Such a request is
        // refused before anything is done, so it may come again under the same id.
        let in_cookie = matches!(call.attestation, Some(HeldAttestation::Cookie(_)));
        if in_cookie && outcome.as_ref().is_err_and(|e| e.is(Code::SessionInvalid)) {
            // Until the renewal that is under way has told its hash.
            drop(session.renewing.lock().await);
            let held = Some(session.held());
            if call.attestation != held {
                call.attestation = held;
                return Ok(self.call(&call, wanted).await?.0);
            }
        }
        Ok(outcome?.0)
    }

    fn call_of<'a>(
        &self,
        session: &'a Session,
        path: &'static str,
        intent: Intent,
        body: Vec<u8>,
    ) -> Call<'a> {
        let held = session.held();
        let in_cookie = matches!(held, HeldAttestation::Cookie(_));
        Call {
            path,
            intent,
            project: session.project(),
            body,
            with_cookies: in_cookie || self.delivery == Delivery::Cookie,
            attestation: Some(held),
        }
    }

    fn check_session(&self, session: &Session) -> Result<(), ClientError> {
        if session.realm() != self.pin.realm || session.device() != self.device() {
            return Err(ClientError::ForeignSession);
        }
        if self.now_seconds() >= session.ends() {
            return Err(ClientError::SessionEnded);
        }
        Ok(())
    }

    /// Renews an attestation that is older than a wallet: enclave and holders sign for the wallets
    /// that it names and no others.
    pub(crate) async fn attest_wallet(
        &self,
        session: &Session,
        wallet: Address,
    ) -> Result<(), ClientError> {
        let wallet = AddressId::from_bytes(wallet.into_array());
        let is_named = || names_wallet(&session.changing().attestation, &wallet) != Some(false);
        if is_named() {
            return Ok(());
        }
        self.check_session(session)?;
        let _one_at_a_time = session.renewing.lock().await;
        if is_named() {
            return Ok(());
        }
        self.renew_now(session).await
    }

    async fn refresh(&self, session: &Session) -> Result<(), ClientError> {
        let ends_soon = || {
            self.now_seconds().saturating_add(RENEW_BEFORE_SECONDS) >= session.attestation_expires()
        };
        if !ends_soon() {
            return Ok(());
        }
        let _one_at_a_time = session.renewing.lock().await;
        if !ends_soon() {
            return Ok(());
        }
        match self.renew_now(session).await {
            // What is still valid is used, whatever keeps the next one from coming.
            Err(_) if self.now_seconds() < session.attestation_expires() => Ok(()),
            outcome => outcome,
        }
    }
}
