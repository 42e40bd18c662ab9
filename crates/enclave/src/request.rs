//! From an opened request to one that a handler may act on: every check, in one place, in order.
//!
//! 1. The path names a route (the caller did that).
//! 2. Method, headers and body are of their form and size.
//! 3. The device's signature verifies, with the key the request names (RFC 9421).
//! 4. It is addressed to this realm and this instance, and the body has the signed digest.
//! 5. The session attestation, in the request or in the cookie beside it, is ours, for this project, this device, this hour, and the one that
//!    was signed. Before the nonce, so that only who has a session can use room for nonces up.
//! 6. Its nonce is new.
//! 7. The intent says what the body asks for.
//!
//! # Security
//!
//! [`SignInRequest`] and [`SessionRequest`] have private fields and no other constructors, so a
//! handler that takes one cannot run before all of this was checked.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256};
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_protocol::account::{ConfirmTotp, UnlinkIdentity};
use keyfold_protocol::app_server::{Introspect, IssueIdToken};
use keyfold_protocol::client_api::{
    ApproveDevice, CreateProject, CreateWallet, MAX_BODY, Nothing, RevokeDevice, RevokeSession,
    SignRequest, header,
};
use keyfold_protocol::config::{ConfigChange, OfWallet, UpdateConfig, published_root};
use keyfold_protocol::delivery::{CookieChange, Delivery, Renew};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Evidence, Item};
use keyfold_protocol::ids::{Digest32, InstanceId, KeyId, ProjectId, RealmId, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_protocol::project::{StepUp, StepUpRules};
use keyfold_protocol::project_command::{ChangeProject, ShowProject};
use keyfold_protocol::session::{
    AttestationKeySet, Expired, SessionError, SessionExpectation, VerifiedSession, verify,
};
use keyfold_protocol::sign_in::{ShowProof, SignInFinish, SignInStart};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureError, SignedComponents, VerifiedRequest,
    check_body, verify_device,
};
use serde::de::DeserializeOwned;

use crate::delivery::Owner;
use crate::keys::RealmKeys;
use crate::nonces::{NonceError, NonceWindow};
use crate::problem::Problem;

/// Longest JSON of a device's key, bytes.
const MAX_DEVICE_LEN: usize = 512;

/// What requests are verified against.
pub(crate) struct Verifier {
    pub(crate) realm: RealmId,
    pub(crate) instance: InstanceId,
    pub(crate) keys: AttestationKeySet,
    pub(crate) realm_keys: Arc<RealmKeys>,
    /// Nonces of sessions and of sign-ins apart, so that strangers cannot fill the former.
    pub(crate) session_nonces: Mutex<NonceWindow>,
    pub(crate) sign_in_nonces: Mutex<NonceWindow>,
}

/// A body that knows how the signed intent must speak of it.
pub(crate) trait Body: DeserializeOwned {
    /// What a handler gets.
    type Checked;

    /// Checks the intent against the body.
    fn check(self, intent: &Intent) -> Result<Self::Checked, Problem>;
}

/// A body of a request before there is a session: it names the key that signed it.
pub(crate) trait NamesDevice: Body {
    /// The key.
    fn device(&self) -> &PublicJwk;
}

/// A request of a device before there is a session, verified.
pub(crate) struct SignInRequest<B: Body> {
    body: B::Checked,
    verified: VerifiedRequest,
    signed: SignedComponents,
    device: PublicJwk,
}

/// A request of a device within its session, verified.
pub(crate) struct SessionRequest<B: Body> {
    body: B::Checked,
    verified: VerifiedRequest,
    signed: SignedComponents,
    device: PublicJwk,
    session: VerifiedSession,
    attestation: String,
    delivery: Delivery,
}

