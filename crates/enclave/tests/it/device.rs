//! A device: signs requests, seals them, opens the answers.

use std::sync::Arc;

use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk, Thumbprint};
use keyfold_crypto::testing::SeededRng;
use keyfold_enclave::Enclave;
use keyfold_protocol::client_api::*;
use keyfold_protocol::delivery::{CookieChange, Delivery, HeldAttestation, Renew};
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{AttestationRequest, Attested, host_path};
use keyfold_protocol::ids::{AccountId, AddressId, Digest32, RealmId, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::{EncodedKeyConfig, InnerRequest, encapsulate};
use keyfold_protocol::session::attestation_hash;
use keyfold_protocol::sign_in::{
    Method, Proof, ShowProof, SignInFinish, SignInStart, SignInStarted,
};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureParams, UnsignedRequest, content_digest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::world::{Machine, World, ask, ask_with, json};

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// What the host is asked to do with the client's cookie.
    pub(crate) cookie: Option<CookieChange>,
}

impl Reply {
    pub(crate) fn ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn problem(&self) -> ProblemBody {
        assert_ne!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> Option<Code> {
        (self.status != 200).then(|| self.problem().code)
    }

    pub(crate) fn detail(&self) -> String {
        self.problem().detail.unwrap_or_default()
    }
}

/// The text of an attestation that was delivered so.
pub(crate) fn text(held: &HeldAttestation) -> String {
    held.text().unwrap().to_owned()
}

pub(crate) struct Device {
    pub(crate) world: Arc<World>,
    pub(crate) enclave: Arc<Enclave<Machine>>,
    pub(crate) key: DeviceSigningKey,
    pub(crate) project: String,
    pub(crate) attestation: String,
    /// Where the attestation is in a cookie: its hash, and what the cookie holds.
    pub(crate) cookie: Option<(Digest32, String)>,
    /// The account that it signed in to last.
    pub(crate) account: Option<AccountId>,
}

impl Device {
    pub(crate) fn new(world: Arc<World>, enclave: Arc<Enclave<Machine>>, project: &str) -> Self {
        let mut rng = SeededRng::new(50_000 + world.seed());
        Self {
            key: DeviceSigningKey::generate_p256(&mut rng),
            world,
            enclave,
            project: project.to_owned(),
            attestation: String::new(),
            account: None,
            cookie: None,
        }
    }

    pub(crate) fn jwk(&self) -> PublicJwk {
        self.key.public_jwk()
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.jwk().thumbprint()
    }

    pub(crate) fn fresh(&self) -> u128 {
        u128::from(self.world.seed())
    }

    pub(crate) fn realm(&self) -> RealmId {
        self.world
            .holder(1, |holder| holder.realm.as_ref().unwrap().id())
    }

    pub(crate) fn plain(&self, operation: Operation) -> Intent {
        Intent::Plain {
            operation,
            id: RequestId::from_bytes(self.fresh().to_be_bytes()),
        }
    }

    /// Signs a request; nothing is sent yet.
    pub(crate) fn sign(&self, path: &str, intent: &Intent, body: &impl Serialize) -> InnerRequest {
        let body = serde_json::to_vec(body).unwrap();
        self.sign_bytes(
            path,
            &intent.to_field(),
            intent.operation().precedes_session(),
            body,
        )
    }

