//! Attacks on both ceremonies, by an authenticator and a browser that sign whatever they are told.

use keyfold_crypto::testing::SeededRng;
use keyfold_crypto::{b64, p256};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];
const ID: [u8; 32] = [0xc1; 32];
/// Present, verified.
const UP_UV: u8 = 0x05;

fn party() -> RelyingParty {
    RelyingParty::new(
        "app.example",
        vec![PasskeyOrigin::parse("https://frame.app.example").unwrap()],
        vec![Origin::parse("https://shop.example").unwrap()],
    )
    .unwrap()
}

/// Positive integers in DER.
fn der(signature: &[u8; 64]) -> Vec<u8> {
    let mut body = Vec::new();
    for half in signature.chunks(32) {
        let first = half.iter().position(|byte| *byte != 0).unwrap();
        let digits = &half[first..];
        let sign = usize::from(digits[0] >= 0x80);
        body.extend_from_slice(&[2, (digits.len() + sign) as u8]);
        body.extend(core::iter::repeat_n(0, sign));
        body.extend_from_slice(digits);
    }
    [vec![0x30, body.len() as u8], body].concat()
}

/// An authenticator and a browser, all of whose statements can be chosen.
struct Said {
    key: p256::SigningKey,
    kind: &'static str,
    origin: &'static str,
    after_origin: String,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    tail: Vec<u8>,
    user_handle: Option<Vec<u8>>,
    id: Vec<u8>,
}

fn user() -> UserHandle {
    UserHandle::from_slice(&[0x55; 32]).unwrap()
}

fn genuine() -> Said {
    Said {
        key: p256::SigningKey::generate(&mut SeededRng::new(1)),
        kind: "webauthn.get",
        origin: "https://frame.app.example",
        after_origin: ",\"crossOrigin\":false".to_owned(),
        rp_id: "app.example",
        flags: UP_UV,
        count: 0,
        tail: Vec::new(),
        user_handle: Some(user().as_bytes().to_vec()),
        id: ID.to_vec(),
    }
}

impl Said {
    fn client_data(&self, challenge: &[u8; 32]) -> Vec<u8> {
        format!(
            "{{\"type\":\"{}\",\"challenge\":\"{}\",\"origin\":\"{}\"{}}}",
            self.kind,
            b64::encode(challenge),
            self.origin,
            self.after_origin
        )
        .into_bytes()
    }

    fn auth_data(&self) -> Vec<u8> {
        let mut data = sha256(self.rp_id.as_bytes()).to_vec();
        data.push(self.flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data.extend_from_slice(&self.tail);
        data
    }

    fn public(&self) -> PasskeyPublicKey {
        let (x, y) = self.key.verifying_key().coordinates();
        let cose = [
            &hex::decode("a5010203262001215820").unwrap()[..],
            &x,
            &[0x22, 0x58, 32],
            &y,
        ]
        .concat();
        PasskeyPublicKey::from_cose(&cose).unwrap()
    }

    fn stored(&self) -> PasskeyCredential {
        PasskeyCredential {
            project: "app".to_owned(),
            relying_party: "app.example".to_owned(),
            id: ID.to_vec(),
            user: user(),
            public_key: self.public(),
            sign_count: 0,
            backup_eligible: false,
            backed_up: false,
        }
    }

    /// Answers a challenge and has it verified, the answer changed by `change` on its way.
    fn assert_with(
        &self,
        challenge: Challenge,
        signed: &[u8; 32],
        stored: &PasskeyCredential,
        policy: (UserVerification, CounterPolicy),
        change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>, &mut Vec<u8>),
        now: u64,
    ) -> Result<ProvenPasskey, PasskeyError> {
        let mut json = self.client_data(signed);
        let mut data = self.auth_data();
        let message = [&data[..], &sha256(&json)].concat();
        let mut signature = der(&self.key.sign(&message));
        change(&mut json, &mut data, &mut signature);
        let response = AssertionResponse {
            credential_id: &self.id,
            client_data_json: &json,
            authenticator_data: &data,
            signature: &signature,
            user_handle: self.user_handle.as_deref(),
        };
        verify_assertion(
            &party(),
            policy.0,
            policy.1,
            challenge,
            stored,
            &response,
            now,
        )
    }

    fn sign_in(&self) -> Result<ProvenPasskey, PasskeyError> {
        self.sign_in_to(&genuine().stored())
    }

