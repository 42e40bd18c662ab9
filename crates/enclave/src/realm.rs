//! An instance in its realm: everything that requests are answered with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock::Mutex as AsyncMutex;
use keyfold_identity::password::MemoryBudget;
use keyfold_protocol::client_api::GuardSettings;
use keyfold_protocol::delivery::{CookieChange, Delivery, HeldAttestation, SealedAttestation};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{SignedTime, TimeRequest, TimeStatement, path};
use keyfold_protocol::ids::{Digest32, ProjectId, RecordId};
use keyfold_protocol::realm::VerifiedRealm;
use keyfold_protocol::session::{
    AttestationSigner, IdTokenClaims, SessionClaims, attestation_hash,
};
use keyfold_protocol::webhook::Happened;
use rand_core::Rng;

use crate::clock::{ClockVerdict, judge, offset};
use crate::core::Core;
use crate::delivery::{Delivered, Owner};
use crate::holders::{Asked, Holders, first};
use crate::keys::RealmKeys;
use crate::limits::{
    CACHED_PROJECTS, MAX_CLOCK_OFFSET_MS, NONCES, NONCES_PER_DEVICE, PASSWORD_MEMORY_KIB,
    PROJECT_CACHE_SECONDS,
};
use crate::nonces::NonceWindow;
use crate::peers::{CallError, Registrant, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::records::{Account, Cache, Held, Project, Records};
use crate::request::{SessionRequest, Verifier};
use crate::waiting::Waiting;
use crate::web::Providers;
use crate::webhooks::{self, Destination};

/// A guard, by its address and TLS key.
type GuardId = Digest32;

/// An instance that serves.
pub(crate) struct Realm<P> {
    pub(crate) core: Arc<Core<P>>,
    pub(crate) verified: Arc<VerifiedRealm>,
    pub(crate) holders: Arc<Holders<P>>,
    pub(crate) keys: Arc<RealmKeys>,
    pub(crate) records: Records<P>,
    pub(crate) verifier: Verifier,
    pub(crate) waiting: Waiting,
    pub(crate) providers: Providers,
    pub(crate) password_memory: MemoryBudget,
    /// Held while a batch of keys is maintained.
    pub(crate) maintenance: AsyncMutex<()>,
    attestation: AttestationSigner,
    projects: Mutex<Cache<RecordId, (u64, Arc<Project>)>>,
    guards: AsyncMutex<Cache<GuardId, Arc<Registrant<P>>>>,
    /// Set while the clock is found wrong.
    stopped: AtomicBool,
}

impl<P: Platform> Realm<P> {
    pub(crate) fn new(
        core: Arc<Core<P>>,
        verified: Arc<VerifiedRealm>,
        holders: Arc<Holders<P>>,
        keys: Arc<RealmKeys>,
        records: Records<P>,
        attestation: AttestationSigner,
        published: keyfold_protocol::session::AttestationKeySet,
    ) -> Self {
        let window = || Mutex::new(NonceWindow::new(NONCES, NONCES_PER_DEVICE));
        let verifier = Verifier {
            realm: verified.id(),
            instance: core.instance(),
            keys: published,
            realm_keys: Arc::clone(&keys),
            session_nonces: window(),
            sign_in_nonces: window(),
        };
        Self {
            core,
            verified,
            holders,
            keys,
            records,
            verifier,
            waiting: Waiting::new(),
            providers: Providers::new(),
            password_memory: MemoryBudget::new(PASSWORD_MEMORY_KIB),
            maintenance: AsyncMutex::new(()),
            attestation,
            projects: Mutex::new(Cache::new(CACHED_PROJECTS)),
            guards: AsyncMutex::new(Cache::new(CACHED_PROJECTS)),
            stopped: AtomicBool::new(false),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.core.now()
    }

    /// Whether requests are answered.
    pub(crate) fn serves(&self) -> bool {
        !self.stopped.load(Ordering::Acquire)
    }

    /// Signs a session attestation.
    pub(crate) fn attest_session(&self, claims: &SessionClaims) -> Result<String, Problem> {
        self.attestation
            .sign(claims)
            .map_err(|_| Problem::internal("a session attestation cannot be signed"))
    }

    /// Hands an attestation over as its client asked: as text, or sealed in the cookie of a device.
    pub(crate) fn deliver(
        &self,
        delivery: Delivery,
        attestation: String,
        claims: SessionClaims,
        ends: u64,
    ) -> Result<Delivered<HeldAttestation>, Problem> {
        if delivery == Delivery::Body {
            return Ok(Delivered::plain(HeldAttestation::Text(attestation)));
        }
        let owner = Owner {
            realm: claims.iss,
            project: &claims.aud,
            device: claims.cnf.jkt,
        };
        let cookies = &self.keys.cookies;
        let sealed = cookies
            .seal(owner, &attestation, ends, &mut self.core.rng()?)
            .map_err(|_| Problem::internal("a session attestation does not fit a cookie"))?;
        let slot = cookies.slot(owner);
        let cookie = CookieChange::Set {
            slot,
            seconds: ends.saturating_sub(self.now()),
            sealed,
        };
        let told = SealedAttestation {
            hash: Digest32::from_bytes(attestation_hash(&attestation)),
            slot,
            key: self.attestation.public_jwk().kid(),
            wallets: claims.wallets,
        };
        Ok(Delivered {
            answer: HeldAttestation::Cookie(told),
            cookie: Some(cookie),
        })
    }

    /// Signs an ID token.
    pub(crate) fn sign_id_token(&self, claims: &IdTokenClaims) -> Result<String, Problem> {
        self.attestation
            .sign_id_token(claims)
            .map_err(|_| Problem::internal("an ID token cannot be signed"))
    }

    /// Leaves word for a project's server of what happened. Waits for nothing, and cannot fail.
    pub(crate) fn tell_app(&self, project: &ProjectId, happened: Happened) {
        let Ok(mut rng) = self.core.rng() else {
            return;
        };
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let now_ms = self.core.unix_ms();
        self.core.webhooks.emit(project, id, happened, now_ms);
    }

    /// Where a project's server is told of what happens, if it is.
    pub(crate) async fn webhook(
        &self,
        project: &ProjectId,
    ) -> Result<Option<Destination>, Problem> {
        Ok(webhooks::destination(&*self.project(project).await?))
    }

    /// The project's configuration, at most a minute old. Not for what administrators do.
    pub(crate) async fn project(&self, project: &ProjectId) -> Result<Arc<Project>, Problem> {
        let id = self.project_id(project);
        let cached = self
            .projects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id);
        let now = self.now();
        if let Some((read_at, project)) = cached
            && now.saturating_sub(read_at) < PROJECT_CACHE_SECONDS
        {
            return Ok(project);
        }
        let held: Held<Project> = self.records.read(id).await?.ok_or(Code::ProjectUnknown)?;
        Ok(self.keep_project(id, held.value))
    }

    /// The record id of a project.
    pub(crate) fn project_id(&self, project: &ProjectId) -> RecordId {
        self.records
            .id::<Project>(Some(project), project.as_str().as_bytes())
    }

    /// Keeps a project that was just read or written, for a minute; never in place of a later one.
    pub(crate) fn keep_project(&self, id: RecordId, project: Project) -> Arc<Project> {
        let project = Arc::new(project);
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        let later = projects
            .get(&id)
            .is_some_and(|(_, known)| known.version > project.version);
        if !later {
            projects.insert(id, (self.now(), Arc::clone(&project)));
        }
        project
    }

    /// The record id of an account.
    pub(crate) fn account_id(&self, owner: &AccountRef) -> RecordId {
        self.records
            .id::<Account>(Some(&owner.project), owner.account.as_bytes())
    }

    /// The current record of the account that asks, in which the session still stands.
    pub(crate) async fn session_account<B: crate::request::Body>(
        &self,
        request: &SessionRequest<B>,
    ) -> Result<Held<Account>, Problem> {
        let id = self.account_id(&request.owner());
        let held = self.records.read(id).await?.ok_or(Code::SessionInvalid)?;
        self.check_session(&held.value, request)?;
        Ok(held)
    }

    /// As [`Realm::session_account`], of all n holders.
    pub(crate) async fn session_account_of_all<B: crate::request::Body>(
        &self,
        request: &SessionRequest<B>,
    ) -> Result<Held<Account>, Problem> {
        let id = self.account_id(&request.owner());
        let held = self.records.read_of_all(id).await?;
        let held = held.ok_or(Code::SessionInvalid)?;
        self.check_session(&held.value, request)?;
        Ok(held)
    }

    /// Refuses a session that the project's administrators ended.
    pub(crate) async fn check_not_ended<B: crate::request::Body>(
        &self,
        request: &SessionRequest<B>,
    ) -> Result<(), Problem> {
        let project = self.project(request.project()).await?;
        let claims = request.session().claims();
        let ended = &project.sign_in.ended;
        match ended.has(&claims.sub, claims.auth_time) {
            true => Err(Code::SessionRevoked.into()),
            false => Ok(()),
        }
    }

    /// Checks that an account's record knows the session that a request is made in.
    pub(crate) fn check_session<B: crate::request::Body>(
        &self,
        account: &Account,
        request: &SessionRequest<B>,
    ) -> Result<(), Problem> {
        if account.revoked.contains(&request.thumbprint()) {
            return Err(Code::DeviceRevoked.into());
        }
        let session = account
            .session(&request.session().claims().sid)
            .ok_or(Code::SessionRevoked)?;
        if session.jkt != request.thumbprint() {
            return Err(Code::SessionInvalid.into());
        }
        if session.ends <= self.now() {
            return Err(Code::SessionExpired.into());
        }
        Ok(())
    }

    /// The registration at a project's guard.
    pub(crate) async fn guard(&self, settings: &GuardSettings) -> Arc<Registrant<P>> {
        let mut encoder = keyfold_crypto::Encoder::new("keyfold/guard/v1");
        encoder
            .str(&settings.address)
            .fixed(settings.tls_spki_sha256.as_bytes());
        let id = Digest32::from_bytes(encoder.sha256());
        let mut guards = self.guards.lock().await;
        if let Some(guard) = guards.get(&id) {
            return guard;
        }
        let spki = *settings.tls_spki_sha256.as_bytes();
        let guard = Arc::new(Registrant::new(
            Arc::clone(&self.core),
            settings.address.clone(),
            spki,
        ));
        guards.insert(id, Arc::clone(&guard));
        guard
    }

    /// Compares the clock with the holders', and stops serving while it is found wrong.
    ///
    /// Serving goes on where too few answer: nothing is signed without t holders anyway, each of
    /// which uses its own clock.
    pub(crate) async fn check_clock(&self) {
        match check_clock(&self.core, &self.holders).await {
            Ok(()) => {
                if self.stopped.swap(false, Ordering::AcqRel) {
                    tracing::warn!("the clock is right again; serving");
                }
            }
            Err(problem) if problem.code == Code::Internal => {
                self.stopped.store(true, Ordering::Release);
            }
            Err(problem) => {
                tracing::warn!(code = %problem.code, detail = problem.detail, "clock check");
            }
        }
    }

    /// Forgets what has expired.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        for window in [&self.verifier.session_nonces, &self.verifier.sign_in_nonces] {
            window
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .forget_expired(now);
        }
        self.waiting.sweep(now);
    }

    /// Registers again at every holder, with the keys as they are now.
    pub(crate) async fn register_everywhere(&self) {
        let asked = self
            .holders
            .ask(|holder| async move { holder.link.register(None).await });
        for (index, error) in first(self.holders.count(), asked).await.all().await.bad {
            tracing::warn!(holder = self.holders.name(index), %error, "registration failed");
        }
    }
}

