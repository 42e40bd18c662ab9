//! Attacks on signing in.

use super::*;

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
