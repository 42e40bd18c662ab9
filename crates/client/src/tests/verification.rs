//! Who is spoken to, and whose word is taken.

use alloy_primitives::Address;
use futures_util::future::join_all;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot, VerifyError};
use keyfold_crypto::testing::SeededRng;
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RealmId;
use keyfold_protocol::ohttp::ResponseError;
use keyfold_protocol::realm::RealmError;
use keyfold_protocol::registration::{AttestedBinding, RegistrationError, realm_pcr16};

use super::world::*;
use crate::{ClientError, OuterResponse, RealmPin};

fn refusal(error: ClientError) -> RegistrationError {
    match error {
        ClientError::Instance { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// Signs in, expecting to be refused before anything was sealed.
#[track_caller]
fn refused(change: impl FnOnce(&mut State, &mut RealmPin)) -> ClientError {
    let (host, mut pin) = world();
    host.with(|state| change(state, &mut pin));
    let error = sign_in(&client(&host, &pin)).unwrap_err();
    assert!(
        host.with(|state| state.sealed_requests.is_empty()),
        "something was sealed: {error}"
    );
    error
}

#[test]
fn an_honest_enclave_is_verified_once_for_many_calls() {
    let (host, client, session, _) = ready();
    run(client.wallets(&session)).unwrap();
    assert_eq!(host.with(|state| state.attestations), 1);
    let id = run(client.instances()).unwrap()[0];
    assert_eq!(run(client.verify_instance(id)).unwrap().id, id);
    assert_eq!(host.with(|state| state.attestations), 2);
}

#[test]
fn a_document_under_another_root_is_refused() {
    let mut rng = SeededRng::new(3);
    let other = DevIssuer::generate(&mut rng, NOW_MS).unwrap();
    let error = refused(|state, _| state.issuer = other);
    assert!(matches!(refusal(error), RegistrationError::Document(_)));
}

#[test]
fn a_realm_that_names_another_root_than_the_pinned_is_refused() {
    let error = refused(|_, pin| pin.root = TrustRoot::aws_nitro());
    assert!(matches!(error, ClientError::Root));
}

#[test]
fn other_measured_code_is_refused() {
    let error = refused(|state, _| state.enclaves[0].pcr0 = [0xbb; 48]);
    let source = refusal(error);
    assert!(matches!(
        source,
        RegistrationError::Document(VerifyError::MeasurementNotAllowed)
    ));
    // The same, seen from the client: its policy names another image.
    let other = Measurements::of_image([1; 48], [2; 48], [3; 48]);
    refused(|_, pin| pin.policy = MeasurementPolicy::new(vec![other]));
    refused(|_, pin| pin.policy = MeasurementPolicy::new(Vec::new()));
}

#[test]
fn an_enclave_in_debug_mode_is_refused() {
    refusal(refused(|state, _| state.enclaves[0].pcr0 = [0; 48]));
}

#[test]
fn a_document_that_answers_another_nonce_is_refused() {
    let error = refused(|state, _| {
        state.alter_nonce = Some(Box::new(|nonce| nonce[0] ^= 1));
    });
    assert!(matches!(
        refusal(error),
        RegistrationError::Document(VerifyError::NonceMismatch)
    ));
}

#[test]
fn a_document_recorded_earlier_is_refused() {
    let (host, pin) = world();
    let memory = std::sync::Mutex::new(None);
    host.with(|state| {
        state.alter_attested = Some(Box::new(move |attested| {
            let mut memory = memory.lock().unwrap();
            match &*memory {
                Some(earlier) => *attested = AttestedBinding::clone(earlier),
                None => *memory = Some(attested.clone()),
            }
        }));
    });
    let first = client(&host, &pin);
    sign_in(&first).unwrap();
    let sealed = host.with(|state| state.sealed_requests.len());
    refusal(sign_in(&client_of(&host, &pin, 6)).unwrap_err());
    assert_eq!(host.with(|state| state.sealed_requests.len()), sealed);
}

#[test]
fn a_host_cannot_put_its_own_sealing_key_beside_a_genuine_document() {
    let error = refused(|state, pin| {
        let hosts = Enclave::new(66, pin.realm).binding.ohttp_config;
        state.alter_attested = Some(Box::new(move |attested| {
            attested.binding.ohttp_config = hosts.clone()
        }));
    });
    assert!(matches!(refusal(error), RegistrationError::NotBound));
}

#[test]
fn a_gateway_that_routes_to_another_instance_than_it_names_is_noticed() {
    let error = refused(|state, pin| {
        // A genuine instance of the realm answers, but it is not the one that is asked.
        state.listed = Some(vec![Enclave::new(11, pin.realm).id()]);
        state.misroute = true;
    });
    assert!(matches!(error, ClientError::InstanceKeys(_)), "{error}");
}

#[test]
fn an_instance_of_another_realm_is_refused() {
    let other = RealmId::from_bytes([8; 32]);
    // It says so.
    let error = refused(|state, _| state.enclaves[0].binding.realm = Some(other));
    assert!(matches!(refusal(error), RegistrationError::WrongRealm));
    // Its binding lies, but PCR16 was locked with the other.
    let error = refused(|state, _| state.enclaves[0].pcr16 = realm_pcr16(Some(other)));
    assert!(matches!(refusal(error), RegistrationError::Document(_)));
    // It was never told any.
    refusal(refused(|state, _| {
        state.enclaves[0].pcr16 = realm_pcr16(None)
    }));
}

#[test]
fn a_gateway_that_serves_another_realms_record_is_refused() {
    let error = refused(|state, _| state.record = realm_record(&state.issuer, 1));
    assert!(matches!(error, ClientError::Realm(RealmError::WrongRealm)));
    let error = refused(|state, _| state.record.record.threshold = 1);
    assert!(matches!(error, ClientError::Realm(_)));
    let error = refused(|state, _| state.record.signatures[0].0[0] ^= 1);
    assert!(matches!(
        error,
        ClientError::Realm(RealmError::BadSignature)
    ));
}

#[test]
fn an_instance_verified_ten_minutes_ago_is_verified_anew() {
    let (host, client, session, _) = ready();
    host.clock.advance_ms(crate::MAX_KEPT_MS - 1);
    run(client.wallets(&session)).unwrap();
    assert_eq!(host.with(|state| state.attestations), 1);
    host.clock.advance_ms(1);
    run(client.wallets(&session)).unwrap();
    assert_eq!(host.with(|state| state.attestations), 2);
    // A clock that was set back does not make it younger.
    host.clock.go_back_ms(60_000);
    run(client.wallets(&session)).unwrap();
    assert_eq!(host.with(|state| state.attestations), 3);
}

#[test]
fn a_thousand_calls_at_once_ask_for_one_document() {
    let (host, client, session, _) = ready();
    host.clock.advance_ms(crate::MAX_KEPT_MS);
    let calls = (0..1_000).map(|_| client.wallets(&session));
    for outcome in run(join_all(calls)) {
        outcome.unwrap();
    }
    assert_eq!(host.with(|state| state.attestations), 2);
}

#[test]
fn a_key_that_is_gone_is_verified_again_and_the_request_repeated_once_under_its_id() {
    let (host, client, session, wallet) = ready();
    host.with(|state| {
        state.enclaves[0].rotate(77);
        state.opened.clear();
        state.sealed_requests.clear();
    });
    run(client.sign_message(&session, &wallet, CHAIN, b"hello")).unwrap();
    host.with(|state| {
        assert_eq!(state.attestations, 2);
        assert_eq!(state.sealed_requests.len(), 2);
        assert_eq!(state.opened.len(), 1);
    });
}

#[test]
fn both_sendings_of_a_repeated_request_have_one_request_id_and_two_nonces() {
    let (host, client, session, _) = ready();
    host.with(|state| {
        state.opened.clear();
        state.refuse_after_opening = Some(Code::UnknownInstance);
    });
    run(client.wallets(&session)).unwrap();
    host.with(|state| {
        assert_eq!(state.opened.len(), 2);
        assert_eq!(state.opened[0].0, state.opened[1].0);
        assert_ne!(
            state.nonces[state.nonces.len() - 1],
            state.nonces[state.nonces.len() - 2]
        );
    });
}

#[test]
fn a_gateway_that_always_says_unknown_key_is_asked_twice_and_no_more() {
    let (host, client, session, _) = ready();
    host.with(|state| {
        state.sealed_requests.clear();
        state.always_plain = Some(problem(Code::UnknownKey));
    });
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(error.is(Code::UnknownKey));
    assert_eq!(host.with(|state| state.sealed_requests.len()), 2);
}

#[test]
fn an_instance_that_ended_is_replaced_by_another_verified_one() {
    let (host, client, session, _) = ready();
    host.with(|state| state.enclaves = vec![Enclave::new(12, client.pin().realm)]);
    run(client.wallets(&session)).unwrap();
    // And one that cannot be verified is passed over for one that can.
    host.with(|state| {
        let mut bad = Enclave::new(13, client.pin().realm);
        bad.pcr0 = [1; 48];
        state.enclaves = vec![bad, Enclave::new(14, client.pin().realm)];
    });
    for _ in 0..4 {
        host.clock.advance_ms(crate::MAX_KEPT_MS);
        run(client.wallets(&session)).unwrap();
    }
}

#[test]
fn a_tampered_reply_is_refused() {
    let (host, client, session, _) = ready();
    for at in [0, 20, 200] {
        host.with(|state| state.alter_sealed = Some(Box::new(move |sealed| sealed[at] ^= 1)));
        let error = run(client.wallets(&session)).unwrap_err();
        assert!(
            matches!(error, ClientError::Reply(ResponseError::NotAuthentic)),
            "{at}: {error}"
        );
    }
}

#[test]
fn the_reply_to_another_request_is_refused() {
    let (host, client, session, _) = ready();
    let first = std::sync::Mutex::new(None);
    host.with(|state| {
        state.alter_sealed = Some(Box::new(move |sealed| {
            let mut first = first.lock().unwrap();
            match &*first {
                None => *first = Some(sealed.clone()),
                Some(recorded) => *sealed = Vec::clone(recorded),
            }
        }));
    });
    run(client.wallets(&session)).unwrap();
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(matches!(
        error,
        ClientError::Reply(ResponseError::NotAuthentic)
    ));
}

#[test]
fn a_gateway_cannot_answer_in_the_enclaves_place() {
    let (host, client, session, _) = ready();
    for content_type in [None, Some("application/json".to_owned())] {
        let body = br#"{"wallets":[]}"#.to_vec();
        let forged = OuterResponse {
            status: 200,
            content_type,
            body,
        };
        host.with(|state| state.answer_plainly = Some(forged));
        let error = run(client.wallets(&session)).unwrap_err();
        assert!(matches!(error, ClientError::UnexpectedReply(_)), "{error}");
    }
    // What it refuses is told as its own word, never as the enclave's.
    host.with(|state| state.answer_plainly = Some(problem(Code::SessionRevoked)));
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::Gateway(_)));
    host.with(|state| state.refuse = Some(Code::SessionRevoked));
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)));
}

#[test]
fn nothing_a_request_says_is_readable_outside() {
    let (host, client, session, wallet) = ready();
    run(client.sign_message(&session, &wallet, CHAIN, b"a canary in a message")).unwrap();
    let attestation = session.attestation().unwrap();
    for secret in [
        "canary",
        CODE,
        "a@example.org",
        "app.example",
        attestation.as_str(),
    ] {
        let needle = secret.as_bytes();
        host.with(|state| {
            for sealed in &state.sealed_requests {
                assert!(
                    !sealed.windows(needle.len()).any(|window| window == needle),
                    "{secret}"
                );
            }
        });
    }
    assert_ne!(wallet.owner(), Address::ZERO);
}