impl<B: NamesDevice> SignInRequest<B> {
    /// Verifies a request.
    pub(crate) fn verify(
        verifier: &Verifier,
        operation: Operation,
        request: &InnerRequest,
        now: u64,
    ) -> Result<Self, Problem> {
        let body: B = read_body(request)?;
        let device = *body.device();
        let signed = signed_components(request, Profile::SignIn)?;
        let verified = verifier.signature(Profile::SignIn, request, &signed, &device, now)?;
        use_nonce(&verifier.sign_in_nonces, &verified, now)?;
        let body = checked(body, operation, &verified.intent)?;
        Ok(Self {
            body,
            verified,
            signed,
            device,
        })
    }

    pub(crate) fn body(&self) -> &B::Checked {
        &self.body
    }

    pub(crate) fn project(&self) -> &ProjectId {
        &self.verified.project
    }

    pub(crate) fn device(&self) -> &PublicJwk {
        &self.device
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.verified.device
    }

    /// What holders are shown: the request, and what else they can verify themselves.
    pub(crate) fn evidence(&self, more: Vec<Item>) -> Evidence {
        let mut items = vec![Item::Request {
            signed: self.signed.clone(),
            jwk: self.device,
        }];
        items.extend(more);
        Evidence::new(items)
    }
}

impl<B: Body> SessionRequest<B> {
    /// Verifies a request. What the host passed beside it counts where it has no attestation itself.
    pub(crate) fn verify(
        verifier: &Verifier,
        operation: Operation,
        request: &InnerRequest,
        beside: Option<&str>,
        now: u64,
    ) -> Result<Self, Problem> {
        let body: B = read_body(request)?;
        let device = device_header(request)?;
        let signed = signed_components(request, Profile::Request)?;
        let came = request
            .header(header::ATTESTATION)
            .map(|text| (Delivery::Body, text))
            .or(beside.map(|sealed| (Delivery::Cookie, sealed)));
        let (delivery, came) = came.ok_or(Code::SessionMissing)?;
        let verified = verifier.signature(Profile::Request, request, &signed, &device, now)?;
        let attestation = match delivery {
            Delivery::Body => came.to_owned(),
            Delivery::Cookie => {
                let cookies = &verifier.realm_keys.cookies;
                cookies.open(verifier.owner(&verified), came, now)?
            }
        };
        let session = verifier.session(&verified, &attestation, now)?;
        use_nonce(&verifier.session_nonces, &verified, now)?;
        let body = checked(body, operation, &verified.intent)?;
        Ok(Self {
            body,
            verified,
            signed,
            device,
            session,
            attestation,
            delivery,
        })
    }

    pub(crate) fn body(&self) -> &B::Checked {
        &self.body
    }

    pub(crate) fn project(&self) -> &ProjectId {
        &self.verified.project
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.verified.device
    }

    pub(crate) fn device(&self) -> &PublicJwk {
        &self.device
    }

    pub(crate) fn session(&self) -> &VerifiedSession {
        &self.session
    }

    /// Whose request it is.
    pub(crate) fn owner(&self) -> AccountRef {
        AccountRef {
            project: self.verified.project.clone(),
            account: self.session.claims().sub,
        }
    }

    /// Unix seconds until which the device's signature is accepted.
    pub(crate) fn expires(&self) -> u64 {
        self.verified.expires
    }

    pub(crate) fn request_id(&self) -> RequestId {
        self.verified.intent.request_id()
    }

    /// What takes the cookie away that its attestation came in; `None` where it came otherwise.
    pub(crate) fn clear_cookie(&self, verifier: &Verifier) -> Option<CookieChange> {
        let slot = || {
            let cookies = &verifier.realm_keys.cookies;
            cookies.slot(verifier.owner(&self.verified))
        };
        (self.delivery == Delivery::Cookie).then(|| CookieChange::Clear { slot: slot() })
    }

    /// What holders are shown.
    pub(crate) fn evidence(&self) -> Evidence {
        self.evidence_and(Vec::new())
    }

