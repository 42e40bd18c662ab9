//! Which enclave to speak to, and why to believe that it is one.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keyfold_attest::{Expectations, Nonce};
use keyfold_protocol::gateway_api::{AttestationRequest, Instances, path};
use keyfold_protocol::ids::{Digest32, InstanceId};
use keyfold_protocol::ohttp::EncodedKeyConfig;
use keyfold_protocol::realm::{SignedRealmRecord, VerifiedRealm};
use keyfold_protocol::registration::{AttestedBinding, VerifiedInstance};

use crate::environment::{Environment, Transport};
use crate::error::ClientError;
use crate::outer;
use crate::pin::RealmPin;

/// How long a verified instance is believed, in milliseconds: ten minutes.
pub const MAX_KEPT_MS: u64 = 10 * 60 * 1000;
/// Most instances that are looked at, and kept.
const MAX_INSTANCES: usize = 64;

/// A key that requests may be sealed to: its instance was verified just now.
///
/// Only [`Directory::verify`] makes one, and only [`crate::channel`] uses one.
#[derive(Debug)]
pub(crate) struct Target {
    instance: VerifiedInstance,
    config: EncodedKeyConfig,
    verified_at_ms: u64,
    good_until_ms: u64,
}

impl Target {
    pub(crate) fn id(&self) -> InstanceId {
        self.instance.id
    }

    pub(crate) fn config(&self) -> &EncodedKeyConfig {
        &self.config
    }

    /// A clock that was set back ends it too.
    fn is_good(&self, now_ms: u64) -> bool {
        (self.verified_at_ms..self.good_until_ms).contains(&now_ms)
    }
}

/// A verified instance, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// The instance.
    pub id: InstanceId,
    /// Time of the document that was verified, in milliseconds since 1970.
    pub document_timestamp_ms: u64,
}

/// The realm's instances, as far as they were verified.
#[derive(Default)]
pub(crate) struct Directory {
    realm: OnceLock<VerifiedRealm>,
    kept: Mutex<Vec<Arc<Target>>>,
    /// Held while verifying, so that a thousand callers cause one document.
    verifying: futures_util::lock::Mutex<()>,
}

impl Directory {
    /// Returns a target: the wanted instance, or any.
    pub(crate) async fn target(
        &self,
        pin: &RealmPin,
        transport: &impl Transport,
        environment: &impl Environment,
        wanted: Option<InstanceId>,
    ) -> Result<Arc<Target>, ClientError> {
        if let Some(target) = self.find(wanted, environment.now_unix_ms()) {
            return Ok(target);
        }
        let _one_at_a_time = self.verifying.lock().await;
        if let Some(target) = self.find(wanted, environment.now_unix_ms()) {
            return Ok(target);
        }
        self.realm(pin, transport).await?;
        let mut refusal = ClientError::NoInstance;
        for id in match wanted {
            Some(id) => vec![id],
            None => self.list(transport, environment).await?,
        } {
            match self.verify(pin, transport, environment, id).await {
                Ok(target) => {
                    let target = Arc::new(target);
                    self.keep(Arc::clone(&target));
                    return Ok(target);
                }
                // Without a network the next one cannot be reached either.
                Err(error @ ClientError::Transport(_)) => return Err(error),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn find(&self, wanted: Option<InstanceId>, now_ms: u64) -> Option<Arc<Target>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|target| target.is_good(now_ms));
        kept.iter()
            .find(|target| wanted.is_none_or(|id| target.id() == id))
            .cloned()
    }

    fn keep(&self, target: Arc<Target>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.id() != target.id());
        kept.truncate(MAX_INSTANCES - 1);
        kept.push(target);
    }

    /// Forgets a target that turned out to be gone; a newer one of the same instance stays.
    pub(crate) fn forget(&self, target: &Arc<Target>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| !Arc::ptr_eq(other, target));
    }

    /// Returns the realm. Its record cannot change under its id, so one look is enough.
    pub(crate) async fn realm(
        &self,
        pin: &RealmPin,
        transport: &impl Transport,
    ) -> Result<&VerifiedRealm, ClientError> {
        if let Some(realm) = self.realm.get() {
            return Ok(realm);
        }
        let signed: SignedRealmRecord =
            outer::get(transport, path::REALM.to_owned(), "the realm record").await?;
        let realm = signed.verify(pin.realm)?;
        if !pin.names_root(realm.record().root) {
            return Err(ClientError::Root);
        }
        Ok(self.realm.get_or_init(|| realm))
    }

    /// Returns the ids the gateway lists, beginning anywhere, so that clients spread.
    pub(crate) async fn list(
        &self,
        transport: &impl Transport,
        environment: &impl Environment,
    ) -> Result<Vec<InstanceId>, ClientError> {
        let Instances { mut instances } = outer::get(
            transport,
            path::INSTANCES.to_owned(),
            "the list of instances",
        )
        .await?;
        instances.truncate(MAX_INSTANCES);
        let mut start = [0];
        environment.fill_random(&mut start)?;
        let [start] = start;
        let middle = usize::from(start).checked_rem(instances.len()).unwrap_or(0);
        instances.rotate_left(middle);
        Ok(instances)
    }

    /// Asks an instance for a document with a fresh nonce, and verifies it.
    pub(crate) async fn verify(
        &self,
        pin: &RealmPin,
        transport: &impl Transport,
        environment: &impl Environment,
        id: InstanceId,
    ) -> Result<Target, ClientError> {
        let mut nonce = [0; 32];
        environment.fill_random(&mut nonce)?;
        let asked_at_ms = environment.now_unix_ms();
        let attested: AttestedBinding = outer::post(
            transport,
            path::ATTESTATION.replace("{instance}", &id.to_string()),
            &AttestationRequest {
                nonce: Digest32::from_bytes(nonce),
            },
            None,
            "the request for an attestation document",
        )
        .await?;
        let nonce = Nonce::new(&nonce).map_err(|_| crate::environment::EnvironmentError)?;
        let expect = Expectations {
            max_age_ms: MAX_KEPT_MS,
            ..Expectations::new(&nonce, environment.now_unix_ms(), &pin.policy)
        };
        let instance = attested
            .verify(&pin.root, &expect, Some(pin.realm))
            .map_err(|source| ClientError::Instance {
                instance: id,
                source,
            })?;
        // A gateway may route to whom it likes; the id is in what the device signs.
        if instance.id != id {
            return Err(ClientError::InstanceKeys(id));
        }
        let config = EncodedKeyConfig::parse(&instance.ohttp_config)
            .map_err(|_| ClientError::InstanceKeys(id))?;
        let since = asked_at_ms.min(instance.document_timestamp_ms);
        Ok(Target {
            instance,
            config,
            verified_at_ms: asked_at_ms,
            good_until_ms: since.saturating_add(MAX_KEPT_MS),
        })
    }
}

impl From<&Target> for InstanceReport {
    fn from(target: &Target) -> Self {
        Self {
            id: target.id(),
            document_timestamp_ms: target.instance.document_timestamp_ms,
        }
    }
}
