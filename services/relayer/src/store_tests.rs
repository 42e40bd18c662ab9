//! The table that makes "once" true, without a chain.

use keyfold_chain::SignedTransaction;
use tempfile::TempDir;

use super::*;

const SENDER: Address = Address::repeat_byte(1);
const ACCOUNT: Account = Account {
    chain_id: 5,
    sender: SENDER,
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

fn sign(nonce: u64) -> Result<SignedTransaction, RelayError> {
    let raw = Bytes::from(nonce.to_be_bytes().to_vec());
    Ok(SignedTransaction {
        hash: alloy_primitives::keccak256(&raw),
        raw,
    })
}

async fn store() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(&dir.path().join("db")).await.unwrap(), dir)
}

async fn reserve(store: &Store, request: NewRequest) -> Taken {
    match store.reserve(request, 0, sign).await.unwrap() {
        Reserved::New(taken) => taken,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nonces_follow_each_other_and_start_where_the_chain_is() {
    let (store, _dir) = store().await;
    let Reserved::New(first) = store.reserve(request(1), 7, sign).await.unwrap() else {
        panic!("not new");
    };
    assert_eq!(first.nonce, 7);
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
async fn a_key_is_taken_once_and_what_was_signed_is_kept() {
    let (store, dir) = store().await;
    let taken = reserve(&store, request(1)).await;
    store.close().await;
    let store = Store::open(&dir.path().join("db")).await.unwrap();
    let never = |_| -> Result<SignedTransaction, RelayError> { panic!("signed again") };
    let Reserved::Known(known) = store.reserve(request(1), 0, never).await.unwrap() else {
        panic!("not known");
    };
    assert_eq!((known.raw, known.relayed), (taken.raw, taken.relayed));
}

#[tokio::test]
async fn a_failed_signature_leaves_nothing_behind() {
    let (store, _dir) = store().await;
    let fail = |_| Err(crate::keys::SigningFailed.into());
    assert!(store.reserve(request(1), 0, fail).await.is_err());
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
        store.reserve(rival, 0, sign).await.unwrap(),
        Reserved::Waiting
    ));
    let receipt = Receipt {
        succeeded: false,
        block: 4,
        gas_used: 5,
    };
    assert!(store.settle(first.relayed.id, &receipt).await.unwrap());
    reserve(&store, rival).await;
}

#[tokio::test]
async fn what_is_settled_is_looked_after_again_only_if_the_chain_forgot_it() {
    let (store, _dir) = store().await;
    let id = reserve(&store, request(1)).await.relayed.id;
    let open = async |next_nonce| {
        store
            .open_transactions(ACCOUNT, next_nonce)
            .await
            .unwrap()
            .len()
    };
    assert_eq!(open(1).await, 1);
    let receipt = Receipt {
        succeeded: true,
        block: 4,
        gas_used: 5,
    };
    assert!(store.settle(id, &receipt).await.unwrap());
    assert!(!store.settle(id, &receipt).await.unwrap());
    assert_eq!((open(1).await, open(0).await), (0, 1));
    let relayed = store.find(id).await.unwrap().unwrap().relayed;
    assert_eq!(
        (relayed.state, relayed.block, relayed.gas_used),
        (RelayState::Mined, Some(4), Some(5))
    );
    assert!(store.reopen(id).await.unwrap());
    assert!(!store.reopen(id).await.unwrap());
    let relayed = store.find(id).await.unwrap().unwrap().relayed;
    assert_eq!((relayed.state, relayed.block), (RelayState::Sent, None));
}