    pub(crate) fn sign_bytes(
        &self,
        path: &str,
        intent: &str,
        before_session: bool,
        body: Vec<u8>,
    ) -> InnerRequest {
        let hash = match &self.cookie {
            Some((hash, _)) => *hash,
            None => Digest32::from_bytes(attestation_hash(&self.attestation)),
        };
        let session = (!before_session).then(|| hash.to_string());
        let device = DeviceHeaders {
            realm: self.realm().to_string(),
            project: self.project.clone(),
            intent: intent.to_owned(),
            session: session.clone(),
        };
        let authority = self.enclave.instance().to_string();
        let digest = content_digest(&body);
        let components = Components {
            method: "POST".to_owned(),
            authority: authority.clone(),
            path: path.to_owned(),
            query: "?".to_owned(),
            content_digest: digest.clone(),
            device: Some(device.clone()),
        };
        let profile = if before_session {
            Profile::SignIn
        } else {
            Profile::Request
        };
        let unsigned = UnsignedRequest::new(
            profile,
            components,
            &SignatureParams {
                created: self.world.now(),
                lifetime_seconds: 60,
                nonce: &format!("{:032x}", self.fresh()),
                key_id: &self.thumbprint().to_string(),
            },
        )
        .unwrap();
        let signature = self.key.sign(unsigned.signature_base());
        let signed = unsigned.with_signature(&signature);
        let mut headers: Vec<(String, String)> = vec![
            (header::REALM.into(), device.realm),
            (header::PROJECT.into(), device.project),
            (header::INTENT.into(), device.intent),
            (header::CONTENT_DIGEST.into(), digest),
            (header::SIGNATURE_INPUT.into(), signed.signature_input),
            (header::SIGNATURE.into(), signed.signature),
        ];
        if let Some(session) = session {
            headers.push((header::SESSION.into(), session));
            if self.cookie.is_none() {
                headers.push((header::ATTESTATION.into(), self.attestation.clone()));
            }
            headers.push((
                header::DEVICE.into(),
                serde_json::to_string(&self.jwk()).unwrap(),
            ));
        }
        InnerRequest {
            method: "POST".into(),
            authority,
            path_and_query: path.into(),
            headers,
            body: body.into(),
        }
    }

    pub(crate) async fn config(&self) -> EncodedKeyConfig {
        let body = AttestationRequest {
            nonce: Digest32::from_bytes([3; 32]),
        };
        let body = serde_json::to_vec(&body).unwrap();
        let attested: Attested =
            json(&ask(&self.enclave, "POST", host_path::ATTESTATION, body).await);
        EncodedKeyConfig::parse(&attested.binding.ohttp_config).unwrap()
    }

    /// Seals a request, sends it, opens the answer.
    pub(crate) async fn send(&self, request: &InnerRequest) -> Reply {
        let beside = self.cookie.as_ref().map(|(_, sealed)| sealed.clone());
        self.send_with(request, beside).await
    }

    /// As [`Device::send`], with what the host passes beside it.
    pub(crate) async fn send_with(&self, request: &InnerRequest, beside: Option<String>) -> Reply {
        let (sealed, context) = encapsulate(&self.config().await, request).unwrap();
        let outer = ask_with(&self.enclave, "POST", host_path::OHTTP, beside, sealed).await;
        let cookie = outer.set_session;
        if outer.status != 200 {
            return Reply {
                status: outer.status,
                body: String::from_utf8(outer.body).unwrap(),
                cookie,
            };
        }
        let inner = context.open(&outer.body).unwrap();
        Reply {
            status: inner.status,
            body: String::from_utf8(inner.body).unwrap(),
            cookie,
        }
    }

    pub(crate) async fn in_session(
        &self,
        path: &str,
        operation: Operation,
        body: &impl Serialize,
    ) -> Reply {
        self.send(&self.sign(path, &self.plain(operation), body))
            .await
    }

    pub(crate) async fn before_session(
        &self,
        path: &str,
        operation: Operation,
        body: &impl Serialize,
    ) -> Reply {
        self.in_session(path, operation, body).await
    }

    /// Begins a sign-in by any method.
    pub(crate) async fn start_by(&self, how: Method) -> Reply {
        let body = SignInStart {
            how,
            device: self.jwk(),
            account: self.account,
        };
        self.before_session(path::SIGN_IN_START, Operation::SignInStart, &body)
            .await
    }

    /// Shows any proof.
    pub(crate) async fn finish_by(&self, started: &SignInStarted, proof: Proof) -> Reply {
        self.finish_to(started, proof, Delivery::Body).await
    }

    pub(crate) async fn finish_with(
        &self,
        started: &SignInStarted,
        code: &str,
        delivery: Delivery,
    ) -> Reply {
        self.finish_to(started, by_code(code), delivery).await
    }

