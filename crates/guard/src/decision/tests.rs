//! The policy against what attackers put into a batch.

use alloy_primitives::{Bytes, U256, address, hex};
use keyfold_protocol::config::{ChangeKind, ConfigChange};
use keyfold_wallet::Call;
use keyfold_wallet::recovery::RecoveryLeaf;
use keyfold_wallet::session::SessionPermissions;
use proptest::prelude::*;

use super::*;
use crate::policy::{AllowedContract, Policy, PolicyError, Recipients};

const WALLET: Address = address!("00000000000000000000000000000000000000aa");
const TOKEN: Address = address!("00000000000000000000000000000000000000bb");
const FRIEND: Address = address!("00000000000000000000000000000000000000cc");
const ENEMY: Address = address!("00000000000000000000000000000000000000dd");
const CHAIN: u64 = 8453;
const OTHER_CHAIN: u64 = 137;

fn rules() -> ChainRules {
    ChainRules {
        ids: vec![CHAIN],
        allow: vec![AllowedContract {
            address: TOKEN,
            calls: AllowedCalls::Erc20Transfer,
        }],
        native: Recipients::Only(vec![FRIEND]),
        messages: Messages::Deny,
    }
}

fn policy_of(rules: ChainRules) -> Policy {
    Policy {
        version: 1,
        revision: 7,
        deny: vec![ENEMY],
        config_changes: vec![ChangeKind::AddKey, ChangeKind::RemoveKey],
        chains: vec![rules],
    }
}

