//! Wallets that are not what they seem.

use alloy_primitives::Address;
use keyfold_protocol::client_api::WalletInfo;
use keyfold_wallet::config::{balanced_tree, default_tree};
use keyfold_wallet::{Config, Context, ContextName, Topology, ValidConfig, wallet_address};

use super::world::*;
use crate::{ClientError, GuardRule, Wallet, WalletRefused, WalletRules};

fn someone(seed: u8) -> Address {
    Address::repeat_byte(seed)
}

/// A wallet that is consistent in itself, of whatever configuration.
fn consistent(config: Config) -> WalletInfo {
    info("main", &ValidConfig::new(config).unwrap())
}

fn verify(info: WalletInfo) -> Result<Wallet, WalletRefused> {
    Wallet::verify(info, &WalletRules::default())
}

#[test]
fn a_default_wallet_is_what_it_says() {
    for guard in [None, Some(someone(2))] {
        let told = info("main", &default_tree(someone(1), guard).unwrap());
        let wallet = verify(told.clone()).unwrap();
        assert_eq!((wallet.owner(), wallet.guard()), (someone(1), guard));
        assert_eq!(
            wallet.address(),
            wallet_address(&told.image_hash, &Context::keyfold())
        );
    }
}

#[test]
fn a_second_owner_is_refused_wherever_it_stands() {
    let signer = |seed, weight| Topology::Signer {
        address: someone(seed),
        weight,
    };
    let nested = |tree, weight, threshold| Topology::Nested {
        tree: Box::new(tree),
        weight,
        threshold,
    };
    let base = Config::clone(&default_tree(someone(1), Some(someone(2))).unwrap());
    let two = Topology::branch(signer(1, 1), signer(3, 1));
    for (defect, topology) in [
        (
            "beside the owner",
            Topology::branch(nested(two, 1, 1), signer(2, 1)),
        ),
        (
            "as a leaf of its own",
            Topology::branch(base.topology.clone(), signer(3, 2)),
        ),
        (
            "in place of the owner's node",
            balanced_tree(vec![signer(1, 1), signer(2, 1)]).unwrap(),
        ),
        (
            "an owner that needs no guard",
            Topology::branch(nested(signer(1, 1), 2, 1), signer(2, 1)),
        ),
        (
            "a guard that needs no owner",
            Topology::branch(nested(signer(1, 1), 1, 1), signer(2, 2)),
        ),
        (
            "the other order",
            Topology::branch(signer(2, 1), nested(signer(1, 1), 1, 1)),
        ),
    ] {
        let told = consistent(Config {
            topology,
            ..base.clone()
        });
        assert_eq!(verify(told), Err(WalletRefused::Shape), "{defect}");
    }
}

#[test]
fn another_threshold_checkpoint_or_checkpointer_is_refused() {
    let base = Config::clone(&default_tree(someone(1), Some(someone(2))).unwrap());
    for config in [
        Config {
            threshold: 1,
            ..base.clone()
        },
        Config {
            checkpoint: 1,
            ..base.clone()
        },
        Config {
            checkpointer: Some(someone(9)),
            ..base.clone()
        },
    ] {
        assert_eq!(verify(consistent(config)), Err(WalletRefused::Shape));
    }
    let told = consistent(Config {
        checkpointer: Some(someone(9)),
        ..base
    });
    let expecting = |checkpointer| WalletRules {
        checkpointer: Some(checkpointer),
        ..WalletRules::default()
    };
    let other = Wallet::verify(told.clone(), &expecting(someone(8)));
    assert_eq!(other, Err(WalletRefused::Shape));
    assert!(Wallet::verify(told, &expecting(someone(9))).is_ok());
}

#[test]
fn an_address_or_root_of_another_configuration_is_refused() {
    let mine = info("main", &default_tree(someone(1), None).unwrap());
    let theirs = info("main", &default_tree(someone(6), None).unwrap());
    let address = WalletInfo {
        address: theirs.address,
        ..mine.clone()
    };
    assert_eq!(verify(address), Err(WalletRefused::Address));
    let root = WalletInfo {
        image_hash: theirs.image_hash,
        ..mine.clone()
    };
    assert_eq!(verify(root), Err(WalletRefused::ImageHash));
    let config = WalletInfo {
        config: theirs.config,
        ..mine
    };
    assert_eq!(verify(config), Err(WalletRefused::ImageHash));
}