    fn sign_in_to(&self, stored: &PasskeyCredential) -> Result<ProvenPasskey, PasskeyError> {
        let challenge = challenge();
        let signed = challenge.bytes();
        let policy = (UserVerification::Required, CounterPolicy::Refuse);
        self.assert_with(challenge, &signed, stored, policy, |_, _, _| {}, NOW)
    }
}

fn challenge() -> Challenge {
    let mut rng = SeededRng::new(9);
    Challenge::new(
        ChallengeMethod::PasskeyAssertion,
        "app",
        DEVICE,
        NOW,
        &mut rng,
    )
}

const STRICT: (UserVerification, CounterPolicy) =
    (UserVerification::Required, CounterPolicy::Refuse);

#[test]
fn a_genuine_assertion_proves_credential_project_and_device() {
    let proven = genuine().sign_in().unwrap();
    assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
    assert_eq!(proven.credential().user(), &user());
    assert_eq!(proven.proven_at_unix_seconds(), NOW);
    assert!(proven.user_verified() && !proven.may_be_cloned());
}

#[test]
fn wrong_origins_and_homographs_are_refused() {
    for origin in [
        "https://app.example",
        "https://evil.example",
        "http://frame.app.example",
        "https://frame.app.example:8443",
        "https://frame.app.example.evil.example",
        "https://frame.app.example/",
        "https://FRAME.app.example",
        "https://fr\u{430}me.app.example",
        "https://frame.app.example.",
        "",
    ] {
        let said = Said {
            origin,
            ..genuine()
        };
        assert_eq!(
            said.sign_in().unwrap_err(),
            PasskeyError::WrongOrigin,
            "{origin}"
        );
    }
}

#[test]
fn a_frame_in_a_page_that_is_not_listed_is_refused() {
    for (after, allowed) in [
        ("", true),
        (",\"crossOrigin\":false", true),
        (
            ",\"crossOrigin\":true,\"topOrigin\":\"https://shop.example\"",
            true,
        ),
        (
            ",\"crossOrigin\":true,\"topOrigin\":\"https://evil.example\"",
            false,
        ),
        (",\"crossOrigin\":true", false),
        (
            ",\"crossOrigin\":false,\"topOrigin\":\"https://shop.example\"",
            false,
        ),
        (",\"topOrigin\":\"https://evil.example\"", false),
    ] {
        let said = Said {
            after_origin: after.to_owned(),
            ..genuine()
        };
        let wanted = if allowed {
            None
        } else {
            Some(PasskeyError::WrongTopOrigin)
        };
        assert_eq!(said.sign_in().err(), wanted, "{after}");
    }
}

#[test]
fn client_data_with_a_field_twice_or_of_another_shape_is_refused() {
    for after in [
        ",\"origin\":\"https://frame.app.example\"",
        ",\"type\":\"webauthn.get\"",
        ",\"crossOrigin\":\"false\"",
        ",\"crossOrigin\":null",
        "} {",
        "",
    ] {
        let said = Said {
            after_origin: after.to_owned(),
            ..genuine()
        };
        let malformed = said.sign_in() == Err(PasskeyError::MalformedClientData);
        assert_eq!(malformed, !after.is_empty(), "{after}");
    }
    let (party, hash) = (party(), [1; 32]);
    let check = |json: &[u8]| client_data::check(json, Ceremony::Assertion, &hash, &party);
    let values = format!(
        "[\"webauthn.get\",\"{}\",\"https://frame.app.example\",false,null]",
        b64::encode(&hash)
    );
    assert_eq!(
        check(values.as_bytes()),
        Err(PasskeyError::MalformedClientData)
    );
    assert_eq!(
        check(b"\xef\xbb\xbf{}"),
        Err(PasskeyError::MalformedClientData)
    );
    assert_eq!(
        check(&vec![b'['; 4096]),
        Err(PasskeyError::MalformedClientData)
    );
    assert_eq!(check(&vec![b'{'; 4097]), Err(PasskeyError::TooLong));
}

