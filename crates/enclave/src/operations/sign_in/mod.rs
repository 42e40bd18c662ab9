//! Sign-in: two steps, the same for every method.
//!
//! Each method has a module of its own, which begins a sign-in and ends in a [`Proven`]. What is
//! done with that is the same for all: an account is found or made, the device is enrolled, a
//! session begins; or an identity is linked, or a session stepped up.

pub(super) mod account;
pub(super) mod attempts;
mod email;
mod passkey;
mod password;
mod provider;
mod wallet;

pub(super) use email::EMAIL;

use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::challenge::{CHALLENGE_SECONDS, Challenge, ChallengeMethod};
use keyfold_identity::mail::{Changed, Notice};
use keyfold_identity::oidc::binding::NonceSalt;
use keyfold_identity::passkey::PasskeyCredential;
use keyfold_protocol::client_api::SignedIn;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::Item;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::ids::{Digest32, ProjectId, SessionId, SignInHandle};
use keyfold_protocol::project::StepUp as Level;
use keyfold_protocol::sign_in::{Method, Next, Proof, SignInFinish, SignInStart, SignInStarted};
use keyfold_protocol::text::is_name;

use super::notices::notify;
use super::session::issue;
use crate::delivery::Delivered;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, IdentityRecord, Project, SessionRecord, WalletRecord};
use crate::request::SignInRequest;
use crate::waiting::Step;

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
    pub(crate) amr: &'static [&'static str],
    /// How well.
    pub(crate) acr: &'static str,
    /// As what it counts where a fresh proof is needed.
    pub(crate) level: Level,
    /// What goes into the account's record with it.
    pub(crate) keep: Keep,
    /// Whether it was made just now, so that nobody can have it yet.
    pub(crate) is_new: bool,
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
    /// The hash that a password was checked against.
    pub(crate) password_was: Option<String>,
    /// Whether the password is another one than before, which the owner is to hear of.
    pub(crate) other_password: bool,
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

/// What became of what a proof left to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is kept.
    Done,
    /// The identity is not the account's.
    Unknown,
    /// The record says otherwise by now.
    Refused,
}

impl Account {
    /// Takes over what a proof left to be kept.
    ///
    /// # Security
    ///
    /// The proof was of what the record held when it was read. Where that was changed meanwhile, by
    /// a reset of the password or by another use of the passkey, it proves nothing any more; and a
    /// passkey that says it is new takes nobody's place.
    pub(crate) fn keep(&mut self, proven: &Proven) -> Kept {
        let mut known = self.identities.iter_mut();
        let Some(identity) = known.find(|identity| identity.hash == proven.hash) else {
            return Kept::Unknown;
        };
        if let Some(passkey) = &proven.keep.passkey {
            let follows = identity.passkey.as_ref().is_some_and(|known| {
                let counts = known.sign_count() != 0 || passkey.sign_count() != 0;
                known == passkey && (proven.is_new || !counts)
                    || !proven.is_new
                        && known.public_key() == passkey.public_key()
                        && (!counts || known.sign_count() < passkey.sign_count())
            });
            if !follows {
                return Kept::Refused;
            }
            identity.passkey = Some(passkey.clone());
        }
        if let Some(proven_with) = &proven.keep.password_was
            && identity.password.as_ref() != Some(proven_with)
        {
            return Kept::Refused;
        }
        if let Some(password) = &proven.keep.password {
            identity.password = Some(password.clone());
        }
        Kept::Done
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
    begin(realm, &asker, &project, &request).await
}

async fn begin<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    request: &SignInRequest<SignInStart>,
) -> Result<SignInStarted, Problem> {
    match &request.body().how {
        Method::EmailCode { email } if project.sign_in.email_code => {
            email::start(realm, asker, project, request, email).await
        }
        Method::Password { email } if project.sign_in.password.is_some() => {
            password::start(realm, asker, email)
        }
        Method::Provider { name, redirect_uri } => {
            provider::start(realm, asker, project, name, redirect_uri).await
        }
        Method::Token {
            issuer,
            commitment,
            salt,
        } => {
            let salt = salt.map(NonceSalt::from_bytes);
            provider::start_token(realm, asker, project, (issuer, salt), commitment)
        }
        Method::Ethereum {} if project.sign_in.ethereum.is_some() => {
            wallet::start(realm, asker, ChallengeMethod::Ethereum, Step::Ethereum)
        }
        Method::Solana {} if project.sign_in.solana.is_some() => {
            wallet::start(realm, asker, ChallengeMethod::Solana, Step::Solana)
        }
        Method::Farcaster {} if project.sign_in.farcaster.is_some() => {
            wallet::start(realm, asker, ChallengeMethod::Farcaster, Step::Farcaster)
        }
        Method::Passkey {} => passkey::start(realm, asker, project),
        Method::NewPasskey { name } => passkey::start_new(realm, asker, project, name),
        Method::Totp {} => second_factor(realm, asker, Step::Totp),
        Method::RecoveryCode {} => second_factor(realm, asker, Step::RecoveryCode),
        _ => Err(Code::MethodOff.into()),
    }
}

