//! The policy against what attackers put into a batch.

use alloy_primitives::{Bytes, U256, address, hex};
use keyfold_wallet::Call;
use proptest::prelude::*;

use super::*;
use crate::policy::{AllowedContract, Policy, Recipients};

const WALLET: Address = address!("00000000000000000000000000000000000000aa");
const TOKEN: Address = address!("00000000000000000000000000000000000000bb");
const FRIEND: Address = address!("00000000000000000000000000000000000000cc");
const ENEMY: Address = address!("00000000000000000000000000000000000000dd");

fn policy() -> Policy {
    Policy {
        version: 1,
        revision: 7,
        allow: vec![AllowedContract {
            address: TOKEN,
            calls: AllowedCalls::Erc20Transfer,
        }],
        deny: vec![ENEMY],
        native: Recipients::Only(vec![FRIEND]),
        messages: Messages::Deny,
    }
}

fn erc20(selector: [u8; 4], addresses: &[Address], amount: u64) -> Bytes {
    let mut data = selector.to_vec();
    for address in addresses {
        data.extend_from_slice(&address.into_word().0);
    }
    data.extend_from_slice(&U256::from(amount).to_be_bytes::<32>());
    data.into()
}

fn transfer(to: Address) -> Call {
    Call::new(TOKEN, U256::ZERO, erc20(hex!("a9059cbb"), &[to], 5))
}

fn native(to: Address) -> Call {
    Call::new(to, U256::from(1), Bytes::new())
}

fn verdict_of(policy: Policy, calls: Vec<Call>) -> Result<Approval, Vec<Reason>> {
    let payload = Payload::from(PayloadBody::Calls {
        space: Default::default(),
        nonce: 0,
        calls,
    });
    decide(&ValidPolicy::try_from(policy).unwrap(), WALLET, &payload).map_err(|no| no.reasons)
}

fn verdict(calls: Vec<Call>) -> Result<Approval, Vec<Reason>> {
    verdict_of(policy(), calls)
}

#[test]
fn a_batch_of_allowed_transfers_is_signed_and_read() {
    let approval = verdict(vec![transfer(FRIEND), native(FRIEND)]).unwrap();
    assert_eq!(approval.revision, 7);
    assert_eq!(
        approval.readings,
        [
            Reading::Erc20Transfer {
                token: TOKEN,
                to: FRIEND,
                amount: U256::from(5)
            },
            Reading::NativeTransfer {
                to: FRIEND,
                value: U256::from(1)
            },
        ]
    );
}

#[test]
fn one_bad_call_in_a_batch_refuses_the_batch_and_is_named() {
    let reasons = verdict(vec![transfer(FRIEND), native(ENEMY)]).unwrap_err();
    assert_eq!(
        reasons,
        [
            Reason::Denied {
                call: 1,
                address: ENEMY
            },
            Reason::RecipientNotAllowed {
                call: 1,
                address: ENEMY
            }
        ]
    );
}

#[test]
fn deny_wins_over_allow() {
    let mut rules = policy();
    rules.deny.push(TOKEN);
    assert_eq!(
        verdict_of(rules, vec![transfer(FRIEND)]).unwrap_err(),
        [Reason::Denied {
            call: 0,
            address: TOKEN
        }]
    );
    assert_eq!(
        verdict(vec![transfer(ENEMY)]).unwrap_err(),
        [Reason::Denied {
            call: 0,
            address: ENEMY
        }]
    );
}

#[test]
fn an_unknown_contract_is_denied() {
    let call = Call::new(FRIEND, U256::ZERO, hex!("deadbeef").to_vec());
    assert_eq!(
        verdict(vec![call]).unwrap_err(),
        [Reason::NotAllowed {
            call: 0,
            address: FRIEND
        }]
    );
}

#[test]
fn an_approval_hidden_where_only_transfers_are_allowed_is_denied() {
    for data in [
        erc20(hex!("095ea7b3"), &[FRIEND], 5),
        erc20(hex!("23b872dd"), &[WALLET, FRIEND], 5),
        erc20(hex!("39509351"), &[FRIEND], 5),
        Bytes::from(hex!("a9059c").to_vec()),
    ] {
        let reasons = verdict(vec![Call::new(TOKEN, U256::ZERO, data)]).unwrap_err();
        assert_eq!(
            reasons,
            [Reason::NotUnderstood {
                call: 0,
                address: TOKEN
            }]
        );
    }
}

#[test]
fn sloppy_calldata_is_not_read_as_a_transfer() {
    let clean = transfer(FRIEND).data.to_vec();
    let mut dirty_address = clean.clone();
    dirty_address[4] = 1;
    let mut trailing = clean.clone();
    trailing.push(0);
    let truncated = clean[..67].to_vec();
    for data in [dirty_address, trailing, truncated] {
        assert!(verdict(vec![Call::new(TOKEN, U256::ZERO, data)]).is_err());
    }
    let with_value = Call::new(TOKEN, U256::from(1), clean);
    assert!(verdict(vec![with_value]).is_err());
}

