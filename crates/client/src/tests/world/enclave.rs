//! What an enclave does: verify as the real one does, then answer.

use alloy_primitives::{Address, B256};
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_protocol::app_server::{ActiveToken, IdToken, Introspect, Introspection, IssueIdToken};
use keyfold_protocol::client_api::{
    ApproveDevice, CreateWallet, Nothing, Renewed, Revocation, RevokeDevice, RevokeSession,
    Revoked, Sessions, SignRequest, Signed, SignedIn, SignedOut, WalletInfo, Wallets, header, path,
};
use keyfold_protocol::delivery::{Delivery, HeldAttestation, Renew, SealedAttestation};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::ids::{
    AddressId, CookieSlot, Digest32, InstanceId, ProjectId, RealmId, SessionId, SignInHandle,
};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_protocol::sign_in::{Next, SignInStarted};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignedComponents, VerifiedRequest, check_body,
    verify_device,
};
use keyfold_wallet::ValidConfig;
use keyfold_wallet::config::default_tree;

use super::CODE;
use super::host::{State, answer, problem};
use super::wallets::{info, owner, sign};
use crate::OuterResponse;

/// Names the cookie of every device.
pub(super) const SLOT: [u8; 8] = [0x51; 8];

/// `None` where the cookie holds another attestation than the one that was signed for.
fn verify(
    realm: RealmId,
    id: InstanceId,
    request: &InnerRequest,
    passed: Option<&str>,
    now: u64,
) -> Option<VerifiedRequest> {
    let field = |name| request.header(name).map(str::to_owned);
    let in_body = field(header::ATTESTATION);
    let is_cookie = in_body.is_none();
    let attestation = in_body.or(passed.map(str::to_owned));
    let profile = if field(header::SESSION).is_some() {
        Profile::Request
    } else {
        Profile::SignIn
    };
    let signed = SignedComponents {
        components: Components {
            method: request.method.clone(),
            authority: request.authority.clone(),
            path: request.path_and_query.clone(),
            query: "?".into(),
            content_digest: field(header::CONTENT_DIGEST).unwrap(),
            device: Some(DeviceHeaders {
                realm: field(header::REALM).unwrap(),
                project: field(header::PROJECT).unwrap(),
                intent: field(header::INTENT).unwrap(),
                session: field(header::SESSION),
            }),
        },
        signature_input: field(header::SIGNATURE_INPUT).unwrap(),
        signature: field(header::SIGNATURE).unwrap(),
    };
    let device: PublicJwk = match field(header::DEVICE) {
        Some(text) => serde_json::from_str(&text).unwrap(),
        None => {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let names = ["device", "administrator", "server"];
            let key = names.iter().find_map(|name| body.get(name)).unwrap();
            serde_json::from_value(key.clone()).unwrap()
        }
    };
    let verified = verify_device(profile, &signed, &device, now).unwrap();
    check_body(&verified.components, &request.body).unwrap();
    assert_eq!(verified.components.authority, id.to_string());
    assert_eq!(verified.realm, realm);
    if let Some(jwt) = &attestation {
        let hash = keyfold_protocol::session::attestation_hash(jwt);
        if is_cookie && verified.session != Some(Digest32::from_bytes(hash)) {
            return None;
        }
        assert_eq!(verified.session, Some(Digest32::from_bytes(hash)));
        assert!(
            jwt.ends_with(&format!("/{}", verified.device)),
            "another device's attestation"
        );
    }
    assert_eq!(verified.session.is_some(), attestation.is_some());
    Some(verified)
}

