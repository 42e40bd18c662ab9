use alloy_primitives::{B256, Bytes, U256};
use keyfold_wallet::Encoding;
use keyfold_wallet::passkey::{
    P256Signature, PasskeyPublicKey, PasskeySignature, credential_metadata, verify,
};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{Vectors, hex};

/// The challenge of every vector, and how client data writes it.
const CHALLENGE: B256 = B256::repeat_byte(0xab);
const CHALLENGE_TEXT: &str = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";

fn key() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

fn public_key(require_user_verification: bool, metadata: Option<B256>) -> PasskeyPublicKey {
    let point = key().verifying_key().to_sec1_point(false);
    PasskeyPublicKey {
        x: B256::from_slice(&point.as_bytes()[1..33]),
        y: B256::from_slice(&point.as_bytes()[33..]),
        require_user_verification,
        metadata,
    }
}

fn verifies(message_hash: &B256, by: &P256Signature) -> bool {
    let point = [&[4][..], by.x.as_slice(), by.y.as_slice()].concat();
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::from_sec1_bytes(&point),
        Signature::from_scalars(by.r.0, by.s.0),
    ) else {
        return false;
    };
    key.verify_prehash(message_hash.as_slice(), &signature)
        .is_ok()
}

/// What the key answers: relying party's hash, flags, counter, and the client data.
fn signed(key_: PasskeyPublicKey, flags: u8, client_data: &str) -> PasskeySignature {
    let mut authenticator_data = vec![0x33; 32];
    authenticator_data.extend([flags, 0, 0, 0, 7]);
    let mut hasher = Sha256::new();
    hasher.update(&authenticator_data);
    hasher.update(Sha256::digest(client_data));
    let signature: Signature = key().sign_prehash(&hasher.finalize()).unwrap();
    let signature = signature.normalize_s();
    let bytes = signature.to_bytes();
    PasskeySignature::new(
        key_,
        key_.metadata.is_some(),
        authenticator_data.into(),
        Bytes::from(client_data.as_bytes().to_vec()),
        (
            B256::from_slice(&bytes[..32]),
            B256::from_slice(&bytes[32..]),
        ),
    )
    .unwrap()
}

fn client_data(kind: &str, challenge: &str) -> String {
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"https://app.example"}}"#)
}

#[test]
fn passkeys() {
    let mut vectors = Vectors::new(
        "Signatures of a passkey (P-256, private key 32 times the byte 1) over the challenge 0xab…ab. \
         Invalid ones are refused by the decoder or by the verification, here and in our contract",
    );
    let good = client_data("webauthn.get", CHALLENGE_TEXT);
    let padded = good.replacen('{', &format!(r#"{{"padding":"{}","#, "p".repeat(300)), 1);
    let metadata = Some(credential_metadata("cred"));
    for (name, key, client_data) in [
        ("plain", public_key(false, None), &good),
        ("user_verified", public_key(true, None), &good),
        ("with_metadata", public_key(true, metadata), &good),
        ("wide_client_data", public_key(true, metadata), &padded),
    ] {
        let signature = signed(key, 0x05, client_data);
        assert_eq!(verify(&CHALLENGE, &signature, &verifies), Ok(key.root()));
        vectors.valid(
            name,
            json!({
                "challenge": CHALLENGE,
                "publicKey": key,
                "root": key.root(),
                "r": signature.r,
                "s": signature.s,
                "authenticatorData": signature.authenticator_data,
                "clientDataJson": client_data,
                "embedMetadata": signature.embed_metadata,
                "encoded": hex(signature.encode(Encoding::Npm).unwrap()),
                "abi": hex(signature.encode_abi()),
            }),
        );
    }

    // What is read and verified.
    let judge = |bytes: &[u8]| {
        let signature = PasskeySignature::decode(bytes).map_err(|error| error.to_string())?;
        verify(&CHALLENGE, &signature, &verifies).map_err(|error| error.to_string())
    };
    let key = public_key(true, None);
    let signature = signed(key, 0x05, &good);
    let encoded = signature.encode(Encoding::Shortest).unwrap();
    let with = |change: &dyn Fn(&mut PasskeySignature)| {
        let mut signature = signature.clone();
        change(&mut signature);
        signature.encode(Encoding::Shortest).unwrap()
    };
    let at = |index: usize, byte: u8| {
        let mut bytes = encoded.clone();
        bytes[index] = byte;
        bytes
    };
    let resigned = |flags, data: &str| signed(key, flags, data).encode(Encoding::Shortest).unwrap();
    let order = U256::from_be_bytes(alloy_primitives::hex!(
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    ));
    let other = "r6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("cut_off", encoded[..encoded.len() - 1].to_vec()),
        ("trailing_byte", [&encoded[..], &[0]].concat()),
        ("unknown_flag_80", at(0, 0x81)),
        ("abi_form_with_flags", at(0, 0x21)),
        ("abi_form_cut_off", signature.encode_abi()[..400].to_vec()),
        ("nobody_present", resigned(0x04, &good)),
        ("user_not_verified", resigned(0x01, &good)),
        (
            "registration",
            resigned(0x05, &client_data("webauthn.create", CHALLENGE_TEXT)),
        ),
        (
            "another_challenge",
            resigned(0x05, &client_data("webauthn.get", other)),
        ),
        (
            "padded_challenge",
            resigned(
                0x05,
                &client_data("webauthn.get", &format!("{CHALLENGE_TEXT}=")),
            ),
        ),
        (
            "type_elsewhere",
            with(&|signature| signature.type_index = 2),
        ),
        (
            "challenge_beyond_the_end",
            with(&|signature| signature.challenge_index = 0xffff),
        ),
        (
            "short_authenticator_data",
            with(&|signature| signature.authenticator_data.truncate(32)),
        ),
        (
            "high_s",
            with(&|signature| signature.s = (order - U256::from_be_bytes(signature.s.0)).into()),
        ),
        ("zero_r", with(&|signature| signature.r = B256::ZERO)),
        ("another_message", with(&|signature| signature.r.0[31] ^= 1)),
        (
            "another_key",
            with(&|signature| signature.public_key.x.0[31] ^= 1),
        ),
    ] {
        vectors.invalid(
            name,
            json!({ "encoded": hex(&bytes), "challenge": CHALLENGE }),
            judge(&bytes),
        );
    }
    vectors.check("passkey");
}