    async fn finish_to(&self, started: &SignInStarted, proof: Proof, delivery: Delivery) -> Reply {
        let body = SignInFinish {
            sign_in: started.sign_in,
            proof,
            device: self.jwk(),
            device_name: "laptop".to_owned(),
            delivery,
        };
        let intent = match body.proof.is_named() {
            true => Intent::FinishSignIn {
                id: RequestId::from_bytes(self.fresh().to_be_bytes()),
                proof: body.proof.digest(),
            },
            false => self.plain(Operation::SignInFinish),
        };
        self.send(&self.sign(path::SIGN_IN_FINISH, &intent, &body))
            .await
    }

    /// Shows a proof within the session.
    pub(crate) async fn show(&self, path: &str, started: &SignInStarted, proof: Proof) -> Reply {
        let id = RequestId::from_bytes(self.fresh().to_be_bytes());
        let intent = match path {
            path::IDENTITY_LINK if proof.is_named() => Intent::LinkIdentity {
                id,
                proof: proof.digest(),
            },
            path::IDENTITY_LINK => self.plain(Operation::LinkIdentity),
            _ => self.plain(Operation::StepUp),
        };
        let body = ShowProof {
            sign_in: started.sign_in,
            proof,
        };
        self.send(&self.sign(path, &intent, &body)).await
    }

    pub(crate) async fn start(&self, email: &str) -> Reply {
        let email = email.to_owned();
        self.start_by(Method::EmailCode { email }).await
    }

    pub(crate) async fn finish(&self, started: &SignInStarted, code: &str) -> Reply {
        self.finish_by(started, by_code(code)).await
    }

    pub(crate) async fn sign_in(&mut self, email: &str) -> SignedIn {
        let started: SignInStarted = self.start(email).await.ok();
        let signed_in: SignedIn = self.finish(&started, &self.world.code()).await.ok();
        self.attestation = text(&signed_in.attestation);
        self.account = Some(signed_in.account);
        signed_in
    }

    pub(crate) async fn renew(&self) -> Reply {
        self.renew_to(Delivery::Body).await
    }

    pub(crate) async fn renew_to(&self, delivery: Delivery) -> Reply {
        self.in_session(path::RENEW, Operation::Renew, &Renew { delivery })
            .await
    }

    /// Goes on with a fresh attestation, which names the wallets made meanwhile.
    pub(crate) async fn renewed(&mut self) {
        let renewed: Renewed = self.renew().await.ok();
        self.attestation = text(&renewed.attestation);
    }

    pub(crate) async fn create_wallet(&self, label: &str) -> Reply {
        let body = CreateWallet {
            label: label.to_owned(),
        };
        self.in_session(path::WALLET_CREATE, Operation::CreateWallet, &body)
            .await
    }

    pub(crate) fn order_list(&self) -> InnerRequest {
        self.sign(
            path::WALLET_LIST,
            &self.plain(Operation::ListWallets),
            &Nothing {},
        )
    }

    pub(crate) async fn wallets(&self) -> Reply {
        self.in_session(path::WALLET_LIST, Operation::ListWallets, &Nothing {})
            .await
    }

    pub(crate) fn order(&self, wallet: &WalletInfo, request: &SignRequest) -> InnerRequest {
        let transaction = matches!(request.payload, WirePayload::Transaction { .. });
        let intent = Intent::Sign {
            operation: if transaction {
                Operation::SignTransaction
            } else {
                Operation::SignMessage
            },
            id: RequestId::from_bytes(self.fresh().to_be_bytes()),
            key_use: KeyUse {
                wallet: AddressId::from_bytes(wallet.address.into()),
                key: wallet.key,
                digest: request.digest().unwrap().1,
            },
        };
        let path = if transaction {
            path::SIGN_TRANSACTION
        } else {
            path::SIGN_MESSAGE
        };
        self.sign(path, &intent, request)
    }

    pub(crate) async fn sign_with(&self, wallet: &WalletInfo, request: &SignRequest) -> Reply {
        self.send(&self.order(wallet, request)).await
    }
}

/// The proof that a mailed code is.
pub(crate) fn by_code(code: &str) -> Proof {
    Proof::EmailCode {
        code: code.to_owned().into(),
        new_password: None,
    }
}