    /// As [`SessionRequest::evidence`], and what else they can verify themselves.
    pub(crate) fn evidence_and(&self, more: Vec<Item>) -> Evidence {
        let mut items = vec![
            Item::Request {
                signed: self.signed.clone(),
                jwk: self.device,
            },
            Item::Session {
                attestation: self.attestation.clone(),
            },
        ];
        items.extend(more);
        Evidence::new(items)
    }
}

impl Verifier {
    fn owner<'a>(&self, verified: &'a VerifiedRequest) -> Owner<'a> {
        Owner {
            realm: self.realm,
            project: &verified.project,
            device: verified.device,
        }
    }

    fn signature(
        &self,
        profile: Profile,
        request: &InnerRequest,
        signed: &SignedComponents,
        device: &PublicJwk,
        now: u64,
    ) -> Result<VerifiedRequest, Problem> {
        let verified = verify_device(profile, signed, device, now).map_err(signature_problem)?;
        if verified.realm != self.realm {
            return Err(Code::WrongRealm.into());
        }
        if verified.components.authority != self.instance.to_string() {
            return Err(Code::UnknownInstance.into());
        }
        check_body(&verified.components, &request.body).map_err(signature_problem)?;
        Ok(verified)
    }

    fn session(
        &self,
        verified: &VerifiedRequest,
        attestation: &str,
        now: u64,
    ) -> Result<VerifiedSession, Problem> {
        let expect = SessionExpectation {
            realm: &self.realm,
            project: &verified.project,
            now_unix_seconds: now,
            // Renewal is what an attestation that ran out is good for; the handler sees in the
            // account record that the session lasts.
            expired: if verified.intent.operation() == Operation::Renew {
                Expired::Accepted
            } else {
                Expired::Refused
            },
        };
        let session = verify(attestation, &self.keys, &expect).map_err(|error| match error {
            SessionError::Expired => Code::SessionExpired,
            _ => Code::SessionInvalid,
        })?;
        let hash = Digest32::from_bytes(session.attestation_hash());
        if session.device() != verified.device || verified.session != Some(hash) {
            return Err(Code::SessionInvalid.into());
        }
        Ok(session)
    }
}

fn read_body<B: DeserializeOwned>(request: &InnerRequest) -> Result<B, Problem> {
    if request.method != "POST" {
        return Err(Code::MethodNotAllowed.into());
    }
    if request.body.len() > MAX_BODY {
        return Err(Code::BodyTooLarge.into());
    }
    // Lists would pass for structures, field by field.
    if request.body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Code::MalformedRequest.into());
    }
    serde_json::from_slice(&request.body).map_err(|_| Code::MalformedRequest.into())
}

fn device_header(request: &InnerRequest) -> Result<PublicJwk, Problem> {
    let text = request
        .header(header::DEVICE)
        .ok_or(Code::SignatureMissing)?;
    if text.len() > MAX_DEVICE_LEN {
        return Err(Code::MalformedRequest.into());
    }
    serde_json::from_str(text).map_err(|_| Code::MalformedRequest.into())
}

/// What the signature must cover, taken from the request as it arrived.
fn signed_components(
    request: &InnerRequest,
    profile: Profile,
) -> Result<SignedComponents, Problem> {
    let missing = Problem::from(Code::SignatureMissing);
    let field = |name: &str| {
        request
            .header(name)
            .map(str::to_owned)
            .ok_or(missing.clone())
    };
    let (path, query) = match request.path_and_query.split_once('?') {
        Some((path, query)) => (path.to_owned(), format!("?{query}")),
        None => (request.path_and_query.clone(), "?".to_owned()),
    };
    let session = match profile {
        Profile::Request => Some(field(header::SESSION)?),
        _ => None,
    };
    Ok(SignedComponents {
        components: Components {
            method: request.method.clone(),
            authority: request.authority.clone(),
            path,
            query,
            content_digest: field(header::CONTENT_DIGEST)?,
            device: Some(DeviceHeaders {
                realm: field(header::REALM)?,
                project: field(header::PROJECT)?,
                intent: field(header::INTENT)?,
                session,
            }),
        },
        signature_input: field(header::SIGNATURE_INPUT)?,
        signature: field(header::SIGNATURE)?,
    })
}

