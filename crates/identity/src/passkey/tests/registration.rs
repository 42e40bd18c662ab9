//! Attacks on making a passkey.

use super::*;

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
