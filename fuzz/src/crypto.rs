//! Shares, sealed bytes, public keys, words.

use std::sync::OnceLock;

use keyfold_crypto::b64;
use keyfold_crypto::commitment::{CommittedShare, ShareContext, SharePurpose, commit};
use keyfold_crypto::envelope::{Aad, KeyRing, MasterKey, OpenError};
use keyfold_crypto::hpke::{self, HpkePrivateKey};
use keyfold_crypto::jwk::{DeviceSigningKey, PublicJwk, Thumbprint};
use keyfold_crypto::mnemonic::Mnemonic;
use keyfold_crypto::secret::Secret;
use keyfold_crypto::testing::SeededRng;

use crate::reached;

/// A share that is read is written back as the same bytes, and matches its own commitment alone.
pub fn share(data: &[u8]) {
    let Ok(held) = CommittedShare::from_bytes(data) else {
        return;
    };
    held.to_bytes().expose(|bytes| assert_eq!(bytes, data));
    let index = held.share.index();
    let mut context = ShareContext {
        realm: [1; 32],
        project: "app.example".to_owned(),
        account: "account".to_owned(),
        key: "key".to_owned(),
        purpose: SharePurpose::LeafKey,
        index,
        generation: 1,
    };
    let commitment = commit(&context, &held.share, &held.opening).expect("the same index");
    held.verify(&context, &commitment)
        .expect("its own commitment");
    reached();
    context.generation = 2;
    assert!(held.verify(&context, &commitment).is_err());
    context.index = index.wrapping_add(1);
    assert!(commit(&context, &held.share, &held.opening).is_err());
}

const PLACE: Aad<'static> = Aad {
    table: "accounts",
    row: &[7; 16],
    column: "record",
    version: 3,
};

fn ring() -> &'static KeyRing {
    static RING: OnceLock<KeyRing> = OnceLock::new();
    RING.get_or_init(|| {
        let key = |byte| MasterKey::new(Secret::from_array([byte; 32]));
        KeyRing::new(key(1)).with_older(key(2))
    })
}

fn recipient() -> HpkePrivateKey {
    HpkePrivateKey::from_secret(Secret::from_array([3; 32]))
}

/// The only envelope and the only message that anybody ever sealed for this target.
pub(crate) fn genuine_sealed() -> &'static (Vec<u8>, Vec<u8>) {
    static SEALED: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    SEALED.get_or_init(|| {
        let mut rng = SeededRng::new(4);
        let envelope = ring().seal(&PLACE, b"a secret", &mut rng).expect("short");
        let recipient = recipient().public_key();
        let message = hpke::seal(&recipient, b"info", b"aad", b"a secret", &mut rng);
        (envelope, message.expect("short"))
    })
}

/// Nothing opens but what was sealed, byte for byte; and what is sealed opens in its place alone.
pub fn sealed(data: &[u8]) {
    let (envelope, message) = genuine_sealed();
    match ring().open(&PLACE, data) {
        Ok(plaintext) => {
            reached();
            assert_eq!(data, envelope);
            plaintext.expose(|bytes| assert_eq!(bytes, b"a secret"));
        }
        Err(error) => {
            assert_ne!(data, envelope);
            let readable = ring().needs_reseal(data).is_ok();
            assert_eq!(readable, error != OpenError::Format);
        }
    }
    let opened = hpke::open(&recipient(), b"info", b"aad", data).is_ok();
    assert_eq!(opened, data == message);

    let mut again = ring()
        .seal(&PLACE, data, &mut SeededRng::new(5))
        .expect("an input of the fuzzer is short");
    let plaintext = ring().open(&PLACE, &again).expect("just sealed");
    plaintext.expose(|bytes| assert_eq!(bytes, data));
    let elsewhere = Aad {
        version: 4,
        ..PLACE
    };
    assert!(ring().open(&elsewhere, &again).is_err());
    let position = data.iter().map(|b| usize::from(*b)).sum::<usize>() % again.len();
    again[position] ^= 1;
    assert!(ring().open(&PLACE, &again).is_err());
}

/// A public key that is read is on its curve, and has one text and one name. A device key and a
/// base64url text that are read are written back as they were.
pub fn jwk(data: &[u8]) {
    if let Ok(key) = serde_json::from_slice::<PublicJwk>(data) {
        assert_eq!(key.validate(), Ok(()));
        let json = serde_json::to_vec(&key).expect("JSON");
        let again: PublicJwk = serde_json::from_slice(&json).expect("our own JSON");
        assert_eq!(again, key);
        assert_eq!(again.thumbprint(), key.thumbprint());
        reached();
        let name = key.thumbprint().to_string();
        assert_eq!(name.parse::<Thumbprint>(), Ok(key.thumbprint()));
        assert!(key.verify(b"message", &[0; 64]).is_err());
    }
    if let Ok(key) = DeviceSigningKey::from_secret_bytes(data) {
        key.to_secret_bytes()
            .expose(|bytes| assert_eq!(bytes, data));
        let signature = key.sign(data);
        assert_eq!(key.public_jwk().verify(data, &signature), Ok(()));
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(bytes) = b64::decode(text, data.len())
    {
        assert_eq!(b64::encode(&bytes), text);
    }
}

/// Words that are read stand for an entropy that is written as those words.
pub fn mnemonic(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(words) = Mnemonic::parse(text) else {
        return;
    };
    let typed: Vec<String> = text
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    words.expose(|phrase| assert_eq!(phrase, typed.join(" ")));
    reached();
    let entropy = words.to_entropy();
    let len = entropy.as_secret().len();
    assert_eq!(len * 3, typed.len() * 4);
    let again = entropy.to_mnemonic().expect("16 or 32 bytes");
    again.expose(|phrase| assert_eq!(phrase, typed.join(" ")));
    assert_eq!(again.to_entropy(), entropy);
}
