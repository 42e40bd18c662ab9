//! Sign-in, renewal, and sessions that are somebody else's.

use futures_util::future::join_all;
use keyfold_protocol::app_server::Introspection;
use keyfold_protocol::client_api::{Revocation, path};
use keyfold_protocol::error_code::Code;

use super::world::*;
use crate::{ClientError, Session};

#[test]
fn a_wrong_code_can_be_corrected() {
    let (host, pin) = world();
    let client = client(&host, &pin);
    let pending = run(client.start_email(&project(), "a@example.org")).unwrap();
    assert_eq!(pending.expires(), NOW_MS / 1000 + 600);
    let error = run(client.finish_email(&pending, "00000000", "")).unwrap_err();
    assert!(error.is(Code::SignInRefused));
    run(client.finish_email(&pending, CODE, "")).unwrap();
}

#[test]
fn a_code_is_never_shown_to_another_instance_than_the_one_that_sent_it() {
    let (host, pin) = world();
    let client = client(&host, &pin);
    let pending = run(client.start_email(&project(), "a@example.org")).unwrap();
    host.with(|state| {
        state.enclaves = vec![Enclave::new(20, pin.realm)];
        state.opened.clear();
    });
    let error = run(client.finish_email(&pending, CODE, "")).unwrap_err();
    assert!(matches!(error, ClientError::SignInGone), "{error}");
    assert!(host.with(|state| state.opened.is_empty()));
}

#[test]
fn an_attestation_that_ends_within_a_minute_is_renewed_before_use_and_once() {
    let (host, client, session, _) = ready();
    host.clock.advance_ms(3_539_000);
    run(client.wallets(&session)).unwrap();
    let renewals = |host: &Host| {
        host.with(|state| {
            state
                .opened
                .iter()
                .filter(|(_, p)| p == path::RENEW)
                .count()
        })
    };
    assert_eq!(renewals(&host), 0);
    host.clock.advance_ms(1_000);
    let before = session.attestation();
    for outcome in run(join_all((0..20).map(|_| client.wallets(&session)))) {
        outcome.unwrap();
    }
    assert_eq!(renewals(&host), 1);
    assert_ne!(session.attestation(), before);
    assert_eq!(
        session.attestation_expires(),
        host.clock.now_ms() / 1000 + 3_600
    );
}

#[test]
fn what_is_still_valid_is_used_when_renewal_fails_and_what_is_not_is_not() {
    let (host, client, session, _) = ready();
    host.clock.advance_ms(3_550_000);
    host.with(|state| state.refuse = Some(Code::HoldersUnavailable));
    run(client.wallets(&session)).unwrap();
    host.clock.advance_ms(60_000);
    host.with(|state| state.refuse = Some(Code::HoldersUnavailable));
    assert!(
        run(client.wallets(&session))
            .unwrap_err()
            .is(Code::HoldersUnavailable)
    );
    run(client.wallets(&session)).unwrap();
}

#[test]
fn a_session_past_its_end_sends_nothing() {
    let (host, client, session, _) = ready();
    host.clock.advance_ms(7 * 86_400_000);
    let sealed = host.with(|state| state.sealed_requests.len());
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::SessionEnded));
    assert_eq!(host.with(|state| state.sealed_requests.len()), sealed);
}

#[test]
fn a_session_of_another_device_or_realm_sends_nothing() {
    let (host, client, session, _) = ready();
    let sealed = host.with(|state| state.sealed_requests.len());
    let other = client_of(&host, client.pin(), 6);
    let error = run(other.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::ForeignSession));
    let mut pin = client.pin().clone();
    pin.realm = keyfold_protocol::ids::RealmId::from_bytes([1; 32]);
    let elsewhere = client_of(&host, &pin, 5);
    let error = run(elsewhere.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::ForeignSession));
    assert_eq!(host.with(|state| state.sealed_requests.len()), sealed);
}

#[test]
fn a_stored_session_goes_on_where_it_was() {
    let (_host, client, session, wallet) = ready();
    let text = serde_json::to_string(&session).unwrap();
    let stored: Session = serde_json::from_str(&text).unwrap();
    assert_eq!(stored.attestation(), session.attestation());
    assert_eq!(run(client.wallets(&stored)).unwrap(), [wallet]);
    assert!(!format!("{stored:?}").contains("attestation-"));
}

#[test]
fn signing_out_says_how_far_it_has_come() {
    let (_host, client, session, _) = ready();
    assert_eq!(run(client.sign_out(&session)).unwrap(), Revocation::Done);
}

#[test]
fn approving_a_device_names_it_in_the_signed_intent() {
    let (host, client, session, _) = ready();
    let device = keyfold_crypto::jwk::Thumbprint([3; 32]);
    run(client.approve_device(&session, device)).unwrap();
    assert_eq!(host.with(|state| state.approved.clone()), [device]);
}

#[test]
fn the_end_of_a_device_or_session_is_named_in_the_signed_intent_and_says_how_far_it_has_come() {
    let (host, client, session, _) = ready();
    let device = keyfold_crypto::jwk::Thumbprint([3; 32]);
    let one = || run(client.revoke_device(&session, device)).unwrap();
    assert_eq!(one(), Revocation::Pending);
    assert_eq!(one(), Revocation::Done);
    let others = run(client.revoke_other_devices(&session)).unwrap();
    assert_eq!(others, Revocation::Done);
    assert!(run(client.sessions(&session)).unwrap().is_empty());
    let ended = keyfold_protocol::ids::SessionId::from_bytes([4; 16]);
    run(client.revoke_session(&session, ended)).unwrap();
    let (device, ended) = (device.to_string(), ended.to_string());
    let asked = [device.clone(), device, "others".to_owned(), ended];
    assert_eq!(host.with(|state| state.revoked.clone()), asked);
}

#[test]
fn an_id_token_carries_the_nonce_that_the_app_gave() {
    let (_, client, session, _) = ready();
    let nonce = Some("n-0S6_WzA2Mj".parse().unwrap());
    let issued = run(client.id_token(&session, nonce)).unwrap();
    assert_eq!(issued.id_token, "id-token/n-0S6_WzA2Mj");
    assert!(!format!("{issued:?}").contains("n-0S6"));
}

#[test]
fn a_server_takes_no_answer_about_another_project() {
    let (host, pin) = world();
    let server = client_of(&host, &pin, 9);
    let ask = |token| run(server.introspect(&project(), token));
    assert!(matches!(ask("app.example"), Ok(Introspection::Active(_))));
    assert!(matches!(ask("no token"), Ok(Introspection::Inactive)));
    let error = ask("other.example").unwrap_err();
    assert!(
        matches!(error, ClientError::UnexpectedReply(path::INTROSPECT)),
        "{error}"
    );
}
