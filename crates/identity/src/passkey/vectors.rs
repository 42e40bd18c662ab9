//! The test vectors of WebAuthn level 3, section 16.

use keyfold_crypto::b64;

use super::registration::check_registration;
use super::*;

const ES256_OBJECT: &str = "a363666d74646e6f6e656761747453746d74a068617574684461746158a4\
    bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5\
    59000000008446ccb9ab1db374750b2367ff6f3a1f0020\
    f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4\
    a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61\
    225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220";

const SELF_OBJECT: &str = "a363666d74667061636b65646761747453746d74a263616c672663736967584630440220\
    067a20754ab925005dbf378097c92120031581c73228d1fb4f5b881bcd7da9830220\
    7fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d\
    68617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5\
    5d00000000df850e09db6afbdfab51697791506cfc0020\
    455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c\
    a5010203262001215820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5\
    225820927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2";

const EDDSA_KEY: &str =
    "a401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832";

const RS256_SIGNATURE: &str = "01063d52d7c39b4d432fc7063c5d93e582bdcb16889cd71f888d67d880ea730a\
    428498d3bc8e1ee11f2b1ecbe6c292b118c55ffaaddefa8cad0a54dd137c51f1eec673f1bb6c4d1789d6826a\
    222b22d0f585fc901fdc933212e579d199b89d672aa44891333e6a1355536025e82b25590256c3538229b557\
    37083b2f6b9377e49e2472f11952f79fdd0da180b5ffd901b4049a8f081bb40711bef76c62aed943571f2d05\
    75304cb549d68d8892f95086a30f93716aee818f8dc06e96c0d5e0ed4cfa9fd8773d90464b68cf140f798666\
    6ff9c9e3302acd0535d60d769f465e2ab57ef8aabc89fccfef7ba32a64154a8b3d26be2298f470b8cc5377db\
    e3dfd4b0b45f8f01e63bde6cfc76b62771f9b70aa27cf40152cad93aa5acd784fd4b90f676e2ea828d0bf240\
    0aebbaae4153e5838f537f88b6228346782a93a899be66ec77de45b3efcf311da6321c92e6b0cd11bfe653bf\
    3e98cee8e341f02d67dbb6f9c98d9e8178090cfb5b70fbc6d541599ac794ae2f1d4de1286ec8de8c2daf7b1d\
    15c8438e90d924df5c19045220a4c8438c1b979bbe016cf3d0eeec23c3999d4882cc645b776de930756612cd\
    c6dd398160ff02a6";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn party() -> RelyingParty {
    let origin = PasskeyOrigin::parse("https://example.org").unwrap();
    RelyingParty::new("example.org", vec![origin], Vec::new()).unwrap()
}

/// The client data of the vectors: some have a field that WebAuthn does not know yet.
fn client_data(kind: &str, challenge: &[u8; 32], extra: Option<&str>) -> Vec<u8> {
    let extra = extra.map_or(String::new(), |random| {
        format!(
            ",\"extraData\":\"clientDataJSON may be extended with additional fields in the \
             future, such as this: {random}\""
        )
    });
    format!(
        "{{\"type\":\"webauthn.{kind}\",\"challenge\":\"{}\",\"origin\":\"https://example.org\",\
         \"crossOrigin\":false{extra}}}",
        b64::encode(challenge)
    )
    .into_bytes()
}

fn challenge(text: &str) -> [u8; 32] {
    bytes(text).try_into().unwrap()
}

fn registered(object: &str, id: &str, of: &str, extra: &str) -> registration::Made {
    let challenge = challenge(of);
    let response = RegistrationResponse {
        credential_id: &bytes(id),
        client_data_json: &client_data("create", &challenge, Some(extra)),
        attestation_object: &bytes(object),
    };
    check_registration(&party(), UserVerification::Preferred, &challenge, &response).unwrap()
}

