//! Projects of other contracts: addresses, leaves and signatures are those of the contracts chosen.

use alloy_primitives::Address;
use keyfold_protocol::checkpointer::checkpointer_address;
use keyfold_protocol::client_api::{CreateProject, ProjectInfo, Signed, WalletInfo, Wallets, path};
use keyfold_protocol::config::{ConfigChange, PasskeyPublicKey, WalletConfig};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Operation;
use keyfold_wallet::config::default_tree;
use keyfold_wallet::{ContextName, Topology, wallet_address};

use crate::app::{
    App, assert_refused, assert_wallet_accepts, checkpointer_of, message, payment, project_of,
};
use crate::config::states;
use crate::device::{Device, Reply};

const NEW: &str = "new.example";

async fn create(device: &Device, change: impl Fn(&mut CreateProject)) -> Reply {
    let mut body = project_of(device, NEW, None);
    change(&mut body);
    device
        .before_session(path::PROJECT_CREATE, Operation::CreateProject, &body)
        .await
}

#[tokio::test]
async fn wallets_have_the_address_that_their_projects_contracts_give_them() {
    for chosen in ContextName::CHOICES {
        let app = App::with(|body| body.contracts = chosen).await;
        let (device, wallet) = app.with_wallet().await;
        assert_eq!(wallet.context, chosen);
        let Topology::Nested { tree, .. } = &wallet.config.topology else {
            panic!("{chosen}: not the default tree");
        };
        let Topology::Signer { address: owner, .. } = **tree else {
            panic!("{chosen}: no owner");
        };
        let root = default_tree(owner, None).unwrap().image_hash();
        assert_eq!(wallet.image_hash, root);
        assert_eq!(wallet.address, wallet_address(&root, &chosen.context()));
        let others = ContextName::CHOICES
            .iter()
            .filter(|other| wallet_address(&root, &other.context()) == wallet.address);
        assert_eq!(others.count(), 1, "{chosen}");
        for request in [payment(&wallet, 7), message(&wallet, "hello")] {
            let signed: Signed = device.sign_with(&wallet, &request).await.ok();
            assert_wallet_accepts(&wallet, &request, &signed.signature);
        }
        let again: WalletInfo = device.create_wallet("main").await.ok();
        let listed: Wallets = device.wallets().await.ok();
        assert_eq!(
            (&again, &listed.wallets[..]),
            (&wallet, &[wallet.clone()][..])
        );
    }
}

#[tokio::test]
async fn changes_point_to_the_extensions_of_the_projects_contracts() {
    let chosen = ContextName::SequenceRc5;
    let app = App::with(|body| body.contracts = chosen).await;
    let (device, wallet) = app.with_wallet().await;
    let passkey = PasskeyPublicKey {
        x: alloy_primitives::B256::repeat_byte(1),
        y: alloy_primitives::B256::repeat_byte(2),
        require_user_verification: true,
        metadata: None,
    };
    let change = ConfigChange::AddPasskey { passkey };
    let told: WalletConfig = device.change(&wallet, change).await.ok();
    assert_eq!(told.first.context, chosen);
    let states = states(&told);
    let config = states[1].config().unwrap();
    let expected = chosen.extensions().unwrap().passkeys;
    assert!(leaves(&config.topology).contains(&expected));

    // Signatures lead from the first root, which the address comes from.
    let request = payment(&wallet, 1);
    let signed: Signed = device.sign_with(&wallet, &request).await.ok();
    assert_wallet_accepts(&wallet, &request, &signed.signature);
}

fn leaves(topology: &Topology) -> Vec<Address> {
    match topology {
        Topology::Branch(left, right) => [leaves(left), leaves(right)].concat(),
        Topology::Nested { tree, .. } => leaves(tree),
        Topology::Sapient { address, .. } | Topology::Signer { address, .. } => vec![*address],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_project_keeps_the_contracts_that_it_was_made_with() {
    let app = App::new().await;
    let admin = app.device(NEW);
    let chosen = |body: &mut CreateProject| body.contracts = ContextName::SequenceRc5;
    let info: ProjectInfo = create(&admin, chosen).await.ok();
    assert_eq!(info.contracts, ContextName::SequenceRc5);
    let again: ProjectInfo = create(&admin, chosen).await.ok();
    assert_eq!(again, info);
    assert_refused(&create(&admin, |_| ()).await, Code::ProjectExists);
}

#[tokio::test]
async fn contracts_that_are_not_for_new_wallets_are_refused() {
    let app = App::new().await;
    let admin = app.device(NEW);
    let choices = ContextName::CHOICES;
    for other in ContextName::ALL
        .into_iter()
        .filter(|name| !choices.contains(name))
    {
        let refused = create(&admin, |body| body.contracts = other).await;
        assert_refused(&refused, Code::ProjectInvalid);
    }
    let _: ProjectInfo = create(&admin, |_| ()).await.ok();
}

#[tokio::test]
async fn a_checkpointer_beside_contracts_that_are_not_ours_is_refused() {
    let app = App::new().await;
    let admin = app.device(NEW);
    let own = checkpointer_of(&app.world);
    let both = |contracts| {
        move |body: &mut CreateProject| {
            body.contracts = contracts;
            body.checkpointer = Some(own);
        }
    };
    for theirs in [ContextName::SequenceRc5, ContextName::SequenceRc5Erc4337] {
        let refused = create(&admin, both(theirs)).await;
        assert_refused(&refused, Code::ProjectInvalid);
        assert!(refused.detail().contains("checkpointer"), "{refused:?}");
    }
    let made: ProjectInfo = create(&admin, both(ContextName::KeyfoldErc4337)).await.ok();
    assert_eq!(made.contracts, ContextName::KeyfoldErc4337);
}

/// Its wallets could never sign again: nobody answers there, or with another key's word.
#[tokio::test]
async fn no_checkpointer_but_the_realms_is_accepted() {
    let app = App::new().await;
    let admin = app.device(NEW);
    let other_key = checkpointer_address(&Address::repeat_byte(9)).unwrap();
    for other in [Address::ZERO, Address::repeat_byte(0x5c), other_key] {
        let refused = create(&admin, |body: &mut CreateProject| {
            body.checkpointer = Some(other);
        })
        .await;
        assert_refused(&refused, Code::ProjectInvalid);
    }
    let own = checkpointer_of(&app.world);
    let _: ProjectInfo = create(&admin, |body: &mut CreateProject| {
        body.checkpointer = Some(own);
    })
    .await
    .ok();
}