#[test]
fn an_assertion_for_another_device_project_method_or_time_is_refused() {
    let said = genuine();
    let stored = said.stored();
    let mut rng = SeededRng::new(9);
    for (method, project, device) in [
        (ChallengeMethod::PasskeyAssertion, "app", [8; 32]),
        (ChallengeMethod::PasskeyAssertion, "apq", DEVICE),
        (ChallengeMethod::PasskeyRegistration, "app", DEVICE),
        (ChallengeMethod::Ethereum, "app", DEVICE),
        (ChallengeMethod::PasskeyAssertion, "app", DEVICE),
    ] {
        // Signed for a challenge that somebody else began, at the same second.
        let other = Challenge::new(method, project, device, NOW, &mut rng);
        let result = said.assert_with(
            challenge(),
            &other.bytes(),
            &stored,
            STRICT,
            |_, _, _| {},
            NOW,
        );
        // The last differs by its random part alone.
        let differs = other.bytes() != challenge().bytes();
        assert_eq!(
            result.err(),
            differs.then_some(PasskeyError::WrongChallenge)
        );
    }
    let late = |now| {
        let signed = challenge().bytes();
        said.assert_with(challenge(), &signed, &stored, STRICT, |_, _, _| {}, now)
    };
    assert!(late(NOW + 299).is_ok());
    for now in [NOW + 300, NOW - 1] {
        let expired = PasskeyError::Challenge(ChallengeError::Expired);
        assert_eq!(late(now).unwrap_err(), expired);
    }
    let wallet = Challenge::new(ChallengeMethod::Ethereum, "app", DEVICE, NOW, &mut rng);
    let signed = wallet.bytes();
    assert_eq!(
        said.assert_with(wallet, &signed, &stored, STRICT, |_, _, _| {}, NOW)
            .unwrap_err(),
        PasskeyError::Challenge(ChallengeError::OtherMethod)
    );
}

#[test]
fn a_registration_is_no_assertion_and_the_other_way_round() {
    let said = Said {
        kind: "webauthn.create",
        ..genuine()
    };
    assert_eq!(said.sign_in().unwrap_err(), PasskeyError::WrongCeremony);
    let said = genuine();
    assert_eq!(
        register(&said, "none", &[0xa0], &ID).unwrap_err(),
        PasskeyError::WrongCeremony
    );
}

#[test]
fn a_passkey_of_another_relying_party_project_user_or_id_is_refused() {
    let said = Said {
        rp_id: "evil.example",
        ..genuine()
    };
    assert_eq!(said.sign_in().unwrap_err(), PasskeyError::WrongRelyingParty);
    let stored = genuine().stored();
    for (changed, error) in [
        (
            PasskeyCredential {
                project: "other".to_owned(),
                ..stored.clone()
            },
            PasskeyError::WrongProject,
        ),
        (
            PasskeyCredential {
                relying_party: "other.example".to_owned(),
                ..stored.clone()
            },
            PasskeyError::WrongRelyingParty,
        ),
        (
            PasskeyCredential {
                id: vec![2; 32],
                ..stored.clone()
            },
            PasskeyError::WrongCredential,
        ),
        (
            PasskeyCredential {
                user: UserHandle::from_slice(&[3; 32]).unwrap(),
                ..stored.clone()
            },
            PasskeyError::WrongUser,
        ),
    ] {
        assert_eq!(genuine().sign_in_to(&changed).unwrap_err(), error);
    }
    for user_handle in [
        None,
        Some(Vec::new()),
        Some(vec![0x55; 31]),
        Some(vec![0x55; 33]),
    ] {
        let said = Said {
            user_handle,
            ..genuine()
        };
        assert_eq!(said.sign_in().unwrap_err(), PasskeyError::WrongUser);
    }
}

#[test]
fn verification_that_is_asked_for_cannot_be_downgraded() {
    for (flags, required, preferred) in [
        (0x05, Ok(true), Ok(true)),
        (0x01, Err(PasskeyError::UserNotVerified), Ok(false)),
        (
            0x04,
            Err(PasskeyError::UserNotPresent),
            Err(PasskeyError::UserNotPresent),
        ),
        (
            0x00,
            Err(PasskeyError::UserNotPresent),
            Err(PasskeyError::UserNotPresent),
        ),
    ] {
        let said = Said { flags, ..genuine() };
        let by = |verification| {
            let challenge = challenge();
            let signed = challenge.bytes();
            let policy = (verification, CounterPolicy::Refuse);
            said.assert_with(
                challenge,
                &signed,
                &said.stored(),
                policy,
                |_, _, _| {},
                NOW,
            )
            .map(|proven| proven.user_verified())
        };
        assert_eq!(by(UserVerification::Required), required);
        assert_eq!(by(UserVerification::Preferred), preferred);
    }
    // The flag set on its way, after it was signed.
    let said = Said {
        flags: 0x01,
        ..genuine()
    };
    let signed = challenge().bytes();
    let result = said.assert_with(
        challenge(),
        &signed,
        &said.stored(),
        STRICT,
        |_, data, _| data[32] |= 0x04,
        NOW,
    );
    assert_eq!(
        result.unwrap_err(),
        PasskeyError::Signature(InvalidSignature)
    );
}

