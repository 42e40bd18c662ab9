//! The table that makes "once" true, without a chain.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use keyfold_chain::{Receipt, SignedTransaction};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::RelayState;
use tempfile::TempDir;

use super::*;
use crate::config::SpendBounds;
use crate::error::RelayError;

const SENDER: Address = Address::repeat_byte(1);
const ACCOUNT: Account = Account {
    chain_id: 5,
    sender: SENDER,
};
const GWEI: u64 = 1_000_000_000;
/// A node that has seen nothing, and a sender with much.
const RICH: Terms = Terms {
    in_blocks: 0,
    with_waiting: 0,
    balance: U256::MAX,
    cost: U256::from_limbs([3 * GWEI, 0, 0, 0]),
    now: 1_000_000,
    spending: None,
};
const MINED: Receipt = Receipt {
    succeeded: true,
    block: 4,
    gas_used: 5,
};

fn request(number: u8) -> NewRequest {
    NewRequest {
        id: RequestId::from_bytes([number; 16]),
        hash: B256::repeat_byte(number),
        account: ACCOUNT,
        wallet: Address::repeat_byte(number),
        space: U160::MAX,
        wallet_nonce: 3,
        deployed: true,
    }
}

fn signed(bytes: &[u8]) -> SignedTransaction {
    let raw = Bytes::copy_from_slice(bytes);
    SignedTransaction {
        hash: keccak256(&raw),
        raw,
    }
}

fn sign(nonce: u64) -> Result<SignedTransaction, RelayError> {
    Ok(signed(&nonce.to_be_bytes()))
}

async fn store() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(&dir.path().join("db")).await.unwrap(), dir)
}

async fn reserve_on(store: &Store, request: NewRequest, terms: Terms) -> Result<Taken, Code> {
    match store.reserve(request, terms, sign).await {
        Ok(Reserved::New(taken, _)) => Ok(taken),
        Err(RelayError::Refused { code, .. }) => Err(code),
        other => panic!("{other:?}"),
    }
}

async fn reserve(store: &Store, request: NewRequest) -> Taken {
    reserve_on(store, request, RICH).await.unwrap()
}

async fn newest(store: &Store, taken: &Taken) -> Version {
    let versions = store.versions(taken.relayed.id).await.unwrap();
    versions.last().unwrap().clone()
}

async fn state(store: &Store, taken: &Taken) -> RelayState {
    let found = store.find(taken.relayed.id).await.unwrap().unwrap();
    found.relayed.state
}

/// The nonces that are looked after.
async fn open(store: &Store, next_nonce: u64, settled_after: Option<u64>) -> Vec<u64> {
    let mut nonces = Vec::new();
    let mut from = Some(0);
    while let Some(nonce) = from {
        let part = Part {
            next_nonce,
            settled_after,
            from: nonce,
        };
        let (page, next) = store.open_transactions(ACCOUNT, part).await.unwrap();
        nonces.extend(page.iter().map(|taken| taken.nonce));
        from = next;
    }
    nonces
}

#[tokio::test]
async fn nonces_follow_each_other_and_start_where_the_chain_is() {
    let (store, _dir) = store().await;
    let seven = Terms {
        in_blocks: 7,
        with_waiting: 7,
        ..RICH
    };
    assert_eq!(
        reserve_on(&store, request(1), seven).await.unwrap().nonce,
        7
    );
    // A node that lags does not make a nonce be used twice.
    assert_eq!(reserve(&store, request(2)).await.nonce, 8);
    let elsewhere = NewRequest {
        account: Account {
            chain_id: 6,
            sender: SENDER,
        },
        ..request(3)
    };
    assert_eq!(reserve(&store, elsewhere).await.nonce, 0);
}

#[tokio::test]
async fn one_wrong_count_of_a_node_does_not_move_the_nonce() {
    let (store, _dir) = store().await;
    assert_eq!(reserve(&store, request(1)).await.nonce, 0);
    for (in_blocks, with_waiting) in [(0, 900), (1, 900), (900, 1), (900, 0), (899, 900)] {
        let terms = Terms {
            in_blocks,
            with_waiting,
            ..RICH
        };
        let refused = reserve_on(&store, request(2), terms).await;
        assert_eq!(refused.unwrap_err(), Code::ChainUnavailable);
    }
    assert_eq!(reserve(&store, request(2)).await.nonce, 1);
}