#[test]
fn a_delegate_call_is_never_a_transfer() {
    let mut call = transfer(FRIEND);
    call.delegate_call = true;
    assert_eq!(
        verdict(vec![call]).unwrap_err(),
        [
            Reason::DelegateCall { call: 0 },
            Reason::NotUnderstood {
                call: 0,
                address: TOKEN
            }
        ]
    );
}

#[test]
fn the_wallet_may_not_be_told_to_change_itself() {
    let mut rules = policy();
    rules.allow.push(AllowedContract {
        address: WALLET,
        calls: AllowedCalls::Any,
    });
    rules.native = Recipients::Anybody;
    let update = Call::new(WALLET, U256::ZERO, hex!("29561426").to_vec());
    for call in [update, native(WALLET)] {
        assert_eq!(
            verdict_of(rules.clone(), vec![call]).unwrap_err(),
            [Reason::SelfCall { call: 0 }]
        );
    }
}

#[test]
fn empty_batches_configuration_updates_and_digests_are_refused() {
    let rules = ValidPolicy::try_from(policy()).unwrap();
    assert_eq!(verdict(vec![]).unwrap_err(), [Reason::Empty]);
    for body in [
        PayloadBody::ConfigUpdate(Default::default()),
        PayloadBody::Digest(Default::default()),
    ] {
        let refusal = decide(&rules, WALLET, &body.into()).unwrap_err();
        assert_eq!(refusal.reasons, [Reason::KindDenied]);
    }
}

#[test]
fn messages_need_the_policy_and_the_text_prefix() {
    let text: Payload = PayloadBody::Message(keyfold_wallet::payload::eip191(b"hello")).into();
    let permit: Payload = PayloadBody::Message(vec![0x19, 0x01, 7].into()).into();
    let deny = ValidPolicy::try_from(policy()).unwrap();
    assert_eq!(
        decide(&deny, WALLET, &text).unwrap_err().reasons,
        [Reason::MessagesDenied]
    );
    let allow = ValidPolicy::try_from(Policy {
        messages: Messages::Text,
        ..policy()
    })
    .unwrap();
    assert!(decide(&allow, WALLET, &text).is_ok());
    assert_eq!(
        decide(&allow, WALLET, &permit).unwrap_err().reasons,
        [Reason::NotText]
    );
    let lying = b"\x19Ethereum Signed Message:\n4hello".to_vec();
    assert!(decide(&allow, WALLET, &PayloadBody::Message(lying.into()).into()).is_err());
    let hundred = keyfold_wallet::payload::eip191("x".repeat(100).as_bytes());
    assert!(decide(&allow, WALLET, &PayloadBody::Message(hundred).into()).is_ok());
}

#[test]
fn malformed_policies_are_refused() {
    let refuse = |rules: Policy| ValidPolicy::try_from(rules).unwrap_err();
    assert_eq!(
        refuse(Policy {
            version: 2,
            ..policy()
        }),
        PolicyError::UnknownVersion
    );
    assert_eq!(
        refuse(Policy {
            deny: vec![ENEMY, ENEMY],
            ..policy()
        }),
        PolicyError::Duplicate
    );
    let zero = Recipients::Only(vec![Address::ZERO]);
    assert_eq!(
        refuse(Policy {
            native: zero,
            ..policy()
        }),
        PolicyError::ZeroAddress
    );
    assert_eq!(
        refuse(Policy {
            deny: vec![ENEMY; 5000],
            ..policy()
        }),
        PolicyError::TooLong
    );
    let unknown = r#"{"version":1,"revision":1,"allow_all":true}"#;
    assert!(serde_json::from_str::<Policy>(unknown).is_err());
    let smallest: Policy = serde_json::from_str(r#"{"version":1,"revision":1}"#).unwrap();
    assert!(verdict_of(smallest, vec![native(FRIEND)]).is_err());
}

use crate::policy::PolicyError;

proptest! {
    #[test]
    fn nothing_but_the_canonical_transfer_passes_on_a_token(data in prop::collection::vec(any::<u8>(), 1..80)) {
        let call = Call::new(TOKEN, U256::ZERO, data.clone());
        prop_assert!(verdict(vec![call]).is_err() || data.starts_with(&hex!("a9059cbb")));
    }
}

#[test]
fn a_contract_that_may_be_called_in_any_way_may_not_be_run_as_the_wallet() {
    let any = Policy {
        allow: vec![AllowedContract {
            address: TOKEN,
            calls: AllowedCalls::Any,
        }],
        ..policy()
    };
    let mut call = Call::new(TOKEN, U256::ZERO, Bytes::from_static(b"anything"));
    assert!(verdict_of(any.clone(), vec![call.clone()]).is_ok());
    call.delegate_call = true;
    assert_eq!(
        verdict_of(any, vec![native(FRIEND), call]).unwrap_err(),
        [Reason::DelegateCall { call: 1 }]
    );
}
