//! The fixed keys and names that targets and seeds share.

use std::sync::OnceLock;

use keyfold_crypto::b64;
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk};
use keyfold_crypto::testing::SeededRng;
use keyfold_protocol::ids::{
    AccountId, AddressId, Digest32, InstanceId, KeyId, ProjectId, RealmId, RequestId, SessionId,
};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::session::{AttestationKey, AttestationKeySet, Confirmation, SessionClaims};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureParams, SignedComponents, UnsignedRequest,
    content_digest,
};

/// The clock of every target, in Unix seconds.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn realm() -> RealmId {
    RealmId::from_bytes([1; 32])
}

pub(crate) fn instance() -> InstanceId {
    InstanceId::from_bytes([2; 16])
}

pub(crate) fn project() -> ProjectId {
    "app.example".parse().expect("a project")
}

pub(crate) fn device() -> &'static DeviceSigningKey {
    static KEY: OnceLock<DeviceSigningKey> = OnceLock::new();
    KEY.get_or_init(|| DeviceSigningKey::generate_p256(&mut SeededRng::new(1)))
}

/// The realm's attestation key, held as a plain P-256 key so that any payload can be signed.
pub(crate) fn attestation_key() -> &'static DeviceSigningKey {
    static KEY: OnceLock<DeviceSigningKey> = OnceLock::new();
    KEY.get_or_init(|| DeviceSigningKey::generate_p256(&mut SeededRng::new(2)))
}

pub(crate) fn attestation_keys() -> &'static AttestationKeySet {
    static KEYS: OnceLock<AttestationKeySet> = OnceLock::new();
    KEYS.get_or_init(|| {
        let PublicJwk::P256 { x, y } = attestation_key().public_jwk() else {
            panic!("a P-256 key");
        };
        let key = AttestationKey::from_p256_coordinates(x, y).expect("a key");
        AttestationKeySet::new(vec![key]).expect("a set")
    })
}

pub(crate) fn claims() -> SessionClaims {
    SessionClaims {
        iss: realm(),
        aud: project(),
        sub: AccountId::from_bytes([5; 16]),
        cnf: Confirmation {
            jkt: device().public_jwk().thumbprint(),
        },
        wallets: vec![AddressId::from_bytes([6; 20])],
        amr: vec!["otp".to_owned()],
        acr: "1".to_owned(),
        auth_time: NOW - 60,
        sid: SessionId::from_bytes([7; 16]),
        iat: NOW - 60,
        exp: NOW + 3_000,
        jti: "0123456789abcdef".to_owned(),
    }
}

/// Signs any payload as a session attestation would be. The same payload has the same text.
pub(crate) fn jwt(payload: &[u8]) -> String {
    jwt_with(payload, |message| attestation_key().sign(message).to_vec())
}

/// As [`jwt`], with a signature that is another each time and takes a hundredth of the time.
pub(crate) fn jwt_quickly(payload: &[u8]) -> String {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let (DeviceSigningKey::P256(secret), PublicJwk::P256 { x, y }) =
            (attestation_key(), attestation_key().public_jwk())
        else {
            panic!("a P-256 key");
        };
        let public = [&[4][..], &x, &y].concat();
        secret.to_secret().expose(|secret| {
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, &public)
                .expect("a key")
        })
    });
    jwt_with(payload, |message| {
        let signature = key
            .sign(&SystemRandom::new(), message)
            .expect("a signature");
        signature.as_ref().to_vec()
    })
}

fn jwt_with(payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let header = format!(
        r#"{{"typ":"{}","alg":"ES256","kid":"{}"}}"#,
        keyfold_protocol::session::TYP,
        attestation_key().public_jwk().thumbprint()
    );
    let message = format!(
        "{}.{}",
        b64::encode(header.as_bytes()),
        b64::encode(payload)
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", b64::encode(&signature))
}

pub(crate) fn attestation() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| jwt(&serde_json::to_vec(&claims()).expect("JSON")))
}

pub(crate) fn intents() -> Vec<Intent> {
    let id = RequestId::from_bytes([3; 16]);
    vec![
        Intent::Plain {
            operation: Operation::Renew,
            id,
        },
        Intent::Sign {
            operation: Operation::SignTransaction,
            id,
            key_use: KeyUse {
                wallet: AddressId::from_bytes([6; 20]),
                key: KeyId::from_bytes([8; 16]),
                digest: Digest32::from_bytes([9; 32]),
            },
        },
        Intent::ApproveDevice {
            id,
            device: device().public_jwk().thumbprint(),
        },
        Intent::Plain {
            operation: Operation::SignInStart,
            id,
        },
    ]
}

/// The components of a genuine request, within a session or before it.
pub(crate) fn components(profile: Profile) -> Components {
    let intents = intents();
    let (intent, session) = match profile {
        Profile::Request => (
            intents.get(1),
            Some(Digest32::from_bytes(sha256(attestation().as_bytes())).to_string()),
        ),
        _ => (intents.get(3), None),
    };
    Components {
        method: "POST".to_owned(),
        authority: instance().to_string(),
        path: "/v1/wallets/sign".to_owned(),
        query: "?".to_owned(),
        content_digest: content_digest(b"{}"),
        device: (profile != Profile::Instance).then(|| DeviceHeaders {
            realm: realm().to_string(),
            project: project().to_string(),
            intent: intent.expect("an intent").to_field(),
            session,
        }),
    }
}

/// Has the device sign components; `None` if they cannot be sent.
pub(crate) fn sign(profile: Profile, components: Components) -> Option<SignedComponents> {
    let params = SignatureParams {
        created: NOW,
        lifetime_seconds: 60,
        nonce: "0123456789abcdef",
        key_id: &device().public_jwk().thumbprint().to_string(),
    };
    let unsigned = UnsignedRequest::new(profile, components, &params).ok()?;
    let signature = device().sign(unsigned.signature_base());
    Some(unsigned.with_signature(&signature))
}