#[test]
fn a_counter_that_goes_back_is_refused_or_reported() {
    for (stored, said, rises) in [
        (0, 0, true),
        (0, 1, true),
        (5, 6, true),
        (5, 5, false),
        (5, 4, false),
        (5, 0, false),
        (u32::MAX, 0, false),
    ] {
        let said = Said {
            count: said,
            ..genuine()
        };
        let kept = PasskeyCredential {
            sign_count: stored,
            ..said.stored()
        };
        let by = |policy| {
            let challenge = challenge();
            let signed = challenge.bytes();
            let policy = (UserVerification::Required, policy);
            said.assert_with(challenge, &signed, &kept, policy, |_, _, _| {}, NOW)
        };
        let refused = by(CounterPolicy::Refuse).err();
        assert_eq!(refused, (!rises).then_some(PasskeyError::CounterWentBack));
        let reported = by(CounterPolicy::Report).unwrap();
        assert_eq!(reported.may_be_cloned(), !rises);
        assert_eq!(reported.credential().sign_count(), stored.max(said.count));
    }
}

#[test]
fn backup_flags_that_contradict_are_refused() {
    let eligible = PasskeyCredential {
        backup_eligible: true,
        ..genuine().stored()
    };
    for (flags, stored, backed_up) in [
        (UP_UV, &genuine().stored(), Some(false)),
        (UP_UV | 0x08, &eligible, Some(false)),
        (UP_UV | 0x18, &eligible, Some(true)),
        (UP_UV | 0x10, &eligible, None),
        (UP_UV | 0x10, &genuine().stored(), None),
        (UP_UV, &eligible, None),
        (UP_UV | 0x08, &genuine().stored(), None),
    ] {
        let said = Said { flags, ..genuine() };
        let result = said.sign_in_to(stored);
        match backed_up {
            Some(expected) => assert_eq!(result.unwrap().credential().backed_up(), expected),
            None => assert_eq!(result.unwrap_err(), PasskeyError::BackupFlags),
        }
    }
}

#[test]
fn authenticator_data_with_bytes_missing_or_added_is_refused() {
    let malformed = |error| Err(PasskeyError::MalformedAuthenticatorData(error));
    let with = |flags, tail: &str| {
        let said = Said {
            flags,
            tail: hex::decode(tail).unwrap(),
            ..genuine()
        };
        said.sign_in().map(|_| ())
    };
    assert_eq!(with(UP_UV, "00"), malformed(CborError::TrailingBytes));
    assert_eq!(with(UP_UV | 0x80, ""), malformed(CborError::UnexpectedType));
    assert_eq!(with(UP_UV | 0x80, "a1"), malformed(CborError::Truncated));
    assert_eq!(
        with(UP_UV | 0x80, "80"),
        malformed(CborError::UnexpectedType)
    );
    assert_eq!(
        with(UP_UV | 0x80, "a000"),
        malformed(CborError::TrailingBytes)
    );
    assert_eq!(
        with(UP_UV | 0x80, "bfff"),
        malformed(CborError::NotCanonical)
    );
    assert_eq!(with(UP_UV | 0x80, "a1636b6579f5"), Ok(()));
    assert_eq!(
        with(UP_UV | 0x40, &"00".repeat(17)),
        malformed(CborError::Truncated)
    );
    let attested = format!(
        "{}0020{}{}",
        "00".repeat(16),
        "c1".repeat(32),
        hex::encode(genuine().public().to_cose())
    );
    assert_eq!(
        with(UP_UV | 0x40, &attested),
        Err(PasskeyError::CredentialData)
    );
    for len in 0..37 {
        let data = vec![0; len];
        let parsed = AuthenticatorData::parse(&data).map(|_| ());
        assert_eq!(parsed, malformed(CborError::Truncated), "{len}");
    }
    let long = vec![0; MAX_AUTHENTICATOR_DATA_LEN + 1];
    assert_eq!(
        AuthenticatorData::parse(&long).unwrap_err(),
        PasskeyError::TooLong
    );
}

