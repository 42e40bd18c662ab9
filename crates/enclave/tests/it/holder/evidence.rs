//! Who calls, and what is shown of the request behind the call.

use keyfold_attest::danger::inspect;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_enclave::PeerRequest;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{AccountRef, Addressee, Evidence, VerifiedEvidence};
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::realm::VerifiedRealm;
use keyfold_protocol::registration::realm_pcr16;
use keyfold_protocol::session::{Expired, SessionClaims, SessionExpectation, verify};
use keyfold_protocol::signed_request::{
    Components, Profile, SignatureError, SignedComponents, check_body, content_digest,
    verify_instance,
};

use super::{Instance, Refusal, SimHolder};
use crate::world::{Answer, ok, refuse};

impl SimHolder {
    pub(super) fn register(&mut self, register: &Register) -> Answer {
        let document = inspect(&register.attested.document).unwrap();
        let binding = &register.attested.binding;
        let realm = self.realm.as_ref().map(VerifiedRealm::id);
        if binding.realm.is_some() && realm.is_none() {
            return refuse(Code::RealmMissing);
        }
        let pcr16 = realm_pcr16(binding.realm);
        let good = self.nonces.remove(&register.nonce)
            && document.nonce() == Some(register.nonce.as_bytes())
            && document.user_data() == Some(&binding.user_data())
            && document.pcrs().get(&16) == Some(&pcr16)
            && (binding.realm.is_none() || binding.realm == realm);
        if !good {
            return refuse(Code::AttestationRefused);
        }
        let instance = Instance {
            signing: binding.signing_key,
            hpke: HpkePublicKey(document.public_key().unwrap().try_into().unwrap()),
            in_realm: binding.realm.is_some(),
        };
        self.instances.insert(binding.instance(), instance);
        ok(Registered {
            instance: binding.instance(),
            expires: 0,
        })
    }

    /// The registered instance whose signature the request carries.
    pub(super) fn caller(&self, request: &PeerRequest, now: u64) -> Result<InstanceId, Refusal> {
        let header = |name: &str| {
            request
                .headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
                .unwrap_or_default()
        };
        let id: InstanceId = header(INSTANCE_HEADER)
            .parse()
            .map_err(|_| (Code::NotRegistered, ""))?;
        let instance = self.instances.get(&id).ok_or((Code::NotRegistered, ""))?;
        let needs_realm = !matches!(
            request.path.as_str(),
            path::GENESIS_PROPOSE | path::GENESIS_COMMIT
        );
        if needs_realm && !instance.in_realm {
            return refuse(Code::NotRegistered);
        }
        let components = Components {
            method: request.method.to_owned(),
            authority: self.card.address.clone(),
            path: request.path.clone(),
            query: "?".to_owned(),
            content_digest: header("content-digest"),
            device: None,
        };
        check_body(&components, &request.body).unwrap();
        assert_eq!(components.content_digest, content_digest(&request.body));
        let signed = SignedComponents {
            components,
            signature_input: header("signature-input"),
            signature: header("signature"),
        };
        verify_instance(&signed, &id.to_string(), &instance.signing, now).map_err(|error| {
            match error {
                SignatureError::Expired => (Code::SignatureExpired, ""),
                _ => (Code::SignatureInvalid, ""),
            }
        })?;
        Ok(id)
    }

    pub(super) fn evidence(
        &mut self,
        profile: Profile,
        instance: InstanceId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<VerifiedEvidence, Refusal> {
        let realm = self.realm.as_ref().unwrap().id();
        let verified = evidence
            .verify(
                profile,
                &Addressee {
                    realm,
                    instance,
                    project: None,
                },
                now,
            )
            .map_err(|_| (Code::EvidenceInvalid, ""))?;
        let nonce = format!("{} {}", verified.request.device, verified.request.nonce);
        if !self.used.insert(nonce) {
            return refuse(Code::NonceReused);
        }
        Ok(verified)
    }

    pub(super) fn in_session(
        &mut self,
        instance: InstanceId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<(AccountRef, SessionClaims, VerifiedEvidence), Refusal> {
        let verified = self.evidence(Profile::Request, instance, evidence, now)?;
        let realm = self.realm.as_ref().unwrap().id();
        let expect = SessionExpectation {
            realm: &realm,
            project: &verified.request.project,
            now_unix_seconds: now,
            expired: if verified.request.intent.operation() == Operation::Renew {
                Expired::Accepted
            } else {
                Expired::Refused
            },
        };
        let keys = self.keys.as_ref().ok_or((Code::SessionInvalid, ""))?;
        let session = verify(verified.attestation.as_ref().unwrap(), keys, &expect)
            .map_err(|_| (Code::SessionInvalid, ""))?;
        let claims = session.claims().clone();
        if claims.cnf.jkt != verified.request.device {
            return refuse(Code::SessionInvalid);
        }
        let owner = AccountRef {
            project: claims.aud.clone(),
            account: claims.sub,
        };
        self.not_revoked(&owner, verified.request.device)?;
        if self.revoked.contains(&claims.sid) {
            return refuse(Code::SessionRevoked);
        }
        if self.state(&owner, verified.request.device).is_none() {
            return refuse(Code::DeviceUnknown);
        }
        Ok((owner, claims, verified))
    }
}