fn use_nonce(
    window: &Mutex<NonceWindow>,
    verified: &VerifiedRequest,
    now: u64,
) -> Result<(), Problem> {
    window
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .use_up(verified.device, &verified.nonce, verified.expires, now)
        .map_err(|error| match error {
            NonceError::Reused => Code::NonceReused.into(),
            NonceError::Full => Code::RateLimited.into(),
        })
}

fn checked<B: Body>(body: B, operation: Operation, intent: &Intent) -> Result<B::Checked, Problem> {
    if intent.operation() != operation {
        return Err(Code::IntentMismatch.into());
    }
    body.check(intent)
}

fn signature_problem(error: SignatureError) -> Problem {
    match error {
        SignatureError::Expired => Code::SignatureExpired,
        SignatureError::DigestMismatch => Code::DigestMismatch,
        SignatureError::Intent(_) => Code::IntentMismatch,
        _ => Code::SignatureInvalid,
    }
    .into()
}

macro_rules! plain_bodies {
    ($($body:ty),*) => {
        $(impl Body for $body {
            type Checked = Self;

            fn check(self, _: &Intent) -> Result<Self, Problem> {
                Ok(self)
            }
        })*
    };
}

plain_bodies!(
    SignInStart,
    Nothing,
    Renew,
    CreateWallet,
    OfWallet,
    CreateProject,
    ConfirmTotp,
    StepUpRules,
    ChangeProject,
    ShowProject,
    IssueIdToken,
    Introspect
);

impl Body for UnlinkIdentity {
    type Checked = Self;

    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        match intent {
            Intent::UnlinkIdentity { identity, .. } if *identity == self.id => Ok(self),
            _ => Err(Code::IntentMismatch.into()),
        }
    }
}

impl Body for ShowProof {
    type Checked = Self;

    /// To link an identity, the device names what it links in its intent, where holders read it.
    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        let right = match intent {
            Intent::LinkIdentity { proof, .. } => *proof == self.proof.digest(),
            Intent::Plain { operation, .. } => {
                *operation == Operation::StepUp || !self.proof.is_named()
            }
            _ => false,
        };
        right.then_some(self).ok_or(Code::IntentMismatch.into())
    }
}

impl NamesDevice for SignInStart {
    fn device(&self) -> &PublicJwk {
        &self.device
    }
}

impl NamesDevice for SignInFinish {
    fn device(&self) -> &PublicJwk {
        &self.device
    }
}

impl NamesDevice for ChangeProject {
    fn device(&self) -> &PublicJwk {
        &self.administrator
    }
}

impl NamesDevice for ShowProject {
    fn device(&self) -> &PublicJwk {
        &self.administrator
    }
}

impl NamesDevice for Introspect {
    fn device(&self) -> &PublicJwk {
        &self.server
    }
}

impl NamesDevice for CreateProject {
    fn device(&self) -> &PublicJwk {
        &self.administrator
    }
}

impl Body for SignInFinish {
    type Checked = Self;

    /// An intent need not name the proof. One that does tells holders what the device showed.
    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        match intent {
            Intent::FinishSignIn { proof, .. } if *proof != self.proof.digest() => {
                Err(Code::IntentMismatch.into())
            }
            _ => Ok(self),
        }
    }
}

impl Body for ApproveDevice {
    type Checked = Self;

    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        match intent {
            Intent::ApproveDevice { device, .. } if *device == self.device => Ok(self),
            _ => Err(Code::IntentMismatch.into()),
        }
    }
}

