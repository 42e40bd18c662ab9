//! Passkeys: `Passkeys.recoverSapientSignatureCompact` against `passkey::verify`.

use alloy_primitives::{Address, B256, U256, hex};
use keyfold_wallet::Encoding;
use keyfold_wallet::passkey::{P256Signature, PasskeyPublicKey, PasskeySignature, verify};
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};

use crate::chain::{Answer, Chain, selector};
use crate::keys::{Keys, P256_ORDER};
use crate::mocks::compact_call;
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::verdict::{Row, Table, Tally, name};

const fn row(rust: &'static str, pass: u8, solidity: &'static [&'static str]) -> Row {
    Row {
        rust,
        pass,
        solidity,
    }
}

const AUTHENTICATOR: &[&str] = &["InvalidAuthenticatorData(bytes,bool)"];
const CLIENT: &[&str] = &["InvalidClientData(bytes,bytes32)"];
const SIGNATURE: &[&str] = &["InvalidPasskeySignature(bytes32,bytes32,bytes32)"];

/// Pass 1 reads, pass 2 verifies.
const ERRORS: &[Row] = &[
    row("DecodeTruncated", 1, &["Truncated()"]),
    row("DecodeTrailingBytes", 1, &["InvalidSignatureLength()"]),
    row("DecodeUnknownFlag", 1, &["InvalidSignatureFlag(uint256)"]),
    row("DecodeMalformedAbi", 1, &["InvalidSignatureFlag(uint256)"]),
    row("AuthenticatorData", 2, AUTHENTICATOR),
    row("UserPresence", 2, AUTHENTICATOR),
    row("UserVerification", 2, AUTHENTICATOR),
    row("Type", 2, CLIENT),
    row("Challenge", 2, CLIENT),
    row("HighS", 2, SIGNATURE),
    row("Signature", 2, SIGNATURE),
];

pub(crate) struct Passkeys {
    chain: Chain,
    keys: Keys,
    table: Table,
}

impl Passkeys {
    pub(crate) fn new() -> Self {
        Self {
            chain: Chain::new(),
            keys: Keys::p256(),
            table: Table::new(ERRORS, &["Passkeys"]),
        }
    }

    /// One signature, and two that come of it.
    pub(crate) fn run(&mut self, mut rng: Rng, tally: &mut Tally) {
        let rng = &mut rng;
        let challenge = rng.hash();
        let good = self.signature(rng, &challenge);
        let donor = self.signature(rng, &challenge);
        let places = places(&good);
        for variant in 0..3 {
            let bytes = if variant == 0 {
                good.clone()
            } else {
                mutate(rng, &good, &places, &donor)
            };
            let decoded = PasskeySignature::decode(&bytes);
            // The contract leaves the ABI form out, which Rust reads for other contexts.
            if decoded.is_ok() && bytes.first() == Some(&0x20) {
                let refused = selector("InvalidSignatureFlag(uint256)");
                let answer = self.ask(&challenge, &bytes);
                assert!(matches!(answer, Answer::Reverted(data) if data.starts_with(&refused)));
                *tally
                    .known
                    .entry("the ABI form, which Rust reads for other contexts")
                    .or_default() += 1;
                continue;
            }
            let answer = self.ask(&challenge, &bytes);
            let rust = decoded
                .map_err(|error| format!("Decode{}", name(&error)))
                .and_then(|signature| {
                    verify(&challenge, &signature, &p256).map_err(|error| name(&error))
                });
            tally.compare(
                &self.table,
                (&answer, &rust),
                |root, answer| answer.word(0) == *root,
                || format!("challenge {challenge}, signature {}", hex::encode(&bytes)),
            );
        }
    }

    fn ask(&mut self, challenge: &B256, bytes: &[u8]) -> Answer {
        let contract = self.chain.at("Passkeys");
        self.chain.ask(
            Address::repeat_byte(1),
            contract,
            compact_call(challenge, bytes),
        )
    }

    fn signature(&self, rng: &mut Rng, challenge: &B256) -> Vec<u8> {
        let key = rng.below(self.keys.len());
        let (x, y) = self.keys.point(key);
        let verified = rng.chance(50);
        let mut authenticator_data = rng.bytes(37);
        authenticator_data[32] |= if rng.chance(97) { 1 } else { 0 };
        if verified && rng.chance(97) {
            authenticator_data[32] |= 4;
        }
        if rng.chance(20) {
            authenticator_data.extend(rng.some_bytes(300));
        }
        let text = base64(challenge);
        let client_data = match rng.below(4) {
            0 => format!(
                r#"{{"challenge":"{text}","type":"webauthn.get","origin":"https://a.example"}}"#
            ),
            1 => format!(
                r#"{{"origin":"https://{}.example","type":"webauthn.get","challenge":"{text}"}}"#,
                "a".repeat(rng.below(400))
            ),
            _ => format!(
                r#"{{"type":"webauthn.get","challenge":"{text}","origin":"https://a.example"}}"#
            ),
        };
        let mut hasher = Sha256::new();
        hasher.update(&authenticator_data);
        hasher.update(Sha256::digest(client_data.as_bytes()));
        let (r, mut s, _) = self
            .keys
            .sign_raw(key, &B256::from_slice(&hasher.finalize()));
        if rng.chance(3) {
            s = (P256_ORDER - U256::from_be_bytes(s.0)).into();
        }
        let metadata = rng.chance(40).then(|| rng.hash());
        let public_key = PasskeyPublicKey {
            x,
            y,
            require_user_verification: verified,
            metadata,
        };
        let signature = PasskeySignature::new(
            public_key,
            metadata.is_some(),
            authenticator_data.into(),
            client_data.into_bytes().into(),
            (r, s),
        )
        .unwrap();
        if rng.chance(2) {
            signature.encode_abi()
        } else {
            signature.encode(Encoding::Shortest).unwrap()
        }
    }
}

fn base64(bytes: &B256) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bit = |index: usize| {
        bytes
            .get(index / 8)
            .map_or(0, |byte| byte >> (7 - index % 8) & 1)
    };
    (0..43)
        .map(|digit| (0..6).fold(0, |value, index| value << 1 | bit(digit * 6 + index)))
        .map(|value| char::from(ALPHABET[usize::from(value)]))
        .collect()
}

fn p256(hash: &B256, by: &P256Signature) -> bool {
    let point = [&[4], by.x.as_slice(), by.y.as_slice()].concat();
    let signature = [by.r.as_slice(), by.s.as_slice()].concat();
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::from_sec1_bytes(&point),
        p256::ecdsa::Signature::from_slice(&signature),
    ) else {
        return false;
    };
    key.verify_prehash(hash.as_slice(), &signature).is_ok()
}

/// The flags, the first bytes, and the numbers behind the client data.
fn places(bytes: &[u8]) -> Vec<usize> {
    let metadata = if bytes[0] & 0x40 != 0 { 32 } else { 0 };
    let length = bytes.len();
    vec![
        0,
        1 + metadata,
        2 + metadata,
        length - 130,
        length - 129,
        length - 64,
        length - 96,
    ]
}
