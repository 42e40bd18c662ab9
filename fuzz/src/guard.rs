//! The guard: its policies, and what it approves under one.

use std::sync::OnceLock;

use alloy_primitives::{Address, U256};
use keyfold_guard::policy::{
    AllowedCalls, AllowedContract, ChainRules, MAX_ENTRIES, Messages, Recipients,
};
use keyfold_guard::{Policy, Reading, ValidPolicy, decide, read};
use keyfold_wallet::payload::{eip191, unpack};
use keyfold_wallet::{Call, Payload, PayloadBody};

use crate::reached;
use crate::wallet::WALLET;

pub(crate) const TOKEN: Address = Address::repeat_byte(0x10);
pub(crate) const PAYABLE_TOKEN: Address = Address::repeat_byte(0x11);
pub(crate) const CONTRACT: Address = Address::repeat_byte(0x12);
pub(crate) const FRIEND: Address = Address::repeat_byte(0x20);
pub(crate) const DENIED: Address = Address::repeat_byte(0x66);
const CHAIN: u64 = 8453;

/// The policy under which [`decision`] decides.
pub(crate) fn written() -> Policy {
    let allowed = |address, calls| AllowedContract { address, calls };
    Policy {
        version: 1,
        revision: 7,
        deny: vec![DENIED],
        config_changes: Vec::new(),
        chains: vec![ChainRules {
            ids: vec![CHAIN],
            allow: vec![
                allowed(TOKEN, AllowedCalls::Erc20Transfer),
                allowed(PAYABLE_TOKEN, AllowedCalls::Erc20),
                allowed(CONTRACT, AllowedCalls::Any),
            ],
            native: Recipients::Only(vec![FRIEND, DENIED]),
            messages: Messages::Text,
        }],
    }
}

/// A policy that is read is written back to the same value; one that is valid answers by its own
/// lists.
pub fn policy(data: &[u8]) {
    let Ok(policy) = serde_json::from_slice::<Policy>(data) else {
        return;
    };
    let json = serde_json::to_vec(&policy).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<Policy>(&json).expect("our own JSON"),
        policy
    );
    let Ok(valid) = ValidPolicy::try_from(policy.clone()) else {
        return;
    };
    reached();
    assert_eq!(valid.revision(), policy.revision);
    assert!(policy.deny.len() <= MAX_ENTRIES && policy.deny.iter().all(|a| valid.denies(a)));
    assert!(valid.on(0).is_none());
    for rules in &policy.chains {
        assert!(rules.allow.len() <= MAX_ENTRIES);
        for id in &rules.ids {
            let found = valid.on(*id).expect("rules of a chain that is named");
            assert_eq!(found, rules);
            for entry in &rules.allow {
                assert_eq!(found.allowed_calls(&entry.address), Some(entry.calls));
            }
            assert_eq!(found.allowed_calls(&Address::ZERO), None);
            // Whatever the policy says, no call to a denied address passes.
            for address in &policy.deny {
                let call = Call::new(*address, U256::ZERO, Vec::new());
                let payload = Payload::calls(Default::default(), 0, vec![call]);
                assert!(decide(&valid, WALLET, *id, &payload).is_err());
            }
        }
    }
}

/// Under a fixed policy, what is approved is what a second, blunter reading of the policy allows.
pub fn decision(data: &[u8]) {
    static POLICY: OnceLock<ValidPolicy> = OnceLock::new();
    let policy = POLICY.get_or_init(|| written().try_into().expect("a valid policy"));

    let message = Payload::from(PayloadBody::Message(data.to_vec().into()));
    let text = data
        .iter()
        .position(|b| *b == b'\n')
        .map(|at| &data[at + 1..])
        .and_then(|rest| {
            (0..=rest.len().min(8))
                .map(|at| &rest[at..])
                .find(|text| eip191(text)[..] == *data)
        });
    let is_text = text.is_some_and(|text| core::str::from_utf8(text).is_ok());
    assert_eq!(decide(policy, WALLET, CHAIN, &message).is_ok(), is_text);

    assert!(decide(policy, WALLET, CHAIN + 1, &message).is_err());

    let Ok(payload) = unpack(data, &WALLET) else {
        return;
    };
    let PayloadBody::Calls { calls, .. } = &payload.body else {
        panic!("only calls are packed");
    };
    let expected = !calls.is_empty() && calls.iter().all(may_be_made);
    let decided = decide(policy, WALLET, CHAIN, &payload);
    if expected {
        reached();
    }
    assert_eq!(decided.is_ok(), expected, "{decided:?}");
    assert!(decide(policy, WALLET, CHAIN + 1, &payload).is_err());
    for call in calls {
        check_reading(call);
    }
}

/// The policy of [`written`], spelled out over the bytes of a call.
fn may_be_made(call: &Call) -> bool {
    let shape = |selector: [u8; 4], words: usize| {
        call.value.is_zero()
            && call.data.starts_with(&selector)
            && call.data.len() == 4 + 32 * words
            && (0..words - 1).all(|w| call.data[4 + 32 * w..][..12] == [0; 12])
    };
    let transfer = shape([0xa9, 0x05, 0x9c, 0xbb], 2);
    let approve = shape([0x09, 0x5e, 0xa7, 0xb3], 2);
    let transfer_from = shape([0x23, 0xb8, 0x72, 0xdd], 3);
    let argument = |w: usize| call.data.get(4 + 32 * w + 12..4 + 32 * w + 32);
    let denied = |w: usize| argument(w) == Some(DENIED.as_slice());
    let touches_denied = call.to == DENIED
        || (transfer || approve) && denied(0)
        || transfer_from && (denied(0) || denied(1));
    if call.delegate_call || touches_denied || call.to == WALLET {
        return false;
    }
    if call.data.is_empty() {
        return call.to == FRIEND;
    }
    match call.to {
        TOKEN => transfer,
        PAYABLE_TOKEN => transfer || approve || transfer_from,
        CONTRACT => true,
        _ => false,
    }
}

/// A call that is understood has the one encoding of what it was understood as.
fn check_reading(call: &Call) {
    let word = |address: &Address| address.into_word().to_vec();
    let number = |amount: &U256| amount.to_be_bytes::<32>().to_vec();
    let reading = read(call);
    assert_eq!(reading.addresses().first(), Some(&call.to));
    let data = match &reading {
        Reading::Unknown { value, .. } => return assert_eq!(*value, call.value),
        Reading::NativeTransfer { value, .. } => {
            assert_eq!(*value, call.value);
            Vec::new()
        }
        Reading::Erc20Transfer { to, amount, .. } => {
            [vec![0xa9, 0x05, 0x9c, 0xbb], word(to), number(amount)].concat()
        }
        Reading::Erc20Approve {
            spender, amount, ..
        } => [vec![0x09, 0x5e, 0xa7, 0xb3], word(spender), number(amount)].concat(),
        Reading::Erc20TransferFrom {
            from, to, amount, ..
        } => [
            vec![0x23, 0xb8, 0x72, 0xdd],
            word(from),
            word(to),
            number(amount),
        ]
        .concat(),
    };
    assert_eq!(&call.data[..], data);
    assert!(!call.delegate_call);
}