/// Begins what steps a session up and signs nobody in.
fn second_factor<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    step: Step,
) -> Result<SignInStarted, Problem> {
    let now = realm.now();
    let expires = now.saturating_add(CHALLENGE_SECONDS);
    let mut rng = realm.core.rng()?;
    let waiting = &realm.waiting;
    Ok(SignInStarted {
        sign_in: waiting.begin(asker.project, asker.device, step, now, expires, &mut rng)?,
        expires,
        next: Next::Code {},
    })
}

/// A sign-in whose challenge was drawn.
struct Drawn {
    sign_in: SignInHandle,
    challenge: [u8; 32],
    nonce: String,
    issued: u64,
    random: [u8; 32],
}

impl Drawn {
    fn started(&self, next: Next) -> SignInStarted {
        SignInStarted {
            sign_in: self.sign_in,
            expires: self.issued.saturating_add(CHALLENGE_SECONDS),
            next,
        }
    }
}

/// Draws what a proof has to contain. A device has one challenge of each method.
fn challenge<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    method: ChallengeMethod,
    step: Step,
) -> Result<Drawn, Problem> {
    let (now, mut rng) = (realm.now(), realm.core.rng()?);
    let ends = now.saturating_add(CHALLENGE_SECONDS);
    let project = asker.project.as_str();
    let (challenge, nonce, random) = {
        let mut challenges = realm.waiting.challenges();
        let drawn = challenges.start(method, project, asker.device.0, now, &mut rng);
        let drawn = drawn.map_err(|_| Code::RateLimited)?;
        (drawn.bytes(), drawn.nonce(), *drawn.random())
    };
    let waiting = &realm.waiting;
    Ok(Drawn {
        sign_in: waiting.begin(asker.project, asker.device, step, now, ends, &mut rng)?,
        challenge,
        nonce,
        issued: now,
        random,
    })
}

fn take_challenge<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    method: ChallengeMethod,
) -> Result<Challenge, Problem> {
    let mut challenges = realm.waiting.challenges();
    challenges
        .take(method, asker.project.as_str(), &asker.device.0, realm.now())
        .map_err(|_| Code::SignInRefused.into())
}

/// Verifies what ends a sign-in that was begun by the same device for the same project.
pub(super) async fn prove<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    sign_in: &SignInHandle,
    proof: &Proof,
) -> Result<Proven, Problem> {
    if let Proof::EmailCode { code, new_password } = proof {
        return match new_password {
            None => Ok(email::finish(realm, asker, sign_in, code)?.0),
            Some(new) => set_password(realm, asker, project, sign_in, code, new).await,
        };
    }
    // Whatever the proof is worth, it was shown: what was begun is used up by it.
    let step = realm
        .waiting
        .take(asker.project, asker.device, sign_in, realm.now())?;
    match (step, proof) {
        (
            Step::Password(email),
            Proof::Password {
                password,
                new_password,
            },
        ) => {
            let new = new_password.as_deref();
            password::finish(realm, asker, project, &email, (password, new)).await
        }
        (Step::Provider { name, id }, Proof::Provider { callback }) => {
            provider::finish(realm, asker, project, (name, id), callback).await
        }
        (Step::Token { issuer, salt }, Proof::Token { token }) => {
            provider::finish_token(realm, asker, project, (issuer, salt), token).await
        }
        (Step::Ethereum, Proof::Ethereum { message, signature }) => {
            wallet::ethereum(realm, asker, project, message, signature).await
        }
        (Step::Solana, Proof::Solana { message, signature }) => {
            wallet::solana(realm, asker, project, message, signature)
        }
        (Step::Farcaster, Proof::Farcaster { message, signature }) => {
            wallet::farcaster(realm, asker, project, message, signature).await
        }
        (Step::Passkey, Proof::Passkey(assertion)) => {
            passkey::finish(realm, asker, project, assertion).await
        }
        (Step::NewPasskey { user, name }, Proof::NewPasskey(made)) => {
            passkey::finish_new(realm, asker, project, (user, name), made)
        }
        // A second factor alone, or the proof of another method than was begun.
        _ => Err(Code::SignInRefused.into()),
    }
}