/// Asks every holder for its time, signed; one whose clock is far from this one is as one that is
/// away.
pub(crate) fn ask_times<P: Platform>(
    core: &Arc<Core<P>>,
    holders: &Arc<Holders<P>>,
) -> Result<Asked<()>, Problem> {
    let mut nonce = [0; 32];
    core.rng()?.fill_bytes(&mut nonce);
    let nonce = Digest32::from_bytes(nonce);
    let body: Arc<[u8]> = to_json(&TimeRequest { nonce })
        .map_err(|_| Problem::internal("time cannot be asked for"))?
        .into();
    Ok(holders.ask(|holder| {
        let (core, body) = (Arc::clone(core), Arc::clone(&body));
        async move {
            let asked = core.unix_ms();
            let time: SignedTime = holder.link.call(path::TIME, &body).await?;
            let heard = core.unix_ms();
            let statement = TimeStatement {
                nonce,
                unix_ms: time.unix_ms,
            };
            if !statement.verify(&holder.card.signing_key, &time.signature) {
                return Err(CallError::Wrong("did not sign its time"));
            }
            let offset = offset(time.unix_ms, asked, heard);
            if offset.unsigned_abs() > MAX_CLOCK_OFFSET_MS {
                tracing::warn!(
                    holder = holder.card.name,
                    offset,
                    "a holder's clock is far from this one"
                );
                return Err(CallError::OtherTime(offset));
            }
            Ok(())
        }
    }))
}