fn asserted(
    key: &PasskeyPublicKey,
    of: &str,
    flags: u8,
    extra: Option<&str>,
    signature: &str,
) -> AssertionFacts {
    let challenge = challenge(of);
    let mut data = sha256(b"example.org").to_vec();
    data.extend_from_slice(&[flags, 0, 0, 0, 0]);
    let response = AssertionResponse {
        credential_id: &[],
        client_data_json: &client_data("get", &challenge, extra),
        authenticator_data: &data,
        signature: &bytes(signature),
        user_handle: None,
    };
    check_assertion(
        &party(),
        UserVerification::Preferred,
        &challenge,
        key,
        &response,
    )
    .unwrap()
}

#[test]
fn es256_with_no_attestation() {
    let made = registered(
        ES256_OBJECT,
        "f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4",
        "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130",
        "BkQeDjdcTBrXBiAwJTLE5Q",
    );
    assert_eq!(made.attestation, Attestation::None);
    assert_eq!(made.public_key.algorithm(), Algorithm::Es256);
    assert!(made.backup_eligible && made.backed_up && !made.user_verified);
    let facts = asserted(
        &made.public_key,
        "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
        0x19,
        None,
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd38\
         0221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
            .replace(' ', "")
            .as_str(),
    );
    assert!(facts.backup_eligible && facts.backed_up && !facts.user_verified);
}

#[test]
fn es256_with_self_attestation() {
    let made = registered(
        SELF_OBJECT,
        "455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c",
        "7869c2b772d4b58eba9378cf8f29e26cf935aa77df0da89fa99c0bdc0a76f7e5",
        "U9hTXvKE2URkMnb_0xYHVg",
    );
    assert_eq!(made.attestation, Attestation::SelfSigned);
    assert_eq!(hex::encode(made.aaguid), "df850e09db6afbdfab51697791506cfc");
    assert!(made.user_verified);
    let facts = asserted(
        &made.public_key,
        "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b",
        0x09,
        Some("gTb53rz6EhSWomXGzimC1Q"),
        "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf840\
         02204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
    );
    assert!(!facts.user_verified && !facts.backed_up);
}

#[test]
fn ed25519() {
    let key = PasskeyPublicKey::from_cose(&bytes(EDDSA_KEY)).unwrap();
    assert_eq!(hex::encode(key.to_cose()), EDDSA_KEY);
    asserted(
        &key,
        "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2",
        0x01,
        None,
        "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cf\
         dfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
    );
}

/// The vectors' modulus is (2^1279 - 1)(2^2203 - 1) = 2^3482 - 2^2203 - 2^1279 + 1.
fn mersenne_modulus() -> Vec<u8> {
    let mut modulus = vec![0; 436];
    let mut set = |bit: usize| modulus[435 - bit / 8] |= 1 << (bit % 8);
    set(0);
    (1279..2203).for_each(&mut set);
    (2204..3482).for_each(&mut set);
    modulus
}

#[test]
fn rs256() {
    let mut cose = bytes("a4010303390100205901b4");
    cose.extend_from_slice(&mersenne_modulus());
    cose.extend_from_slice(&bytes("2143010001"));
    let key = PasskeyPublicKey::from_cose(&cose).unwrap();
    assert_eq!(key.to_cose(), cose);
    asserted(
        &key,
        "295f59f5fa8fe62c5aca9e27626c78c8da376ae6d8cd2dd29aebad601e1bc4c5",
        0x19,
        None,
        RS256_SIGNATURE,
    );
}

#[test]
fn a_changed_byte_anywhere_in_a_genuine_registration_is_refused() {
    let object = bytes(SELF_OBJECT);
    let id = bytes("455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c");
    let challenge = challenge("7869c2b772d4b58eba9378cf8f29e26cf935aa77df0da89fa99c0bdc0a76f7e5");
    let json = client_data("create", &challenge, Some("U9hTXvKE2URkMnb_0xYHVg"));
    for position in 0..object.len() {
        let mut changed = object.clone();
        changed[position] ^= 1;
        let response = RegistrationResponse {
            credential_id: &id,
            client_data_json: &json,
            attestation_object: &changed,
        };
        let made = check_registration(&party(), UserVerification::Preferred, &challenge, &response);
        // Only the name of the format is not signed; another format is not verified.
        let made = made.map(|made| made.attestation);
        assert!(
            made.is_err() || (6..12).contains(&position) && made == Ok(Attestation::Unverified),
            "{position}"
        );
    }
}