impl State {
    pub(super) fn enclave(
        &mut self,
        id: InstanceId,
        request: &InnerRequest,
        now: u64,
    ) -> OuterResponse {
        let passed = self.passed.take();
        if request.header(header::SESSION).is_some()
            && request.header(header::ATTESTATION).is_none()
            && passed.is_none()
        {
            return problem(Code::SessionMissing);
        }
        let realm = self.record.record.id();
        let Some(verified) = verify(realm, id, request, passed.as_deref(), now) else {
            self.overtaken += 1;
            return problem(Code::SessionInvalid);
        };
        let intent = &verified.intent;
        self.opened
            .push((intent.request_id(), request.path_and_query.clone()));
        self.nonces.push(verified.nonce.clone());
        if let Some(code) = self.refuse_after_opening.take() {
            return problem(code);
        }
        let body = &request.body;
        match (request.path_and_query.as_str(), intent.operation()) {
            (path::SIGN_IN_START, Operation::SignInStart) => answer(&SignInStarted {
                sign_in: SignInHandle::from_bytes([1; 16]),
                expires: now + 600,
                next: Next::Code {},
            }),
            (path::SIGN_IN_FINISH, Operation::SignInFinish) => {
                self.finish_sign_in(&verified, body, now)
            }
            (path::RENEW, Operation::Renew) => {
                let Renew { delivery } = serde_json::from_slice(body).unwrap();
                answer(&Renewed {
                    attestation: self.issue(verified.device, delivery),
                    attestation_expires: now + self.attestation_seconds,
                    device: DeviceState::Active,
                })
            }
            (path::SIGN_OUT, Operation::SignOut) => answer(&SignedOut {
                state: Revocation::Done,
            }),
            (path::WALLET_CREATE, Operation::CreateWallet) => self.create_wallet(body),
            (path::WALLET_LIST, Operation::ListWallets) => answer(&Wallets {
                wallets: self.told_wallets(),
            }),
            (path::DEVICE_APPROVE, Operation::ApproveDevice) => {
                let asked: ApproveDevice = serde_json::from_slice(body).unwrap();
                let Intent::ApproveDevice { device, .. } = intent else {
                    return problem(Code::IntentMismatch);
                };
                assert_eq!(
                    asked.device, *device,
                    "the device signed another one's name"
                );
                self.approved.push(*device);
                answer(&Nothing {})
            }
            (path::DEVICE_REVOKE, Operation::RevokeDevice) => {
                let asked: RevokeDevice = serde_json::from_slice(body).unwrap();
                let Intent::RevokeDevice { device, .. } = intent else {
                    return problem(Code::IntentMismatch);
                };
                assert_eq!(asked.device, *device);
                self.revoked.push(device.to_string());
                answer(&self.how_far())
            }
            (path::DEVICE_REVOKE_OTHERS, Operation::RevokeDevices) => {
                self.revoked.push("others".to_owned());
                answer(&self.how_far())
            }
            (path::SESSION_LIST, Operation::ListSessions) => answer(&Sessions {
                sessions: Vec::new(),
            }),
            (path::SESSION_REVOKE, Operation::RevokeSession) => {
                let asked: RevokeSession = serde_json::from_slice(body).unwrap();
                let Intent::RevokeSession { session, .. } = intent else {
                    return problem(Code::IntentMismatch);
                };
                assert_eq!(asked.session, *session);
                self.revoked.push(session.to_string());
                answer(&self.how_far())
            }
            (path::ID_TOKEN, Operation::IssueIdToken) => {
                let IssueIdToken { nonce } = serde_json::from_slice(body).unwrap();
                answer(&IdToken {
                    id_token: format!("id-token/{}", nonce.map(String::from).unwrap_or_default()),
                    expires: now + 300,
                })
            }
            (path::INTROSPECT, Operation::Introspect) => {
                let Introspect { token, server } = serde_json::from_slice(body).unwrap();
                assert_eq!(server.thumbprint(), verified.device);
                answer(&self.introspect(&token, now))
            }
            (path::SIGN_MESSAGE, Operation::SignMessage)
            | (path::SIGN_TRANSACTION, Operation::SignTransaction) => self.sign(intent, body),
            _ => problem(Code::IntentMismatch),
        }
    }

