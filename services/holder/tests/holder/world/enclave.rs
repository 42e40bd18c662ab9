//! An enclave instance, played.

use std::collections::BTreeMap;

use axum::body::Body;
use keyfold_crypto::commitment::{CommittedShare, ShareContext};
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::hpke::{self, HpkePrivateKey, HpkePublicKey};
use keyfold_crypto::{Canonical as _, jwk::Thumbprint};
use keyfold_platform_dev::issuer::IssueRequest;
use keyfold_protocol::holder_api::{
    INSTANCE_HEADER, Nonce, Register, Registered, ReleaseAad, SealDirection, SealedShare,
    ShareSeal, path,
};
use keyfold_protocol::ids::{Digest32, InstanceId, RealmId, RequestId};
use keyfold_protocol::registration::{AttestedBinding, InstanceBinding, realm_pcr16};
use keyfold_protocol::signed_request::{
    Components, Profile, SignatureParams, SignedComponents, UnsignedRequest, content_digest,
};

use super::{ADDRESS, Answer, World, image, random, rng};

pub(crate) struct Enclave {
    pub(crate) signing: SigningKey,
    pub(crate) hpke: HpkePrivateKey,
    pub(crate) binding: InstanceBinding,
}

impl Enclave {
    pub(crate) fn new(realm: Option<RealmId>) -> Self {
        let signing = SigningKey::generate(&mut rng());
        let binding = InstanceBinding {
            version: 1,
            signing_key: signing.verifying_key(),
            ohttp_config: vec![1; 41],
            realm,
        };
        Self {
            signing,
            hpke: HpkePrivateKey::generate(&mut rng()),
            binding,
        }
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.binding.instance()
    }

    /// What a genuine document of this enclave says.
    pub(crate) fn document(&self, nonce: Digest32, unix_ms: u64) -> IssueRequest {
        let image = image();
        IssueRequest {
            module_id: "i-0123456789abcdef0-enc0123456789abcdef".to_owned(),
            timestamp_ms: unix_ms,
            pcrs: BTreeMap::from([
                (0, image.pcr0),
                (1, image.pcr1),
                (2, image.pcr2),
                (16, realm_pcr16(self.binding.realm)),
            ]),
            nonce: Some(nonce.as_bytes().to_vec()),
            user_data: Some(self.binding.user_data().to_vec()),
            public_key: Some(self.hpke.public_key().0.to_vec()),
        }
    }

    /// Seals a share to the holder.
    pub(crate) fn seal(
        &self,
        to: &HpkePublicKey,
        context: &ShareContext,
        share: &[u8],
    ) -> SealedShare {
        let seal = ShareSeal {
            direction: SealDirection::ToHolder,
            instance: self.id(),
            context,
        };
        SealedShare(hpke::seal(to, &seal.to_signed_bytes(), b"", share, &mut rng()).unwrap())
    }

    /// Opens a share that the holder released.
    pub(crate) fn open(
        &self,
        context: &ShareContext,
        request: RequestId,
        digest: Digest32,
        sealed: &SealedShare,
    ) -> CommittedShare {
        let seal = ShareSeal {
            direction: SealDirection::ToInstance,
            instance: self.id(),
            context,
        };
        let aad = ReleaseAad { request, digest };
        hpke::open(
            &self.hpke,
            &seal.to_signed_bytes(),
            &aad.to_signed_bytes(),
            &sealed.0,
        )
        .unwrap()
        .expose(|bytes| CommittedShare::from_bytes(bytes).unwrap())
    }

    /// A call to the holder, to be sent or altered first.
    pub(crate) fn request(&self, path: &str, body: Vec<u8>, now: u64) -> Call {
        self.request_to(ADDRESS, path, body, now)
    }

    pub(crate) fn request_to(&self, authority: &str, path: &str, body: Vec<u8>, now: u64) -> Call {
        let components = Components {
            method: "POST".to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: "?".to_owned(),
            content_digest: content_digest(&body),
            device: None,
        };
        let nonce = Thumbprint(random()).to_string();
        let key_id = self.id().to_string();
        let params = SignatureParams {
            created: now,
            lifetime_seconds: 60,
            nonce: &nonce,
            key_id: &key_id,
        };
        let unsigned = UnsignedRequest::new(Profile::Instance, components, &params).unwrap();
        let signature = self.signing.sign(unsigned.signature_base());
        Call {
            instance: self.id(),
            signed: unsigned.with_signature(&signature),
            body,
        }
    }
}

pub(crate) struct Call {
    pub(crate) instance: InstanceId,
    pub(crate) signed: SignedComponents,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn into_http(self) -> http::Request<Body> {
        let query = self.signed.components.query.trim_start_matches('?');
        let uri = match query {
            "" => self.signed.components.path.clone(),
            query => format!("{}?{query}", self.signed.components.path),
        };
        http::Request::builder()
            .method(self.signed.components.method.as_str())
            .uri(uri)
            .header(INSTANCE_HEADER, self.instance.to_string())
            .header("content-digest", &self.signed.components.content_digest)
            .header("signature-input", &self.signed.signature_input)
            .header("signature", &self.signed.signature)
            .body(Body::from(self.body))
            .unwrap()
    }
}

impl World {
    pub(crate) async fn nonce(&self) -> Digest32 {
        let request = http::Request::post(path::NONCE)
            .body(Body::empty())
            .unwrap();
        self.send::<Nonce>(request).await.unwrap().nonce
    }

    pub(crate) async fn register(&self, enclave: &Enclave) -> Answer<Registered> {
        self.register_with(enclave, |_| {}).await
    }

    /// Registers with a genuine document about something that was changed.
    pub(crate) async fn register_with(
        &self,
        enclave: &Enclave,
        change: impl FnOnce(&mut IssueRequest),
    ) -> Answer<Registered> {
        let nonce = self.nonce().await;
        let mut request =
            enclave.document(nonce, keyfold_holder_service::Clock::unix_ms(&*self.clock));
        change(&mut request);
        let document = self.issuer.issue(&request, &mut rng()).unwrap();
        self.register_document(enclave, nonce, document).await
    }

    pub(crate) async fn register_document(
        &self,
        enclave: &Enclave,
        nonce: Digest32,
        document: Vec<u8>,
    ) -> Answer<Registered> {
        let attested = AttestedBinding {
            document,
            binding: enclave.binding.clone(),
        };
        let body = serde_json::to_vec(&Register { nonce, attested }).unwrap();
        self.send(
            http::Request::post(path::REGISTER)
                .body(Body::from(body))
                .unwrap(),
        )
        .await
    }
}