#[test]
fn a_mirrored_signature_is_the_same_proof_and_no_other_form_is_accepted() {
    let said = genuine();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let signed = challenge().bytes();
        said.assert_with(
            challenge(),
            &signed,
            &said.stored(),
            STRICT,
            |_, _, signature| change(signature),
            NOW,
        )
        .is_ok()
    };
    assert!(changed(&|_| {}));
    // n - s verifies, as WebAuthn has it; the challenge is what makes a proof count once.
    assert!(changed(
        &|signature| *signature = der(&mirror(&der::p256_signature(signature).unwrap()))
    ));
    assert!(!changed(&|signature| signature.push(0)));
    assert!(!changed(
        &|signature| *signature = der::p256_signature(signature).unwrap().to_vec()
    ));
    assert!(!changed(&|signature| signature.clear()));
    assert!(!changed(
        &|signature| *signature = vec![0x30; MAX_SIGNATURE_LEN + 1]
    ));
    assert!(!changed(
        &|signature| *signature = hex::decode("3006020100020100").unwrap()
    ));
}

/// r and n - s.
fn mirror(signature: &[u8; 64]) -> [u8; 64] {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order = order.unwrap();
    let mut out = *signature;
    let mut borrow = 0;
    for i in (0..32).rev() {
        let difference = i32::from(order[i]) - i32::from(signature[32 + i]) - borrow;
        borrow = i32::from(difference < 0);
        out[32 + i] = difference.rem_euclid(256) as u8;
    }
    out
}

/// Has a passkey made, with this statement.
fn register(
    said: &Said,
    format: &str,
    statement: &[u8],
    id: &[u8],
) -> Result<RegisteredPasskey, PasskeyError> {
    let mut rng = SeededRng::new(11);
    let method = ChallengeMethod::PasskeyRegistration;
    let challenge = Challenge::new(method, "app", DEVICE, NOW, &mut rng);
    let json = said.client_data(&challenge.bytes());
    let data = said.auth_data();
    let object = object(format, statement, &data);
    let response = RegistrationResponse {
        credential_id: id,
        client_data_json: &json,
        attestation_object: &object,
    };
    let required = UserVerification::Required;
    verify_registration(&party(), required, challenge, user(), &response, NOW)
}

fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let [.., high, low] = data.len().to_be_bytes();
    let head = if high == 0 {
        vec![0x58, low]
    } else {
        vec![0x59, high, low]
    };
    [
        &b"\xa3\x63fmt"[..],
        &[0x60 | format.len() as u8],
        format.as_bytes(),
        b"\x67attStmt",
        statement,
        b"\x68authData",
        &head,
        data,
    ]
    .concat()
}

fn making() -> Said {
    let mut said = Said {
        kind: "webauthn.create",
        flags: UP_UV | 0x40,
        ..genuine()
    };
    said.tail = [&[9; 16][..], &[0, 32], &ID, &said.public().to_cose()].concat();
    said
}

#[test]
fn a_passkey_that_was_made_signs_in() {
    let made = register(&making(), "none", &[0xa0], &ID).unwrap();
    assert_eq!((made.project(), made.device()), ("app", &DEVICE));
    assert_eq!(made.attestation(), Attestation::None);
    let proven = genuine().sign_in_to(made.credential()).unwrap();
    assert_eq!(proven.credential().id(), ID);
    let json = serde_json::to_string(made.credential()).unwrap();
    let read: PasskeyCredential = serde_json::from_str(&json).unwrap();
    assert_eq!(&read, made.credential());
}