    /// The first holders to be asked are away.
    fn how_far(&self) -> Revoked {
        let state = match self.revoked.len() {
            1 => Revocation::Pending,
            _ => Revocation::Done,
        };
        Revoked { state }
    }

    /// A token is what it is good for: its project, or nothing.
    fn introspect(&self, token: &str, now: u64) -> Introspection {
        let Ok(project) = token.parse::<ProjectId>() else {
            return Introspection::Inactive;
        };
        Introspection::Active(Box::new(ActiveToken {
            iss: self.record.record.id().to_string(),
            aud: project.clone(),
            client_id: project,
            sub: self.account,
            sid: SessionId::from_bytes([5; 16]),
            auth_time: now,
            amr: vec!["otp".to_owned()],
            acr: "email-code".to_owned(),
            iat: now,
            exp: now + 300,
            jti: "1".to_owned(),
            cnf: None,
        }))
    }

    fn finish_sign_in(
        &mut self,
        verified: &VerifiedRequest,
        body: &[u8],
        now: u64,
    ) -> OuterResponse {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        if body["proof"]["code"] != CODE {
            return problem(Code::SignInRefused);
        }
        let delivery = match body["delivery"].as_str() {
            Some("cookie") => Delivery::Cookie,
            _ => Delivery::Body,
        };
        answer(&SignedIn {
            account: self.account,
            session: SessionId::from_bytes([5; 16]),
            attestation: self.issue(verified.device, delivery),
            attestation_expires: now + self.attestation_seconds,
            session_ends: now + self.session_seconds,
            device: DeviceState::Active,
            wallets: self.told_wallets(),
        })
    }

    /// Makes an attestation, and puts it where it is wanted.
    fn issue(&mut self, device: Thumbprint, delivery: Delivery) -> HeldAttestation {
        self.signed_in += 1;
        let text = HeldAttestation::Text(format!("attestation-{}/{device}", self.signed_in));
        if delivery == Delivery::Body {
            self.cookie = None;
            return text;
        }
        self.cookie = text.text().map(str::to_owned);
        let wallets = self.wallets.iter();
        HeldAttestation::Cookie(SealedAttestation {
            hash: text.hash(),
            slot: CookieSlot::from_bytes(SLOT),
            key: Thumbprint([8; 32]),
            wallets: wallets
                .map(|w| AddressId::from_bytes(w.address.into_array()))
                .collect(),
        })
    }

    fn create_wallet(&mut self, body: &[u8]) -> OuterResponse {
        let CreateWallet { label } = serde_json::from_slice(body).unwrap();
        if !self.wallets.iter().any(|wallet| wallet.label == label) {
            let config = default_tree(Address::from(owner(1).address()), None).unwrap();
            self.wallets.push(info(&label, &config));
        }
        let told = self.told_wallets();
        answer(
            told.iter()
                .find(|wallet| wallet.label == label)
                .unwrap_or(&told[0]),
        )
    }

    fn sign(&self, intent: &Intent, body: &[u8]) -> OuterResponse {
        let request: SignRequest = serde_json::from_slice(body).unwrap();
        let (_, digest) = request.digest().unwrap();
        let key_use = intent.key_use().unwrap();
        assert_eq!(key_use.digest, digest);
        assert_eq!(key_use.wallet.as_bytes(), request.wallet.as_slice());
        let wallet = self
            .wallets
            .iter()
            .find(|w| w.address == request.wallet)
            .unwrap();
        assert_eq!(key_use.key, wallet.key);
        let config = ValidConfig::new(wallet.config.clone()).unwrap();
        let mut signed = Signed {
            digest,
            signature: sign(&config, 1, B256::from(*digest.as_bytes())),
        };
        if let Some(alter) = &self.alter_signed {
            alter(&mut signed);
        }
        answer(&signed)
    }

    fn told_wallets(&self) -> Vec<WalletInfo> {
        let mut told = self.wallets.clone();
        if let Some(alter) = &self.alter_wallet {
            told.iter_mut().for_each(alter);
        }
        told
    }
}
