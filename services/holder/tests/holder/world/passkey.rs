//! An authenticator, and a browser at whatever page: they sign what they are told.

use std::sync::Arc;

use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{b64, p256};
use keyfold_identity::challenge::{ChallengeMethod, challenge_hash};
use keyfold_protocol::evidence::{Item, ShownNewPasskey, ShownPasskey};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::sign_in::{PasskeyAssertion, PasskeyRegistration};

use super::{Person, World, random, rng};

/// Present and verified.
const UP_UV: u8 = 0x05;

/// One passkey; tests change what it says.
#[derive(Clone)]
pub(crate) struct Authenticator {
    pub(crate) key: Arc<p256::SigningKey>,
    pub(crate) id: Vec<u8>,
    pub(crate) relying_party: String,
    pub(crate) origin: String,
    pub(crate) flags: u8,
    pub(crate) count: u32,
}

impl Authenticator {
    pub(crate) fn new() -> Self {
        Self {
            key: Arc::new(p256::SigningKey::generate(&mut rng())),
            id: random::<32>().to_vec(),
            relying_party: "app.example".to_owned(),
            origin: "https://frame.app.example".to_owned(),
            flags: UP_UV,
            count: 0,
        }
    }

    /// The enclaves' name for it.
    pub(crate) fn identity(&self) -> Digest32 {
        Digest32::from_bytes(sha256(&self.id))
    }

    /// Has it made for a device, now.
    pub(crate) fn make(&self, world: &World, person: &Person) -> ShownNewPasskey {
        let (issued, random) = (world.now(), random());
        let project = person.owner.project.as_str();
        let device = person.thumbprint();
        let method = ChallengeMethod::PasskeyRegistration;
        let challenge = challenge_hash(method, project, &device.0, issued, &random);
        let (x, y) = self.key.verifying_key().coordinates();
        let length = u8::try_from(self.id.len()).unwrap();
        let data = [
            &self.head(self.flags | 0x40)[..],
            &[0; 16],
            &[0, length],
            &self.id,
            &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32],
            &x,
            &[0x22, 0x58, 32],
            &y,
        ]
        .concat();
        let object = [
            &b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"[..],
            &[u8::try_from(data.len()).unwrap()],
            &data,
        ]
        .concat();
        ShownNewPasskey {
            identity: self.identity(),
            registration: PasskeyRegistration {
                id: self.id.clone(),
                client_data_json: self.client_data("webauthn.create", &challenge),
                attestation_object: object,
            },
            relying_party: self.relying_party.clone(),
            issued,
            random,
        }
    }

    /// Has it vouch for a device of a project, now.
    pub(crate) fn vouch(&self, world: &World, person: &Person) -> Item {
        let project = person.owner.project.as_str();
        self.vouch_for(project, person.thumbprint(), world.now())
    }

    pub(crate) fn vouch_for(&self, project: &str, device: Thumbprint, issued: u64) -> Item {
        let random = random();
        let method = ChallengeMethod::PasskeyAssertion;
        let challenge = challenge_hash(method, project, &device.0, issued, &random);
        let json = self.client_data("webauthn.get", &challenge);
        let data = self.head(self.flags);
        let message = [&data[..], &sha256(&json)].concat();
        Item::Passkey(ShownPasskey {
            assertion: PasskeyAssertion {
                id: self.id.clone(),
                client_data_json: json,
                authenticator_data: data,
                signature: der(&self.key.sign(&message)),
                user_handle: vec![0x55; 32],
            },
            issued,
            random,
        })
    }

    fn client_data(&self, kind: &str, challenge: &[u8; 32]) -> Vec<u8> {
        format!(
            "{{\"type\":\"{kind}\",\"challenge\":\"{}\",\"origin\":\"{}\",\"crossOrigin\":false}}",
            b64::encode(challenge),
            self.origin
        )
        .into_bytes()
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(self.relying_party.as_bytes()).to_vec();
        data.push(flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data
    }
}

/// Positive integers in DER.
fn der(signature: &[u8; 64]) -> Vec<u8> {
    let mut body = Vec::new();
    for half in signature.chunks(32) {
        let first = half.iter().position(|byte| *byte != 0).unwrap();
        let digits = &half[first..];
        let sign = usize::from(digits[0] >= 0x80);
        body.extend_from_slice(&[2, u8::try_from(digits.len() + sign).unwrap()]);
        body.extend(std::iter::repeat_n(0, sign));
        body.extend_from_slice(digits);
    }
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}
