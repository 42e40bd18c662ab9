//! What a device was told before, against what it is told after signing in again.

use alloy_primitives::Address;
use keyfold_protocol::ids::AccountId;
use keyfold_wallet::config::default_tree;

use super::world::*;
use crate::{ClientError, KnownWallets, WalletRefused};

/// The same device as a later program, which stored what was known and no session.
fn later(client: &TestClient, host: &std::sync::Arc<Host>) -> TestClient {
    let stored = serde_json::to_string(&client.known_wallets()).unwrap();
    let known: KnownWallets = serde_json::from_str(&stored).unwrap();
    super::world::client(host, client.pin()).with_known_wallets(known)
}

fn another_wallet(host: &Host, label: &str) -> Address {
    let other = info(label, &default_tree(Address::repeat_byte(6), None).unwrap());
    let address = other.address;
    host.with(|state| state.wallets = vec![other]);
    address
}

#[test]
fn a_label_is_no_other_wallet_after_signing_out_and_in_again() {
    let (host, client, session, wallet) = ready();
    run(client.sign_out(&session)).unwrap();
    let now = another_wallet(&host, "main");
    for client in [&client, &later(&client, &host)] {
        let error = sign_in(client).unwrap_err();
        let changed = WalletRefused::Changed {
            before: wallet.address(),
            now,
        };
        assert!(
            matches!(error, ClientError::Wallet(refused) if refused == changed),
            "{error}"
        );
        assert_eq!(error.code(), "wallet_changed");
    }
}

#[test]
fn a_wallet_that_was_hidden_at_sign_in_is_not_made_anew() {
    let (host, client, _, wallet) = ready();
    host.with(|state| state.wallets.clear());
    let client = later(&client, &host);
    let session = sign_in(&client).unwrap();
    another_wallet(&host, "main");
    let error = run(client.create_wallet(&session, "main")).unwrap_err();
    assert_eq!(error.code(), "wallet_changed");
    // What was refused was not learned: the right one is still right.
    host.with(|state| state.wallets = vec![wallet.info().clone()]);
    assert_eq!(run(client.wallets(&session)).unwrap(), [wallet]);
}

#[test]
fn an_address_is_no_other_account_after_signing_in_again() {
    let (host, client, _, _) = ready();
    host.with(|state| {
        state.account = AccountId::from_bytes([9; 16]);
        state.wallets.clear();
    });
    let client = later(&client, &host);
    let before = client.known_wallets();
    for email in ["a@example.org", "A@Example.org"] {
        let error = sign_in_as(&client, email).unwrap_err();
        assert!(matches!(error, ClientError::AccountChanged), "{error}");
        assert_eq!(error.code(), "account_changed");
    }
    assert_eq!(client.known_wallets(), before);
    // Somebody else on the same device.
    sign_in_as(&client, "b@example.org").unwrap();
    host.with(|state| state.account = AccountId::from_bytes([4; 16]));
    sign_in(&client).unwrap();
}

#[test]
fn what_two_programs_learned_is_put_together_and_what_was_first_stays() {
    let (host, client, session, wallet) = ready();
    let mut known = client.known_wallets();
    let other = later(&client, &host);
    run(other.create_wallet(&session, "savings")).unwrap();
    known.merge(&other.known_wallets());
    assert_eq!(known, other.known_wallets());

    let fooled = super::world::client(&host, client.pin());
    let address = another_wallet(&host, "main");
    sign_in(&fooled).unwrap();
    known.merge(&fooled.known_wallets());
    assert_eq!(known, other.known_wallets());
    assert_ne!(address, wallet.address());
    assert!(!format!("{known:?}").contains("savings"));
}

#[test]
fn no_answer_makes_the_list_grow_without_end() {
    let (host, client, session, wallet) = ready();
    let config = default_tree(Address::repeat_byte(6), None).unwrap();
    let many = (0..100).map(|at| info(&format!("w{at}"), &config));
    host.with(|state| state.wallets.extend(many));
    let error = run(client.wallets(&session)).unwrap_err();
    assert!(matches!(error, ClientError::Wallet(WalletRefused::TooMany)));
    host.with(|state| state.wallets.truncate(1));
    assert_eq!(run(client.wallets(&session)).unwrap(), [wallet]);
}
