//! The sealed channel by hand, so that a request can be wrong in any one way.

use keyfold_client::ids::{Digest32, InstanceId, RealmId, RequestId};
use keyfold_client::{Environment as _, Wallet};
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::client_api::{SignRequest, WirePayload, header, path};
use keyfold_protocol::gateway_api;
use keyfold_protocol::ids::AddressId;
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::ohttp::{
    EncodedKeyConfig, InnerRequest, REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE, ResponseContext,
    encapsulate,
};
use keyfold_protocol::registration::AttestedBinding;
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureParams, UnsignedRequest, content_digest,
};
use keyfold_testkit::system::{Ambient, CHAIN_ID, Https, System};
use serde_json::{Value, json};

use super::Person;
use super::edges::Reply;

/// An enclave that requests are sealed to.
pub(crate) struct Channel {
    pub(crate) https: Https,
    pub(crate) instance: InstanceId,
    pub(crate) realm: RealmId,
    config: EncodedKeyConfig,
}

/// A request before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) profile: Profile,
    pub(crate) method: String,
    pub(crate) authority: String,
    /// With `?` and query, where there is one.
    pub(crate) path: String,
    pub(crate) realm: String,
    pub(crate) project: String,
    pub(crate) intent: String,
    pub(crate) attestation: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) created: u64,
    pub(crate) lifetime: u64,
    pub(crate) nonce: String,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    Ambient.now_unix_ms() / 1000
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    Ambient.fill_random(&mut bytes).unwrap();
    bytes
}

pub(crate) fn request_id() -> RequestId {
    RequestId::from_bytes(random())
}

impl Channel {
    /// Asks the one instance for its keys.
    pub(crate) async fn open(system: &System) -> Self {
        let https = system.transport().unwrap();
        let client = system.device(&keyfold_testkit::system::new_key()).unwrap();
        let instance = client.instances().await.unwrap()[0];
        let target = gateway_api::path::ATTESTATION.replace("{instance}", &instance.to_string());
        let nonce = Digest32::from_bytes(random());
        let request = http::Request::post(target)
            .header("content-type", "application/json")
            .body(
                serde_json::to_vec(&json!({ "nonce": nonce }))
                    .unwrap()
                    .into(),
            )
            .unwrap();
        let answer = https.raw(request).await.unwrap();
        let attested: AttestedBinding = serde_json::from_slice(answer.body()).unwrap();
        Self {
            https,
            instance,
            realm: system.pin().realm,
            config: EncodedKeyConfig::parse(&attested.binding.ohttp_config).unwrap(),
        }
    }

    /// Drafts a request of a session.
    pub(crate) fn draft(
        &self,
        person: &Person,
        path: &str,
        intent: &Intent,
        body: &Value,
    ) -> Draft {
        Draft {
            profile: Profile::Request,
            attestation: person.session.attestation(),
            ..self.before_session(person.project.id.as_str(), path, intent, body)
        }
    }

    /// Drafts a request before there is a session.
    pub(crate) fn before_session(
        &self,
        project: &str,
        path: &str,
        intent: &Intent,
        body: &Value,
    ) -> Draft {
        Draft {
            profile: Profile::SignIn,
            method: "POST".to_owned(),
            authority: self.instance.to_string(),
            path: path.to_owned(),
            realm: self.realm.to_string(),
            project: project.to_owned(),
            intent: intent.to_field(),
            attestation: None,
            body: serde_json::to_vec(body).unwrap(),
            created: now(),
            lifetime: 60,
            nonce: nonce(),
        }
    }

    /// Drafts a message to be signed.
    pub(crate) fn message(&self, person: &Person, wallet: &Wallet, text: &str) -> Draft {
        let request = SignRequest {
            wallet: wallet.address(),
            chain_id: CHAIN_ID,
            payload: WirePayload::Message {
                message: text.as_bytes().to_vec().into(),
            },
            on_chain: None,
        };
        let intent = Intent::Sign {
            operation: Operation::SignMessage,
            id: request_id(),
            key_use: key_use(wallet, &request),
        };
        let body = serde_json::to_value(&request).unwrap();
        self.draft(person, path::SIGN_MESSAGE, &intent, &body)
    }