#[test]
fn contracts_that_the_program_does_not_expect_are_refused_though_all_else_fits() {
    let config = default_tree(someone(1), None).unwrap();
    for expected in ContextName::CHOICES {
        let rules = WalletRules {
            contracts: expected,
            ..WalletRules::default()
        };
        for told in ContextName::ALL {
            let verified = Wallet::verify(info_with("main", &config, told), &rules);
            if told == expected {
                let wallet = verified.unwrap();
                assert_eq!(wallet.contracts(), expected);
                let address = wallet_address(&config.image_hash(), &expected.context());
                assert_eq!(wallet.address(), address);
            } else {
                assert_eq!(verified, Err(WalletRefused::Context { told, expected }));
            }
            // The right name, with the address of other contracts.
            let misnamed = WalletInfo {
                context: expected,
                ..info_with("main", &config, told)
            };
            if told != expected {
                assert_eq!(
                    Wallet::verify(misnamed, &rules),
                    Err(WalletRefused::Address)
                );
            }
        }
    }
    assert_eq!(WalletRules::default().contracts, ContextName::Keyfold);
}

#[test]
fn a_service_that_exchanges_the_contracts_gets_no_coins_sent_to_their_addresses() {
    let (host, client, session, _) = ready();
    let exchange = |info: &mut WalletInfo| {
        info.context = ContextName::SequenceRc5;
        info.address = wallet_address(&info.image_hash, &info.context.context());
    };
    host.with(|state| {
        state.alter_wallet = Some(Box::new(exchange));
        state.wallets.iter_mut().for_each(exchange);
    });
    for error in [
        run(client.wallets(&session)).unwrap_err(),
        run(client.create_wallet(&session, "another")).unwrap_err(),
    ] {
        let refused = WalletRefused::Context {
            told: ContextName::SequenceRc5,
            expected: ContextName::Keyfold,
        };
        assert!(
            matches!(error, ClientError::Wallet(why) if why == refused),
            "{error}"
        );
    }
}

#[test]
fn a_wallet_without_the_projects_guard_is_refused() {
    let with = |guard| info("main", &default_tree(someone(1), guard).unwrap());
    let rules = |guard| WalletRules {
        guard,
        ..WalletRules::default()
    };
    let exactly = rules(GuardRule::Exactly(someone(2)));
    assert!(Wallet::verify(with(Some(someone(2))), &exactly).is_ok());
    for told in [with(None), with(Some(someone(3)))] {
        assert_eq!(Wallet::verify(told, &exactly), Err(WalletRefused::Guard));
    }
    let without = rules(GuardRule::Without);
    assert!(Wallet::verify(with(None), &without).is_ok());
    assert_eq!(
        Wallet::verify(with(Some(someone(2))), &without),
        Err(WalletRefused::Guard)
    );
}

#[test]
fn a_label_never_becomes_another_wallet() {
    let (host, client, session, wallet) = ready();
    let other = info("main", &default_tree(someone(6), None).unwrap());
    let now = other.address;
    host.with(|state| state.wallets = vec![other]);
    let changed = WalletRefused::Changed {
        before: wallet.address(),
        now,
    };
    for error in [
        run(client.wallets(&session)).unwrap_err(),
        run(client.create_wallet(&session, "main")).unwrap_err(),
    ] {
        assert!(
            matches!(error, ClientError::Wallet(refused) if refused == changed),
            "{error}"
        );
    }
}

#[test]
fn asking_twice_returns_the_same_wallet() {
    let (_host, client, session, wallet) = ready();
    assert_eq!(run(client.create_wallet(&session, "main")).unwrap(), wallet);
}

#[test]
fn a_wallet_of_another_label_than_asked_for_is_refused() {
    let (host, client, session, _) = ready();
    host.with(|state| state.alter_wallet = Some(Box::new(|told| told.label = "else".into())));
    let error = run(client.create_wallet(&session, "main")).unwrap_err();
    assert!(matches!(error, ClientError::Wallet(WalletRefused::Label)));
}

#[test]
fn labels_that_could_fool_a_reader_are_not_sent() {
    let (host, client, session, _) = ready();
    let sealed = host.with(|state| state.sealed_requests.len());
    for label in ["", "a\u{1b}[2J", "a\nb", "a\u{2060}", &"x".repeat(65)] {
        let error = run(client.create_wallet(&session, label)).unwrap_err();
        assert!(matches!(error, ClientError::Unsendable(_)));
    }
    assert_eq!(host.with(|state| state.sealed_requests.len()), sealed);
}