#[tokio::test]
async fn a_key_is_taken_once_and_what_was_signed_is_kept() {
    let (store, dir) = store().await;
    let taken = reserve(&store, request(1)).await;
    let version = newest(&store, &taken).await;
    assert_eq!(version.raw, sign(0).unwrap().raw);
    store.close().await;
    let store = Store::open(&dir.path().join("db")).await.unwrap();
    let never = |_| -> Result<SignedTransaction, RelayError> { panic!("signed again") };
    let Reserved::Known(known) = store.reserve(request(1), RICH, never).await.unwrap() else {
        panic!("not known");
    };
    assert_eq!(known.relayed, taken.relayed);
    assert_eq!(newest(&store, &taken).await, version);
}

#[tokio::test]
async fn a_failed_signature_leaves_nothing_behind() {
    let (store, _dir) = store().await;
    let fail = |_| Err(crate::keys::SigningFailed.into());
    assert!(store.reserve(request(1), RICH, fail).await.is_err());
    assert!(store.find(request(1).id).await.unwrap().is_none());
    assert_eq!(reserve(&store, request(1)).await.nonce, 0);
}

#[tokio::test]
async fn a_wallets_nonce_is_on_its_way_once() {
    let (store, _dir) = store().await;
    let first = reserve(&store, request(1)).await;
    let rival = NewRequest {
        id: RequestId::from_bytes([9; 16]),
        ..request(1)
    };
    assert!(matches!(
        store.reserve(rival, RICH, sign).await.unwrap(),
        Reserved::Waiting
    ));
    let version = newest(&store, &first).await;
    let reverted = Receipt {
        succeeded: false,
        ..MINED
    };
    let news = store.settle(first.relayed.id, &version, &reverted).await;
    assert!(news.unwrap());
    reserve(&store, rival).await;
}

#[tokio::test]
async fn what_is_on_its_way_is_not_paid_from_the_same_coin_twice() {
    let (store, _dir) = store().await;
    let coins = |gwei: u64| Terms {
        balance: U256::from(gwei * GWEI),
        ..RICH
    };
    let first = reserve_on(&store, request(1), coins(3)).await.unwrap();
    let refused = reserve_on(&store, request(2), coins(5)).await;
    assert_eq!(refused.unwrap_err(), Code::Unavailable);
    // A better price of the first counts, too.
    let version = newest(&store, &first).await;
    let dear = U256::from(4 * GWEI);
    let id = first.relayed.id;
    assert!(
        store
            .replace(id, &version, &signed(b"dear"), false, dear)
            .await
            .unwrap()
    );
    assert!(reserve_on(&store, request(2), coins(6)).await.is_err());
    reserve_on(&store, request(2), coins(7)).await.unwrap();
    // What is in a block is in the balance already.
    let later = Terms {
        in_blocks: 2,
        with_waiting: 2,
        ..coins(3)
    };
    reserve_on(&store, request(3), later).await.unwrap();
}

