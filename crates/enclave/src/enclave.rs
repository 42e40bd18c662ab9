//! One running instance: before its realm, and in it.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::join3;
use futures_util::lock::Mutex as AsyncMutex;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::GenesisPlan;
use keyfold_protocol::ids::{InstanceId, ProjectId};
use keyfold_protocol::realm::{RealmError, SignedRealmRecord};

use crate::boot;
use crate::core::Core;
use crate::genesis::{self, Proposal};
use crate::holders::Holders;
use crate::limits::{
    BOOT_ATTEMPTS, BOOT_PAUSE, CLOCK_CHECK_SECONDS, OHTTP_SECONDS, REGISTRATION_SECONDS, TICK,
};
use crate::platform::{Platform, PlatformError};
use crate::problem::Problem;
use crate::realm::Realm;

/// One running instance.
///
/// # Security
///
/// Everything secret in it is redacted in `Debug` and wiped on drop. The host talks to it through
/// [`Enclave::handle`] alone.
pub struct Enclave<P: Platform> {
    pub(crate) core: Arc<Core<P>>,
    realm: RwLock<Option<Arc<Realm<P>>>>,
    genesis: AsyncMutex<Option<Proposal>>,
}

/// Says why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The security module failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The instance's own keys cannot be made.
    #[error("the instance's keys cannot be made")]
    Keys,
    /// The host does not say whether there is a realm.
    #[error("the host does not hand over the realm record")]
    Host,
    /// The host handed over a record that its holders did not sign.
    #[error("the realm record is not acceptable: {0}")]
    Realm(#[from] RealmError),
    /// PCR16 holds another realm.
    #[error("this instance belongs to another realm already")]
    OtherRealm,
    /// The realm cannot be entered.
    #[error("the realm cannot be entered: {code}{}{}", if detail.is_empty() { "" } else { ": " }, detail)]
    Enter {
        /// The code.
        code: Code,
        /// Which holder did what.
        detail: String,
    },
}

impl<P: Platform> Enclave<P> {
    /// Starts an instance: boots into the realm whose record the host has, or, where it has none,
    /// waits for genesis.
    ///
    /// Asks again for a minute while holders are missing.
    ///
    /// # Errors
    ///
    /// [`BootError`]; the process is to end then, and a new one may try again.
    pub async fn start(platform: Arc<P>) -> Result<Arc<Self>, BootError> {
        let core = Arc::new(Core::start(platform)?);
        let realm = match boot::realm_record(core.platform()).await? {
            None => None,
            Some(verified) => {
                let verified = Arc::new(verified);
                let holders = Arc::new(Holders::new(&core, verified.record()));
                let resumed = genesis::resume(&verified, &holders).await;
                resumed.map_err(|Problem { code, detail }| BootError::Enter {
                    code,
                    detail: detail.unwrap_or_default(),
                })?;
                core.enter_realm(verified.id())?;
                let mut attempt = 1;
                let realm = loop {
                    let entered = async {
                        let seed = boot::fetch_seed(&core, &verified, &holders).await?;
                        boot::enter(&core, Arc::clone(&verified), Arc::clone(&holders), &seed).await
                    };
                    match entered.await {
                        Ok(realm) => break realm,
                        Err(problem) if boot::may_pass(&problem) && attempt < BOOT_ATTEMPTS => {
                            tracing::warn!(code = %problem.code, detail = problem.detail, "boot waits");
                            attempt += 1;
                            core.platform().sleep(BOOT_PAUSE).await;
                        }
                        Err(Problem { code, detail }) => {
                            let detail = detail.unwrap_or_default();
                            return Err(BootError::Enter { code, detail });
                        }
                    }
                };
                Some(Arc::new(realm))
            }
        };
        Ok(Arc::new(Self {
            core,
            realm: RwLock::new(realm),
            genesis: AsyncMutex::new(None),
        }))
    }

    /// The instance's id.
    pub fn instance(&self) -> InstanceId {
        self.core.instance()
    }

    /// The realm, once there is one.
    pub(crate) fn realm(&self) -> Option<Arc<Realm<P>>> {
        self.realm
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes the realm.
    pub(crate) async fn genesis(&self, plan: GenesisPlan) -> Result<SignedRealmRecord, Problem> {
        let mut kept = self.genesis.lock().await;
        if self.realm().is_some() {
            return Err(Code::RealmExists.into());
        }
        let realm = genesis::run(&self.core, &mut kept, plan).await?;
        let signed = realm.verified.signed().clone();
        *self.realm.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(realm));
        // The seed with it: from now on the holders have it.
        *kept = None;
        Ok(signed)
    }

    /// Does what time asks for: rotates keys, renews registrations, checks the clock, ends what
    /// was started in the background. Never returns; is to be polled as long as requests are.
    pub async fn maintain(&self) {
        let background = self.core.background.drive();
        join3(background, self.tell_apps(), self.keep_time()).await;
    }

    /// Tells apps' servers what happened.
    async fn tell_apps(&self) {
        let core = &self.core;
        let find = |project: ProjectId| {
            let found = async move {
                match self.realm() {
                    Some(realm) => realm.webhook(&project).await,
                    None => Ok(None),
                }
            };
            found.boxed()
        };
        core.webhooks
            .drive(core.platform(), &|| core.unix_ms(), &find)
            .await;
    }

    async fn keep_time(&self) {
        let now = self.core.now();
        let (mut rotated, mut registered, mut checked) = (now, now, now);
        loop {
            self.core.platform().sleep(TICK).await;
            self.core.expire_ohttp();
            let now = self.core.now();
            let mut register = now.saturating_sub(registered) >= REGISTRATION_SECONDS;
            if now.saturating_sub(rotated) >= OHTTP_SECONDS {
                match self.core.rotate_ohttp() {
                    Ok(()) => (rotated, register) = (now, true),
                    Err(problem) => tracing::error!(code = %problem.code, "OHTTP key rotation"),
                }
            }
            let Some(realm) = self.realm() else { continue };
            realm.sweep();
            realm.records.catch_up();
            if register {
                realm.register_everywhere().await;
                registered = now;
            }
            if now.saturating_sub(checked) >= CLOCK_CHECK_SECONDS {
                realm.check_clock().await;
                checked = now;
            }
        }
    }
}

impl<P: Platform> core::fmt::Debug for Enclave<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Enclave")
            .field("instance", &self.instance())
            .finish_non_exhaustive()
    }
}
