//! What can be asked to be signed, and what cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, Bytes, U256};
use keyfold_protocol::client_api::{
    MAX_BODY, MAX_CALLS, MAX_MESSAGE, PayloadError, WireCall, WirePayload,
};
use keyfold_wallet::{BehaviorOnError, PayloadBody};

fn call() -> WireCall {
    WireCall {
        to: Address::repeat_byte(1),
        value: U256::from(1),
        data: Bytes::new(),
        gas_limit: U256::ZERO,
        ignore_error: false,
    }
}

fn transaction(nonce: u64, calls: Vec<WireCall>) -> WirePayload {
    WirePayload::Transaction {
        space: U160::ZERO,
        nonce,
        calls,
    }
}

fn refused(payload: &WirePayload) -> Option<PayloadError> {
    payload.to_payload().err()
}

#[test]
fn a_call_that_may_fail_without_a_gas_limit_is_refused() {
    let unbounded = WireCall {
        ignore_error: true,
        ..call()
    };
    let bounded = WireCall {
        gas_limit: U256::from(50_000),
        ..unbounded.clone()
    };
    let batch = transaction(0, vec![call(), bounded.clone(), unbounded]);
    assert_eq!(refused(&batch), Some(PayloadError::GasLimit));
    let payload = transaction(0, vec![call(), bounded]).to_payload().unwrap();
    let PayloadBody::Calls { calls, .. } = payload.body else {
        panic!("not calls");
    };
    let behaviours = [BehaviorOnError::Revert, BehaviorOnError::Ignore];
    assert_eq!(
        calls
            .iter()
            .map(|c| c.behavior_on_error)
            .collect::<Vec<_>>(),
        behaviours
    );
    assert_eq!(calls[1].gas_limit, U256::from(50_000));
}

#[test]
fn what_is_too_much_or_nothing_at_all_is_refused() {
    for count in [0, MAX_CALLS + 1] {
        let batch = transaction(0, vec![call(); count]);
        assert_eq!(refused(&batch), Some(PayloadError::CallCount));
    }
    let late = transaction(1 << 56, vec![call()]);
    assert_eq!(refused(&late), Some(PayloadError::Nonce));
    let half = WireCall {
        data: vec![0; MAX_BODY / 2 + 1].into(),
        ..call()
    };
    let long = transaction(0, vec![half; 2]);
    assert_eq!(refused(&long), Some(PayloadError::TooLong));
    let message = |length| WirePayload::Message {
        message: vec![0; length].into(),
    };
    assert_eq!(refused(&message(MAX_MESSAGE)), None);
    assert_eq!(
        refused(&message(MAX_MESSAGE + 1)),
        Some(PayloadError::TooLong)
    );
}