#[tokio::test]
async fn strangers_spend_so_much_in_a_period_and_a_restart_forgives_nothing() {
    let (store, dir) = store().await;
    let bounds = SpendBounds {
        transaction_gwei: 100,
        period_gwei: 9,
        wallet_gwei: 6,
        period_seconds: 100,
    };
    let at = |now| Terms {
        now,
        spending: Some(bounds),
        ..RICH
    };
    let of_wallet = |wallet, number| NewRequest {
        wallet: Address::repeat_byte(wallet),
        wallet_nonce: u64::from(number),
        ..request(number)
    };
    reserve_on(&store, of_wallet(1, 1), at(1_000))
        .await
        .unwrap();
    reserve_on(&store, of_wallet(1, 2), at(1_001))
        .await
        .unwrap();
    let refused = reserve_on(&store, of_wallet(1, 3), at(1_002)).await;
    assert_eq!(refused.unwrap_err(), Code::Unavailable);
    reserve_on(&store, of_wallet(2, 4), at(1_003))
        .await
        .unwrap();
    store.close().await;
    let store = Store::open(&dir.path().join("db")).await.unwrap();
    let refused = reserve_on(&store, of_wallet(3, 5), at(1_099)).await;
    assert_eq!(refused.unwrap_err(), Code::Unavailable);
    // The operator's own is counted and not bounded.
    reserve_on(&store, of_wallet(3, 6), Terms { now: 1_099, ..RICH })
        .await
        .unwrap();
    reserve_on(&store, of_wallet(1, 7), at(1_101))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_settled_is_looked_after_until_it_is_for_good_or_if_the_chain_forgot_it() {
    let (store, _dir) = store().await;
    let taken = reserve(&store, request(1)).await;
    let id = taken.relayed.id;
    assert_eq!(open(&store, 1, None).await, [0]);
    let version = newest(&store, &taken).await;
    assert!(store.settle(id, &version, &MINED).await.unwrap());
    assert!(!store.settle(id, &version, &MINED).await.unwrap());
    assert!(open(&store, 1, None).await.is_empty());
    assert!(open(&store, 1, Some(4)).await.is_empty());
    assert_eq!(open(&store, 1, Some(3)).await, [0]);
    assert_eq!(open(&store, 0, None).await, [0]);
    let relayed = store.find(id).await.unwrap().unwrap().relayed;
    assert_eq!(
        (relayed.state, relayed.block, relayed.gas_used),
        (RelayState::Mined, Some(4), Some(5))
    );
    // Executed again with another result, in a block of the same number.
    let other = Receipt {
        succeeded: false,
        ..MINED
    };
    assert!(store.settle(id, &version, &other).await.unwrap());
    assert_eq!(state(&store, &taken).await, RelayState::Reverted);
    assert!(store.reopen(id).await.unwrap());
    assert!(!store.reopen(id).await.unwrap());
    let relayed = store.find(id).await.unwrap().unwrap().relayed;
    assert_eq!((relayed.state, relayed.block), (RelayState::Sent, None));
}

#[tokio::test]
async fn whichever_version_is_in_the_block_counts_and_an_empty_one_is_no_success() {
    let (store, _dir) = store().await;
    let taken = reserve(&store, request(1)).await;
    let id = taken.relayed.id;
    let first = newest(&store, &taken).await;
    let (better, empty) = (signed(b"better"), signed(b"empty"));
    let replace = async |newest: &Version, signed: &SignedTransaction, empty| {
        let cost = U256::from(GWEI);
        store
            .replace(id, newest, signed, empty, cost)
            .await
            .unwrap()
    };
    assert!(replace(&first, &better, false).await);
    assert!(!replace(&first, &empty, true).await, "two at once");
    let second = newest(&store, &taken).await;
    assert!(replace(&second, &empty, true).await);
    let third = newest(&store, &taken).await;
    assert_eq!((third.hash, third.empty), (empty.hash, true));
    for (version, expected) in [
        (&first, RelayState::Mined),
        (&second, RelayState::Mined),
        (&third, RelayState::Lost),
    ] {
        assert!(store.settle(id, version, &MINED).await.unwrap());
        let relayed = store.find(id).await.unwrap().unwrap().relayed;
        assert_eq!((relayed.hash, relayed.state), (version.hash, expected));
    }
    assert!(!replace(&third, &better, false).await, "it is settled");
    store.settle(id, &first, &MINED).await.unwrap();
    assert!(store.reopen(id).await.unwrap());
    let relayed = store.find(id).await.unwrap().unwrap().relayed;
    assert_eq!(relayed.hash, third.hash);
}

#[tokio::test]
async fn refusals_are_counted_in_a_row() {
    let (store, _dir) = store().await;
    let taken = reserve(&store, request(1)).await;
    let id = taken.relayed.id;
    let refusals = async || store.find(id).await.unwrap().unwrap().refusals;
    store.refused(id, true).await.unwrap();
    store.refused(id, true).await.unwrap();
    assert_eq!(refusals().await, 2);
    // A better price is the same call: refusing it counts on.
    let version = newest(&store, &taken).await;
    store
        .replace(id, &version, &signed(b"better"), false, U256::ZERO)
        .await
        .unwrap();
    assert_eq!(refusals().await, 2);
    store.refused(id, false).await.unwrap();
    assert_eq!(refusals().await, 0);
}

#[tokio::test]
async fn many_that_are_never_found_do_not_hide_the_others() {
    let (store, _dir) = store().await;
    let mut all = Vec::new();
    for number in 0..600_u16 {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let request = NewRequest {
            id: RequestId::from_bytes(id),
            wallet_nonce: number.into(),
            ..request(1)
        };
        all.push(reserve(&store, request).await);
    }
    assert_eq!(open(&store, 600, None).await, (0..600).collect::<Vec<_>>());
    for taken in &all[..599] {
        store.missing(taken.relayed.id, 10).await.unwrap();
        assert!(store.lose(taken.relayed.id, 80).await.unwrap());
    }
    assert_eq!(open(&store, 600, None).await, [599]);
    // Until it is for good, somebody looks whether it was there after all.
    assert_eq!(open(&store, 600, Some(79)).await.len(), 600);
    let version = newest(&store, &all[0]).await;
    let id = all[0].relayed.id;
    assert!(store.settle(id, &version, &MINED).await.unwrap());
    assert_eq!(state(&store, &all[0]).await, RelayState::Mined);
}
