//! What a person types, an authenticator says or a wallet signs to sign in.

use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{Secret, b64, ed25519, hash, secp256k1};
use keyfold_identity::challenge::{Challenge, ChallengeMethod};
use keyfold_identity::mail::DisplayName;
use keyfold_identity::origin::Origin;
use keyfold_identity::passkey::{
    AssertionResponse, Attestation, PasskeyOrigin, PasskeyPublicKey, RegistrationResponse,
    RelyingParty, UserHandle, UserVerification, check_assertion, verify_registration,
};
use keyfold_identity::password::{Cost, Password, PasswordHash};
use keyfold_identity::recovery::RecoveryCode;
use keyfold_identity::siwe::{EthereumAddress, EthereumPolicy, SignIn};
use keyfold_identity::siws::SolanaPolicy;
use keyfold_identity::totp::TotpCode;
use keyfold_identity::{EmailAddress, OneTimeCode, siwe, siws};

use crate::reached;

const NOW: u64 = 1_800_000_000;
/// The id of the credential in the seeds.
pub const CREDENTIAL_ID: [u8; 32] = [0xc1; 32];

/// An address that is read is in its one form, and has no character that a mail header or server
/// gives a meaning to. So too codes and names.
pub fn email(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(address) = EmailAddress::parse(text) {
        reached();
        let form = address.as_str();
        assert!(form.eq_ignore_ascii_case(text));
        assert_eq!(EmailAddress::parse(form), Ok(address.clone()));
        assert_eq!(format!("{}@{}", address.local(), address.domain()), form);
        assert!(form.len() <= 254 && address.local().len() <= 64);
        let harmless = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&b);
        assert!(form.bytes().all(harmless));
        assert_eq!(form.matches('@').count(), 1);
        assert!(!address.local().is_empty() && address.domain().contains('.'));
    }
    if let Ok(code) = OneTimeCode::parse(text) {
        assert_eq!(text.len(), 8);
        code.expose(|digits| assert_eq!(digits, text));
    }
    if let Ok(name) = DisplayName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(
            !text
                .chars()
                .any(|c| c.is_control() || "@/:<>\"\\\u{202e}".contains(c))
        );
    }
}

/// A challenge that is the same in every run.
pub fn challenge(method: ChallengeMethod) -> Challenge {
    Challenge::new(method, "app", [7; 32], NOW, &mut SeededRng::new(1))
}

/// The passkey of the seeds.
pub fn passkey_key() -> ed25519::SigningKey {
    ed25519::SigningKey::generate(&mut SeededRng::new(2))
}

/// Its public half, in COSE.
pub fn passkey_cose() -> Vec<u8> {
    let head = [0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32];
    [&head[..], &passkey_key().verifying_key().to_bytes()].concat()
}

/// What a browser says of this challenge.
pub fn client_data(kind: &str, challenge: &[u8; 32]) -> Vec<u8> {
    let challenge = b64::encode(challenge);
    format!(
        "{{\"type\":\"webauthn.{kind}\",\"challenge\":\"{challenge}\",\
         \"origin\":\"https://app.example\",\"crossOrigin\":false}}"
    )
    .into_bytes()
}

fn party() -> RelyingParty {
    let origin = PasskeyOrigin::parse("https://app.example").expect("an origin");
    RelyingParty::new("app.example", vec![origin], Vec::new()).expect("a relying party")
}

/// The first byte chooses what the others are: a key, an attestation object, authenticator data,
/// client data. A signature under the fuzzer's key is made where one is needed.
pub fn passkey(data: &[u8]) {
    match data.split_first() {
        Some((0, cose)) => {
            if let Ok(key) = PasskeyPublicKey::from_cose(cose) {
                reached();
                assert_eq!(key.to_cose(), cose);
            }
        }
        Some((1, object)) => registration(object),
        Some((2, auth_data)) => {
            let challenge = challenge(ChallengeMethod::PasskeyAssertion).bytes();
            if asserted(auth_data, &client_data("get", &challenge)) {
                reached();
                assert_eq!(auth_data.get(..32), Some(&hash::sha256(b"app.example")[..]));
                let flags = auth_data[32];
                assert_eq!(
                    flags & 0x45,
                    0x05,
                    "present, verified, without a credential"
                );
                assert!(flags & 0x18 != 0x10, "backed up and not eligible");
                assert!(flags & 0x80 != 0 || auth_data.len() == 37);
            }
        }
        Some((3, json)) => {
            let mut auth_data = hash::sha256(b"app.example").to_vec();
            auth_data.extend_from_slice(&[5, 0, 0, 0, 0]);
            if asserted(&auth_data, json) {
                reached();
                let said: serde_json::Value = serde_json::from_slice(json).expect("JSON");
                let challenge = challenge(ChallengeMethod::PasskeyAssertion).bytes();
                assert_eq!(said["type"], "webauthn.get");
                assert_eq!(said["challenge"], b64::encode(&challenge));
                assert_eq!(said["origin"], "https://app.example");
                assert_ne!(said["crossOrigin"], true);
            }
        }
        _ => {}
    }
}

fn asserted(auth_data: &[u8], json: &[u8]) -> bool {
    let signed = [auth_data, &hash::sha256(json)].concat();
    let response = AssertionResponse {
        credential_id: &CREDENTIAL_ID,
        client_data_json: json,
        authenticator_data: auth_data,
        signature: &passkey_key().sign(&signed),
        user_handle: None,
    };
    let challenge = challenge(ChallengeMethod::PasskeyAssertion).bytes();
    let key = PasskeyPublicKey::from_cose(&passkey_cose()).expect("a key");
    let required = UserVerification::Required;
    check_assertion(&party(), required, &challenge, &key, &response).is_ok()
}