#[test]
fn a_statement_that_is_wrong_is_refused_and_one_that_is_unknown_counts_for_nothing() {
    let said = making();
    let attestation = |format, statement: &[u8]| {
        register(&said, format, statement, &ID).map(|made| made.attestation())
    };
    assert_eq!(
        attestation("tpm", b"\xa1\x63ver\x632.0"),
        Ok(Attestation::Unverified)
    );
    assert_eq!(
        attestation("none", b"\xa1\x63ver\x632.0"),
        Err(PasskeyError::InvalidAttestation)
    );
    let packed = |alg: &[u8], signature: &[u8]| {
        let len = [0x58, signature.len() as u8];
        let statement = [&b"\xa2\x63alg"[..], alg, b"\x63sig", &len, signature].concat();
        attestation("packed", &statement)
    };
    let mut rng = SeededRng::new(11);
    let method = ChallengeMethod::PasskeyRegistration;
    let challenge = Challenge::new(method, "app", DEVICE, NOW, &mut rng);
    let message = [
        &said.auth_data()[..],
        &sha256(&said.client_data(&challenge.bytes())),
    ]
    .concat();
    let good = der(&said.key.sign(&message));
    assert_eq!(packed(&[0x26], &good), Ok(Attestation::SelfSigned));
    // Another algorithm than the key's: EdDSA, ES384, none.
    for alg in [&[0x27][..], &[0x38, 0x22], &[0x00]] {
        assert_eq!(packed(alg, &good), Err(PasskeyError::InvalidAttestation));
    }
    let other = der(&said.key.sign(b"another message"));
    assert_eq!(
        packed(&[0x26], &other),
        Err(PasskeyError::Signature(InvalidSignature))
    );
    let swapped = [
        &b"\xa2\x63sig\x58"[..],
        &[good.len() as u8],
        &good,
        b"\x63alg\x26",
    ]
    .concat();
    assert_eq!(
        attestation("packed", &swapped),
        Err(PasskeyError::InvalidAttestation)
    );
    assert_eq!(
        attestation("packed", &[0xa0]),
        Err(PasskeyError::InvalidAttestation)
    );
}

#[test]
fn a_registration_without_its_credential_or_with_another_id_is_refused() {
    let none = Said {
        flags: UP_UV,
        tail: Vec::new(),
        ..making()
    };
    assert_eq!(
        register(&none, "none", &[0xa0], &ID).unwrap_err(),
        PasskeyError::CredentialData
    );
    assert_eq!(
        register(&making(), "none", &[0xa0], &[2; 32]).unwrap_err(),
        PasskeyError::WrongCredential
    );
    for len in [0_u16, 15, 1024, u16::MAX] {
        let mut said = making();
        said.tail = [
            &[9; 16][..],
            &len.to_be_bytes(),
            &vec![0xc1; usize::from(len)],
        ]
        .concat();
        let refused = register(&said, "none", &[0xa0], &vec![0xc1; usize::from(len)]);
        let too_long = len == u16::MAX;
        let wanted = if too_long {
            PasskeyError::TooLong
        } else {
            PasskeyError::CredentialIdLength
        };
        // 64 KiB do not fit the object at all.
        assert_eq!(refused.unwrap_err(), wanted, "{len}");
    }
}

#[test]
fn an_attestation_object_in_a_second_form_is_refused() {
    let data = making().auth_data();
    let good = object("none", &[0xa0], &data);
    let parse = |bytes: &[u8]| {
        let mut rng = SeededRng::new(11);
        let method = ChallengeMethod::PasskeyRegistration;
        let challenge = Challenge::new(method, "app", DEVICE, NOW, &mut rng);
        let response = RegistrationResponse {
            credential_id: &ID,
            client_data_json: &making().client_data(&challenge.bytes()),
            attestation_object: bytes,
        };
        let required = UserVerification::Required;
        verify_registration(&party(), required, challenge, user(), &response, NOW).map(|_| ())
    };
    assert_eq!(parse(&good), Ok(()));
    let malformed = |error| Err(PasskeyError::MalformedAttestation(error));
    for len in 0..good.len() {
        assert_eq!(
            parse(&good[..len]),
            malformed(CborError::Truncated),
            "{len}"
        );
    }
    assert_eq!(
        parse(&[&good[..], &[0]].concat()),
        malformed(CborError::TrailingBytes)
    );
    // An overlong length, an indefinite map, a name twice, a name of another kind.
    let with = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|w| w == from).unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    assert_eq!(
        parse(&with(b"\x64none", b"\x78\x04none")),
        malformed(CborError::NotCanonical)
    );
    assert_eq!(
        parse(&with(b"\xa3\x63fmt", b"\xbf\x63fmt")),
        malformed(CborError::NotCanonical)
    );
    assert_eq!(
        parse(&with(b"\xa3\x63fmt", b"\xa4\x63fmt")),
        malformed(CborError::UnexpectedType)
    );
    let twice = with(b"\x67attStmt\xa0", b"\x63fmt\x64none");
    assert_eq!(parse(&twice), malformed(CborError::UnexpectedType));
    assert_eq!(
        parse(&vec![0xa3; MAX_ATTESTATION_LEN + 1]),
        Err(PasskeyError::TooLong)
    );
}