impl Body for RevokeDevice {
    type Checked = Self;

    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        match intent {
            Intent::RevokeDevice { device, .. } if *device == self.device => Ok(self),
            _ => Err(Code::IntentMismatch.into()),
        }
    }
}

impl Body for RevokeSession {
    type Checked = Self;

    fn check(self, intent: &Intent) -> Result<Self, Problem> {
        match intent {
            Intent::RevokeSession { session, .. } if *session == self.session => Ok(self),
            _ => Err(Code::IntentMismatch.into()),
        }
    }
}

/// What is to be signed, with the digest that was computed from it here and that the device's
/// intent names.
pub(crate) struct SignOrder {
    pub(crate) request: SignRequest,
    /// The root that it tells the chain of, if that is what it does.
    pub(crate) publishes: Option<B256>,
    key_use: KeyUse,
}

impl Body for SignRequest {
    type Checked = SignOrder;

    fn check(self, intent: &Intent) -> Result<SignOrder, Problem> {
        let (payload, digest) = self
            .digest()
            .map_err(|error| Problem::new(Code::PayloadInvalid, error.to_string()))?;
        let key_use = *intent.key_use().ok_or(Code::IntentMismatch)?;
        if key_use.digest != digest || *key_use.wallet.as_bytes() != *self.wallet.0 {
            return Err(Code::IntentMismatch.into());
        }
        Ok(SignOrder {
            publishes: published_root(&self.wallet, &payload),
            request: self,
            key_use,
        })
    }
}

/// A change of a configuration, with the digest that follows from it and that the intent names.
pub(crate) struct UpdateOrder {
    pub(crate) update: UpdateConfig,
    key_use: KeyUse,
}

impl Body for UpdateConfig {
    type Checked = UpdateOrder;

    fn check(self, intent: &Intent) -> Result<UpdateOrder, Problem> {
        let Intent::UpdateConfig {
            key_use,
            previous,
            next,
            ..
        } = intent
        else {
            return Err(Code::IntentMismatch.into());
        };
        let same = key_use.digest == self.digest()
            && *key_use.wallet.as_bytes() == *self.wallet.0
            && *previous.as_bytes() == self.previous.0
            && *next.as_bytes() == self.next.0;
        if !same {
            return Err(Code::IntentMismatch.into());
        }
        Ok(UpdateOrder {
            update: self,
            key_use: *key_use,
        })
    }
}

/// What a wallet's key is to be used for.
pub(crate) trait Order: Send + Sync {
    /// The wallet.
    fn wallet(&self) -> Address;
    /// Which of its keys, for which digest.
    fn key_use(&self) -> &KeyUse;

    /// What fresh proof it needs, of the rules that hold.
    fn rule(&self, rules: &StepUpRules) -> Option<StepUp>;

    /// The key.
    fn key(&self) -> KeyId {
        self.key_use().key
    }

    /// The digest.
    fn digest(&self) -> Digest32 {
        self.key_use().digest
    }
}

impl Order for SignOrder {
    fn wallet(&self) -> Address {
        self.request.wallet
    }

    fn rule(&self, rules: &StepUpRules) -> Option<StepUp> {
        rules.signing
    }

    fn key_use(&self) -> &KeyUse {
        &self.key_use
    }
}

impl Order for UpdateOrder {
    fn wallet(&self) -> Address {
        self.update.wallet
    }

    /// Who may sign for a wallet, or take it over, is what recovery is about.
    fn rule(&self, rules: &StepUpRules) -> Option<StepUp> {
        let who_decides = matches!(
            self.update.change,
            ConfigChange::AddKey { .. }
                | ConfigChange::AddPasskey { .. }
                | ConfigChange::AddRecovery { .. }
                | ConfigChange::RemoveRecovery { .. }
                | ConfigChange::RotateOwner { .. }
        );
        rules.signing.max(rules.recovery.filter(|_| who_decides))
    }

    fn key_use(&self) -> &KeyUse {
        &self.key_use
    }
}
