//! What a witness takes for a passkey's word, and what it does not.

use super::*;
use crate::challenge::challenge_hash;

const CHALLENGE: [u8; 32] = [0x77; 32];

fn witnessed(said: &Said, party: &str) -> Result<WitnessedPasskey, PasskeyError> {
    let json = said.client_data(&CHALLENGE);
    let object = object("none", &[0xa0], &said.auth_data());
    let response = RegistrationResponse {
        credential_id: &ID,
        client_data_json: &json,
        attestation_object: &object,
    };
    WitnessedPasskey::registered(party, &CHALLENGE, &response)
}

fn asserted(
    kept: &WitnessedPasskey,
    said: &Said,
    challenge: &[u8; 32],
) -> Result<WitnessedPasskey, PasskeyError> {
    let (json, data) = (said.client_data(&CHALLENGE), said.auth_data());
    let message = [&data[..], &sha256(&json)].concat();
    let signature = der(&said.key.sign(&message));
    let response = AssertionResponse {
        credential_id: &ID,
        client_data_json: &json,
        authenticator_data: &data,
        signature: &signature,
        user_handle: None,
    };
    kept.asserted(challenge, &response)
}

fn kept() -> WitnessedPasskey {
    witnessed(&making(), "app.example").unwrap()
}

#[test]
fn the_key_that_was_witnessed_vouches_at_any_page_of_its_domain() {
    for origin in ["https://app.example", "https://other.app.example:8443"] {
        let said = Said {
            origin,
            ..genuine()
        };
        assert!(asserted(&kept(), &said, &CHALLENGE).is_ok(), "{origin}");
    }
    // In a frame: by whom is the enclave's to judge.
    let framed = Said {
        after_origin: ",\"crossOrigin\":true,\"topOrigin\":\"https://shop.example\"".to_owned(),
        ..genuine()
    };
    assert!(asserted(&kept(), &framed, &CHALLENGE).is_ok());
}

#[test]
fn an_assertion_of_another_page_party_ceremony_challenge_or_key_is_refused() {
    use PasskeyError::*;
    let other_key = p256::SigningKey::generate(&mut SeededRng::new(2));
    #[rustfmt::skip]
    let cases = [
        (Said { origin: "https://app.example.evil.example", ..genuine() }, WrongOrigin),
        (Said { origin: "https://evilapp.example", ..genuine() }, WrongOrigin),
        (Said { origin: "http://app.example", ..genuine() }, WrongOrigin),
        (Said { rp_id: "example", ..genuine() }, WrongRelyingParty),
        (Said { kind: "webauthn.create", ..genuine() }, WrongCeremony),
        (Said { flags: 0x01, ..genuine() }, UserNotVerified),
        (Said { flags: 0x04, ..genuine() }, UserNotPresent),
        (Said { flags: UP_UV | 0x08, ..genuine() }, BackupFlags),
        (Said { key: other_key, ..genuine() }, Signature(InvalidSignature)),
    ];
    for (said, refusal) in cases {
        assert_eq!(asserted(&kept(), &said, &CHALLENGE), Err(refusal));
    }
    let elsewhere = asserted(&kept(), &genuine(), &[0x78; 32]);
    assert_eq!(elsewhere, Err(WrongChallenge));
}

#[test]
fn an_app_vouches_with_its_own_passkeys_only() {
    let app = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let other = "android:apk-key-hash:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    #[rustfmt::skip]
    let made = witnessed(&Said { origin: app, ..making() }, "app.example").unwrap();
    let at = |kept: &WitnessedPasskey, origin| {
        let said = Said {
            origin,
            ..genuine()
        };
        asserted(kept, &said, &CHALLENGE).map(drop)
    };
    assert_eq!(at(&made, app), Ok(()));
    assert_eq!(at(&made, other), Err(PasskeyError::WrongOrigin));
    assert_eq!(at(&kept(), app), Err(PasskeyError::WrongOrigin));
    // The same person at a page of the domain.
    assert_eq!(at(&made, "https://app.example"), Ok(()));
}

#[test]
fn a_registration_for_another_party_page_or_challenge_is_not_witnessed() {
    assert_eq!(
        witnessed(&making(), "frame.app.example").map(drop),
        Err(PasskeyError::WrongRelyingParty)
    );
    assert_eq!(
        witnessed(&making(), "other.example").map(drop),
        Err(PasskeyError::WrongOrigin)
    );
    let asserting = Said {
        kind: "webauthn.get",
        ..making()
    };
    assert_eq!(
        witnessed(&asserting, "app.example").map(drop),
        Err(PasskeyError::WrongCeremony)
    );
}

#[test]
fn a_counter_that_does_not_rise_is_refused_and_one_that_rises_is_kept() {
    let counted = |count| Said { count, ..genuine() };
    let once = asserted(&kept(), &counted(5), &CHALLENGE).unwrap();
    for stale in [0, 4, 5] {
        assert_eq!(
            asserted(&once, &counted(stale), &CHALLENGE),
            Err(PasskeyError::CounterWentBack)
        );
    }
    assert!(asserted(&once, &counted(6), &CHALLENGE).is_ok());
    // Synchronised passkeys count nothing.
    assert_eq!(
        asserted(&kept(), &genuine(), &CHALLENGE).unwrap(),
        kept(),
        "a zero stays"
    );
}

#[test]
fn what_is_stored_is_read_back() {
    let text = serde_json::to_string(&kept()).unwrap();
    let read: WitnessedPasskey = serde_json::from_str(&text).unwrap();
    assert!(read == kept() && read.is_same_key(&kept()));
    // The hash that a witness computes is the one that a browser was asked with.
    let method = ChallengeMethod::PasskeyAssertion;
    assert_eq!(
        challenge().bytes(),
        challenge_hash(method, "app", &DEVICE, NOW, challenge().random())
    );
}