/// Takes a new password for an address on the word of a code that was mailed to it.
async fn set_password<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    sign_in: &SignInHandle,
    code: &str,
    new: &str,
) -> Result<Proven, Problem> {
    if project.sign_in.password.is_none() {
        return Err(Code::MethodOff.into());
    }
    // Before the code, so that a password that will not do does not use it up.
    let address = email::address(realm, asker, sign_in);
    let new = password::parse_new(project, address.as_ref(), new)?;
    let (mut proven, email) = email::finish(realm, asker, sign_in, code)?;
    proven.keep.password = Some(password::hash(realm, asker, project, &email, &new).await?);
    proven.keep.other_password = true;
    Ok(proven)
}

/// Checks the proof, finds or makes the account, enrols the device, starts a session.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<SignInFinish>,
) -> Result<Delivered<SignedIn>, Problem> {
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
    let mut proven = prove(realm, &asker, &project, &body.sign_in, &body.proof).await?;
    let auth_time = realm.now();

    let owner = account::find_or_make(realm, request.project(), &proven).await?;
    let evidence = request.evidence(core::mem::take(&mut proven.evidence));
    let (device, limits) = (request.device(), &project.sign_in.limits);
    let state = account::enrol(realm, &owner, device, evidence, &proven, limits).await?;
    let session = SessionRecord {
        sid: SessionId::random(&mut realm.core.rng()?),
        jkt: request.thumbprint(),
        auth_time,
        ends: auth_time.saturating_add(project.sign_in.session_seconds),
        amr: proven.amr.iter().map(|&amr| amr.to_owned()).collect(),
        acr: proven.acr.to_owned(),
        proved: Some((proven.level, auth_time)),
    };
    let begun = account::start_session(
        realm,
        &owner,
        device,
        &body.device_name,
        &proven,
        account::Begin {
            session: session.clone(),
            state,
            limits,
        },
    )
    .await?;
    let account = begun.account;
    if begun.tell_password {
        let notice = Notice::Changed {
            what: Changed::Password,
            device: request.thumbprint(),
        };
        notify(realm, &project, &account, &notice);
    }
    if begun.tell_device {
        let notice = Notice::NewDevice {
            device: request.thumbprint(),
            waits: state != DeviceState::Active,
        };
        notify(realm, &project, &account, &notice);
    }
    if let Some(code) = begun.refused {
        return Err(code.into());
    }
    let issued = issue(realm, &project, &account, &session, state, body.delivery)?;
    account::tell_app(realm, &account, &session, proven.method, state, begun.ended);
    let shown = account.wallets().filter(|_| state == DeviceState::Active);
    Ok(Delivered {
        answer: SignedIn {
            account: owner.account,
            session: session.sid,
            attestation: issued.attestation,
            attestation_expires: issued.expires,
            session_ends: session.ends,
            device: state,
            wallets: shown.map(WalletRecord::info).collect(),
        },
        cookie: issued.cookie,
    })
}

/// Settings are checked before they are kept, so this is a defect.
fn unusable(error: impl core::fmt::Display) -> Problem {
    tracing::error!(%error, "a stored project's settings");
    Problem::internal("a stored project's settings are not usable")
}
