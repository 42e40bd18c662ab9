//! People with devices, and what their devices sign.

use keyfold_crypto::SecretBytes;
use keyfold_crypto::commitment::{CommittedShare, ShareContext, SharePurpose};
use keyfold_crypto::jwk::{DeviceSigningKey, Thumbprint};
use keyfold_crypto::shamir::Share;
use keyfold_protocol::evidence::{AccountRef, Evidence, Item};
use keyfold_protocol::holder_api::{
    DeviceAck, DeviceEnrol, Empty, IdentityLinked, InSession, Released, ShareRelease, ShareStore,
    StoredShare, key_share_context, path,
};
use keyfold_protocol::ids::{
    AccountId, AddressId, Digest32, InstanceId, KeyId, ProjectId, RealmId, RecordId, RequestId,
    SessionId,
};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::session::{Confirmation, SessionClaims, attestation_hash};
use keyfold_protocol::sign_in::Proof;
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureParams, SignedComponents, UnsignedRequest,
    content_digest,
};

use super::{Answer, OWN, World, random, rng};

/// The wallet that attestations name and that keys are used for.
pub(crate) const WALLET: AddressId = AddressId::from_bytes([0xaa; 20]);

/// An account, and one device of it in one session.
pub(crate) struct Person {
    pub(crate) owner: AccountRef,
    pub(crate) device: DeviceSigningKey,
    pub(crate) session: SessionId,
}

impl Person {
    pub(crate) fn new(project: &str) -> Self {
        let project: ProjectId = project.parse().unwrap();
        Self::of(AccountRef {
            project,
            account: AccountId::from_bytes(random()),
        })
    }

    /// The same account with another device.
    pub(crate) fn of(owner: AccountRef) -> Self {
        Self {
            owner,
            device: DeviceSigningKey::generate_p256(&mut rng()),
            session: SessionId::from_bytes(random()),
        }
    }

    /// The same device in another account.
    pub(crate) fn in_account(&self, owner: AccountRef) -> Self {
        let secret = self.device.to_secret_bytes();
        Self {
            owner,
            device: secret.expose(DeviceSigningKey::from_secret_bytes).unwrap(),
            session: self.session,
        }
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.device.public_jwk().thumbprint()
    }

    pub(crate) fn evidence(&self, ask: &Ask) -> Evidence {
        Evidence::new(self.items(ask))
    }

    pub(crate) fn items(&self, ask: &Ask) -> Vec<Item> {
        let signed = self.sign(ask);
        let mut items = vec![Item::Request {
            signed,
            jwk: self.device.public_jwk(),
        }];
        if let Some(attestation) = &ask.attestation {
            items.push(Item::Session {
                attestation: attestation.clone(),
            });
        }
        items
    }

    pub(crate) fn sign(&self, ask: &Ask) -> SignedComponents {
        let hash = |jwt: &String| Digest32::from_bytes(attestation_hash(jwt)).to_string();
        let components = Components {
            method: "POST".to_owned(),
            authority: ask.instance.to_string(),
            path: "/v1/anything".to_owned(),
            query: "?".to_owned(),
            content_digest: content_digest(b"{}"),
            device: Some(DeviceHeaders {
                realm: ask.realm.to_string(),
                project: ask.project.to_string(),
                intent: ask.intent.to_field(),
                session: ask.attestation.as_ref().map(hash),
            }),
        };
        let profile = if ask.attestation.is_some() {
            Profile::Request
        } else {
            Profile::SignIn
        };
        let key_id = self.thumbprint().to_string();
        let params = SignatureParams {
            created: ask.created,
            lifetime_seconds: ask.lifetime,
            nonce: &ask.nonce,
            key_id: &key_id,
        };
        let unsigned = UnsignedRequest::new(profile, components, &params).unwrap();
        let signature = self.device.sign(unsigned.signature_base());
        unsigned.with_signature(&signature)
    }
}

/// What a device signs; tests change one thing.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) realm: RealmId,
    pub(crate) instance: InstanceId,
    pub(crate) project: ProjectId,
    pub(crate) intent: Intent,
    pub(crate) attestation: Option<String>,
    pub(crate) nonce: String,
    pub(crate) created: u64,
    pub(crate) lifetime: u64,
}

