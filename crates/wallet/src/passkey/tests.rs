//! Vectors of the format description (section 12) and of the npm package; forged assertions.

use alloy_primitives::{B256, Bytes, U256, b256, hex};
use alloy_sol_types::{SolValue, sol};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::Encoding;

sol! {
    struct WebAuthn {
        bytes authenticatorData;
        string clientDataJSON;
        uint256 challengeIndex;
        uint256 typeIndex;
        bytes32 r;
        bytes32 s;
    }
}

fn public_key(metadata: Option<B256>) -> PasskeyPublicKey {
    PasskeyPublicKey {
        x: B256::repeat_byte(0x0a),
        y: B256::repeat_byte(0x0b),
        require_user_verification: true,
        metadata,
    }
}

#[test]
fn roots_match_published_vectors() {
    assert_eq!(
        public_key(None).root(),
        b256!("45a76cf0a665bdd6e9ba7adc0675c2de79215be50739d5eea5502c9bd6e9565e")
    );
    let metadata = credential_metadata("cred");
    assert_eq!(
        metadata,
        b256!("c310279ba442aa87dae6f20d247c383106250ec23d744cb92a827830a3508a73")
    );
    assert_eq!(
        public_key(Some(metadata)).root(),
        b256!("f3d563b57e0fc6dc763b6e39a06e880cdb1261aa3ca7479334face9c19ac2efe")
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    x: B256,
    y: B256,
    require_user_verification: bool,
    credential_id: Option<String>,
    metadata_hash: Option<B256>,
    root: B256,
    r: B256,
    s: B256,
    authenticator_data: Bytes,
    client_data_json: String,
    embed_metadata: bool,
    encoded: Bytes,
}

#[test]
fn signatures_are_those_of_the_package() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../vectors/passkeys.json")).unwrap();
    for case in cases {
        let by_id = case.credential_id.as_deref().map(credential_metadata);
        let key = PasskeyPublicKey {
            x: case.x,
            y: case.y,
            require_user_verification: case.require_user_verification,
            metadata: by_id.or(case.metadata_hash),
        };
        assert_eq!(key.root(), case.root);
        let ascii = case.client_data_json.is_ascii();
        let signature = PasskeySignature::new(
            key,
            case.embed_metadata,
            case.authenticator_data,
            case.client_data_json.into_bytes().into(),
            (case.r, case.s),
        )
        .unwrap();
        assert_eq!(signature.encode(Encoding::Npm).unwrap(), case.encoded);
        let bytes = signature.encode(Encoding::Shortest).unwrap();
        // The package miscounts text beyond ASCII, and nobody can read what it writes then.
        assert_eq!(bytes == case.encoded, ascii);
        assert_eq!(PasskeySignature::decode(&case.encoded).is_ok(), ascii);
        let decoded = PasskeySignature::decode(&bytes).unwrap();
        assert_eq!(decoded.encode(Encoding::Shortest).unwrap(), bytes);
        let json = serde_json::to_value(&decoded).unwrap();
        assert_eq!(json["publicKey"]["x"], case.x.to_string());
    }
}

fn p256(hash: &B256, by: &P256Signature) -> bool {
    let point = [&[4][..], by.x.as_slice(), by.y.as_slice()].concat();
    let Ok(key) = VerifyingKey::from_sec1_bytes(&point) else {
        return false;
    };
    Signature::from_scalars(by.r.0, by.s.0)
        .is_ok_and(|signature| key.verify_prehash(hash.as_slice(), &signature).is_ok())
}

const CHALLENGE: B256 = B256::repeat_byte(0xfb);

fn client_data(kind: &str) -> String {
    // 32 bytes of 0xfb: the text has both characters that differ from plain base64.
    let challenge = "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s";
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"https://x.y"}}"#)
}

