//! Sessions whose attestation is in a cookie.

use futures_util::future::join;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::{Revocation, path};
use keyfold_protocol::error_code::Code;

use super::world::*;
use crate::{Delivery, Session};

/// A signed-in client that keeps its attestation in a cookie.
fn in_cookie() -> (std::sync::Arc<Host>, TestClient, Session) {
    let (host, pin) = world();
    let client = client(&host, &pin).with_delivery(Delivery::Cookie);
    let session = sign_in(&client).unwrap();
    (host, client, session)
}

#[test]
fn a_session_in_a_cookie_holds_no_text_and_works_through_the_cookie_alone() {
    let (host, client, session) = in_cookie();
    assert_eq!(session.attestation(), None);
    assert_eq!(session.attestation_key(), Some(Thumbprint([8; 32])));
    let stored = serde_json::to_string(&session).unwrap();
    let held = host.with(|state| state.cookie.clone()).unwrap();
    assert!(!stored.contains(&held) && stored.contains("sealed_attestation"));

    // As after a reload: from what was stored, and the browser's cookie.
    let session: Session = serde_json::from_str(&stored).unwrap();
    let wallet = run(client.create_wallet(&session, "main")).unwrap();
    run(client.sign_message(&session, &wallet, CHAIN, b"hello")).unwrap();
    assert_eq!(run(client.sign_out(&session)).unwrap(), Revocation::Done);
}

#[test]
fn a_wallet_that_the_attestation_does_not_name_is_attested_before_it_signs() {
    let (host, client, session) = in_cookie();
    let wallet = run(client.create_wallet(&session, "main")).unwrap();
    let before = host.with(|state| state.cookie.clone());
    run(client.sign_message(&session, &wallet, CHAIN, b"hello")).unwrap();
    let after = host.with(|state| state.cookie.clone());
    assert_ne!(before, after, "it was renewed");
    run(client.sign_message(&session, &wallet, CHAIN, b"again")).unwrap();
    assert_eq!(host.with(|state| state.cookie.clone()), after);
}

#[test]
fn a_request_that_a_renewal_overtakes_comes_again_under_its_id() {
    let (host, client, session) = in_cookie();
    host.with(|state| state.opened.clear());
    let (renewed, listed) = run(join(client.renew(&session), client.wallets(&session)));
    renewed.unwrap();
    listed.unwrap();
    // Refused before the second try, so opened once.
    let opened = host.with(|state| state.opened.clone());
    let paths: Vec<_> = opened.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, [path::RENEW, path::WALLET_LIST]);
    assert_eq!(host.with(|state| state.overtaken), 1);
}

#[test]
fn a_session_whose_cookie_is_gone_or_anothers_says_so() {
    let (host, client, session) = in_cookie();
    let own = host.with(|state| state.cookie.replace("attestation-9/other".to_owned()));
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(error.is(Code::SessionInvalid), "{error}");
    host.with(|state| state.cookie = None);
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(error.is(Code::SessionMissing), "{error}");
    host.with(|state| state.cookie = own);
    run(client.wallets(&session)).unwrap();
}

#[test]
fn cookies_go_with_the_requests_that_need_them_and_never_otherwise() {
    let (host, client, _) = in_cookie();
    let start_finish = host.with(|state| state.with_cookies);
    assert_eq!(start_finish, 2);
    let (host, plain, session, _) = ready();
    run(plain.wallets(&session)).unwrap();
    assert_eq!(host.with(|state| state.with_cookies), 0);
    drop(client);
}

#[test]
fn a_session_moves_into_the_cookie_and_back_when_it_is_renewed() {
    let (host, plain, session, _) = ready();
    let client = plain.with_delivery(Delivery::Cookie);
    run(client.renew(&session)).unwrap();
    assert_eq!(session.attestation(), None);
    run(client.wallets(&session)).unwrap();
    let client = client.with_delivery(Delivery::Body);
    run(client.renew(&session)).unwrap();
    assert!(session.attestation().is_some());
    assert_eq!(host.with(|state| state.cookie.clone()), None);
    run(client.wallets(&session)).unwrap();
}