fn registration(object: &[u8]) {
    let challenge = challenge(ChallengeMethod::PasskeyRegistration);
    let response = RegistrationResponse {
        credential_id: &CREDENTIAL_ID,
        client_data_json: &client_data("create", &challenge.bytes()),
        attestation_object: object,
    };
    let user = UserHandle::from_slice(&[5; 32]).expect("32 bytes");
    let required = UserVerification::Required;
    let made = verify_registration(&party(), required, challenge, user, &response, NOW);
    let Ok(made) = made else { return };
    reached();
    let credential = made.credential();
    let contains = |part: &[u8]| object.windows(part.len()).any(|window| window == part);
    assert!(contains(credential.id()) && contains(&credential.public_key().to_cose()));
    assert!(contains(&hash::sha256(b"app.example")));
    if made.attestation() == Attestation::None {
        assert!(contains(b"\x64none"));
    }
    let json = serde_json::to_vec(credential).expect("JSON");
    assert_eq!(
        serde_json::from_slice(&json).ok().as_ref(),
        Some(credential)
    );
}

/// The Ethereum key of the seeds.
pub fn ethereum_key() -> secp256k1::SigningKey {
    secp256k1::SigningKey::from_secret(&Secret::from_array([0x11; 32])).expect("a key")
}

/// A message that is for the challenge, with everything in it.
pub fn ethereum_message() -> String {
    format!(
        "https://app.example wants you to sign in with your Ethereum account:\n{}\n\nSign in.\n\n\
         URI: https://app.example/login\nVersion: 1\nChain ID: 1\nNonce: {}\n\
         Issued At: 2027-01-15T08:00:00.000Z\nExpiration Time: 2027-01-15T09:00:00+00:30\n\
         Not Before: 2027-01-15T08:00:00Z\nRequest ID: a\nResources:\n- farcaster://fid/1",
        EthereumAddress::from_bytes(ethereum_key().address()),
        challenge(ChallengeMethod::Ethereum).nonce()
    )
}

/// The same for Solana.
pub fn solana_message() -> String {
    // The address of `passkey_key`, in base58.
    let digits = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = passkey_key().verifying_key().to_bytes();
    let mut address = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            (*byte, rest) = ((value / 58) as u8, value % 58);
        }
        address.insert(0, digits[rest as usize]);
    }
    format!(
        "app.example wants you to sign in with your Solana account:\n{}\n\n\
         URI: https://app.example\nVersion: 1\nChain ID: mainnet\nNonce: {}\n\
         Issued At: 2027-01-15T08:00:00Z",
        String::from_utf8(address).expect("ASCII"),
        challenge(ChallengeMethod::Solana).nonce()
    )
}

/// A message that is accepted says in plain lines what was checked, once each, and has no
/// character that a wallet would show as another.
pub fn message(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let origins = vec![Origin::parse("https://app.example").expect("an origin")];
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
    let signature = ethereum_key().sign_prehash(&hash::keccak256(prefixed.as_bytes()));
    let policy = EthereumPolicy {
        origins: origins.clone(),
        chains: vec![1],
        contracts: false,
    };
    let ethereum = challenge(ChallengeMethod::Ethereum);
    let nonce = ethereum.nonce();
    let signed = signature.to_rsv();
    if let Ok(SignIn::Proven(_)) = siwe::verify(&policy, ethereum, text, &signed, NOW) {
        reached();
        plain(text, &nonce);
        assert_eq!(text.matches("\nChain ID: 1\n").count(), 1);
    }
    let policy = SolanaPolicy {
        origins,
        cluster: None,
    };
    let solana = challenge(ChallengeMethod::Solana);
    let nonce = solana.nonce();
    let signature = passkey_key().sign(text.as_bytes());
    if siws::verify(&policy, solana, text, &signature, NOW).is_ok() {
        reached();
        plain(text, &nonce);
    }
}

fn plain(text: &str, nonce: &str) {
    assert!(text.len() <= siwe::MAX_MESSAGE_LEN);
    assert!(
        text.bytes()
            .all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
    );
    let first = text.strip_prefix("https://").unwrap_or(text);
    assert!(first.starts_with("app.example wants you to sign in with your "));
    assert_eq!(text.matches(&format!("\nNonce: {nonce}\n")).count(), 1);
    // Each is a line of its own once; the statement may be one more that looks like it.
    for field in [
        "\nURI: https://app.example",
        "\nVersion: 1\n",
        "\nIssued At: ",
    ] {
        assert!((1..=2).contains(&text.matches(field).count()));
    }
    assert!(!text.ends_with('\n'));
}

/// A password is in its one form; a stored hash has one text and costs no more than is accepted;
/// codes are read as they are shown.
pub fn password(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(password) = Password::parse(text) {
        reached();
        password.expose(|form| {
            assert!((8..=128).contains(&form.chars().count()));
            assert!(!form.chars().any(char::is_control));
            let again = Password::parse(form).expect("it is one");
            again.expose(|again| assert_eq!(again, form));
        });
    }
    if let Ok(hash) = PasswordHash::parse(text) {
        reached();
        assert_eq!(hash.to_string(), text);
        assert!(hash.cost().memory_kib() <= Cost::MAX_MEMORY_KIB);
    }
    if let Ok(code) = RecoveryCode::parse(text) {
        reached();
        code.expose(|shown| {
            assert_eq!(shown.len(), 19);
            let again = RecoveryCode::parse(shown).expect("just shown");
            again.expose(|again| assert_eq!(again, shown));
        });
    }
    if TotpCode::parse(text).is_some() {
        assert!(text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()));
    }
}