/// A signature by a real key over this client data, with these flags.
fn signed(kind: &str, flags: u8) -> PasskeySignature {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let mut authenticator_data = vec![9; 37];
    authenticator_data[32] = flags;
    let client_data = client_data(kind);
    let message = [
        &authenticator_data[..],
        &Sha256::digest(client_data.as_bytes()),
    ]
    .concat();
    let signature: Signature = key.sign_prehash(&Sha256::digest(message)).unwrap();
    let signature = signature.normalize_s();
    let (r, s) = signature.split_bytes();
    PasskeySignature::new(
        PasskeyPublicKey {
            x: B256::from_slice(&point.as_bytes()[1..33]),
            y: B256::from_slice(&point.as_bytes()[33..]),
            require_user_verification: true,
            metadata: None,
        },
        false,
        authenticator_data.into(),
        client_data.into_bytes().into(),
        (B256::from_slice(&r), B256::from_slice(&s)),
    )
    .unwrap()
}

#[test]
fn an_assertion_proves_the_key() {
    let signature = signed("webauthn.get", 0x05);
    assert_eq!(
        verify(&CHALLENGE, &signature, &p256),
        Ok(signature.public_key.root())
    );
}

#[test]
fn hidden_metadata_is_no_part_of_the_root() {
    let mut signature = signed("webauthn.get", 0x05);
    let plain = signature.public_key.root();
    signature.public_key.metadata = Some(B256::repeat_byte(1));
    assert_eq!(verify(&CHALLENGE, &signature, &p256), Ok(plain));
    signature.embed_metadata = true;
    let root = signature.public_key.root();
    assert_ne!(root, plain);
    assert_eq!(verify(&CHALLENGE, &signature, &p256), Ok(root));
}

#[test]
fn another_challenge_or_type_is_refused() {
    let signature = signed("webauthn.get", 0x05);
    assert_eq!(
        verify(&B256::ZERO, &signature, &p256),
        Err(PasskeyError::Challenge)
    );
    let create = signed("webauthn.create", 0x05);
    assert_eq!(verify(&CHALLENGE, &create, &p256), Err(PasskeyError::Type));
    for index in [0, 5000, u16::MAX] {
        let mut moved = signature.clone();
        moved.challenge_index = index;
        assert_eq!(
            verify(&CHALLENGE, &moved, &p256),
            Err(PasskeyError::Challenge)
        );
        let mut moved = signature.clone();
        moved.type_index = index;
        assert_eq!(verify(&CHALLENGE, &moved, &p256), Err(PasskeyError::Type));
    }
}

#[test]
fn absent_and_unverified_users_are_refused() {
    for (flags, expected) in [
        (0x04, Err(PasskeyError::UserPresence)),
        (0x01, Err(PasskeyError::UserVerification)),
    ] {
        let signature = signed("webauthn.get", flags);
        assert_eq!(verify(&CHALLENGE, &signature, &p256), expected);
    }
    let mut signature = signed("webauthn.get", 0x01);
    signature.public_key.require_user_verification = false;
    assert!(verify(&CHALLENGE, &signature, &p256).is_ok());
    signature.authenticator_data = signature.authenticator_data.slice(..36);
    assert_eq!(
        verify(&CHALLENGE, &signature, &p256),
        Err(PasskeyError::AuthenticatorData)
    );
}

