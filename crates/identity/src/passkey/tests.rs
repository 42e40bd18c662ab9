//! Attacks on both ceremonies, by an authenticator and a browser that sign whatever they are told.

use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{b64, p256};

use super::*;

mod assertion;
mod decoders;
mod registration;
mod witness;

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];
const ID: [u8; 32] = [0xc1; 32];
/// Present, verified.
const UP_UV: u8 = 0x05;

fn party() -> RelyingParty {
    RelyingParty::new(
        "app.example",
        vec![PasskeyOrigin::parse("https://frame.app.example").unwrap()],
        vec![Origin::parse("https://shop.example").unwrap()],
    )
    .unwrap()
}

/// Positive integers in DER.
fn der(signature: &[u8; 64]) -> Vec<u8> {
    let mut body = Vec::new();
    for half in signature.chunks(32) {
        let first = half.iter().position(|byte| *byte != 0).unwrap();
        let digits = &half[first..];
        let sign = usize::from(digits[0] >= 0x80);
        body.extend_from_slice(&[2, (digits.len() + sign) as u8]);
        body.extend(core::iter::repeat_n(0, sign));
        body.extend_from_slice(digits);
    }
    [vec![0x30, body.len() as u8], body].concat()
}

/// An authenticator and a browser, all of whose statements can be chosen.
struct Said {
    key: p256::SigningKey,
    kind: &'static str,
    origin: &'static str,
    after_origin: String,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    tail: Vec<u8>,
    user_handle: Option<Vec<u8>>,
    id: Vec<u8>,
}

fn user() -> UserHandle {
    UserHandle::from_slice(&[0x55; 32]).unwrap()
}

fn genuine() -> Said {
    Said {
        key: p256::SigningKey::generate(&mut SeededRng::new(1)),
        kind: "webauthn.get",
        origin: "https://frame.app.example",
        after_origin: ",\"crossOrigin\":false".to_owned(),
        rp_id: "app.example",
        flags: UP_UV,
        count: 0,
        tail: Vec::new(),
        user_handle: Some(user().as_bytes().to_vec()),
        id: ID.to_vec(),
    }
}

impl Said {
    fn client_data(&self, challenge: &[u8; 32]) -> Vec<u8> {
        format!(
            "{{\"type\":\"{}\",\"challenge\":\"{}\",\"origin\":\"{}\"{}}}",
            self.kind,
            b64::encode(challenge),
            self.origin,
            self.after_origin
        )
        .into_bytes()
    }

    fn auth_data(&self) -> Vec<u8> {
        let mut data = sha256(self.rp_id.as_bytes()).to_vec();
        data.push(self.flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data.extend_from_slice(&self.tail);
        data
    }

    fn public(&self) -> PasskeyPublicKey {
        let (x, y) = self.key.verifying_key().coordinates();
        let cose = [
            &hex::decode("a5010203262001215820").unwrap()[..],
            &x,
            &[0x22, 0x58, 32],
            &y,
        ]
        .concat();
        PasskeyPublicKey::from_cose(&cose).unwrap()
    }

    fn stored(&self) -> PasskeyCredential {
        PasskeyCredential {
            project: "app".to_owned(),
            relying_party: "app.example".to_owned(),
            id: ID.to_vec(),
            user: user(),
            public_key: self.public(),
            sign_count: 0,
            backup_eligible: false,
            backed_up: false,
        }
    }

    /// Answers a challenge and has it verified, the answer changed by `change` on its way.
    fn assert_with(
        &self,
        challenge: Challenge,
        signed: &[u8; 32],
        stored: &PasskeyCredential,
        policy: (UserVerification, CounterPolicy),
        change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>, &mut Vec<u8>),
        now: u64,
    ) -> Result<ProvenPasskey, PasskeyError> {
        let mut json = self.client_data(signed);
        let mut data = self.auth_data();
        let message = [&data[..], &sha256(&json)].concat();
        let mut signature = der(&self.key.sign(&message));
        change(&mut json, &mut data, &mut signature);
        let response = AssertionResponse {
            credential_id: &self.id,
            client_data_json: &json,
            authenticator_data: &data,
            signature: &signature,
            user_handle: self.user_handle.as_deref(),
        };
        verify_assertion(
            &party(),
            policy.0,
            policy.1,
            challenge,
            stored,
            &response,
            now,
        )
    }

    fn sign_in(&self) -> Result<ProvenPasskey, PasskeyError> {
        self.sign_in_to(&genuine().stored())
    }

    fn sign_in_to(&self, stored: &PasskeyCredential) -> Result<ProvenPasskey, PasskeyError> {
        let challenge = challenge();
        let signed = challenge.bytes();
        let policy = (UserVerification::Required, CounterPolicy::Refuse);
        self.assert_with(challenge, &signed, stored, policy, |_, _, _| {}, NOW)
    }
}

fn challenge() -> Challenge {
    let mut rng = SeededRng::new(9);
    Challenge::new(
        ChallengeMethod::PasskeyAssertion,
        "app",
        DEVICE,
        NOW,
        &mut rng,
    )
}

const STRICT: (UserVerification, CounterPolicy) =
    (UserVerification::Required, CounterPolicy::Refuse);

/// Has a passkey made, with this statement.
fn register(
    said: &Said,
    format: &str,
    statement: &[u8],
    id: &[u8],
) -> Result<RegisteredPasskey, PasskeyError> {
    let mut rng = SeededRng::new(11);
    let method = ChallengeMethod::PasskeyRegistration;
    let challenge = Challenge::new(method, "app", DEVICE, NOW, &mut rng);
    let json = said.client_data(&challenge.bytes());
    let data = said.auth_data();
    let object = object(format, statement, &data);
    let response = RegistrationResponse {
        credential_id: id,
        client_data_json: &json,
        attestation_object: &object,
    };
    let required = UserVerification::Required;
    verify_registration(&party(), required, challenge, user(), &response, NOW)
}

fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let [.., high, low] = data.len().to_be_bytes();
    let head = if high == 0 {
        vec![0x58, low]
    } else {
        vec![0x59, high, low]
    };
    [
        &b"\xa3\x63fmt"[..],
        &[0x60 | format.len() as u8],
        format.as_bytes(),
        b"\x67attStmt",
        statement,
        b"\x68authData",
        &head,
        data,
    ]
    .concat()
}

fn making() -> Said {
    let mut said = Said {
        kind: "webauthn.create",
        flags: UP_UV | 0x40,
        ..genuine()
    };
    said.tail = [&[9; 16][..], &[0, 32], &ID, &said.public().to_cose()].concat();
    said
}
