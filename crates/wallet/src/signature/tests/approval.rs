//! Static signatures against stored approvals.

use super::*;

struct Stored(Option<StaticApproval>, B256);

impl Recover for Stored {
    fn ecrecover(&self, _: &B256, _: &EcdsaSignature) -> Option<Address> {
        None
    }

    fn static_approval(&self, wallet: &Address, op_hash: &B256) -> Option<StaticApproval> {
        assert_eq!((wallet, op_hash), (&WALLET, &self.1));
        self.0
    }
}

fn attempt(caller: Address, expiry: u128) -> Result<B256, RecoverError> {
    let payload = message();
    let hash = payload.op_hash(&WALLET, 1);
    let approval = StaticApproval {
        caller,
        expiry,
        asking: A,
        now_unix_seconds: 100,
    };
    let result = recover_static(&request(&payload), false, &Stored(Some(approval), hash));
    assert!(result.is_err() || result == Ok(hash));
    result
}

#[test]
fn an_approval_counts_for_its_caller_until_it_expires() {
    for caller in [A, Address::ZERO] {
        assert!(attempt(caller, 101).is_ok());
        assert_eq!(attempt(caller, 100), Err(RecoverError::StaticExpired));
        assert_eq!(attempt(caller, 0), Err(RecoverError::StaticExpired));
    }
    assert_eq!(attempt(B, 101), Err(RecoverError::StaticWrongCaller(B)));
}

#[test]
fn an_approval_for_every_chain_is_another_approval() {
    let payload = message();
    let hash = payload.op_hash(&WALLET, ANY_CHAIN);
    assert_eq!(
        recover_static(&request(&payload), true, &Stored(None, hash)),
        Err(RecoverError::Static)
    );
}