#[test]
fn high_s_and_forged_signatures_are_refused() {
    let good = signed("webauthn.get", 0x05);
    let order = b256!("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut high = good.clone();
    high.s = (U256::from_be_bytes(order.0) - U256::from_be_bytes(good.s.0)).into();
    assert_eq!(verify(&CHALLENGE, &high, &p256), Err(PasskeyError::HighS));
    let mut other = good.clone();
    other.client_data_json = [&good.client_data_json[..], b" "].concat().into();
    assert_eq!(
        verify(&CHALLENGE, &other, &p256),
        Err(PasskeyError::Signature)
    );
    let mut zero = good;
    zero.public_key.x = B256::ZERO;
    zero.public_key.y = B256::ZERO;
    assert_eq!(
        verify(&CHALLENGE, &zero, &p256),
        Err(PasskeyError::Signature)
    );
}

#[test]
fn abi_form_matches_a_second_encoder() {
    let mut signature = signed("webauthn.get", 0x05);
    signature.public_key.metadata = Some(B256::repeat_byte(1));
    signature.embed_metadata = true;
    let inner = WebAuthn {
        authenticatorData: signature.authenticator_data.clone(),
        clientDataJSON: client_data("webauthn.get"),
        challengeIndex: U256::from(signature.challenge_index),
        typeIndex: U256::from(signature.type_index),
        r: signature.r,
        s: signature.s,
    };
    let key = &signature.public_key;
    let body = (inner, true, key.x, key.y, B256::repeat_byte(1)).abi_encode_params();
    let bytes = signature.encode_abi();
    assert_eq!(hex::encode(&bytes[1..]), hex::encode(body));
    assert_eq!(bytes[0], 0x20);
    assert_eq!(PasskeySignature::decode(&bytes), Ok(signature));
}

#[test]
fn malformed_bytes_are_refused() {
    use PasskeyDecodeError as E;
    let signature = signed("webauthn.get", 0x05);
    let good = signature.encode(Encoding::Shortest).unwrap();
    for length in 0..good.len() {
        assert_eq!(PasskeySignature::decode(&good[..length]), Err(E::Truncated));
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(PasskeySignature::decode(&longer), Err(E::TrailingBytes));
    for flags in [0x80, 0x81, 0x21, 0x60, 0xff] {
        let mut bad = good.clone();
        bad[0] = flags;
        assert_eq!(PasskeySignature::decode(&bad), Err(E::UnknownFlag(flags)));
    }
    let abi = signature.encode_abi();
    for at in [1, 33, 34, 64, 200, abi.len() - 1] {
        let mut bad = abi.clone();
        bad[at] ^= 0x80;
        assert_ne!(
            PasskeySignature::decode(&bad),
            Ok(signature.clone()),
            "{at}"
        );
    }
    for length in 1..abi.len() {
        assert_eq!(
            PasskeySignature::decode(&abi[..length]),
            Err(E::MalformedAbi)
        );
    }
    let longer = [&abi[..], &[0; 32]].concat();
    assert_eq!(PasskeySignature::decode(&longer), Err(E::MalformedAbi));
}

#[test]
fn what_has_no_index_or_metadata_is_not_encoded() {
    let attempt = |text: &str, embed| {
        let client_data = Bytes::copy_from_slice(text.as_bytes());
        let words = (B256::ZERO, B256::ZERO);
        PasskeySignature::new(public_key(None), embed, Bytes::new(), client_data, words).err()
    };
    let no_index = Some(PasskeyEncodeError::NoIndex);
    assert_eq!(attempt(r#"{"type":"webauthn.get"}"#, false), no_index);
    assert_eq!(attempt(r#"{"challenge":""}"#, false), no_index);
    assert_eq!(
        attempt(&client_data("webauthn.get"), true),
        Some(PasskeyEncodeError::NoMetadata)
    );
}

proptest! {
    #[test]
    fn decode_undoes_encode(
        words in any::<[[u8; 32]; 5]>(),
        user_verification in any::<bool>(),
        embed_metadata in any::<bool>(),
        authenticator_data in prop::collection::vec(any::<u8>(), 0..600),
        client_data_json in prop::collection::vec(any::<u8>(), 0..600),
        challenge_index in any::<u16>(),
        type_index in 0u16..300,
    ) {
        let [x, y, r, s, metadata] = words.map(B256::from);
        let signature = PasskeySignature {
            public_key: PasskeyPublicKey {
                x,
                y,
                require_user_verification: user_verification,
                metadata: embed_metadata.then_some(metadata),
            },
            embed_metadata,
            authenticator_data: authenticator_data.into(),
            client_data_json: client_data_json.into(),
            challenge_index,
            type_index,
            r,
            s,
        };
        let packed = signature.encode(Encoding::Shortest).unwrap();
        prop_assert_eq!(PasskeySignature::decode(&packed).unwrap(), signature.clone());
        let abi = signature.encode_abi();
        prop_assert_eq!(PasskeySignature::decode(&abi).unwrap(), signature);
    }

    #[test]
    fn reading_never_panics(flags in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [&[flags][..], &bytes].concat();
        if let Ok(signature) = PasskeySignature::decode(&bytes) {
            let _ = verify(&CHALLENGE, &signature, &|_: &B256, _: &P256Signature| true);
        }
    }
}