/// Compares the clock with the holders' signed times.
///
/// Wrong is [`Code::Internal`]; too few that agree is [`Code::HoldersUnavailable`].
pub(crate) async fn check_clock<P: Platform>(
    core: &Arc<Core<P>>,
    holders: &Arc<Holders<P>>,
) -> Result<(), Problem> {
    let asked = ask_times(core, holders)?;
    let needed = holders.threshold();
    let gathered = first(needed, asked).await;
    let far = |bad: &[(u8, CallError)]| {
        bad.iter()
            .filter(|(_, error)| {
                // To a clock that is far away the question itself is too old, or too early.
                matches!(error, CallError::OtherTime(_))
                    || error.code() == Some(Code::SignatureExpired)
            })
            .count()
    };
    let judged = |near: usize, far: usize| judge(holders.count(), needed, near, far);
    if judged(gathered.good.len(), far(&gathered.bad)) == ClockVerdict::Right {
        gathered.let_rest_finish(core);
        return Ok(());
    }
    // It may be worse than too few answers.
    let gathered = gathered.all().await;
    match judged(gathered.good.len(), far(&gathered.bad)) {
        ClockVerdict::Right => Ok(()),
        ClockVerdict::Wrong => {
            let said = holders.shortage(needed, &gathered.bad).detail;
            tracing::error!(said, "the clock is too far from the holders'");
            Err(Problem::internal("the clock is too far from the holders'"))
        }
        ClockVerdict::Unknown => Err(holders.shortage(needed, &gathered.bad)),
    }
}