fn policy() -> Policy {
    policy_of(rules())
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

fn verdict_on(
    chain_id: u64,
    policy: Policy,
    payload: impl Into<Payload>,
) -> Result<Approval, Vec<Reason>> {
    let policy = ValidPolicy::try_from(policy).unwrap();
    decide(&policy, WALLET, chain_id, &payload.into()).map_err(|no| no.reasons)
}

fn verdict_of(policy: Policy, calls: Vec<Call>) -> Result<Approval, Vec<Reason>> {
    verdict_on(CHAIN, policy, Payload::calls(Default::default(), 0, calls))
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
    let mut rules = rules();
    rules.allow.push(AllowedContract {
        address: WALLET,
        calls: AllowedCalls::Any,
    });
    rules.native = Recipients::Anybody;
    let update = Call::new(WALLET, U256::ZERO, hex!("29561426").to_vec());
    for call in [update, native(WALLET)] {
        assert_eq!(
            verdict_of(policy_of(rules.clone()), vec![call]).unwrap_err(),
            [Reason::SelfCall { call: 0 }]
        );
    }
}

#[test]
fn empty_batches_configuration_updates_and_digests_are_refused() {
    assert_eq!(verdict(vec![]).unwrap_err(), [Reason::Empty]);
    for body in [
        PayloadBody::ConfigUpdate(Default::default()),
        PayloadBody::Digest(Default::default()),
    ] {
        let reasons = verdict_on(CHAIN, policy(), body).unwrap_err();
        assert_eq!(reasons, [Reason::KindDenied]);
    }
}

#[test]
fn messages_need_the_policy_and_the_text_prefix() {
    let text = PayloadBody::Message(keyfold_wallet::payload::eip191(b"hello"));
    assert_eq!(
        verdict_on(CHAIN, policy(), text.clone()).unwrap_err(),
        [Reason::MessagesDenied]
    );
    let texts = policy_of(ChainRules {
        messages: Messages::Text,
        ..rules()
    });
    let signed =
        |bytes: Vec<u8>| verdict_on(CHAIN, texts.clone(), PayloadBody::Message(bytes.into()));
    assert!(verdict_on(CHAIN, texts.clone(), text).is_ok());
    assert_eq!(
        signed(vec![0x19, 0x01, 7]).unwrap_err(),
        [Reason::NotText],
        "a permit"
    );
    assert!(signed(b"\x19Ethereum Signed Message:\n4hello".to_vec()).is_err());
    let hundred = keyfold_wallet::payload::eip191("x".repeat(100).as_bytes());
    assert!(signed(hundred.to_vec()).is_ok());
}

#[test]
fn what_is_allowed_on_one_chain_is_refused_on_another() {
    let mut rules = rules();
    rules.messages = Messages::Text;
    let policy = policy_of(rules);
    let text = PayloadBody::Message(keyfold_wallet::payload::eip191(b"hello")).into();
    for payload in [
        Payload::calls(Default::default(), 0, vec![transfer(FRIEND)]),
        Payload::calls(Default::default(), 0, vec![native(FRIEND)]),
        text,
    ] {
        verdict_on(CHAIN, policy.clone(), payload.clone()).unwrap();
        for chain_id in [OTHER_CHAIN, 0] {
            assert_eq!(
                verdict_on(chain_id, policy.clone(), payload.clone()).unwrap_err(),
                [Reason::ChainNotAllowed { chain_id }]
            );
        }
    }
}

#[test]
fn each_chain_has_its_own_rules_and_the_deny_list_is_everybodys() {
    let mut policy = policy();
    policy.chains.push(ChainRules {
        ids: vec![OTHER_CHAIN],
        native: Recipients::Anybody,
        ..ChainRules::default()
    });
    let calls = |call| Payload::calls(Default::default(), 0, vec![call]);
    assert!(verdict_on(OTHER_CHAIN, policy.clone(), calls(native(TOKEN))).is_ok());
    assert!(verdict_on(CHAIN, policy.clone(), calls(native(TOKEN))).is_err());
    assert!(verdict_on(OTHER_CHAIN, policy.clone(), calls(transfer(FRIEND))).is_err());
    assert_eq!(
        verdict_on(OTHER_CHAIN, policy, calls(native(ENEMY))).unwrap_err(),
        [Reason::Denied {
            call: 0,
            address: ENEMY
        }]
    );
}

#[test]
fn a_refusal_prints_its_first_reasons_and_how_many_more() {
    let policy = ValidPolicy::try_from(policy()).unwrap();
    let payload = Payload::calls(Default::default(), 0, vec![native(ENEMY); 10]);
    let refusal = decide(&policy, WALLET, CHAIN, &payload).unwrap_err();
    assert_eq!(refusal.reasons.len(), 20);
    let text = refusal.to_string();
    assert!(text.starts_with("call 0 touches 0x"), "{text}");
    assert!(text.ends_with("; and 12 more"), "{text}");
}

#[test]
fn malformed_policies_are_refused() {
    let refuse = |policy: Policy| ValidPolicy::try_from(policy).unwrap_err();
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
    assert_eq!(
        refuse(Policy {
            deny: vec![ENEMY; 5000],
            ..policy()
        }),
        PolicyError::TooLong
    );
    assert_eq!(
        refuse(Policy {
            config_changes: vec![ChangeKind::AddKey; 2],
            ..policy()
        }),
        PolicyError::DuplicateChange
    );
    let ids = |ids: Vec<u64>| policy_of(ChainRules { ids, ..rules() });
    assert_eq!(refuse(ids(vec![])), PolicyError::NoChain);
    assert_eq!(refuse(ids(vec![CHAIN, 0])), PolicyError::ChainZero);
    assert_eq!(refuse(ids(vec![CHAIN, CHAIN])), PolicyError::DuplicateChain);
    assert_eq!(refuse(ids((1..5000).collect())), PolicyError::TooLong);
    assert_eq!(
        refuse(Policy {
            chains: vec![rules(), rules()],
            ..policy()
        }),
        PolicyError::DuplicateChain
    );
    let only = |list| {
        policy_of(ChainRules {
            native: Recipients::Only(list),
            ..rules()
        })
    };
    assert_eq!(refuse(only(vec![Address::ZERO])), PolicyError::ZeroAddress);
    assert_eq!(refuse(only(vec![FRIEND, FRIEND])), PolicyError::Duplicate);
    let twice = policy_of(ChainRules {
        allow: [rules().allow, rules().allow].concat(),
        ..rules()
    });
    assert_eq!(refuse(twice), PolicyError::Duplicate);
}

#[test]
fn a_policy_without_chains_or_with_a_field_too_many_is_no_policy() {
    for text in [
        r#"{"version":1,"revision":1}"#,
        r#"{"version":1,"revision":1,"native":"anybody"}"#,
        r#"{"version":1,"revision":1,"chains":[],"allow_all":true}"#,
        r#"{"version":1,"revision":1,"chains":[{"native":"anybody"}]}"#,
        r#"{"version":1,"revision":1,"chains":[{"ids":[1],"chain":2}]}"#,
    ] {
        assert!(serde_json::from_str::<Policy>(text).is_err(), "{text}");
    }
    for text in [
        r#"{"version":1,"revision":1,"chains":[]}"#,
        r#"{"version":1,"revision":1,"chains":[{"ids":[8453]}]}"#,
    ] {
        let smallest: Policy = serde_json::from_str(text).unwrap();
        assert!(
            verdict_of(smallest, vec![native(FRIEND)]).is_err(),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn nothing_but_the_canonical_transfer_passes_on_a_token(data in prop::collection::vec(any::<u8>(), 1..80)) {
        let call = Call::new(TOKEN, U256::ZERO, data.clone());
        prop_assert!(verdict(vec![call]).is_err() || data.starts_with(&hex!("a9059cbb")));
    }
}

#[test]
fn a_contract_that_may_be_called_in_any_way_may_not_be_run_as_the_wallet() {
    let any = policy_of(ChainRules {
        allow: vec![AllowedContract {
            address: TOKEN,
            calls: AllowedCalls::Any,
        }],
        ..rules()
    });
    let mut call = Call::new(TOKEN, U256::ZERO, Bytes::from_static(b"anything"));
    assert!(verdict_of(any.clone(), vec![call.clone()]).is_ok());
    call.delegate_call = true;
    assert_eq!(
        verdict_of(any, vec![native(FRIEND), call]).unwrap_err(),
        [Reason::DelegateCall { call: 1 }]
    );
}

#[test]
fn a_change_of_the_configuration_needs_its_kind_in_the_policy() {
    let policy = ValidPolicy::try_from(policy()).unwrap();
    let add = |key| ConfigChange::AddKey { key };
    assert!(decide_change(&policy, &add(FRIEND)).is_ok());
    assert!(decide_change(&policy, &ConfigChange::RemoveKey { key: ENEMY }).is_ok());
    let owner = FRIEND;
    let refused = decide_change(&policy, &ConfigChange::RotateOwner { owner }).unwrap_err();
    let kind = ChangeKind::RotateOwner;
    assert_eq!(refused.reasons, [Reason::ChangeDenied { kind }]);
    assert!(refused.to_string().contains("rotate-owner"), "{refused}");
    // A policy that says nothing of it allows nothing of it.
    let silent: Policy = serde_json::from_str(r#"{"version":1,"revision":1,"chains":[]}"#).unwrap();
    assert!(decide_change(&ValidPolicy::try_from(silent).unwrap(), &add(FRIEND)).is_err());
}

#[test]
fn a_change_that_gives_a_denied_address_a_say_is_refused() {
    let policy = ValidPolicy::try_from(Policy {
        config_changes: ChangeKind::ALL.map(|(kind, _)| kind).to_vec(),
        ..policy()
    })
    .unwrap();
    let session = SessionPermissions {
        signer: FRIEND,
        chain_id: CHAIN,
        value_limit: Default::default(),
        deadline: 1,
        permissions: vec![keyfold_wallet::session::Permission {
            target: ENEMY,
            rules: Vec::new(),
        }],
    };
    let recovery = RecoveryLeaf {
        signer: ENEMY,
        required_delta_seconds: 86_400,
        min_timestamp: 0,
    };
    for change in [
        ConfigChange::AddKey { key: ENEMY },
        ConfigChange::AddSession { session },
        ConfigChange::AddRecovery { recovery },
        ConfigChange::RotateOwner { owner: ENEMY },
    ] {
        let refused = decide_change(&policy, &change).unwrap_err();
        let address = ENEMY;
        assert_eq!(refused.reasons, [Reason::ChangeNamesDenied { address }]);
    }
}
