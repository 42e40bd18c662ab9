//! Histories that do not add up, and trees that are not what they were asked for.

use alloy_primitives::{Address, B256, Bytes};
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_protocol::config::{
    AttestedRoot, ChangeError, ConfigChange, ConfigLink, ConfigState, MAX_UPDATES, ReplayError,
    StoredTree, WalletConfig, update_digest,
};
use keyfold_protocol::ids::AddressId;
use keyfold_wallet::checkpointer::RootStatement;
use keyfold_wallet::config::{Members, default_tree};
use keyfold_wallet::signature::Header;
use keyfold_wallet::{Config, ContextName, EcdsaSignature, ValidConfig};

use super::world::*;
use crate::config::verify_attested;
use crate::{ClientError, ConfigRefused, GuardRule, History, Wallet, WalletRules};

fn someone(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn wallet() -> Wallet {
    let config = default_tree(Address::from(owner(1).address()), None).unwrap();
    let rules = WalletRules {
        guard: GuardRule::Without,
        ..WalletRules::default()
    };
    Wallet::verify(info("main", &config), &rules).unwrap()
}

fn first() -> ConfigState {
    ConfigState {
        context: ContextName::Keyfold,
        members: Members::new(Address::from(owner(1).address()), None),
        checkpoint: 0,
        checkpointer: None,
    }
}

/// An update as the signer of a seed agrees to it.
fn link(wallet: &Wallet, state: &ConfigState, change: ConfigChange, seed: u8) -> ConfigLink {
    let image_hash = state.after(&change).unwrap().config().unwrap().image_hash();
    let digest = update_digest(&wallet.address(), &image_hash);
    let header = Header {
        no_chain_id: true,
        ..Header::default()
    };
    let config = state.config().unwrap();
    ConfigLink {
        change,
        image_hash,
        signed_at: 1,
        signature: sign_with(&config, seed, B256::from(*digest.as_bytes()), &header),
    }
}

#[test]
fn a_word_about_the_latest_root_that_is_not_the_realms_is_refused() {
    let checkpointer = someone(9);
    let config = Config {
        checkpointer: Some(checkpointer),
        ..Config::clone(&default_tree(Address::from(owner(1).address()), None).unwrap())
    };
    let rules = WalletRules {
        guard: GuardRule::Without,
        checkpointer: Some(checkpointer),
        ..WalletRules::default()
    };
    let config = ValidConfig::new(config).unwrap();
    let wallet = Wallet::verify(info("main", &config), &rules).unwrap();
    let word = |key: &SigningKey, wallet, at| {
        let statement = RootStatement {
            wallet,
            image_hash: B256::repeat_byte(3),
            checkpoint: 7,
            issued: 1,
            expires: 2,
        };
        let made = key.sign_prehash(&statement.hash(&at).0);
        let made = EcdsaSignature::new(made.r.into(), made.s.into(), made.y_parity).unwrap();
        AttestedRoot {
            wallet,
            checkpointer: at,
            image_hash: statement.image_hash,
            checkpoint: 7,
            issued: 1,
            expires: 2,
            proof: statement.to_proof(&made).unwrap(),
        }
    };
    let (realm, stranger) = (owner(5), owner(6));
    let key = AddressId::from_bytes(realm.address());
    let genuine = word(&realm, wallet.address(), checkpointer);
    assert_eq!(verify_attested(&wallet, &genuine, &key), Ok(()));
    let mut other_root = genuine.clone();
    other_root.image_hash = B256::repeat_byte(4);
    let mut older = genuine.clone();
    older.checkpoint = 6;
    for (what, word) in [
        (
            "a stranger's",
            word(&stranger, wallet.address(), checkpointer),
        ),
        ("another wallet's", word(&realm, someone(1), checkpointer)),
        (
            "for another contract",
            word(&realm, wallet.address(), someone(8)),
        ),
        ("another root beside it", other_root),
        ("another checkpoint beside it", older),
    ] {
        let refused = verify_attested(&wallet, &word, &key);
        assert_eq!(refused, Err(ConfigRefused::Attestation), "{what}");
    }
}

/// Two updates of a wallet: a key is added, and one more.
fn history(wallet: &Wallet) -> WalletConfig {
    let add = |byte| ConfigChange::AddKey { key: someone(byte) };
    let second = first().after(&add(2)).unwrap();
    WalletConfig {
        wallet: wallet.address(),
        first: first(),
        updates: vec![
            link(wallet, &first(), add(2), 1),
            link(wallet, &second, add(3), 1),
        ],
    }
}

#[test]
fn a_history_leads_from_the_wallets_first_root_to_the_latest() {
    let wallet = wallet();
    let told = history(&wallet);
    let verified = History::verify(&wallet, told.clone()).unwrap();
    assert_eq!(verified.latest().members.keys, [someone(2), someone(3)]);
    assert_eq!(verified.latest_root(), told.updates[1].image_hash);
    assert_eq!(verified.states().count(), 3);
    assert_eq!(verified.to_told(), told);
    let bare = WalletConfig {
        updates: Vec::new(),
        ..told
    };
    let bare = History::verify(&wallet, bare).unwrap();
    assert_eq!(bare.latest_root(), wallet.image_hash());
}

#[test]
fn a_history_that_was_altered_anywhere_is_refused() {
    let wallet = wallet();
    let refused = |alter: &dyn Fn(&mut WalletConfig)| {
        let mut told = history(&wallet);
        alter(&mut told);
        History::verify(&wallet, told).unwrap_err()
    };
    let other = refused(&|told| told.wallet = someone(9));
    assert_eq!(other, ConfigRefused::OtherWallet);
    let first = refused(&|told| told.first.members.owner = someone(9));
    assert_eq!(first, ConfigRefused::Replay(ReplayError::First));
    let first = refused(&|told| told.first.checkpoint = 1);
    assert_eq!(first, ConfigRefused::Replay(ReplayError::First));
    let change = refused(&|told| {
        told.updates[1].change = ConfigChange::RemoveKey { key: someone(9) };
    });
    let error = ChangeError::NotThere;
    assert_eq!(
        change,
        ConfigRefused::Replay(ReplayError::Change { at: 2, error })
    );
    let root = refused(&|told| {
        told.updates[1].change = ConfigChange::AddKey { key: someone(9) };
    });
    assert_eq!(root, ConfigRefused::Replay(ReplayError::Root { at: 2 }));
    let left_out = refused(&|told| drop(told.updates.remove(0)));
    assert_eq!(left_out, ConfigRefused::Replay(ReplayError::Root { at: 1 }));
    let exchanged = refused(&|told| {
        let signature = told.updates[1].signature.clone();
        told.updates[0].signature = signature;
    });
    assert_eq!(
        exchanged,
        ConfigRefused::Replay(ReplayError::OtherSigners { at: 1 })
    );
    let cut = refused(&|told| {
        let signature = &mut told.updates[0].signature;
        *signature = signature.slice(..signature.len() - 1);
    });
    assert!(matches!(
        cut,
        ConfigRefused::Replay(ReplayError::Signature { at: 1, .. })
    ));
    let empty = refused(&|told| told.updates[0].signature = Bytes::new());
    assert!(matches!(
        empty,
        ConfigRefused::Replay(ReplayError::Signature { at: 1, .. })
    ));
    let many = refused(&|told| {
        let link = told.updates[0].clone();
        told.updates = vec![link; MAX_UPDATES + 1];
    });
    assert_eq!(many, ConfigRefused::Replay(ReplayError::TooMany));
}

#[test]
fn an_update_that_other_signers_agreed_to_is_refused() {
    let wallet = wallet();
    let add = ConfigChange::AddKey { key: someone(2) };
    // By somebody else, in a configuration of their own: a good signature of another wallet.
    let theirs = ConfigState {
        members: Members::new(Address::from(owner(2).address()), None),
        ..first()
    };
    let mut forged = link(&wallet, &first(), add, 1);
    let digest = update_digest(&wallet.address(), &forged.image_hash);
    let header = Header {
        no_chain_id: true,
        ..Header::default()
    };
    let digest = B256::from(*digest.as_bytes());
    forged.signature = sign_with(&theirs.config().unwrap(), 2, digest, &header);
    let told = WalletConfig {
        updates: vec![forged],
        ..history(&wallet)
    };
    let refused = History::verify(&wallet, told);
    assert_eq!(
        refused,
        Err(ConfigRefused::Replay(ReplayError::OtherSigners { at: 1 }))
    );
}

#[test]
fn a_tree_with_another_root_than_it_was_asked_by_is_refused() {
    let (host, client, _, wallet) = ready();
    let told = History::verify(&wallet, history(&wallet)).unwrap();
    let root = told.latest_root();
    let trees = |state: &ConfigState| StoredTree::all_of(state).unwrap().remove(0);
    let missing = run(client.tree(&root)).unwrap_err();
    assert!(
        matches!(missing, ClientError::Config(ConfigRefused::NoTree(_))),
        "{missing}"
    );
    host.with(|state| state.trees.insert(root, trees(&first())));
    let other = run(client.tree(&root)).unwrap_err();
    assert!(
        matches!(other, ClientError::Config(ConfigRefused::Tree(_))),
        "{other}"
    );
    assert!(run(client.verify_trees(&told)).is_err());
    for (state, root) in told.states() {
        host.with(|host| host.trees.insert(*root, trees(state)));
    }
    assert_eq!(run(client.tree(&root)).unwrap(), trees(told.latest()));
    assert_eq!(run(client.verify_trees(&told)).unwrap(), 3);
}