#[test]
fn keys_of_other_algorithms_shapes_or_strengths_are_refused() {
    let parse = |text: &str| PasskeyPublicKey::from_cose(&hex::decode(text).unwrap());
    let point = "21582065eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d2258201e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
    let es256 = format!("a50102032620 01{point}").replace(' ', "");
    assert!(parse(&es256).is_ok());
    for (bad, error) in [
        // ES384's number, P-384, a symmetric key, Ed448, "none".
        (
            es256.replace("0326", "033822"),
            CoseError::UnsupportedAlgorithm,
        ),
        (es256.replace("2001", "2002"), CoseError::WrongParameters),
        (es256.replace("0102", "0104"), CoseError::WrongParameters),
        (
            es256.replace("0326", "0300"),
            CoseError::UnsupportedAlgorithm,
        ),
        // EdDSA and RS256 over a P-256 key: the key type decides.
        (es256.replace("0326", "0327"), CoseError::WrongParameters),
        (
            es256.replace("0326", "03390100"),
            CoseError::WrongParameters,
        ),
        // Not on the curve; a compressed y; a sixth parameter; another order.
        (es256.replace("84d19c", "84d19d"), CoseError::InvalidKey),
        (es256.replace("a5", "a6"), CoseError::WrongParameters),
        (
            es256.replace("01020326", "03260102"),
            CoseError::WrongParameters,
        ),
        (
            format!("{es256}00"),
            CoseError::Cbor(CborError::TrailingBytes),
        ),
        // Ed25519 points of small order, for which one signature fits every message.
        (
            format!("a4010103272006215820{}", "00".repeat(32)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401010327200621582001{}", "00".repeat(31)),
            CoseError::InvalidKey,
        ),
        // RSA: 1024 bits, an even modulus, a leading zero, exponents 3 and 1.
        (
            format!("a401030339010020 5880{}2143010001", "ff".repeat(128)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}fe2143010001", "ff".repeat(255)),
            CoseError::InvalidKey,
        ),
        (
            format!("a40103033901002059010100{}2143010001", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}214103", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}214101", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590201{}2143010001", "ff".repeat(513)),
            CoseError::InvalidKey,
        ),
    ] {
        assert_eq!(parse(&bad.replace(' ', "")).unwrap_err(), error, "{bad}");
    }
}

#[test]
fn a_relying_party_is_a_domain_and_its_pages_are_of_it() {
    let of = |id: &str, origin: &str| {
        let origin = PasskeyOrigin::parse(origin).unwrap();
        RelyingParty::new(id, vec![origin], Vec::new()).map(|_| ())
    };
    assert_eq!(of("app.example", "https://app.example"), Ok(()));
    assert_eq!(of("localhost", "http://localhost:3000"), Ok(()));
    let android = format!("android:apk-key-hash:{}", b64::encode(&[1; 32]));
    assert_eq!(of("app.example", &android), Ok(()));
    for origin in [
        "https://evilapp.example",
        "https://example",
        "https://app.example.evil.example",
    ] {
        assert_eq!(
            of("app.example", origin),
            Err(RelyingPartyError::Origin),
            "{origin}"
        );
    }
    for id in [
        "example",
        "",
        "App.example",
        "app.example.",
        "https://app.example",
        "127.0.0.1",
    ] {
        assert_eq!(of(id, &android), Err(RelyingPartyError::Id), "{id}");
    }
}

proptest! {
    #[test]
    fn what_reads_as_a_key_writes_the_same_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
        genuine_head in any::<bool>(),
    ) {
        if genuine_head && bytes.len() >= 32 {
            bytes.truncate(32);
            bytes = [&hex::decode("a401010327200621 5820".replace(' ', "")).unwrap()[..], &bytes].concat();
        }
        if let Ok(key) = PasskeyPublicKey::from_cose(&bytes) {
            prop_assert_eq!(key.to_cose(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AuthenticatorData::parse(&bytes);
        let _ = PasskeyPublicKey::from_cose(&bytes);
        let _ = der::p256_signature(&bytes);
        let party = party();
        let response = RegistrationResponse {
            credential_id: &bytes,
            client_data_json: &bytes,
            attestation_object: &bytes,
        };
        let preferred = UserVerification::Preferred;
        let _ = registration::check_registration(&party, preferred, &[0; 32], &response);
    }
}