impl World {
    pub(crate) fn claims(&self, person: &Person) -> SessionClaims {
        let now = self.now();
        SessionClaims {
            iss: self.realm_id(),
            aud: person.owner.project.clone(),
            sub: person.owner.account,
            cnf: Confirmation {
                jkt: person.thumbprint(),
            },
            wallets: vec![WALLET],
            amr: vec!["otp".to_owned()],
            acr: "email".to_owned(),
            auth_time: now,
            sid: person.session,
            iat: now,
            exp: now + 3_600,
            jti: Thumbprint(random()).to_string(),
        }
    }

    pub(crate) fn attest(&self, claims: &SessionClaims) -> String {
        self.signer.sign(claims).unwrap()
    }

    /// An in-session request of a person, good in everything.
    pub(crate) fn ask(&self, person: &Person, intent: Intent) -> Ask {
        Ask {
            realm: self.realm_id(),
            instance: self.enclave.id(),
            project: person.owner.project.clone(),
            intent,
            attestation: Some(self.attest(&self.claims(person))),
            nonce: Thumbprint(random()).to_string(),
            created: self.now(),
            lifetime: 60,
        }
    }

    pub(crate) fn plain(&self, person: &Person, operation: Operation) -> Ask {
        self.ask(
            person,
            Intent::Plain {
                operation,
                id: RequestId::from_bytes(random()),
            },
        )
    }

    /// The end of a sign-in, as the device signs it.
    pub(crate) fn sign_in(&self, person: &Person) -> Ask {
        Ask {
            attestation: None,
            ..self.plain(person, Operation::SignInFinish)
        }
    }

    pub(crate) async fn enrol(&self, person: &Person) -> Answer<DeviceAck> {
        self.enrol_with(person, &self.sign_in(person)).await
    }

    pub(crate) async fn enrol_with(&self, person: &Person, ask: &Ask) -> Answer<DeviceAck> {
        self.enrol_as(person, ask, true).await
    }

    /// Enrols; `first_device` is what the account's record says.
    pub(crate) async fn enrol_as(
        &self,
        person: &Person,
        ask: &Ask,
        first_device: bool,
    ) -> Answer<DeviceAck> {
        let message = DeviceEnrol {
            account: person.owner.account,
            first_device,
            evidence: person.evidence(ask),
        };
        self.call(path::DEVICE_ENROL, &message).await
    }

    /// Enrols a device that is not the account's first, by its record, with more to show.
    pub(crate) async fn enrol_showing(
        &self,
        person: &Person,
        ask: &Ask,
        more: Vec<Item>,
    ) -> Answer<DeviceAck> {
        let mut items = person.items(ask);
        items.extend(more);
        let message = DeviceEnrol {
            account: person.owner.account,
            first_device: false,
            evidence: Evidence::new(items),
        };
        self.call(path::DEVICE_ENROL, &message).await
    }

    /// An in-session request with more to show.
    pub(crate) async fn show<T: serde::de::DeserializeOwned>(
        &self,
        to: &str,
        person: &Person,
        intent: Intent,
        more: Vec<Item>,
    ) -> Answer<T> {
        let mut items = person.items(&self.ask(person, intent));
        items.extend(more);
        let evidence = Evidence::new(items);
        self.call(to, &InSession { evidence }).await
    }

    /// Has an active device link what it shows, and name it.
    pub(crate) async fn link(&self, person: &Person, item: Item) -> Answer<IdentityLinked> {
        let proof = match &item {
            Item::NewPasskey(shown) => Proof::NewPasskey(shown.registration.clone()),
            Item::IdToken(shown) => Proof::Token {
                token: shown.token.clone(),
            },
            _ => panic!("nothing to link"),
        };
        self.link_naming(person, proof.digest(), item).await
    }

    /// The same, whatever it names.
    pub(crate) async fn link_naming(
        &self,
        person: &Person,
        proof: Digest32,
        item: Item,
    ) -> Answer<IdentityLinked> {
        let id = RequestId::from_bytes(random());
        let intent = Intent::LinkIdentity { id, proof };
        self.show(path::IDENTITY_LINK, person, intent, vec![item])
            .await
    }