    /// Seals a request.
    pub(crate) fn seal(&self, inner: &InnerRequest) -> (Vec<u8>, ResponseContext) {
        encapsulate(&self.config, inner).unwrap()
    }

    /// Hands sealed bytes to the gateway.
    pub(crate) async fn post(&self, instance: &str, sealed: Vec<u8>) -> Reply {
        let target = gateway_api::path::OHTTP.replace("{instance}", instance);
        let request = http::Request::post(target)
            .header("content-type", REQUEST_MEDIA_TYPE)
            .body(sealed.into())
            .unwrap();
        match self.https.raw(request).await {
            Ok(answer) => Reply::of(&answer),
            Err(error) => Reply::broken(&error),
        }
    }

    /// Seals, sends, opens.
    pub(crate) async fn send(&self, inner: &InnerRequest) -> Reply {
        let (sealed, context) = self.seal(inner);
        let outer = self.post(&self.instance.to_string(), sealed).await;
        if outer.status != 200 || outer.content_type != RESPONSE_MEDIA_TYPE {
            return outer;
        }
        let inner = context.open(&outer.body).unwrap();
        let content_type = inner.headers.first().map(|(_, value)| value.clone());
        Reply::new(inner.status, content_type.unwrap_or_default(), inner.body)
    }
}

/// What an intent says of a request to sign.
pub(crate) fn key_use(wallet: &Wallet, request: &SignRequest) -> KeyUse {
    let (_, digest) = request.digest().unwrap();
    KeyUse {
        wallet: AddressId::from_bytes(wallet.address().into_array()),
        key: wallet.key(),
        digest,
    }
}

pub(crate) fn nonce() -> String {
    Digest32::from_bytes(random()).to_string()
}

impl Draft {
    /// Signs it with a device's key.
    pub(crate) fn signed(&self, key: &DeviceSigningKey) -> InnerRequest {
        let jwk = key.public_jwk();
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path.to_owned(), format!("?{query}")),
            None => (self.path.clone(), "?".to_owned()),
        };
        let session = self
            .attestation
            .as_ref()
            .map(|jwt| Digest32::from_bytes(sha256(jwt.as_bytes())).to_string());
        let components = Components {
            method: self.method.clone(),
            authority: self.authority.clone(),
            path,
            query,
            content_digest: content_digest(&self.body),
            device: Some(DeviceHeaders {
                realm: self.realm.clone(),
                project: self.project.clone(),
                intent: self.intent.clone(),
                session: session.clone(),
            }),
        };
        let params = SignatureParams {
            created: self.created,
            lifetime_seconds: self.lifetime,
            nonce: &self.nonce,
            key_id: &jwk.thumbprint().to_string(),
        };
        let unsigned = UnsignedRequest::new(self.profile, components, &params).unwrap();
        let signature = key.sign(unsigned.signature_base());
        let signed = unsigned.with_signature(&signature);
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            (header::REALM.to_owned(), self.realm.clone()),
            (header::PROJECT.to_owned(), self.project.clone()),
            (header::INTENT.to_owned(), self.intent.clone()),
            (
                header::CONTENT_DIGEST.to_owned(),
                signed.components.content_digest,
            ),
            (header::SIGNATURE_INPUT.to_owned(), signed.signature_input),
            (header::SIGNATURE.to_owned(), signed.signature),
        ];
        if let (Some(attestation), Some(session)) = (&self.attestation, session) {
            headers.push((header::SESSION.to_owned(), session));
            headers.push((header::ATTESTATION.to_owned(), attestation.clone()));
            headers.push((
                header::DEVICE.to_owned(),
                serde_json::to_string(&jwk).unwrap(),
            ));
        }
        InnerRequest {
            method: self.method.clone(),
            authority: self.authority.clone(),
            path_and_query: self.path.clone(),
            headers,
            body: self.body.clone().into(),
        }
    }
}

/// Replaces a header's value, or adds it.
pub(crate) fn set(request: &mut InnerRequest, name: &str, value: &str) {
    match request.headers.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value.to_owned(),
        None => request.headers.push((name.to_owned(), value.to_owned())),
    }
}

/// Removes a header.
pub(crate) fn unset(request: &mut InnerRequest, name: &str) {
    request.headers.retain(|(known, _)| known != name);
}
