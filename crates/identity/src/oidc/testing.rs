//! An issuer for tests: keys, documents and tokens of its own making, true ones and others.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use keyfold_crypto::b64;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_crypto::testing::SeededRng;
use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::der::{Document, Encode as _};
use p256::pkcs8::spki::SubjectPublicKeyInfoRef;
use serde_json::{Value, json};

use super::keys::{Algorithm, KeySet};

/// The clock of the tests, in Unix seconds.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A private key with a name.
pub(crate) struct TestKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(&'static RsaKeyPair),
    Device(DeviceSigningKey),
}

impl TestKey {
    pub(crate) fn rs256(kid: &str) -> Self {
        // Its generator takes no seed; one key serves all tests of a process.
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        let key = KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self {
            kid: kid.to_owned(),
            pair: Pair::Rsa(key),
        }
    }

    pub(crate) fn es256(kid: &str) -> Self {
        Self::device(kid, DeviceSigningKey::generate_p256(&mut SeededRng::new(1)))
    }

    pub(crate) fn es256_other(kid: &str) -> Self {
        Self::device(kid, DeviceSigningKey::generate_p256(&mut SeededRng::new(2)))
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        Self::device(
            kid,
            DeviceSigningKey::generate_ed25519(&mut SeededRng::new(3)),
        )
    }

    fn device(kid: &str, key: DeviceSigningKey) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Pair::Device(key),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Device(DeviceSigningKey::P256(_)) => Algorithm::Es256,
            Pair::Device(DeviceSigningKey::Ed25519(_)) => Algorithm::EdDsa,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Pair::Device(key) => key.sign(message).to_vec(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(key) => {
                let modulus = key.public_key().modulus().big_endian_without_leading_zero();
                json!({"kty": "RSA", "n": b64::encode(modulus), "e": "AQAB"})
            }
            Pair::Device(key) => serde_json::to_value(key.public_jwk()).unwrap(),
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm().name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// A set of this key alone.
    pub(crate) fn set(&self) -> KeySet {
        KeySet::from_jwks(&jwks(&[self.jwk()])).unwrap()
    }

    pub(crate) fn pem(&self) -> String {
        use p256::pkcs8::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
        use p256::pkcs8::spki::AlgorithmIdentifier;
        let oid = ObjectIdentifier::new_unwrap;
        let p256_oid = oid("1.2.840.10045.3.1.7");
        let (algorithm, parameters, key) = match &self.pair {
            Pair::Rsa(pair) => {
                let modulus = pair
                    .public_key()
                    .modulus()
                    .big_endian_without_leading_zero();
                let parts = [
                    UintRef::new(modulus).unwrap(),
                    UintRef::new(&[1, 0, 1]).unwrap(),
                ];
                let key = parts.as_slice().to_vec().to_der().unwrap();
                (oid("1.2.840.113549.1.1.1"), Some(AnyRef::NULL), key)
            }
            Pair::Device(DeviceSigningKey::P256(pair)) => (
                oid("1.2.840.10045.2.1"),
                Some((&p256_oid).into()),
                pair.verifying_key().to_sec1().to_vec(),
            ),
            Pair::Device(DeviceSigningKey::Ed25519(pair)) => (
                oid("1.3.101.112"),
                None,
                pair.verifying_key().to_bytes().to_vec(),
            ),
        };
        let info = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifier {
                oid: algorithm,
                parameters,
            },
            subject_public_key: BitStringRef::from_bytes(&key).unwrap(),
        };
        Document::encode_msg(&info)
            .unwrap()
            .to_pem("PUBLIC KEY", LineEnding::LF)
            .unwrap()
    }

    /// A token of these claims, as an issuer makes it.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm().name(), "kid": self.kid, "typ": "JWT"});
        token_with_header(self, &header, claims)
    }
}

/// A token whose header says what it should not.
pub(crate) fn token_with_header(key: &TestKey, header: &Value, claims: &Value) -> String {
    token_of_text(key, header, &claims.to_string())
}

/// A token whose claims are any text.
pub(crate) fn token_of_text(key: &TestKey, header: &Value, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        b64::encode(header.to_string().as_bytes()),
        b64::encode(claims.as_bytes())
    );
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", b64::encode(&signature))
}

/// A JWKS document.
pub(crate) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}