    pub(crate) async fn unlink(&self, person: &Person, identity: Digest32) -> Answer<Empty> {
        let id = RequestId::from_bytes(random());
        let intent = Intent::UnlinkIdentity { id, identity };
        self.show(path::IDENTITY_UNLINK, person, intent, Vec::new())
            .await
    }

    /// A person whose first device is enrolled, with a key of which the holder has a share.
    pub(crate) async fn person_with_key(&self) -> (Person, Key) {
        let person = Person::new("app.example");
        self.enrol(&person).await.unwrap();
        let key = self.new_key(&person);
        self.store(&person, &key).await.unwrap();
        (person, key)
    }

    /// Shares of a new key for the holder under test.
    pub(crate) fn new_key(&self, person: &Person) -> Key {
        self.key_of(person, KeyId::from_bytes(random()))
    }

    fn key_of(&self, person: &Person, id: KeyId) -> Key {
        let shares = [SharePurpose::Entropy, SharePurpose::LeafKey].map(|purpose| {
            let context = key_share_context(self.realm_id(), &person.owner, id, purpose, OWN, 1);
            let share = Share::new(OWN, SecretBytes::from_slice(&random::<32>())).unwrap();
            let (share, commitment) = CommittedShare::new(&context, share, &mut rng()).unwrap();
            KeyShare {
                context,
                commitment,
                bytes: share.to_bytes().expose(<[u8]>::to_vec),
            }
        });
        Key { id, shares }
    }

    pub(crate) fn share_store(&self, person: &Person, key: &Key) -> ShareStore {
        let shares = key
            .shares
            .iter()
            .map(|share| StoredShare {
                purpose: share.context.purpose,
                share: self.enclave.seal(
                    &self.holder.card().hpke_key,
                    &share.context,
                    &share.bytes,
                ),
                commitment: share.commitment,
            })
            .collect();
        ShareStore {
            evidence: person.evidence(&self.plain(person, Operation::CreateWallet)),
            key: key.id,
            generation: 1,
            shares,
        }
    }

    pub(crate) async fn store(&self, person: &Person, key: &Key) -> Answer<Empty> {
        self.call(path::SHARE_STORE, &self.share_store(person, key))
            .await
    }

    /// Shares of another attempt at the same key.
    pub(crate) fn attempt(&self, person: &Person, key: &Key) -> Key {
        self.key_of(person, key.id)
    }

    /// A request to sign with a key, good in everything.
    pub(crate) fn use_of(&self, person: &Person, key: &Key) -> Ask {
        let key_use = KeyUse {
            wallet: WALLET,
            key: key.id,
            digest: Digest32::from_bytes([0xdd; 32]),
        };
        let (operation, id) = (Operation::SignTransaction, RequestId::from_bytes(random()));
        self.ask(
            person,
            Intent::Sign {
                operation,
                id,
                key_use,
            },
        )
    }

    pub(crate) async fn release(&self, person: &Person, key: &Key, ask: &Ask) -> Answer<Released> {
        self.release_evidence(key, person.evidence(ask)).await
    }

    pub(crate) async fn release_evidence(&self, key: &Key, evidence: Evidence) -> Answer<Released> {
        self.call(path::SHARE_RELEASE, &share_release(key, evidence))
            .await
    }
}

/// Asks for the leaf share of a key.
pub(crate) fn share_release(key: &Key, evidence: Evidence) -> ShareRelease {
    ShareRelease {
        evidence,
        generation: 1,
        commitment: key.leaf().commitment,
        record: RecordId::from_bytes([9; 32]),
    }
}

/// A key, by the shares that the holder under test gets.
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) shares: [KeyShare; 2],
}

impl Key {
    pub(crate) fn leaf(&self) -> &KeyShare {
        &self.shares[1]
    }
}

pub(crate) struct KeyShare {
    pub(crate) context: ShareContext,
    pub(crate) commitment: keyfold_crypto::commitment::ShareCommitment,
    pub(crate) bytes: Vec<u8>,
}
