//! Sign-in: two steps, the same for every method.
//!
//! Each method has a module of its own, which begins a sign-in and ends in a [`Proven`]. What is
//! done with that is the same for all: an account is found or made, the device is enrolled, a
//! session begins; or an identity is linked, or a session stepped up.

mod account;
mod email;

use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::passkey::PasskeyCredential;
use keyfold_protocol::client_api::SignedIn;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::Item;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::ids::{Digest32, ProjectId, SessionId, SignInHandle};
use keyfold_protocol::project::StepUp as Level;
use keyfold_protocol::sign_in::{Method, Proof, SignInFinish, SignInStart, SignInStarted};
use keyfold_protocol::text::is_name;

use super::session::issue;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, IdentityRecord, Project, SessionRecord, WalletRecord};
use crate::request::SignInRequest;

/// Who wants to sign in, as the request's signature says.
pub(crate) struct Asker<'a> {
    pub(crate) project: &'a ProjectId,
    pub(crate) device: Thumbprint,
}

/// What somebody proved, just now.
pub(crate) struct Proven {
    /// Such as `email`: the method's name in records.
    pub(crate) method: String,
    /// Names the identity: a keyed hash of project, method and what the method knows people by.
    pub(crate) hash: Digest32,
    /// What the person knows it by.
    pub(crate) label: String,
    /// How it was proved (RFC 8176).
    pub(crate) amr: &'static str,
    /// How well.
    pub(crate) acr: &'static str,
    /// As what it counts where a fresh proof is needed.
    pub(crate) level: Level,
    /// What goes into the account's record with it.
    pub(crate) keep: Keep,
    /// What holders can verify themselves.
    pub(crate) evidence: Vec<Item>,
}

/// What a proof leaves to be kept with its identity.
#[derive(Default)]
pub(crate) struct Keep {
    /// A passkey: new, or with its counter as it is now.
    pub(crate) passkey: Option<PasskeyCredential>,
    /// A password's hash: new, or made anew because it cost too little.
    pub(crate) password: Option<String>,
}

impl Proven {
    /// The identity as an account's record has it.
    pub(crate) fn record(&self, now_unix_seconds: u64) -> IdentityRecord {
        IdentityRecord {
            method: self.method.clone(),
            hash: self.hash,
            address: self.label.clone(),
            added: now_unix_seconds,
            passkey: self.keep.passkey.clone(),
            password: self.keep.password.clone(),
        }
    }
}

impl Account {
    /// Takes over what a proof left to be kept. `false` if the identity is not the account's.
    fn keep(&mut self, proven: &Proven) -> bool {
        let known = self.identities.iter_mut();
        let Some(identity) = known.into_iter().find(|i| i.hash == proven.hash) else {
            return false;
        };
        if let Some(passkey) = &proven.keep.passkey {
            identity.passkey = Some(passkey.clone());
        }
        if let Some(password) = &proven.keep.password {
            identity.password = Some(password.clone());
        }
        true
    }
}

/// Begins a sign-in.
pub(super) async fn start<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<SignInStart>,
) -> Result<SignInStarted, Problem> {
    let project = realm.project(request.project()).await?;
    let asker = Asker {
        project: request.project(),
        device: request.thumbprint(),
    };
    begin(realm, &asker, &project, &request.body().how).await
}

async fn begin<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    how: &Method,
) -> Result<SignInStarted, Problem> {
    match how {
        Method::EmailCode { email } if project.sign_in.email_code => {
            email::start(realm, asker, project, email).await
        }
        _ => Err(Code::MethodOff.into()),
    }
}

/// Verifies what ends a sign-in that was begun by the same device for the same project.
pub(super) async fn prove<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    sign_in: &SignInHandle,
    proof: &Proof,
) -> Result<Proven, Problem> {
    match proof {
        Proof::EmailCode { code, new_password } => {
            let proven = email::finish(realm, asker, sign_in, code)?;
            match new_password {
                None => Ok(proven),
                Some(_) => Err(Code::MethodOff.into()),
            }
        }
        _ => Err(Code::MethodOff.into()),
    }
}

/// Checks the proof, finds or makes the account, enrols the device, starts a session.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<SignInFinish>,
) -> Result<SignedIn, Problem> {
    let body = request.body();
    if !body.device_name.is_empty() && !is_name(&body.device_name) {
        return Err(Problem::new(
            Code::MalformedRequest,
            "the device's name is not acceptable",
        ));
    }
    let project = realm.project(request.project()).await?;
    let asker = Asker {
        project: request.project(),
        device: request.thumbprint(),
    };
    let mut proven = prove(realm, &asker, &body.sign_in, &body.proof).await?;
    let auth_time = realm.now();

    let owner = account::find_or_make(realm, request.project(), &proven).await?;
    let evidence = request.evidence(core::mem::take(&mut proven.evidence));
    let state = account::enrol(realm, &owner, request.device(), evidence).await?;
    let session = SessionRecord {
        sid: SessionId::random(&mut realm.core.rng()?),
        jkt: request.thumbprint(),
        auth_time,
        ends: auth_time.saturating_add(project.sign_in.session_seconds),
        amr: vec![proven.amr.to_owned()],
        acr: proven.acr.to_owned(),
        proved: Some((proven.level, auth_time)),
    };
    let account = account::start_session(
        realm,
        &owner,
        request.device(),
        &body.device_name,
        &proven,
        session.clone(),
        state,
    )
    .await?;
    let issued = issue(realm, &project, &account, &session, state)?;
    account::tell_app(realm, &account, &session, proven.method, state);
    let shown = account.wallets().filter(|_| state == DeviceState::Active);
    Ok(SignedIn {
        account: owner.account,
        session: session.sid,
        attestation: issued.attestation,
        attestation_expires: issued.expires,
        session_ends: session.ends,
        device: state,
        wallets: shown.map(WalletRecord::info).collect(),
    })
}
